"""Ranking by text against its definition, written out slowly."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import log, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.read import read
from genrec.errors import CatalogueError, ConfigError
from genrec.evaluation.protocol import evaluate
from genrec.recommenders.base import create, load
from genrec.recommenders.tfidf import Tfidf
from genrec.testing import toys

TITLES = [
    "Red Nail Polish",
    "Blue nail polish, polish & more!",
    "Shampoo",
    "Red Shampoo",
    "Ægir's Oil",
    "???",
    "Brush",
]
BRANDS = ["Opi", "Opi", None, "Lush", "Lush", "Nobody", None]
TAGS = [["Nails"], ["Nails", "Gift Set"], ["Hair"], None, ["Hair", None], [], ["Tools"]]
SHOP = "Beauty"  # a word of every item says nothing
NUM_ITEMS = len(TITLES)


def interactions(walks: list[list[int]], items: Catalogue | None = None) -> Interactions:
    if items is None:
        fields = {"brand": BRANDS, "tags": TAGS, "year": list(range(NUM_ITEMS)), "shop": [SHOP] * NUM_ITEMS}
        items = toys.catalogue(TITLES, **fields)
    return toys.interactions(walks, items)


def words(row: int) -> list[str]:
    tags = [tag for tag in TAGS[row] or [] if tag]
    return re.findall(r"\w+", " ".join([TITLES[row], BRANDS[row] or "", *tags, SHOP]).casefold())


def rarity(word: str) -> float:
    holders = sum(word in words(row) for row in range(NUM_ITEMS))
    return max(0.0, log((NUM_ITEMS - holders + 0.5) / (holders + 0.5)))


def bm25(query: int, answer: int) -> float:
    text = words(answer)
    mean_length = sum(len(words(row)) for row in range(NUM_ITEMS)) / NUM_ITEMS
    damping = 1.5 * (1 - 0.6 + 0.6 * len(text) / mean_length)
    return sum(
        rarity(word) * text.count(word) * 2.5 / (text.count(word) + damping)
        for word in set(words(query)) & set(text)
    )


def cosine(query: int, answer: int) -> float:
    def vector(row: int) -> dict[str, float]:
        weights = {word: (1 + log(words(row).count(word))) * rarity(word) for word in words(row)}
        norm = sqrt(sum(weight**2 for weight in weights.values())) or 1
        return {word: weight / norm for word, weight in weights.items()}

    one, other = vector(query), vector(answer)
    return sum(one[word] * other.get(word, 0) for word in one)


@pytest.mark.parametrize(("weighting", "similarity"), [("bm25", bm25), ("tfidf", cosine)])
@pytest.mark.parametrize("history", [[0], [2, 1], [4, 0, 4, 3], [5], []])
def test_scores_follow_the_definition(
    weighting: str, similarity: Callable[[int, int], float], history: list[int]
) -> None:
    model = Tfidf(weighting=weighting, saturation=1.5, length_penalty=0.6, decay=0.5)
    found = model.fit(interactions([[0, 6], [6]]))._score(Histories.from_lists([history]))[0]
    weights = [0.5**place for place in reversed(range(len(history)))]
    for answer, popularity in enumerate([1 / 3, 0, 0, 0, 0, 0, 2 / 3]):
        score = sum(w * similarity(query, answer) for w, query in zip(weights, history, strict=True))
        expected = score / sum(weights) if score > 0 else popularity - 1
        assert found[answer] == pytest.approx(expected, rel=1e-5)


def test_text_is_the_title_and_every_field_of_words() -> None:
    assert interactions([]).catalogue.text_fields == ["title", "brand", "tags", "shop"]
    model = Tfidf().fit(interactions([[6]]))
    found = {name: [item.title for item in model.recommend([[name]], k=3)[0].items] for name in ("i2", "i4")}
    assert found["i2"] == ["Red Shampoo", "Ægir's Oil", "Brush"]  # by the title, by the tag, by popularity
    assert set(found["i4"][:2]) == {"Red Shampoo", "Shampoo"}  # by the brand, by the tag


def test_the_last_item_decides_and_who_shares_no_word_gets_what_is_popular() -> None:
    model = Tfidf(decay=0.2).fit(interactions([[6, 3], [6, 3], [6]]))
    assert model.recommend([["i2", "i0"]], k=1)[0].items[0].item_id == "i1"
    assert model.recommend([["i0", "i2"]], k=1)[0].items[0].item_id == "i3"
    for history in ([], ["i5"]):
        found = [item.item_id for item in model.recommend([history], k=2)[0].items]
        assert found == ["i6", "i3"]


@pytest.mark.parametrize("weighting", ["bm25", "tfidf"])
def test_a_new_item_is_found_by_its_text_alone(weighting: str, tmp_path: Path) -> None:
    model = Tfidf(weighting=weighting).fit(interactions([[0, 1], [2, 3]]))
    model.add_items(pl.DataFrame({"item_id": ["new", "i6"], "title": ["Nail Brush Deluxe", "Deluxe Pen"]}))
    for asked in (model, load(model.save(tmp_path / weighting))):
        assert (
            asked.recommend([["new"]], k=1)[0].items[0].item_id == "i6"
        )  # renamed, and known by the new name
        assert asked.recommend([["i6"]], k=1)[0].items[0].item_id == "new"


def test_items_without_titles_are_refused() -> None:
    bare = Catalogue(pl.DataFrame({"item_id": ["a", "b"], "title": ["a", "b"]}), titled=False)
    with pytest.raises(CatalogueError, match="these 2 items have only ids: read the data with titles"):
        Tfidf().fit(interactions([[0, 1]], bare))


@pytest.mark.parametrize("options", [{"weighting": "lucene"}, {"length_penalty": 1.5}, {"decay": 0}])
def test_options_outside_their_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        Tfidf(**options)


def test_films_that_read_alike_are_no_accident(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("ml-100k"))
    model = create("tfidf").fit(data.train)
    assert (
        model.recommend([["Star Trek: First Contact (1996)"]], k=3)[0].items[0].title.startswith("Star Trek")
    )
    hr = evaluate(model.rank, data.validation, unfiltered=False).metrics["HR@10"]
    assert hr > 5 * 10 / data.train.num_items  # several times what chance finds
    scores = model.rank(data.validation.histories.take(np.arange(50)), 10).scores_BK
    assert np.isfinite(scores).all()
