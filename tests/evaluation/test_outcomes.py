"""A hit, a near miss and a miss are chosen by what happened, and each is the one in the middle."""

from __future__ import annotations

import numpy as np
from genrec.evaluation.outcomes import middle, outcomes
from hypothesis import given
from hypothesis import strategies as st

ranks = st.lists(st.tuples(st.integers(0, 21), st.integers(0, 9)), min_size=1, max_size=40)


def test_each_kind_is_counted_and_shown_by_its_middle() -> None:
    ranks_B = np.array([1, 9, 2, 14, 0, 21, 10, 0, 2])
    lengths_B = np.array([3, 3, 9, 3, 5, 8, 3, 2, 4])
    assert outcomes(ranks_B, lengths_B) == (
        ("hit", 5, 2),  # by rank and length: rows 0, 8, 2, 1, 6
        ("near miss", 1, 3),
        ("miss", 3, 4),  # rank 21 is beyond what is told, as 0 is: by length rows 7, 4, 5
    )


def test_a_kind_that_there_is_not_has_nobody() -> None:
    assert outcomes(np.array([1, 3]), np.array([4, 4]))[1:] == (("near miss", 0, None), ("miss", 0, None))
    assert middle(np.array([], int), np.array([1]), np.array([1])) is None


@given(ranks)
def test_kinds_share_all_users_and_show_one_of_their_own(users: list[tuple[int, int]]) -> None:
    ranks_B, lengths_B = (np.array(column) for column in zip(*users, strict=True))
    found = outcomes(ranks_B, lengths_B)
    assert sum(outcome.num_users for outcome in found) == len(users)
    for outcome, allowed in zip(found, (range(1, 11), range(11, 21), (0, 21)), strict=True):
        assert (outcome.row is None) == (outcome.num_users == 0)
        if outcome.row is not None:
            assert ranks_B[outcome.row] in allowed
            better = sum(rank < ranks_B[outcome.row] for rank in ranks_B if rank in allowed)
            worse = sum(rank > ranks_B[outcome.row] for rank in ranks_B if rank in allowed)
            if outcome.name != "miss":
                assert max(better, worse) <= outcome.num_users / 2
