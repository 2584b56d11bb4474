"""How lists spread over the catalogue and how alike they are, on lists small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.data.ranking import Rankings
from genrec.evaluation.beyond_accuracy import concentration, concentration_of_lists, head, overlap
from hypothesis import given
from hypothesis import strategies as st


def lists(*rows: list[int]) -> Rankings:
    items = np.array(rows, dtype=np.int32)
    scores = np.where(items >= 0, -np.arange(items.shape[1]), -np.inf).astype(np.float32)
    return Rankings(items, scores, np.zeros(len(rows), bool))


def test_head_is_the_most_popular_tenth_rounded_up() -> None:
    counts_I = np.array([1, 5, 5, 9, 0, 0, 0, 0, 0, 0, 0])
    assert np.flatnonzero(head(counts_I)).tolist() == [1, 3]


def test_concentration_by_hand() -> None:
    found = concentration(np.array([6, 0, 2, 0]), np.array([True, False, False, False]))
    assert found.coverage == 0.5
    assert found.head_share == 0.75
    assert found.gini == pytest.approx(2 * (3 * 2 + 4 * 6) / (4 * 8) - 5 / 4)
    assert found.curve[[0, 15, 30, 60]] == pytest.approx([0, 0.75, 1, 1])


def test_gini_of_equal_counts_is_0_and_of_one_item_nearly_1() -> None:
    nobody = np.zeros(50, dtype=bool)
    assert concentration(np.full(50, 7), nobody).gini == pytest.approx(0)
    assert concentration(np.eye(50, dtype=int)[3], nobody).gini == pytest.approx(1 - 1 / 50)
    assert concentration(np.zeros(50, dtype=int), nobody).gini == 0


@given(st.lists(st.integers(0, 30), min_size=2, max_size=20).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    counts_I = np.array(counts)
    differences = np.abs(counts_I[:, None] - counts_I[None]).mean()
    found = concentration(counts_I, np.zeros(len(counts_I), dtype=bool))
    assert found.gini == pytest.approx(differences / (2 * counts_I.mean()))


def test_lists_count_known_items_of_the_first_ten_only() -> None:
    """Place 11, an unknown item and an empty place say nothing; the numbers are means over seeds."""
    head_I = np.arange(20) == 0
    one = lists([0, *range(10, 19), 1], [0, 25, *[-1] * 9])
    other = lists([0, *[-1] * 10], [0, *[-1] * 10])
    found = concentration_of_lists([one, other], head_I)
    assert found.coverage == pytest.approx((10 / 20 + 1 / 20) / 2)
    assert found.head_share == pytest.approx((2 / 11 + 1) / 2)


def test_overlap_by_hand() -> None:
    """Two seeds against one run: three items shared by one user, one or none by the other."""
    first = [lists([1, 2, 3], [4, 5, -1]), lists([1, 2, 9], [7, 8, -1])]
    second = [lists([3, 2, 1], [5, 6, -1])]
    hits = [np.array([[True, True], [True, False]]), np.array([[True, False]])]
    found = overlap([first, second], hits)
    assert found.items_GG[0, 1] == found.items_GG[1, 0] == pytest.approx(((3 + 1) / 2 + (2 + 0) / 2) / 2)
    assert found.items_GG[0, 0] == pytest.approx((2 + 0) / 2)
    assert np.isnan(found.items_GG[1, 1])
    assert found.hits_GG[0, 1] == pytest.approx(2 / 3)  # of three hits over the seeds, two
    assert found.hits_GG[1, 0] == 1
    assert found.hits_GG[0, 0] == pytest.approx(2 / 3)


def test_overlap_with_a_recommender_that_finds_nothing() -> None:
    one, other = [lists([1, 2])], [lists([3, 4])]
    found = overlap([one, other], [np.array([[True]]), np.array([[False]])])
    assert found.hits_GG[0, 1] == 0
    assert np.isnan(found.hits_GG[1, 0])
    assert found.items_GG[0, 1] == 0
