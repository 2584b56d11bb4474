"""Rankings on disk: what is written comes back, what others write is read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Targets
from genrec.data.ranking import Rankings
from genrec.data.ranking_file import read_rankings, write_rankings
from genrec.errors import CatalogueError, DataError, GenrecError

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


def test_a_write_that_fails_leaves_the_old_file(targets: Targets, tmp_path: Path) -> None:
    path = tmp_path / "rankings.parquet"
    path.write_text("old")
    rankings = Rankings(np.full((3, 1), 99, np.int32), np.zeros((3, 1), np.float32), np.ones(3, bool))
    with pytest.raises(pl.exceptions.OutOfBoundsError):
        write_rankings(path, rankings, targets)
    assert path.read_text() == "old"


def test_any_order_of_rows_and_whole_numbers_for_ids(targets: Targets, tmp_path: Path) -> None:
    path = write(
        tmp_path / "others.parquet",
        score=pl.Series([5, 9, 1, 7], dtype=pl.Int64),
        item_id=[13, 12, 12, 10],
        user_id=pl.Series([9, 7, 9, 7], dtype=pl.UInt16),
        rank=pl.Series([1, 1, 2, 2], dtype=pl.UInt8),
        comment=["kept", "out", "of", "it"],
    )
    found = read_rankings(path, targets)
    assert found.items_BK.tolist() == [[2, 0], [-1, -1], [3, 2]]
    assert found.scores_BK.tolist() == [[9, 7], [-np.inf, -np.inf], [5, 1]]
    categories = pl.read_parquet(write(path)).with_columns(pl.col("user_id", "item_id").cast(pl.Categorical))
    categories.write_parquet(path)
    assert read_rankings(path, targets).items_BK.tolist() == [[0, 1], [-1, -1], [2, 3]]


def test_lists_of_pandas(targets: Targets, tmp_path: Path) -> None:
    path = tmp_path / "pandas.parquet"
    pd.DataFrame({"user_id": [8, 8], "rank": [1, 2], "item_id": [11, 10], "score": [0.2, 0.1]}).to_parquet(
        path
    )
    assert read_rankings(path, targets).items_BK.tolist() == [[-1, -1], [1, 0], [-1, -1]]


@pytest.mark.parametrize("users", [[7.0, 7.0, 9.0, 9.0], ["7.0", "7.0", "9.0", "9.0"], [7, 7, 9, 9]])
@pytest.mark.parametrize("items", [[10.0, 11.0, 12.0, 13.0], ["10.0", "11.0", "12.0", "13.0"]])
def test_ids_may_have_gone_through_floats(
    users: list[Any], items: list[Any], targets: Targets, tmp_path: Path
) -> None:
    found = read_rankings(write(tmp_path / "r.parquet", user_id=users, item_id=items), targets)
    assert found.items_BK.tolist() == [[0, 1], [-1, -1], [2, 3]]


def test_unknown_items_stand_past_the_catalogue(targets: Targets, tmp_path: Path) -> None:
    found = read_rankings(write(tmp_path / "r.parquet", item_id=["x", "11", "y", "x"]), targets).items_BK
    assert found[0, 1] == 1
    strangers = [found[0, 0], found[2, 0], found[2, 1]]
    assert min(strangers) >= 4
    assert strangers[0] == strangers[2] != strangers[1]


def test_precise_scores_make_no_ties(targets: Targets, tmp_path: Path) -> None:
    found = read_rankings(write(tmp_path / "r.parquet", score=[1 + 1e-12, 1.0, 2.0, 2.0]), targets)
    assert found.scores_BK[0, 0] > found.scores_BK[0, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"score": None, "rank": None},
            "has the columns user_id, item_id, without rank and score: rankings have",
        ),
        ({"user_id": [7.5, 7.0, 9.0, 9.0]}, "column 'user_id' of .* holds fractions, which cannot be ids"),
        (
            {"item_id": [[1]] * 4},
            r"column 'item_id' of .* is of type List\(Int64\); ids are text or whole numbers",
        ),
        ({"user_id": ["7", "7", "", "9"]}, "row 2 of .* has no user_id"),
        ({"rank": [1.0, 2.0, 1.0, 2.0]}, "the rank of .* is Float64: write integers"),
        ({"score": list("abcd")}, "the score of .* is String: write numbers"),
        ({"item_id": ["10", None, "12", "13"]}, "row 1 of .* has no item_id"),
        ({"user_id": ["7", "7", "5", "6"]}, "2 users of .* have no target in the data, for example '5'"),
        ({"rank": [0, 1, 1, 2]}, "has rank 0 among the 2 rows of user '7': number each list 1, 2, 3"),
        ({"rank": [1, 3, 1, 2]}, "has rank 3 among the 2 rows of user '7'"),
        ({"rank": [1, 2, 1, 10**9]}, "has rank 1000000000 among the 2 rows of user '9'"),
        ({"rank": [1, 2, 1, 1]}, "has rank 1 of user '9' more than once"),
        ({"score": [2.0, 1.0, float("nan"), 1.0]}, "has the score nan at rank 1 of user '9'"),
        ({"score": [2.0, float("-inf"), 1.0, 1.0]}, "has the score -inf at rank 2 of user '7'"),
        ({"score": [2.0, 1.0, 0.1, 0.9]}, "has a higher score at rank 2 of user '9' than at rank 1"),
    ],
)
def test_what_cannot_be_right_is_told(
    columns: dict[str, Any], message: str, targets: Targets, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_rankings(write(tmp_path / "r.parquet", **columns), targets)
    assert "\n" not in str(caught.value)


def test_ids_of_another_catalogue_are_told(targets: Targets, tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueError, match=r"no item of .*: its ids are like 'a' and the catalogue's like '10'"
    ):
        read_rankings(write(tmp_path / "r.parquet", item_id=list("abcd")), targets)


def test_a_file_that_is_none(targets: Targets, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no rankings file"):
        read_rankings(tmp_path / "nowhere.parquet", targets)
    text = tmp_path / "text.parquet"
    text.write_text("user_id,rank,item_id,score\n")
    with pytest.raises(DataError, match="cannot be read as a Parquet file") as caught:
        read_rankings(text, targets)
    assert "\n" not in str(caught.value)
    empty = pl.read_parquet(write(text)).clear()
    empty.write_parquet(text)
    with pytest.raises(DataError, match="has no rows"):
        read_rankings(text, targets)


def test_damage_that_polars_panics_over_is_told(targets: Targets, tmp_path: Path) -> None:
    path, rng = write(tmp_path / "r.parquet"), np.random.default_rng(26)
    content, told = np.frombuffer(path.read_bytes(), np.uint8), []
    for _ in range(20):
        damaged = content.copy()
        damaged[rng.integers(4, len(content), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_rankings(path, targets)
        except GenrecError as error:
            told.append(str(error))
    assert len(told) > 10
    assert not any("\n" in message for message in told)
