"""BSARec: self-attention beside a filter that tells slow from quick changes of a history.

Shin, Choi, Wi, Park 2024, https://arxiv.org/abs/2312.10325. What differs from the paper is told in docs/baselines.md.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from genrec.backbones.item_encoder import BSARecNetwork
from genrec.backbones.item_vectors import Bags
from genrec.recommenders.base import register
from genrec.recommenders.sasrec import SASRec, SASRecConfig


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
        return BSARecNetwork(bags, self.config.sizes, own_dropout=self.config.own_dropout)
