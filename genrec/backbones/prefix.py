"""Prefix language models: one stack reads a source both ways and writes answers after it, in two-dimensional positions.

Notable features
- Tokens of the source see as much of it as they are told to, those of an answer see the source and what stands before
  them (GLM, Du et al. 2022, https://arxiv.org/abs/2103.10360): the attention mask does it, so any decoder can be one.
- Two-dimensional positions: the *inter-position* is a token's place in the source (of an answer's tokens that of the
  mask they fill), the *intra-position* its place in an entity or in the answer. Each has a learnt table that is added
  to the embedding (RecSysLLM, Chu et al. 2023, https://arxiv.org/abs/2308.10837). The tables begin at zero: positions
  that training seldom sees must not blur the words that stand there.
- The decoder's own positions stay beside the tables. They are places in the source and count on from the mask through
  an answer: a small model that is told by the tables alone where it is writes a word again and again.

A pair of positions is one number, inter x `INTRA` + intra: whoever writes an answer on adds 1 and need not know.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from genrec.backbones.base import look_up
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.data.files import read_safetensors

if TYPE_CHECKING:
    from genrec.backbones.cache import GrowingCache

INTRA = 1024  # intra-positions that there are; 0 is for tokens of a source that belong to no entity

_VECTORS = "position_vectors.safetensors"


def position_tables(num_inter: int, width: int) -> nn.Embedding:
    """Vectors of so many inter-positions and, in the last `INTRA` rows, of all intra-positions; zeros."""
    tables = nn.Embedding(num_inter + INTRA, width)
    nn.init.zeros_(tables.weight)
    return tables


class PrefixBackbone(Seq2SeqBackbone):
    """A decoder with bidirectional attention in the source and tables of both positions."""

    word_vectors = None
    position_vectors: nn.Embedding | None

    @abstractmethod
    def states(
        self,
        embedded_BTD: Tensor,
        places_BT: Tensor,
        mask_BTK: Tensor | None,
        cache: Any,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        """States (B, T, D) after the last layer; `places_BT` are the positions that the decoder itself is told."""

    @abstractmethod
    def embedded(self, tokens_BT: Tensor, nodes_BT: Tensor) -> Tensor:
        """Embeddings (B, T, D) of tokens and of the nodes that they write, without positions."""

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        # The first token of an answer is the next one after its mask.
        inter_BT, intra_BT = _both_positions(positions_BT)
        embedded_BTD = self._placed(self.embedded(tokens_BT, nodes_BT), inter_BT, intra_BT)
        return self.states(embedded_BTD, inter_BT + intra_BT, mask_BTK, cache, real_BT)

    def prefill_source(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> tuple[GrowingCache, int]:
        inter_BT, intra_BT = _both_positions(positions_BT)
        embedded_BTD = self._placed(self.embedded(tokens_BT, nodes_BT), inter_BT, intra_BT)
        within_BTT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device) < reach_BT[:, :, None]
        cache = self.new_cache()
        self.states(embedded_BTD, inter_BT, within_BTT, cache)
        return cache, tokens_BT.shape[1]

    def see(self, cache: GrowingCache, reach_BL: Tensor) -> None:
        """The mask of `hidden` covers the source's keys, so there is nothing to tell."""

    def save_tables(self, folder: Path) -> None:
        """Write the tables, where there are any."""
        if self.position_vectors is not None:
            save_file({"position_vectors": self.position_vectors.weight.data}, folder / _VECTORS)

    def read_tables(self, folder: Path) -> None:
        """Take the tables that `save_tables` wrote, where there are any."""
        if self.position_vectors is not None:
            arrays = read_safetensors(folder / _VECTORS, ["position_vectors"], framework="pt")
            self.position_vectors.weight.data = arrays["position_vectors"]

    def _placed(self, embedded_BTD: Tensor, inter_BT: Tensor, intra_BT: Tensor) -> Tensor:
        """Embeddings with the vectors of both positions added."""
        if self.position_vectors is None:
            return embedded_BTD
        table_VD = self.position_vectors.weight.to(embedded_BTD.dtype)
        num_inter = len(table_VD) - INTRA
        return embedded_BTD + look_up(table_VD, inter_BT) + look_up(table_VD, num_inter + intra_BT)


def _both_positions(positions_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Inter-positions and intra-positions, each (B, T)."""
    return positions_BT // INTRA, positions_BT % INTRA
