"""Affinity: which items are near to each other by who took them, to lengthen short lists for `palr`.

Shapes: B lists, I items, N nearest items, F flat entries of lists.
"""

from __future__ import annotations

import numpy as np

from genrec.data.flat import distinct, places, rows_of
from genrec.data.interactions import Histories, IntArray, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.itemknn import co_consumed

SHRINK = 15.0  # as in `itemknn`: a pair that was taken together once is no near pair


def affinity(train: Interactions, hops: int = 3, num_nearest: int = 50) -> IntArray:
    """The items nearest to each item in the graph of what was taken by the same users; (I, num_nearest) int32.

    Nearest first: those that share a user by their shrunk cosine, then, while places are free, those two steps away
    and so on up to `hops`, by the sum over the paths of the products of their cosines. -1 fills the rest. PALR
    lengthens short lists with "3-hop affinity" items and says no more (https://arxiv.org/abs/2305.07622).

    Raises:
        ConfigError: `hops` or `num_nearest` below 1.
    """
    if hops < 1 or num_nearest < 1:
        raise ConfigError(f"hops is {hops} and num_nearest {num_nearest}; both need at least 1")
    near_II = co_consumed(train, num_nearest, SHRINK)
    own_I = np.arange(train.num_items)
    nearest_IN = np.full((train.num_items, num_nearest), -1, np.int32)
    rows, paths = own_I, near_II
    for hop in range(hops):
        num_found_I = np.count_nonzero(nearest_IN >= 0, axis=1)
        if hop:
            free = num_found_I[rows] < num_nearest
            rows, paths = rows[free], paths[free] @ near_II
        reached = paths.tocoo()
        start, end = reached.coords
        order = np.lexsort((end, -reached.data, start))
        held, place = np.nonzero(nearest_IN >= 0)
        known = (np.concatenate([own_I, held]), np.concatenate([own_I, nearest_IN[held, place]]))
        row, item = distinct(rows[start[order]], end[order], train.num_items, without=known)
        place = num_found_I[row] + places(row)
        kept = place < num_nearest
        nearest_IN[row[kept], place[kept]] = item[kept]
    return nearest_IN


def enrichment(lists: Histories, affinity_IN: IntArray, length: int) -> Histories:
    """The items that bring each short list to `length`; B lists, empty where a list is long enough or empty itself.

    The nearest of each item of the list come first, the last item's before the others', then the second nearest and
    so on; never an item of the list. Where `affinity_IN` holds too few, the list stays shorter.

    Args:
        lists: B lists of catalogue rows.
        affinity_IN: what `affinity` found.
        length: items that list and enrichment have together.
    """
    short = np.flatnonzero(lists.lengths < length)
    chosen = lists.take(short)
    row_F = rows_of(chosen)
    from_end_F = chosen.offsets[1:][row_F] - np.arange(len(row_F))
    near_FN = affinity_IN[chosen.items]
    entry, rank = np.nonzero(near_FN >= 0)
    order = np.lexsort((from_end_F[entry], rank, row_F[entry]))
    row, item = distinct(
        row_F[entry][order], near_FN[entry, rank][order], len(affinity_IN), without=(row_F, chosen.items)
    )
    kept = places(row) < length - chosen.lengths[row]
    added_B = np.zeros(len(lists), np.int64)
    added_B[short] = np.bincount(row[kept], minlength=len(short))
    return Histories(item[kept].astype(np.int32), np.concatenate([[0], np.cumsum(added_B)]), lists.users)


def enriched(train: Interactions, length: int) -> Histories:
    """The training histories, short ones brought to `length` by the items near theirs, which come last."""
    if not length:
        return train.histories
    added = enrichment(train.histories, affinity(train), length)
    return Histories.from_lists([np.concatenate(both) for both in zip(train.histories, added, strict=True)])
