"""Ranks and metrics, by hand and against an independent count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import (
    by_training_count,
    check_bounds,
    hit_rate,
    ndcg,
    per_user,
    ranks,
    reciprocal_rank,
)
from hypothesis import given
from hypothesis import strategies as st

RANKS = np.array([1, 2, 0, 5, 6, 20, 21])
KS = (5, 10, 20)


def rankings(items: list[list[int]], scores: list[list[float]]) -> Rankings:
    return Rankings(np.array(items, np.int32), np.array(scores, np.float32), np.ones(len(items), bool))


def test_rank_counts_from_one_and_absent_is_zero() -> None:
    found = ranks(
        rankings([[7, 3, 9], [7, 3, 9], [7, -1, -1]], [[3, 2, 1], [3, 2, 1], [3, -np.inf, -np.inf]]),
        [9, 4, 7],
    )
    assert found.tolist() == [3, 0, 1]


def test_hits_by_how_often_the_target_was_taken_in_training() -> None:
    taken = np.repeat([1, 2, 3, 4, 5, 6, 7], [1, 3, 4, 8, 20, 21, 300])
    targets_B = np.array([0, 1, 2, 3, 4, 6, 7, 7])
    found = by_training_count(np.array([1, 2, 0, 11, 10, 1, 1, 0]), targets_B, taken, num_items=9)
    assert {name: entry["num_users"] for name, entry in found.items()} == {
        **{"0": 1, "1-3": 2, "4-8": 2, "9-20": 0, "21+": 3}
    }
    assert [entry["HR@10"] for entry in found.values()] == [1, 0.5, 0.5, None, 2 / 3]
    assert found["1-3"]["NDCG@10"] == pytest.approx(1 / math.log2(3) / 2)
    assert found["9-20"]["NDCG@10"] is None


def test_ties_stand_against_the_model() -> None:
    items = [[1, 2, 3, 4]] * 4
    scores = [[2, 1, 1, 1]] * 3 + [[1, 1, 1, 1]]
    assert ranks(rankings(items, scores), [1, 2, 4, 1]).tolist() == [1, 4, 4, 4]


def test_a_tie_across_the_cut_is_a_miss() -> None:
    """A list of k + 1: the target stands at k, but the next entry is as good."""
    found = ranks(rankings([[1, 2, 3]], [[5, 4, 4]]), [2])
    assert hit_rate(found, 2).tolist() == [0]
    assert ranks(rankings([[1, 2, 3]], [[5, 4, 3]]), [2]).tolist() == [2]


def test_metrics_by_hand() -> None:
    assert hit_rate(RANKS, 5).tolist() == [1, 1, 0, 1, 0, 0, 0]
    expected = [1, 1 / math.log2(3), 0, 1 / math.log2(6), 0, 0, 0]
    np.testing.assert_allclose(ndcg(RANKS, 5), expected)
    np.testing.assert_allclose(reciprocal_rank(RANKS, 20), [1, 1 / 2, 0, 1 / 5, 1 / 6, 1 / 20, 0])
    values = per_user(RANKS, KS)
    assert list(values) == ["HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"]
    np.testing.assert_allclose(values["MRR"], reciprocal_rank(RANKS, 20))


@given(scores=st.permutations(range(12)), target=st.integers(0, 11), k=st.sampled_from([1, 3, 5, 12]))
def test_ndcg_agrees_with_its_general_definition(scores: list[int], target: int, k: int) -> None:
    items = sorted(range(12), key=lambda item: -scores[item])
    found = ranks(rankings([items], [[float(scores[item]) for item in items]]), [target])
    gains = [float(item == target) for item in items]

    def dcg(ordered: list[float]) -> float:
        return sum(gain / math.log2(place + 2) for place, gain in enumerate(ordered[:k]))

    assert ndcg(found, k)[0] == pytest.approx(dcg(gains) / dcg(sorted(gains, reverse=True)))


@given(st.lists(st.integers(0, 25), min_size=1, max_size=50))
def test_any_ranks_keep_the_bounds(found: list[int]) -> None:
    check_bounds({name: float(values.mean()) for name, values in per_user(np.array(found), KS).items()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"NDCG@5": 0.21}, "NDCG@5 = 0.21"),  # above HR@5
        ({"NDCG@5": 0.07}, "NDCG@5 = 0.07"),  # below HR@5 / log2(6)
        ({"NDCG@10": 0.16}, "NDCG@10 = 0.16"),  # the hits from 6 to 10 cannot add so much
        ({"NDCG@10": 0.12}, "NDCG@10 = 0.12"),  # nor so little
        ({"NDCG@20": 0.30}, "NDCG@20 = 0.3"),
        ({"HR@10": 0.15}, "NDCG@10"),  # fewer hits among more places
    ],
)
def test_impossible_numbers_are_caught(change: dict[str, float], message: str) -> None:
    possible = {
        "HR@5": 0.2,
        "HR@10": 0.3,
        "HR@20": 0.4,
        "NDCG@5": 0.1,
        "NDCG@10": 0.132,
        "NDCG@20": 0.157,
        "MRR": 9.0,
    }
    check_bounds(possible)
    with pytest.raises(AssertionError, match=message):
        check_bounds(possible | change)
