"""Cases of the search with an item model beside them, whose masses are added up item by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from genrec.data.interactions import IntArray
from genrec.decoding.prior import LEAST, Prior
from random_tries import Case
from torch import Tensor


@dataclass
class Weighed:
    """A case and an item model's logits for its users, by item."""

    case: Case
    logits_BI: Tensor
    weight: float
    temperature: float

    def prior(self, rows: IntArray | None = None) -> Prior:
        logits_BI = self.logits_BI if rows is None else self.logits_BI[torch.from_numpy(rows)]
        trie = self.case.tensors
        return Prior.of_logits(
            trie, logits_BI[:, trie.item_of_leaf_I], weight=self.weight, temperature=self.temperature
        )

    @property
    def mass_BN(self) -> Tensor:
        """What the items below each node add up to."""
        chance_BI = self.logits_BI.double().softmax(1) + LEAST
        mass_BN = torch.zeros(len(chance_BI), self.case.trie.num_nodes, dtype=torch.float64)
        for item, path in enumerate(self.case.trie.paths):
            mass_BN[:, np.unique([0, *path])] += chance_BI[:, [item]]  # 0, the root, also stands for a tail
        return mass_BN

    def log_p_BI(self, mass_BN: Tensor | None = None) -> Tensor:
        """log p(item | history) by brute force, with these masses in place of its own."""
        offset_BN = self.weight * (self.mass_BN if mass_BN is None else mass_BN).log().float()
        return self.case.log_probabilities("children", offset_BN, self.temperature)


def weighed(case: Case, seed: int, spread: float, weight: float = 1.0, temperature: float = 1.0) -> Weighed:
    torch.manual_seed(seed)
    return Weighed(
        case, spread * torch.randn(len(case.prefix.length_B), len(case.codes)), weight, temperature
    )
