"""Ratings: rows without one, how numbers are written, and columns that hold none."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import ConfigError, DataError


def log(ratings: Any) -> pl.DataFrame:
    values = pl.Series("rating", ratings)
    items = [f"i{row}" for row in range(len(values))]
    return pl.DataFrame(
        {"user": ["u"] * len(values), "item": items, "time": range(len(values)), "rating": values}
    )


def rated(data: Dataset) -> list[float | None]:
    assert data.interactions.ratings is not None
    return [None if math.isnan(rating) else rating for rating in data.interactions.ratings.tolist()]


def noted(data: Dataset, words: str) -> bool:
    return any(words in note for note in data.report.notes)


@pytest.mark.parametrize(
    "ratings",
    [
        [5, None, 2],
        [5.0, math.nan, 2.0],
        [Decimal("5.0"), None, Decimal("2")],
        ["5", "", "2.0"],
        [" 5 ", "N/A", "2"],
        pl.Series(["5", None, "2"], dtype=pl.Categorical),
        [b"5", None, b"2"],
    ],
)
def test_rows_without_a_rating_are_kept(ratings: Any) -> None:
    data = read(log(ratings))
    assert rated(data) == [5, None, 2]
    assert data.interactions.ratings.dtype == np.float32
    assert sum(data.report.dropped.values()) == 0
    assert noted(data, "1 of 3 rows have no rating: they count as taken all the same")
    asked = read(log(ratings), min_rating=0)
    assert asked.catalogue.ids == ["i0", "i2"]
    assert asked.report.dropped["no rating"] == 1


def test_rows_without_a_rating_in_a_file(tmp_path: Path) -> None:
    log([5, None, 2]).write_csv(tmp_path / "log.csv")
    log([5, None, 2]).write_parquet(tmp_path / "log.parquet")
    of_frame = read(log([5, None, 2]).to_pandas())
    for name in ("log.csv", "log.parquet"):
        data = read(tmp_path / name)
        assert rated(data) == rated(of_frame) == [5, None, 2]
        assert data.fingerprint == of_frame.fingerprint


def test_equal_rows_without_a_rating_are_read_once() -> None:
    frame = log([None, 1])
    data = read(pl.concat([frame, frame]))
    assert rated(data) == [None, 1]
    assert data.report.dropped["duplicate"] == 2


def test_a_decimal_comma_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user;item;time;stars\nu;a;1;3,5\nu;b;2;4\nu;c;3;2.5\n")
    data = read(tmp_path / "log.csv")
    assert rated(data) == [3.5, 4, 2.5]
    assert noted(data, "ratings such as '3,5' are read as numbers with a decimal comma")


@pytest.mark.parametrize(
    "strange", [["good", "4", "1"], [math.inf, 4.0, 1.0], ["1e99", "4", "1"], [1e300, 4.0, 1.0]]
)
def test_a_rating_that_is_no_number_is_told(strange: Any) -> None:
    data = read(log(strange))
    assert rated(data) == [None, 4, 1]
    assert noted(data, "one rating is no number: it is")
    assert noted(data, "in row 1 of the frame")


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (
            ["FSK 6", "FSK 12"],
            "row 1 of the frame has the rating 'FSK 6' in column 'rating', and most there are no num",
        ),
        ([math.inf, -math.inf], "row 1 of the frame has the rating inf in column 'rating'"),
        ([[5.0]], "column 'rating' of the frame is of type List(Float64), not numbers: name another column"),
        ([{"stars": 5}], "column 'rating' of the frame is of type Struct({'stars': Int64}), not numbers"),
        ([dt.date(2020, 1, 1)], "column 'rating' of the frame is of type Date, not numbers"),
        ([dt.timedelta(1)], "column 'rating' of the frame is of type Duration(time_unit='us'), not numbers"),
        (pl.Series([object()], dtype=pl.Object), "column 'rating' of the frame is of type Object"),
    ],
)
def test_columns_that_hold_no_ratings(ratings: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(log(ratings))
    assert message in str(caught.value)
    assert "leave ratings out with --column rating=" in str(caught.value)
    assert read(log(ratings), columns={"rating": None}).interactions.ratings is None


def test_a_column_without_any_rating_counts_as_none() -> None:
    for nothing in ([None, None], [math.nan, math.nan], ["", ""]):
        data = read(log(nothing))
        assert data.interactions.ratings is None
        assert noted(data, "column 'rating' holds no ratings")
        with pytest.raises(ConfigError, match="these data have none"):
            read(log(nothing), min_rating=1)


def test_truth_values_are_ratings() -> None:
    assert rated(read(log([True, False, None]))) == [1, 0, None]


@pytest.mark.parametrize(
    "labels", [[1, 0, 0, 1], ["1", "0", "0", ""], [True, False, False, True], [1.0, 0.0, 0.0, None]]
)
@pytest.mark.parametrize("name", ["label", "is_click"])
def test_labels_that_say_no_are_told(labels: Any, name: str, tmp_path: Path) -> None:
    frame = log([3, 4, 5, 1]).with_columns(pl.Series(name, labels))
    frame.write_csv(tmp_path / "log.csv")
    for source in (frame, tmp_path / "log.csv"):
        data = read(source)
        told = f"column {name!r} is 0 in 2 of 4 rows, which count as taken unless --column rating={name} --min-rating 1"
        assert noted(data, told)
    data = read(frame, columns={"rating": name}, min_rating=1)
    assert "i1" not in data.catalogue.ids
    assert noted(
        data, f"column {name!r} is 0 in 2 of 4 rows, which count as taken unless --min-rating 1 is given"
    )


def test_other_ratings_are_no_labels() -> None:
    assert not noted(read(log([0, 1, 2])), "count as taken unless")
    assert not noted(read(log([1, 1])), "count as taken unless")
