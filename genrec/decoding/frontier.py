"""What a search has found and what it may still try: lists, candidates, and the frontier.

Shape suffixes: B users, R rows of the search, E candidates, C candidates of a row (padded), W prefixes of a row that
are tried in a step (padded), k items wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
class Candidates:
    """Candidates, sorted by row.

    row_E; slot_E of the prefix that they extend; node_E that they lead to; score_E; done_E: nothing that follows can
    change the score.
    """

    row_E: Tensor
    slot_E: Tensor
    node_E: Tensor
    score_E: Tensor
    done_E: Tensor

    def take(self, edges: Tensor) -> Candidates:
        """The candidates at `edges`, in that order."""
        parts = (self.row_E, self.slot_E, self.node_E, self.score_E, self.done_E)
        return Candidates(*(part.index_select(0, edges) for part in parts))

    def merge(self, other: Candidates) -> Candidates:
        """These and others."""
        row_E = torch.cat([self.row_E, other.row_E])
        both = Candidates(
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
class Frontier:
    """Prefixes that may still be expanded, a row each user.

    Shape: score_RC (-inf: none), node_RC, the last node of each, and slot_RC, its parent's slot. `lead_N`, by node, is
    added to scores to tell which are the best; None: nothing.
    """

    score_RC: Tensor
    node_RC: Tensor
    slot_RC: Tensor
    lead_N: Tensor | None = None

    def take(self, rows_R: Tensor) -> Frontier:
        """The rows `rows_R`."""
        return Frontier(self.score_RC[rows_R], self.node_RC[rows_R], self.slot_RC[rows_R], self.lead_N)

    def _columns(self, score_RW: Tensor, column_RW: Tensor) -> Frontier:
        """Some of each row, with their scores."""
        return Frontier(
            score_RW, self.node_RC.gather(1, column_RW), self.slot_RC.gather(1, column_RW), self.lead_N
        )

    @property
    def _merit_RC(self) -> Tensor:
        """What the best are chosen by."""
        return self.score_RC if self.lead_N is None else self.score_RC + self.lead_N[self.node_RC]

    def add(self, edges: Candidates) -> Frontier:
        """These and the candidates."""
        score_RC, edge_RC = edges.table(len(self.score_RC))
        return Frontier(
            torch.cat([self.score_RC, score_RC], dim=1),
            torch.cat([self.node_RC, edges.node_E[edge_RC]], dim=1),
            torch.cat([self.slot_RC, edges.slot_E[edge_RC]], dim=1),
            self.lead_N,
        )

    def split(self, count: int) -> tuple[Frontier, Frontier]:
        """The best `count` of each row, best first, and the others."""
        column_RW = self._merit_RC.topk(min(count, self.score_RC.shape[1]), dim=1).indices
        others_RC = self.score_RC.scatter(1, column_RW, -torch.inf)
        best = self._columns(self.score_RC.gather(1, column_RW), column_RW)
        return best, Frontier(others_RC, self.node_RC, self.slot_RC, self.lead_N)

    def shrink(self, most: int, found: Found) -> Frontier:
        """Without what cannot enter the lists any more, and with the best `most` of each row at the most."""
        self.score_RC.masked_fill_(self.score_RC <= found.score_Bk[:, -1:], -torch.inf)
        num_columns = self.score_RC.shape[1]
        count = int((self.score_RC > -torch.inf).sum(dim=1).max())
        if count > most and self.lead_N is not None:
            best, others = self.split(most)
            found.bound_B = torch.maximum(found.bound_B, others.score_RC.amax(1))
            return best
        if count > most:
            score_RW, column_RW = self.score_RC.topk(most + 1, dim=1)
            found.bound_B = torch.maximum(found.bound_B, score_RW[:, most])
            return self._columns(score_RW[:, :most], column_RW[:, :most])
        if 2 * count > num_columns:  # copying the rest would cost more than it saves
            return self
        return self._columns(*self.score_RC.topk(count, dim=1, sorted=False))
