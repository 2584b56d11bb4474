"""The catalogue: finding items by id, title and field; adding items."""

from __future__ import annotations

import difflib
import unicodedata
from typing import Any

import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.errors import CatalogueError, ConfigError, UnknownItemError
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def films() -> Catalogue:
    return Catalogue.from_lists(
        ["10", "20", "30", "40"],
        ["Toy Story (1995)", "Heat (1995)", "Élan: A Story", "heat 1995"],
        genres=[["Children's", "Comedy"], ["Crime"], None, []],
        year=[1995, 1995, None, 1996],
    )


def test_lookup_by_id_and_title(films: Catalogue) -> None:
    assert len(films) == 4
    assert films.get("20") == films.get(20) == 1
    assert films.get("Toy Story (1995)") is None
    assert films.resolve(30) == 2
    assert films.resolve("toy story 1995") == 0
    assert films.resolve("ÉLAN, a story") == 2
    assert films.rows(["40", "Toy Story (1995)"]) == [3, 0]


def test_an_id_goes_before_a_title() -> None:
    catalogue = Catalogue.from_lists(["1984", "2"], ["Brave New World", "1984"])
    assert catalogue.resolve("1984") == 0


def test_titles_that_several_items_share(films: Catalogue) -> None:
    with pytest.raises(
        UnknownItemError, match=r"2 items are called 'HEAT \(1995\)'; give one of the ids 20, 40"
    ):
        films.resolve("HEAT (1995)")
    again = Catalogue.from_lists(["1", "2"], ["Solaris", "Solaris"])
    with pytest.raises(UnknownItemError, match=r"2 items are called 'Solaris'; give one of the ids 1, 2"):
        again.resolve("Solaris")


def test_an_exact_title_goes_before_those_that_only_look_like_it(films: Catalogue) -> None:
    assert films.resolve("Heat (1995)") == 1
    assert films.resolve("heat 1995") == 3
    books = Catalogue.from_lists(list("12345678"), ["F#", "F", "f", "F.", "***", "*", "Éa", "E\u0301a!"])
    for row, title in enumerate(books.titles):
        assert books.resolve(title) == row
    assert books.resolve("E\u0301a") == 6  # the same letters, written in another way
    with pytest.raises(UnknownItemError, match=r"2 items are called 'éa'; give one of the ids 7, 8"):
        books.resolve("éa")
    with pytest.raises(UnknownItemError, match=r"no id or title '\*\*'"):
        books.resolve("**")


@given(st.text(min_size=1).filter(str.strip))
def test_every_title_finds_its_item_however_unicode_writes_it(title: str) -> None:
    shelf = Catalogue.from_lists(["1", "2"], ["Something else entirely", title])
    if title in ("1", "2", "Something else entirely"):
        return
    for form in ("NFC", "NFD"):
        assert shelf.resolve(unicodedata.normalize(form, title)) == 1


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("ﬁne ﬂour", "Fine Flour"),
        ("STRASSE", "Straße"),
        ("cafe\u0301 noir", "Café-Noir"),
        ("ｗｉｄｅ 1", "Wide 1"),
    ],
)
def test_near_spellings_meet(name: str, title: str) -> None:
    assert Catalogue.from_lists(["x"], [title]).resolve(name) == 0


def test_vowel_signs_tell_words_apart() -> None:
    words = Catalogue.from_lists(["a", "b"], ["कि ताब", "की ताब"])
    assert words.resolve("कि  ताब") == 0


def test_a_name_that_is_an_id_and_a_title_is_told() -> None:
    shelf = Catalogue.from_lists(["300", "301", "302", "9"], ["Gladiator", "300", "300", "9"])
    assert shelf.resolve("300") == 0
    (told,) = shelf.notes(["300", "Gladiator", "9", 300])
    assert told == "'300' is taken as the id of 'Gladiator'; what is called so has the id 301, 302"


def test_a_single_name_is_no_list(films: Catalogue) -> None:
    with pytest.raises(ConfigError, match="wrap '10' in a list"):
        films.rows("10")


def test_unknown_titles_get_the_nearest(films: Catalogue) -> None:
    with pytest.raises(
        UnknownItemError, match=r"4 items has no id or title 'Toy Storry'; did you mean 'Toy Story"
    ):
        films.resolve("Toy Storry")
    assert films.nearest_titles("hate (1995)")[0] in ("Heat (1995)", "heat 1995")
    assert films.nearest_titles("a tale of elan")[0] == "Élan: A Story"
    assert films.nearest_titles("?!") == []
    with pytest.raises(UnknownItemError, match=r"has no id or title '\?!'$"):
        films.resolve("?!")


def test_where(films: Catalogue) -> None:
    assert films.where("genres", "Comedy").tolist() == [True, False, False, False]
    assert films.where("year", "1995").tolist() == [True, True, False, False]
    with pytest.raises(ConfigError, match=r"no field 'kind'; they have item_id, title, genres, year"):
        films.where("kind", "Comedy")
    with pytest.raises(ConfigError, match=r"no item has genres='Comdy'; for example 'Comedy'"):
        films.where("genres", "Comdy")
    with pytest.raises(ConfigError, match=r"no item has year='2050'"):
        films.where("year", "2050")


def test_bars_in_a_field_of_another_name_are_told() -> None:
    things = Catalogue.from_lists(["1", "2"], ["Rake", "Lamp"], shelf=["Garden|Tools", "House"])
    assert things.where("shelf", "Garden|Tools").tolist() == [True, False]
    with pytest.raises(
        ConfigError, match=r"no item has shelf='Tools'.*bars part values in columns called genres"
    ):
        things.where("shelf", "Tools")
    with pytest.raises(ConfigError) as told:
        things.where("shelf", "Tool")
    assert "bars" not in str(told.value)


def test_with_items(films: Catalogue) -> None:
    new = pl.DataFrame({"item_id": ["50", "20"], "title": ["New", "Heat, restored"]})
    changed = films.with_items(new)
    assert changed.ids == ["10", "20", "30", "40", "50"]
    assert changed.titles == ["Toy Story (1995)", "Heat, restored", "Élan: A Story", "heat 1995", "New"]
    assert changed.table["year"].to_list() == [1995, 1995, None, 1996, None]
    assert films.titles[1] == "Heat (1995)"  # the old one stays as it was
    assert changed.titled


def test_rows_and_fields_do_not_tell_in_which_order_they_came(films: Catalogue) -> None:
    one = pl.DataFrame({"item_id": ["5"], "title": ["Five"], "sound": ["mono"]})
    other = pl.DataFrame({"item_id": ["1", "20"], "title": ["One", "Heat"], "land": ["PL", "US"]})
    grown = films.with_items(one, films).with_items(other, films)
    assert grown.ids == ["10", "20", "30", "40", "1", "5"]
    assert grown.table.columns == [*films.table.columns, "land", "sound"]
    assert grown.table.equals(films.with_items(other, films).with_items(one, films).table)


def test_malformed_items() -> None:
    with pytest.raises(
        CatalogueError, match=r"the items have the columns id, title, without item_id: rename or add"
    ):
        Catalogue(pl.DataFrame({"id": ["1"], "title": ["A"]}))
    with pytest.raises(CatalogueError, match=r"the item id '1' is in several rows"):
        Catalogue.from_lists(["1", "1"], ["A", "B"])


def test_a_hint_compares_no_more_texts_than_take_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(word: str, candidates: list[str], **options: Any) -> list[str]:
        compared.append(len(candidates))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", compare)
    names = [f"film{row}" for row in range(30_000)]
    catalogue = Catalogue.from_lists(names, names)
    with pytest.raises(ConfigError, match="for example"):
        catalogue.where("title", "a film")
    with pytest.raises(UnknownItemError):
        catalogue.resolve("some film")
    assert compared == [20_000, 20_000]
