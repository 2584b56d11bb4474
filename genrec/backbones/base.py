"""What a backbone is to the rest of the package: tokens in, hidden states out, and output vectors for edges.

Shape suffixes: B rows, T tokens, K keys (cached and new), D width, V vocabulary, E edges of the trie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A decoder-only language model behind the three calls that training and decoding need.

    `max_positions`: largest position + 1 that it can tell apart from others.
    """

    max_positions: int

    @abstractmethod
    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        """Hidden states (B, T, D) after the last layer's norm.

        Args:
            tokens_BT: token ids; rows are padded on the right.
            nodes_BT: trie node that each token writes, 0 for words of a prompt and padding.
            positions_BT: position of each token, from 0; need not be consecutive.
            mask_BTK: True where a token may look; None: everything up to itself (padding on the right is then out
                of reach by itself), which is for an empty cache or none.
            cache: a `new_cache()` that holds keys and values of earlier calls and takes these; None: no cache.
        """

    def forward(self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor) -> Tensor:
        """`hidden` without mask and cache: what training wraps for mixed precision and distribution."""
        return self.hidden(tokens_BT, nodes_BT, positions_BT)

    @abstractmethod
    def new_cache(self) -> Any:
        """An empty store of keys and values."""

    @abstractmethod
    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        """Output vectors (E, D) of trie edges; an edge's logit is their product with the hidden state."""

    @abstractmethod
    def vocabulary_vectors(self) -> Tensor:
        """Output vectors (V, D) of the whole vocabulary."""

    @staticmethod
    def keep_rows(cache: Any, rows_R: Tensor) -> None:
        """Forget the keys and values of all rows but these."""
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[rows_R], layer.values[rows_R]

    @staticmethod
    def keep_keys(cache: Any, columns_BK: Tensor) -> None:
        """Forget all keys and values but those at columns_BK of each row, which come to stand in that order."""
        index_BHKD = columns_BK[:, None, :, None]
        for layer in cache.layers:
            shape = (-1, layer.keys.shape[1], -1, layer.keys.shape[3])
            layer.keys = layer.keys.gather(2, index_BHKD.expand(shape))
            layer.values = layer.values.gather(2, index_BHKD.expand(shape))

    @staticmethod
    def additive(mask_BTK: Tensor, dtype: torch.dtype) -> Tensor:
        """A mask as (B, 1, T, K) numbers to add to attention scores, made once instead of in every layer."""
        return torch.zeros(mask_BTK.shape, dtype=dtype, device=mask_BTK.device).masked_fill_(
            ~mask_BTK, -torch.inf
        )[:, None]

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and configuration to `folder`."""
