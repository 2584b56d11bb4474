"""BSARec: self-attention beside a filter that tells slow from quick changes of a history.

Shin, Choi, Wi, Park 2024, https://arxiv.org/abs/2312.10325. What differs from the paper is told in docs/baselines.md.

Shape suffixes: R rows of packed histories, T places of a row, D width, L lags.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, model_validator
from torch import Tensor, nn

from genrec.backbones.dropout import Dropout
from genrec.backbones.item_vectors import Bags
from genrec.recommenders.base import register
from genrec.recommenders.sasrec import Attention, SASRec, SASRecConfig, SASRecNetwork, past


class BSARecConfig(SASRecConfig):
    """Options of `bsarec`; those of `sasrec`, and the filter's."""

    dropout: float = Field(0.5, ge=0, lt=1, description="on vectors, attention and feed-forward layers")
    filter_weight: float = Field(0.7, ge=0, le=1, description="share of the filter; the rest is attention's")
    num_frequencies: int = Field(
        2, ge=0, le=5000, description="slowest waves, beside the mean, that pass as slow change"
    )

    @model_validator(mode="after")
    def _waves_fit(self) -> BSARecConfig:
        if self.num_frequencies > self.max_items // 2:
            raise ValueError(
                f"num_frequencies={self.num_frequencies} waves over max_items={self.max_items} places: there are no "
                f"more than {self.max_items // 2}"
            )
        return self


class FrequencyFilter(nn.Module):
    """The slow part of a history plus the weighted rest.

    The paper cuts the Fourier transform of the whole padded row. To keep the `num_frequencies` slowest waves is a
    product with a fixed circulant matrix, which needs no transform, and restricted to the past it lets every place
    be a target: at the last place of a history it is the paper's filter, if padding is nought.
    """

    weight_L: Tensor

    def __init__(self, config: BSARecConfig) -> None:
        super().__init__()
        lag_L = torch.arange(config.max_items)
        waves = [
            2 * torch.cos(2 * math.pi * wave * lag_L / config.max_items)
            for wave in range(1, config.num_frequencies + 1)
        ]
        self.register_buffer("weight_L", sum(waves, torch.ones(config.max_items)) / config.max_items, False)
        self.quick_D = nn.Parameter(torch.randn(config.width))

    def forward(self, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        place_T = torch.arange(x_RTD.shape[1], device=x_RTD.device)
        lag_TT = (place_T[:, None] - place_T).clamp_min(0)
        slow_RTD = (self.weight_L[lag_TT] * past_RTT) @ x_RTD
        return slow_RTD + self.quick_D.square() * (x_RTD - slow_RTD)


class BSARecBlock(nn.Module):
    """The filter and attention side by side, then a feed-forward layer."""

    def __init__(self, config: BSARecConfig) -> None:
        super().__init__()
        self.share = config.filter_weight
        self.filter = FrequencyFilter(config)
        self.attention = Attention(config)
        self.inner = nn.Linear(config.width, 4 * config.width)
        self.outer = nn.Linear(4 * config.width, config.width)
        for layer in (self.inner, self.outer):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.filter_norm, self.attention_norm, self.norm = (nn.LayerNorm(config.width) for _ in range(3))
        self.dropout = Dropout(config.dropout)

    def forward(self, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        filtered_RTD = self.filter_norm(x_RTD + self.dropout(self.filter(x_RTD, past_RTT)))
        attended_RTD = self.attention(x_RTD, x_RTD, past_RTT)
        attended_RTD = self.attention_norm(x_RTD + self.dropout(attended_RTD))
        x_RTD = self.share * filtered_RTD + (1 - self.share) * attended_RTD
        out: Tensor = self.norm(x_RTD + self.dropout(self.outer(F.gelu(self.inner(x_RTD)))))
        return out


class BSARecNetwork(SASRecNetwork):
    """Packed histories in, hidden states out; vectors start smaller, are not scaled, and are normed first."""

    Block: ClassVar[type[nn.Module]] = BSARecBlock

    def __init__(self, bags: Bags, config: BSARecConfig) -> None:
        super().__init__(bags, config)
        self.vectors.draw(0.02)
        nn.init.normal_(self.age_vectors, std=0.02)

    def forward(self, vectors_RTD: Tensor, ages_RT: Tensor, segments_RT: Tensor) -> Tensor:
        past_RTT = past(segments_RT)
        x_RTD: Tensor = self.dropout(self.norm(vectors_RTD + F.embedding(ages_RT, self.age_vectors)))
        for block in self.blocks:
            x_RTD = block(x_RTD, past_RTT)
        return x_RTD


@register("bsarec")
class BSARec(SASRec):
    """history -> item and position vectors -> frequency filter beside self-attention -> softmax over all items.

    Learns in fewer epochs than `sasrec`. Practical limits as there.
    """

    Config: ClassVar[type[BSARecConfig]] = BSARecConfig
    pipeline: ClassVar[str] = (
        "item and position vectors -> frequency filter beside self-attention -> softmax over all items"
    )
    paper: ClassVar[str] = "Shin et al. 2024, https://arxiv.org/abs/2312.10325"
    tiny: ClassVar[dict[str, Any]] = SASRec.tiny

    def _new_network(self, bags: Bags) -> BSARecNetwork:
        return BSARecNetwork(bags, self.config)
