"""Conditions mean the same whatever the fields were read from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.conditions import as_numbers, parsed
from genrec.data.read import read
from genrec.errors import ConfigError

LOG = pl.DataFrame({"user": list("uuuu"), "item": list("abcd"), "time": range(4)})
ITEMS = pl.DataFrame(
    {
        "item": list("abcd"),
        "title": list("ABCD"),
        "brand": ["Pike", "Rill", "Ohm, Ltd", None],
        "price": pl.Series(["9.50", "20.00", "1250.00", None]).cast(pl.Decimal(10, 2)),
        "in_stock": [True, False, True, None],
        "since": [dt.date(2025, 3, 1), dt.date(2026, 3, 1), None, dt.date(2024, 12, 31)],
        "grade": pl.Series(["low", "high", "low", None], dtype=pl.Categorical),
        "tags": [["new", "red"], ["red"], [], []],
        "store": ["x", "y", "x", "z"],
    }
).drop("brand")


@pytest.fixture(params=["frame", "parquet", "csv", "jsonl", "pandas"])
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The same items in every form."""
    path = tmp_path / f"items.{request.param}"
    flat = ITEMS.with_columns(pl.col("tags").list.join("|"))
    if request.param == "frame":
        return ITEMS
    if request.param == "pandas":
        return ITEMS.to_pandas()
    if request.param == "parquet":
        ITEMS.write_parquet(path)
    elif request.param == "csv":
        flat.write_csv(path)
    else:
        ITEMS.with_columns(pl.col("price").cast(pl.Float64)).write_ndjson(path)
    return path


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("price<20", "a"),
        ("price <= 20", "ab"),
        ("price>1000", "c"),
        ("price=20", "b"),
        ("price!=20", "acd"),
        ("in_stock=true", "ac"),
        ("in_stock=TRUE", "ac"),
        ("in_stock=false", "b"),
        ("in_stock!=true", "bd"),
        ("since>=2025-03-01", "ab"),
        ("since<2025-01-01", "d"),
        ("since=2026-03-01", "b"),
        ("grade=low", "ac"),
        ("grade=low,high", "abc"),
        ("tags=red", "ab"),
        ("tags=new,red", "ab"),
        ("tags!=new", "bcd"),
        ("store=x,z", "acd"),
        ("Brand=y", "b"),
        ("STORE=x", "ac"),
    ],
)
def test_conditions(items: Any, condition: str, expected: str) -> None:
    catalogue = read(LOG, items).catalogue
    field, relation, value = parsed(condition)
    mask = catalogue.where(field, value, relation)
    assert "".join(item for item, good in zip(catalogue.ids, mask, strict=True) if good) == expected


def test_types_are_kept(items: Any) -> None:
    schema = read(LOG, items).catalogue.table.schema
    assert schema["in_stock"] == pl.Boolean


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("price<1", "no item has price<1; for example 9.5 to 1250"),
        ("price<cheap", "price has 9.5 to 1250.0: compare numbers with a number"),
        ("in_stock=perhaps", "no item has in_stock='perhaps'; for example 'false'"),
        ("grade<low", "grade<low asks for an order, and grade has 'high', 'low'"),
        ("grade=low,hihg", "no item has grade='hihg'; for example 'high'"),
        ("since>yesterday", "days with one such as 2026-12-01"),
        ("colour=red", "no field 'colour'; they have item_id, title, price"),
        ("tags<new", "asks for an order"),
    ],
)
def test_what_fits_nothing_is_told(condition: str, told: str) -> None:
    catalogue = read(LOG, ITEMS).catalogue
    field, relation, value = parsed(condition)
    with pytest.raises(ConfigError) as caught:
        catalogue.where(field, value, relation)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["price", "price<", "=3", "", "< 3"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConfigError, match="no two sides"):
        parsed(text)


def test_a_value_with_a_comma_goes_first_and_values_may_be_given_as_they_are() -> None:
    shop = Catalogue.from_lists(
        ["a", "b", "c"],
        ["A", "B", "C"],
        brand=["Ohm, Ltd", "Ohm", "Ltd"],
        flag=["yes", "no", "no"],
        size=[1, 0, 1],
    )
    assert shop.where("brand", "Ohm, Ltd").tolist() == [True, False, False]
    assert shop.where("brand", "Ohm,Ltd").tolist() == [False, True, True]
    assert shop.where("brand", ["Ohm", "Ltd"]).tolist() == [False, True, True]
    assert shop.where("flag", True).tolist() == [True, False, False]
    assert shop.where("size", "true").tolist() == [True, False, True]
    assert shop.where("size", 0).tolist() == [False, True, False]


def test_numbers_in_texts() -> None:
    texts = ["12.5", "12,99 €", "$1,250.00", "1.250,00", "1,250", "-3", "", "n/a", None, "nan"]
    expected = [12.5, 12.99, 1250.0, 1250.0, 1250.0, -3.0, None, None, None, None]
    assert as_numbers(pl.Series(texts)).to_list() == expected
