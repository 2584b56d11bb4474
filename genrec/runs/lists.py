"""Lists for all users of a data set, written in parts, so that a stopped job goes on where it was.

While it runs, `NAME.parquet.parts/` beside the file holds one Parquet file for each group of users and
`question.json`, which keeps parts of different questions apart and tells whole parts from damaged ones. At the end the
parts become the one file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic_core import to_jsonable_python

from genrec.data.files import read_parquet, write_atomically
from genrec.data.seal import Sealed, check_files, measured, read_sealed, write_sealed
from genrec.errors import ConfigError, RunError
from genrec.recommenders.asked import as_count

if TYPE_CHECKING:
    from genrec.data.catalogue import BoolArray
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import IntArray
    from genrec.data.ranking import Rankings
    from genrec.recommenders.base import Recommender

USERS_PER_PART = 4096
_ROWS_PER_PART = 10_000_000  # held in memory at once: fewer users to a part where they have more items each
_QUESTION = "question.json"  # of the folder of parts


@dataclass(frozen=True)
class Question:
    """What is asked for every user; `only` holds fields and values."""

    k: int
    only: tuple[tuple[str, str], ...] = ()
    exclude: tuple[str, ...] = ()
    exact: bool = False


def recommend_to_all(
    model: Recommender,
    dataset: Dataset,
    question: Question,
    out: Path,
    *,
    identity: str,
    force: bool = False,
    users_per_part: int | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the best items of every user: columns user_id, rank, item_id, title, score, probability.

    Args:
        model: fitted on the catalogue of `dataset`.
        dataset: whose users are asked for, each with all that they took.
        question: `k` and the filters.
        out: file to write; `out` + `.parts` is used on the way and removed.
        identity: tells this model from any other; parts that another one left are not taken up.
        force: replace a file that is there.
        users_per_part: users held in memory at once; None: as many as suits the length of their lists.
        batch_size: users ranked at once; None: as many as the model's options say.
        progress: called with (users done, users in all).

    Returns:
        Rows written.

    Raises:
        ConfigError: the file exists, is no Parquet file by its name, or parts of another question lie beside it.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"--users all writes a Parquet file: give --out NAME.parquet, not {out}")
    if out.exists() and not force:
        raise ConfigError(f"{out} exists: give --force to replace it, or another --out")
    folder = out.with_name(out.name + ".parts")
    allowed = allowed_items(model, question.only, question.exclude)
    if users_per_part is None:
        places = min(as_count(question.k, "k", "item"), len(model.catalogue))
        users_per_part = min(USERS_PER_PART, max(1, _ROWS_PER_PART // places))
    asked = to_jsonable_python(
        {
            **asdict(question),
            "only": ["=".join(pair) for pair in question.only],
            "data": dataset.fingerprint,
            "model": identity,
            "users_per_part": users_per_part,
        }
    )
    parts = _take_up(folder, asked)
    histories = dataset.interactions.histories
    paths = []
    for start in range(0, len(histories), users_per_part):
        path = folder / f"{start:010d}.parquet"
        paths.append(path)
        rows = np.arange(start, min(start + users_per_part, len(histories)))
        if path.name not in parts:
            rankings = model.rank(
                histories.take(rows),
                question.k,
                allowed=allowed,
                exact=question.exact,
                batch_size=batch_size,
            )
            table = _table(model, dataset, rows, rankings)
            if not parts:  # no sooner: what cannot be answered leaves nothing behind
                folder.mkdir(parents=True, exist_ok=True)
                write_sealed(folder / _QUESTION, asked, run=identity)
            write_atomically(path, table.write_parquet)
            parts |= measured(folder, [path.name])
            write_sealed(folder / _QUESTION, asked, run=identity, files=parts)
        if progress is not None:
            progress(int(rows[-1]) + 1, len(histories))
    num_rows = _assemble(paths, out)
    shutil.rmtree(folder)
    return num_rows


def allowed_items(
    model: Recommender, only: Iterable[tuple[str, str]], exclude: Iterable[str]
) -> BoolArray | None:
    """Mask of the items that fit every field and value and are not excluded; None where that is all of them.

    Raises:
        ConfigError: no such field or value.
        UnknownItemError: an excluded item is not in the catalogue.
    """
    allowed = model.mask(None, exclude)
    for field, value in only:
        fitting = model.mask({field: value}, ())
        assert fitting is not None
        allowed = fitting if allowed is None else allowed & fitting
    return allowed


def _take_up(folder: Path, asked: dict[str, Any]) -> dict[str, Sealed]:
    """The parts in a folder that are whole, after making sure that all of them answer the same question."""
    path = folder / _QUESTION
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is in the way: move it, or choose another --out")
        return {}
    before, seal = read_sealed(path, dict[str, Any], advice=f"remove {folder} and repeat the command")
    for key, value in asked.items():
        if before.get(key) != value:
            raise ConfigError(
                f"{folder} holds parts of a stopped job with {key}={before.get(key)}, and this one has "
                f"{key}={value}: repeat the first command, choose another --out, or remove that folder"
            )
    parts = {} if seal is None else seal.files
    return {name: file for name, file in parts.items() if _is_whole(folder, name, file)}


def _is_whole(folder: Path, name: str, file: Sealed) -> bool:
    """Whether a part is as it was written; one that is not is made again."""
    try:
        check_files(folder, {name: file})
    except RunError:
        return False
    return True


def _table(model: Recommender, dataset: Dataset, users_B: IntArray, rankings: Rankings) -> pl.DataFrame:
    """One row for each entry of each list."""
    found_BK = rankings.items_BK >= 0
    row, place = np.nonzero(found_BK)
    items = rankings.items_BK[found_BK]
    scores = rankings.scores_BK[found_BK].astype(np.float32)
    catalogue = model.catalogue.table
    return pl.DataFrame(
        {
            "user_id": dataset.interactions.users.gather(users_B[row]),
            "rank": (place + 1).astype(np.int32),
            "item_id": catalogue["item_id"].gather(items),
            "title": catalogue["title"].gather(items),
            "score": scores,
            "probability": pl.Series(np.exp(scores))
            if model.probabilistic
            else pl.Series([None] * len(items), dtype=pl.Float32),
        }
    )


def _assemble(paths: list[Path], out: Path) -> int:
    """One file from the parts, one part in memory at a time; rows written."""
    num_rows = 0

    def write(temporary: Path) -> None:
        nonlocal num_rows
        parts = (read_parquet(path).to_arrow(compat_level=pl.CompatLevel.oldest()) for path in paths)
        first = next(parts)
        with pq.ParquetWriter(temporary, first.schema) as writer:
            for part in chain([first], parts):
                num_rows += part.num_rows
                writer.write_table(part)

    write_atomically(out, write)
    return num_rows
