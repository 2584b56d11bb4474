"""New items for a trie that is there already, at the cost of a few passes over its arrays.

Each new code is followed down the trie to its *anchor*, the node where it leaves what is there. If the anchor is a tip,
the item that was alone there is *displaced*: its code goes on below the anchor as well. New nodes are those of the
codes of new and displaced items below their anchors. A new node is placed by the old node before which it stands, and
the children of what stands before node b stand before the first child of b; so the level order holds.

Shape suffixes: N old nodes, K new items, U displaced and new items sorted by code, M new nodes, P pairs of a new node
and an item below it (an item's own pairs side by side, downwards), S steps of new codes along old nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrec.codes.trie import Codes, Trie, prefix_error, refuse_empty
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import IntArray


def insert(trie: Trie, codes: Codes) -> tuple[Trie, IntArray]:
    """The trie of more codes, equal to `Trie.build(codes)`; milliseconds for a thousand new ones in a million.

    Args:
        trie: the trie of the first `trie.num_items` codes.
        codes: those, unchanged, and the new ones behind them.

    Returns:
        The new trie, and the number that each old node has in it, (old num_nodes,) int64.

    Raises:
        CatalogueError: a new code that is empty, or two codes that are equal or one the prefix of the other.
    """
    walk = _follow(trie, codes)
    rows = _Rows.of(trie, codes, walk)
    nodes = _Nodes.of(trie, rows)
    before_leaf = _num_before(rows.leaf_U[rows.is_new_U], trie.num_items + 1)
    # Place in the new order of the leaves.
    leaf_U = rows.leaf_U + np.where(rows.is_new_U, np.cumsum(rows.is_new_U) - 1, before_leaf[rows.leaf_U])

    number_M = nodes.bound_M + np.arange(len(nodes.bound_M))
    number_N = np.arange(trie.num_nodes) + _num_before(nodes.bound_M, trie.num_nodes)
    parent_M = np.where(nodes.parent_M < 0, number_N[rows.anchor_U[nodes.row_M]], number_M[nodes.parent_M])
    num_children = np.insert(trie.num_children_N, nodes.bound_M, 0)
    np.add.at(num_children, parent_M, 1)
    first_child = np.ones(len(num_children) + 1, np.int32)
    np.cumsum(num_children, out=first_child[1:])
    first_child[1:] += 1

    # Items that stand before a node's first leaf stand before the node, and those behind its last behind it, unless
    # they came through it.
    first_N = trie.first_leaf_N + before_leaf[trie.first_leaf_N]
    last_N = trie.last_leaf_N + before_leaf[trie.last_leaf_N - 1]
    leaf_of_new = np.empty(len(codes) - trie.num_items, np.int64)
    leaf_of_new[rows.item_U[rows.is_new_U] - trie.num_items] = rows.leaf_U[rows.is_new_U]
    leaf_S = leaf_of_new[walk.row_S]
    np.subtract.at(first_N, walk.node_S, (leaf_S == trie.first_leaf_N[walk.node_S]).astype(np.int32))
    np.add.at(last_N, walk.node_S, (leaf_S == trie.last_leaf_N[walk.node_S]).astype(np.int32))
    first_M = leaf_U[nodes.row_M].astype(np.int32)
    item_M = rows.item_U[nodes.row_M]
    grown = Trie(
        codes,
        np.insert(trie.token_N, nodes.bound_M, codes.items[codes.offsets[item_M] + nodes.depth_M - 1]),
        first_child,
        np.insert(first_N, nodes.bound_M, first_M),
        np.insert(last_N, nodes.bound_M, first_M + nodes.size_M),
        np.insert(trie.item_of_leaf_I, rows.leaf_U[rows.is_new_U], rows.item_U[rows.is_new_U]),
    )
    return grown, number_N


def _num_before(bounds: IntArray, size: int) -> IntArray:
    """How many of the sorted `bounds` are at most 0, 1, ..., size - 1; int32."""
    return np.repeat(np.arange(len(bounds) + 1, dtype=np.int32), np.diff(bounds, prepend=0, append=size))


@dataclass(frozen=True)
class _Rows:
    """Displaced and new items, sorted by code.

    is_new_U; anchor_U and depth_U as in `_Walk`; bound_U, the old node before which the item's first new one stands;
    leaf_U, the old leaf of a displaced item and the one before which a new item stands; shared_U, tokens that the code
    shares with the one before it.
    """

    item_U: IntArray
    is_new_U: BoolArray
    anchor_U: IntArray
    depth_U: IntArray
    bound_U: IntArray
    leaf_U: IntArray
    shared_U: IntArray

    @classmethod
    def of(cls, trie: Trie, codes: Codes, walk: _Walk) -> _Rows:
        at_tip = np.flatnonzero(trie.num_children_N[walk.anchor_K] == 0)
        tips, first = np.unique(walk.anchor_K[at_tip], return_index=True)
        same_way = at_tip[first]  # a new item of each tip: what is displaced went the same way
        leaf = trie.first_leaf_N[tips]
        item = np.concatenate(
            [trie.item_of_leaf_I[leaf], np.arange(trie.num_items, len(codes), dtype=np.int32)]
        )
        texts = [codes[row].tolist() for row in item.tolist()]
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        item_U, is_new_U = item[order], order >= len(tips)
        anchor_U, depth_U, bound_U = (
            np.concatenate([array[same_way], array])[order]
            for array in (walk.anchor_K, walk.depth_K, walk.bound_K)
        )
        leaf_U = np.concatenate([leaf, walk.leaf_K])[order].astype(np.int64)
        # Below a tip, a new item stands before the displaced one or right behind it.
        place_of_tip = np.empty(len(tips), np.int64)
        place_of_tip[order[~is_new_U]] = np.flatnonzero(~is_new_U)
        below_tip = np.flatnonzero(is_new_U & (trie.num_children_N[anchor_U] == 0))
        leaf_U[below_tip] += below_tip > place_of_tip[np.searchsorted(tips, anchor_U[below_tip])]
        return cls(item_U, is_new_U, anchor_U, depth_U, bound_U, leaf_U, _shared(codes.take(item_U), item_U))


@dataclass(frozen=True)
class _Nodes:
    """New nodes in level order.

    row_M, the first row (U) below each; depth_M; size_M, rows below it; bound_M, the old node before which it stands;
    parent_M, the new node above it, -1 for the anchor.
    """

    row_M: IntArray
    depth_M: IntArray
    size_M: IntArray
    bound_M: IntArray
    parent_M: IntArray

    @classmethod
    def of(cls, trie: Trie, rows: _Rows) -> _Nodes:
        # From the first token below the anchor to the first that the item shares with no other.
        shared_U, depth_U = rows.shared_U, rows.depth_U
        deepest_U = np.maximum(np.maximum(shared_U, np.append(shared_U[1:], 0)), depth_U) + 1
        count_U = deepest_U - depth_U
        start_U = np.cumsum(count_U) - count_U
        row_P = np.repeat(np.arange(len(count_U)), count_U)
        step_P = np.arange(len(row_P)) - start_U[row_P]
        depth_P = depth_U[row_P] + 1 + step_P
        bound_P = rows.bound_U[row_P]
        for step in range(1, int(count_U.max(initial=0))):
            pairs = start_U[count_U > step] + step
            bound_P[pairs] = trie.first_child_N1[bound_P[pairs - 1]]
        # Level by level and in the order of codes; a node is opened by the first of its items.
        order = np.argsort(depth_P, kind="stable")
        opens = depth_P[order] > shared_U[row_P[order]]
        first = np.flatnonzero(opens)
        opener_M = order[first]
        node_P = np.empty(len(order), np.int64)
        node_P[order] = np.cumsum(opens) - 1
        parent_M = np.where(step_P[opener_M] > 0, node_P[opener_M - 1], -1)
        size_M = np.diff(first, append=len(order))
        return cls(row_P[opener_M], depth_P[opener_M], size_M, bound_P[opener_M], parent_M)


@dataclass(frozen=True)
class _Walk:
    """Where new codes leave a trie: their anchors and how many tokens lead there, the old node before which the next
    one would stand, and the old leaf before which the item would; and the old nodes that each came through."""

    anchor_K: IntArray
    depth_K: IntArray
    bound_K: IntArray
    leaf_K: IntArray
    row_S: IntArray
    node_S: IntArray


def _follow(trie: Trie, codes: Codes) -> _Walk:
    """Follow the new codes down."""
    item_K = np.arange(trie.num_items, len(codes))
    start_K, length_K = codes.offsets[item_K], codes.lengths[item_K]
    refuse_empty(length_K, trie.num_items)
    anchor_K, depth_K, bound_K = (np.zeros(len(item_K), np.int64) for _ in range(3))
    rows, depth = np.arange(len(item_K)), 0
    steps = [(rows, anchor_K.copy())]
    while len(rows):
        ended = rows[length_K[rows] == depth]
        if len(ended):
            below = trie.item_of_leaf_I[trie.first_leaf_N[anchor_K[ended[0]]]]
            raise prefix_error(int(item_K[ended[0]]), int(below))
        token = codes.items[start_K[rows] + depth]
        low, end = (trie.first_child_N1[anchor_K[rows] + more].astype(np.int64) for more in (0, 1))
        high = end
        while (low < high).any():
            middle = (low + high) // 2
            less = (low < high) & (trie.token_N[np.minimum(middle, trie.num_nodes - 1)] < token)
            low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
        bound_K[rows] = low
        found = low < end
        found[found] = trie.token_N[low[found]] == token[found]
        rows = rows[found]
        anchor_K[rows], depth_K[rows] = low[found], depth + 1
        bound_K[rows] = trie.first_child_N1[low[found]]
        steps.append((rows, low[found]))
        rows = rows[trie.num_children_N[low[found]] > 0]
        depth += 1
    last = bound_K == trie.first_child_N1[anchor_K + 1]
    leaf_K = np.where(
        last, trie.last_leaf_N[anchor_K], trie.first_leaf_N[np.minimum(bound_K, trie.num_nodes - 1)]
    )
    leaf_K = np.where(trie.num_children_N[anchor_K] == 0, trie.first_leaf_N[anchor_K], leaf_K)
    row_S, node_S = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    return _Walk(anchor_K, depth_K, bound_K, leaf_K, row_S, node_S)


def _shared(codes: Codes, item_U: IntArray) -> IntArray:
    """Tokens that each of the sorted codes, those of `item_U`, shares with the one before it."""
    shared_U, level = np.zeros(len(codes), np.int64), 0
    start_U, length_U = codes.offsets[:-1], codes.lengths
    rows = np.arange(1, len(codes))
    while len(rows):
        ended = rows[length_U[rows - 1] == level]
        if len(ended):
            raise prefix_error(int(item_U[ended[0] - 1]), int(item_U[ended[0]]))
        rows = rows[length_U[rows] > level]
        rows = rows[codes.items[start_U[rows] + level] == codes.items[start_U[rows - 1] + level]]
        level += 1
        shared_U[rows] = level
    return shared_U


def begins_with(codes: Codes, old: Codes) -> bool:
    """Whether the first codes are the `old` ones, unchanged."""
    return (
        len(codes) >= len(old)
        and np.array_equal(codes.offsets[: len(old) + 1], old.offsets)
        and np.array_equal(codes.items[: len(old.items)], old.items)
    )


def moved_nodes(old: Trie, new: Trie) -> IntArray:
    """New number of each node of `old` in `new`, -1 where it is gone; (old num_nodes,) int64.

    A node is the same where the same item's code leads through it with the same tokens before it. The items of `old`
    are the first ones of `new`.
    """
    moved = np.full(old.num_nodes, -1, np.int64)
    moved[0] = 0
    kept = new.codes.take(np.arange(len(old.codes)))
    shared = np.minimum(old.codes.lengths, kept.lengths)
    item = np.repeat(np.arange(len(shared)), shared)
    place = np.arange(len(item)) - np.repeat(np.cumsum(shared) - shared, shared)
    at_old, at_new = old.codes.offsets[item] + place, new.codes.offsets[item] + place
    same = old.codes.items[at_old] == new.codes.items[at_new]
    # A token counts only where all before it are the same too: no difference since the code's start.
    differences = np.concatenate([[0], np.cumsum(~same)])
    unbroken = differences[1:] == differences[np.repeat(np.cumsum(shared) - shared, shared)]
    old_nodes, nodes = old.paths.items[at_old[unbroken]], new.paths.items[at_new[unbroken]]
    both = (old_nodes > 0) & (nodes > 0)  # a tail has no nodes
    moved[old_nodes[both]] = nodes[both]
    return moved
