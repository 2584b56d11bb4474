"""Ids and texts: types, whole numbers that came as floats, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import DataError
from hypothesis import given
from hypothesis import strategies as st


def log(items: Any, **columns: Any) -> pl.DataFrame:
    """A log of one user, who took `items` in this order."""
    values = pl.Series("item", items)
    frame = pl.DataFrame({"user": ["u"] * len(values), "time": range(len(values)), "item": values})
    return frame.with_columns(**{name: pl.Series(name, entries) for name, entries in columns.items()})


def taken(data: Dataset) -> list[str]:
    return [data.catalogue.ids[item] for item in data.interactions.histories[0]]


def titled(data: Dataset) -> list[str]:
    return [data.catalogue.titles[item] for item in data.interactions.histories[0]]


def refusal(*sources: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(*sources, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


IDS = st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=5)


@given(
    IDS,
    st.sampled_from([pl.Int64, pl.Int128, pl.Float64, pl.Decimal(38, 0), pl.Decimal(38, 2)]),
    st.booleans(),
)
def test_whole_numbers_are_the_same_ids_in_every_type(ids: list[int], kind: Any, gap: bool) -> None:
    values = pl.Series(ids, dtype=pl.Int64)
    expected = read(log(values))
    found = read(log(pl.concat([values, pl.Series([None] * gap, dtype=pl.Int64)]).cast(kind)))
    assert found.fingerprint == expected.fingerprint
    assert taken(found) == list(map(str, ids))


@given(ids=IDS, floats=st.sampled_from(["log", "items", "both"]))
def test_a_log_and_its_items_meet_if_one_of_them_went_through_floats(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], floats: str
) -> None:
    folder = tmp_path_factory.mktemp("floats")
    of_log = [f"{number:.1f}" if floats != "items" else str(number) for number in ids]
    of_items = [f"{number:.1f}" if floats != "log" else str(number) for number in dict.fromkeys(ids)]
    log(of_log).write_csv(folder / "log.csv")
    titles = [f"T{number}" for number in dict.fromkeys(ids)]
    pl.DataFrame({"item_id": of_items, "title": titles}).write_csv(folder / "items.csv")
    data = read(folder / "log.csv", folder / "items.csv")
    assert taken(data) == list(map(str, ids))
    assert titled(data) == [f"T{number}" for number in ids]


def test_users_that_went_through_floats() -> None:
    frame = pl.DataFrame({"user": ["12.0", None, "7.0"], "item": ["a", "b", "c"], "time": [1, 2, 3]})
    data = read(frame)
    assert data.interactions.users.to_list() == ["12", "7"]
    assert data.report.dropped["no user"] == 1


@pytest.mark.parametrize(
    ("of_log", "of_items"),
    [
        (["1.10", "1.1", "2.0"], ["1.10", "1.1", "2.0"]),
        (
            ["1.0", "2.0"],
            ["1.0", "1.5", "2.0"],
        ),  # every id of the log may come from floats, but those of the items show
        (["1.0", "1.5"], ["1.0", "2.0", "1.5"]),
        (["1.0", "x"], ["1.0", "x"]),
    ],
)
def test_points_that_belong_to_ids_stay(of_log: list[str], of_items: list[str]) -> None:
    items = pl.DataFrame({"item_id": of_items, "title": [f"T{item}" for item in of_items]})
    data = read(log(of_log), items)
    assert taken(data) == of_log
    assert titled(data) == [f"T{item}" for item in of_log]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            [float(2**53), 1.0],
            "column 'item' of the frame holds 9007199254740992 as a float (Float64): those from 9007",
        ),
        (pl.Series([2.0**24], dtype=pl.Float32), "holds 16777216 as a float (Float32)"),
        (["9007199254740992.0", "1.0"], "column item_id of the frame holds 9007199254740992.0 as a float"),
        (["7.6561198e+16", "1.0"], "column item_id of the frame holds 7.6561198e+16 as a float"),
        ([1.0, float("inf")], "column 'item' of the frame holds infinity in row 2"),
        ([1.0, 1e20], "holds 100000000000000000000 as a float"),
        ([Decimal("1.5"), Decimal("2")], "column 'item' of the frame holds fractions"),
        ([b"\xfe"], "column 'item' of the frame is of type Binary and not UTF-8 text"),
        ([True], "column 'item' of the frame is of type Boolean; ids are text or whole numbers"),
        ([dt.date(2020, 1, 1)], "column 'item' of the frame is of type Date; ids"),
        ([{"id": 1}], "column 'item' of the frame is of type Struct"),
        (
            pl.Series([object()], dtype=pl.Object),
            "column 'item' of the frame is of type Object (values of several",
        ),
        ([None], "the frame has no row that can be used; dropped were {'no item': 1}"),
    ],
)
def test_ids_that_are_refused(ids: Any, message: str) -> None:
    assert message in refusal(log(ids))


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series(["b", "a"], dtype=pl.Categorical),
        pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"])),
        pl.Series([b"b", b"a"]),
    ],
)
def test_texts_of_other_types_are_ids(ids: pl.Series) -> None:
    items = pl.DataFrame({"item_id": ids, "title": ["B", "A"]})
    data = read(log(ids), items)
    assert taken(data) == ["b", "a"]
    assert titled(data) == ["B", "A"]


@pytest.mark.parametrize("role", ["text", "headline", "title"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([["good"], ["bad"]], "List(String)"),
        ([{"a": 1}, {"a": 2}], "Struct({'a': Int64})"),
        ([True, False], "Boolean"),
        ([dt.timedelta(1), dt.timedelta(2)], "Duration(time_unit='us')"),
        (pl.Series([object(), object()], dtype=pl.Object), "Object (values of several types)"),
    ],
)
def test_texts_that_are_refused(role: str, values: Any, kind: str) -> None:
    said = refusal(log(["a", "b"], **{role: values}))
    assert said.startswith(
        f"column {role!r} of the frame is of type {kind}, not text: name another column of {role}s"
    )


def test_titles_of_items_that_are_refused() -> None:
    items = pl.DataFrame({"item_id": ["a"], "title": [["A"]]})
    said = refusal(log(["a"]), items)
    assert "column 'title' of the frame of items is of type List(String), not text" in said
    assert said.endswith("leave it out with --item-column title=")
    items = pl.DataFrame({"item_id": ["a"], "title": [b"\xff"]})
    assert "column 'title' of the frame of items is of type Binary and not UTF-8" in refusal(
        log(["a"]), items
    )


@pytest.mark.parametrize("titles", [[1984, 300], [1984.0, 300.0], [b"1984", b"300"]])
def test_titles_of_other_types(titles: list[Any]) -> None:
    data = read(log(["a", "b"]), pl.DataFrame({"item_id": ["a", "b"], "title": titles}))
    assert titled(data) == ["1984", "300"]


def test_items_may_have_columns_of_any_name() -> None:
    names = [
        "_row",
        "_code",
        "_decoded",
        "row",
        "code",
        "decoded",
        "item_id_right",
        "title_right",
        "literal",
        "",
    ]
    items = pl.DataFrame({"item_id": ["b", "a", "z"], "title": ["B", "A", "Z"]})
    items = items.with_columns(pl.Series(name, [1, 2, 3]) for name in names)
    data = read(log(["a", "b"]), items, unrated=True)
    assert data.catalogue.titles == ["A", "B", "Z"]
    assert {name: data.catalogue.table[name].to_list() for name in names} == {
        name: [2, 1, 3] for name in names
    }


def test_an_item_that_is_listed_again_counts_once(tmp_path: Path) -> None:
    lines = [{"item_id": "a", "title": "A"}, {"item_id": "a", "title": "Other"}, {"title": "Nameless"}]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = read(log(["a"]), tmp_path / "items.jsonl")
    assert titled(data) == ["A"]
    assert "items.jsonl lists items again in 1 row; the first row of an item counts" in data.report.notes
