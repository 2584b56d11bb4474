"""Searches that keep to a few candidates of each user: their likelihoods, or a list that is written from them.

Shape suffixes: B users, C candidates (-1 where there are fewer), k items wanted.
"""

from __future__ import annotations

import numpy as np
import torch

from genrec.backbones.hardware import device
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch
from genrec.decoding.constraint import Constraint
from genrec.decoding.frontier import Found
from genrec.recommenders.decoder_writer import Rows
from genrec.recommenders.name_writer import as_rankings, of_like_length
from genrec.training.list_examples import ListWriter


class CandidateSearch:
    """One model's search over the tries of candidates."""

    def __init__(self, search: BeamSearch, width: int) -> None:
        """`width`: of the beam that goes on where best first search takes very many steps."""
        self.search, self.width = search, width

    def best(self, questions: Rows, candidates_BC: IntArray, k: int) -> Rankings:
        """The best `k` of each user's candidates."""
        mask = Constraint(self.search.trie)
        found = Found.nothing(len(candidates_BC), k, device())
        for group in of_like_length(questions.lengths):
            offered = Histories.from_lists([row[row >= 0] for row in candidates_BC[group]])
            lists = self.search.search_best_first(
                questions.prefix(group), mask.offering(offered), k, self.width
            )
            found.put(torch.from_numpy(group).to(device()), lists)
        return as_rankings(found)

    def log_likelihood(self, questions: Rows, candidates_BC: IntArray) -> FloatArray:
        """log p(item | question) (B, C) of the candidates, by a search that goes through their trie to the end."""
        found = self.best(questions, candidates_BC, candidates_BC.shape[1])
        # Both by item, padding first: places of equal rank belong together.
        order_BC, place_BC = np.argsort(candidates_BC, axis=1), np.argsort(found.items_BK, axis=1)
        scores_BC = np.empty(candidates_BC.shape, np.float32)
        np.put_along_axis(scores_BC, order_BC, np.take_along_axis(found.scores_BK, place_BC, 1), 1)
        return scores_BC

    def written(self, questions: Rows, candidates_BC: IntArray, k: int, writer: ListWriter) -> IntArray:
        """A list (B, k) of the candidates, written one after another, none twice."""
        rows = [row for row, _ in questions.rows]
        left_BC, written_Bk = candidates_BC.copy(), np.full((len(rows), k), -1, np.int32)
        for place in range(k):
            best_B = self.best(Rows([(row, len(row.tokens_T)) for row in rows]), left_BC, 1).items_BK[:, 0]
            written_Bk[:, place] = best_B
            left_BC[left_BC == best_B[:, None]] = -1
            rows = [
                writer.followed(row, np.array([item] if item >= 0 else [], np.int32))
                for row, item in zip(rows, best_B.tolist(), strict=True)
            ]
        return written_Bk
