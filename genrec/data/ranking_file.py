"""Rankings as a Parquet file, so that lists made by any program can be measured and compared.

One row an entry: `user_id`, `rank` (from 1), `item_id` and `score` (higher is better). We write the ids as strings,
ranks as int32 and scores as float32, users in the order of the targets and each list best first; we read any
order of rows and integer ids too.

Shapes: N rows of the file, B users, K entries of the longest list.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.files import write_atomically
from genrec.data.interactions import FloatArray, IntArray, Targets
from genrec.data.ranking import Rankings
from genrec.data.readers.frames import examine
from genrec.data.readers.values import as_ids, less_points
from genrec.errors import CatalogueError, DataError, one_line

COLUMNS = ("user_id", "rank", "item_id", "score")


def write_rankings(path: Path, rankings: Rankings, targets: Targets) -> None:
    """Write the lists of the users of `targets`, as a whole or not at all; an empty list has no row.

    Args:
        path: file to write; one that is there is replaced.
        rankings: B lists.
        targets: the B questions that they answer, in the same order.
    """
    assert len(rankings) == len(targets), f"{len(rankings)} lists for {len(targets)} users"
    user_N, place_N = np.nonzero(rankings.items_BK != -1)
    table = pl.DataFrame(
        {
            "user_id": targets.users.cast(pl.String).gather(user_N),
            "rank": (place_N + 1).astype(np.int32),
            "item_id": targets.catalogue.table["item_id"].gather(rankings.items_BK[user_N, place_N]),
            "score": rankings.scores_BK[user_N, place_N].astype(np.float32),
        }
    )
    write_atomically(path, table.write_parquet)


def read_rankings(path: Path, targets: Targets) -> Rankings:
    """Read the lists of the users of `targets`.

    Args:
        path: Parquet file with the columns `COLUMNS`, in any order of columns and rows; others are ignored.
        targets: B questions; their users and catalogue are those that the ids of the file name.

    Returns:
        B lists in the order of the targets, K the longest. A user without a row has a list of -1. An item
        that the catalogue does not hold stands as a row past its end, the same id as the same row. Scores
        keep float64 where the file has more than float32, so that reading makes no ties. `exact_B` is False:
        a file proves nothing.

    Raises:
        DataError: no Parquet file, a column that is missing or of another type, an empty cell, a user who has
            no target, ranks of a user that are not 1, 2, 3 and so on, or a score that is not finite or above
            the one before it.
        CatalogueError: no item of the file is in the catalogue.
    """
    table, users = _read(path), targets.users.cast(pl.String)
    user_N = _users(less_points(table["user_id"], users, f"column user_id of {path.name}"), users, path)
    rank_N = table["rank"].cast(pl.Int64).to_numpy()
    counts_B = np.bincount(user_N, minlength=len(targets))
    depth = int(counts_B.max())
    _check_ranks(table, user_N, rank_N, counts_B, path)
    cell_N = user_N * depth + (rank_N - 1)
    items = np.full(len(targets) * depth, -1, np.int32)
    item_ids = less_points(
        table["item_id"], targets.catalogue.table["item_id"], f"column item_id of {path.name}"
    )
    items[cell_N] = _items(item_ids, targets.catalogue, path)
    score_N = table["score"].to_numpy()
    scores = np.full(len(items), -np.inf, score_N.dtype)
    scores[cell_N] = score_N
    found = Rankings(items.reshape(-1, depth), scores.reshape(-1, depth), np.zeros(len(targets), bool))
    _check_scores(table, found.scores_BK, targets.users, path)
    return found


def sampled(path: Path, targets: Targets, count: int) -> Targets:
    """The sample of `count` targets that a file has lists for: today's, or that of the earlier version that wrote it.

    Raises:
        DataError: as in `read_rankings`, as far as it is seen without the users.
    """
    sample = targets.sample(count)
    asked = _read(path)["user_id"] if path.exists() else sample.users.cast(pl.String)
    if asked.is_in(sample.users.cast(pl.String).implode()).all():
        return sample
    return targets.take(targets.users.cast(pl.String).is_in(asked.implode()).arg_true().to_numpy())


def _read(path: Path) -> pl.DataFrame:
    """The file's `COLUMNS`: ids as strings, whole ranks, scores as float32 or float64; no empty cell."""
    if not path.exists():
        raise DataError(f"there is no rankings file {path}")
    examine(path)
    try:
        schema = pl.scan_parquet(path, glob=False).collect_schema()
        missing = [name for name in COLUMNS if name not in schema]
        if missing:
            raise DataError(
                f"{path} has the columns {', '.join(schema)}, without {' and '.join(missing)}: rankings have "
                f"{', '.join(COLUMNS)}"
            )
        _check_types(schema, path)
        table = pl.read_parquet(path, columns=list(COLUMNS), glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as a Parquet file ({one_line(error)}): write it again"
        ) from None
    if not table.height:
        raise DataError(f"{path} has no rows: give each user's list as rows of {', '.join(COLUMNS)}")
    table = table.with_columns(as_ids(table["user_id"], path.name), as_ids(table["item_id"], path.name))
    for name in COLUMNS:
        if table[name].null_count():
            row = table[name].is_null().arg_max()
            raise DataError(f"row {row} of {path} has no {name}: fill it, or leave the row out (rows from 0)")
    wide = table.schema["score"] not in (pl.Float32, pl.Float64)
    return table.with_columns(pl.col("score").cast(pl.Float64) if wide else "score")


def _check_types(schema: Mapping[str, pl.DataType], path: Path) -> None:
    if not schema["rank"].is_integer():
        raise DataError(f"the rank of {path} is {schema['rank']}: write integers, 1 for the best")
    if not schema["score"].is_numeric():
        raise DataError(f"the score of {path} is {schema['score']}: write numbers, higher is better")


def _users(ids: pl.Series, users: pl.Series, path: Path) -> IntArray:
    """Row of each user among the targets; (N,) int64."""
    runs = ids.rle().struct.unnest()  # the rows of a user mostly stand together: look each run up once
    found = runs["value"].cast(pl.Enum(users), strict=False)
    if found.null_count():
        unknown = runs["value"].filter(found.is_null()).unique(maintain_order=True)
        raise DataError(
            f"{len(unknown):,} users of {path} have no target in the data, for example {unknown[0]!r}: leave "
            f"them out, or check data, split and protocol (a user there is for example {users[0]!r})"
        )
    return np.repeat(found.to_physical().cast(pl.Int64).to_numpy(), runs["len"].to_numpy())


def _items(ids: pl.Series, catalogue: Catalogue, path: Path) -> IntArray:
    """Row of each item in the catalogue, past its end for one that it does not hold; (N,) int32."""
    known = ids.cast(pl.Enum(catalogue.table["item_id"]), strict=False)
    rows = known.to_physical().cast(pl.Int32)
    if not known.null_count():
        return rows.to_numpy()
    if known.null_count() == len(ids):
        raise CatalogueError(
            f"no item of {path} is in the catalogue: its ids are like {ids[0]!r} and the catalogue's like "
            f"{catalogue.ids[0]!r}; write the ids as the data spell them"
        )
    unknown = ids.filter(known.is_null())
    strangers = unknown.cast(pl.Enum(unknown.unique())).to_physical().cast(pl.Int32) + len(catalogue)
    items = rows.fill_null(-1).to_numpy().copy()
    items[items == -1] = strangers.to_numpy()
    return items


def _check_ranks(
    table: pl.DataFrame, user_N: IntArray, rank_N: IntArray, counts_B: IntArray, path: Path
) -> None:
    """Each user's n rows have the ranks 1 to n, each once."""
    depth = int(counts_B.max())
    outside = (rank_N < 1) | (rank_N > counts_B[user_N])
    if not outside.any():
        taken = np.zeros(len(counts_B) * depth, bool)
        taken[user_N * depth + (rank_N - 1)] = True
        if int(taken.sum()) == len(rank_N):
            return
    twice = table.select(pl.struct("user_id", "rank").is_duplicated()).to_series()
    if twice.any():
        user, rank = table.filter(twice).select("user_id", "rank").row(0)
        raise DataError(
            f"{path} has rank {rank} of user {user!r} more than once: number each list 1, 2, 3, …"
        )
    row = int(np.argmax(outside))
    user = table["user_id"][row]
    raise DataError(
        f"{path} has rank {rank_N[row]} among the {counts_B[user_N[row]]} rows of user {user!r}: "
        "number each list 1, 2, 3, …"
    )


def _check_scores(table: pl.DataFrame, scores_BK: FloatArray, users: pl.Series, path: Path) -> None:
    """Scores are finite and never rise along a list."""
    finite = table["score"].is_finite()
    if not finite.all():
        user, rank, _, score = table.filter(~finite).select(COLUMNS).row(0)
        raise DataError(
            f"{path} has the score {score} at rank {rank} of user {user!r}: scores are finite numbers"
        )
    rises = scores_BK[:, 1:] > scores_BK[:, :-1]
    if rises.any():
        row, place = np.argwhere(rises)[0]
        raise DataError(
            f"{path} has a higher score at rank {place + 2} of user {users[int(row)]!r} than at rank {place + 1}: "
            "rank 1 has the highest score (negate distances)"
        )
