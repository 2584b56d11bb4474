"""Several scores of the same candidates: weights learnt from which of them came true, and the order that they give.

Shape suffixes: B users, C candidates, F scores of each.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, IntArray

_NOTHING = -1e9  # the score of a place without a candidate; finite, since a user may have none


def fit_weights(scores_BCF: FloatArray, there_BC: BoolArray, chosen_B: IntArray) -> FloatArray:
    """Weights (F,), none below 0, under which p(candidate) = softmax(scores · weights) fits the choices best.

    This is the conditional logit of McFadden (1974, https://eml.berkeley.edu/reprints/mcfadden/zarembka.pdf); the loss
    is convex, so there is one answer.

    Args:
        scores_BCF: finite scores of each candidate.
        there_BC: which places hold a candidate.
        chosen_B: column of the one that was taken.
    """
    spread_F = scores_BCF[there_BC].std(axis=0)
    scale_F = np.where(
        spread_F > 0, spread_F, np.inf
    )  # what is the same for all says nothing: its weight is 0
    scaled_BCF = np.where(there_BC[..., None], scores_BCF / scale_F, 0.0)
    rows_B = np.arange(len(chosen_B))
    chosen_BF = scaled_BCF[rows_B, chosen_B]

    def loss(weights_F: FloatArray) -> tuple[float, FloatArray]:
        log_chance_BC = log_softmax(np.where(there_BC, scaled_BCF @ weights_F, -np.inf), axis=1)
        expected_BF = np.einsum("bc,bcf->bf", np.exp(log_chance_BC), scaled_BCF)
        return -float(log_chance_BC[rows_B, chosen_B].mean()), (expected_BF - chosen_BF).mean(axis=0)

    found = minimize(
        loss, np.ones(len(scale_F)), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scale_F)
    )
    return np.asarray(found.x / scale_F)


def best_first(
    items_BC: IntArray, scores_BCF: FloatArray, weights_F: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Candidates (B, C), -1 where there are fewer, by the weighted sum of their scores, and log-probabilities."""
    scores_BC = log_softmax(np.where(items_BC >= 0, scores_BCF @ weights_F, _NOTHING), axis=1)
    order_BC = np.argsort(-scores_BC, axis=1, kind="stable")
    return np.take_along_axis(items_BC, order_BC, 1), np.take_along_axis(scores_BC, order_BC, 1)
