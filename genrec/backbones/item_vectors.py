"""Vectors of items, each put together from one of its own and from those of its words.

What an item shares with others, the words of its title and attributes, is learned from all of them; only the rest has
to be learned from the item itself. The same vectors are read (as a history) and predicted (as what comes next), as in
SASRec, and an item that came after the training is known by its words.

Shape suffixes: I items, N some of them, W words, E words of all items side by side, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from genrec.backbones.base import twin
from genrec.backbones.dropout import Dropout
from genrec.data.interactions import FloatArray, Histories


@dataclass(frozen=True)
class Bags:
    """The words of each item: `words[i]` are those of item i, by number, and `weights` (E,) stand beside them."""

    words: Histories
    weights: FloatArray
    num_words: int

    @classmethod
    def none(cls, num_items: int) -> Bags:
        """Items without words."""
        nothing, offsets = np.zeros(0, np.int32), np.zeros(num_items + 1, np.int64)
        return cls(Histories(nothing, offsets), np.zeros(0, np.float32), 0)

    @classmethod
    def of_lists(cls, rows: Sequence[Sequence[int]], num_words: int) -> Bags:
        """`of` the words of each row."""
        return cls.of(Histories.from_lists(rows), num_words)

    @classmethod
    def of(cls, words: Histories, num_words: int) -> Bags:
        """Bags of the words of each list, each of weight 1 / √(words of the list), so that all are as long."""
        lengths = words.lengths
        weights = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
        return cls(words, weights.astype(np.float32), num_words)

    @classmethod
    def joined(cls, parts: Sequence[Bags]) -> Bags:
        """The words of several kinds side by side, numbered kind by kind."""
        first = np.cumsum([0, *(part.num_words for part in parts)])
        lengths_I = np.sum([part.words.lengths for part in parts], axis=0)
        offsets_I1 = np.concatenate([[0], np.cumsum(lengths_I)])
        words, weights = np.zeros(offsets_I1[-1], np.int32), np.zeros(offsets_I1[-1], np.float32)
        place_I = offsets_I1[:-1].copy()
        for part, start in zip(parts, first.tolist(), strict=False):
            lengths = part.words.lengths
            within = np.arange(len(part.words.items)) - np.repeat(part.words.offsets[:-1], lengths)
            places = np.repeat(place_I, lengths) + within
            words[places], weights[places] = part.words.items + start, part.weights
            place_I += lengths
        return cls(Histories(words, offsets_I1), weights, int(first[-1]))


class ItemVectors(nn.Module):
    """A vector for each item: its own plus the weighted sum of those of its words.

    `word_E`, `weight_E`: the words of all items side by side; `first_I1`: where those of each begin.

    In training, own vectors are left out for a share of the items of each step, so that the words learn to do without
    them: an item that was never trained has nothing else.
    """

    word_E: Tensor
    weight_E: Tensor
    first_I1: Tensor

    def __init__(
        self, bags: Bags, width: int, std: float, *, own: bool = True, own_dropout: float = 0.0
    ) -> None:
        """Fresh vectors.

        Args:
            bags: the words of each item.
            width: D.
            std: standard deviation of an item's vector at the start. With words, own vectors start at nought.
            own: whether items have vectors of their own; False: they are their words alone.
            own_dropout: share of the items whose own vectors are left out in a step of the training.
        """
        super().__init__()
        self.own = nn.Parameter(torch.empty(len(bags.words) if own else 0, width))
        self.words = nn.Parameter(torch.empty(bags.num_words, width))
        self.own_dropout = Dropout(own_dropout)
        self.use(bags)
        self.draw(std)

    def use(self, bags: Bags) -> None:
        """Take these as the words of the items."""
        self._table: tuple[Any, Tensor] | None = None
        # The squared weights of an item's words add up to its kinds of words: each kind gets an equal part of `std`.
        self._num_kinds = float(np.square(bags.weights).sum()) / max(1, len(bags.words))
        self.num_items = len(bags.words)
        parts = (bags.words.items.astype(np.int64), bags.words.offsets.astype(np.int64), bags.weights)
        for name, part in zip(("word_E", "first_I1", "weight_E"), parts, strict=True):
            self.register_buffer(name, torch.from_numpy(part).to(self.own.device), persistent=False)

    def draw(self, std: float) -> None:
        """Fresh vectors of that standard deviation; own ones start at nought where there are words."""
        if not len(self.words):
            nn.init.normal_(self.own, std=std)
            return
        nn.init.zeros_(self.own)
        nn.init.normal_(self.words, std=std / math.sqrt(max(self._num_kinds, 1.0)))

    def train(self, mode: bool = True) -> Self:
        self._table = (
            None  # a checkpoint that was loaded in between does not show in the versions of the weights
        )
        return super().train(mode)

    def forward(self, items_N: Tensor) -> Tensor:
        """The vectors (N, D) of these items."""
        return self._of(items_N)

    def _of(self, items_N: Tensor) -> Tensor:
        if not len(self.words):
            own_ND: Tensor = F.embedding(items_N, self.own)
            return own_ND
        count_N = self.first_I1[items_N + 1] - self.first_I1[items_N]
        first_N = count_N.cumsum(0) - count_N
        place_E = torch.repeat_interleave(self.first_I1[items_N] - first_N, count_N)
        place_E += torch.arange(len(place_E), device=place_E.device)
        words_ND: Tensor = F.embedding_bag(
            self.word_E[place_E], self.words, first_N, mode="sum", per_sample_weights=self.weight_E[place_E]
        )
        if not len(self.own):
            return words_ND
        left_N1: Tensor = self.own_dropout(words_ND.new_ones(len(items_N), 1))
        return words_ND + left_N1 * F.embedding(items_N, self.own)

    def table(self) -> Tensor:
        """The vectors (I, D) of all items."""
        if not len(self.words):
            own_ID: Tensor = self.own
            return own_ID
        everything_I = torch.arange(self.num_items, device=self.own.device)
        if self.training or torch.is_grad_enabled():
            return self._of(everything_I)
        # Put together once: many batches of users are ranked by the same vectors.
        state = (self.own._version, self.words._version, self.own.device)
        if self._table is None or self._table[0] != state:
            self._table = state, self._of(everything_I)
        return self._table[1]

    @torch.no_grad()
    def begin_at(self, other: ItemVectors, items: tuple[Any, Any], words: tuple[Any, Any]) -> None:
        """Take over vectors that another module has learnt; what it does not know stays as it was drawn.

        Args:
            other: of the same width.
            items: rows here and there of the items that both know, (N,) each.
            words: the same of their words.
        """
        for mine, theirs, rows in ((self.own, other.own, items), (self.words, other.words, words)):
            if len(mine) and len(theirs):
                here, there = (torch.as_tensor(part, device=mine.device) for part in rows)
                mine[here] = theirs.to(mine.device)[there]

    def grown(self, bags: Bags, words: Tensor | None = None) -> ItemVectors:
        """These for an edited catalogue, whose further items are their words, as those that were never trained are.

        Without words they have the mean of the trained items' vectors.

        Args:
            bags: the words of the trained items, as they are now, and then those of further items.
            words: the vectors of the words (W, D) from now on; None: as they are.
        """
        num_new, own_ID = len(bags.words) - self.num_items, self.own.detach()
        other = twin(self)
        if len(own_ID):
            new_D = own_ID.new_zeros(own_ID.shape[1]) if len(self.words) else own_ID.mean(dim=0)
            other.own = nn.Parameter(torch.cat([own_ID, new_D.expand(num_new, -1)]))
        if words is not None:
            other.words = nn.Parameter(words)
        other.use(bags)
        return other
