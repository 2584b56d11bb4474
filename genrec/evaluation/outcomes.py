"""Users to show, chosen by what happened to them and by nothing else. Shapes: B users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genrec.data.interactions import IntArray
from genrec.evaluation.beyond_accuracy import DEPTH
from genrec.evaluation.protocol import CUT_OFFS

LAST = max(CUT_OFFS)  # the last rank that a measurement tells


class Outcome(NamedTuple):
    """One of the three things that can happen to a user.

    Attributes:
        name: `hit`: the target is among the first `DEPTH`; `near miss`: it stands behind them, up to rank `LAST`;
            `miss`: it does not stand among the first `LAST`.
        num_users: to whom that happened.
        row: the user of them to show; None: there is none.
    """

    name: str
    num_users: int
    row: int | None


def outcomes(ranks_B: IntArray, lengths_B: IntArray) -> tuple[Outcome, ...]:
    """Hit, near miss and miss, each with the user in its middle.

    Args:
        ranks_B: of the targets from 1, of an order that of the item found first; 0 where none was found.
        lengths_B: items of the histories.
    """
    ranks_B = np.where(ranks_B > LAST, 0, ranks_B)  # a longer list must not make another choice
    hit_B = (ranks_B >= 1) & (ranks_B <= DEPTH)
    near_B = ranks_B > DEPTH
    kinds = {"hit": hit_B, "near miss": near_B, "miss": ~(hit_B | near_B)}
    return tuple(
        Outcome(name, int(of_B.sum()), middle(np.flatnonzero(of_B), ranks_B, lengths_B))
        for name, of_B in kinds.items()
    )


def middle(rows: IntArray, ranks_B: IntArray, lengths_B: IntArray) -> int | None:
    """The user in the middle of `rows`, by rank, then by length of history, then by place; None: there are none.

    Neither the best case nor the worst, and no draw: of an even number the one before the middle.
    """
    if not len(rows):
        return None
    order = np.lexsort((rows, lengths_B[rows], ranks_B[rows]))
    return int(rows[order[(len(rows) - 1) // 2]])
