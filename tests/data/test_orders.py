"""Rows that are lines of one order: found, kept together, and told from other rows of the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import ConfigError, DataError

# u: order 11 (a, b), order 12 (c), order 13 (d, e); rows of 13 stand around those of 12, two seconds apart.
ROWS = [
    ("u", "a", 100, "11"),
    ("u", "d", 300, "13"),
    ("u", "c", 200, "12"),
    ("u", "b", 101, "11"),
    ("v", "a", 100, "11"),
    ("u", "e", 302, "13"),
]


def log(rows: list[tuple[Any, ...]] = ROWS, name: str = "InvoiceNo") -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["CustomerID", "StockCode", "time", name], orient="row")


def orders(data: Dataset) -> dict[str, list[str]]:
    """The orders of each user, the ids of an order in one word."""
    interactions = data.interactions
    ends = [*interactions.order_starts[1:].tolist(), interactions.num_interactions]
    users = [interactions.users[int(row)] for row in interactions.histories.rows[interactions.order_starts]]
    found: dict[str, list[str]] = {}
    for user, start, end in zip(users, interactions.order_starts, ends, strict=True):
        found.setdefault(user, []).append(
            "".join(data.catalogue.ids[item] for item in interactions.histories.items[start:end])
        )
    return found


@pytest.mark.parametrize(
    "name", ["InvoiceNo", "order_id", "Basket", "transaction_id", "Bestellnummer", "Order Number"]
)
def test_orders_are_known_by_the_name_of_their_column(name: str) -> None:
    data = read(log(name=name))
    assert orders(data) == {"u": ["ab", "c", "de"], "v": ["a"]}
    assert data.report.orders == "id"
    assert data.summary()["num_orders"] == 4
    assert data.report.notes[-1] == (
        f"4 orders by column {name!r}: all items of the next order are the targets, not the next row (say "
        "orders='none', --orders none, for that)"
    )
    assert [data.catalogue.ids[item] for item in data.test.orders.items] == ["d", "e"]  # type: ignore[union-attr]
    assert [data.catalogue.ids[item] for item in data.test.histories.items] == ["a", "b", "c"]


def test_orders_stand_together_where_their_rows_do_not() -> None:
    """At one time by their first rows, at several by their earliest, and without times in order of rows."""
    rows = [
        ("u", "a", 5, "2"),
        ("u", "b", 5, "1"),
        ("u", "c", 5, "2"),
        ("u", "d", 4, "3"),
        ("u", "e", 9, "3"),
    ]
    data = read(log(rows))
    assert orders(data) == {"u": ["de", "ac", "b"]}
    assert data.interactions.times.tolist() == [4, 4, 5, 5, 5]  # type: ignore[union-attr]
    assert not any("share their time" in note for note in data.report.notes)
    assert orders(read(log(rows).drop("time"), ordered=True)) == {"u": ["ac", "b", "de"]}


def test_the_same_item_in_two_orders_of_one_time_is_kept() -> None:
    rows = [("u", "a", 5, "1"), ("u", "a", 5, "2"), ("u", "b", 6, "3"), ("u", "b", 7, "3")]
    data = read(log(rows))
    assert orders(data) == {"u": ["a", "a", "b"]}
    assert data.report.dropped["duplicate"] == 1


def test_orders_by_time() -> None:
    rows = [*ROWS, ("u", "f", 300, None)]
    data = read(log(rows).drop("InvoiceNo"), orders="time")
    assert orders(data) == {"u": ["a", "b", "c", "df", "e"], "v": ["a"]}
    assert data.report.orders == "time"
    assert orders(read(log(rows), orders="time")) == orders(data)  # the column is not asked
    with pytest.raises(DataError, match=r"the frame has no times, and orders='time'"):
        read(log().drop("time"), ordered=True, orders="time")


def test_rows_without_an_order_stand_alone() -> None:
    rows = [("u", "a", 1, None), ("u", "b", 1, None), ("u", "c", 2, "7"), ("u", "d", 2, "7")]
    data = read(log(rows))
    assert orders(data) == {"u": ["a", "b", "cd"]}
    assert "2 rows have no order in column 'InvoiceNo': each is taken for one of its own" in data.report.notes


def test_filters_leave_orders_whole_or_shorter() -> None:
    rated = log().with_columns(rating=pl.Series([5, 5, 1, 1, 5, 5]))
    assert orders(read(rated, min_rating=2)) == {"u": ["a", "de"], "v": ["a"]}


def test_without_orders_nothing_is_other_than_before(tmp_path: Path) -> None:
    plain = read(log().drop("InvoiceNo"))
    for data in (read(log(), orders="none"), read(log(), columns={"order_id": None}), plain):
        assert data.interactions.orders is None
        assert data.report.orders is None
        assert data.summary()["num_orders"] is None
        assert data.fingerprint == plain.fingerprint
        assert data.details == plain.details
        assert "orders" not in data.details
    assert read(log()).details["orders"] != read(log(), orders="time").details["orders"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"orders": "basket"}, ConfigError, "orders"),
        ({"orders": 1}, ConfigError, "orders=1: give id, time or none"),
        ({"orders": "time", "columns": {"order_id": "InvoiceNo"}}, ConfigError, "leave one out"),
        ({"columns": {"order_id": "Invoice"}}, DataError, "no column 'Invoice' .did you mean 'InvoiceNo'"),
        (
            {"orders": "id", "columns": {"order_id": None}},
            DataError,
            "no column for order_id .*order_id=NAME",
        ),
        ({"columns": {"order_id": "CustomerID"}}, DataError, "is taken as user_id and as order_id"),
    ],
)
def test_what_cannot_be_orders(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(log(), **options)
