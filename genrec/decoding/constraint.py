"""Which nodes of the trie may still be written: those with an allowed item below them.

Items are sorted by code, so "allowed items below a node" is the difference of two prefix counts, less the seen ones,
found by bisection in the user's own short list. Nothing here is proportional to the catalogue but the one pass over
the mask of a request.

Shape suffixes: B users, N nodes, I items, S seen items of all users, E edges asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genrec.codes.trie import Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories


@dataclass(frozen=True)
class TrieTensors:
    """A trie's arrays as int64 tensors on the model's device; see `genrec.codes.trie.Trie`."""

    token_N: Tensor
    first_child_N1: Tensor
    first_leaf_N: Tensor
    last_leaf_N: Tensor
    item_of_leaf_I: Tensor
    leaf_of_item_I: Tensor

    @classmethod
    def of(cls, trie: Trie, device: torch.device | str) -> TrieTensors:
        """Copy a trie to a device."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array.astype(np.int64), device=device)

        return cls(
            tensor(trie.token_N),
            tensor(trie.first_child_N1),
            tensor(trie.first_leaf_N),
            tensor(trie.last_leaf_N),
            tensor(trie.item_of_leaf_I),
            tensor(np.argsort(trie.item_of_leaf_I)),
        )

    def num_children(self, node: Tensor) -> Tensor:
        """Children of each node."""
        return self.first_child_N1[node + 1] - self.first_child_N1[node]

    def children(self, node_F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Every child of every node: parent_E (a place in node_F), child_E, and offset_F, where a node's begin."""
        count_F = self.num_children(node_F)
        offset_F = count_F.cumsum(0) - count_F
        parent_E = torch.repeat_interleave(torch.arange(len(count_F), device=node_F.device), count_F)
        child_E = (self.first_child_N1[node_F] - offset_F)[parent_E]
        child_E += torch.arange(len(parent_E), device=node_F.device)
        return parent_E, child_E, offset_F


class Constraint:
    """The filters of one batch of requests over a trie."""

    def __init__(
        self, trie: TrieTensors, *, seen: Histories | None = None, allowed: BoolArray | None = None
    ) -> None:
        """Filters for B users.

        Args:
            trie: the catalogue's trie.
            seen: items that each user must not get; None: no such items.
            allowed: mask (num_items,) of what anybody may get; None: everything.
        """
        self.trie = trie
        device = trie.token_N.device
        num_items = len(trie.item_of_leaf_I)
        self._stride = num_items + 1
        self._allowed_before: Tensor | None = None
        if allowed is not None:
            allowed_I = torch.tensor(allowed, device=device)  # a copy: the mask may be read-only
            allowed_leaf = allowed_I[trie.item_of_leaf_I]
            self._allowed_before = torch.cat([allowed_leaf.new_zeros(1), allowed_leaf]).cumsum(0)
        self._seen_S: Tensor | None = None
        if seen is not None and len(seen.items):
            users = torch.as_tensor(np.repeat(np.arange(len(seen)), seen.lengths), device=device)
            leaves = trie.leaf_of_item_I[torch.as_tensor(seen.items.astype(np.int64), device=device)]
            if allowed is not None:  # what is not allowed anyway must not be subtracted twice
                kept = allowed_leaf[leaves]
                users, leaves = users[kept], leaves[kept]
            self._seen_S = torch.unique(users * self._stride + leaves)

    def num_allowed(self, user_E: Tensor, node_E: Tensor) -> Tensor:
        """Items (E,) that user_E may get among those below node_E."""
        first_E, last_E = self.trie.first_leaf_N[node_E], self.trie.last_leaf_N[node_E]
        if self._allowed_before is None:
            count_E = last_E - first_E
        else:
            count_E = self._allowed_before[last_E] - self._allowed_before[first_E]
        if self._seen_S is not None:
            base_E = user_E * self._stride
            seen_E = torch.searchsorted(self._seen_S, base_E + last_E) - torch.searchsorted(
                self._seen_S, base_E + first_E
            )
            count_E = count_E - seen_E
        return count_E
