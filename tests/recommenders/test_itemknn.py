"""Item-kNN against its definition, written out slowly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Histories
from genrec.data.read import read
from genrec.evaluation.protocol import evaluate
from genrec.recommenders import itemknn
from genrec.recommenders.base import create
from genrec.recommenders.itemknn import ItemKNN
from genrec.testing import interactions
from hypothesis import given, settings
from hypothesis import strategies as st

NUM_ITEMS = 7
lists = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=6), min_size=1, max_size=12)


def slow_scores(walks: list[list[int]], history: list[int], model: ItemKNN) -> np.ndarray:
    """Scores (num_items,) by loops over the definition."""
    config, takers = (
        model.config,
        [{u for u, walk in enumerate(walks) if i in walk} for i in range(NUM_ITEMS)],
    )
    scores = np.zeros(NUM_ITEMS)
    for place, item in enumerate(reversed(history)):
        similar = {}
        for other in range(NUM_ITEMS):
            both = len(takers[item] & takers[other])
            if other != item and both:
                similar[other] = both / (np.sqrt(len(takers[item]) * len(takers[other])) + config.shrink)
        nearest = sorted(similar, key=lambda other: (-np.float32(similar[other]), other))[
            : config.num_neighbours
        ]
        for other in nearest:
            scores[other] += config.decay**place * similar[other]
    counts = np.bincount([item for walk in walks for item in walk], minlength=NUM_ITEMS)
    return np.where(scores > 0, scores, counts / (counts.max() + 1) - 1)


@settings(max_examples=60, deadline=None)
@given(walks=lists, history=st.lists(st.integers(0, NUM_ITEMS - 1), max_size=5))
def test_scores_follow_the_definition(walks: list[list[int]], history: list[int]) -> None:
    model = ItemKNN(num_neighbours=NUM_ITEMS, shrink=1.5, decay=0.7).fit(interactions(walks, NUM_ITEMS))
    found = model._score(Histories.from_lists([history]))
    np.testing.assert_allclose(found[0], slow_scores(walks, history, model), rtol=1e-5)


def test_only_the_nearest_neighbours_count_and_ties_keep_the_first() -> None:
    walks = [[0, 1], [0, 1], [0, 2], [0, 3], [0, 4]]
    model = ItemKNN(num_neighbours=2, shrink=0, decay=1).fit(interactions(walks, NUM_ITEMS))
    scores = model._score(Histories.from_lists([[0]]))[0]
    assert (scores[[1, 2]] > 0).all()  # 1 is nearest; 2, 3 and 4 tie
    assert (scores[[3, 4]] < 0).all()


def test_blocks_do_not_change_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    walks = np.random.default_rng(0).integers(0, 40, (60, 5)).tolist()
    whole = ItemKNN(num_neighbours=6).fit(interactions(walks, 40)).neighbours_II_.toarray()
    monkeypatch.setattr(itemknn, "BLOCK_PAIRS", 120)  # three items at a time
    blocks = ItemKNN(num_neighbours=6).fit(interactions(walks, 40)).neighbours_II_.toarray()
    np.testing.assert_array_equal(whole, blocks)
    assert (np.count_nonzero(whole, axis=1) <= 6).all()


def test_shrinkage_trusts_frequent_pairs_more() -> None:
    # 1 was taken with 0 once in one time, 2 nine times in ten.
    walks = [[0, 1]] + [[0, 2]] * 9 + [[2]]
    first = {
        shrink: ItemKNN(shrink=shrink)
        .fit(interactions(walks, NUM_ITEMS))
        .recommend([["i0"]], k=1)[0]
        .items[0]
        .item_id
        for shrink in (0, 10)
    }
    assert first[10] == "i2"
    model = (
        ItemKNN(shrink=0).fit(interactions(walks, NUM_ITEMS)),
        ItemKNN(shrink=10).fit(interactions(walks, NUM_ITEMS)),
    )
    ratio = [one.neighbours_II_[[0], [1]][0] / one.neighbours_II_[[0], [2]][0] for one in model]
    assert ratio[1] < ratio[0] / 2


def test_decay_lets_the_last_item_decide() -> None:
    walks = [[0, 1]] * 3 + [[2, 3]] * 3 + [[4, 1]] * 3
    history = [["i0", "i4", "i2"]]
    first = [
        ItemKNN(decay=decay).fit(interactions(walks, NUM_ITEMS)).recommend(history, k=1)[0].items[0]
        for decay in (1, 0.5)
    ]
    assert [item.item_id for item in first] == ["i1", "i3"]


def test_walks_along_a_ring_are_continued() -> None:
    """Similarity has no direction, but what lies behind the walk has been seen and its start has decayed."""
    walks = [[(start + step) % 12 for step in range(4)] for start in range(12)]
    model = ItemKNN(decay=0.5, shrink=0).fit(interactions(walks, 12))
    found = model.rank(Histories.from_lists(walks), 1).items_BK[:, 0]
    assert found.tolist() == [(walk[-1] + 1) % 12 for walk in walks]


def test_far_above_popularity_on_real_films(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("ml-100k"))
    hr = {
        name: evaluate(create(name).fit(data.train).rank, data.validation, unfiltered=False).metrics["HR@10"]
        for name in ("itemknn", "popular")
    }
    assert hr["popular"] > 0.06
    assert hr["itemknn"] > 2.5 * hr["popular"]


def test_a_newcomer_gets_what_is_popular_and_new_items_come_last() -> None:
    model = ItemKNN().fit(interactions([[3, 5], [3, 5], [3]], NUM_ITEMS))
    model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["New"]}))
    found = [item.item_id for item in model.recommend([[]], k=99)[0].items]
    assert found[:2] == ["i3", "i5"]
    assert found[-1] == "new"
    assert len(found) == NUM_ITEMS + 1
