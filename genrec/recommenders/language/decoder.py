"""What recommenders share that write names with a decoder-only language model: tokenizer, backbone, questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.checkpoint import decoder_config
from genrec.backbones.compact import CompactBackbone
from genrec.backbones.hardware import device
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.tokenizer import TextTokenizer
from genrec.codes.trie import Trie
from genrec.data.interactions import IntArray
from genrec.recommenders.language.generative import GenerativeRecommender, WriterConfig
from genrec.recommenders.options import Names
from genrec.training.decoder_rows import Row, collate


class DecoderConfig(WriterConfig):
    """Options of every recommender on a decoder-only model."""

    lora_targets: Names = Field(
        ("q_proj", "v_proj"),
        description="endings of layers' names that LoRA updates; queries and values as published",
    )


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


class DecoderRecommender(GenerativeRecommender):
    """A recommender that writes names with a decoder-only model."""

    tiny: ClassVar[dict[str, Any]] = {
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

    def _new_tokenizer(self) -> TextTokenizer:
        if self.config.backbone != "compact":  # what is no decoder is told before its tokenizer is missed
            decoder_config(self.config.backbone)
        return super()._new_tokenizer()

    def _new_backbone(self, trie: Trie) -> Backbone:
        config = self.config
        if config.backbone != "compact":
            return PretrainedBackbone(config.backbone, **self._tuning())
        return CompactBackbone(
            self.tokenizer_.vocab_size,
            depth=config.depth,
            width=config.width,
            dropout=config.dropout,
            num_nodes=trie.num_nodes if config.node_vectors else 0,
        )

    def _saved_backbone(self, folder: Path, compact: bool) -> Backbone:
        return CompactBackbone.load(folder) if compact else PretrainedBackbone.load(folder)
