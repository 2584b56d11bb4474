"""Amazon 2014, 2018 and 2023, and the Yelp open data set: JSON, one object a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from genrec.data.read import read
from genrec.data.readers import json_lines
from genrec.errors import DataError
from hypothesis import given, settings
from hypothesis import strategies as st


def write(path: Path, rows: list[Any], literal: bool = False) -> Path:
    text = "".join((repr(row) if literal else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def review(user: str, item: str, time: int, year: int = 2014, **more: Any) -> dict[str, Any]:
    own = {"helpful": [0, 1]} if year == 2014 else {"verified": True}
    return {
        "reviewerID": user,
        "asin": item,
        "unixReviewTime": time,
        "overall": 4.0,
        "reviewText": "ok",
        "summary": f"about {item}",
        **own,
        **more,
    }


def test_2014_with_python_literals(tmp_path: Path) -> None:
    rows = [review("u", "B1", 2), review("u", "B2", 1)]
    metadata = [
        {
            "asin": "B1",
            "title": 'The "Best" Brush',
            "brand": "Ours",
            "price": 12.5,
            "categories": [["A", "B"], ["A", "C"]],
        },
        {"asin": "B2", "title": "Soap &amp; Water", "imUrl": "http://x", "related": {"also_bought": ["B1"]}},
    ]
    for literal in (False, True):
        write(tmp_path / "reviews_Beauty_5.json.gz", rows, literal)
        write(tmp_path / "meta_Beauty.json.gz", metadata, literal)
        write(tmp_path / "meta_Books.json.gz", [])
        data = read(tmp_path)
        assert data.report.layout == "amazon-2014"
        assert data.catalogue.titles == ["Soap & Water", 'The "Best" Brush']
        assert data.catalogue.table["categories"].to_list() == [None, ["A", "B", "C"]]
        assert data.catalogue.table["price"].to_list() == [None, 12.5]
        assert data.interactions.times.tolist() == [1, 2]
        assert data.interactions.texts.to_list() == ["ok", "ok"]
        assert data.interactions.headlines.to_list() == ["about B2", "about B1"]


def test_2018(tmp_path: Path) -> None:
    path = write(tmp_path / "Gift_5.json", [review("u", "B1", 2, 2018), review("v", "B2", 1, 2018)])
    metadata = [
        {"asin": "B1", "title": "Card", "category": ["Gifts", "Cards"], "price": "$1,250.00", "brand": ""},
        {"asin": "B2", "title": "Box", "category": [], "price": "$5.00 - $9.00", "brand": "Ours"},
    ]
    write(tmp_path / "meta_Gift.json", metadata)
    data = read(path)
    assert data.report.layout == "amazon-2018"
    assert data.catalogue.table.to_dict(as_series=False) == {
        "item_id": ["B2", "B1"],
        "title": ["Box", "Card"],
        "brand": ["Ours", None],
        "categories": [None, ["Gifts", "Cards"]],
        "price": [None, 1250.0],
    }


def test_2023(tmp_path: Path) -> None:
    rows = [
        {
            "rating": 5.0,
            "title": "Nice",
            "text": "good",
            "asin": "X1",
            "parent_asin": "P1",
            "user_id": "u",
            "timestamp": 1588687728923,
        },
        {
            "rating": 1.0,
            "title": "Bad",
            "text": "no",
            "asin": "X2",
            "parent_asin": "P2",
            "user_id": "u",
            "timestamp": 1588687728922,
        },
    ]
    write(tmp_path / "All_Beauty.jsonl.gz", rows)
    metadata = [
        {
            "parent_asin": "P1",
            "title": "Comb",
            "store": "Shop",
            "categories": [],
            "price": "—",
            "details": {"a": 1},
        },
        {"parent_asin": "P2", "title": "Mirror", "store": None, "categories": ["Beauty"], "price": 3.5},
        {"parent_asin": "P3", "title": "Nobody's", "store": None, "categories": [], "price": None},
    ]
    write(tmp_path / "meta_All_Beauty.jsonl.gz", metadata)
    data = read(tmp_path)
    assert data.report.layout == "amazon-2023"
    assert data.catalogue.titles == ["Comb", "Mirror"]
    assert data.catalogue.table["brand"].to_list() == ["Shop", None]
    # A millisecond apart: the order is that of the milliseconds, the times are seconds.
    assert [data.catalogue.titles[item] for item in data.interactions.histories[0]] == ["Mirror", "Comb"]
    assert data.interactions.times.tolist() == [1588687728, 1588687728]
    assert data.interactions.headlines.to_list() == ["Bad", "Nice"]
    assert data.summary()["num_listed_items"] == 3


def test_headlines_are_told_and_repeats_do_not_ask_for_them(tmp_path: Path) -> None:
    rows = [review("u", "B1", 1), review("u", "B1", 1, summary="again"), review("u", "B2", 2, summary=None)]
    data = read(write(tmp_path / "reviews_Beauty_5.json", rows))
    assert data.interactions.headlines.to_list() == ["about B1", None]
    assert data.report.dropped == {"duplicate": 1}
    assert data.summary()["has_headlines"]


def test_no_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "Gift_5.json", [review("u", "B1", 2, 2018)])
    assert not read(path).catalogue.titled


def test_several_review_files(tmp_path: Path) -> None:
    write(tmp_path / "Gift.json", [review("u", "B1", 2, 2018)])
    write(tmp_path / "Gift_5.json", [review("u", "B1", 2, 2018)])
    with pytest.raises(
        DataError, match=r"holds several files of reviews, Gift.json, Gift_5.json: give the one"
    ):
        read(tmp_path)
    assert read(tmp_path / "Gift_5.json").interactions.num_interactions == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"reviewerID": "u", "asin":', 'line 3 of Gift_5.json holds no JSON object: \'{"reviewerID"'),
        ("[1, 2]", r"line 3 of Gift_5.json holds no JSON object: '\[1, 2\]'"),
        ("__import__('os')", "line 3 of Gift_5.json holds no JSON object"),
        (
            json.dumps(review("u", "B2", 1) | {"unixReviewTime": "soon"}),
            "line 3 of Gift_5.json has the time 'soon'",
        ),
    ],
)
def test_malformed_lines_are_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "Gift_5.json"
    path.write_text(json.dumps(review("u", "B1", 2, 2018)) + "\n\n" + line + "\n")
    with pytest.raises(DataError, match=message):
        read(path)


def test_rows_that_lack_something(tmp_path: Path) -> None:
    rows = [review("u", "B1", 1, 2018), review("u", "B2", 2, 2018), review("u", "B3", 3, 2018)]
    rows[1]["overall"] = "good"
    del rows[2]["reviewerID"]
    data = read(write(tmp_path / "Gift_5.json", rows))
    assert data.report.dropped == {"no user": 1, "duplicate": 0}
    assert any("one rating is no number: it is 'good' in line 2 of" in note for note in data.report.notes)


def test_damaged_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "Gift_5.json.gz", [review("u", f"B{n}", n, 2018) for n in range(2000)])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"Gift_5.json.gz cannot be read"):
        read(path)


def test_yelp(tmp_path: Path) -> None:
    reviews = [
        {
            "review_id": "r",
            "user_id": "u",
            "business_id": "b1",
            "stars": 4.0,
            "text": "Fine",
            "date": "2018-07-07 22:09:11",
        },
        {
            "review_id": "s",
            "user_id": "u",
            "business_id": "b2",
            "stars": 2.0,
            "text": "Poor",
            "date": "2012-01-03 15:28:18",
        },
    ]
    businesses = [
        {
            "business_id": "b1",
            "name": "Café",
            "city": "Goleta",
            "categories": "Coffee, Food",
            "attributes": {"WiFi": "no"},
        },
        {"business_id": "b2", "name": "Garage", "city": "Reno", "categories": None, "attributes": None},
    ]
    write(tmp_path / "yelp_academic_dataset_review.json", reviews)
    write(tmp_path / "yelp_academic_dataset_business.json", businesses)
    data = read(tmp_path)
    assert data.report.layout == "yelp"
    assert data.catalogue.titles == ["Café", "Garage"]
    assert data.catalogue.table["categories"].to_list() == [["Coffee", "Food"], []]
    assert data.catalogue.where("city", "Reno").tolist() == [False, True]
    assert data.interactions.times.tolist() == [1325604498, 1531001351]
    assert data.interactions.ratings.tolist() == [2, 4]


LINES = [  # what a JSON log may hold beside what is usual: the line, and what is read of it
    (r'{"reviewerID": "A\ud83d", "asin": "x", "unixReviewTime": 5}', "with half of a surrogate pair"),
    (r'{"reviewerID": "A\ude00b", "asin": "x", "unixReviewTime": 5}', "with half of a surrogate pair"),
    ('{"reviewerID": "A", "asin": 76561198000000001.0, "unixReviewTime": 5}', "floats above 2\\^53"),
    ('{"reviewerID": "A", "asin": 7.6561198000000001e16, "unixReviewTime": 5}', "floats above 2\\^53"),
    ('{"reviewerID": "A", "asin": 1.5, "unixReviewTime": 5}', "has the id 1.5: fractions cannot be ids"),
    (
        '{"reviewerID": "A", "asin": ["B1"], "unixReviewTime": 5}',
        r'has the id \["B1"\]: ids are text or whole',
    ),
    ('{"reviewerID": {"name": "A"}, "asin": "B1", "unixReviewTime": 5}', r'has the id \{"name": "A"\}: ids'),
    (
        '{"reviewerID": true, "asin": "B1", "unixReviewTime": 5}',
        "has the id true: ids are text or whole numbers",
    ),
    ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "nested deeper than can be read"),
    ('{"reviewerID": "\xe9"}', "is not UTF-8 text"),
    ('{"reviewerID": ', "holds no JSON object: .*write one object a line, or one array"),
    ("[]", "holds no JSON object"),
    ("5", "holds no JSON object"),
]


@pytest.mark.parametrize(("line", "message"), LINES)
def test_odd_lines_of_a_log_are_named(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "Gift_5.json", [review("u", "B1", 2, 2018)])
    path.write_bytes(path.read_bytes() + b"\n" + line.encode("latin-1") + b"\n")
    with pytest.raises(DataError, match=f"line 3 of Gift_5.json .*{message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_odd_values_of_a_log_are_read(tmp_path: Path) -> None:
    odd = r'{"reviewerID": "u", "asin": "B2", "asin": "B3", "unixReviewTime": 3.0, "overall": 5, "summary": "a \ud83d"}'
    emoji = (
        r'{"reviewerID": "u\ud83d\ude00", "asin": "B1", "unixReviewTime": 4, "overall": 5, "reviewText": NaN}'
    )
    path = write(tmp_path / "Gift_5.json", [review("u", "B1", 2, 2018)])
    path.write_text(path.read_text() + odd + "\n" + emoji + "\n")
    data = read(path)
    assert data.interactions.users.to_list() == ["u", "u😀"]
    assert data.catalogue.ids == ["B1", "B2"]
    assert data.interactions.headlines.to_list() == ["about B1", "a \ufffd", None]
    assert data.interactions.texts.to_list() == ["ok", None, None]


numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.integers(-(2**40), 2**40).map(float),
    st.integers(1, 10**12).map(lambda number: number / 1000),
)
values = st.one_of(
    st.none(), st.booleans(), numbers, st.text(st.characters(exclude_characters="\0"), max_size=8)
)


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.fixed_dictionaries({"a": values, "b": values}), min_size=1, max_size=5))
def test_lines_arrays_and_python_literals_read_alike(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("json")
    lines, array = folder / "lines.json", folder / "array.json"
    literals, pretty = folder / "literals.json", folder / "pretty.json"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    literals.write_text("".join(repr(row) + "\n" for row in rows), encoding="utf-8")
    array.write_text(json.dumps(rows))
    pretty.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    expected = json_lines.frame(lines, ["a", "b"], ids=[])
    for other in (array, pretty, literals):
        assert json_lines.frame(other, ["a", "b"], ids=[]).equals(expected)


def test_a_log_in_one_array(tmp_path: Path) -> None:
    rows = [review("u", "B1", 2, 2018), review("u", "B2", 1, 2018)]
    for text in (
        json.dumps(rows),
        json.dumps(rows, indent=1),
        "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n",
    ):
        (tmp_path / "Gift_5.json").write_text(text)
        data = read(tmp_path)
        assert data.report.layout == "amazon-2018"
        assert data.interactions.times.tolist() == [1, 2]
        (tmp_path / "Gift_5.json").write_text(text.rstrip()[:-3])
        with pytest.raises(DataError, match=r"line \d+ of Gift_5.json breaks its array of objects"):
            read(tmp_path)
        (tmp_path / "Gift_5.json").write_text(text + "x")
        with pytest.raises(DataError, match=r"Gift_5.json goes on after the end of the array"):
            read(tmp_path)
    (tmp_path / "Gift_5.json").write_text('[{"reviewerID": "u"},\n 5]')
    with pytest.raises(DataError, match=r"line 2 of Gift_5.json holds 5 where the file's array should hold"):
        read(tmp_path)
    (tmp_path / "Gift_5.json").write_text('{\n"reviewerID": "u"}\n')
    with pytest.raises(
        DataError, match=r"line 1 of Gift_5.json holds no JSON object: '\{'; write one object a"
    ):
        read(tmp_path)
