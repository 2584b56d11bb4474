"""What lists are made of, whether they hit or not: how they spread over the catalogue and how alike they are.

Shapes: R runs, G recommenders, B users, I items, K entries of a list. All look at the first `DEPTH` entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genrec.data.interactions import FloatArray, IntArray
from genrec.data.ranking import BoolArray, Rankings

DEPTH = 10
HEAD = 0.1  # share of the catalogue that counts as popular
_CURVE_POINTS = 61


@dataclass(frozen=True)
class Concentration:
    """How a number of interactions or recommendations spreads over the catalogue.

    Attributes:
        coverage: share of the catalogue that occurs at all.
        gini: 0 where all items occur equally often, near 1 where one item takes everything (Shani & Gunawardana
            2011, https://doi.org/10.1007/978-0-387-85820-3_8).
        head_share: share that goes to the popular items, see `head`.
        curve: share that goes to the most frequent 0, 1/60, ..., 60/60 of the items; (61,).
    """

    coverage: float
    gini: float
    head_share: float
    curve: FloatArray


@dataclass(frozen=True)
class Overlap:
    """How alike two recommenders are, mean over their pairs of runs.

    The diagonal compares different runs of one recommender and is NaN where there is one.

    Attributes:
        items_GG: items of a user's first ten that both hold, mean over users.
        hits_GG: of the users whose target the row finds, the share whose target the column finds too; NaN where
            the row finds none.
    """

    items_GG: FloatArray
    hits_GG: FloatArray


def head(popularity_I: IntArray) -> BoolArray:
    """Mask (I,) of the tenth of the items with the largest counts; among equals the first."""
    head_I = np.zeros(len(popularity_I), dtype=bool)
    head_I[np.argsort(-popularity_I, kind="stable")[: int(np.ceil(HEAD * len(popularity_I)))]] = True
    return head_I


def concentration(counts_I: IntArray, head_I: BoolArray) -> Concentration:
    """How counts spread over the catalogue.

    Args:
        counts_I: occurrences of each item; (I,).
        head_I: mask of the popular items; (I,).
    """
    total, num_items = max(int(counts_I.sum()), 1), len(counts_I)
    rising_I = np.sort(counts_I)
    weighted = float(np.arange(1, num_items + 1) @ rising_I)
    shares = np.concatenate([[0.0], np.cumsum(rising_I[::-1]) / total])
    places = np.linspace(0, num_items, _CURVE_POINTS)
    return Concentration(
        coverage=float((counts_I > 0).mean()),
        gini=2 * weighted / (num_items * total) - (num_items + 1) / num_items if counts_I.any() else 0.0,
        head_share=int(counts_I[head_I].sum()) / total,
        curve=np.interp(places, np.arange(num_items + 1), shares),
    )


def concentration_of_lists(runs: Sequence[Rankings], head_I: BoolArray) -> Concentration:
    """How recommendations spread over the catalogue, mean over the runs of one recommender."""
    found = []
    for lists in runs:
        items = _top(lists).ravel()
        known = items[(items >= 0) & (items < len(head_I))]
        found.append(concentration(np.bincount(known, minlength=len(head_I)), head_I))
    return Concentration(
        coverage=float(np.mean([one.coverage for one in found])),
        gini=float(np.mean([one.gini for one in found])),
        head_share=float(np.mean([one.head_share for one in found])),
        curve=np.mean([one.curve for one in found], axis=0),
    )


def overlap(groups: Sequence[Sequence[Rankings]], hits: Sequence[BoolArray]) -> Overlap:
    """How alike the lists and the hits of recommenders are.

    Args:
        groups: for each of G recommenders its runs, each with B lists.
        hits: for each recommender, which of its runs find which user's target; (runs, B).
    """
    runs = [lists for group in groups for lists in group]
    owner_R = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    hits_RB = np.concatenate(hits).astype(np.float64)
    items_RR = np.zeros((len(runs), len(runs)))
    for row in range(len(runs)):
        for column in range(row):
            items_RR[row, column] = items_RR[column, row] = _shared(runs[row], runs[column])
    both_RR = hits_RB @ hits_RB.T
    found_RR = np.repeat(hits_RB.sum(axis=1)[:, None], len(runs), axis=1)
    items_GG, hits_GG = (np.full((len(groups), len(groups)), np.nan) for _ in range(2))
    for row in range(len(groups)):
        for column in range(len(groups)):
            pairs_RR = (owner_R == row)[:, None] & (owner_R == column) & ~np.eye(len(runs), dtype=bool)
            if pairs_RR.any():
                items_GG[row, column] = items_RR[pairs_RR].mean()
            if found_RR[pairs_RR].any():
                hits_GG[row, column] = both_RR[pairs_RR].sum() / found_RR[pairs_RR].sum()
    return Overlap(items_GG, hits_GG)


def _top(lists: Rankings) -> IntArray:
    return lists.items_BK[:, :DEPTH]


def _shared(lists: Rankings, others: Rankings) -> float:
    """Items that both lists of a user hold, mean over users."""
    own_BK, other_BK = _top(lists), _top(others)
    same_BKK = (own_BK[:, :, None] == other_BK[:, None, :]) & (own_BK >= 0)[:, :, None]
    return float(same_BKK.any(axis=2).sum(axis=1).mean())
