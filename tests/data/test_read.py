"""`genrec.read`: counts on real data, order, report, titles, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from genrec.data.read import read
from genrec.data.readers import LAYOUTS
from genrec.errors import CatalogueError, ConfigError, DataError

SharedData = Callable[[str], Path]

RATINGS = """user,item,time,stars
b,i2,20,4
a,i1,30,5
a,i2,10,3
a,i3,10,1
b,i1,40,5
a,i2,50,2
"""
ITEMS = """item,title,genres
i3,Cat,Drama|War
i1,Bee,Comedy
i2,Ant &amp; Uncle,
i9,Dog,Drama
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "items.csv").write_text(ITEMS)
    return tmp_path / "ratings.csv", tmp_path / "items.csv"


COUNTS = {
    "ml-latest-small": (610, 9_724, 9_742, 100_836, "movielens-csv"),
    "ml-100k": (943, 1_682, 1_682, 100_000, "movielens-100k"),
    "ml-1m": (6_040, 3_706, 3_883, 1_000_209, "sequences"),
    "amazon2014_beauty": (22_363, 12_101, 12_101, 198_502, "sequences"),
    "amazon2014_toys": (19_412, 11_924, 11_924, 167_597, "sequences"),
    "amazon2018_gift_cards": (458, 148, 1_547, 2_972, "amazon-2018"),
    "amazon2014_instruments_reviews": (1_429, 900, 900, 10_261, "amazon-2014"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_public_data(name: str, shared_data: SharedData) -> None:
    num_users, num_items, num_listed, num_interactions, layout = COUNTS[name]
    summary = read(shared_data(name)).summary()
    assert summary["layout"] == layout
    assert (summary["num_users"], summary["num_items"]) == (num_users, num_items)
    assert (summary["num_listed_items"], summary["num_interactions"]) == (num_listed, num_interactions)
    assert summary["rows"] == num_interactions
    assert sum(summary["dropped"].values()) == 0
    assert summary["name"] == name
    assert summary["has_titles"] == (name != "amazon2014_instruments_reviews")


def test_every_layout_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert [name for name in LAYOUTS if f"| `{name}` |" not in page] == []


def test_titles_of_public_data(shared_data: SharedData) -> None:
    beauty = read(shared_data("amazon2014_beauty"))
    assert len(beauty.catalogue) - len(set(beauty.catalogue.titles)) == beauty.report.repeated_titles == 28
    assert beauty.report.decoded_entities == 2
    cards = read(shared_data("amazon2018_gift_cards")).catalogue
    assert "Applebee's Gift Card" in cards.titles
    assert cards.table.schema["price"] == pl.Float64
    assert cards.where("brand", "Amazon").sum() > 10


def test_public_sequences_keep_their_order(shared_data: SharedData) -> None:
    data = read(shared_data("amazon2014_beauty"))
    second = data.interactions.users.to_list().index("2")
    history = data.interactions.histories[second]
    assert [data.catalogue.ids[item] for item in history] == ["6", "7", "8", "9", "10", "4", "11"]
    assert data.interactions.times is None


def test_part_of_movielens_1m(shared_data: SharedData) -> None:
    data = read(shared_data("ml-1m") / "ratings_partial.dat.gz")
    assert data.interactions.num_interactions == 60_400
    assert data.report.layout == "movielens-1m"
    row = data.catalogue.resolve("One Flew Over the Cuckoo's Nest (1975)")
    assert data.catalogue.ids[row] == "1193"
    first = data.interactions.users.to_list().index("1")
    assert 978_300_760 in data.interactions.times[: data.interactions.histories.offsets[first + 1]]


def test_order_and_values(files: tuple[Path, Path]) -> None:
    data = read(*files)
    interactions, ids = data.interactions, data.catalogue.ids
    assert interactions.users.to_list() == ["a", "b"]
    # i2 and i3 share the time 10 and stay in the order of their rows; i2 comes back at 50.
    assert [[ids[item] for item in history] for history in interactions.histories] == [
        ["i2", "i3", "i1", "i2"],
        ["i2", "i1"],
    ]
    assert interactions.times.tolist() == [10, 10, 30, 50, 20, 40]
    assert interactions.ratings.tolist() == [3, 1, 5, 2, 4, 5]
    assert any("1 interactions share their time" in note for note in data.report.notes)


def test_catalogue_is_what_was_taken_by_title(files: tuple[Path, Path]) -> None:
    data = read(*files)
    assert data.catalogue.titles == ["Ant & Uncle", "Bee", "Cat"]
    assert data.catalogue.table["genres"].to_list() == [[], ["Comedy"], ["Drama", "War"]]
    summary = data.summary()
    assert (summary["num_items"], summary["num_listed_items"]) == (3, 4)
    assert data.report.decoded_entities == 1
    all_listed = read(*files, unrated=True)
    assert all_listed.catalogue.titles == ["Ant & Uncle", "Bee", "Cat", "Dog"]
    assert all_listed.summary()["num_items"] == 3


def test_catalogue_does_not_depend_on_who_took_what_when(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": ["a"] * 4, "item": ["4", "1", "3", "2"], "time": [1, 2, 3, 4]})
    other = rows.with_columns(time=pl.Series([4, 3, 2, 1]), user=pl.Series(["z", "y", "a", "a"])).reverse()
    assert read(rows).catalogue.ids == read(other).catalogue.ids == ["1", "2", "3", "4"]


def test_frames(files: tuple[Path, Path]) -> None:
    expected = read(*files).fingerprint
    polars_frame, items = pl.read_csv(files[0]), pl.read_csv(files[1])
    assert read(polars_frame, items).fingerprint == expected
    assert read(polars_frame.lazy(), items).fingerprint == expected
    assert read(pd.read_csv(files[0]), pd.read_csv(files[1])).fingerprint == expected
    assert read(polars_frame, files[1], name="mine").name == "mine"
    with pytest.raises(DataError, match=r"dict is neither a path nor"):
        read({"user": [1]})


def test_duplicates(tmp_path: Path) -> None:
    rows = [
        ("a", "x", 1, 5, "fine"),
        ("a", "x", 1, 5, "fine"),
        ("a", "x", 1, 4, "fine"),
        ("a", "x", 2, 5, "fine"),
    ]
    rows += [("a", "y", 1, 5, "fine"), ("b", "x", 1, 5, "fine"), ("a", "x", 1, 5, "fine")]
    data = read(pl.DataFrame(rows, schema=["user", "item", "time", "rating", "text"], orient="row"))
    assert data.report.dropped["duplicate"] == 2
    assert data.interactions.num_interactions == 5
    assert data.interactions.texts.to_list() == ["fine"] * 5


def test_duplicates_against_brute_force() -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({name: rng.integers(0, 4, 500) for name in ("user", "item", "time", "rating")})
    assert read(frame).interactions.num_interactions == frame.unique().height


def test_untitled(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,time\na,x,1\na,y,2\na,z,3\nb,y,4\n")
    (tmp_path / "items.csv").write_text("item,title\nx,Ex\ny, \n")
    ratings, items = tmp_path / "ratings.csv", tmp_path / "items.csv"
    with pytest.raises(
        CatalogueError, match=r"item 'y' has no title \(row 2 of items.csv\); 2 items have none: .*drop"
    ):
        read(ratings, items)
    dropped = read(ratings, items, untitled="drop")
    assert dropped.report.dropped["no title"] == 3
    assert dropped.catalogue.ids == ["x"]
    called = read(ratings, items, untitled="id")
    assert called.catalogue.titles == ["Ex", "y", "z"]
    assert any("the titles of 2 items without one" in note for note in called.report.notes)
    with pytest.raises(ConfigError, match=r"untitled='skip': choose one of error, drop, id"):
        read(ratings, items, untitled="skip")


def test_unlisted_item_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,time\na,x,1\na,q,2\n")
    (tmp_path / "items.csv").write_text("item,title\nx,Ex\n")
    with pytest.raises(CatalogueError, match=r"item 'q' \(row 2 of ratings.csv\) is not listed in items.csv"):
        read(tmp_path / "ratings.csv", tmp_path / "items.csv")


def test_an_untitled_item_that_is_filtered_out_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,time,rating\na,x,1,5\na,q,2,1\n")
    (tmp_path / "items.csv").write_text("item,title\nx,Ex\n")
    data = read(tmp_path / "ratings.csv", tmp_path / "items.csv", min_rating=3)
    assert data.catalogue.titles == ["Ex"]


def test_titles_are_cleaned_and_repeats_counted() -> None:
    titles = ["A  long\n title&#8482 ", "Tom &amp;amp; Jerry", "R&Dagger", "same", "same"]
    ids = [f"i{number}" for number in range(5)]
    data = read(
        pl.DataFrame({"user": ["a"] * 5, "item": ids, "time": range(5)}),
        pl.DataFrame({"id": ids, "name": titles}).rename({"id": "item"}),
    )
    assert data.catalogue.titles == ["A long title™", "R&Dagger", "Tom & Jerry", "same", "same"]
    assert (data.report.decoded_entities, data.report.repeated_titles) == (2, 1)


def test_titles_from_a_column_of_the_log() -> None:
    frame = pl.DataFrame(
        {"user": ["a", "a", "b"], "item": [1, 2, 1], "title": ["One", "Two", None], "time": [1, 2, 3]}
    )
    data = read(frame)
    assert data.catalogue.titles == ["One", "Two"]
    assert data.catalogue.titled


def test_no_titles_at_all() -> None:
    data = read(pl.DataFrame({"user": [1, 1], "item": [7, 8], "time": [1, 2]}))
    assert data.catalogue.titles == ["7", "8"]
    assert not data.catalogue.titled
    assert any("no titles" in note for note in data.report.notes)


def test_items_listed_twice() -> None:
    items = pl.DataFrame({"item_id": ["x", "x"], "title": ["First", "Second"]})
    data = read(pl.DataFrame({"user": ["a"], "item": ["x"], "time": [1]}), items)
    assert data.catalogue.titles == ["First"]
    assert any("lists items again in 1 row;" in note for note in data.report.notes)


def test_filters_are_reported(files: tuple[Path, Path]) -> None:
    data = read(*files, min_rating=2, min_history=3)
    assert data.report.dropped == {"duplicate": 0, "rating below 2": 1, "outside the history of 3": 2}
    assert data.interactions.users.to_list() == ["a"]
    assert data.catalogue.ids == ["i2", "i1"]


def test_dropped_rows_have_reasons(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "user,item,time,rating\na,x,1,5\n,x,2,5\na,,3,5\na,x,,5\na,x,5,good\na,x,6,\n"
    )
    data = read(tmp_path / "r.csv")
    assert data.report.rows == 6
    assert data.report.dropped == {"no user": 1, "no item": 1, "no time": 1, "duplicate": 0}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": "nowhere.csv"}, DataError, r"there is no file or folder .*nowhere.csv$"),
        (
            {"source": "rating.csv"},
            DataError,
            r"there is no file or folder .*rating.csv; did you mean .*ratings.csv\?",
        ),
        (
            {"source": "ratings.csv", "layout": "netflix"},
            ConfigError,
            "no layout 'netflix'; choose one of movielens-100k",
        ),
        (
            {"source": "ratings.csv", "layout": "yelp"},
            DataError,
            "is not in the layout yelp, which is yelp_academic",
        ),
        ({"source": "ratings.csv", "items": "none.csv"}, DataError, "there is no file of items .*none.csv"),
        ({"source": "empty.csv"}, DataError, "empty.csv is empty"),
        ({"source": "header.csv"}, DataError, "header.csv is empty"),
        ({"source": "."}, DataError, r"is in no known layout \(it holds empty.csv, header.csv"),
        ({"source": "notes.txt"}, DataError, "notes.txt is in no known layout: give a CSV"),
        (
            {"source": "ratings.csv", "columns": {"user_id": "usr"}},
            DataError,
            "no column 'usr' .*mean 'user'.*; it has user, item",
        ),
        (
            {"source": "ratings.csv", "columns": {"rating": "starz"}},
            DataError,
            "no column 'starz'.*mean 'stars'",
        ),
        (
            {"source": "ratings.csv", "columns": {"person": "user"}},
            ConfigError,
            "the roles user_id, .*, not 'person'",
        ),
        ({"source": "ratings.csv", "columns": {"title": "nom"}}, DataError, "no column 'nom' for titles"),
        ({"source": "ratings.csv", "k_core": 0}, ConfigError, "k_core=0: give a number of interactions"),
        ({"source": "ratings.csv", "k_core": 9}, DataError, "the filters leave nothing of 6 interactions"),
    ],
)
def test_mistakes_get_one_clear_line(
    arguments: dict[str, object],
    error: type[Exception],
    message: str,
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("user,item,time\n")
    (tmp_path / "notes.txt").write_text("hello\n")
    given = {
        key: tmp_path / str(value) if key in ("source", "items") else value
        for key, value in arguments.items()
    }
    with pytest.raises(error, match=message) as caught:
        read(**given)
    assert "\n" not in str(caught.value)
