"""Lists for all users of a data set, written in parts, so that a stopped job goes on where it was.

While it runs, `NAME.parquet.parts/` beside the file holds one Parquet file for each group of users and
`question.json`, which keeps parts of different questions apart and tells whole parts from damaged ones. At the end the
parts become the one file.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from pydantic_core import to_jsonable_python

from genrec.data.files import write_atomically
from genrec.data.seal import Sealed, check_files, measured, read_sealed, write_sealed
from genrec.errors import ConfigError, RunError
from genrec.recommenders.asked import allowed_mask, as_count
from genrec.runs.repeats import rank_repeats

if TYPE_CHECKING:
    from genrec.data.interactions import IntArray
    from genrec.data.ranking import Rankings
    from genrec.evaluation.protocol import Progress
    from genrec.recommenders.today import Today
    from genrec.runs.run import Run

USERS_PER_PART = 4096
_ROWS_PER_PART = 10_000_000  # held in memory at once: fewer users to a part where they have more items each
_QUESTION = "question.json"  # of the folder of parts


def recommend_to_all(
    run: Run,
    out: Path,
    k: int,
    only: Mapping[str, Any] | Sequence[str],
    exclude: Sequence[str],
    *,
    max_per: Mapping[str, int] | None,
    repeat: str,
    exact: bool,
    force: bool,
    batch_size: int | None,
    progress: Progress | None,
) -> int:
    """See `Run.recommend_to_all`."""
    if out.suffix != ".parquet":
        raise ConfigError(f"--users all writes a Parquet file: give --out NAME.parquet, not {out}")
    if out.exists() and not force:
        raise ConfigError(f"{out} exists: give --force to replace it, or another --out")
    folder = out.with_name(out.name + ".parts")
    today = run.today
    model = today.model
    allowed = allowed_mask(only or None, exclude, model.catalogue)
    places = min(as_count(k, "k", "item"), len(model.catalogue))
    users_per_part = min(USERS_PER_PART, max(1, _ROWS_PER_PART // places))
    asked = to_jsonable_python(
        {
            "k": k,
            "only": dict(only) if isinstance(only, Mapping) else list(only),
            "exclude": exclude,
            "max_per": None if max_per is None else dict(max_per),
            "repeat": repeat,
            "exact": exact,
            "data": today.data.fingerprint,
            "fields": today.data.details.get("fields"),
            "model": run.model_identity(),
            "users_per_part": users_per_part,
        }
    )
    parts = _take_up(folder, asked)
    histories = today.histories
    paths = []
    for start in range(0, len(histories), users_per_part):
        path = folder / f"{start:010d}.parquet"
        paths.append(path)
        rows = np.arange(start, min(start + users_per_part, len(histories)))
        if path.name not in parts:
            options: dict[str, Any] = {"max_per": max_per, "exact": exact, "batch_size": batch_size}
            rankings = rank_repeats(model, histories.take(rows), k, repeat=repeat, allowed=allowed, **options)
            table = _table(today, rows, rankings)
            if not parts:  # no sooner: what cannot be answered leaves nothing behind
                folder.mkdir(parents=True, exist_ok=True)
                write_sealed(folder / _QUESTION, asked, run=asked["model"])
            write_atomically(path, partial(table.write_parquet, compression="lz4"))  # read again in a moment
            parts |= measured(folder, [path.name])
            write_sealed(folder / _QUESTION, asked, run=asked["model"], files=parts)
        if progress is not None:
            progress(int(rows[-1]) + 1, len(histories))
    num_rows = _assemble(paths, out)
    shutil.rmtree(folder)
    return num_rows


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
    whole = {}
    for name, file in parts.items():
        with suppress(RunError):  # a part that is not as it was written is made again
            check_files(folder, {name: file})
            whole[name] = file
    return whole


def _table(today: Today, users_B: IntArray, rankings: Rankings) -> pl.DataFrame:
    """One row for each entry of each list."""
    found_BK = rankings.items_BK >= 0
    row, place = np.nonzero(found_BK)
    items = rankings.items_BK[found_BK]
    scores = rankings.scores_BK[found_BK].astype(np.float32)
    model = today.model
    catalogue = model.catalogue.table
    return pl.DataFrame(
        {
            "user_id": today.users.gather(users_B[row]),
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
    """One file from the parts, as a stream; rows written."""
    parts = pl.scan_parquet(paths, glob=False)
    write_atomically(out, parts.sink_parquet)
    return int(parts.select(pl.len()).collect().item())
