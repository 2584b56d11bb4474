"""What is added to the score of each item, whatever the history: along the trie, so that lists stay exact.

A language model finds some titles likely whoever is asked: short ones, and those that it has often read. Where its
probability of a title without a history is taken off,

    log p(item | history) - weight x log p(item),

a list is by how much a history speaks for an item; with weight 1 that is the pointwise mutual information of the two
(Holtzman et al. 2021, "Surface Form Competition", https://arxiv.org/abs/2104.08315, as PMI_DC, whose premise is here a
question without a history).

The search bounds what lies below a prefix by the prefix's own score. So a prefix is given the largest offset of the
items below it: no item below can score more, the bound only falls on the way down, and at an item it is the item's own
score. That bound is loose, as some title below is always unlikely. Which prefixes are tried first goes by another
number: what the best item below would score if the history spoke for everything below alike.

Shape suffixes: I items, N nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genrec.codes.trie import Trie
from genrec.data.interactions import FloatArray


@dataclass(frozen=True)
class Offsets:
    """Offsets along a trie, float32.

    `most_N`: the largest offset of the items below each node. `lead_N`: what is added to the score of a prefix, where
    it waits beside others, to say which is tried first. `log_p_I`: what they were made of.
    """

    most_N: Tensor
    lead_N: Tensor
    log_p_I: FloatArray

    @classmethod
    def against(
        cls, trie: Trie, log_p_I: FloatArray, weight: float, device: torch.device | str = "cpu"
    ) -> Offsets:
        """The offsets `-weight * log_p_I`.

        Args:
            trie: codes of the catalogue.
            log_p_I: log-probability of each item without a history.
            weight: from 0 to 1.
            device: where they are kept.
        """

        def below(reduce: np.ufunc, nothing: float) -> FloatArray:
            """What the items below each node come to; (N,)."""
            by_leaf = np.append(log_p_I[trie.item_of_leaf_I].astype(np.float64), nothing)
            ends_N2 = np.stack([trie.first_leaf_N, trie.last_leaf_N], axis=1)
            found_N: FloatArray = reduce.reduceat(by_leaf, ends_N2.ravel())[::2]
            return found_N

        most_N = -weight * below(np.minimum, np.inf)
        # Where p(item below | history) is what it is without one, but for the prefix.
        guess_N = (1 - weight) * below(np.maximum, -np.inf) - below(np.logaddexp, -np.inf)
        lead_N = guess_N - most_N
        most, lead = (torch.from_numpy(part.astype(np.float32)).to(device) for part in (most_N, lead_N))
        return cls(most, lead, log_p_I)
