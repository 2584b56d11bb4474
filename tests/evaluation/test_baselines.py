"""Rules and counts that need no learning, against slow and plain counting."""

from __future__ import annotations

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Histories
from genrec.evaluation.baselines import following_ranks, in_history, next_numbers, popularity_ranks
from genrec.evaluation.metrics import hit_rate, ranks


@pytest.fixture(scope="module")
def data() -> genrec.Dataset:
    return genrec.synthetic(200)


def test_the_next_numbers_by_hand() -> None:
    numbers_I = np.array([50, 10, 30, 20, 90])  # in order: items 1, 3, 2, 0, 4
    found = next_numbers(numbers_I, Histories.from_lists([[1], [3, 1], [], [4, 1], [0]]), k=3)
    assert found.items_BK.tolist() == [[3, 2, 0], [2, 0, 4], [-1] * 3, [-1] * 3, [4, -1, -1]]
    assert (np.isneginf(found.scores_BK) == (found.items_BK == -1)).all()


def test_popularity_hits_are_those_of_the_recommender(data: genrec.Dataset) -> None:
    popular = genrec.create("popular").fit(data.train)
    for targets in (data.test, data.validation):
        expected = ranks(popular.rank(targets.histories, k=21), targets.items)
        found = popularity_ranks(data.train, targets)
        for k in (1, 5, 10, 20):
            assert hit_rate(found, k).tolist() == hit_rate(expected, k).tolist()


def test_targets_in_their_own_history_are_no_hits_of_popularity() -> None:
    taken = (
        [("u", item) for item in "abab"] + [("v", item) for item in "bcad"] + [("w", item) for item in "cbca"]
    )
    log = pl.DataFrame(taken, schema=["user_id", "item_id"], orient="row")
    data = genrec.read(log, ordered=True)
    popular = genrec.create("popular").fit(data.train)
    expected = ranks(popular.rank(data.test.histories, k=4), data.test.items)
    assert expected.tolist()[0] == 0  # u took b before
    found = popularity_ranks(data.train, data.test)
    assert hit_rate(found, 4).tolist() == hit_rate(expected, 4).tolist()


def test_what_followed_the_last_item_by_plain_counting(data: genrec.Dataset) -> None:
    popularity = np.bincount(data.train.histories.items, minlength=data.train.num_items)
    expected = []
    for history, target in zip(data.test.histories, data.test.items, strict=True):
        counts = np.zeros(data.train.num_items)
        for other in data.train.histories:
            np.add.at(counts, other[1:][other[:-1] == history[-1]], 1)
        scores = np.where(counts > 0, counts + popularity / (popularity.max() + 1), -np.inf)
        scores[history] = -np.inf
        reached = np.isfinite(scores[target])
        expected.append(int((scores >= scores[target]).sum()) if reached else 0)
    assert following_ranks(data.train, data.test).tolist() == expected
    assert np.mean(np.array(expected) > 0) > 0.3


def test_an_item_in_its_own_list() -> None:
    histories = Histories.from_lists([[1, 2], [], [3, 3], [0]])
    assert in_history(histories, np.array([2, 2, 3, 1])).tolist() == [True, False, True, False]
