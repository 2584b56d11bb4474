"""Sequences, and RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path

import pytest
from genrec.data.read import read
from genrec.errors import CatalogueError, DataError


def test_sequences_with_json_items(tmp_path: Path) -> None:
    (tmp_path / "sequences.txt").write_text("1 5 3 5\n2\t4  3 \n")
    (tmp_path / "items.jsonl").write_text(
        '{"id": 3, "title": "C", "categories": [["x", "y"], ["x"]]}\n'
        '{"id": 4, "title": "A", "year": "1999"}\n{"id": 5, "title": "B", "brand": "Z"}\n'
    )
    for source in (tmp_path, tmp_path / "sequences.txt"):
        data = read(source)
        assert data.report.layout == "sequences"
        titles = data.catalogue.titles
        assert titles == ["A", "B", "C"]
        assert [[titles[item] for item in history] for history in data.interactions.histories] == [
            ["B", "C", "B"],  # the same item again stays
            ["A", "C"],
        ]
        assert data.interactions.times is None
        assert data.report.rows == 5
    assert data.catalogue.table["categories"].to_list() == [None, None, ["x", "y"]]
    assert data.catalogue.table["year"].to_list() == [1999, None, None]


def test_sequences_malformed(tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    path.write_text("1 2\n7\n")
    with pytest.raises(DataError, match=r"line 2 of sequences.txt is '7', not a user and the items"):
        read(path)
    path.write_text("1 2\n1 3\n")
    with pytest.raises(DataError, match=r"user '1' \(line 1 of sequences.txt\) has several lines"):
        read(path)
    path.write_text("1 2 3\n")
    (tmp_path / "items.jsonl").write_text('{"id": 2, "title": "A"}\n')
    with pytest.raises(
        CatalogueError, match=r"item '3' \(row 1 of sequences.txt\) is not listed in items.jsonl"
    ):
        read(path)
    (tmp_path / "items.jsonl").write_text('{"name": "A"}\n')
    with pytest.raises(DataError, match=r"items.jsonl has no column for item_id among name: .*--item-column"):
        read(path)


def write_recbole(folder: Path, items: str) -> Path:
    folder.mkdir(exist_ok=True)
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t4\t90.0\n1\t20\t5\t80.0\n"
    (folder / "toy.inter").write_text(inter)
    (folder / "toy.item").write_text(items)
    return folder


def test_recbole(tmp_path: Path) -> None:
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    items = header + '10\tA "Big" One\t1995\tDrama War\n20\tB\t\t\n'
    folder = write_recbole(tmp_path / "toy", items)
    for source in (folder, folder / "toy.inter"):
        data = read(source)
        assert data.report.layout == "recbole"
        assert data.catalogue.titles == ['A "Big" One', "B"]
        assert data.catalogue.table["genres"].to_list() == [["Drama", "War"], None]
        assert data.catalogue.table["year"].to_list() == [1995, None]
        assert data.interactions.times.tolist() == [80, 90]


def test_recbole_without_titles(tmp_path: Path) -> None:
    folder = write_recbole(tmp_path, "item_id:token\tprice:float\n10\t3.5\n20\t1\n")
    with pytest.raises(
        CatalogueError, match=r"item '10' has no title \(row 1 of toy.item\); 2 items .*--item-column title="
    ):
        read(folder)
    data = read(folder, untitled="id")
    assert data.catalogue.titles == ["10", "20"]
    assert not data.catalogue.titled


def test_running_texts_of_recbole_are_no_lists(tmp_path: Path) -> None:
    items = "item_id:token\tproduct_title:token_seq\ttags:token_seq\n10\tA Big One\tx y\n20\tB\tz\n"
    folder = write_recbole(tmp_path / "toy", items)
    header = "user_id:token\titem_id:token\ttimestamp:float\tsummary:token_seq\topinion:token_seq\n"
    (folder / "toy.inter").write_text(header + "1\t10\t80\tso so\tnot bad\n1\t20\t90\t\tvery good\n")
    data = read(folder, columns={"text": "opinion"})
    assert data.catalogue.titles == ["A Big One", "B"]
    assert data.catalogue.table["tags"].to_list() == [["x", "y"], ["z"]]
    assert data.interactions.headlines.to_list() == ["so so", None]
    assert data.interactions.texts.to_list() == ["not bad", "very good"]


def test_recbole_malformed(tmp_path: Path) -> None:
    folder = write_recbole(tmp_path, "item_id\ttitle\n")
    with pytest.raises(DataError, match=r"column 'item_id' of toy.item has no type: a header says name:type"):
        read(folder)
    (folder / "toy.inter").write_text("user_id:token\titem_id:token\titem_id:token\n1\t10\t10\n")
    with pytest.raises(
        DataError, match=r"toy.inter has two columns of one name: its header is user_id:token, item"
    ):
        read(folder)
    (folder / "toy.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t10\n")
    with pytest.raises(DataError, match=r"line 2 of toy.inter has 2 fields, and the first line has 3"):
        read(folder)
