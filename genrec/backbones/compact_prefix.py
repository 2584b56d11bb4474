"""The compact prefix language model: one small Llama that reads a source both ways and writes answers after it.

Notable features
- One stack does both (GLM, Du et al. 2022, https://arxiv.org/abs/2103.10360): tokens of the source see as much of it as
  they are told to, those of an answer see the source and what stands before them.
- Two-dimensional positions: the *inter-position* is a token's place in the source (of an answer's tokens that of the
  mask they fill), the *intra-position* its place in an entity or in the answer. Each has a learnt table that is added
  to the embedding (RecSysLLM, Chu et al. 2023, https://arxiv.org/abs/2308.10837). Rotary inter-positions
  may stand beside them, which tell distances and need not be learnt.

A pair of positions is one number, inter x `INTRA` + intra: whoever writes an answer on adds 1 and need not know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genrec.backbones.cache import GrowingCache
from genrec.backbones.compact import CompactBackbone, look_up
from genrec.backbones.seq2seq import Seq2SeqBackbone

INTRA = 1024  # intra-positions that there are; 0 is for tokens of a source that belong to no entity


def both_positions(positions_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Inter-positions and intra-positions, each (B, T)."""
    return positions_BT // INTRA, positions_BT % INTRA


def placed(embedded_BTD: Tensor, vectors: nn.Embedding, positions_BT: Tensor) -> Tensor:
    """Embeddings with the vectors of both positions added; the last `INTRA` rows are those of intra-positions."""
    inter_BT, intra_BT = both_positions(positions_BT)
    table_VD = vectors.weight.to(embedded_BTD.dtype)
    num_inter = len(table_VD) - INTRA
    return embedded_BTD + look_up(table_VD, inter_BT) + look_up(table_VD, num_inter + intra_BT)


def within(reach_BT: Tensor) -> Tensor:
    """The mask (B, T, T) of tokens that each see so many of their row, counted from the first."""
    return torch.arange(reach_BT.shape[1], device=reach_BT.device) < reach_BT[:, :, None]


class CompactPrefixBackbone(Seq2SeqBackbone, CompactBackbone):
    """A Llama of `depth` layers with bidirectional attention in the source and two-dimensional positions."""

    word_vectors = None

    def __init__(
        self,
        vocab_size: int,
        *,
        depth: int = 2,
        width: int | None = None,
        dropout: float = 0.2,
        num_nodes: int = 0,
        start_token: int = 0,
        max_positions: int = 1024,
        tables: bool = True,
        rotary: bool = True,
    ) -> None:
        """A backbone with fresh weights.

        Args:
            vocab_size, depth, width, dropout, num_nodes: as in the compact decoder.
            start_token: what stands before an answer.
            max_positions: inter-positions that there are.
            tables: learnt vectors of both positions.
            rotary: rotary positions; of the inter-position beside the tables, of both added up without them.
        """
        super().__init__(
            vocab_size,
            depth=depth,
            width=width,
            dropout=dropout,
            num_nodes=num_nodes,
            max_positions=max_positions,
        )
        self.arguments |= {"start_token": start_token, "tables": tables, "rotary": rotary}
        self.start_token, self.rotary = start_token, rotary
        size = self.lm.config.hidden_size
        self.position_vectors = nn.Embedding(max_positions + INTRA, size) if tables else None
        if self.position_vectors is not None:
            nn.init.normal_(self.position_vectors.weight, std=0.02)

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        inter_BT, intra_BT = both_positions(positions_BT)
        embedded_BTD = self.edge_vectors(tokens_BT, nodes_BT)
        if self.position_vectors is not None:
            embedded_BTD = placed(embedded_BTD, self.position_vectors, positions_BT)
        turned_BT = inter_BT if self.position_vectors is not None else inter_BT + intra_BT
        states: Tensor = self.lm.model(
            inputs_embeds=self.dropout(embedded_BTD),
            attention_mask=None if mask_BTK is None else self.additive(mask_BTK, embedded_BTD.dtype),
            position_ids=turned_BT if self.rotary else torch.zeros_like(turned_BT),
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return states

    def take_in(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> tuple[GrowingCache, int]:
        cache = self.new_cache()
        self.hidden(tokens_BT, nodes_BT, positions_BT, within(reach_BT), cache)
        return cache, tokens_BT.shape[1]

    def see(self, cache: GrowingCache, reach_BL: Tensor) -> None:
        """The mask of `hidden` covers the source's keys, so there is nothing to tell."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.position_vectors is not None:
            weights = {"position_vectors": self.position_vectors.weight.data}
            save_file(weights, folder / "position_vectors.safetensors")

    @classmethod
    def load(cls, folder: Path) -> CompactPrefixBackbone:
        """Read what `save` wrote."""
        backbone = cls(**json.loads((folder / "compact.json").read_text()))
        backbone.read_decoder(folder)
        if backbone.position_vectors is not None:
            weights = load_file(folder / "position_vectors.safetensors")
            backbone.position_vectors.weight.data = weights["position_vectors"]
        return backbone
