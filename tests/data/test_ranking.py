"""Seen entries are found and dropped as a loop over the users would do it."""

from __future__ import annotations

import numpy as np
from genrec.data.interactions import Histories
from genrec.data.ranking import Rankings
from hypothesis import given
from hypothesis import strategies as st

NUM_PLACES = 5
ITEM = st.integers(0, 8)
USER = st.tuples(st.lists(ITEM, max_size=7), st.lists(ITEM, max_size=NUM_PLACES))


@given(users=st.lists(USER, min_size=1, max_size=9))
def test_dropping_seen_entries_keeps_the_others_in_order(users: list[tuple[list[int], list[int]]]) -> None:
    items = np.array([[*row, *[-1] * (NUM_PLACES - len(row))] for _, row in users], np.int32)
    scores = np.where(items == -1, -np.inf, -np.arange(NUM_PLACES)).astype(np.float32)
    rankings = Rankings(items, scores, np.arange(len(users)) % 2 == 0)
    seen = rankings.seen(Histories.from_lists(history for history, _ in users))
    expected = [
        [item in history for item in row] + [False] * (NUM_PLACES - len(row)) for history, row in users
    ]
    assert seen.tolist() == expected
    unseen = rankings.without(seen)
    for row, (history, given_items) in enumerate(users):
        places = [place for place, item in enumerate(given_items) if item not in history]
        num_free = NUM_PLACES - len(places)
        assert unseen.items_BK[row].tolist() == [*(given_items[place] for place in places), *[-1] * num_free]
        assert unseen.scores_BK[row].tolist() == [*(-place for place in places), *[-np.inf] * num_free]
    assert (unseen.items_BK.dtype, unseen.scores_BK.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(unseen.exact_B, rankings.exact_B)
    np.testing.assert_array_equal(rankings.items_BK, items)  # the lists as given are left alone
