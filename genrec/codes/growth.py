"""The codes of a catalogue that changes after training: one function of the trained codes and of today's names.

What a model learnt of an item hangs on the nodes of its code, so whatever comes and goes, codes change as little as
they can, and depend on the catalogue alone, not on the edits that led to it:

- An item that is called as in training keeps its code and all its nodes. Others can only make the code longer.
- An item with another name gets the code of that name. What was its own, the vector of the node at which it was alone,
  moves with it; the nodes that its codes share stay where they are.
- Of equal names those of training come first, then those that trained items have now, then those of new items, so
  that a running number ("Hamlet (2)") never goes to an item that had its plain name in training.

Shape suffixes: T trained items, I items of today, N trained nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genrec.codes.insertion import begins_with, insert, moved_nodes
from genrec.codes.title import Encode, Length, begins_another, shortest_lengths, told_apart, without
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import IntArray


@dataclass(frozen=True)
class TrainedCodes:
    """Codes as a model was trained with them, and how they were made of names.

    `encode`, `end`, `length` and `always_close` as in `title_codes`.
    """

    trie: Trie
    names: Sequence[str]
    encode: Encode
    end: Sequence[int]
    length: Length
    always_close: bool

    def grown(self, names: Sequence[str]) -> tuple[Trie, IntArray]:
        """The trie of other names, and where each trained node (N,) is in it, -1 where it is gone.

        Args:
            names: I of them: those of the T trained items, and those of new items in an order of their own.

        Raises:
            CatalogueError: a repeated name that cannot be told apart.
        """
        num_trained = len(self.names)
        is_new_name = [now != then for now, then in zip(names, self.names, strict=False)]
        renamed = np.flatnonzero(is_new_name).tolist()
        tokens = self._tokens(names, renamed)
        depth_I = np.ones(len(names), np.int64)
        depth_I[:num_trained] = self._depth_T
        for row in renamed:
            depth_I[row] = min(
                self._depth_T[row], 1 + _shared([*tokens[row], *self.end], self.trie.codes[row])
            )
        codes = self._codes(tokens, depth_I)
        if not renamed and begins_with(codes, self.trie.codes):
            return insert(self.trie, codes)
        trie = Trie.build(codes, np.minimum(depth_I, codes.lengths))
        moved = moved_nodes(self.trie, trie)
        for row in renamed:
            own = self.trie.paths[row][self._depth_T[row] - 1]
            if moved[own] < 0:
                moved[own] = trie.paths[row].max()
        return trie, moved

    def whole(self, names: Sequence[str]) -> Codes:
        """Each name to its end, closed: what the code that `grown` gives an item is the beginning of, or all.

        Args:
            names: as in `grown`.

        Raises:
            CatalogueError: as in `grown`.
        """
        renamed = [row for row, (now, then) in enumerate(zip(names, self.names, strict=False)) if now != then]
        return Codes.from_lists([[*row, *self.end] for row in self._tokens(names, renamed)])

    def _tokens(self, names: Sequence[str], renamed: Sequence[int]) -> list[list[int]]:
        """What each name is written with, before it is cut short."""
        tokens = list(self._trained_tokens)
        encode, without_code = without(self.end, self.encode), set(renamed)
        kept = (row for number, row in enumerate(tokens) if number not in without_code)
        others = [*renamed, *range(len(tokens), len(names))]
        found = told_apart([names[row] for row in others], encode, kept)
        for row, written in zip(renamed, found, strict=False):
            tokens[row] = written
        return tokens + found[len(renamed) :]

    def _codes(self, tokens: list[list[int]], depth_I: IntArray) -> Codes:
        """Codes of at least `depth_I` tokens, as far as there are so many."""
        if self.length == "shortest":
            kept_I = np.maximum(shortest_lengths(tokens), depth_I)
            tokens = [row[:kept] for row, kept in zip(tokens, kept_I.tolist(), strict=True)]
        closed = [True] * len(tokens) if self.always_close else begins_another(tokens)
        return Codes.from_lists(
            [
                [*row, *self.end] if close or len(row) < depth else row
                for row, close, depth in zip(tokens, closed, depth_I.tolist(), strict=True)
            ]
        )

    @cached_property
    def _trained_tokens(self) -> list[list[int]]:
        return told_apart(self.names, without(self.end, self.encode))

    @cached_property
    def _depth_T(self) -> IntArray:
        """Nodes on the way of each trained item."""
        is_node = self.trie.paths.items > 0
        depth_T: IntArray = np.add.reduceat(is_node, self.trie.paths.offsets[:-1], dtype=np.int64)
        return depth_T


def _shared(one: Sequence[int], other: IntArray) -> int:
    """How many tokens two codes begin with in common."""
    count = 0
    for left, right in zip(one, other.tolist(), strict=False):
        if left != right:
            break
        count += 1
    return count
