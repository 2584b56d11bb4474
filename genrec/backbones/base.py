"""What a backbone is to the rest of the package: tokens in, hidden states out, and output vectors for edges.

Shape suffixes: B rows, T tokens, K keys (cached and new), D width, V vocabulary, E edges of the trie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_M = TypeVar("_M", bound=nn.Module)


def twin(module: _M) -> _M:
    """A module of the same parameters and parts, of which some can be replaced without a change to `module`."""
    other = copy(module)
    for name in ("_parameters", "_buffers", "_modules"):
        vars(other)[name] = dict(vars(module)[name])
    return other


def look_up(table_VD: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table; on the CPU its gradient is rows too, and not a table of noughts for every look-up."""
    return F.embedding(rows, table_VD, sparse=table_VD.is_cpu)


@dataclass(frozen=True)
class Prefix:
    """Histories as tokens, padded on the right: what is read before the first token of an answer.

    Shape: tokens_BT, nodes_BT, positions_BT as in `Backbone.hidden`; length_B tokens of each row; start_B position of
    the answer's first token. For encoder-decoders also words_BT, the row of the word table whose vector is added to
    the token's (0: none), and reach_BT, how many tokens of its row, from the first, each token sees in the encoder.
    """

    tokens_BT: Tensor
    nodes_BT: Tensor
    positions_BT: Tensor
    length_B: Tensor
    start_B: Tensor
    words_BT: Tensor | None = None
    reach_BT: Tensor | None = None

    def take(self, rows: Tensor) -> Prefix:
        """The prefixes at `rows`."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return Prefix(**{name: value[rows] for name, value in given.items()})


@dataclass(frozen=True)
class Prefilled:
    """The state of a backbone after a prefix has been read: its KV cache and the last hidden state.

    Shape: hidden_BD, the state from which an answer's first token is predicted; visible_BK, the keys of `cache` that
    an answer sees.
    """

    cache: Any
    hidden_BD: Tensor
    visible_BK: Tensor


class NodeModel(nn.Module, ABC):
    """A model whose states predict the children of trie nodes: what the catalogue objective and the search need."""

    @abstractmethod
    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        """Output vectors (E, D) of trie edges; an edge's logit is their product with the hidden state."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and configuration to `folder`."""


class Backbone(NodeModel):
    """A language model over tokens, behind the few calls that training and decoding need.

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
        real_BT: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) after the last layer's norm.

        Args:
            tokens_BT: token ids; rows are padded on the right.
            nodes_BT: trie node that each token writes, 0 for words of a prompt and padding.
            positions_BT: position of each token, from 0; need not be consecutive.
            mask_BTK: True where a token may look; None: everything up to itself (padding on the right is then out
                of reach by itself), which is for an empty cache or none.
            cache: a `new_cache()` that holds keys and values of earlier calls and takes these; None: no cache.
            real_BT: which tokens are no padding, of those in a mask; the states of the others may be anything, and
                need not be computed. None: all are.
        """

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`hidden` of a batch of training: what is wrapped for mixed precision and distribution."""
        return self.hidden(batch["tokens"], batch["nodes"], batch["positions"])

    def prefill(self, prefix: Prefix) -> Prefilled:
        """Read histories before an answer is written."""
        cache, length_B = self.new_cache(), prefix.length_B
        hidden_BTD = self.hidden(prefix.tokens_BT, prefix.nodes_BT, prefix.positions_BT, cache=cache)
        place_T = torch.arange(prefix.tokens_BT.shape[1], device=length_B.device)
        rows_B = torch.arange(len(length_B), device=length_B.device)
        return Prefilled(cache, hidden_BTD[rows_B, length_B - 1], place_T < length_B[:, None])

    @abstractmethod
    def new_cache(self) -> Any:
        """An empty KV cache."""

    @abstractmethod
    def vocabulary_vectors(self) -> Tensor:
        """Output vectors (V, D) of the whole vocabulary."""

    @staticmethod
    def fork(cache: Any) -> Any:
        """A cache with the same keys and values, to which others can be added."""
        other = copy(cache)
        other.layers = [copy(layer) for layer in cache.layers]
        for layer in other.layers:
            # Views of their own are no longer the front of what has room to grow: the next keys go elsewhere.
            layer.keys, layer.values = layer.keys[:], layer.values[:]
        return other

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
