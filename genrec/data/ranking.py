"""Rankings: what a recommender answers, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray, IntArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Rankings:
    """The best items for B users, best first.

    Shape: items_BK int32, rows of the catalogue, -1 where fewer than K items were allowed; scores_BK float32,
    higher is better, -inf there; exact_B, whether the list provably is the model's true top K. A generative
    recommender's score is the item's log-probability.
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
