"""T5 and BART layer by layer: the same parts behind the same names, for loops that set masks and positions themselves.

Shape suffixes: B rows, T tokens of a stack, K keys, D width; a stack is the encoder or the decoder of a model.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True)
class Attention:
    """One attention of a layer and what stands around it."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    out: nn.Module
    norm: nn.Module
    norm_first: bool  # T5 normalises what is read, BART what is written
    width: int  # of a head
    scale: float  # of the scores
    dropout: float  # of the attention's weights
    dropout_out: float

    def _heads(self, states_BTD: Tensor) -> Tensor:
        return states_BTD.view(*states_BTD.shape[:2], -1, self.width).transpose(1, 2)

    def keys(self, read_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, heads, T, width)."""
        return self._heads(self.key(read_BTD)), self._heads(self.value(read_BTD))

    def read(self, states_BTD: Tensor) -> Tensor:
        return self.norm(states_BTD) if self.norm_first else states_BTD

    def write(
        self, states_BTD: Tensor, read_BTD: Tensor, keys: tuple[Tensor, Tensor], scores: Tensor
    ) -> Tensor:
        """The states with what was attended to; `scores` is added to the products of queries and keys."""
        query, training = self._heads(self.query(read_BTD)), self.norm.training
        attended = F.scaled_dot_product_attention(
            query,
            *keys,
            attn_mask=scores.to(query.dtype),
            dropout_p=self.dropout if training else 0.0,
            scale=self.scale,
        )
        written_BTD = self.out(attended.transpose(1, 2).flatten(2))
        states_BTD = states_BTD + F.dropout(written_BTD, self.dropout_out, training)
        return states_BTD if self.norm_first else self.norm(states_BTD)


class Family(ABC):
    """What T5 and BART do in ways of their own."""

    lora_targets: tuple[str, ...]

    @abstractmethod
    def max_positions(self, config: Any) -> int:
        """Largest position + 1 that can be told apart from others."""

    @abstractmethod
    def head_scale(self, config: Any) -> float:
        """What the last states are multiplied by before the output head."""

    @abstractmethod
    def layers(self, stack: Any) -> nn.ModuleList:
        """Layers in their order."""

    @abstractmethod
    def enter(self, stack: Any, embedded_BTD: Tensor, positions_BT: Tensor) -> Tensor:
        """What the first layer reads."""

    @abstractmethod
    def scores(self, stack: Any, positions_BT: Tensor, positions_BK: Tensor, mask: Tensor) -> Tensor:
        """The mask (B, 1, T, K) with what the distances of queries and keys add to their products."""

    @abstractmethod
    def own(self, layer: Any) -> Attention:
        """The attention to the stack's own tokens."""

    @abstractmethod
    def source(self, layer: Any) -> Attention:
        """The decoder's attention to the source."""

    @abstractmethod
    def feed_forward(self, layer: Any, states_BTD: Tensor) -> Tensor:
        """The part of a layer after its attentions."""

    @abstractmethod
    def leave(self, stack: Any, states_BTD: Tensor) -> Tensor:
        """What follows the last layer."""


class _T5(Family):
    lora_targets = ("q", "v")

    def max_positions(self, config: Any) -> int:
        return sys.maxsize

    def head_scale(self, config: Any) -> float:
        """Version 1.0 scales down before its tied head, 1.1 does not."""
        # Older transformers tell the two apart by whether the head is tied, and nothing else.
        scaled = getattr(config, "scale_decoder_outputs", config.tie_word_embeddings)
        return float(config.d_model**-0.5) if scaled else 1.0

    def layers(self, stack: Any) -> nn.ModuleList:
        layers: nn.ModuleList = stack.block
        return layers

    def enter(self, stack: Any, embedded_BTD: Tensor, positions_BT: Tensor) -> Tensor:
        states_BTD: Tensor = stack.dropout(embedded_BTD)
        return states_BTD

    def scores(self, stack: Any, positions_BT: Tensor, positions_BK: Tensor, mask: Tensor) -> Tensor:
        attention = stack.block[0].layer[0].SelfAttention  # all layers share the first one's
        bucket_BTK = attention._relative_position_bucket(
            positions_BK[:, None] - positions_BT[:, :, None],
            bidirectional=not attention.is_decoder,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        bias_BTKH: Tensor = attention.relative_attention_bias(bucket_BTK)
        return (bias_BTKH.permute(0, 3, 1, 2) + mask).contiguous()

    def own(self, layer: Any) -> Attention:
        return self._attention(layer.layer[0], layer.layer[0].SelfAttention)

    def source(self, layer: Any) -> Attention:
        return self._attention(layer.layer[1], layer.layer[1].EncDecAttention)

    def _attention(self, around: Any, attention: Any) -> Attention:
        return Attention(
            *(attention.q, attention.k, attention.v, attention.o),
            norm=around.layer_norm,
            norm_first=True,
            width=attention.key_value_proj_dim,
            scale=1.0,
            dropout=attention.dropout,
            dropout_out=around.dropout.p,
        )

    def feed_forward(self, layer: Any, states_BTD: Tensor) -> Tensor:
        states_BTD = layer.layer[-1](states_BTD)
        return states_BTD

    def leave(self, stack: Any, states_BTD: Tensor) -> Tensor:
        states_BTD = stack.dropout(stack.final_layer_norm(states_BTD))
        return states_BTD


class _Bart(Family):
    lora_targets = ("q_proj", "v_proj")

    def max_positions(self, config: Any) -> int:
        return int(config.max_position_embeddings)

    def head_scale(self, config: Any) -> float:
        return 1.0

    def layers(self, stack: Any) -> nn.ModuleList:
        layers: nn.ModuleList = stack.layers
        return layers

    def enter(self, stack: Any, embedded_BTD: Tensor, positions_BT: Tensor) -> Tensor:
        table = stack.embed_positions
        placed_BTD = embedded_BTD + F.embedding(positions_BT + table.offset, table.weight)
        return F.dropout(stack.layernorm_embedding(placed_BTD), stack.dropout, stack.training)

    def scores(self, stack: Any, positions_BT: Tensor, positions_BK: Tensor, mask: Tensor) -> Tensor:
        return mask

    def own(self, layer: Any) -> Attention:
        return self._attention(layer, layer.self_attn, layer.self_attn_layer_norm)

    def source(self, layer: Any) -> Attention:
        return self._attention(layer, layer.encoder_attn, layer.encoder_attn_layer_norm)

    def _attention(self, layer: Any, attention: Any, norm: nn.Module) -> Attention:
        return Attention(
            *(attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj),
            norm=norm,
            norm_first=False,
            width=attention.head_dim,
            scale=attention.scaling,
            dropout=attention.dropout,
            dropout_out=layer.dropout,
        )

    def feed_forward(self, layer: Any, states_BTD: Tensor) -> Tensor:
        training = layer.training
        inner_BTD = layer.activation_fn(layer.fc1(states_BTD))
        inner_BTD = layer.fc2(F.dropout(inner_BTD, layer.activation_dropout, training))
        states_BTD = layer.final_layer_norm(states_BTD + F.dropout(inner_BTD, layer.dropout, training))
        return states_BTD

    def leave(self, stack: Any, states_BTD: Tensor) -> Tensor:
        return states_BTD


FAMILIES: dict[str, Family] = {"t5": _T5(), "bart": _Bart()}
