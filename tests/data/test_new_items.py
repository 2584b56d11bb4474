"""New items for a catalogue: read as files of items are, fitted to its fields, or refused in a line."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.new_items import read_new_items
from genrec.errors import CatalogueError, DataError, GenrecError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames, range_indexes


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    return Catalogue(
        pl.DataFrame(
            {
                "item_id": ["1", "2"],
                "title": ["Lamp", "Vase"],
                "genres": [["light"], ["glass", "gift"]],
                "maker": ["Ida", None],
                "year": pl.Series([2001, None], dtype=pl.Int32),
                "price": [9.5, 20.0],
            }
        )
    )


def test_values_come_in_the_types_of_the_catalogue(shop: Catalogue) -> None:
    new = pl.DataFrame(
        {
            "item_id": [7.0, 8.0],
            "title": ["Clock\n &amp; Key ", "  Cup"],
            "genres": ["time|gift", None],
            "maker": [["Bo", "Co"], ["Di"]],
            "year": ["1999", None],
            "price": [3, 4],
            "size": ["S", "M"],
        }
    )
    read, notes = read_new_items(new, shop)
    assert notes == []
    assert read.to_dicts() == [
        {
            "item_id": "7",
            "title": "Clock & Key",
            "genres": ["time", "gift"],
            "maker": "Bo|Co",
            "year": 1999,
            "price": 3.0,
            "size": "S",
        },
        {
            "item_id": "8",
            "title": "Cup",
            "genres": None,
            "maker": "Di",
            "year": None,
            "price": 4.0,
            "size": "M",
        },
    ]
    assert {name: read.schema[name] for name in shop.table.columns} == shop.table.schema
    grown = shop.with_items(read)
    assert grown.table.schema == shop.table.schema | {"size": pl.String}


def test_pandas_frames_and_names_of_files_are_taken(shop: Catalogue) -> None:
    frame = pd.DataFrame(
        {"movieId": [3, 4], "movie_title": ["Bowl", "Dish"], "genre": ["glass", "glass|gift"]}
    )
    read = read_new_items(frame, shop)[0]
    assert read["item_id"].to_list() == ["3", "4"]
    assert read["genres"].to_list() == [["glass"], ["glass", "gift"]]
    of_its_own = Catalogue.from_lists(["1"], ["Lamp"], genre=["light"])
    assert read_new_items(frame, of_its_own)[0]["genre"].to_list() == ["glass", "glass|gift"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"item_id": ["7", None]}, r"row 2 of the new items has no id"),
        ({"item_id": ["7", ""]}, r"row 2 of the new items has no id"),
        ({"item_id": [7.5, 8.0]}, "fractions, which cannot be ids"),
        ({"item_id": ["7", "7"]}, "the item id '7' is in several rows"),
        ({"title": ["Clock", None]}, "item '8' has no title"),
        ({"title": ["Clock", " \n"]}, "item '8' has no title"),
        ({"title": [["Clock"], ["Cup"]]}, "column .title. of the frame of items is of type List"),
        ({"year": ["1999", "old"]}, "new item '8' has 'old' as its year, where the catalogue has numbers"),
        ({"year": [1999.5, None]}, r"new item '7' has 1999\.5 as its year"),
        ({"year": [1999, 2**40]}, "new item '8' has 1099511627776 as its year"),
        ({"genres": [1, 2]}, "new item '7' has 1 as its genres, where the catalogue has lists of text"),
        ({"maker": [{"width": 1}, {"width": 2}]}, "as its maker, where the catalogue has text"),
        ({"price": [date(2024, 1, 1), None]}, "as its price, where the catalogue has numbers"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(
    shop: Catalogue, columns: dict[str, list[Any]], message: str
) -> None:
    usual = {"item_id": ["7", "8"], "title": ["Clock", "Cup"]}
    with pytest.raises((CatalogueError, DataError), match=message) as caught:
        read_new_items(pl.DataFrame(usual | columns, strict=False), shop)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("items", [None, "new.csv", [{"item_id": "7"}], pl.DataFrame({"title": ["Clock"]})])
def test_what_is_no_frame_of_items_is_refused(shop: Catalogue, items: Any) -> None:
    with pytest.raises(DataError):
        read_new_items(items, shop)


def test_no_rows_are_no_items(shop: Catalogue) -> None:
    nothing = read_new_items(pl.DataFrame({"item_id": [], "title": [], "year": []}), shop)[0]
    assert nothing.height == 0
    assert shop.with_items(nothing).table.equals(shop.table)


@settings(max_examples=40)
@given(
    frame=data_frames(
        [
            column("item_id", elements=st.one_of(st.none(), st.text(max_size=2), st.integers(0, 9))),
            column("title", elements=st.one_of(st.none(), st.text(max_size=3), st.floats())),
            column("genres", elements=st.one_of(st.none(), st.lists(st.text(max_size=2), max_size=2))),
            column("year", elements=st.one_of(st.none(), st.integers(-5, 3000), st.just("1990"))),
        ],
        index=range_indexes(max_size=4),
    )
)
def test_any_frame_is_read_or_refused_by_an_error_of_ours(frame: pd.DataFrame, shop: Catalogue) -> None:
    refused = ""
    try:
        grown = shop.with_items(read_new_items(frame, shop)[0])
    except GenrecError as error:
        refused, grown = str(error), shop
    assert grown.table.schema == shop.table.schema
    assert "\n" not in refused


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (["true", "false"], [False, True], ["false", "true"]),  # as runs kept truth values and days before
        (["2024-05-31", None], [date(2025, 1, 2), None], ["2025-01-02", None]),
        ([True, False], ["False", " true "], [False, True]),
        ([True, False], [0, 1], [False, True]),
        ([date(2024, 5, 31), None], ["2025-01-02", None], [date(2025, 1, 2), None]),
    ],
)
def test_truth_values_and_days_fit_what_the_catalogue_has(
    then: list[Any], now: list[Any], expected: list[Any]
) -> None:
    shop = Catalogue.from_lists(["1", "2"], ["Lamp", "Vase"], field=then)
    read = read_new_items(pl.DataFrame({"item_id": ["1", "2"], "field": now}), shop)[0]
    assert read["field"].to_list() == expected
    assert shop.with_items(read).table.schema == shop.table.schema


def test_what_is_no_truth_value_is_refused() -> None:
    shop = Catalogue.from_lists(["1"], ["Lamp"], in_stock=[True])
    with pytest.raises(CatalogueError, match="as its in_stock, where the catalogue has truth values"):
        read_new_items(pl.DataFrame({"item_id": ["1"], "in_stock": ["soon"]}), shop)
