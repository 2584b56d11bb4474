"""Ranking items by what a model would write next: over the whole trie, or over the tries of a few candidates.

Shape suffixes: B questions, C candidates of each (-1 where there are fewer), L tokens of a code, D width, k items
wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.base import NodeModel, Prefix
from genrec.backbones.hardware import device
from genrec.codes.trie import Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.cache import FixedStates, SearchCache
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Found
from genrec.decoding.offsets import Offsets
from genrec.decoding.prior import Prior, PriorOf

# With a prior:
_MASSES_AT_ONCE = 1 << 25  # users times items; 256 MB: to be handed more out anew costs more than it saves
_MOST_ROWS = 256  # questions that are searched at once
# Where every item is scored: items that are searched for together, and times that a question is asked at once.
_PART, _PARTS_AT_ONCE = 128, 16
_SHORT = 64  # tokens of questions that may be read together, whatever their length


@dataclass(frozen=True)
class Decision:
    """A choice on the way along an item's code.

    `tokens`: those of the chosen child, and the forced ones after it. `probability` of the choice among the children.
    With a prior also what each voice says of it alone: `words`, the language model, and `items`, the item model.
    """

    tokens: list[int]
    probability: float
    words: float | None = None
    items: float | None = None


class Questions(Protocol):
    """What is asked, ready to be read.

    `lengths`: tokens of each question.
    """

    @property
    def lengths(self) -> Sequence[int]: ...

    def prefix(self, rows: IntArray) -> Prefix | FixedStates:
        """Those of `rows` as tensors."""


class TrieRanker:
    """A model and the trie of the codes that it writes."""

    def __init__(
        self,
        backbone: NodeModel,
        trie: Trie,
        normalise: Normalise,
        *,
        width: int,
        best_first: bool,
        offsets: Callable[[TrieRanker], Offsets] | None = None,
    ) -> None:
        """A ranker.

        Args:
            backbone: the model; put it in evaluation mode before.
            trie: codes of the catalogue.
            normalise: as in `BeamSearch`.
            width: of the beam, with which best first search goes on where it takes very many steps.
            best_first: search best first; False: by the beam alone.
            offsets: gives what is added to the score of each item, when that is needed first; it is handed a ranker
                without. None: nothing is.
        """
        self.backbone, self.trie, self.width, self.best_first = backbone, trie, width, best_first
        self.tensors = TrieTensors.of(trie, device())
        self._search, self._offsets = BeamSearch(backbone, self.tensors, normalise), offsets

    @property
    def search(self) -> BeamSearch:
        """The search, with the offsets."""
        if self._offsets is not None:
            self.find_offsets()
        return self._search

    def find_offsets(self) -> Offsets:
        """The offsets, asked for unless they are there."""
        assert self._offsets is not None
        if self._search.offsets is None:
            plain = TrieRanker(
                self.backbone, self.trie, self._search.normalise, width=self.width, best_first=self.best_first
            )
            self._search.offsets = self._offsets(plain)
        return self._search.offsets

    def search_with(self, offsets: Offsets | None) -> None:
        """Add these from now on; None: ask for them anew, as the model is another one now."""
        self._search.offsets = offsets

    def rank(
        self,
        questions: Questions,
        k: int,
        seen: Histories | None,
        allowed: BoolArray | None,
        *,
        exact: bool,
        prior: PriorOf | None = None,
    ) -> Rankings:
        """The best `k` items that may answer each question, as in `Recommender.rank`.

        Args:
            questions: B of them.
            k: items wanted.
            seen: items that each must not be answered with; None: no such items.
            allowed: mask (num_items,) of what may be answered, or one for each question; None: everything.
            exact: search until every list is proved.
            prior: what an item model expects of the questions of some rows; None: the language model writes alone.

        Raises:
            ConfigError: as in `BeamSearch.search_exact`.
        """
        offered = None if allowed is None or allowed.ndim == 1 else _offered(allowed, seen)
        open_to_all = Constraint(self.tensors, allowed=allowed if offered is None else None)

        def best(prefix: Prefix | FixedStates, group: IntArray) -> Found:
            own = None if prior is None else prior(group)

            def constraint(rows: Tensor) -> Constraint:
                asked = group[rows.cpu().numpy()]
                if offered is not None:
                    return open_to_all.offering(offered.take(asked))
                return open_to_all.hiding(None if seen is None else seen.take(asked))

            if exact:
                return self.search.search_exact(prefix, constraint, k, self.width, own)
            search = self.search.search_best_first if self.best_first else self.search.search
            return search(prefix, constraint(torch.arange(len(group))), k, self.width, own)

        return _in_groups(questions, k, best, self._most(prior))

    def rank_candidates(
        self, questions: Questions, candidates_BC: IntArray, k: int, prior: PriorOf | None = None
    ) -> Rankings:
        """The best `k` of the candidates of each question, always best first; `prior` as in `rank`."""

        def best(prefix: Prefix | FixedStates, group: IntArray) -> Found:
            return self._among(prefix, candidates_BC[group], k, None if prior is None else prior(group))

        return _in_groups(questions, k, best, self._most(prior))

    def log_likelihood(
        self, questions: Questions, candidates_BC: IntArray, prior: PriorOf | None = None
    ) -> FloatArray:
        """log p(item | question) (B, C) of the candidates, by a search that goes through their trie to the end."""
        found = self.rank_candidates(questions, candidates_BC, candidates_BC.shape[1], prior)
        # Both by item, padding first: places of equal rank belong together.
        order_BC, place_BC = np.argsort(candidates_BC, axis=1), np.argsort(found.items_BK, axis=1)
        scores_BC = np.empty(candidates_BC.shape, np.float32)
        np.put_along_axis(scores_BC, order_BC, np.take_along_axis(found.scores_BK, place_BC, 1), 1)
        return scores_BC

    def log_likelihood_of_all(self, question: Questions) -> FloatArray:
        """log p(item | question) (num_items,) of every item, for the one question that there is."""
        items, found_I = self.trie.item_of_leaf_I, np.empty(self.trie.num_items, np.float32)
        # Neighbours in the trie together: a part goes along few prefixes.
        parts_BC = np.full((-(-len(items) // _PART), _PART), -1, np.int32)
        parts_BC.flat[: len(items)] = items
        for start in range(0, len(parts_BC), _PARTS_AT_ONCE):
            some_BC = parts_BC[start : start + _PARTS_AT_ONCE]
            scores_BC = self.log_likelihood(_Again(question, len(some_BC)), some_BC)
            found_I[some_BC[some_BC >= 0]] = scores_BC[some_BC >= 0]
        return found_I

    @torch.inference_mode()
    def write_list(
        self, questions: Questions, candidates_BC: IntArray, k: int, prior: PriorOf | None = None
    ) -> IntArray:
        """A list (B, k) of the candidates, written one after another, none twice. Questions are read once.

        The language model goes by what is written already; a prior, as in `rank`, by the question alone.
        """
        written_Bk = np.full((len(candidates_BC), k), -1, np.int32)
        for group in _of_like_length(questions.lengths, self._most(prior)):
            own = None if prior is None else prior(group)
            cache = self.search.cache(questions.prefix(group))
            assert isinstance(cache, SearchCache)  # fixed states do not know what is written already
            left_BC = candidates_BC[group]
            for place in range(min(k, left_BC.shape[1])):
                if place:
                    cache.follow(*self._written(written_Bk[group, place - 1]))
                found_B = self._among(cache.fork(), left_BC, 1, own).item_Bk[:, 0].cpu().numpy()
                if (found_B < 0).all():  # nobody has candidates left
                    break
                written_Bk[group, place] = found_B
                left_BC[left_BC == found_B[:, None]] = -1
        return written_Bk

    def decisions(self, states_LD: Tensor, item: int, prior: Prior | None = None) -> list[Decision]:
        """The decisions along an item's code; their probabilities multiply to that of the item.

        Args:
            states_LD: the states from which each token of the code is predicted.
            item: it is written.
            prior: of this question alone, one row; None: the language model writes alone.
        """
        trie, found = self.trie, list[Decision]()
        row_1 = torch.zeros(1, dtype=torch.int64, device=device())
        path = zip(trie.codes[item].tolist(), trie.paths[item].tolist(), strict=True)
        for place, (token, node) in enumerate(path):
            parent = int(trie.parent_N[node])
            first, last = trie.first_child_N1[parent], trie.first_child_N1[parent + 1]
            if found and (node == 0 or last - first == 1):  # the item's tail, or a forced token
                found[-1].tokens.append(token)
                continue
            nodes_C = torch.arange(int(first), int(last), device=device())
            vectors_CD = self.backbone.edge_vectors(self.tensors.token_N[nodes_C], nodes_C)
            logits_C = (vectors_CD.to(states_LD.dtype) @ states_LD[place]).float()
            taken = node - int(first)
            if prior is None:
                found.append(Decision([token], _chance(logits_C, taken)))
                continue
            parent_1 = torch.full_like(row_1, parent)
            found.append(
                Decision(
                    [token],
                    _chance(prior.join(logits_C[None], row_1, parent_1)[0], taken),
                    words=_chance(logits_C / prior.temperature, taken),
                    items=float(prior.shares(row_1, parent_1, len(nodes_C))[0, taken]),
                )
            )
        return found

    def _most(self, prior: PriorOf | None) -> int | None:
        """Questions that may be searched at once."""
        return None if prior is None else max(1, min(_MOST_ROWS, _MASSES_AT_ONCE // self.tensors.num_items))

    def _among(
        self, prefix: Prefix | SearchCache | FixedStates, candidates_BC: IntArray, k: int, prior: Prior | None
    ) -> Found:
        """The best `k` candidates of some questions."""
        offered = Histories.from_lists([row[row >= 0] for row in candidates_BC])
        constraint = Constraint(self.tensors).offering(offered)
        return self.search.search_best_first(prefix, constraint, k, self.width, prior)

    def _written(self, items_B: IntArray) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens and nodes (B, L) of an item each, padded on the right, and how many they are (B,); none of item -1."""
        there_B = items_B >= 0
        length_B = np.where(there_B, self.trie.codes.lengths[items_B], 0)
        real_BL = np.arange(length_B.max(initial=0)) < length_B[:, None]
        token_BL, node_BL = np.zeros(real_BL.shape, np.int64), np.zeros(real_BL.shape, np.int64)
        token_BL[real_BL] = self.trie.codes.take(items_B[there_B]).items
        node_BL[real_BL] = self.trie.paths.take(items_B[there_B]).items
        tokens, nodes, lengths = (torch.from_numpy(one).to(device()) for one in (token_BL, node_BL, length_B))
        return tokens, nodes, lengths


class _Again:
    """A question, asked several times."""

    def __init__(self, question: Questions, times: int) -> None:
        self._question, self.lengths = question, [*question.lengths] * times

    def prefix(self, rows: IntArray) -> Prefix | FixedStates:
        return self._question.prefix(np.zeros(len(rows), np.int64))


def _offered(allowed_BI: BoolArray, seen: Histories | None) -> Histories:
    """The items of each row of a mask, but those that were seen."""
    row, item = np.nonzero(allowed_BI)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(allowed_BI)))])
    offered = Histories(item.astype(np.int32), offsets)
    if seen is None:
        return offered
    num_items = allowed_BI.shape[1]
    return offered.only(~np.isin(row * num_items + item, seen.rows * num_items + seen.items))


def _chance(logits_C: Tensor, taken: int) -> float:
    """The probability of one of the children."""
    return float(torch.softmax(logits_C, dim=0)[taken])


def _of_like_length(lengths: Sequence[int], most: int | None) -> list[IntArray]:
    """The rows in groups of about the same length, so that few tokens are padding.

    Given `most`, a group has no more rows, and short ones stand together: a step of many costs little more than one of
    few, and with a prior that is more than their padding.
    """
    length_B = np.array(lengths)
    steps_B = np.ceil(np.log2(length_B + 16) * 3).astype(int)  # a step is a quarter of the length
    if most is None:
        return [np.flatnonzero(steps_B == step) for step in np.unique(steps_B)]
    steps_B[length_B <= _SHORT] = 0
    order_B = np.argsort(length_B, kind="stable")
    groups: list[IntArray] = []
    for step in np.unique(steps_B):
        group = order_B[steps_B[order_B] == step]
        groups += np.array_split(group, -(-len(group) // most))
    return groups


def _in_groups(
    questions: Questions, k: int, best: Callable[[Prefix | FixedStates, IntArray], Found], most: int | None
) -> Rankings:
    """The lists that `best` finds for questions of like length, at most `most`, which it is given with their rows."""
    found = Found.nothing(len(questions.lengths), k, device())
    for group in _of_like_length(questions.lengths, most):
        found.put(torch.from_numpy(group).to(device()), best(questions.prefix(group), group))
    return Rankings(
        found.item_Bk.cpu().numpy().astype(np.int32),
        found.score_Bk.float().cpu().numpy(),
        found.exact_B.cpu().numpy(),
    )
