"""Titles in a log: the items', or headlines of reviews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genrec.data.read import read
from hypothesis import given, settings
from hypothesis import strategies as st


def reviews(titles: list[str | None], items: str, **more: Any) -> pl.DataFrame:
    """A row for each title, of the items whose names are the letters of `items`."""
    size = len(titles)
    columns: dict[str, Any] = {
        "user_id": [f"u{n}" for n in range(size)],
        "item": list(items),
        "title": titles,
    }
    columns |= {"time": [1_700_000_000 + n for n in range(size)]}
    return pl.DataFrame(columns | more)


def test_a_title_that_varies_for_most_items_is_the_headline() -> None:
    log = reviews(["Good", "Bad", "Fine", "So so", "Once"], "aabbc")
    data = read(log)
    assert not data.catalogue.titled
    assert data.catalogue.titles == ["a", "b", "c"]
    assert data.interactions.headlines.to_list() == ["Good", "Bad", "Fine", "So so", "Once"]
    assert any(
        "column 'title' of the frame is taken as the headline of reviews, not as the items' title (2 of 2 items with "
        "several rows have several): say --column title=title" in note
        for note in data.report.notes
    )
    asked = read(log, columns={"title": "title"})
    assert asked.catalogue.titles == ["Fine", "Good", "Once"]
    assert any(
        "2 items have several titles in column 'title' of the frame; the first counts" in note
        for note in asked.report.notes
    )


def test_items_with_several_titles_are_counted() -> None:
    data = read(
        reviews(["Red pot", "Pot, red", "Lid", " Lid ", "Salt &amp; oil", "Salt & oil", None], "aabbccc")
    )
    assert data.catalogue.titles == ["Lid", "Red pot", "Salt & oil"]
    assert any("1 item has several titles in column 'title'" in note for note in data.report.notes)
    assert data.interactions.headlines is None


@pytest.mark.parametrize(
    ("titles", "titled"),
    [
        (["Good", "Good", "Good", "Good"], False),  # the same words for all items
        (["Good", "Bad", "Pan", "Pan"], False),
        (["Pot", "Pot", "Pan", "Pan"], True),  # merged with the metadata
    ],
)
def test_amazons_reviews_as_a_table(titles: list[str], titled: bool, tmp_path: Path) -> None:
    log = reviews(titles, "aabb", text="words", rating=5.0).rename({"item": "parent_asin"})
    log = log.with_columns(pl.col("parent_asin").alias("asin"), helpful_vote=0)
    log.write_csv(tmp_path / "reviews.csv")
    log.write_parquet(tmp_path / "reviews.parquet")
    for source in (log, tmp_path / "reviews.csv", tmp_path / "reviews.parquet"):
        data = read(source)
        assert data.catalogue.titled == titled
        assert (data.interactions.headlines is None) == titled
    items = pl.DataFrame({"parent_asin": ["a", "b"], "title": ["Pot", "Pan"]})
    assert read(tmp_path / "reviews.csv", items).catalogue.titles == ["Pan", "Pot"]
    assert (read(tmp_path / "reviews.csv", items).interactions.headlines is None) == titled


def test_a_log_with_headlines_keeps_them() -> None:
    data = read(reviews(["Good", "Bad"], "aa", headline=["Own", "words"]))
    assert data.interactions.headlines.to_list() == ["Own", "words"]
    assert data.catalogue.titles == ["a"]


def test_titles_of_the_log_stand_in_for_items_without_any() -> None:
    items = pl.DataFrame({"item": ["a", "b", "z"], "genres": ["War", "Art", "Art"]})
    data = read(reviews(["Ann", "Bo"], "ab"), items)
    assert data.catalogue.titles == ["Ann", "Bo"]
    assert data.catalogue.table["genres"].to_list() == [["War"], ["Art"]]
    assert any(
        "the frame of items has no titles: they are from the column of the frame" in note
        for note in data.report.notes
    )


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])), min_size=1, max_size=12
    )
)
def test_an_items_title_is_one_of_its_own(rows: list[tuple[str, str | None]]) -> None:
    data = read(reviews([title for _, title in rows], "".join(item for item, _ in rows)), untitled="id")
    own: dict[str, list[str]] = {}
    for item, title in rows:
        own.setdefault(item, []).extend([title] if title else [])
    varied = sum(len(set(titles)) > 1 for titles in own.values())
    repeated = sum(len(titles) > 1 for titles in own.values())
    headlines = 2 * varied > repeated
    for item, title in zip(data.catalogue.ids, data.catalogue.titles, strict=True):
        assert title == (item if headlines or not own[item] else own[item][0])
    assert any("several titles" in note for note in data.report.notes) == (varied > 0 and not headlines)
