"""Many lists at once in flat arrays: what is in them only once, at which place, and random draws from them.

Shapes: F flat entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from genrec.data.interactions import FloatArray, Histories, IntArray


def rows_of(lists: Histories) -> IntArray:
    """The list that each entry of `lists.items` stands in; (F,)."""
    return np.repeat(np.arange(len(lists)), lists.lengths)


def distinct(
    rows: IntArray, items: IntArray, num_items: int, without: tuple[IntArray, IntArray] | None = None
) -> tuple[IntArray, IntArray]:
    """The first of each (row, item) in its old order, and none of the pairs of `without`."""
    barred_rows, barred_items = without or (rows[:0], items[:0])
    pairs = np.concatenate([barred_rows, rows]).astype(np.int64) * num_items
    pairs += np.concatenate([barred_items, items])
    _, first = np.unique(pairs, return_index=True)
    kept = np.sort(first[first >= len(barred_rows)]) - len(barred_rows)
    return rows[kept], items[kept]


def places(rows: IntArray) -> IntArray:
    """How many entries of its own row stand before each entry, for rows in rising order."""
    before: IntArray = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return before


@dataclass(frozen=True)
class Draw:
    """Random entries of sparse rows, each by its share of the row; `sums` are the running sums of all weights."""

    offsets: IntArray
    columns: IntArray
    sums: FloatArray

    @classmethod
    def by(cls, weights: Any) -> Draw:
        """Draw columns by the weights of a sparse matrix, none of which is negative."""
        rows = sparse.csr_array(weights)
        return cls(rows.indptr, rows.indices, np.concatenate([[0.0], np.cumsum(rows.data, dtype=np.float64)]))

    def draw(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """A column of each of `rows`, of any shape; -1 for the row -1 and where all weights are 0."""
        first, end = self.offsets[rows], self.offsets[np.maximum(rows, -1) + 1]
        low, high = self.sums[first], self.sums[end]
        found = (rows >= 0) & (high > low)
        drawn = np.full(rows.shape, -1, np.int64)
        aim = low[found] + rng.random(np.count_nonzero(found)) * (high[found] - low[found])
        at = np.searchsorted(self.sums, aim, side="right") - 1
        drawn[found] = self.columns[np.minimum(at, end[found] - 1)]
        return drawn


def any_of(
    lists: Histories, rng: np.random.Generator, shape: tuple[int, int], last: int | None = None
) -> IntArray:
    """Items of each list, or of its `last` ones, all as likely; of `shape`, -1 for an empty list."""
    ends = lists.offsets[1:, None]
    counts = lists.lengths[:, None] if last is None else np.minimum(lists.lengths, last)[:, None]
    at = ends - counts + (rng.random(shape) * counts).astype(np.int64)
    drawn = np.full(shape, -1, np.int64)
    there = np.broadcast_to(counts > 0, shape)
    drawn[there] = lists.items[at[there]]
    return drawn
