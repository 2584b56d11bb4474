"""What recommenders share that read with an encoder and write names with a decoder: backbone, users, questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from pydantic import Field

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone
from genrec.backbones.hardware import device
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone, seq2seq_config
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.backbones.tokenizer import TextTokenizer
from genrec.codes.trie import Trie
from genrec.data.files import read_parquet, write_atomically
from genrec.data.interactions import IntArray
from genrec.recommenders.language.generative import GenerativeRecommender, WriterConfig
from genrec.recommenders.options import Evaluations, MaxItems, Names, Passes
from genrec.training.objectives import CodeLoss, TaskLoss
from genrec.training.sources import Source, SourceWriter, collate_sources, num_word_vectors


class Seq2SeqConfig(WriterConfig):
    """Options of every recommender on an encoder–decoder."""

    max_items: MaxItems = 20
    epochs: Passes = 15
    evaluations: Evaluations = 5
    stride: Literal[0] = Field(0, description="none but 0: positions of a source count tokens")
    lora_targets: Names = Field((), description="endings of layers' names; none: the usual ones")


class Sources:
    """Questions for an encoder."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.lengths = [len(source.tokens_T) for source in sources]

    def prefix(self, rows: IntArray) -> Prefix:
        batch = collate_sources([self._sources[row] for row in rows])
        batch = {name: tensor.to(device()) for name, tensor in batch.items()}
        return Prefix(
            batch["source_tokens"],
            batch["source_nodes"],
            batch["source_positions"],
            batch["source_length"],
            torch.tensor([self._sources[row].start for row in rows], device=device()),
            batch["source_words"],
            batch["source_reach"],
        )


class Seq2SeqRecommender(GenerativeRecommender):
    """A recommender that writes names with an encoder–decoder. Users may be words of a source."""

    backbone_: Seq2SeqBackbone
    writer_: SourceWriter
    users_: dict[str, int]

    def _loss(self) -> CodeLoss:
        # Answers may be text: those of p5's tasks, and the word of a user that was masked.
        return TaskLoss(self.trie_, self.config.objective, device(), super()._loss().dtype)

    def _user_words(self) -> list[str]:
        return [f"user{row + 1}" for row in range(len(self.users_))]

    @staticmethod
    def _checkpoint_config(name: str) -> Any:
        """The configuration of a checkpoint that can be the backbone; raises ConfigError for others."""
        return seq2seq_config(name)

    def _new_tokenizer(self) -> TextTokenizer:
        if self.config.backbone != "compact":
            # What is no such checkpoint is told before its tokenizer is missed.
            self._checkpoint_config(self.config.backbone)
        return super()._new_tokenizer()

    def _new_backbone(self, trie: Trie) -> Backbone:
        config = self.config
        num_words = num_word_vectors(
            config.word_vectors, len(self._user_words()), len(trie.codes), config.max_items
        )
        if config.backbone != "compact":
            return PretrainedSeq2SeqBackbone(config.backbone, num_words=num_words, **self._tuning())
        return CompactSeq2SeqBackbone(
            self.tokenizer_.vocab_size,
            depth=config.depth,
            width=config.width,
            dropout=config.dropout,
            num_nodes=trie.num_nodes if config.node_vectors else 0,
            num_words=num_words,
            start_token=self.tokenizer_.end[0],
        )

    def _saved_backbone(self, folder: Path, compact: bool) -> Backbone:
        return CompactSeq2SeqBackbone.load(folder) if compact else PretrainedSeq2SeqBackbone.load(folder)

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        table = pl.DataFrame({"user": list(self.users_)}, schema={"user": pl.String})
        write_atomically(folder / "users.parquet", table.write_parquet)

    def _load(self, folder: Path) -> None:
        users = read_parquet(folder / "users.parquet", {"user": pl.String})["user"]
        self.users_ = {user: row for row, user in enumerate(users)}
        super()._load(folder)
