"""The prior of a single model whose scores are products of a state and the vectors of items, at its full speed.

With a million items the product itself takes most of the time there is. So the vectors stand in the order of the trie's
leaves, with the weight of the score in them, and what is as large as the catalogue is written once a user, into memory
that was used before.

Shape suffixes: B users, P a part of them, I items in the order of the leaves, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.data.interactions import FloatArray, Histories
from genrec.decoding.constraint import TrieTensors
from genrec.decoding.prior import Memory, Prior
from genrec.recommenders.language.weights import WORST
from genrec.recommenders.sasrec import SASRec


@dataclass(frozen=True)
class Products:
    """A model, the vectors (I, D) that its states are multiplied with, and what is added to that (I,), if anything."""

    model: SASRec
    trie: TrieTensors
    vectors_ID: Tensor
    bias_I: Tensor | None

    @cached_property
    def finite(self) -> bool:
        """Whether all vectors are numbers."""
        return bool(self.vectors_ID.isfinite().all())

    @classmethod
    @torch.inference_mode()
    def of(cls, model: SASRec, trie: TrieTensors, weight_I: FloatArray, bias_I: FloatArray) -> Products:
        """The products of a fitted model.

        Args:
            model: its states and vectors.
            trie: codes of the same catalogue.
            weight_I: of the score of each item, by item.
            bias_I: what is added to it, by item.
        """

        def in_order(array_I: FloatArray) -> Tensor:
            return torch.from_numpy(array_I.astype(np.float32)).to(device())[trie.item_of_leaf_I]

        vectors_ID = model.network_.vectors.table()[trie.item_of_leaf_I]
        vectors_ID *= in_order(weight_I)[:, None]
        return cls(model, trie, vectors_ID, in_order(bias_I) if bias_I.any() else None)

    @torch.inference_mode()
    def prior(self, histories: Histories, exclude_seen: bool, memory: Memory) -> Prior | None:
        """What is expected of histories; None where one has no state, or the model knows no numbers.

        Args:
            histories: of B users.
            exclude_seen: items of the history are not expected.
            memory: that the prior is laid out in.
        """
        if not histories.lengths.all():  # who has no history is offered what is popular
            return None
        states_BD = self.model.states(histories)
        if not (self.finite and bool(states_BD.isfinite().all())):
            return None
        leaf_S = torch.from_numpy(self.trie.leaf_of_item_I[histories.items].astype(np.int64)).to(device())
        first_B1 = histories.offsets - histories.offsets[0]

        def change(logits_PI: Tensor, part: slice) -> None:
            if self.bias_I is not None:
                logits_PI += self.bias_I
            if exclude_seen:
                lengths = histories.lengths[part]
                row_S = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)).to(device())
                logits_PI[row_S, leaf_S[first_B1[part.start] : first_B1[part.stop]]] = float(WORST)

        return Prior.of_states(self.trie, states_BD, self.vectors_ID, memory=memory, change=change)
