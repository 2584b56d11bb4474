"""Interactions as flat arrays: who took what, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.streams import stream

IntArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Histories:
    """Item lists of different lengths in one flat array; list b is `items[offsets[b]:offsets[b + 1]]`.

    Shape: items (num_interactions,) int32, oldest first within a list; offsets (B + 1,) int64. Both may be
    memory-mapped. users (B,) raw ids of whose lists they are, for recommenders that know users; None: nobody's.
    """

    items: IntArray
    offsets: IntArray
    users: pl.Series | None = None

    @classmethod
    def from_lists(cls, lists: Iterable[Sequence[int] | IntArray]) -> Histories:
        """Histories from lists of item rows."""
        parts = list(lists)
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        if all(isinstance(part, list) for part in parts):  # to make an array of each takes longer
            return cls(np.fromiter(chain.from_iterable(parts), np.int32, int(offsets[-1])), offsets)
        arrays = [np.asarray(part, dtype=np.int32) for part in parts]
        return cls(np.concatenate([*arrays, np.empty(0, np.int32)]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> IntArray:
        if not 0 <= row < len(self):  # also what ends a for loop over histories
            raise IndexError(f"history {row} of {len(self)}")
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[IntArray]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> IntArray:
        """Items in each list; (B,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> IntArray:
        """The list that each of `items` is in."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def ages(self) -> IntArray:
        """How many items of its list come after each of `items`."""
        return np.repeat(self.offsets[1:], self.lengths) - 1 - np.arange(len(self.items))

    def only(self, kept: BoolArray) -> Histories:
        """The lists without the entries where the mask `kept` over `items` is false."""
        return Histories(self.items[kept], np.concatenate([[0], np.cumsum(kept)])[self.offsets], self.users)

    def take(self, rows: IntArray) -> Histories:
        """The lists at `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        users = None if self.users is None else self.users[np.asarray(rows)]
        return Histories(self.items[np.repeat(self.offsets[:-1][rows], lengths) + inside], offsets, users)


@dataclass(frozen=True)
class Interactions:
    """All interactions of some users, sorted by user and, within a user, stably by (time, row of the source).

    Shape: users (num_users,) raw ids; times, ratings, texts, headlines and orders, where the source has them, run along
    `histories.items`: times int64 in unix seconds, ratings float32 or NaN where there is none, texts and
    headlines str or null, orders int64, equal for what was taken together, which stands together.
    """

    catalogue: Catalogue
    users: pl.Series
    histories: Histories
    times: IntArray | None = None
    ratings: FloatArray | None = None
    texts: pl.Series | None = None
    headlines: pl.Series | None = None
    orders: IntArray | None = None

    @property
    def num_users(self) -> int:
        return len(self.histories)

    @property
    def num_items(self) -> int:
        """Items of the catalogue, whether anybody took them or not."""
        return len(self.catalogue)

    @property
    def num_interactions(self) -> int:
        return len(self.histories.items)

    @property
    def order_starts(self) -> IntArray:
        """Where each order begins in `histories.items`, of one without orders each interaction; int64, rising."""
        if self.orders is None:
            return np.arange(self.num_interactions)
        return np.flatnonzero(np.append(True, self.orders[1:] != self.orders[:-1])[: len(self.orders)])


@dataclass(frozen=True)
class Targets:
    """One question a row: what comes after this history, and the item that did come.

    Where what was taken together is one order, all of it comes next: `orders` holds its items, each once, and `items`
    the first of them, for whoever asks for a single one.

    Shape: users (B,) raw ids, histories B lists, items (B,) int32, orders B lists (None: one item each).
    """

    catalogue: Catalogue
    users: pl.Series
    histories: Histories
    items: IntArray
    orders: Histories | None = None

    def __len__(self) -> int:
        return len(self.items)

    def sample(self, count: int, seed: int = 0, purpose: str = "questions asked") -> Targets:
        """At most `count` rows drawn without replacement, in their old order; `purpose` as in `streams.stream`."""
        if count >= len(self):
            return self
        rows = np.sort(stream(seed, purpose).choice(len(self), count, replace=False))
        return self.take(rows)

    def take(self, rows: IntArray) -> Targets:
        """The questions at `rows`, in that order."""
        orders = None if self.orders is None else self.orders.take(rows)
        return Targets(
            self.catalogue, self.users[rows.tolist()], self.histories.take(rows), self.items[rows], orders
        )

    def answers(self, row: int) -> IntArray:
        """What did come next in one question: its item, or all of its order."""
        return self.items[row : row + 1] if self.orders is None else self.orders[row]

    def apart(self) -> Targets:
        """A question for every item of every order, with the history of the order."""
        if self.orders is None:
            return self
        rows = self.orders.rows
        return Targets(
            self.catalogue, self.users[rows.tolist()], self.histories.take(rows), self.orders.items
        )
