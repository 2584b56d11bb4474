"""The compact prefix language model: one small Llama that reads a source both ways and writes answers after it.

How is told in `prefix.py`; its weights and its dial are those of the compact decoder.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genrec.backbones.compact import CompactBackbone
from genrec.backbones.prefix import PrefixBackbone, position_tables


class CompactPrefixBackbone(PrefixBackbone, CompactBackbone):
    """A Llama of `depth` layers with bidirectional attention in the source and two-dimensional positions."""

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
    ) -> None:
        """A backbone with fresh weights.

        Args:
            vocab_size, depth, width, dropout, num_nodes: as in the compact decoder.
            start_token: what stands before an answer.
            max_positions: inter-positions that there are.
            tables: learnt vectors of both positions, beside the rotary ones that a Llama has.
        """
        super().__init__(
            vocab_size,
            depth=depth,
            width=width,
            dropout=dropout,
            num_nodes=num_nodes,
            max_positions=max_positions,
        )
        self.arguments |= {"start_token": start_token, "tables": tables}
        self.start_token = start_token
        self.position_vectors = position_tables(max_positions, self.lm.config.hidden_size) if tables else None

    states = CompactBackbone.states

    def embedded(self, tokens_BT: Tensor, nodes_BT: Tensor) -> Tensor:
        return self.edge_vectors(tokens_BT, nodes_BT)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.save_tables(folder)

    @classmethod
    def load(cls, folder: Path) -> CompactPrefixBackbone:
        """Read what `save` wrote."""
        backbone = cls.built(folder)
        backbone.read_decoder(folder)
        backbone.read_tables(folder)
        return backbone
