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
proved as well. Offsets of items keep the bound (`offsets.py`).

Best first search with an admissible bound is A* (Hart, Nilsson and Raphael 1968) with the score so far as the bound.

Shape suffixes: R rows of the search (users whose search goes on), D width, F prefixes that are tried in a step,
E candidates, N prefixes at nodes of about as many children, C those children (padded), L tokens of a run (padded),
Q tokens to run of one row (padded), G places whose next token is forced, O prefixes that children follow, H some of E,
V vocabulary, k items wanted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import Backbone, NodeModel, Prefix
from genrec.backbones.children import ChildLogits, child_logits, log_softmax_of_runs
from genrec.decoding.cache import FixedStates, SearchCache
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Candidates, Found, Frontier
from genrec.decoding.offsets import Offsets
from genrec.decoding.prior import Prior
from genrec.errors import ConfigError

Normalise = Literal["children", "vocabulary"]

_SIDE_BY_SIDE = 16  # prefixes of a user that are tried in one step of a best first search
_WIDE_ROOT = 8  # children of the root for each item wanted from which most of them cannot matter
# With a prior fewer pay; and while many prefixes are tried, so many tokens of each: one long title makes the rows of
# all users as long.
_SIDE_BY_SIDE_WITH_PRIOR, _LONGEST_WITH_PRIOR, _MANY = 8, 4, 128
_SIDE_BY_SIDE_WITH_FIXED_STATES = (
    32  # nothing is run: a prefix costs little, and a step of few as much as one of many
)
_LARGEST_FRONTIER = 1024  # prefixes of a user that may wait
_MOST_STEPS = 64  # steps before a search gives the proof up and goes on as a beam
_WIDEST = 4096  # beams after which a search for a proof is given up
_MOST_EDGES = 1 << 19  # edges that are looked at one by one; of more, those of the same nodes together
_AT_ONCE = 1 << 17  # numbers of the output vectors that are held at once: they stay in the cache
_HEAD_ROWS = 256  # places whose logits over the whole vocabulary are held at once


class BeamSearch:
    """Search of one backbone over one trie."""

    def __init__(
        self,
        backbone: NodeModel,
        trie: TrieTensors,
        normalise: Normalise = "children",
        offsets: Offsets | None = None,
    ) -> None:
        """Search with a model.

        Args:
            backbone: the model; put it in evaluation mode before.
            trie: codes of the catalogue, on the model's device.
            normalise: what a token's probability is relative to, as in training: the children of its node, or the
                whole vocabulary (forced tokens then lower an item's score, and the scores of all items add up to
                less than one).
            offsets: what is added to the score of each item; None: nothing.
        """
        self.backbone, self.trie, self.normalise, self.offsets = backbone, trie, normalise, offsets

    @torch.inference_mode()
    def search(
        self,
        prefix: Prefix | FixedStates,
        constraint: Constraint,
        k: int,
        width: int,
        prior: Prior | None = None,
    ) -> Found:
        """The best k allowed items of each row by a beam; all k are found whenever the constraint allows k.

        Args:
            prefix: the histories, B rows.
            constraint: filters of the same B users.
            k: items wanted.
            width: prefixes kept per user and step; raised to k where it is smaller.
            prior: what an item model expects of the same B users; None: the language model writes alone.

        Raises:
            ConfigError: a prior with probabilities over the vocabulary.
        """
        return self._search(prefix, constraint, k, width, 0, prior)

    @torch.inference_mode()
    def search_best_first(
        self,
        prefix: Prefix | SearchCache | FixedStates,
        constraint: Constraint,
        k: int,
        width: int,
        prior: Prior | None = None,
    ) -> Found:
        """The best k allowed items of each row, tried best first: almost always proved, and in fewer steps.

        Args:
            prefix, constraint, k, prior: as in `search`; histories that were read already are used up.
            width: of the beam that goes on where a proof would take very many steps, as with a model that finds
                everything equally likely.

        Raises:
            ConfigError: as in `search`.
        """
        return self._search(prefix, constraint, k, width, _MOST_STEPS, prior)

    @torch.inference_mode()
    def search_exact(
        self,
        prefix: Prefix | FixedStates,
        constraint_of: Callable[[Tensor], Constraint],
        k: int,
        width: int,
        prior: Prior | None = None,
    ) -> Found:
        """The true best k allowed items of each row: best first, then by wider and wider beams until all is proved.

        Args:
            prefix, k, prior: as in `search`.
            constraint_of: rows (int64 tensor) to the `Constraint` of those users.
            width: as in `search_best_first`; the beams after it start at twice as many.

        Raises:
            ConfigError: as in `search`; beams of some thousands do not prove every list.
        """
        rows = torch.arange(len(prefix.length_B), device=prefix.length_B.device)
        found = self.search_best_first(prefix, constraint_of(rows), k, width, prior)
        width = max(width, k)
        while not bool(found.exact_B.all()):
            open_rows = torch.nonzero(~found.exact_B).squeeze(1)
            if width >= _WIDEST:
                raise ConfigError(
                    f"{len(open_rows)} of {len(rows)} lists could not be proved with {width} beams: the model finds "
                    "too many items about equally likely; train it further, or ask without exact"
                )
            width *= 2
            # Attention of so many beams to each other: few users at a time, or the masks fill the cache.
            for part in torch.split(open_rows, max(1, _WIDEST // width)):
                own = None if prior is None else prior.take(part)
                found.put(part, self.search(prefix.take(part), constraint_of(part), k, width, own))
        return found

    def _search(
        self,
        prefix: Prefix | SearchCache | FixedStates,
        constraint: Constraint,
        k: int,
        width: int,
        most_steps: int,
        prior: Prior | None,
    ) -> Found:
        """Go best first for `most_steps`, then on with a beam."""
        if prior is not None and self.normalise == "vocabulary":
            raise ConfigError(
                "a prior weighs the children of trie nodes, and this model's probabilities are over its vocabulary: "
                "train it with objective=catalogue"
            )
        cache = self.cache(prefix)
        device = cache.start_R.device
        user_R = torch.arange(len(cache.start_R), device=device)
        lists, found = (Found.nothing(len(user_R), k, device) for _ in range(2))
        edges = self._first(cache, prior, constraint, k)
        lead_N = None if self.offsets is None else self.offsets.lead_N
        frontier = Frontier(found.score_Bk[:, :0], found.item_Bk[:, :0], found.item_Bk[:, :0], lead_N)
        side_by_side, longest = _SIDE_BY_SIDE, None
        if isinstance(cache, FixedStates):
            side_by_side = _SIDE_BY_SIDE_WITH_FIXED_STATES
        elif prior is not None:
            side_by_side, longest = _SIDE_BY_SIDE_WITH_PRIOR, _LONGEST_WITH_PRIOR
        most_steps = most_steps * _SIDE_BY_SIDE // side_by_side  # as many prefixes
        for step in itertools.count():
            best_first = step < most_steps
            num_tried = side_by_side if best_first else max(width, k)
            if not constraint.is_open:
                allowed_E = constraint.allows(user_R[edges.row_E], edges.node_E)
                edges = edges.take(torch.nonzero(allowed_E).squeeze(1))
            self._collect(edges, found)
            frontier = frontier.add(edges.take(torch.nonzero(~edges.done_E).squeeze(1)))
            frontier = frontier.shrink(num_tried + _LARGEST_FRONTIER * best_first, found)
            tried, frontier = frontier.split(num_tried)
            row_F, rank_F = torch.nonzero(tried.score_RC > -torch.inf, as_tuple=True)
            if not len(row_F):
                break
            alive_R = torch.unique_consecutive(row_F)
            if 2 * len(alive_R) <= len(user_R):
                lists.put(user_R, found)
                row_F = torch.searchsorted(alive_R, row_F)
                user_R, found = user_R[alive_R], found.take(alive_R)
                frontier, tried = frontier.take(alive_R), tried.take(alive_R)
                cache = cache.take(alive_R)
                prior = None if prior is None else prior.take(alive_R)
            if not best_first and isinstance(cache, SearchCache):  # nothing else waits for the slots
                cache.keep(tried.slot_RC, tried.score_RC > -torch.inf)
            slot_F = tried.slot_RC[row_F, rank_F] if best_first else rank_F
            node_F, score_F = tried.node_RC[row_F, rank_F], tried.score_RC[row_F, rank_F]
            at_once = longest if len(row_F) >= _MANY else None
            bound_F = found.score_Bk[:, -1].index_select(0, row_F)
            edges = self._extend(cache, prior, row_F, rank_F, slot_F, node_F, score_F, bound_F, at_once)
        lists.put(user_R, found)
        return lists

    def cache(self, prefix: Prefix | SearchCache | FixedStates) -> SearchCache | FixedStates:
        """What a search goes on from: histories are run now, unless they were already."""
        if isinstance(prefix, SearchCache | FixedStates):
            return prefix
        assert isinstance(self.backbone, Backbone)
        return SearchCache(self.backbone, prefix)

    def _first(
        self, cache: SearchCache | FixedStates, prior: Prior | None, constraint: Constraint, k: int
    ) -> Candidates:
        """The children of the root; of a wide one those that may enter a list."""
        trie, device = self.trie, cache.start_R.device
        row_R = torch.arange(len(cache.start_R), device=device)
        zeros_R = torch.zeros_like(row_R)
        first, last = trie.first_child_N1[:2].tolist()
        if self.normalise == "vocabulary" or last - first < _WIDE_ROOT * k:
            score_R = torch.zeros(len(row_R), device=device)
            if self.offsets is not None:
                score_R += self.offsets.most_N[0]
            bound_R = torch.full_like(score_R, -torch.inf)
            return self._children(cache, prior, row_R, zeros_R, zeros_R, score_R, bound_R, cache.hidden_RD)
        (part,) = self._scores(prior, row_R, zeros_R, cache.hidden_RD)
        score_RC = part.logits_NC[:, : last - first]
        node_C = torch.arange(first, last, device=device)
        if self.offsets is not None:
            score_RC = score_RC + self.offsets.most_N[first:last]
        alone_C = trie.last_leaf_N[node_C] - trie.first_leaf_N[node_C] == 1
        # Of a thousand children a few dozen matter. The best that are items by themselves tell which: nothing below
        # the k-th of those can enter a list. Where filters hide too many of them, all children stay.
        tip_W = torch.nonzero(alone_C).squeeze(1)
        if len(tip_W) < 2 * k:
            bound_R = score_RC.new_full((len(row_R),), -torch.inf)
        else:
            tips_RW, place_RW = score_RC[:, tip_W].topk(2 * k, dim=1)
            if not constraint.is_open:
                row_E = row_R.repeat_interleave(2 * k)
                allowed_E = constraint.allows(row_E, node_C[tip_W][place_RW].flatten())
                tips_RW = tips_RW.masked_fill(~allowed_E.view_as(tips_RW), -torch.inf)
            bound_R = tips_RW.topk(k, dim=1).values[:, -1]
        row_E, column_E = torch.nonzero(score_RC >= bound_R[:, None], as_tuple=True)
        return Candidates(
            row_E, torch.zeros_like(row_E), node_C[column_E], score_RC[row_E, column_E], alone_C[column_E]
        )

    def _collect(self, edges: Candidates, found: Found) -> None:
        """Take what is finished into the lists."""
        done = edges.take(torch.nonzero(edges.done_E).squeeze(1))
        if len(done.row_E):
            score_RC, edge_RC = done.table(len(found.bound_B))
            item_E = self.trie.item_of_leaf_I[self.trie.first_leaf_N[done.node_E]]
            found.add(item_E[edge_RC].long().masked_fill(torch.isneginf(score_RC), -1), score_RC)

    def _extend(
        self,
        cache: SearchCache | FixedStates,
        prior: Prior | None,
        row_F: Tensor,
        rank_F: Tensor,
        slot_F: Tensor,
        node_F: Tensor,
        score_F: Tensor,
        bound_F: Tensor,
        longest: int | None,
    ) -> Candidates:
        """Run the prefixes' last tokens, and the forced ones after them, and look at what may follow.

        `bound_F`: what scores less is left out.
        """
        if isinstance(cache, FixedStates):
            last_F = self.trie.last_forced_N.index_select(0, node_F).long()
            hidden_FD = cache.hidden_RD.index_select(0, row_F)
            return self._children(cache, prior, row_F, slot_F, last_F, score_F, bound_F, hidden_FD)
        token_FL, node_FL, length_F, last_F = self._runs(node_F, cache.depth(row_F, slot_F), longest)
        ended_F = self.trie.num_children(last_F) == 0  # the code is whole: nothing follows its last token
        hidden_RQD, place_FL, slot_F = cache.run(
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
        row_O, slot_O, last_O, score_O, bound_O = (
            part[open_F] for part in (row_F, slot_F, last_F, score_F, bound_F)
        )
        edges = self._children(cache, prior, row_O, slot_O, last_O, score_O, bound_O, hidden_FD)
        if len(open_F) == len(row_F):
            return edges
        ended = Candidates(row_F, slot_F, last_F, score_F, ended_F).take(torch.nonzero(ended_F).squeeze(1))
        return edges.merge(ended)

    def _runs(
        self, node_F: Tensor, depth_F: Tensor, longest: int | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tokens from `node_F` on down to the next choice or the code's end, or `longest` of them.

        Returns:
            token_FL and node_FL, the nodes that they write, 0 for none; length_F; last_F, the last node.
        """
        trie, run = self.trie, [node_F]
        while True:
            forced_F = trie.num_children(run[-1]) == 1
            if len(run) == longest or not bool(forced_F.any()):
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
        cache: SearchCache | FixedStates,
        prior: Prior | None,
        row_F: Tensor,
        slot_F: Tensor,
        node_F: Tensor,
        score_F: Tensor,
        bound_F: Tensor,
        hidden_FD: Tensor,
    ) -> Candidates:
        """The children of every prefix that score at least its bound."""
        trie = self.trie
        edges = trie.edges(row_F, node_F, len(cache.start_R))
        parent_E, child_E = edges.beam_E, edges.child_E
        if self.normalise == "vocabulary":
            score_E = self._log_p(hidden_FD, parent_E, trie.token_N[child_E])
        elif 0 < len(child_E) <= _MOST_EDGES:
            score_E = self._logits(hidden_FD, parent_E, child_E)
            if prior is not None:
                score_E = prior.join_edges(score_E, row_F, node_F, parent_E, child_E)
            score_E = log_softmax_of_runs(score_E, trie.num_children(node_F))
        else:
            count_F = trie.num_children(node_F)
            offset_F = count_F.cumsum(0) - count_F
            score_E = torch.empty(len(parent_E) + 1, device=node_F.device)  # the last is for padding
            for part in self._scores(prior, row_F, node_F, hidden_FD):
                score_NC = part.logits_NC
                within_C = torch.arange(score_NC.shape[1], device=node_F.device)
                edge_NC = offset_F[part.group_N, None] + within_C
                edge_NC.masked_fill_(within_C >= part.num_children_N[:, None], len(parent_E))
                score_E.index_copy_(0, edge_NC.flatten(), score_NC.flatten())
            score_E = score_E[:-1]
        score_E = score_E.add_(score_F.index_select(0, parent_E))
        if self.offsets is not None:
            most_N = self.offsets.most_N
            score_E = score_E + (most_N[child_E] - most_N[node_F][parent_E])
        # Of hundreds of thousands of children few may enter a list, and the others cost nothing from here on.
        kept_E = torch.nonzero(score_E >= bound_F.index_select(0, parent_E)).squeeze(1)
        parent_E, child_E, score_E = (part.index_select(0, kept_E) for part in (parent_E, child_E, score_E))
        done_E = trie.num_below(child_E) == 1
        if self.normalise == "vocabulary":
            item_E = trie.item_of_leaf_I[trie.first_leaf_N[child_E]]
            length_E = trie.code_start_I1[item_E + 1] - trie.code_start_I1[item_E]
            assert isinstance(cache, SearchCache)
            done_E &= length_E == cache.depth(row_F, slot_F)[parent_E] + 1
        row_E, slot_E = (part.index_select(0, parent_E) for part in (row_F, slot_F))
        return Candidates(row_E, slot_E, child_E, score_E, done_E)

    def _scores(
        self, prior: Prior | None, row_F: Tensor, node_F: Tensor, hidden_FD: Tensor
    ) -> Iterator[ChildLogits]:
        """Log-probabilities among the children of each node, in the groups of `child_logits`."""
        trie = self.trie
        for part in child_logits(self.backbone, hidden_FD, node_F, trie.token_N, trie.first_child_N1):
            logits_NC = part.logits_NC
            if prior is not None:
                logits_NC = prior.join(logits_NC, row_F[part.group_N], node_F[part.group_N])
            yield replace(part, logits_NC=logits_NC.log_softmax(1))

    def _logits(self, hidden_FD: Tensor, parent_E: Tensor, child_E: Tensor) -> Tensor:
        """Logits (E,), float32, of edges out of the prefixes `parent_E`; without padding, and some at a time."""
        logits_E = torch.empty(len(child_E), device=hidden_FD.device)
        at_once = max(1, _AT_ONCE // hidden_FD.shape[1])
        for start in range(0, len(child_E), at_once):
            part = slice(start, start + at_once)
            vectors_ED = self.backbone.edge_vectors(
                self.trie.token_N.index_select(0, child_E[part]), child_E[part]
            )
            vectors_ED = vectors_ED.to(hidden_FD.dtype).mul_(hidden_FD.index_select(0, parent_E[part]))
            logits_E[part] = vectors_ED.sum(dim=1)
        return logits_E

    def _log_p(self, hidden_GD: Tensor, place_E: Tensor, token_E: Tensor) -> Tensor:
        """Log-probability (E,) among the vocabulary of each token at its place, an index into hidden_GD."""
        assert isinstance(self.backbone, Backbone)
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
