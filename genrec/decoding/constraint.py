"""What may still be written: the children of trie nodes, and which of them have an allowed item below.

Items are sorted by code, so "allowed items below a node" is a difference of prefix counts: in the sorted list of what
is allowed or forbidden, by bisection, where that list is short, else in a table over the catalogue. A user's seen
items always are such a list. Nothing in a step is proportional to the catalogue.

A step is a few dozen tensor operations on short vectors, microseconds each on a CPU, so their number is its time.

Shape suffixes: B users, F beams of all users, N nodes, I items, S seen items of all users, E edges out of the beams,
C edges of one user (padded), L leaves in a short list.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.codes.trie import Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray

_SHORT = 64  # a list of leaves is short if it has at most this part of the catalogue


@dataclass(frozen=True)
class TrieTensors:
    """A trie's arrays on the model's device, int32 as in `genrec.codes.trie.Trie`; shared with it on a CPU.

    Code i is `code_token[code_start_I1[i]:code_start_I1[i + 1]]`: what a tip's tail is read from. `leaf_of_item_I` is
    a NumPy array, because filters are put together on the host.
    """

    token_N: Tensor
    first_child_N1: Tensor
    first_leaf_N: Tensor
    last_leaf_N: Tensor
    item_of_leaf_I: Tensor
    code_token: Tensor
    code_start_I1: Tensor
    leaf_of_item_I: IntArray

    @classmethod
    def of(cls, trie: Trie, device: torch.device | str) -> TrieTensors:
        """A trie on a device."""

        def tensor(array: IntArray) -> Tensor:
            return torch.from_numpy(array).to(device)

        return cls(
            tensor(trie.token_N),
            tensor(trie.first_child_N1),
            tensor(trie.first_leaf_N),
            tensor(trie.last_leaf_N),
            tensor(trie.item_of_leaf_I),
            tensor(trie.codes.items),
            tensor(trie.codes.offsets),
            trie.leaf_of_item_I,
        )

    @property
    def num_items(self) -> int:
        return len(self.leaf_of_item_I)

    def num_children(self, node: Tensor) -> Tensor:
        """Children of each node; 0 at a tip."""
        return self.first_child_N1[node + 1] - self.first_child_N1[node]

    def num_below(self, node_E: Tensor) -> Tensor:
        """Items below each node."""
        return self.last_leaf_N.index_select(0, node_E) - self.first_leaf_N.index_select(0, node_E)

    @cached_property
    def last_forced_N(self) -> Tensor:
        """The node after the forced tokens below each: there is a choice again, or no item but one is left."""
        first_N, last_N = self.first_child_N1[:-1], self.first_child_N1[1:]
        next_N = torch.where(
            last_N - first_N == 1, first_N, torch.arange(len(first_N), device=first_N.device).int()
        )
        while not torch.equal(further_N := next_N.index_select(0, next_N), next_N):
            next_N = further_N
        return next_N

    def edges(self, user_F: Tensor, node_F: Tensor, num_users: int) -> Edges:
        """All edges out of beams.

        Args:
            user_F: the user of each beam, sorted.
            node_F: the node that each beam has reached.
            num_users: B.
        """
        first_F = self.first_child_N1.index_select(0, node_F)
        last_F = self.first_child_N1.index_select(0, node_F + 1)
        count_F = last_F - first_F
        offset_F1 = F.pad(count_F.cumsum(0), (1, 0))
        beam_of_B1 = torch.searchsorted(user_F, torch.arange(num_users + 1, device=user_F.device))
        offset_B1 = offset_F1.index_select(0, beam_of_B1)
        offsets = offset_B1.tolist()  # the only wait for the device
        beam_E = torch.repeat_interleave(count_F, output_size=offsets[-1])
        child_E = (first_F - offset_F1[:-1]).index_select(0, beam_E)
        child_E += torch.arange(offsets[-1], device=user_F.device)
        return Edges(beam_E, child_E, offset_B1, max(end - start for start, end in pairwise(offsets)))


@dataclass(frozen=True)
class Edges:
    """Edges out of beams, sorted by user, then beam, then token.

    Shape: beam_E, the beam that each starts from; child_E, the node that it leads to; user b has the edges
    `offset_B1[b] .. offset_B1[b + 1] - 1`; `most`, the number of edges of the user who has most.
    """

    beam_E: Tensor
    child_E: Tensor
    offset_B1: Tensor
    most: int

    @cached_property
    def _table(self) -> tuple[Tensor, Tensor]:
        """The edges of each user (B, C), and which of them are padding; padding is any edge."""
        edge_BC = self.offset_B1[:-1, None] + torch.arange(self.most, device=self.offset_B1.device)
        padding_BC = edge_BC >= self.offset_B1[1:, None]
        return edge_BC.clamp_max_(max(len(self.beam_E) - 1, 0)), padding_BC

    def best(self, score_E: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k best edges of each user, best first.

        Args:
            score_E: score of each edge, -inf for one that must not be taken.
            k: edges wanted; fewer columns come back where no user has so many.

        Returns:
            Scores (B, k) and edges (B, k); where a user has no further edge the score is -inf and the edge any.
        """
        edge_BC, padding_BC = self._table
        score_BC = score_E.take(edge_BC).masked_fill_(padding_BC, -torch.inf)
        score_Bk, place_Bk = score_BC.topk(min(k, self.most), dim=1)
        return score_Bk, edge_BC.gather(1, place_Bk)


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
        self.trie, self._allowed = trie, allowed
        self._short: _ShortList | None = None
        self._before_I1: Tensor | None = None
        if allowed is not None:
            self._only(allowed)
        self._seen_S = self._hidden(seen)
        self._offered_S: Tensor | None = None

    @property
    def is_open(self) -> bool:
        """Whether everybody may get everything, so that there is no need to ask."""
        return self._allowed is None and self._seen_S is None and self._offered_S is None

    def hiding(self, seen: Histories | None) -> Constraint:
        """The same mask for other users, who must not get these items; what the mask cost is not paid again."""
        other = copy(self)
        other._seen_S = self._hidden(seen)
        return other

    def offering(self, items: Histories) -> Constraint:
        """The same mask for other users, each of whom may get their own items only: the trie of these candidates."""
        other = copy(self)
        other._seen_S, other._offered_S = None, self._keys(items)
        return other

    def allows(self, user_E: Tensor, node_E: Tensor) -> Tensor:
        """Whether (E,) there is an item below node_E that user_E may get; cheaper than `num_allowed`."""
        mixed = self._before_I1 is not None or (self._seen_S is not None and self._short is not None)
        if mixed and self._offered_S is None:
            return self.num_allowed(user_E, node_E) > 0
        first_E = self.trie.first_leaf_N.index_select(0, node_E)
        last_E = self.trie.last_leaf_N.index_select(0, node_E)
        if self._offered_S is not None:
            base_E = user_E * self.trie.num_items
            return _holds_any(self._offered_S, base_E + first_E, base_E + last_E)
        if self._seen_S is not None:
            base_E = user_E * self.trie.num_items
            return ~_holds_all(self._seen_S, base_E + first_E, base_E + last_E)
        if self._short is None:
            return torch.ones_like(node_E, dtype=torch.bool)
        if self._short.forbidden:
            return ~_holds_all(self._short.leaves_L, first_E, last_E)
        return _holds_any(self._short.leaves_L, first_E, last_E)

    def num_allowed(self, user_E: Tensor, node_E: Tensor) -> Tensor:
        """Items (E,) that user_E may get among those below node_E."""
        first_E = self.trie.first_leaf_N.index_select(0, node_E)
        last_E = self.trie.last_leaf_N.index_select(0, node_E)
        if self._offered_S is not None:
            base_E = user_E * self.trie.num_items
            return _num_between(self._offered_S, base_E + first_E, base_E + last_E)
        if self._before_I1 is not None:
            count_E = self._before_I1.index_select(0, last_E) - self._before_I1.index_select(0, first_E)
        elif self._short is None:
            count_E = last_E - first_E
        else:
            count_E = _num_between(self._short.leaves_L, first_E, last_E)
            if self._short.forbidden:
                count_E = last_E - first_E - count_E
        if self._seen_S is not None:
            base_E = user_E * self.trie.num_items
            count_E = count_E - _num_between(self._seen_S, base_E + first_E, base_E + last_E)
        return count_E

    def _only(self, allowed: BoolArray) -> None:
        """Take the mask as a short list of leaves where it is one, else as counts before each leaf."""
        device = self.trie.token_N.device
        for forbidden in (False, True):
            items = _few(allowed, not forbidden)
            if items is not None:
                self._short = _ShortList(_sorted(self.trie.leaf_of_item_I[items], device), forbidden)
                return
        allowed_I = torch.tensor(allowed, device=device)  # a copy: the mask may be read-only
        self._before_I1 = torch.zeros(len(allowed) + 1, dtype=torch.int32, device=device)
        torch.cumsum(allowed_I.index_select(0, self.trie.item_of_leaf_I), 0, out=self._before_I1[1:])

    def _hidden(self, seen: Histories | None) -> Tensor | None:
        """Leaves of what each user has seen and could get otherwise, as sorted user x num_items + leaf."""
        return None if seen is None or not len(seen.items) else self._keys(seen)

    def _keys(self, lists: Histories) -> Tensor:
        """The leaves of each user's items that the mask allows, as sorted user x num_items + leaf."""
        users = np.repeat(np.arange(len(lists)) * self.trie.num_items, lists.lengths)
        keys = users + self.trie.leaf_of_item_I[lists.items]
        if self._allowed is not None:  # what is not allowed anyway must not be subtracted twice
            keys = keys[self._allowed[lists.items]]
        return _sorted(keys, self.trie.token_N.device)


@dataclass(frozen=True)
class _ShortList:
    """Leaves that are all that is allowed, or all that is forbidden, as `_sorted` lists them."""

    leaves_L: Tensor
    forbidden: bool


def _few(mask: BoolArray, value: bool) -> IntArray | None:
    """The rows where a mask has this value, or None if they are no short list.

    Eight rows are looked at at once: this pass is all that a filter costs in proportion to the catalogue.
    """
    num_whole = len(mask) // 8 * 8
    words = np.ascontiguousarray(mask[:num_whole]).view(np.uint64)
    hit = words != (0 if value else 0x0101010101010101)
    if np.count_nonzero(hit) * _SHORT > len(mask):
        return None
    at = np.flatnonzero(hit)
    inside = np.flatnonzero(words[at].view(np.bool_) == value)
    rest = np.flatnonzero(mask[num_whole:] == value)
    return np.concatenate([8 * at[inside >> 3] + (inside & 7), num_whole + rest])


def _sorted(numbers: IntArray, device: torch.device) -> Tensor:
    """The different numbers, ascending, and one behind them that is larger than any; a tenth of np.unique's time."""
    numbers = np.append(numbers, np.iinfo(numbers.dtype).max)
    numbers.sort()
    return torch.from_numpy(numbers[np.append(True, numbers[1:] != numbers[:-1])]).to(device)


def _num_between(sorted_L: Tensor, first_E: Tensor, last_E: Tensor) -> Tensor:
    """How many numbers of a `_sorted` list are at least `first_E` and less than `last_E`."""
    count_E: Tensor = torch.searchsorted(sorted_L, last_E) - torch.searchsorted(sorted_L, first_E)
    return count_E


def _holds_any(sorted_L: Tensor, first_E: Tensor, last_E: Tensor) -> Tensor:
    """Whether a `_sorted` list has a number from `first_E` to `last_E` - 1."""
    next_E = sorted_L.index_select(0, torch.searchsorted(sorted_L, first_E))
    holds_E: Tensor = next_E < last_E
    return holds_E


def _holds_all(sorted_L: Tensor, first_E: Tensor, last_E: Tensor) -> Tensor:
    """Whether a `_sorted` list has all numbers from `first_E` to `last_E` - 1, at least one.

    Counted from the first that is large enough, the one that would be the last of them must be `last_E` - 1.
    """
    place_E = torch.searchsorted(sorted_L, first_E) + (last_E - first_E) - 1
    at_end_E = sorted_L.index_select(0, place_E.clamp_max_(len(sorted_L) - 1))
    holds_E: Tensor = at_end_E == last_E - 1
    return holds_E
