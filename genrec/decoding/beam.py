"""Batched beam search over the trie, with a proof of exactness.

What makes it quick
- A user's history is run once. All beams of the user are further tokens of the same row, and a mask lets each see the
  history and its own ancestors only, so keys and values are never copied or reordered.
- Only children in the trie are scored; there is no pass over the vocabulary (with `normalise="children"`).
- A run of forced tokens goes through the model in one step, and a beam with a single item below it is finished at
  once: nothing that follows can change its probability.
- No Python loop over users or beams.

What makes it exact
A prefix's log-probability bounds that of every item below it. The search keeps the best bound among the beams it threw
away; if the k-th item found scores at least as high, no other item can, and the list is the model's true top k.

Shape suffixes: B users, T history tokens, K keys in the cache, D width, F live beams of all users, E candidate edges,
R rows of the cache (as a second letter: steps of a forced run, padded), W beams of one user (padded), G tokens to run,
Q tokens to run of one user (padded), k items wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.children import child_logits
from genrec.decoding.constraint import Constraint, TrieTensors

Normalise = Literal["children", "vocabulary"]


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

    @property
    def exact_B(self) -> Tensor:
        """Whether the list provably is the true top k."""
        return (self.score_Bk[:, -1] >= self.bound_B) | torch.isneginf(self.bound_B)


@dataclass
class _Beams:
    """Live beams, sorted by user: user_F, node_F (a branching node), depth_F, score_F, hidden_FD, slot_F in the row."""

    user_F: Tensor
    node_F: Tensor
    depth_F: Tensor
    score_F: Tensor
    hidden_FD: Tensor
    slot_F: Tensor


@dataclass
class _Memory:
    """Keys and values of the users whose search goes on, one row each.

    visible_RWK: which of a row's keys each of its beams may see; row_of_user_B: -1 for users that are finished.
    """

    cache: Any
    visible_RWK: Tensor
    start_B: Tensor
    row_of_user_B: Tensor


class BeamSearch:
    """Beam search of one backbone over one trie."""

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
        """The best k allowed items of each row; all k are found whenever the constraint allows k.

        Args:
            prefix: the histories, B rows.
            constraint: filters of the same B users.
            k: items wanted.
            width: beams kept per user and step; raised to k where it is smaller.
        """
        num_rows, device = prefix.tokens_BT.shape[0], prefix.tokens_BT.device
        width = max(width, k)
        beams, memory = self._start(prefix)
        found = Found(
            torch.full((num_rows, k), -1, device=device),
            torch.full((num_rows, k), -torch.inf, device=device),
            torch.full((num_rows,), -torch.inf, device=device),
        )
        while len(beams.user_F):
            beams = self._step(beams, memory, constraint, found, width)
        return found

    @torch.inference_mode()
    def search_exact(self, prefix: Prefix, constraint_of: Any, k: int, width: int) -> Found:
        """Search wider and wider until every list is certified.

        Args:
            prefix: as in `search`.
            constraint_of: rows (int64 tensor) to the `Constraint` of those users.
            k: items wanted.
            width: first width, raised to k where it is smaller; doubled for the rows that are not certified yet.
        """
        width = max(width, k)
        rows = torch.arange(prefix.tokens_BT.shape[0], device=prefix.tokens_BT.device)
        found = self.search(prefix, constraint_of(rows), k, width)
        while not bool(found.exact_B.all()):
            width *= 2
            open_rows = torch.nonzero(~found.exact_B).squeeze(1)
            wider = self.search(prefix.take(open_rows), constraint_of(open_rows), k, width)
            found.item_Bk[open_rows] = wider.item_Bk
            found.score_Bk[open_rows] = wider.score_Bk
            found.bound_B[open_rows] = wider.bound_B
        return found

    def _start(self, prefix: Prefix) -> tuple[_Beams, _Memory]:
        """Run the histories and put one beam a user at the root."""
        cache = self.backbone.new_cache()
        length_B = prefix.length_B
        num_rows, num_tokens = prefix.tokens_BT.shape
        keys_T = torch.arange(num_tokens, device=length_B.device)
        hidden_BTD = self.backbone.hidden(prefix.tokens_BT, prefix.nodes_BT, prefix.positions_BT, cache=cache)
        rows_B = torch.arange(num_rows, device=length_B.device)
        zeros_B = torch.zeros_like(rows_B)
        beams = _Beams(
            user_F=rows_B,
            node_F=zeros_B,
            depth_F=zeros_B,
            score_F=torch.zeros(num_rows, device=length_B.device),
            hidden_FD=hidden_BTD[rows_B, length_B - 1],
            slot_F=zeros_B,
        )
        visible_BWK = (keys_T[None, :] < length_B[:, None])[:, None]
        return beams, _Memory(cache, visible_BWK, prefix.start_B, rows_B)

    def _step(
        self, beams: _Beams, memory: _Memory, constraint: Constraint, found: Found, width: int
    ) -> _Beams:
        """Extend every live beam by one decision, sort out what is finished, and run what lives on."""
        trie = self.trie
        parent_E, child_E, score_E = self._candidates(beams)
        user_E = beams.user_F[parent_E]
        kept_E = torch.nonzero(constraint.num_allowed(user_E, child_E) > 0).squeeze(1)
        parent_E, child_E, score_E, user_E = (x[kept_E] for x in (parent_E, child_E, score_E, user_E))
        if self.normalise == "children":
            finished_E = trie.last_leaf_N[child_E] - trie.first_leaf_N[child_E] == 1
        else:
            finished_E = trie.num_children(child_E) == 0

        # One row of candidates a user, so that the best of each are found in one call.
        num_rows = len(found.bound_B)
        count_B = torch.bincount(user_E, minlength=num_rows)
        column_E = torch.arange(len(user_E), device=user_E.device) - (count_B.cumsum(0) - count_B)[user_E]
        table_BE = torch.full((num_rows, int(count_B.max())), -torch.inf, device=user_E.device)
        edge_BE = torch.zeros_like(table_BE, dtype=torch.int64)
        edge_BE[user_E, column_E] = torch.arange(len(user_E), device=user_E.device)

        done_BE = table_BE.index_put((user_E, column_E), score_E.masked_fill(~finished_E, -torch.inf))
        score_Bk = torch.cat([found.score_Bk, done_BE], dim=1)
        item_BE = trie.item_of_leaf_I[trie.first_leaf_N[child_E]][edge_BE]
        item_Bk = torch.cat([found.item_Bk, item_BE.masked_fill(torch.isneginf(done_BE), -1)], dim=1)
        found.score_Bk, best_Bk = score_Bk.topk(found.score_Bk.shape[1], dim=1)
        found.item_Bk = item_Bk.gather(1, best_Bk)

        live_BE = table_BE.index_put((user_E, column_E), score_E.masked_fill(finished_E, -torch.inf))
        # A beam that scores no better than the k-th item found cannot change the list: dropping it costs no proof.
        live_BE = live_BE.masked_fill(live_BE <= found.score_Bk[:, -1:], -torch.inf)
        score_BW, best_BW = live_BE.topk(min(width + 1, live_BE.shape[1]), dim=1)
        if score_BW.shape[1] > width:
            found.bound_B = torch.maximum(found.bound_B, score_BW[:, width])
            score_BW, best_BW = score_BW[:, :width], best_BW[:, :width]
        user_F, rank_F = torch.nonzero(~torch.isneginf(score_BW), as_tuple=True)
        chosen_F = edge_BE[user_F, best_BW[user_F, rank_F]]
        parent_F = parent_E[chosen_F]
        return self._advance(
            memory,
            user_F,
            child_E[chosen_F],
            beams.depth_F[parent_F],
            beams.slot_F[parent_F],
            score_BW[user_F, rank_F],
            rank_F,
        )

    def _candidates(self, beams: _Beams) -> tuple[Tensor, Tensor, Tensor]:
        """Every child of every live beam: the beam it comes from, its node, its score; (E,) each, sorted by beam."""
        trie = self.trie
        count_F = trie.num_children(beams.node_F)
        offset_F = count_F.cumsum(0) - count_F
        parent_E = torch.repeat_interleave(torch.arange(len(count_F), device=count_F.device), count_F)
        within_E = torch.arange(len(parent_E), device=count_F.device) - offset_F[parent_E]
        child_E = trie.first_child_N1[beams.node_F[parent_E]] + within_E
        if self.normalise == "vocabulary":
            vectors_VD = self.backbone.vocabulary_vectors().to(beams.hidden_FD.dtype)
            log_p_FV = (beams.hidden_FD @ vectors_VD.T).float().log_softmax(1)
            score_E = beams.score_F[parent_E] + log_p_FV[parent_E, trie.token_N[child_E]]
            return parent_E, child_E, score_E
        score_E = torch.empty(len(parent_E), device=count_F.device)
        for part in child_logits(
            self.backbone, beams.hidden_FD, beams.node_F, trie.token_N, trie.first_child_N1
        ):
            score_NC = part.logits_NC.log_softmax(1) + beams.score_F[part.group_N, None]
            within_C = torch.arange(score_NC.shape[1], device=count_F.device)
            real_NC = within_C < part.num_children_N[:, None]
            score_E[(offset_F[part.group_N, None] + within_C)[real_NC]] = score_NC[real_NC]
        return parent_E, child_E, score_E

    def _advance(
        self,
        memory: _Memory,
        user_F: Tensor,
        node_F: Tensor,
        depth_F: Tensor,
        parent_slot_F: Tensor,
        score_F: Tensor,
        slot_F: Tensor,
    ) -> _Beams:
        """Run the chosen tokens, and the forced ones after them, through the model."""
        device = user_F.device
        if not len(user_F):
            return _Beams(user_F, node_F, depth_F, score_F, torch.empty(0, device=device), slot_F)
        run = [node_F]
        if self.normalise == "children":
            while True:
                forced_F = self.trie.num_children(run[-1]) == 1
                if not bool(forced_F.any()):
                    break
                run.append(torch.where(forced_F, self.trie.first_child_N1[run[-1]], run[-1]))
        run_FR = torch.stack(run, dim=1)
        # A run that is over repeats its last node; those repeats are padding.
        real_FR = torch.ones_like(run_FR, dtype=torch.bool)
        real_FR[:, 1:] = run_FR[:, 1:] != run_FR[:, :-1]
        length_F = real_FR.sum(1)

        past_RWK = self._forget(memory, user_F, parent_slot_F, slot_F)
        row_F = memory.row_of_user_B[user_F]
        # The tokens to run, one row a user: each beam's run side by side, padding at the end of the row.
        beam_G, step_G = torch.nonzero(real_FR, as_tuple=True)
        row_G = row_F[beam_G]
        num_rows, num_slots, num_keys = past_RWK.shape
        count_R = torch.bincount(row_G, minlength=num_rows)
        place_G = torch.arange(len(row_G), device=device) - (count_R.cumsum(0) - count_R)[row_G]
        shape_RQ = (num_rows, int(count_R.max()))
        node_RQ, position_RQ, step_RQ = (
            torch.zeros(shape_RQ, dtype=torch.int64, device=device) for _ in range(3)
        )
        # Padding belongs to a beam of its own, which nobody sees.
        slot_RQ = torch.full(shape_RQ, -1, device=device)
        node_RQ[row_G, place_G] = run_FR[beam_G, step_G]
        position_RQ[row_G, place_G] = memory.start_B[user_F[beam_G]] + depth_F[beam_G] + step_G
        step_RQ[row_G, place_G] = step_G
        slot_RQ[row_G, place_G] = slot_F[beam_G]

        # A token sees what its beam's parent saw, and its own beam's run up to itself.
        past_RQK = past_RWK.gather(1, slot_RQ.clamp_min(0)[:, :, None].expand(-1, -1, num_keys))
        own_RQQ = (slot_RQ[:, :, None] == slot_RQ[:, None, :]) & (step_RQ[:, :, None] >= step_RQ[:, None, :])
        hidden_RQD = self.backbone.hidden(
            self.trie.token_N[node_RQ].clamp_min(0),
            node_RQ,
            position_RQ,
            torch.cat([past_RQK, own_RQQ], dim=2),
            cache=memory.cache,
        )
        slots_W = torch.arange(num_slots, device=device)
        memory.visible_RWK = torch.cat([past_RWK, slots_W[None, :, None] == slot_RQ[:, None, :]], dim=2)
        last_F = length_F.new_zeros(len(user_F)).scatter_reduce(0, beam_G, place_G, "amax")
        return _Beams(user_F, run_FR[:, -1], depth_F + length_F, score_F, hidden_RQD[row_F, last_F], slot_F)

    def _forget(self, memory: _Memory, user_F: Tensor, parent_slot_F: Tensor, slot_F: Tensor) -> Tensor:
        """Drop what no live beam can see any more; which keys each new beam inherits, (R, W, K)."""
        users = torch.unique(user_F)
        if 2 * len(users) <= len(memory.visible_RWK):
            rows_R = memory.row_of_user_B[users]
            self.backbone.keep_rows(memory.cache, rows_R)
            memory.visible_RWK = memory.visible_RWK[rows_R]
            memory.row_of_user_B = torch.full_like(memory.row_of_user_B, -1)
            memory.row_of_user_B[users] = torch.arange(len(users), device=users.device)
        row_F = memory.row_of_user_B[user_F]
        num_rows, _, num_keys = memory.visible_RWK.shape
        shape_RWK = (num_rows, int(slot_F.max()) + 1, num_keys)
        past_RWK = torch.zeros(shape_RWK, dtype=torch.bool, device=user_F.device)
        past_RWK[row_F, slot_F] = memory.visible_RWK[row_F, parent_slot_F]
        used_RK = past_RWK.any(dim=1)
        num_used = int(used_RK.sum(dim=1).max())
        if 4 * num_used > 3 * num_keys:  # copying the rest would cost more than it saves
            return past_RWK
        columns_RK = torch.argsort((~used_RK).to(torch.uint8), dim=1, stable=True)[:, :num_used]
        self.backbone.keep_keys(memory.cache, columns_RK)
        return past_RWK.gather(2, columns_RK[:, None].expand(-1, shape_RWK[1], -1))
