"""A choice model: the weights of several scores of the same candidates, fitted to the candidates that were taken.

Shape suffixes: B users, C candidates, F scores of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_softmax

from genrec.backbones.hardware import device
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, Histories, IntArray, Targets
from genrec.data.ranking import Rankings
from genrec.recommenders.language.weights import fit_weights
from genrec.recommenders.palr.scores import Score

_NOTHING = -1e9  # the score of a place without a candidate; finite, since a user may have none


@dataclass(frozen=True)
class ChoiceModel:
    """Scores of candidates, and the weight (F,) of each; one of weight 0 is never computed."""

    scores: Sequence[Score]
    weights_F: FloatArray

    def rank(self, histories: Histories, candidates: Rankings) -> tuple[IntArray, FloatArray]:
        """See `best_first`."""
        return best_first(candidates.items_BK, self.table(histories, candidates), self.weights_F)

    def table(self, histories: Histories, candidates: Rankings) -> FloatArray:
        """The scores (B, C, F); 0 where one has no weight or no candidate stands."""
        scores_BCF = np.zeros((*candidates.items_BK.shape, len(self.scores)))
        for place in np.flatnonzero(self.weights_F).tolist():
            scores_BC = self.scores[place].of(histories, candidates)
            scores_BCF[..., place] = np.where(candidates.items_BK >= 0, scores_BC, 0.0)
        return scores_BCF

    def fitted(
        self, asked: Targets, propose: Callable[[Histories], Rankings], at_once: int
    ) -> tuple[FloatArray, float]:
        """Weights (F,) that fit what users took, and for how many of them that was among the candidates.

        Args:
            asked: users and what they took.
            propose: histories to candidates.
            at_once: users that are scored together.

        Returns:
            The weights, 0 for a score that has none here, and a share from 0 to 1. Where it is 0, the weights are old.
        """
        parts, num_hits = [], 0
        for start in range(0, len(asked), at_once):
            some = asked.take(np.arange(start, min(start + at_once, len(asked))))
            proposed = propose(some.histories)
            hits_BC = proposed.items_BK == some.items[:, None]
            rows = np.flatnonzero(hits_BC.any(axis=1))
            num_hits += len(rows)
            if len(rows):
                candidates = proposed.take(rows)
                scores_BCF = self.table(some.histories.take(rows), candidates)
                parts.append((scores_BCF, candidates.items_BK >= 0, hits_BC[rows].argmax(axis=1)))
        if not parts:
            return self.weights_F, 0.0
        scores_BCF, there_BC, chosen_B = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return weights_of(scores_BCF, there_BC, chosen_B), num_hits / len(asked)


def weights_of(scores_BCF: FloatArray, there_BC: BoolArray, chosen_B: IntArray) -> FloatArray:
    """Weights (F,) that fit the choices best; see `genrec.recommenders.language.weights`.

    Args:
        scores_BCF: finite scores of each candidate.
        there_BC: which places hold a candidate.
        chosen_B: column of the one that was taken.
    """
    usual_F = scores_BCF[there_BC].mean(axis=0)  # what is the same for all candidates stays so
    filled_BCF = np.where(there_BC[..., None], scores_BCF, usual_F).astype(np.float32)
    row, column = (torch.from_numpy(places) for places in np.nonzero(~there_BC))
    chosen = torch.from_numpy(chosen_B.astype(np.int64))
    scores_FBC = torch.from_numpy(np.moveaxis(filled_BCF, 2, 0).copy())
    there = device()
    weights = fit_weights([scores_FBC.to(there)], [(row.to(there), column.to(there))], chosen.to(there))
    return np.array(weights)


def best_first(
    items_BC: IntArray, scores_BCF: FloatArray, weights_F: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Candidates (B, C), -1 where there are fewer, by the weighted sum of their scores, and log-probabilities."""
    scores_BC = log_softmax(np.where(items_BC >= 0, scores_BCF @ weights_F, _NOTHING), axis=1)
    order_BC = np.argsort(-scores_BC, axis=1, kind="stable")
    return np.take_along_axis(items_BC, order_BC, 1), np.take_along_axis(scores_BC, order_BC, 1)
