"""Rankings on disk: what is written comes back, what others write is read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Targets
from genrec.data.ranking import Rankings
from genrec.data.ranking_file import read_rankings, write_rankings

USERS, ITEMS = ["7", "8", "9"], ["10", "11", "12", "13"]


@pytest.fixture
def targets() -> Targets:
    catalogue = Catalogue.from_lists(ITEMS, [f"title {item}" for item in ITEMS])
    return Targets(
        catalogue, pl.Series(USERS), Histories.from_lists([[0], [1], [2]]), np.array([1, 2, 3], np.int32)
    )


def write(path: Path, **columns: Any) -> Path:
    """A good file of two lists, with some columns replaced; None takes one out."""
    good = {
        "user_id": ["7", "7", "9", "9"],
        "rank": [1, 2, 1, 2],
        "item_id": ["10", "11", "12", "13"],
        "score": [2.0, 1.0, 0.5, 0.5],
    }
    pl.DataFrame(
        {name: value for name, value in (good | columns).items() if value is not None}
    ).write_parquet(path)
    return path


def test_what_is_written_comes_back(targets: Targets, tmp_path: Path) -> None:
    items = np.array([[3, 1, 0], [-1, -1, -1], [2, -1, -1]], np.int32)
    scores = np.array([[0.1, 0.1, -2.5], [-np.inf] * 3, [7, -np.inf, -np.inf]], np.float32)
    path = tmp_path / "rankings.parquet"
    write_rankings(path, Rankings(items, scores, np.ones(3, bool)), targets)
    table = pl.read_parquet(path)
    assert table.schema == {"user_id": pl.String, "rank": pl.Int32, "item_id": pl.String, "score": pl.Float32}
    assert table.select("user_id", "rank", "item_id").rows() == [
        ("7", 1, "13"),
        ("7", 2, "11"),
        ("7", 3, "10"),
        ("9", 1, "12"),
    ]
    found = read_rankings(path, targets)
    np.testing.assert_array_equal(found.items_BK, items)
    np.testing.assert_array_equal(found.scores_BK, scores)
    assert (found.items_BK.dtype, found.scores_BK.dtype) == (np.int32, np.float32)
    assert not found.exact_B.any()
    assert [entry.name for entry in tmp_path.iterdir()] == ["rankings.parquet"]
