"""Searches that keep to a few candidates of each user: their likelihoods, or a list that is written from them.

Shape suffixes: B users, C candidates (-1 where there are fewer), k items wanted.
"""

from __future__ import annotations

import numpy as np
import torch

from genrec.backbones.base import Prefix
from genrec.backbones.hardware import device
from genrec.codes.trie import Trie
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch
from genrec.decoding.constraint import Constraint
from genrec.decoding.frontier import Found
from genrec.decoding.memory import Memory
from genrec.recommenders.language.decoder import Rows
from genrec.recommenders.language.generative import as_rankings, of_like_length


class CandidateSearch:
    """One model's search over the tries of candidates."""

    def __init__(self, search: BeamSearch, width: int) -> None:
        """`width`: of the beam that goes on where best first search takes very many steps."""
        self.search, self.width = search, width

    def best(self, questions: Rows, candidates_BC: IntArray, k: int) -> Rankings:
        """The best `k` of each user's candidates."""
        found = Found.nothing(len(candidates_BC), k, device())
        for group in of_like_length(questions.lengths):
            lists = self._among(questions.prefix(group), candidates_BC[group], k)
            found.put(torch.from_numpy(group).to(device()), lists)
        return as_rankings(found)

    def _among(self, prefix: Prefix | Memory, candidates_BC: IntArray, k: int) -> Found:
        """The best `k` candidates of some users."""
        offered = Histories.from_lists([row[row >= 0] for row in candidates_BC])
        constraint = Constraint(self.search.trie).offering(offered)
        return self.search.search_best_first(prefix, constraint, k, self.width)

    def log_likelihood(self, questions: Rows, candidates_BC: IntArray) -> FloatArray:
        """log p(item | question) (B, C) of the candidates, by a search that goes through their trie to the end."""
        found = self.best(questions, candidates_BC, candidates_BC.shape[1])
        # Both by item, padding first: places of equal rank belong together.
        order_BC, place_BC = np.argsort(candidates_BC, axis=1), np.argsort(found.items_BK, axis=1)
        scores_BC = np.empty(candidates_BC.shape, np.float32)
        np.put_along_axis(scores_BC, order_BC, np.take_along_axis(found.scores_BK, place_BC, 1), 1)
        return scores_BC

    @torch.inference_mode()
    def written(self, questions: Rows, candidates_BC: IntArray, k: int, trie: Trie) -> IntArray:
        """A list (B, k) of the candidates, written one after another, none twice. Questions are read once."""
        written_Bk = np.full((len(candidates_BC), k), -1, np.int32)
        for group in of_like_length(questions.lengths):
            memory = Memory(self.search.backbone, questions.prefix(group))
            left_BC = candidates_BC[group]
            for place in range(min(k, left_BC.shape[1])):
                if place:
                    answers = _answers(trie, written_Bk[group, place - 1])
                    memory.follow(*(torch.from_numpy(array).to(device()) for array in answers))
                found_B = self._among(memory.fork(), left_BC, 1).item_Bk[:, 0].cpu().numpy()
                if (found_B < 0).all():  # nobody has candidates left
                    break
                written_Bk[group, place] = found_B
                left_BC[left_BC == found_B[:, None]] = -1
        return written_Bk


def _answers(trie: Trie, items_B: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Tokens and nodes (B, L) of an item each, padded on the right, and how many they are (B,); none of item -1."""
    there_B = items_B >= 0
    length_B = np.where(there_B, trie.codes.lengths[items_B], 0)
    real_BL = np.arange(length_B.max(initial=0)) < length_B[:, None]
    token_BL, node_BL = np.zeros(real_BL.shape, np.int64), np.zeros(real_BL.shape, np.int64)
    token_BL[real_BL] = trie.codes.take(items_B[there_B]).items
    node_BL[real_BL] = trie.paths.take(items_B[there_B]).items
    return token_BL, node_BL, length_B
