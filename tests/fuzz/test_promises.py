"""The promises of the README on catalogues and questions of chance: k items, known, unseen, allowed, each once."""

from __future__ import annotations

import os
import time
from itertools import count
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Interactions
from genrec.recommenders.answering import Ranking
from genrec.recommenders.base import Recommender, create, recommenders
from genrec.testing import interactions
from material import small_options

SECONDS = float(os.environ.get("GENREC_FUZZ_SECONDS", "180")) / 3
SEED = int(os.environ.get("GENREC_FUZZ_SEED", "0"))
QUESTIONS = 4  # of each fitted recommender
_WORDS = (
    "Comet",
    "Harbour",
    "the",
    "Ünder",
    "C++",
    "C#",
    "漢字",
    "7",
    "(1994)",
    "Part",
    "—",
    "&",
    "of",
    "of",
)
_GENRES = ("Drama", "War", "Comedy")


def drawn(rng: Random) -> Interactions:
    """3 to 40 items, also titled alike or one as the beginning of another, and 4 to 12 users."""
    num_items = rng.choice((3, 4, 6, 12, 40))
    titles = [" ".join(rng.choice(_WORDS) for _ in range(rng.randint(1, 4))) for _ in range(num_items)]
    genres = [rng.sample(_GENRES, rng.randint(0, 2)) for _ in range(num_items)]
    catalogue = Catalogue(
        pl.DataFrame(
            {
                "item_id": [f"i{item}" for item in range(num_items)],
                "title": titles,
                "genres": pl.Series(genres, dtype=pl.List(pl.String)),
            }
        )
    )
    walks = [[rng.randrange(num_items) for _ in range(rng.randint(1, 7))] for _ in range(rng.randint(4, 12))]
    return interactions(walks, catalogue)


def asked(rng: Random, model: Recommender) -> tuple[list[str], dict[str, Any], int]:
    """A question: history, filters and k."""
    ids = model.catalogue.ids
    history = [rng.choice(ids) for _ in range(rng.choice((0, 1, 3, 30)))]
    filters: dict[str, Any] = {}
    genres = [genre for genre in _GENRES if any(genre in own for own in model.catalogue.table["genres"])]
    if genres and rng.random() < 0.4:
        filters["only"] = {"genres": rng.choice(genres)}
    if rng.random() < 0.4:
        filters["exclude"] = rng.sample(ids, rng.randint(0, len(ids)))
    filters["exclude_seen"] = rng.random() < 0.8
    return history, filters, rng.choice((1, 2, 5, len(ids), len(ids) + 3))


def check(model: Recommender, history: list[str], filters: dict[str, Any], k: int, ranking: Ranking) -> None:
    """What a list has to hold, worked out from the catalogue alone."""
    table, found = model.catalogue.table, [item.item_id for item in ranking.items]
    allowed = set(table["item_id"]) - set(filters.get("exclude", ()))
    if filters["exclude_seen"]:
        allowed -= set(history)
    if "only" in filters:
        wanted = filters["only"]["genres"]
        allowed &= set(table.filter(pl.col("genres").list.contains(wanted))["item_id"])
    assert len(set(found)) == len(found)
    assert set(found) <= allowed
    assert len(found) == min(k, len(allowed))
    titles = dict(zip(model.catalogue.ids, model.catalogue.titles, strict=True))
    assert all(item.title == titles[item.item_id] for item in ranking.items)
    scores = [item.score for item in ranking.items]
    assert np.isfinite(scores).all()
    assert scores == sorted(scores, reverse=True)


def hold_on(name: str, number: int) -> None:
    """Fit a recommender on data of chance, and ask it some questions."""
    rng = Random(f"{SEED}/promises/{name}/{number}")
    told = f"GENREC_FUZZ_SEED={SEED}, {name}, number {number}"
    data = drawn(rng)
    model = create(name, **small_options(name)).fit(data)
    for _ in range(QUESTIONS):
        history, filters, k = asked(rng, model)
        (ranking,) = model.recommend([history], k, **filters)
        try:
            check(model, history, filters, k, ranking)
        except AssertionError as error:
            raise AssertionError(f"{told}: {history}, {filters}, k={k}: {ranking}") from error


@pytest.mark.parametrize("name", ["itemknn", "popular", "tfidf", "genrec"])
def test_the_first_catalogues(name: str) -> None:
    for number in range(2):
        hold_on(name, number)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(recommenders()))
def test_lists_hold_what_is_promised(name: str) -> None:
    share, start = SECONDS / len(recommenders()), time.monotonic()
    for tried in count():
        if tried >= 2 and time.monotonic() - start > share:
            break
        hold_on(name, tried)
    print(f"{name}: {tried} catalogues, {QUESTIONS * tried} lists")
