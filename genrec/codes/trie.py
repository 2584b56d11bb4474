"""The trie of all codes, as flat arrays in level order.

Nodes are numbered breadth first, the root is 0, and the children of a node stand side by side. So one array of
starts is all the structure: the children of n are `first_child[n] .. first_child[n + 1] - 1`, and edge j *is* node j
(the root alone has no edge); no column of next states is needed. Items are sorted by their codes, so the items below
a node are a range of that order, which makes counting the allowed ones below any node two look-ups.

A node with a single item below it is a *tip*: nothing is left to decide, so nothing hangs below it. The rest of the
item's code, its *tail*, has no nodes and is read from the codes. (The root has children even over a single item, and
an item may be given more nodes than it needs, one below the other: `growth.py` keeps those that it was trained with.)

Layout after STATIC (https://arxiv.org/abs/2602.22647), which stores next states and writes codes out to their ends;
the edge = node numbering, the item ranges and the tips are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray
from genrec.errors import CatalogueError

Codes = Histories
"""Codes share the flat layout of histories: code i is `items[offsets[i]:offsets[i + 1]]`, its tokens."""


@dataclass(frozen=True)
class Trie:
    """Prefix tree of the codes of I items with N nodes (root included).

    Shape: token_N int32, the token on the edge into a node (-1 for the root); first_child_N1 (N + 1,) int32;
    first_leaf_N and last_leaf_N int32, the half-open range of `item_of_leaf_I` below a node; item_of_leaf_I int32,
    items sorted by code. `codes` are those it was built from, not a copy.
    """

    codes: Codes
    token_N: IntArray
    first_child_N1: IntArray
    first_leaf_N: IntArray
    last_leaf_N: IntArray
    item_of_leaf_I: IntArray

    @classmethod
    def build(cls, codes: Codes, depth_I: IntArray | None = None) -> Trie:
        """Sort the codes level by level and emit the nodes on the way; under a second for a million codes.

        Args:
            codes: one code an item, each at least one token, none a prefix of another. Tokens are at least 0.
            depth_I: tokens of each code that get a node even where the item is alone, at most all; None: as few as
                tell the items apart.

        Raises:
            CatalogueError: an empty code, or a code that is equal to another or its prefix.
        """
        lengths = codes.lengths.astype(np.int32)
        if not len(lengths):
            raise CatalogueError("a trie needs at least one item")
        refuse_empty(lengths)
        item_of_leaf = np.arange(len(codes), dtype=np.int32)
        token, first_leaf, last_leaf = ([np.array([number], np.int32)] for number in (-1, 0, len(codes)))
        num_children = [np.zeros(1, np.int64)]
        # What is not a tip goes on: its leaves, each with the number of its node among such nodes of the level.
        leaf, open_parents, parent = (
            item_of_leaf.copy(),
            np.zeros(1, np.int64),
            np.zeros(len(codes), np.int64),
        )
        level = 0
        while len(leaf):
            items = item_of_leaf[leaf]
            ended = lengths[items] == level
            if ended.any():
                raise _clash(items, parent, ended)
            keys = parent << 32
            keys |= codes.items[codes.offsets[items] + level]
            order = np.argsort(keys)
            keys = keys[order]
            item_of_leaf[leaf] = items[order]
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
            size = np.diff(first, append=len(keys)).astype(np.int32)
            num_children[-1][open_parents] = np.bincount(keys[first] >> 32)
            num_children.append(np.zeros(len(first), np.int64))
            token.append((keys[first] & 0xFFFFFFFF).astype(np.int32))
            first_leaf.append(leaf[first])
            last_leaf.append(leaf[first] + size)
            goes_on = size > 1
            if depth_I is not None:
                goes_on |= depth_I[items[order][first]] > level + 1
            leaf = leaf[np.repeat(goes_on, size)]
            open_parents = np.flatnonzero(goes_on)
            parent = np.repeat(np.arange(len(open_parents)), size[open_parents])
            level += 1
        counts = np.concatenate(num_children)
        return cls(
            codes,
            np.concatenate(token),
            np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32),
            np.concatenate(first_leaf),
            np.concatenate(last_leaf),
            item_of_leaf,
        )

    @property
    def num_nodes(self) -> int:
        return len(self.token_N)

    @property
    def num_items(self) -> int:
        return len(self.item_of_leaf_I)

    @cached_property
    def num_children_N(self) -> IntArray:
        """Children of each node; 0 marks a tip, 1 a forced token."""
        return np.diff(self.first_child_N1)

    @cached_property
    def parent_N(self) -> IntArray:
        """Parent of each node; -1 for the root."""
        parents = np.repeat(np.arange(self.num_nodes, dtype=np.int32), self.num_children_N)
        return np.concatenate([np.array([-1], np.int32), parents])

    @cached_property
    def leaf_of_item_I(self) -> IntArray:
        """Where each item stands in `item_of_leaf_I`."""
        leaves = np.empty_like(self.item_of_leaf_I)
        leaves[self.item_of_leaf_I] = np.arange(self.num_items, dtype=np.int32)
        return leaves

    @property
    def levels(self) -> list[slice]:
        """The nodes of each level, from the root's on."""
        bounds = [0, 1]
        while bounds[-1] < self.num_nodes:
            bounds.append(int(self.first_child_N1[bounds[-1]]))
        return [slice(start, end) for start, end in pairwise(bounds)]

    @cached_property
    def paths(self) -> Histories:
        """The node of each token of each code, 0 in tails; row i is item i's, as long as its code."""
        nodes = np.zeros(len(self.codes.items), np.int32)
        for depth, level in enumerate(self.levels[1:]):
            first, size = self.first_leaf_N[level], self.last_leaf_N[level] - self.first_leaf_N[level]
            before = np.cumsum(size) - size
            leaves = np.arange(size.sum()) + np.repeat(first - before, size)
            places = self.codes.offsets[self.item_of_leaf_I[leaves]] + depth
            nodes[places] = np.repeat(np.arange(level.start, level.stop, dtype=np.int32), size)
        return Histories(nodes, self.codes.offsets)


def refuse_empty(lengths: IntArray, first_item: int = 0) -> None:
    """Raise for the first code that has no token; `lengths` are those of `first_item` and the items after it."""
    for row in np.flatnonzero(lengths == 0).tolist():
        raise CatalogueError(f"item {first_item + row} has an empty code; every code needs a token")


def prefix_error(above: int, below: int) -> CatalogueError:
    """What is wrong with two items of which the first one's code begins that of the other."""
    return CatalogueError(
        f"the code of item {above} is a prefix of that of item {below}; codes must tell items apart"
    )


def _clash(items: IntArray, parent: IntArray, ended: BoolArray) -> CatalogueError:
    """The error for items that are together at a node, `parent` of each, where the code of some has ended."""
    above = items[ended].min()
    others = items[(parent == parent[items == above]) & (items != above)]
    return prefix_error(int(above), int(others.min()))
