"""Files and frames of items: which columns hold ids and titles, and what becomes of all the others."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import CatalogueError, ConfigError, DataError
from hypothesis import given, settings
from hypothesis import strategies as st


def log(ids: list[Any], name: str = "item") -> pl.DataFrame:
    """A log in which one user takes each item."""
    return pl.DataFrame(
        {"user": ["u"] * len(ids), name: ids, "time": [1_700_000_000 + i for i in range(len(ids))]}
    )


def field(data: Dataset, name: str) -> dict[str, Any]:
    """Values of a field by item."""
    return dict(zip(data.catalogue.ids, data.catalogue.table[name].to_list(), strict=True))


def having(data: Dataset, name: str, value: str) -> list[str]:
    """Ids of the items that `--only name=value` lets through."""
    mask = data.catalogue.where(name, value)
    return [item for item, good in zip(data.catalogue.ids, mask, strict=True) if good]


# Names


@pytest.mark.parametrize(
    ("log_name", "items"),
    [
        ("sku", {"id": ["a", "b"], "name": ["Ann", "Bo"]}),
        ("product_id", {"ID": ["a", "b"], "app_name": ["Ann", "Bo"]}),
        ("vhs", {"vhs": ["a", "b"], "item_id": ["1", "2"], "title": ["Ann", "Bo"]}),
        ("item", {"asin": ["B1", "B2"], "id": ["a", "b"], "title": ["Ann", "Bo"]}),
        ("item", {"product": ["Ann", "Bo"], "sku": ["a", "b"], "Title": ["Ann", "Bo"]}),
        ("item", {"isbn": [0.5, 1.5], "id": ["a", "b"], "title": ["Ann", "Bo"]}),
    ],
)
def test_ids_and_titles_are_found_under_other_names_than_the_logs(
    log_name: str, items: dict[str, list[Any]], tmp_path: Path
) -> None:
    columns = {"item_id": log_name}
    frame = pl.DataFrame(items)
    assert read(log(["a", "b"], log_name), frame, columns=columns).catalogue.titles == ["Ann", "Bo"]
    frame.write_csv(tmp_path / "items.csv")
    frame.write_ndjson(tmp_path / "items.jsonl")
    for name in ("items.csv", "items.jsonl"):
        data = read(log(["a", "b"], log_name), tmp_path / name, columns=columns)
        assert dict(zip(data.catalogue.ids, data.catalogue.titles, strict=True)) == {"a": "Ann", "b": "Bo"}


def test_the_caller_names_the_columns_of_both(tmp_path: Path) -> None:
    items = {"no": ["a", "b"], "what": ["Ann", "Bo"], "title": ["Mrs", "Mr"], "id": ["b", "a"]}
    item_columns = {"item_id": "no", "title": "what"}
    data = read(
        log(["a", "b"], "vhs"), pl.DataFrame(items), columns={"item_id": "vhs"}, item_columns=item_columns
    )
    assert dict(zip(data.catalogue.ids, data.catalogue.titles, strict=True)) == {"a": "Ann", "b": "Bo"}
    assert any("its column 'title' is left out" in note for note in data.report.notes)
    header = "\t".join(["no:token", "what:token_seq", "genres:token_seq"])
    (tmp_path / "x.item").write_text(f"{header}\na\tAnn of Green\tWar Art\nb\tBo\tArt\n")
    data = read(log(["a", "b"]), tmp_path / "x.item", item_columns=item_columns)
    assert data.catalogue.titles == ["Ann of Green", "Bo"]
    assert having(data, "genres", "War") == ["a"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"item_columns": {"item_id": "nr"}},
            DataError,
            r"the frame of items has no column 'nr'.*; it has no, what",
        ),
        (
            {"item_columns": {"item_id": "no", "title": "wat"}},
            DataError,
            r"no column 'wat'.*did you mean 'what'",
        ),
        ({}, DataError, r"no column for item_id among no, what: .*--item-column item_id=NAME"),
        (
            {"item_columns": {"user_id": "no"}},
            ConfigError,
            r"roles item_id, title, not 'user_id'",
        ),
        ({"columns": {"item_id": "no"}}, DataError, r"no column 'no'; .*--item-column"),
    ],
)
def test_columns_that_are_not_there(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    items = pl.DataFrame({"no": ["a"], "what": ["Ann"]})
    with pytest.raises(error, match=message):
        read(log(["a"]), items, **arguments)


def test_item_columns_need_a_file_with_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"are those of a file of items, and there is none"):
        read(log(["a"]), item_columns={"item_id": "no"})
    (tmp_path / "movies.dat").write_text("a::Ann::Art\n")
    with pytest.raises(ConfigError, match=r"movies.dat has no named columns"):
        read(log(["a"]), tmp_path / "movies.dat", item_columns={"item_id": "no"})


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text(
        "user_id:token\titem_id:token\titem_id:float\ttimestamp:float\nu\ta\t1\t5\n"
    )
    with pytest.raises(DataError, match=r"x.inter has two columns of one name"):
        read(tmp_path / "x.inter")


def test_a_log_whose_items_are_all_listed_under_other_ids() -> None:
    items = pl.DataFrame({"id": ["B1", "B2"], "name": ["Ann", "Bo"]})
    with pytest.raises(
        CatalogueError, match=r"none of the 2 items of the frame is listed in the frame of items, "
    ) as told:
        read(log(["a", "b"]), items)
    assert "whose ids stand in its column 'id', such as 'B1': " in str(told.value)
    assert "(--item-column item_id=NAME)" in str(told.value)


def test_items_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "items.csv").mkdir()
    with pytest.raises(DataError, match=r"items.csv is a folder where a file is needed"):
        read(log(["a"]), tmp_path / "items.csv")
    with pytest.raises(DataError, match=r"null is a pipe or device"):
        read(log(["a"]), "/dev/null")


# Lists in cells

CELLS = {
    "python": ("['War', \"Art's\"]", "['War']", "[]"),
    "numpy": ("['War' \"Art's\"]", "['War']", "[]"),
    "json": ('["War", "Art\'s"]', '["War"]', "[]"),
    "objects": ('[{"id": 1, "name": "War"}, {"id": 2, "name": "Art\'s"}]', '[{"name": "War"}]', "[]"),
    "python objects": ("[{'id': 1, 'name': 'War'}, {'id': 2, 'name': \"Art's\"}]", "[{'name': 'War'}]", ""),
    "nested": ('[["War"], ["War", "Art\'s"]]', '[["War"]]', "[]"),
}


@pytest.mark.parametrize("form", CELLS)
@pytest.mark.parametrize("name", ["genres", "Genre", "tags", "what else"])
def test_lists_written_into_cells(name: str, form: str) -> None:
    items = pl.DataFrame({"item": ["a", "b", "c"], "title": ["A", "B", "C"], name: CELLS[form]})
    data = read(log(["a", "b", "c"]), items)
    own = {"Genre": "genres"}.get(name, name)
    assert having(data, own, "War") == ["a", "b"]
    assert having(data, own, "Art's") == ["a"]
    assert not field(data, own)["c"]


def test_bars_and_commas_make_lists_of_known_fields_only() -> None:
    items = pl.DataFrame(
        {
            "item": ["a", "b"],
            "title": ["One, two", "[x]"],
            "blurb": ["Salt, smoke | iron", "[sic] a word"],
            "genres": ["War|Art, old", "['Film' with a bad bracket]"],
            "keywords": ["x, y", ""],
            "sizes": ["[1, 2]", "[3]"],
            "vector": ["[0.5, 0.25]", "[1.5]"],
        }
    )
    data = read(log(["a", "b"]), items)
    assert sorted(data.catalogue.titles) == ["One, two", "[x]"]
    assert field(data, "blurb") == {"a": "Salt, smoke | iron", "b": "[sic] a word"}
    assert field(data, "genres") == {"a": ["War", "Art, old"], "b": ["['Film' with a bad bracket]"]}
    assert field(data, "keywords") == {"a": ["x", "y"], "b": []}
    assert field(data, "sizes") == {"a": ["1", "2"], "b": ["3"]}
    assert field(data, "vector") == {"a": "[0.5, 0.25]", "b": "[1.5]"}


# Types of columns

TYPED: dict[str, tuple[pl.Series, dict[str, Any]]] = {
    "categories": (pl.Series(["x|y", "x"], dtype=pl.Categorical), {"a": ["x", "y"], "b": ["x"]}),
    "brand": (pl.Series(["Ours", None], dtype=pl.Enum(["Ours"])), {"a": "Ours", "b": None}),
    "tags": (pl.Series([["x", "x", None], None], dtype=pl.List(pl.Categorical)), {"a": ["x"], "b": None}),
    "nested": (pl.Series([[["x"], ["y"]], []]), {"a": ["x", "y"], "b": []}),
    "in_stock": (pl.Series([True, False]), {"a": True, "b": False}),
    "day": (pl.Series([dt.date(2024, 5, 31), None]), {"a": dt.date(2024, 5, 31), "b": None}),
    "moment": (pl.Series([dt.datetime(2024, 5, 31, 8), None]), {"a": dt.datetime(2024, 5, 31, 8), "b": None}),
    "midnight": (pl.Series([dt.datetime(2024, 5, 31), None]), {"a": dt.date(2024, 5, 31), "b": None}),
    "days": (pl.Series([[dt.date(2024, 5, 31)], []]), {"a": ["2024-05-31"], "b": []}),
    "cost": (pl.Series([decimal.Decimal("1.50"), None]), {"a": 1.5, "b": None}),
    "huge": (pl.Series([2**80, 1], dtype=pl.Int128), {"a": str(2**80), "b": "1"}),
    "genre": (pl.Series([[{"id": 1, "name": "War"}], []]), {"a": ["War"], "b": []}),
    "maker": (pl.Series([{"name": "Ours"}, {"name": None}]), {"a": "Ours", "b": None}),
    "sizes": (pl.Series([[1, 2], [3]]), {"a": ["1", "2"], "b": ["3"]}),
    "pair": (
        pl.Series([["x", "y"], ["x", "x"]], dtype=pl.Array(pl.String, 2)),
        {"a": ["x", "y"], "b": ["x"]},
    ),
    "text": (pl.Series([b"plain", b"text"]), {"a": "plain", "b": "text"}),
    "weight": (pl.Series([1.5, float("nan")]), {"a": 1.5, "b": None}),
}


@pytest.mark.parametrize("name", TYPED)
def test_columns_of_every_type_come_in_a_form_that_can_be_asked_for(name: str, tmp_path: Path) -> None:
    values, expected = TYPED[name]
    items = pl.DataFrame({"item": ["a", "b"], "title": ["A", "B"], name: values})
    items.write_parquet(tmp_path / "items.parquet")
    for source in (items, tmp_path / "items.parquet"):
        data = read(log(["a", "b"]), source)
        assert field(data, {"genre": "genres"}.get(name, name)) == expected
        assert not any("left out" in note for note in data.report.notes)


def test_what_has_no_form_is_told() -> None:
    items = pl.DataFrame(
        {
            "item": ["a"],
            "title": ["A"],
            "vector": pl.Series([[0.5, 0.25]], dtype=pl.Array(pl.Float32, 2)),
            "bytes": [b"\xff\xfe"],
            "box": [{"width": 3, "height": 4}],
            "brand": ["Ours"],
        }
    )
    data = read(log(["a"]), items)
    assert set(data.catalogue.table.columns) == {"item_id", "title", "brand"}
    (note,) = [note for note in data.report.notes if "left out" in note]
    assert "left out vector (Array(Float32, shape=(2,))), bytes (Binary), box (Struct(" in note


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        ([1999, None], [1999, None], ""),
        ([1999.0, None], [1999, None], ""),
        (["1999.0", " 2001 "], [1999, 2001], ""),
        (["1999", "soon"], [1999, None], "1 values of year are no years and are left out, such as 'soon'"),
        ([1999.5, 2001], [None, 2001], "such as '1999.5'"),
        ([20240131120000, 1999], [None, 1999], "such as '20240131120000'"),
        (["MCMXC", "old"], ["MCMXC", "old"], ""),
    ],
)
def test_years(values: list[Any], expected: list[Any], note: str, tmp_path: Path) -> None:
    items = pl.DataFrame({"item": ["a", "b"], "title": ["A", "B"], "release_year": values})
    items.write_ndjson(tmp_path / "items.jsonl")
    for source in (items, tmp_path / "items.jsonl"):
        data = read(log(["a", "b"]), source)
        assert data.catalogue.table["year"].to_list() == expected
        told = " ".join(data.report.notes)
        assert note in told
        assert ("no years" in told) == bool(note)


# Objects


def objects(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_all_members_of_objects_are_kept(tmp_path: Path) -> None:
    path = objects(
        tmp_path / "items.jsonl",
        '{"id": 1, "title": 1984, "in_stock": true, "color": "red", "sizes": [1, 2], "maker": {"name": "Ours"}}',
        '{"id": 2, "title": "Two", "in_stock": false, "weight": 2, "color": ["red", "blue"], "box": {"w": 1}}',
        '{"id": 3, "title": "A \\ud83d", "weight": 2.5, "far": 123456789012345678901234567890, "color": 7, "n": NaN}',
        '{"id": 4, "title": "Ok \\ud83d\\ude00", "title": "again", "price": "$1,250.00", "categories": "x, y"}',
        '{"id": 6, "title": "Six", "\\ud83d": "x", "names": [{"name": "\\ud83d"}], "tags": "[\\"\\\\ud83d\\"]"}',
        '{"id": 5, "title": true, "price": 3, "categories": [["x"], ["z"]], "far": 1}',
    )
    data = read(log([1, 2, 3, 4, 5, 6]), path)
    titles = dict(zip(data.catalogue.ids, data.catalogue.titles, strict=True))
    assert titles == {"1": "1984", "2": "Two", "3": "A \ufffd", "4": "Ok 😀", "5": "true", "6": "Six"}
    assert having(data, "in_stock", "true") == ["1"]
    assert sorted(having(data, "color", "red")) == ["1", "2"]
    assert having(data, "color", "7") == ["3"]
    assert having(data, "sizes", "2") == ["1"]
    assert having(data, "maker", "Ours") == ["1"]
    assert sorted(having(data, "categories", "x")) == ["4", "5"]
    assert field(data, "weight") == {"1": None, "2": 2.0, "3": 2.5, "4": None, "5": None, "6": None}
    assert field(data, "price") == {"1": None, "2": None, "3": None, "4": 1250.0, "5": 3.0, "6": None}
    assert field(data, "\ufffd")["6"] == "x"
    assert field(data, "names")["6"] == field(data, "tags")["6"] == ["\ufffd"]
    assert field(data, "far")["3"] == "123456789012345678901234567890"
    assert any("left out box;" in note for note in data.report.notes)


def test_kinds_of_members_may_differ_between_parts_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genrec.data.readers.json_lines.CHUNK_OBJECTS", 1)
    values = [1, 2.5, "x", ["y", "z"], None, True]
    lines = [
        json.dumps({"id": n, "title": f"T{n}", "what": value, "rank": n}) for n, value in enumerate(values)
    ]
    data = read(log(list(range(6))), objects(tmp_path / "items.jsonl", *lines))
    assert field(data, "what") == {
        "0": ["1"],
        "1": ["2.5"],
        "2": ["x"],
        "3": ["y", "z"],
        "4": None,
        "5": ["true"],
    }
    assert data.catalogue.table.schema["rank"] == pl.Int64


def test_of_publishers_objects_only_some_members_are_read(tmp_path: Path) -> None:
    path = objects(
        tmp_path / "meta_Beauty.json",
        '{"asin": "B1", "title": "Comb", "store": "Ours", "average_rating": 4.5, "description": ["long"]}',
    )
    data = read(log(["B1"]), path)
    assert set(data.catalogue.table.columns) == {"item_id", "title", "brand"}
    assert any("meta_Beauty.json: of its fields, only genres, " in note for note in data.report.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1, "title": "A"}\n{"id": 2, ', "line 2 of items.json holds no JSON object"),
        (
            '{\n  "id": 1\n}\n',
            "line 1 of items.json holds no JSON object: '{'; write one object a line, or one array",
        ),
        ('[{"id": 1},\n {"id": 2]', "line 2 of items.json breaks its array of objects"),
        (
            '[{"id": 1},\n [2]]',
            "line 2 of items.json holds \\[2\\] where the file's array should hold an object",
        ),
        (
            '{"id": 1, "x": ' + "[" * 9000 + "]" * 9000 + "}",
            "line 1 of items.json holds lists or objects nested",
        ),
        (
            '[{"id": 1, "x": ' + "[" * 9000 + "]" * 9000 + "}]",
            "line 1 of items.json holds lists or objects nested",
        ),
        ('{"id": 76561198000000001.0, "title": "A"}', "stand for several whole numbers"),
        ('{"id": 1.5, "title": "A"}', "holds fractions, which cannot be ids"),
        (
            '[{"id": 1}\n {"id": 2}]',
            "line 1 of items.json breaks its array of objects: no comma or end follows",
        ),
        ('[{"id": 1},\n]', "line 1 of items.json breaks its array of objects: no comma or end follows"),
        ("[]", "items.json is empty"),
        ("", "items.json is empty"),
    ],
)
def test_broken_objects_are_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(log([1]), tmp_path / "items.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


# One table in every form

WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": lambda table, path: table.write_csv(path),
    "csv.gz": lambda table, path: path.write_bytes(gzip.compress(table.write_csv().encode())),
    "tsv": lambda table, path: table.write_csv(path, separator="\t"),
    "jsonl": lambda table, path: table.write_ndjson(path),
    "json": lambda table, path: table.write_json(path),
    "parquet": lambda table, path: table.write_parquet(path),
}
letters = st.characters(categories=["L", "N", "P", "S"], exclude_characters="&[]|\\")
words = st.text(letters, min_size=1, max_size=6).map(lambda word: f"x{word}")
rows = st.lists(
    st.fixed_dictionaries(
        {
            "title": words,
            "brand": st.none() | words,
            "stock": st.integers(0, 9),
            "genres": st.lists(words.map(lambda word: word.replace(",", "")), max_size=3, unique=True),
        }
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=40)
@given(rows=rows)
def test_a_table_gives_the_same_catalogue_in_every_form(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    ids = [f"i{number}" for number in range(len(rows))]
    schema = {"title": pl.String, "brand": pl.String, "stock": pl.Int64, "genres": pl.List(pl.String)}
    table = pl.DataFrame(rows, schema=schema).with_columns(pl.Series("item", ids))
    flat = table.with_columns(pl.col("genres").list.join("|") + "|")
    forms: list[Any] = [table, flat, table.to_pandas()]
    for ending, write in WRITERS.items():
        path = folder / f"items.{ending}"
        write(table if ending in ("jsonl", "json", "parquet") else flat, path)
        forms.append(path)
    for ending in ("csv", "json"):  # as pandas writes them: numpy's lists, and an array of objects
        path = folder / f"pandas.{ending}"
        frame = table.to_pandas()
        frame.to_csv(path, index=False) if ending == "csv" else frame.to_json(path, orient="records")
        forms.append(path)
    seen = [catalogue_of(read(log(ids), form)) for form in forms]
    assert all(other == seen[0] for other in seen)


def catalogue_of(data: Dataset) -> list[tuple[Any, ...]]:
    """Items with all that one can ask for, as text."""
    table = data.catalogue.table
    brand = table["brand"].to_list() if "brand" in table.columns else [None] * table.height
    genres = table["genres"].to_list() if "genres" in table.columns else [None] * table.height
    stock = table["stock"].cast(pl.String).to_list()
    lists = [tuple(entries or ()) for entries in genres]
    return list(zip(table["item_id"].to_list(), table["title"].to_list(), brand, stock, lists, strict=True))


def test_a_file_that_is_one_large_object_is_no_file_of_items(tmp_path: Path) -> None:
    objects(tmp_path / "items.json", json.dumps({f"i{n}": f"T{n}" for n in range(10_001)}))
    with pytest.raises(DataError, match=r"items.json has 10,001 fields or more, .*one row or object an item"):
        read(log(["i1"]), tmp_path / "items.json")


def test_names_of_columns_stay_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(f'"no\nid",{",".join(f"c{n}" for n in range(99))}\n')
    with pytest.raises(DataError, match=r"among no id, c0, .* and 80 more: name it") as caught:
        read(log(["a"]), tmp_path / "items.csv")
    assert "\n" not in str(caught.value)


def test_truth_values_have_one_spelling(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item": ["a", "b"], "title": ["A", "B"], "in_stock": [True, False]})
    frame.to_csv(tmp_path / "items.csv", index=False)
    frame.to_json(tmp_path / "items.json", orient="records")
    frame.to_parquet(tmp_path / "items.parquet")
    for source in (frame, *sorted(tmp_path.iterdir())):
        assert having(read(log(["a", "b"]), source), "in_stock", "true") == ["a"]


def test_backslashes_in_cells_are_no_matter_for_warnings() -> None:
    items = pl.DataFrame({"item": ["a"], "title": ["A"], "tags": [r"['a\d', 'b']"]})
    assert field(read(log(["a"]), items), "tags") == {"a": [r"a\d", "b"]}


def test_pandas_frames_with_missing_values() -> None:
    frame = pd.DataFrame({"item": ["a", "b"], "title": [1984.0, None], "year": [1999.0, None]})
    data = read(log(["a", "b"]), frame, untitled="id")
    assert data.catalogue.titles == ["1984", "b"]
    assert field(data, "year") == {"a": 1999, "b": None}
