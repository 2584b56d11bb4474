"""Writing with a prior: what a model of whole items expects next, added to the logits of the children of trie nodes.

While a name is written, the logit of a child is

    language model's logit / temperature + weight x log(mass of the item model below the child),

and the softmax over the children of a node is what it was. With equal language logits and weight 1 the steps of a code
multiply to the item model's probability of the item. That distribution, written along the trie, is no language model:
what the words add is the first part alone. It is a product of experts (Hinton 2002,
https://doi.org/10.1162/089976602760128018) that is normalised at every choice, as translation models are joined with
language models (shallow fusion, Gulcehre et al. 2015, https://arxiv.org/abs/1503.03535).

Items are sorted by their codes, so those below a node are a range of the leaves, and their mass is a difference of two
running sums: two look-ups a child, whatever stands below it, and nothing in a step is as large as the catalogue.

How exact that is. The sums are float64, and a difference of two is off by about 1e-16 an item between them. Every item
gets `LEAST` on top, so that no mass is nothing and every logarithm is finite. So the probability of an item of at
least 1e-9 is the item model's to 1e-5 of it; less likely ones are lifted towards 1e-15, and all masses stay sums of
their items' to within the rounding. Whatever a look-up gives, the softmax makes a distribution of it: lists and their
proofs are those of the very numbers that training sees, if it takes its offsets from here too.

Shape suffixes: B users of the table, R rows (users whose search goes on), N places, C children (padded), I items in
the order of the leaves, D width, P users of a part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrec.backbones.hardware import device_bytes
from genrec.data.interactions import IntArray
from genrec.data.memory import check_fits
from genrec.decoding.constraint import TrieTensors

LEAST = 1e-15  # probability that every item has on top of the item model's
_USERS_TOGETHER = 128  # whose states are multiplied with all vectors at once: fewer take longer each
_WIDE = 64  # children of a node for which it pays to ask whether all places are at that one
_AT_ONCE = 1 << 18  # logits that are turned into running sums at once: they stay in the cache


class Memory:
    """What one prior after the other is laid out in: at a million items fresh memory takes longer than the sums do.

    A prior holds until the next one is laid out in the same memory.
    """

    def __init__(self) -> None:
        self._kept: dict[torch.dtype, Tensor] = {}

    def logits(self, num_users: int, trie: TrieTensors) -> Tensor:
        """Room (P, I), float32, for the logits of some users."""
        return self._room((num_users, trie.num_items), torch.float32, trie)

    def masses(self, num_users: int, trie: TrieTensors) -> Tensor:
        """Room (B, I + 1), float64, for running sums."""
        return self._room((num_users, trie.num_items + 1), torch.float64, trie)

    def _room(self, shape: tuple[int, int], dtype: torch.dtype, trie: TrieTensors) -> Tensor:
        room = self._kept.get(dtype)
        if room is None or len(room) < shape[0] or room.shape[1] != shape[1]:
            room = self._kept[dtype] = torch.empty(shape, dtype=dtype, device=trie.token_N.device)
        return room[: shape[0]]


@dataclass(frozen=True)
class Prior:
    """What an item model expects of some users, laid out by leaf of the trie.

    `before_BI1`: the mass (float64) of the items before each leaf, and last of all: (B, I + 1). `row_R`: the users
    that the rows of the search stand for. `weight` of the prior's logarithms, from 0; `temperature`, above 0, that the
    language model's logits are divided by.
    """

    trie: TrieTensors
    before_BI1: Tensor
    row_R: Tensor
    weight: float = 1.0
    temperature: float = 1.0

    @classmethod
    def of_logits(
        cls, trie: TrieTensors, logits_BI: Tensor, *, weight: float = 1.0, temperature: float = 1.0
    ) -> Prior:
        """The prior of an item model's logits, or log-probabilities, (B, I) in the order of the leaves.

        `logits_BI[:, trie.item_of_leaf_I]` is that order where they stand by item.

        Raises:
            ConfigError: the running sums (8 bytes a user and item) do not fit into memory.
        """
        num_users = len(logits_BI)
        return cls._of(trie, lambda part: logits_BI[part], num_users, num_users, weight, temperature)

    @classmethod
    def of_scores(
        cls,
        trie: TrieTensors,
        scores_BI: Tensor,
        *,
        weight: float = 1.0,
        temperature: float = 1.0,
        memory: Memory | None = None,
    ) -> Prior:
        """The prior of logits (B, I) that stand by item; they are put in order a few users at a time.

        Args:
            trie: codes of the catalogue.
            scores_BI: the item model's logits, or log-probabilities.
            weight, temperature: as in the class.
            memory: that the prior is laid out in; None: its own.

        Raises:
            ConfigError: as in `of_logits`.
        """
        ordered_PI = scores_BI.new_empty((_users_at_once(trie), trie.num_items))

        def in_order(part: slice) -> Tensor:
            some_PI = scores_BI[part]
            return torch.index_select(some_PI, 1, trie.item_of_leaf_I, out=ordered_PI[: len(some_PI)])

        return cls._of(trie, in_order, len(scores_BI), len(ordered_PI), weight, temperature, memory)

    @classmethod
    def of_states(
        cls,
        trie: TrieTensors,
        states_BD: Tensor,
        vectors_ID: Tensor,
        *,
        weight: float = 1.0,
        temperature: float = 1.0,
        memory: Memory | None = None,
        change: Callable[[Tensor, slice], None] | None = None,
    ) -> Prior:
        """The prior of logits `states_BD @ vectors_ID.T`, a part of which is held at a time.

        Args:
            trie: codes of the catalogue.
            states_BD: the item model's state of each user.
            vectors_ID: its output vectors of items, in the order of the leaves.
            weight, temperature: as in the class.
            memory: as in `of_scores`.
            change: changes the logits (P, I) of a part of the users in place; None: they stay.

        Raises:
            ConfigError: as in `of_logits`.
        """
        memory, vectors_DI = memory or Memory(), vectors_ID.T
        room_PI = memory.logits(max(1, min(_USERS_TOGETHER, len(states_BD))), trie)  # nobody is no part

        def logits(part: slice) -> Tensor:
            some_PD = states_BD[part]
            some_PI = torch.mm(some_PD, vectors_DI, out=room_PI[: len(some_PD)])
            if change is not None:
                change(some_PI, part)
            return some_PI

        return cls._of(trie, logits, len(states_BD), len(room_PI), weight, temperature, memory)

    @classmethod
    @torch.no_grad()
    def _of(
        cls,
        trie: TrieTensors,
        logits: Callable[[slice], Tensor],
        num_users: int,
        together: int,
        weight: float,
        temperature: float,
        memory: Memory | None = None,
    ) -> Prior:
        """The prior of logits that are given for `together` users after the others, in the order of the leaves."""
        device, num_items = trie.token_N.device, trie.num_items
        check_fits(
            f"the item model's probabilities of {num_items:,} items for each of {num_users:,} users at once",
            8.0 * num_users * (num_items + 1),
            "lower the users that are ranked at once (ranking_batch, --batch-size)",
            device_bytes(device),
        )
        before_BI1 = (memory or Memory()).masses(num_users, trie)
        before_BI1[:, 0] = 0
        at_once = _users_at_once(trie)
        chances_PI = torch.empty((at_once, num_items), device=device)
        for first in range(0, num_users, together):
            logits_PI = logits(slice(first, min(first + together, num_users)))
            for start in range(0, len(logits_PI), at_once):
                some_PI = logits_PI[start : start + at_once]
                chance_PI = torch.softmax(some_PI.float(), 1, out=chances_PI[: len(some_PI)]).add_(LEAST)
                masses_PI = before_BI1[first + start : first + start + len(some_PI), 1:]
                torch.cumsum(chance_PI, dim=1, dtype=torch.float64, out=masses_PI)
        return cls(trie, before_BI1, torch.arange(num_users, device=device), weight, temperature)

    def take(self, rows: Tensor) -> Prior:
        """The prior of the rows at `rows`; nothing is copied."""
        return replace(self, row_R=self.row_R[rows])

    def shares(self, row_N: Tensor, node_N: Tensor, width: int) -> Tensor:
        """What share (N, C), float32, of the mass below a node the item model has below each of its children.

        Args:
            row_N: the row of each place.
            node_N: the node that is reached there.
            width: C; beyond the children of a node stands something above 0.
        """
        trie, user_N = self.trie, self.row_R[row_N]
        if width > _WIDE and bool(
            (node_N == node_N[0]).all()
        ):  # the root above all: the same leaves for everybody
            node_N = node_N[:1]
        within_C1 = torch.arange(width + 1, device=node_N.device)
        first_N, end_N = trie.first_child_N1[node_N], trie.first_child_N1[node_N + 1]
        edge_NC1 = first_N[:, None] + within_C1
        # Where one child's leaves end, the next one's begin; the last one's end with those of the node.
        leaf_NC1 = trie.first_leaf_N[edge_NC1.clamp_max(len(trie.token_N) - 1)]
        leaf_NC1 = torch.where(edge_NC1 < end_N[:, None], leaf_NC1, trie.last_leaf_N[node_N][:, None])
        before_NC1 = self.before_BI1[user_N[:, None], leaf_NC1]
        mass_NC = before_NC1.diff(dim=1).clamp_min_(LEAST)
        return mass_NC.div_(before_NC1[:, -1:] - before_NC1[:, :1]).float()

    def offsets(self, row_N: Tensor, node_N: Tensor, width: int) -> Tensor:
        """What is added (N, C) to the logits of the children of each node; arguments as in `shares`."""
        return self.shares(row_N, node_N, width).log_().mul_(self.weight)

    def join(self, logits_NC: Tensor, row_N: Tensor, node_N: Tensor) -> Tensor:
        """The logits (N, C) of the children with the prior, given the language model's."""
        return logits_NC / self.temperature + self.offsets(row_N, node_N, logits_NC.shape[1])

    def join_edges(
        self, logits_E: Tensor, row_F: Tensor, node_F: Tensor, parent_E: Tensor, child_E: Tensor
    ) -> Tensor:
        """The logits (E,) of edges with the prior, as `join` has them.

        Args:
            logits_E: the language model's.
            row_F: the row of each prefix.
            node_F: the node that it has reached.
            parent_E: the prefix that each edge starts from.
            child_E: the node that it leads to.
        """
        base_F = self.row_R.index_select(0, row_F) * self.before_BI1.shape[1]
        mass_E = self._mass(base_F.index_select(0, parent_E), child_E).clamp_min_(LEAST)
        mass_E /= self._mass(base_F, node_F).index_select(0, parent_E)
        return (logits_E / self.temperature).add_(mass_E.float().log_(), alpha=self.weight)

    def _mass(self, base_E: Tensor, node_E: Tensor) -> Tensor:
        """The mass (E,) below nodes, given where each one's running sums start."""
        before = self.before_BI1.view(-1)
        first_E, last_E = (
            before.index_select(0, base_E + leaf_N.index_select(0, node_E))
            for leaf_N in (self.trie.first_leaf_N, self.trie.last_leaf_N)
        )
        return last_E - first_E


def _users_at_once(trie: TrieTensors) -> int:
    return max(1, _AT_ONCE // trie.num_items)


PriorOf = Callable[[IntArray], Prior]
"""The prior of some of the questions, given their rows: made when they are searched."""
