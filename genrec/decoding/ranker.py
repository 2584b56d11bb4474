"""Ranking items by what a model would write next: over the whole trie, or over the tries of a few candidates.

Shape suffixes: B questions, C candidates of each (-1 where there are fewer), L tokens of a code, D width, k items
wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.hardware import device
from genrec.codes.trie import Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.cache import SearchCache
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Found


class Questions(Protocol):
    """What is asked, ready to be read.

    `lengths`: tokens of each question.
    """

    lengths: list[int]

    def prefix(self, rows: IntArray) -> Prefix:
        """Those of `rows` as tensors."""


class TrieRanker:
    """A model and the trie of the codes that it writes."""

    def __init__(
        self, backbone: Backbone, trie: Trie, normalise: Normalise, *, width: int, best_first: bool
    ) -> None:
        """A ranker.

        Args:
            backbone: the model; put it in evaluation mode before.
            trie: codes of the catalogue.
            normalise: as in `BeamSearch`.
            width: of the beam, with which best first search goes on where it takes very many steps.
            best_first: search best first; False: by the beam alone.
        """
        self.backbone, self.trie, self.width, self.best_first = backbone, trie, width, best_first
        self.tensors = TrieTensors.of(trie, device())
        self.search = BeamSearch(backbone, self.tensors, normalise)

    def rank(
        self, questions: Questions, k: int, seen: Histories | None, allowed: BoolArray | None, *, exact: bool
    ) -> Rankings:
        """The best `k` items that may answer each question, as in `Recommender.rank`.

        Args:
            questions: B of them.
            k: items wanted.
            seen: items that each must not be answered with; None: no such items.
            allowed: mask (num_items,) of what may be answered; None: everything.
            exact: search until every list is proved.
        """
        open_to_all = Constraint(self.tensors, allowed=allowed)

        def best(prefix: Prefix, group: IntArray) -> Found:
            def constraint(rows: Tensor) -> Constraint:
                return open_to_all.hiding(None if seen is None else seen.take(group[rows.cpu().numpy()]))

            if exact:
                return self.search.search_exact(prefix, constraint, k, self.width)
            search = self.search.search_best_first if self.best_first else self.search.search
            return search(prefix, constraint(torch.arange(len(group))), k, self.width)

        return _in_groups(questions, k, best)

    def rank_candidates(self, questions: Questions, candidates_BC: IntArray, k: int) -> Rankings:
        """The best `k` of the candidates of each question, always best first."""
        return _in_groups(questions, k, lambda prefix, group: self._among(prefix, candidates_BC[group], k))

    def log_likelihood(self, questions: Questions, candidates_BC: IntArray) -> FloatArray:
        """log p(item | question) (B, C) of the candidates, by a search that goes through their trie to the end."""
        found = self.rank_candidates(questions, candidates_BC, candidates_BC.shape[1])
        # Both by item, padding first: places of equal rank belong together.
        order_BC, place_BC = np.argsort(candidates_BC, axis=1), np.argsort(found.items_BK, axis=1)
        scores_BC = np.empty(candidates_BC.shape, np.float32)
        np.put_along_axis(scores_BC, order_BC, np.take_along_axis(found.scores_BK, place_BC, 1), 1)
        return scores_BC

    @torch.inference_mode()
    def write_list(self, questions: Questions, candidates_BC: IntArray, k: int) -> IntArray:
        """A list (B, k) of the candidates, written one after another, none twice. Questions are read once."""
        written_Bk = np.full((len(candidates_BC), k), -1, np.int32)
        for group in _of_like_length(questions.lengths):
            cache = SearchCache(self.backbone, questions.prefix(group))
            left_BC = candidates_BC[group]
            for place in range(min(k, left_BC.shape[1])):
                if place:
                    cache.follow(*self._written(written_Bk[group, place - 1]))
                found_B = self._among(cache.fork(), left_BC, 1).item_Bk[:, 0].cpu().numpy()
                if (found_B < 0).all():  # nobody has candidates left
                    break
                written_Bk[group, place] = found_B
                left_BC[left_BC == found_B[:, None]] = -1
        return written_Bk

    def decisions(self, states_LD: Tensor, item: int) -> list[tuple[list[int], float]]:
        """The tokens of an item's code up to each decision, and the probability of that choice among the children.

        Args:
            states_LD: the states from which each token of the code is predicted.
            item: it is written.
        """
        trie, pieces = self.trie, list[tuple[list[int], float]]()
        path = zip(trie.codes[item].tolist(), trie.paths[item].tolist(), strict=True)
        for place, (token, node) in enumerate(path):
            parent = int(trie.parent_N[node])
            first, last = trie.first_child_N1[parent], trie.first_child_N1[parent + 1]
            if pieces and (node == 0 or last - first == 1):  # the item's tail, or a forced token
                pieces[-1][0].append(token)
                continue
            nodes_C = torch.arange(int(first), int(last), device=device())
            vectors_CD = self.backbone.edge_vectors(self.tensors.token_N[nodes_C], nodes_C)
            chance_C = torch.softmax((vectors_CD.to(states_LD.dtype) @ states_LD[place]).float(), dim=0)
            pieces.append(([token], float(chance_C[node - int(first)])))
        return pieces

    def _among(self, prefix: Prefix | SearchCache, candidates_BC: IntArray, k: int) -> Found:
        """The best `k` candidates of some questions."""
        offered = Histories.from_lists([row[row >= 0] for row in candidates_BC])
        constraint = Constraint(self.tensors).offering(offered)
        return self.search.search_best_first(prefix, constraint, k, self.width)

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


def _of_like_length(lengths: Sequence[int]) -> list[IntArray]:
    """The rows in groups of about the same length, so that few tokens are padding."""
    steps = np.ceil(np.log2(np.array(lengths) + 16) * 3).astype(int)  # a step is a quarter of the length
    return [np.flatnonzero(steps == step) for step in np.unique(steps)]


def _in_groups(questions: Questions, k: int, best: Callable[[Prefix, IntArray], Found]) -> Rankings:
    """The lists that `best` finds for questions of like length, which it is given with their rows."""
    found = Found.nothing(len(questions.lengths), k, device())
    for group in _of_like_length(questions.lengths):
        found.put(torch.from_numpy(group).to(device()), best(questions.prefix(group), group))
    return Rankings(
        found.item_Bk.cpu().numpy().astype(np.int32),
        found.score_Bk.float().cpu().numpy(),
        found.exact_B.cpu().numpy(),
    )
