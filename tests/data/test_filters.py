"""Rating threshold, k-core and shortest history."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.data.filters import Filters, core
from genrec.errors import ConfigError, DataError
from hypothesis import given
from hypothesis import strategies as st


def test_nothing_asked_keeps_all() -> None:
    keep, dropped = Filters().apply(np.array([0, 0]), np.array([0, 1]), None)
    assert keep.all()
    assert dropped == {}


def test_rating_is_kept_from_its_bound_on() -> None:
    keep, dropped = Filters(min_rating=3.5).apply(np.zeros(3, int), np.arange(3), np.array([3.0, 3.5, 4.0]))
    assert keep.tolist() == [False, True, True]
    assert dropped == {"rating below 3.5": 1}


def test_what_has_no_rating_is_not_rated_high_enough() -> None:
    ratings = np.array([3.0, np.nan, 4.0])
    keep, dropped = Filters(min_rating=3.5).apply(np.zeros(3, int), np.arange(3), ratings)
    assert keep.tolist() == [False, False, True]
    assert dropped == {"rating below 3.5": 1, "no rating": 1}


@pytest.mark.parametrize("bound", [float("nan"), float("inf")])
def test_a_bound_is_a_number(bound: float) -> None:
    with pytest.raises(ConfigError, match=r"min_rating=.*give a finite number"):
        Filters(min_rating=bound)


def test_core_is_iterated() -> None:
    # Item 2 has one taker; without it user 1 has one interaction; without that item 1 has one taker, and so on.
    users = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    items = np.array([0, 1, 1, 2, 3, 4, 3, 4])
    keep, dropped = Filters(k_core=2).apply(users, items, None)
    assert keep.tolist() == [False] * 4 + [True] * 4
    assert dropped == {"outside the 2-core": 4}


def test_short_histories_go_whatever_their_items() -> None:
    users, items = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1])
    keep, dropped = Filters(min_history=3).apply(users, items, None)
    assert keep.tolist() == [True, True, True, False, False]
    assert dropped == {"outside the history of 3": 2}


def test_core_and_history_both_hold() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 400), rng.integers(0, 60, 400)
    keep, dropped = Filters(k_core=4, min_history=8).apply(users, items, None)
    assert np.unique(users[keep], return_counts=True)[1].min() >= 8
    assert np.unique(items[keep], return_counts=True)[1].min() >= 4
    assert dropped == {"outside the 4-core and history of 8": int((~keep).sum())}


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=40)


@given(pairs, st.integers(1, 4), st.integers(1, 4))
def test_core_is_the_largest(taken: list[tuple[int, int]], least_user: int, least_item: int) -> None:
    users, items = np.array(taken).T
    left = list(range(len(taken)))
    while True:  # one at a time, by hand
        bad = [
            row
            for row in left
            if sum(users[other] == users[row] for other in left) < least_user
            or sum(items[other] == items[row] for other in left) < least_item
        ]
        if not bad:
            break
        left.remove(bad[0])
    assert (
        np.flatnonzero(core(users, items, least_user, least_item, np.ones(len(taken), bool))).tolist() == left
    )


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"min_history=0: give a number"):
        Filters(min_history=0)
    with pytest.raises(ConfigError, match=r"min_rating needs ratings"):
        Filters(min_rating=1).apply(np.zeros(1, int), np.zeros(1, int), None)
    with pytest.raises(DataError, match=r"leave nothing of 1 interactions"):
        Filters(k_core=2).apply(np.zeros(1, int), np.zeros(1, int), None)
