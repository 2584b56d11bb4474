"""The trie of all codes, as flat arrays in level order.

Nodes are numbered breadth first, the root is 0, and the children of a node stand side by side. So one array of
starts is all the structure: the children of n are `first_child[n] .. first_child[n + 1] - 1`, and edge j *is* node j
(the root alone has no edge); no column of next states is needed. Items are sorted by their codes, so the items below
a node are a range of that order, which makes counting the allowed ones below any node two look-ups.

Layout after STATIC (https://arxiv.org/abs/2602.22647), which stores next states; the edge = node numbering and the
item ranges are ours.
"""

from __future__ import annotations

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
        depth = int(lengths.max())
        padded_IL = np.full((len(codes), depth), -1, np.int32)
        padded_IL[np.repeat(np.arange(len(codes)), lengths), _within(codes)] = codes.items
        order = np.lexsort(padded_IL.T[::-1])
        padded_IL, lengths = padded_IL[order], lengths[order]

        # starts_I: this row opens a new node at the current level, i.e. differs from the row above up to here.
        starts = np.zeros(len(codes), bool)
        starts[0] = True
        ending = np.zeros(len(codes), bool)
        token, first_leaf, last_leaf = [np.array([-1])], [np.array([0])], [np.array([len(codes)])]
        for level in range(depth):
            inside = lengths > level
            column = padded_IL[:, level]
            starts[1:] |= column[1:] != column[:-1]
            starts |= ending  # a row after a finished code opens a node even where the padding looks alike
            rows = np.flatnonzero(starts & inside)
            token.append(column[rows])
            first_leaf.append(rows)
            # A node ends where the next node of its level starts, or where rows of finished codes lie between.
            bounds = np.flatnonzero(starts | ~inside)
            bounds = np.append(bounds, len(codes))
            last_leaf.append(bounds[np.searchsorted(bounds, rows, side="right")])
            ending = lengths == level + 1
        first_leaf_N, last_leaf_N = np.concatenate(first_leaf), np.concatenate(last_leaf)
        level_sizes = np.array([len(part) for part in token])

        finished = np.repeat(np.arange(len(level_sizes)), level_sizes) == lengths[first_leaf_N]
        clash = finished & (last_leaf_N - first_leaf_N > 1)
        if clash.any():
            a, b = order[first_leaf_N[clash][0]], order[first_leaf_N[clash][0] + 1]
            raise CatalogueError(
                f"the code of item {a} is a prefix of that of item {b}; codes must tell items apart"
            )
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
        leaves = np.flatnonzero(self.num_children_N == 0)
        leaf_of_item = np.empty(self.num_items, np.int64)
        leaf_of_item[self.item_of_leaf_I[self.first_leaf_N[leaves]]] = leaves
        columns = [leaf_of_item]
        while columns[-1].any():
            columns.append(np.where(columns[-1] > 0, self.parent_N[columns[-1]], 0))
        backwards_IL = np.stack(columns[::-1], axis=1)  # right-aligned: root (0) padding first, leaf last
        kept = backwards_IL > 0
        offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        return Histories(backwards_IL[kept].astype(np.int32), offsets)

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


def _within(codes: Codes) -> IntArray:
    """Position of each flat token within its code."""
    return np.arange(len(codes.items)) - np.repeat(codes.offsets[:-1], codes.lengths)
