"""Batched search over the trie: best first until the list is proved, or a beam of fixed width.

What makes it quick
- A user's history is run once. Everything that is tried for the user are further tokens of the same row, and a mask
  lets each see the history and its own ancestors only, so keys and values are never copied or reordered.
- Only children in the trie are scored; there is no pass over the vocabulary (with `normalise="children"`).
- A run of forced tokens goes through the model in one step, and a prefix with a single item below it is finished at
  once: nothing that follows can change its probability.
- No Python loop over users or prefixes.

What makes it exact
A prefix's log-probability bounds that of every item below it. Prefixes are tried best first, and those that score no
better than the k-th item found so far can be dropped: when none is left, the list is the model's true top k. Nothing
that such a proof could do without is run, but for the few that are tried side by side. A beam throws prefixes away
that may still matter; the best of their scores is kept, and where the k-th item scores at least as high, its list is
proved as well.

Best first search with an admissible bound is A* (Hart, Nilsson and Raphael 1968) with the score so far as the bound.

Shape suffixes: B users, R rows of the search (users whose search goes on), T history tokens, K keys in the cache,
D width, F prefixes that are tried in a step, E candidate edges, C candidates of a row (padded), W prefixes of a row
that are tried in a step (padded), S slots of a row (prefixes that were run, padded), L tokens of a run (padded),
G tokens to run, Q tokens to run of one row (padded), k items wanted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.children import child_logits
from genrec.decoding.constraint import Constraint, TrieTensors

Normalise = Literal["children", "vocabulary"]

_SIDE_BY_SIDE = 16  # prefixes of a user that are tried in one step of a best first search
_MOST_WAITING = 1024  # prefixes of a user that may wait
_MOST_STEPS = 64  # steps before a search gives the proof up and goes on as a beam
_HEAD_ROWS = 256  # places whose logits over the whole vocabulary are held at once


@dataclass(frozen=True)
class Prefix:
    """Histories as tokens, padded on the right: what is run before the first token of an answer.

    Shape: tokens_BT, nodes_BT, positions_BT as in `Backbone.hidden`; length_B tokens of each row; start_B position of
    the answer's first token.
    """

    tokens_BT: Tensor
    nodes_BT: Tensor
    positions_BT: Tensor
    length_B: Tensor
    start_B: Tensor

    def take(self, rows: Tensor) -> Prefix:
        """The prefixes at `rows`."""
        return Prefix(
            self.tokens_BT[rows],
            self.nodes_BT[rows],
            self.positions_BT[rows],
            self.length_B[rows],
            self.start_B[rows],
        )


@dataclass
class Found:
    """Finished items: item_Bk (-1 where none), score_Bk (-inf there), and bound_B, the best score thrown away."""

    item_Bk: Tensor
    score_Bk: Tensor
    bound_B: Tensor

    @classmethod
    def nothing(cls, num_rows: int, k: int, device: torch.device) -> Found:
        """No item yet, and nothing thrown away."""
        score_Bk = torch.full((num_rows, k), -torch.inf, device=device)
        return cls(
            torch.full((num_rows, k), -1, device=device), score_Bk, score_Bk.new_full((num_rows,), -torch.inf)
        )

    @property
    def exact_B(self) -> Tensor:
        """Whether the list provably is the true top k."""
        return (self.score_Bk[:, -1] >= self.bound_B) | torch.isneginf(self.bound_B)

    def take(self, rows: Tensor) -> Found:
        """The lists at `rows`."""
        return Found(self.item_Bk[rows], self.score_Bk[rows], self.bound_B[rows])

    def put(self, rows: Tensor, lists: Found) -> None:
        """Replace the lists at `rows`."""
        self.item_Bk[rows], self.score_Bk[rows], self.bound_B[rows] = (
            lists.item_Bk,
            lists.score_Bk,
            lists.bound_B,
        )

    def add(self, item_BC: Tensor, score_BC: Tensor) -> None:
        """Take in candidates; scores of -inf are none."""
        k = self.score_Bk.shape[1]
        self.score_Bk, best_Bk = torch.cat([self.score_Bk, score_BC], dim=1).topk(k, dim=1)
        self.item_Bk = torch.cat([self.item_Bk, item_BC], dim=1).gather(1, best_Bk)


@dataclass
class _Edges:
    """Candidates, sorted by row.

    row_E; slot_E of the prefix that they extend; node_E that they lead to; score_E; done_E: nothing that follows can
    change the score.
    """

    row_E: Tensor
    slot_E: Tensor
    node_E: Tensor
    score_E: Tensor
    done_E: Tensor

    def take(self, edges: Tensor) -> _Edges:
        """The candidates at `edges`, in that order."""
        return _Edges(
            self.row_E[edges], self.slot_E[edges], self.node_E[edges], self.score_E[edges], self.done_E[edges]
        )

    def merge(self, other: _Edges) -> _Edges:
        """These and others."""
        row_E = torch.cat([self.row_E, other.row_E])
        both = _Edges(
            row_E,
            torch.cat([self.slot_E, other.slot_E]),
            torch.cat([self.node_E, other.node_E]),
            torch.cat([self.score_E, other.score_E]),
            torch.cat([self.done_E, other.done_E]),
        )
        return both.take(torch.argsort(row_E, stable=True))

    def table(self, num_rows: int) -> tuple[Tensor, Tensor]:
        """One row of candidates a row of the search: their scores (R, C), padded with -inf, and which they are."""
        count_R = torch.bincount(self.row_E, minlength=num_rows)
        first_R = count_R.cumsum(0) - count_R
        within_C = torch.arange(int(count_R.max()), device=first_R.device)
        # Row r's candidates stand side by side; where there are fewer, any other stands in with -inf.
        edge_RC = (first_R[:, None] + within_C).clamp_max_(max(0, len(self.row_E) - 1))
        if not len(self.row_E):
            return self.score_E.new_empty(edge_RC.shape), edge_RC
        return self.score_E[edge_RC].masked_fill_(within_C >= count_R[:, None], -torch.inf), edge_RC


@dataclass
class _Waiting:
    """Prefixes that may still be tried, a row each user: their scores (-inf: none), last nodes and parents' slots."""

    score_RC: Tensor
    node_RC: Tensor
    slot_RC: Tensor

    def take(self, rows_R: Tensor) -> _Waiting:
        """The rows `rows_R`."""
        return _Waiting(self.score_RC[rows_R], self.node_RC[rows_R], self.slot_RC[rows_R])

    def _columns(self, score_RW: Tensor, column_RW: Tensor) -> _Waiting:
        """Some of each row, with their scores."""
        return _Waiting(score_RW, self.node_RC.gather(1, column_RW), self.slot_RC.gather(1, column_RW))

    def add(self, edges: _Edges) -> _Waiting:
        """These and the candidates."""
        score_RC, edge_RC = edges.table(len(self.score_RC))
        return _Waiting(
            torch.cat([self.score_RC, score_RC], dim=1),
            torch.cat([self.node_RC, edges.node_E[edge_RC]], dim=1),
            torch.cat([self.slot_RC, edges.slot_E[edge_RC]], dim=1),
        )

    def split(self, count: int) -> tuple[_Waiting, _Waiting]:
        """The best `count` of each row, best first, and the others."""
        score_RW, column_RW = self.score_RC.topk(min(count, self.score_RC.shape[1]), dim=1)
        others_RC = self.score_RC.scatter(1, column_RW, -torch.inf)
        return self._columns(score_RW, column_RW), _Waiting(others_RC, self.node_RC, self.slot_RC)

    def shrink(self, most: int, found: Found) -> _Waiting:
        """Without what cannot enter the lists any more, and with the best `most` of each row at the most."""
        self.score_RC.masked_fill_(self.score_RC <= found.score_Bk[:, -1:], -torch.inf)
        num_columns = self.score_RC.shape[1]
        count = int((self.score_RC > -torch.inf).sum(dim=1).max())
        if count > most:
            score_RW, column_RW = self.score_RC.topk(most + 1, dim=1)
            found.bound_B = torch.maximum(found.bound_B, score_RW[:, most])
            return self._columns(score_RW[:, :most], column_RW[:, :most])
        if 2 * count > num_columns:  # copying the rest would cost more than it saves
            return self
        return self._columns(*self.score_RC.topk(count, dim=1, sorted=False))


class _Memory:
    """Keys and values of the rows of a search, and which of them each prefix that was run may see."""

    def __init__(self, backbone: Backbone, prefix: Prefix) -> None:
        """Run the histories: slot 0 of each row is the empty answer."""
        self.backbone, self.cache = backbone, backbone.new_cache()
        length_B = prefix.length_B
        hidden_BTD = backbone.hidden(prefix.tokens_BT, prefix.nodes_BT, prefix.positions_BT, cache=self.cache)
        keys_T = torch.arange(prefix.tokens_BT.shape[1], device=length_B.device)
        self.row_R = torch.arange(len(length_B), device=length_B.device)
        self.hidden_RD = hidden_BTD[self.row_R, length_B - 1]
        self.visible_RSK = (keys_T < length_B[:, None])[:, None]
        self.next_RS = prefix.start_B[:, None]  # the position after a prefix
        self.start_R = prefix.start_B

    def take(self, rows_R: Tensor) -> None:
        """Forget all rows but these."""
        self.backbone.keep_rows(self.cache, rows_R)
        self.visible_RSK, self.next_RS = self.visible_RSK[rows_R], self.next_RS[rows_R]
        self.start_R = self.start_R[rows_R]

    def depth(self, row_F: Tensor, slot_F: Tensor) -> Tensor:
        """Tokens of the answer in each prefix."""
        return self.next_RS[row_F, slot_F] - self.start_R[row_F]

    def keep(self, slots_RW: Tensor, wanted_RW: Tensor) -> None:
        """Forget all slots but the wanted ones of these, which are renumbered 0 to W - 1, and what only others see."""
        num_keys = self.visible_RSK.shape[2]
        slots_RW = slots_RW.masked_fill(~wanted_RW, 0)
        self.visible_RSK = self.visible_RSK.gather(1, slots_RW[:, :, None].expand(-1, -1, num_keys))
        self.visible_RSK &= wanted_RW[:, :, None]
        self.next_RS = self.next_RS.gather(1, slots_RW)
        used_RK = self.visible_RSK.any(dim=1)
        num_used = int(used_RK.sum(dim=1).max())
        if 4 * num_used > 3 * num_keys:  # copying the rest would cost more than it saves
            return
        columns_RK = torch.argsort((~used_RK).to(torch.uint8), dim=1, stable=True)[:, :num_used]
        self.backbone.keep_keys(self.cache, columns_RK)
        self.visible_RSK = self.visible_RSK.gather(2, columns_RK[:, None].expand(-1, slots_RW.shape[1], -1))

    def run(
        self,
        row_F: Tensor,
        slot_F: Tensor,
        rank_F: Tensor,
        token_FL: Tensor,
        node_FL: Tensor,
        length_F: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the tokens by which prefixes are extended.

        Args:
            row_F: row of each, sorted.
            slot_F: slot of the prefix that is extended.
            rank_F: number of each within its row, from 0.
            token_FL: its tokens, padded on the right.
            node_FL: the nodes that they write.
            length_F: its tokens.

        Returns:
            hidden_RQD; place_FL, the place in its row of each token; slot_F, the slot of each extended prefix.
        """
        device, (num_rows, num_slots, num_keys) = row_F.device, self.visible_RSK.shape
        step_L = torch.arange(token_FL.shape[1], device=device)
        real_FL = step_L < length_F[:, None]
        # One row of tokens a row of the search: each prefix's run side by side, padding at the end.
        before_F = length_F.cumsum(0) - length_F
        tokens_R = torch.zeros(num_rows, dtype=torch.int64, device=device).index_add_(0, row_F, length_F)
        place_FL = (before_F - (tokens_R.cumsum(0) - tokens_R)[row_F])[:, None] + step_L
        shape_RQ = (num_rows, int(tokens_R.max()))
        row_G, place_G = row_F[:, None].expand_as(place_FL)[real_FL], place_FL[real_FL]

        def table(values_FL: Tensor, nothing: int = 0) -> Tensor:
            table_RQ = torch.full(shape_RQ, nothing, dtype=torch.int64, device=device)
            table_RQ[row_G, place_G] = values_FL.expand_as(place_FL)[real_FL]
            return table_RQ

        # Padding belongs to a prefix of its own, which nobody sees.
        rank_RQ, step_RQ = table(rank_F[:, None], -1), table(step_L)
        parent_RQ = table(slot_F[:, None])
        position_RQ = table(self.next_RS[row_F, slot_F][:, None] + step_L)
        # A token sees what the prefix that it extends saw, and its own run up to itself.
        past_RQK = self.visible_RSK.gather(1, parent_RQ[:, :, None].expand(-1, -1, num_keys))
        past_RQK &= (rank_RQ >= 0)[:, :, None]
        own_RQQ = (rank_RQ[:, :, None] == rank_RQ[:, None]) & (step_RQ[:, :, None] >= step_RQ[:, None])
        hidden_RQD = self.backbone.hidden(
            table(token_FL), table(node_FL), position_RQ, torch.cat([past_RQK, own_RQQ], dim=2), self.cache
        )

        num_new = int(rank_F.max()) + 1
        visible_RSK = torch.zeros(
            (num_rows, num_slots + num_new, num_keys + shape_RQ[1]), dtype=torch.bool, device=device
        )
        visible_RSK[:, :num_slots, :num_keys] = self.visible_RSK
        new_F = num_slots + rank_F
        visible_RSK[row_F, new_F, :num_keys] = self.visible_RSK[row_F, slot_F]
        visible_RSK[row_G, new_F[:, None].expand_as(place_FL)[real_FL], num_keys + place_G] = True
        next_RS = torch.zeros((num_rows, num_slots + num_new), dtype=torch.int64, device=device)
        next_RS[:, :num_slots] = self.next_RS
        next_RS[row_F, new_F] = self.next_RS[row_F, slot_F] + length_F
        self.visible_RSK, self.next_RS = visible_RSK, next_RS
        return hidden_RQD, place_FL, new_F


class BeamSearch:
    """Search of one backbone over one trie."""

    def __init__(self, backbone: Backbone, trie: TrieTensors, normalise: Normalise = "children") -> None:
        """Search with a model.

        Args:
            backbone: the model; put it in evaluation mode before.
            trie: codes of the catalogue, on the model's device.
            normalise: what a token's probability is relative to, as in training: the children of its node, or the
                whole vocabulary (forced tokens then lower an item's score, and the scores of all items add up to
                less than one).
        """
        self.backbone, self.trie, self.normalise = backbone, trie, normalise

    @torch.inference_mode()
    def search(self, prefix: Prefix, constraint: Constraint, k: int, width: int) -> Found:
        """The best k allowed items of each row by a beam; all k are found whenever the constraint allows k.

        Args:
            prefix: the histories, B rows.
            constraint: filters of the same B users.
            k: items wanted.
            width: prefixes kept per user and step; raised to k where it is smaller.
        """
        return self._search(prefix, constraint, k, width, 0)

    @torch.inference_mode()
    def search_best_first(self, prefix: Prefix, constraint: Constraint, k: int, width: int) -> Found:
        """The best k allowed items of each row, tried best first: almost always proved, and in fewer steps.

        Args:
            prefix, constraint, k: as in `search`.
            width: of the beam that goes on where a proof would take very many steps, as with a model that finds
                everything equally likely.
        """
        return self._search(prefix, constraint, k, width, _MOST_STEPS)

    @torch.inference_mode()
    def search_exact(
        self, prefix: Prefix, constraint_of: Callable[[Tensor], Constraint], k: int, width: int
    ) -> Found:
        """The true best k allowed items of each row: best first, then by wider and wider beams until all is proved.

        Args:
            prefix, k: as in `search`.
            constraint_of: rows (int64 tensor) to the `Constraint` of those users.
            width: as in `search_best_first`; the beams after it start at twice as many.
        """
        rows = torch.arange(len(prefix.length_B), device=prefix.length_B.device)
        found = self.search_best_first(prefix, constraint_of(rows), k, width)
        width = max(width, k)
        while not bool(found.exact_B.all()):
            width *= 2
            open_rows = torch.nonzero(~found.exact_B).squeeze(1)
            found.put(open_rows, self.search(prefix.take(open_rows), constraint_of(open_rows), k, width))
        return found

    def _search(self, prefix: Prefix, constraint: Constraint, k: int, width: int, most_steps: int) -> Found:
        """Go best first for `most_steps`, then on with a beam."""
        memory = _Memory(self.backbone, prefix)
        device = prefix.length_B.device
        user_R = row_F = torch.arange(len(prefix.length_B), device=device)
        zeros_F = torch.zeros_like(row_F)
        lists, found = (Found.nothing(len(row_F), k, device) for _ in range(2))
        edges = self._children(
            memory, row_F, zeros_F, zeros_F, found.score_Bk.new_zeros(len(row_F)), memory.hidden_RD
        )
        waiting = _Waiting(found.score_Bk[:, :0], found.item_Bk[:, :0], found.item_Bk[:, :0])
        for step in itertools.count():
            best_first = step < most_steps
            num_tried = _SIDE_BY_SIDE if best_first else max(width, k)
            if not constraint.is_open:
                allowed_E = constraint.allows(user_R[edges.row_E], edges.node_E)
                edges = edges.take(torch.nonzero(allowed_E).squeeze(1))
            self._collect(edges, found)
            waiting = waiting.add(edges.take(torch.nonzero(~edges.done_E).squeeze(1)))
            waiting = waiting.shrink(num_tried + _MOST_WAITING * best_first, found)
            tried, waiting = waiting.split(num_tried)
            row_F, rank_F = torch.nonzero(tried.score_RC > -torch.inf, as_tuple=True)
            if not len(row_F):
                break
            alive_R = torch.unique_consecutive(row_F)
            if 2 * len(alive_R) <= len(user_R):
                lists.put(user_R, found)
                row_F = torch.searchsorted(alive_R, row_F)
                user_R, found = user_R[alive_R], found.take(alive_R)
                waiting, tried = waiting.take(alive_R), tried.take(alive_R)
                memory.take(alive_R)
            if not best_first:  # nothing else waits for the slots
                memory.keep(tried.slot_RC, tried.score_RC > -torch.inf)
            slot_F = tried.slot_RC[row_F, rank_F] if best_first else rank_F
            node_F, score_F = tried.node_RC[row_F, rank_F], tried.score_RC[row_F, rank_F]
            edges = self._extend(memory, row_F, rank_F, slot_F, node_F, score_F)
        lists.put(user_R, found)
        return lists

    def _collect(self, edges: _Edges, found: Found) -> None:
        """Take what is finished into the lists."""
        done = edges.take(torch.nonzero(edges.done_E).squeeze(1))
        if len(done.row_E):
            score_RC, edge_RC = done.table(len(found.bound_B))
            item_E = self.trie.item_of_leaf_I[self.trie.first_leaf_N[done.node_E]]
            found.add(item_E[edge_RC].long().masked_fill(torch.isneginf(score_RC), -1), score_RC)

    def _extend(
        self, memory: _Memory, row_F: Tensor, rank_F: Tensor, slot_F: Tensor, node_F: Tensor, score_F: Tensor
    ) -> _Edges:
        """Run the prefixes' last tokens, and the forced ones after them, and look at what may follow."""
        token_FL, node_FL, length_F, last_F = self._runs(node_F, memory.depth(row_F, slot_F))
        ended_F = self.trie.num_children(last_F) == 0  # the code is whole: nothing follows its last token
        hidden_RQD, place_FL, slot_F = memory.run(
            row_F, slot_F, rank_F, token_FL, node_FL, length_F - ended_F.long()
        )
        if self.normalise == "vocabulary":
            step_L = torch.arange(1, token_FL.shape[1], device=row_F.device)
            forced_G, step_G = torch.nonzero(step_L < length_F[:, None], as_tuple=True)
            log_p_G = self._log_p(
                hidden_RQD[row_F[forced_G], place_FL[forced_G, step_G]],
                torch.arange(len(forced_G), device=row_F.device),
                token_FL[forced_G, step_G + 1],
            )
            score_F = score_F.index_add(0, forced_G, log_p_G)
        open_F = torch.nonzero(~ended_F).squeeze(1)
        hidden_FD = hidden_RQD[row_F[open_F], place_FL[open_F, length_F[open_F] - 1]]
        edges = self._children(
            memory, row_F[open_F], slot_F[open_F], last_F[open_F], score_F[open_F], hidden_FD
        )
        if len(open_F) == len(row_F):
            return edges
        ended = _Edges(row_F, slot_F, last_F, score_F, ended_F).take(torch.nonzero(ended_F).squeeze(1))
        return edges.merge(ended)

    def _runs(self, node_F: Tensor, depth_F: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tokens from `node_F` on down to the next choice or the code's end.

        Returns:
            token_FL and node_FL, the nodes that they write, 0 for none; length_F; last_F, the last node.
        """
        trie, run = self.trie, [node_F]
        while True:
            forced_F = trie.num_children(run[-1]) == 1
            if not bool(forced_F.any()):
                break
            run.append(torch.where(forced_F, trie.first_child_N1[run[-1]].long(), run[-1]))
        node_FL, last_F = torch.stack(run, dim=1), run[-1]
        goes_on_FL = node_FL[:, 1:] != node_FL[:, :-1]
        length_F = 1 + goes_on_FL.sum(1)
        token_FL = trie.token_N[node_FL].long()
        node_FL = torch.cat([node_F[:, None], node_FL[:, 1:] * goes_on_FL], dim=1)
        tip_F = trie.num_children(last_F) == 0
        if self.normalise == "children" or not bool(tip_F.any()):
            return token_FL, node_FL, length_F, last_F
        # At a tip the rest of the item's code follows.
        item_F = trie.item_of_leaf_I[trie.first_leaf_N[last_F]]
        start_F = trie.code_start_I1[item_F] + depth_F
        length_F = torch.where(tip_F, trie.code_start_I1[item_F + 1] - start_F, length_F)
        step_L = torch.arange(int(length_F.max()), device=node_F.device)
        more = len(step_L) - len(run)
        node_FL = F.pad(node_FL, (0, more)) if more > 0 else node_FL[:, : len(step_L)]
        token_FL = F.pad(token_FL, (0, more)) if more > 0 else token_FL[:, : len(step_L)]
        place_FL = (start_F[:, None] + step_L).clamp_max(len(trie.code_token) - 1)
        token_FL = torch.where(tip_F[:, None], trie.code_token[place_FL].long(), token_FL)
        return token_FL, node_FL, length_F, last_F

    def _children(
        self,
        memory: _Memory,
        row_F: Tensor,
        slot_F: Tensor,
        node_F: Tensor,
        score_F: Tensor,
        hidden_FD: Tensor,
    ) -> _Edges:
        """Every child of every prefix."""
        trie = self.trie
        edges = trie.edges(row_F, node_F, len(memory.start_R))
        parent_E, child_E = edges.beam_E, edges.child_E
        done_E = trie.last_leaf_N[child_E] - trie.first_leaf_N[child_E] == 1
        if self.normalise == "vocabulary":
            score_E = self._log_p(hidden_FD, parent_E, trie.token_N[child_E])
            item_E = trie.item_of_leaf_I[trie.first_leaf_N[child_E]]
            length_E = trie.code_start_I1[item_E + 1] - trie.code_start_I1[item_E]
            done_E &= length_E == memory.depth(row_F, slot_F)[parent_E] + 1
        else:
            count_F = trie.num_children(node_F)
            offset_F = count_F.cumsum(0) - count_F
            score_E = torch.empty(len(parent_E), device=node_F.device)
            for part in child_logits(self.backbone, hidden_FD, node_F, trie.token_N, trie.first_child_N1):
                score_NC = part.logits_NC.log_softmax(1)
                within_C = torch.arange(score_NC.shape[1], device=node_F.device)
                real_NC = within_C < part.num_children_N[:, None]
                score_E[(offset_F[part.group_N, None] + within_C)[real_NC]] = score_NC[real_NC]
        return _Edges(row_F[parent_E], slot_F[parent_E], child_E, score_F[parent_E] + score_E, done_E)

    def _log_p(self, hidden_GD: Tensor, place_E: Tensor, token_E: Tensor) -> Tensor:
        """Log-probability (E,) among the vocabulary of each token at its place, an index into hidden_GD."""
        vectors_VD = self.backbone.vocabulary_vectors().to(hidden_GD.dtype)
        log_p_E = torch.empty(len(place_E), device=hidden_GD.device)
        for start in range(0, len(hidden_GD), _HEAD_ROWS):
            logits_NV = (hidden_GD[start : start + _HEAD_ROWS] @ vectors_VD.T).float()
            here_E = torch.nonzero((place_E >= start) & (place_E < start + _HEAD_ROWS)).squeeze(1)
            place_H = place_E[here_E] - start
            log_p_H = logits_NV[place_H, token_E[here_E].long()]
            # A log-softmax, but without writing one for the whole vocabulary.
            highest_N = logits_NV.amax(1)
            sum_N = logits_NV.sub_(highest_N[:, None]).exp_().sum(1)
            log_p_E[here_E] = log_p_H - (highest_N + sum_N.log())[place_H]
        return log_p_E
