"""Filters: which interactions are worth keeping. All are off unless asked for, and tell what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, IntArray
from genrec.errors import ConfigError, DataError


@dataclass(frozen=True)
class Filters:
    """What to keep.

    min_rating: interactions rated at least this.
    k_core: users and items with at least this many interactions, dropping others until all have.
    min_history: users with at least this many interactions.
    """

    min_rating: float | None = None
    k_core: int | None = None
    min_history: int | None = None

    def __post_init__(self) -> None:
        if self.min_rating is not None and not math.isfinite(self.min_rating):
            raise ConfigError(f"min_rating={self.min_rating}: give a finite number, or leave it out")
        for name in ("k_core", "min_history"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(
                    f"{name}={value}: give a number of interactions, 1 or more, or leave it out"
                )

    def apply(
        self, users: IntArray, items: IntArray, ratings: FloatArray | None
    ) -> tuple[BoolArray, dict[str, int]]:
        """Mask of the interactions to keep, and how many each filter dropped.

        The rating comes first; core and history are then found together, so that both hold in the end.

        Args:
            users, items: a small number for each interaction's user and item; (num_interactions,).
            ratings: along them, NaN where there is none, or None where the source has none at all.

        Raises:
            ConfigError: a rating is asked for and there are none.
            DataError: nothing is left.
        """
        keep, dropped = np.ones(len(users), bool), {}
        if self.min_rating is not None:
            if ratings is None:
                raise ConfigError("min_rating needs ratings, and these data have none: leave it out")
            keep, num_unrated = ratings >= self.min_rating, int(np.isnan(ratings).sum())
            dropped[f"rating below {self.min_rating:g}"] = int((~keep).sum()) - num_unrated
            dropped |= {"no rating": num_unrated} if num_unrated else {}
        if self.k_core is not None or self.min_history is not None:
            least_item = self.k_core or 1
            kept = core(users, items, max(least_item, self.min_history or 1), least_item, keep)
            reason = " and ".join(
                [f"{self.k_core}-core"] * (self.k_core is not None)
                + [f"history of {self.min_history}"] * (self.min_history is not None)
            )
            dropped[f"outside the {reason}"] = int(keep.sum() - kept.sum())
            keep = kept
        if not keep.any():
            raise DataError(
                f"the filters leave nothing of {len(users)} interactions ({dropped}): ask for less"
            )
        return keep, dropped


def core(users: IntArray, items: IntArray, least_user: int, least_item: int, keep: BoolArray) -> BoolArray:
    """Largest part of `keep` in which each user has `least_user` interactions and each item `least_item`."""
    rows = np.flatnonzero(keep)
    while True:
        by_user, by_item = np.bincount(users[rows]), np.bincount(items[rows])
        good = (by_user[users[rows]] >= least_user) & (by_item[items[rows]] >= least_item)
        if good.all():
            break
        rows = rows[good]
    mask = np.zeros(len(users), bool)
    mask[rows] = True
    return mask
