"""Weights of scores: found again from choices that were drawn by them."""

from __future__ import annotations

import numpy as np
from genrec.recommenders.palr.choice import best_first, weights_of


def drawn(weights: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of 10 candidates for 20,000 users, some places empty, and what they took."""
    rng = np.random.default_rng(seed)
    scores_BCF = rng.normal(size=(20_000, 10, len(weights))) * [1.0, 30.0, 0.1][: len(weights)]
    there_BC = rng.random((20_000, 10)) < 0.8
    there_BC[:, 0] = True
    noise_BC = rng.gumbel(size=there_BC.shape)
    total_BC = np.where(there_BC, scores_BCF @ weights + noise_BC, -np.inf)
    return scores_BCF, there_BC, total_BC.argmax(axis=1)


def test_finds_the_weights_that_choices_were_drawn_by() -> None:
    found = weights_of(*drawn([1.5, 0.02, 7.0]))
    np.testing.assert_allclose(found, [1.5, 0.02, 7.0], rtol=0.1)


def test_no_score_counts_against() -> None:
    found = weights_of(*drawn([2.0, -0.01]))
    assert found[0] > 1.5
    assert found[1] == 0


def test_empty_places_are_of_no_account() -> None:
    scores_BCF, there_BC, chosen_B = drawn([1.0, 0.05])
    other_BCF = np.where(there_BC[..., None], scores_BCF, 1e6)
    np.testing.assert_allclose(
        weights_of(other_BCF, there_BC, chosen_B), weights_of(scores_BCF, there_BC, chosen_B), rtol=1e-6
    )


def test_what_is_the_same_for_all_gets_no_weight() -> None:
    scores_BCF, there_BC, chosen_B = drawn([1.0, 0.05])
    scores_BCF[:, :, 1] = 3.0
    assert weights_of(scores_BCF, there_BC, chosen_B)[1] == 0


def test_orders_by_the_weighted_sum_and_leaves_empty_places_behind() -> None:
    items_BC = np.array([[7, -1, 5, 9], [-1, -1, -1, -1]])
    scores_BCF = np.array([[[1.0, 0.0], [9.0, 9.0], [0.0, 2.0], [0.0, 0.0]], np.zeros((4, 2))])
    found_BC, scores_BC = best_first(items_BC, scores_BCF, np.array([1.0, 2.0]))
    assert found_BC.tolist() == [[5, 7, 9, -1], [-1, -1, -1, -1]]
    np.testing.assert_allclose(np.exp(scores_BC[0, :3]).sum(), 1)
    np.testing.assert_allclose(np.diff(scores_BC[0, :3]), [-3, -1])
