"""What recommenders share that read with an encoder and write names with a decoder: backbone, questions, users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import torch

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.hardware import device
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.data.files import read_parquet, write_atomically
from genrec.data.interactions import IntArray
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import GenerativeConfig, Training
from genrec.recommenders.language.generative import compact_sizes, tuning
from genrec.recommenders.options import Evaluations, MaxItems, Passes
from genrec.training.encoder_rows import Source, WordTable, collate_sources
from genrec.training.objectives import CodeLoss, TaskLoss


class Seq2SeqTraining(Training):
    """How an encoder–decoder is trained."""

    epochs: Passes = 15
    evaluations: Evaluations = 5


class Seq2SeqConfig(GenerativeConfig):
    """Options of every recommender on an encoder–decoder."""

    dropped: ClassVar = {"stride": 0}

    training: Seq2SeqTraining
    max_items: MaxItems = 20


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


class EncoderDecoder:
    """Encoder–decoders, compact or from a checkpoint.

    What makes these is imported where it is used, as in `DecoderOnly`.
    """

    # Answers may be text: those of p5's tasks, and a user's word that was masked.
    loss: type[CodeLoss] = TaskLoss

    def check(self, checkpoint: str) -> None:
        from genrec.backbones.pretrained_seq2seq import seq2seq_config

        seq2seq_config(checkpoint)

    def new(self, config: Any, codebook: Codebook, num_users: int) -> Backbone:
        num_words = WordTable.size(config.word_vectors, num_users, len(codebook.codes), config.max_items)
        if config.backbone.kind != "compact":
            from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone

            return PretrainedSeq2SeqBackbone(config.backbone.path, num_words=num_words, **tuning(config))
        from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone

        start_token = codebook.tokenizer.end[0]
        sizes = compact_sizes(config.backbone, codebook)
        return CompactSeq2SeqBackbone(num_words=num_words, start_token=start_token, **sizes)

    def load(self, folder: Path, config: Any, codebook: Codebook) -> Backbone:
        if config.backbone.kind == "compact":
            from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone

            return CompactSeq2SeqBackbone.load(folder)
        from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone

        return PretrainedSeq2SeqBackbone.load(folder)


def layout_options(
    config: Seq2SeqConfig, codebook: Codebook, backbone: Seq2SeqBackbone, users: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """What an `EncoderLayout` takes from a recommender's options and parts; `users`: tokens of each."""
    tokenizer = codebook.tokenizer
    return {
        "trie": codebook.trie,
        "encode": tokenizer.encode,
        "begin": tokenizer.begin or tokenizer.end,
        "end": tokenizer.end,
        "start_token": backbone.start_token,
        "users": users,
        "max_items": config.max_items,
        "max_tokens": min(config.max_tokens, backbone.max_positions),
        "continues": config.backbone.kind == "compact",
    }


def user_words(num_users: int) -> list[str]:
    """What users are called in sources."""
    return [f"user{row + 1}" for row in range(num_users)]


def save_users(folder: Path, users: Iterable[str]) -> None:
    """Write the ids of users by their rows."""
    table = pl.DataFrame({"user": list(users)}, schema={"user": pl.String})
    write_atomically(folder / "users.parquet", table.write_parquet)


def load_users(folder: Path) -> dict[str, int]:
    """The row of each user, as `save_users` wrote them."""
    users = read_parquet(folder / "users.parquet", {"user": pl.String})["user"]
    return {user: row for row, user in enumerate(users)}
