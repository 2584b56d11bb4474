"""The catalogue: finding items by id, title and field; adding items."""

from __future__ import annotations

import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.errors import CatalogueError, ConfigError, UnknownItemError


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
        UnknownItemError, match=r"2 items are called 'Heat \(1995\)'; give one of the ids 20, 40"
    ):
        films.resolve("Heat (1995)")


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
    with pytest.raises(ConfigError, match=r"no field 'genre'; they have item_id, title, genres, year"):
        films.where("genre", "Comedy")
    with pytest.raises(ConfigError, match=r"no item has genres='Comdy'; for example 'Comedy'"):
        films.where("genres", "Comdy")
    with pytest.raises(ConfigError, match=r"no item has year='2050'"):
        films.where("year", "2050")


def test_with_items(films: Catalogue) -> None:
    new = pl.DataFrame({"item_id": ["50", "20"], "title": ["New", "Heat, restored"]})
    changed = films.with_items(new)
    assert changed.ids == ["10", "20", "30", "40", "50"]
    assert changed.titles == ["Toy Story (1995)", "Heat, restored", "Élan: A Story", "heat 1995", "New"]
    assert changed.table["year"].to_list() == [1995, 1995, None, 1996, None]
    assert films.titles[1] == "Heat (1995)"  # the old one stays as it was
    assert changed.titled


def test_malformed_items() -> None:
    with pytest.raises(
        CatalogueError, match=r"the items have the columns id, title, without item_id: rename or add"
    ):
        Catalogue(pl.DataFrame({"id": ["1"], "title": ["A"]}))
    with pytest.raises(CatalogueError, match=r"the item id '1' is in several rows"):
        Catalogue.from_lists(["1", "1"], ["A", "B"])
