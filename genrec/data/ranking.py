"""Rankings: what a recommender answers, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray, Histories, IntArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Rankings:
    """The best items for B users, best first.

    Shape: items_BK int32, rows of the catalogue, -1 where fewer than K items were allowed; scores_BK float32,
    higher is better, -inf there; exact_B, whether the list provably is the model's true top K. A generative
    recommender's score is the item's log-probability. Lists from elsewhere may hold rows that are no item of the
    catalogue and repeat themselves, and their scores may be float64.
    """

    items_BK: IntArray
    scores_BK: FloatArray
    exact_B: BoolArray

    def __len__(self) -> int:
        return len(self.items_BK)

    @classmethod
    def concat(cls, parts: Sequence[Rankings]) -> Rankings:
        """Rankings of several groups of users, one after another; all of the same K."""
        return cls(
            np.concatenate([part.items_BK for part in parts]),
            np.concatenate([part.scores_BK for part in parts]),
            np.concatenate([part.exact_B for part in parts]),
        )

    def take(self, rows: IntArray) -> Rankings:
        """The rankings at `rows`, in that order."""
        return Rankings(self.items_BK[rows], self.scores_BK[rows], self.exact_B[rows])

    def scores_of(self, items_J: IntArray) -> FloatArray:
        """The scores (B, J) of some items, -inf where a list does not hold one."""
        scores_BJ = np.full((len(self), len(items_J)), -np.inf, np.float32)
        for column, item in enumerate(items_J):
            row, place = np.nonzero(self.items_BK == item)
            scores_BJ[row, column] = self.scores_BK[row, place]
        return scores_BJ

    def seen(self, histories: Histories) -> BoolArray:
        """Which entries stand in the history of their user; (B, K). `histories` are those of the B users."""
        # One step compares a place of all histories that are long enough with all entries of their lists: the
        # longest come first, so that these are always the first columns.
        order_B = np.argsort(-histories.lengths, kind="stable")
        num_longer_T = len(self) - np.cumsum(np.bincount(histories.lengths))
        starts_B = histories.offsets[:-1][order_B]
        items_KB = np.ascontiguousarray(self.items_BK[order_B].T)
        seen_KB = np.zeros(items_KB.shape, bool)
        for place, num_users in enumerate(num_longer_T[:-1]):
            taken_B = histories.items[starts_B[:num_users] + place]
            seen_KB[:, :num_users] |= items_KB[:, :num_users] == taken_B
        seen_BK = np.empty(self.items_BK.shape, bool)
        seen_BK[order_B] = seen_KB.T
        return seen_BK

    def without(self, dropped_BK: BoolArray) -> Rankings:
        """The lists without the entries marked in `dropped_BK`; the others move up, and what is free is -1."""
        items_BK, scores_BK = self.items_BK.copy(), self.scores_BK.copy()
        rows = np.flatnonzero(dropped_BK.any(axis=1))
        order = np.argsort(dropped_BK[rows], axis=1, kind="stable")
        free = np.take_along_axis(dropped_BK[rows], order, axis=1)
        items_BK[rows] = np.where(free, -1, np.take_along_axis(self.items_BK[rows], order, axis=1))
        scores_BK[rows] = np.where(free, -np.inf, np.take_along_axis(self.scores_BK[rows], order, axis=1))
        return Rankings(items_BK, scores_BK, self.exact_B)


def best_columns(scores_BI: FloatArray, k: int) -> IntArray:
    """Columns of the `k` highest scores of each row, best first; (B, k) int32, k at most I.

    Equal scores come in the order of the columns, on every machine, as in a stable sort of whole rows, of
    which this does the part that is asked for. `scores_BI` has no NaN.
    """
    costs_BI = -scores_BI
    cut_B1 = np.partition(costs_BI, k - 1, axis=1)[:, k - 1 : k]
    kept_BI = costs_BI <= cut_B1
    for row in np.flatnonzero(kept_BI.sum(axis=1) > k):  # a tie across the cut: the first columns stay
        at_cut = np.flatnonzero(costs_BI[row] == cut_B1[row])
        num_past = int(kept_BI[row].sum()) - k
        kept_BI[row, at_cut[len(at_cut) - num_past :]] = False
    items_BK = np.nonzero(kept_BI)[1].reshape(len(costs_BI), k)
    order_BK = np.argsort(np.take_along_axis(costs_BI, items_BK, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items_BK, order_BK, axis=1).astype(np.int32)
