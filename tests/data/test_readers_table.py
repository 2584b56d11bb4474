"""CSV, TSV, Parquet and frames: columns, ids, times, malformed lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import DataError


def taken(data: Dataset) -> dict[str, list[str]]:
    """Raw ids of each user's history."""
    ids, interactions = data.catalogue.ids, data.interactions
    histories = ([ids[item] for item in history] for history in interactions.histories)
    return dict(zip(interactions.users.to_list(), histories, strict=True))


ROWS = [("u1", "007", 30), ("u1", "8", 10), ("u2", "007", 20)]
EXPECTED = {"u1": ["8", "007"], "u2": ["007"]}


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("log.csv", ["user_id", "item_id", "timestamp"], ","),
        ("log.csv", ["userId", "movieId", "timestamp"], ","),
        ("log.csv", ["User", "Product ID", "Date"], ";"),
        ("log.csv", ["CustomerID", "StockCode", "InvoiceDate"], ","),
        ("log.csv", ["Customer ID", "sku", "order_date"], ","),
        ("log.csv", ["Kunde", "Artikelnummer", "Bestelldatum"], ";"),
        ("log.csv", ["Kunden-Nr.", "Artikel-Nr.", "Datum"], ";"),
        ("log.csv", ["id_client", "id_article", "date_commande"], ";"),
        ("log.csv", ["cliente", "producto", "fecha"], ";"),
        ("log.csv", ["customer_id", "article_id", "t_dat"], ","),
        ("log.csv", ["buyer_id", "Lineitem sku", "Created at"], ","),
        ("log.csv", ["reviewerID", "asin", "unixReviewTime"], "|"),
        ("log.tsv", ["USER", "ITEM", "TIME"], "\t"),
    ],
)
def test_usual_names_and_separators(name: str, header: list[str], separator: str, tmp_path: Path) -> None:
    lines = [separator.join(map(str, row)) for row in [header, *ROWS]]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    assert taken(read(tmp_path / name)) == EXPECTED


def test_other_forms_of_the_same_file(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS, schema=["user", "item", "time"], orient="row")
    frame.write_parquet(tmp_path / "log.parquet")
    text = frame.write_csv().replace("\n", "\r\n")
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("log.parquet", "bom.csv", "log.csv.gz"):
        data = read(tmp_path / name)
        assert taken(data) == EXPECTED
        assert data.report.layout == "table"
    assert data.name == "log"


def test_named_columns(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,what,item,when\nu1,a,1,1\nu1,b,2,2\n")
    (tmp_path / "things.csv").write_text("what,label,name\na,Axe,x\nb,Bow,y\n")
    columns = {"user_id": "who", "item_id": "what", "timestamp": "when", "title": "label"}
    data = read(tmp_path / "log.csv", tmp_path / "things.csv", columns=columns)
    assert taken(data) == {"u1": ["a", "b"]}
    assert data.catalogue.titles == ["Axe", "Bow"]
    assert data.catalogue.table["name"].to_list() == ["x", "y"]


def test_named_fields_of_json_items(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"sku": 2, "label": "B"}\n{"sku": 3, "label": "A"}\n')
    columns = {"item_id": "sku", "title": "label"}
    data = read(
        pl.DataFrame({"user": [1, 1], "sku": [2, 3], "time": [1, 2]}),
        tmp_path / "items.jsonl",
        columns=columns,
    )
    assert data.catalogue.titles == ["A", "B"]
    assert data.catalogue.ids == ["3", "2"]


def test_folder_with_interactions_and_items(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,1,5\nu,2,6\n")
    (tmp_path / "items.csv").write_text('item_id,title,genres,year\n1,"Salt, Smoke",War|Noir,1999\n2,B,,\n')
    data = read(tmp_path)
    assert data.catalogue.titles == ["B", "Salt, Smoke"]
    assert data.catalogue.table["year"].to_list() == [None, 1999]
    assert data.catalogue.table["genres"].to_list() == [[], ["War", "Noir"]]


def test_items_with_lists_between_commas(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["1"], "title": ["A"], "category": ["x, y"]})
    data = read(pl.DataFrame({"user": ["u"], "item": [1], "time": [1]}), items)
    assert data.catalogue.table["categories"].to_list() == [["x", "y"]]


@pytest.mark.parametrize(
    ("values", "seconds", "note"),
    [
        ([978300760, 978300759], [978300759, 978300760], ""),
        ([978300760.5, 978300760.25], [978300760, 978300760], ""),
        ([1700000000500, 1700000000400], [1700000000, 1700000000], "milliseconds"),
        ([1700000000500000, 1700000000400000], [1700000000, 1700000000], "microseconds"),
        (["978300760", "978300759"], [978300759, 978300760], ""),
        (["978300760.5", "978300759"], [978300759, 978300760], ""),
        (["2001-01-01", "2000-12-31"], [978220800, 978307200], ""),
        (["2001-01-01 00:00:10", "2001-01-01T00:00:05"], [978307205, 978307210], ""),
        (["2001-01-01T02:00:00+02:00", "2000-12-31T23:59:59Z"], [978307199, 978307200], ""),
        (["2001-01-01 00:00:10.900", "2001-01-01T00:00:10.100Z"], [978307210, 978307210], ""),
    ],
)
def test_times(values: list[object], seconds: list[int], note: str) -> None:
    data = read(pl.DataFrame({"user": ["u", "u"], "item": ["later", "earlier"], "time": values}))
    assert taken(data) == {"u": ["earlier", "later"]}
    assert data.interactions.times.tolist() == seconds
    assert any(note in line for line in data.report.notes)


def test_times_of_frames() -> None:
    moments = pd.to_datetime(["2001-01-01T00:00:10Z", "2001-01-01T00:00:05Z"])
    frame = pd.DataFrame({"user": [1, None], "item": ["a", "b"], "time": moments})
    data = read(frame)
    assert taken(data) == {"1": ["a"]}  # pandas made floats of the users
    assert data.interactions.times.tolist() == [978307210]
    assert data.report.dropped["no user"] == 1


def test_all_that_is_missing_is_told_at_once() -> None:
    frame = pl.DataFrame({"who": ["u"], "wares": ["a"], "moment": [1]})
    with pytest.raises(DataError) as caught:
        read(frame)
    assert str(caught.value) == (
        "the frame has no column for user_id nor item_id nor timestamp among who, wares, moment: name them with "
        "columns={'user_id': ..., 'item_id': ..., 'timestamp': ...} (--column user_id=NAME --column item_id=NAME "
        "--column timestamp=NAME), or say ordered=True (--ordered) if the rows stand in time order; `genrec data FILE "
        "--wizard` proposes a command"
    )
    with pytest.raises(DataError) as caught:
        read(frame, columns={"user_id": "whom", "item_id": "ware"}, ordered=True)
    assert "has no column 'whom' (did you mean 'who'?) nor 'ware' (did you mean 'wares'?)" in str(
        caught.value
    )
    with pytest.raises(
        DataError, match=r"no column 'whom'.*; nor has it one for item_id nor timestamp: name"
    ):
        read(frame, columns={"user_id": "whom"})


def test_what_was_bought_is_described_in_the_log() -> None:
    log = pl.DataFrame(
        {
            "CustomerID": [17850.0, 17850.0, None],
            "StockCode": ["a", "b", "a"],
            "Description": ["Axe", "Bow", None],
        }
    )
    data = read(log, ordered=True)
    assert (data.interactions.users.to_list(), data.catalogue.titles) == (["17850"], ["Axe", "Bow"])
    items = pl.DataFrame({"sku": ["a", "b"], "description": ["Long", "Longer"], "Name": ["A", "B"]})
    assert read(log, items, ordered=True).catalogue.titles == ["A", "B"]
    data = read(log, items.drop("Name"), ordered=True)
    assert data.catalogue.titles == ["Long", "Longer"]
    assert "the frame of items: titles are from its column 'description'" in data.report.notes


def test_rows_in_order_must_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,b\nv,a\nu,a\nu,b\n")
    with pytest.raises(DataError, match=r"log.csv has no column for timestamp among user, item: .*--ordered"):
        read(tmp_path / "log.csv")
    data = read(tmp_path / "log.csv", ordered=True)
    assert taken(data) == {"u": ["b", "a", "b"], "v": ["a"]}
    assert data.interactions.times is None
    assert data.report.dropped == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user,item,time\nu,a,1\nu,b,2,9\n",
            "line 3 of log.csv has 4 fields, and the first line has 3: put quotation marks around a field that holds",
        ),
        ("user,item,time\nu,a,1\nu,b\n", "line 3 of log.csv has 2 fields, and the first line has 3"),
        (
            "user,item,time\nu,a,1\nu,b,soon\n",
            "line 3 of log.csv has the time 'soon' in column 'time': times are unix",
        ),
        ('user,item,time,text\nu,a,1,"two\nlines"\nu,b,soon,x\n', "line 4 of log.csv has the time 'soon'"),
        ("user,item,note,time\nu,a,fine,1\nu,b,well, well,2\n", "line 3 of log.csv has 5 fields"),
        (
            "person,item,time\nu,a,1\n",
            r"log.csv has no column for user_id among person, item, time: .*--column user_id=",
        ),
        (
            "person,thing,day\nu,a,1\n",
            r"no column for user_id nor item_id nor timestamp among .*"
            r"\(--column user_id=NAME --column item_id=NAME --column timestamp=NAME\), or say ordered=True",
        ),
        (
            "user,item,time\nu,a,31.01.2024\nu,b,2024-01-31\nu,b,30.01.2024\n",
            "line 3 of .* correct it, or leave the row",
        ),
        ("user,item,time\nu,a,1\nu,b,2001-01-01\nu,b,2\n", "line 3 of log.csv has the time '2001-01-01'"),
        ("user,item,time\n,a,1\n", "log.csv has no row that can be used"),
    ],
)
def test_malformed_lines_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "log.csv")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_text("user,item,time\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"user,item,time\n" + b"u,a,1\n" * 999)[:-20])
    with pytest.raises(DataError, match=r"log.parquet cannot be read as a Parquet file"):
        read(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"cut.csv.gz"):
        read(tmp_path / "cut.csv.gz")


def test_ids_that_are_no_ids() -> None:
    with pytest.raises(DataError, match=r"column 'user' of the frame holds fractions"):
        read(pl.DataFrame({"user": [1.5], "item": ["a"], "time": [1]}))
    with pytest.raises(DataError, match=r"column 'item' of the frame is of type List"):
        read(pl.DataFrame({"user": [1], "item": [["a"]], "time": [1]}))
    with pytest.raises(DataError, match=r"column 'time' of the frame is of type Boolean, not a time"):
        read(pl.DataFrame({"user": [1], "item": ["a"], "time": [True]}))


@pytest.mark.parametrize(
    "columns", [{"user_id": "item_id"}, {"item_id": "who", "user_id": "who"}, {"timestamp": "item_id"}]
)
def test_one_column_is_not_user_and_item_and_time_at_once(columns: dict[str, str]) -> None:
    log = pl.DataFrame({"user_id": [1, 1], "item_id": [5, 6], "timestamp": [1, 2], "who": ["a", "b"]})
    with pytest.raises(DataError, match=r"is taken as [a-z_]+ and as [a-z_]+: name another"):
        read(log, columns=columns)


def test_an_item_may_go_by_its_title() -> None:
    log = pl.DataFrame({"user": [1, 1], "film": ["Heat", "Alien"], "time": [1, 2]})
    data = read(log, columns={"item_id": "film", "title": "film"})
    assert data.catalogue.ids == data.catalogue.titles == ["Alien", "Heat"]
