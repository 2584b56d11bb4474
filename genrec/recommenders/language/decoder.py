"""What recommenders share that write names with a decoder-only language model: backbone, questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.hardware import device
from genrec.data.interactions import IntArray
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Code, Compact, GenerativeConfig, Items, Pretrained, Search
from genrec.recommenders.language.generative import compact_sizes, tuning
from genrec.recommenders.options import Names
from genrec.training.decoder_rows import Row, collate
from genrec.training.objectives import CodeLoss


class PretrainedDecoder(Pretrained):
    """A pretrained decoder-only checkpoint."""

    defaults: ClassVar = Pretrained.defaults | {"code": {"length": "full", "read": "whole"}}

    lora_targets: Names = Field(
        ("q_proj", "v_proj"),
        description="endings of layers' names that LoRA updates; queries and values as published",
    )


class DecoderCode(Code):
    """What is written for an item, and what is read of it in a history."""

    read: Literal["code", "whole"] = Field(
        "code",
        description="what is read of an item: its code, or, where that is cut short (code_length=shortest), the whole",
    )


class DecoderSearch(Search):
    """How a decoder-only model finds items."""

    pmi: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how much of the log-probability that a title has without a history is taken off its score; 1: "
        "what is left is the pointwise mutual information of title and history",
    )


class DecoderConfig(GenerativeConfig):
    """Options of every recommender on a decoder-only model."""

    code: DecoderCode
    search: DecoderSearch

    backbone: Annotated[Items | Compact | PretrainedDecoder, Field(discriminator="kind")]  # type: ignore[assignment]

    @model_validator(mode="after")
    def _the_whole_is_text(self) -> Self:
        if self.code.read == "whole" and (self.reads_items or self.code.kind == "collaborative"):
            chosen = "backbone=items" if self.reads_items else "code=collaborative"
            raise ValueError(
                f"read=whole is about names as text, and {chosen} has none to read: leave read out"
            )
        return self

    @model_validator(mode="after")
    def _pmi_is_about_titles(self) -> Self:
        if self.search.pmi and self.reads_items:
            raise ValueError(
                f"pmi={self.search.pmi} is about how likely titles are as text, and backbone=items reads items: leave "
                "it out, or take a checkpoint (backbone=PATH)"
            )
        return self


class Rows:
    """Questions for a decoder: rows of tokens."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.lengths = [*map(len, rows)]

    def prefix(self, rows: IntArray) -> Prefix:
        asked = [self.rows[row] for row in rows]
        batch = {name: tensor.to(device()) for name, tensor in collate(asked).items()}
        start_B = torch.tensor([row.end for row in asked], device=device())
        return Prefix(batch["tokens"], batch["nodes"], batch["positions"], batch["length"], start_B)


def states_before(backbone: Backbone, row: Row, count: int) -> Tensor:
    """The states (count, D) from which the last `count` tokens of a row are predicted."""
    batch = {name: tensor.to(device()) for name, tensor in collate([row]).items()}
    hidden_1TD: Tensor = backbone(batch)
    return hidden_1TD[0, -count - 1 : -1]


class DecoderOnly:
    """Decoder-only models, compact or from a checkpoint.

    What makes these is imported where it is used: transformers, which what reads items does without, and with a
    checkpoint peft and much more of it.
    """

    loss = CodeLoss

    def check(self, checkpoint: str) -> None:
        from genrec.backbones.checkpoint import decoder_config

        decoder_config(checkpoint)

    def new(self, config: Any, codebook: Codebook, num_users: int) -> Backbone:
        if config.backbone.kind == "pretrained":
            from genrec.backbones.pretrained import PretrainedBackbone

            return PretrainedBackbone(config.backbone.path, **tuning(config))
        from genrec.backbones.compact import CompactBackbone

        return CompactBackbone(**compact_sizes(config.backbone, codebook))

    def load(self, folder: Path, config: Any, codebook: Codebook) -> Backbone:
        if config.backbone.kind == "compact":
            from genrec.backbones.compact import CompactBackbone

            return CompactBackbone.load(folder)
        from genrec.backbones.pretrained import PretrainedBackbone

        return PretrainedBackbone.load(folder)


# A configuration that the contract suite fits in seconds.
TINY_DECODER: dict[str, Any] = {
    "backbone": "compact",
    "depth": 1,
    "width": 64,
    "vocab_size": 300,
    "dropout": 0.0,
    "epochs": 60,
    "batch_tokens": 2000,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "evaluations": 1,
    "beams": 10,
    "bf16": False,
}
