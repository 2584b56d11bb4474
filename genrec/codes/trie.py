"""The trie of all codes, as flat arrays in level order.

Nodes are numbered breadth first, the root is 0, and the children of a node stand side by side. So one array of
starts is all the structure: the children of n are `first_child[n] .. first_child[n + 1] - 1`, and edge j *is* node j
(the root alone has no edge); no column of next states is needed. Items are sorted by their codes, so the items below
a node are a range of that order, which makes counting the allowed ones below any node two look-ups.

Layout after STATIC (https://arxiv.org/abs/2602.22647), which stores next states; the edge = node numbering and the
item ranges are ours.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from genrec.data.interactions import Histories, IntArray
from genrec.errors import CatalogueError

Codes = Histories
"""Codes share the flat layout of histories: code i is `items[offsets[i]:offsets[i + 1]]`, its tokens."""


@dataclass(frozen=True)
class Trie:
    """Prefix tree of the codes of I items with N nodes (root included).

    Shape: token_N int32, the token on the edge into a node (-1 for the root); first_child_N1 (N + 1,) int32;
    first_leaf_N and last_leaf_N int32, the half-open range of `item_of_leaf_I` below a node; item_of_leaf_I int32,
    items sorted by code.
    """

    token_N: IntArray
    first_child_N1: IntArray
    first_leaf_N: IntArray
    last_leaf_N: IntArray
    item_of_leaf_I: IntArray

    @classmethod
    def build(cls, codes: Codes) -> Trie:
        """Sort the codes and emit the arrays; seconds for a million codes.

        Args:
            codes: one code an item, each at least one token, none a prefix of another.

        Raises:
            CatalogueError: an empty code, or a code that is equal to another or its prefix.
        """
        lengths = codes.lengths
        if not len(lengths):
            raise CatalogueError("a trie needs at least one item")
        if not lengths.min():
            raise CatalogueError(
                f"item {int(np.argmin(lengths))} has an empty code; every code needs a token"
            )
        # Tokens as big-endian bytes compare like the codes themselves. Memory follows the tokens, not items x longest.
        data, bounds = codes.items.astype(">i4").tobytes(), (4 * codes.offsets).tolist()
        keys = [data[start:end] for start, end in itertools.pairwise(bounds)]
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
        # Whatever stands between a code and one that it begins, it begins too: looking at neighbours is enough.
        for above, below in itertools.pairwise(order.tolist()):
            if keys[below].startswith(keys[above]):
                raise CatalogueError(
                    f"the code of item {above} is a prefix of that of item {below}; codes must tell items apart"
                )
        offsets, lengths = codes.offsets[:-1][order], lengths[order]

        token, first_leaf, last_leaf = [np.array([-1])], [np.array([0])], [np.array([len(codes)])]
        row = np.arange(len(codes))  # codes, in order, that reach the current level
        opens = row == 0  # which of them open a node there, i.e. differ from the row above up to here
        for level in range(int(lengths.max())):
            inside = lengths[row] > level
            row, opens = row[inside], opens[inside]
            column = codes.items[offsets[row] + level]
            opens[1:] |= column[1:] != column[:-1]
            first = np.flatnonzero(opens)
            token.append(column[first])
            first_leaf.append(row[first])
            last_leaf.append(row[np.append(first[1:], len(row)) - 1] + 1)
        first_leaf_N, last_leaf_N = np.concatenate(first_leaf), np.concatenate(last_leaf)
        level_sizes = np.array([len(part) for part in token])
        # Children of a node: the nodes of the next level whose first leaf lies in its range.
        first_child = np.empty(len(first_leaf_N) + 1, np.int64)
        first_child[-1] = len(first_leaf_N)
        ends = np.cumsum(level_sizes)
        for level, size in enumerate(level_sizes):
            nodes = slice(ends[level] - size, ends[level])
            below = (
                first_leaf_N[ends[level] : ends[level + 1]] if level + 1 < len(level_sizes) else np.empty(0)
            )
            first_child[nodes] = ends[level] + np.searchsorted(below, first_leaf_N[nodes])
        return cls(
            np.concatenate(token).astype(np.int32),
            first_child.astype(np.int32),
            first_leaf_N.astype(np.int32),
            last_leaf_N.astype(np.int32),
            order.astype(np.int32),
        )

    @property
    def num_nodes(self) -> int:
        return len(self.token_N)

    @property
    def num_items(self) -> int:
        return len(self.item_of_leaf_I)

    @cached_property
    def num_children_N(self) -> IntArray:
        """Children of each node; 0 marks a leaf, 1 a forced token."""
        return np.diff(self.first_child_N1)

    @cached_property
    def parent_N(self) -> IntArray:
        """Parent of each node; -1 for the root."""
        parents = np.repeat(np.arange(self.num_nodes), self.num_children_N)
        return np.concatenate([[-1], parents]).astype(np.int32)

    @cached_property
    def paths(self) -> Histories:
        """The nodes along each item's code, root left out; row i is item i's."""
        num_leaves = self.last_leaf_N[1:] - self.first_leaf_N[1:]
        nodes = np.repeat(np.arange(1, self.num_nodes, dtype=np.int32), num_leaves)
        before = np.cumsum(num_leaves) - num_leaves
        leaves = np.arange(len(nodes)) + np.repeat(self.first_leaf_N[1:] - before, num_leaves)
        by_leaf = nodes[
            np.argsort(leaves, kind="stable")
        ]  # nodes stand level by level, so paths run downwards
        offsets = np.concatenate([[0], np.cumsum(np.bincount(leaves, minlength=self.num_items))])
        return Histories(by_leaf, offsets).take(np.argsort(self.item_of_leaf_I))

    def save(self, path: Path) -> None:
        """Write the arrays as one safetensors file."""
        save_file(
            {
                "token": self.token_N,
                "first_child": self.first_child_N1,
                "first_leaf": self.first_leaf_N,
                "last_leaf": self.last_leaf_N,
                "item_of_leaf": self.item_of_leaf_I,
            },
            path,
        )

    @classmethod
    def load(cls, path: Path) -> Trie:
        """Read what `save` wrote."""
        arrays: dict[str, Any] = load_file(path)
        return cls(
            *(arrays[key] for key in ("token", "first_child", "first_leaf", "last_leaf", "item_of_leaf"))
        )
