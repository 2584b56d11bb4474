"""Rankings files that other programs wrote, well and badly, for `evaluate` and `compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import damage
import polars as pl
from inputs import Input, generator
from material import Material, data_words


@generator
def rankings(rng: Random, folder: Path, material: Material) -> Input:
    """The lists of a run as a file, told otherwise, or with one thing wrong."""
    path = folder / "theirs.parquet"
    name = rng.choice(sorted(material.runs))
    table = pl.read_parquet(material.runs[name] / "rankings-test.parquet")
    how = rng.random()
    if how < 0.3:
        about, change = rng.choice(_SAME)
        change(rng, table).write_parquet(path)
    elif how < 0.8:
        about, change = rng.choice(_WRONG)
        change(rng, table).write_parquet(path)
    else:
        table.write_parquet(path)
        about = str(
            rng.choice((damage.flipped, damage.cut, damage.nonsense, damage.another_table))(rng, path)
        )
    read = ["evaluate", "--rankings", "theirs.parquet", *data_words(material.shop), "--json"]
    beside = ["compare", str(material.runs[name]), "theirs.parquet", "--json"]
    words = rng.choice((read, beside))
    metrics = json.loads((material.runs[name] / "metrics.json").read_text())["test"]
    return Input(
        words,
        f"lists of {name}, {about}; {words[0]}",
        "answered" if how < 0.3 else "refused" if how < 0.8 else "either",
        ("theirs.parquet",) if how < 0.8 else (),
        answer=_same(metrics) if how < 0.3 and words is read else None,
    )


def _same(metrics: Any) -> Callable[[str], None]:
    def check(out: str) -> None:
        found = json.loads(out)
        for name in ("HR@5", "NDCG@5"):
            assert abs(found[name] - metrics[name]) < 1e-6, (
                f"{name} is {found[name]}, the run's {metrics[name]}"
            )

    return check


_Change = Callable[[Random, pl.DataFrame], pl.DataFrame]


def _cast(column: str, *kinds: Any) -> _Change:
    return lambda rng, table: table.with_columns(pl.col(column).cast(rng.choice(kinds)))


def _put(column: str, *values: Any) -> _Change:
    """One cell of a column holds something else."""

    def change(rng: Random, table: pl.DataFrame) -> pl.DataFrame:
        cells = table[column].to_list()
        cells[rng.randrange(len(cells))] = rng.choice(values)
        return table.with_columns(pl.Series(column, cells, strict=False))

    return change


def _filled(column: str, *values: Any) -> _Change:
    """A column of another type."""
    return lambda rng, table: table.with_columns(
        pl.Series(column, [rng.choice(values)] * table.height, strict=False)
    )


_SAME: tuple[tuple[str, _Change], ...] = (
    ("as they are", lambda rng, table: table),
    ("rows in any order", lambda rng, table: table.sample(fraction=1, shuffle=True, seed=rng.randrange(99))),
    (
        "columns in any order",
        lambda rng, table: table.select(sorted(table.columns, key=lambda _: rng.random())),
    ),
    ("ranks of another width", _cast("rank", pl.Int8, pl.UInt8, pl.Int16, pl.UInt32, pl.Int64, pl.UInt64)),
    ("scores of float64", _cast("score", pl.Float64)),
    (
        "ids as categories",
        lambda rng, table: table.with_columns(pl.col("user_id", "item_id").cast(pl.Categorical)),
    ),
    ("another column", lambda rng, table: table.with_columns(remark=pl.lit([1, 2]))),
)
_WRONG: tuple[tuple[str, _Change], ...] = (
    ("a column is gone", lambda rng, table: table.drop(rng.choice(table.columns))),
    (
        "a column is null",
        lambda rng, table: table.with_columns(pl.lit(None).alias(rng.choice(table.columns))),
    ),
    ("no rows", lambda rng, table: table.clear()),
    ("rows twice", lambda rng, table: pl.concat([table, table])),
    ("a score that is no number", _put("score", float("nan"), float("inf"), None)),
    ("a rank that is none", _put("rank", 0, -1, 99, 2**31 - 1, None)),
    ("a user that is none", _put("user_id", "nobody", "", None, "u1 ")),
    ("an item that is null", _put("item_id", None)),
    ("items of nobody", _filled("item_id", "nothing", "", "\x1b[31m")),
    (
        "ids of a strange type",
        lambda rng, table: _filled(rng.choice(("user_id", "item_id")), [1], {"a": 1}, 1.5, True)(rng, table),
    ),
    ("ranks of a strange type", _filled("rank", 1.0, "1", True, [1])),
    ("scores of a strange type", _filled("score", "x", [1.0], True)),
    ("scores upside down", lambda rng, table: table.with_columns(-pl.col("score") + pl.col("rank") * 1e-3)),
)
