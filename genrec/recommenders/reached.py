"""Rankings out of sparse scores: no item that a history does not reach is looked at.

B: histories, I: items of the catalogue, K: places of a list, N: chunks of a row, C: entries that may get into a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings

_CHUNKS = 8  # of a row for each entry that is wanted: of 2, 4 and 8 this takes the least time on Beauty
_LEAST = np.finfo(np.float32).smallest_subnormal


def rank_reached(
    scores_BI: Any,
    histories: Histories,
    k: int,
    rest: Callable[..., Rankings],
    *,
    exclude_seen: bool,
    allowed: BoolArray | None,
    exact: bool,
) -> Rankings:
    """What `Recommender._rank` makes of the same scores, where those above 0 are better than all others.

    Args:
        scores_BI: sparse rows (scipy's `csr_array`), in any order within a row.
        histories, k, exclude_seen, allowed, exact: see `Recommender._rank`.
        rest: `Recommender._rank` itself, for histories that reach few items.
    """
    num_wanted = k + int(histories.lengths.max(initial=0)) * exclude_seen
    if scores_BI.nnz < _CHUNKS * num_wanted * len(
        histories
    ):  # most of what is reached would have to be sorted
        return rest(histories, k, exclude_seen=exclude_seen, allowed=allowed, exact=exact)
    values, items, offsets = scores_BI.data, scores_BI.indices, scores_BI.indptr
    if allowed is not None:
        users = np.repeat(np.arange(len(histories)), np.diff(offsets))
        values = np.where(allowed[items] if allowed.ndim == 1 else allowed[users, items], values, 0)
    row_C, place_C = _foremost(values, offsets, num_wanted)
    item_C, score_C = items[place_C], values[place_C]
    if exclude_seen:
        seen_BI = np.zeros((len(histories), scores_BI.shape[1]), bool)
        seen_BI[histories.rows, histories.items] = True
        new = ~seen_BI[row_C, item_C]
        row_C, item_C, score_C = row_C[new], item_C[new], score_C[new]
    order = _by_row_and_score(row_C, item_C, score_C)
    row_C, item_C, score_C = row_C[order], item_C[order], score_C[order]
    rank_C = np.arange(len(row_C)) - np.searchsorted(row_C, row_C)
    items_BK = np.full((len(histories), k), -1, np.int32)
    scores_BK = np.full((len(histories), k), -np.inf, np.float32)
    first = rank_C < k
    items_BK[row_C[first], rank_C[first]] = item_C[first]
    scores_BK[row_C[first], rank_C[first]] = score_C[first]
    short = np.flatnonzero(items_BK[:, -1] < 0)
    if len(short):
        theirs = allowed if allowed is None or allowed.ndim == 1 else allowed[short]
        found = rest(histories.take(short), k, exclude_seen=exclude_seen, allowed=theirs, exact=exact)
        items_BK[short], scores_BK[short] = found.items_BK, found.scores_BK
    return Rankings(items_BK, scores_BK, np.ones(len(histories), bool))


def _foremost(values: FloatArray, offsets: IntArray, num_wanted: int) -> tuple[IntArray, IntArray]:
    """Rows and places of the entries above 0 that may be among the `num_wanted` largest of their row.

    A long row is cut into several times as many chunks. As many of the largest entries of chunks as are wanted reach a
    bound: what is below it is not among the largest, and few chunks hold anything above.
    """
    num_chunks, sizes_B = _CHUNKS * num_wanted, np.diff(offsets).astype(np.int64)
    short, long = np.flatnonzero(sizes_B < num_chunks), np.flatnonzero(sizes_B >= num_chunks)
    row, start, stop, bound = short, offsets[short], offsets[short + 1], np.full(len(short), _LEAST)
    if len(long):
        cut_BN = offsets[long, None] + sizes_B[long, None] * np.arange(num_chunks + 1) // num_chunks
        last_B = cut_BN[:, -1] - 1
        begin_BN = np.column_stack([cut_BN[:, :-1], last_B])  # none begins behind the last row
        most_BN = np.maximum.reduceat(values, begin_BN.ravel()).reshape(begin_BN.shape)[:, :-1]
        most_BN[:, -1] = np.maximum(most_BN[:, -1], values[last_B])
        rank = num_chunks - num_wanted
        bound_B = np.maximum(np.partition(most_BN, rank, axis=1)[:, rank], _LEAST)
        among, chunk = np.nonzero(most_BN >= bound_B[:, None])
        row = np.concatenate([row, long[among]])
        start = np.concatenate([start, cut_BN[among, chunk]])
        stop = np.concatenate([stop, cut_BN[among, chunk + 1]])
        bound = np.concatenate([bound, bound_B[among]])
    sizes = stop - start
    place = np.repeat(start - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    kept = values[place] >= np.repeat(bound, sizes)
    return np.repeat(row, sizes)[kept], place[kept]


def _by_row_and_score(row_C: IntArray, item_C: IntArray, score_C: FloatArray) -> IntArray:
    """The order by rows, in these by scores above 0, the highest first, and of equal ones by items."""
    # Positive floats are ordered as the whole numbers that their bits are; one key sorts far faster than three.
    key_C = (row_C.astype(np.int64) << 32) - score_C.view(np.int32)
    order = np.argsort(key_C)
    equal = key_C[order[1:]] == key_C[order[:-1]]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    order[tied] = order[tied][np.lexsort((item_C[order[tied]], key_C[order[tied]]))]
    return order
