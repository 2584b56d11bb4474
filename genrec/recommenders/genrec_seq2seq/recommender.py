"""GenRec by masked item prediction: an encoder–decoder reads a history without any prompt and writes what is missing.

Cao, Liò 2024, https://arxiv.org/abs/2407.21191. What differs from the paper is told in docs/genrec-seq2seq.md; the
recipes `genrec-seq2seq-paper` and `genrec-seq2seq-best` stand for both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.hardware import device
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.base import register
from genrec.recommenders.genrec_seq2seq.examples import HistorySources
from genrec.recommenders.genrec_seq2seq.free import free_beams
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Search
from genrec.recommenders.language.generative import GenerativeRecommender
from genrec.recommenders.language.seq2seq import (
    EncoderDecoder,
    Seq2SeqConfig,
    Seq2SeqTraining,
    Sources,
    layout_options,
    load_users,
    save_users,
    user_words,
)
from genrec.recommenders.options import Pretraining
from genrec.training.encoder_rows import EncoderLayout, WordTable
from genrec.training.histories import Way, history_mixture
from genrec.training.mixture import Mixture

_MASK = "?"
_USERS_AT_ONCE = 16  # of free decoding


class GenRecSeq2SeqTraining(Seq2SeqTraining):
    """How `genrec-seq2seq` is trained."""

    pretraining_epochs: Pretraining = Field(0, description="passes of masked item prediction before")


class GenRecSeq2SeqSearch(Search):
    """How `genrec-seq2seq` finds items."""

    decoding: Literal["constrained", "free"] = Field(
        "constrained",
        description="free: any text, as published; what is no item takes a place, and items repeat",
    )


class GenRecSeq2SeqConfig(Seq2SeqConfig):
    """Options of `genrec-seq2seq`; the defaults are the recipe `genrec-seq2seq-best`."""

    training: GenRecSeq2SeqTraining
    search: GenRecSeq2SeqSearch
    word_vectors: Literal["none", "own", "shared"] = Field(
        "none", description="of users and items: none, one each, or one for a user and an item of like number"
    )
    reads_users: bool = Field(False, description="whether a source begins with the user's word")
    examples: Literal["packed", "prefixes", "last"] = Field(
        "packed", description="of the next item: packed, prefixes or last; see genrec.training.decoder_rows"
    )
    scores_padding: bool = Field(False, description="padding of answers is learnt as well, as published")
    last_share: float = Field(0.3, ge=0, le=1, description="of the masked words, how many are the last item")

    @model_validator(mode="after")
    def _fits_together(self) -> GenRecSeq2SeqConfig:
        if self.scores_padding and self.training.objective != "token":
            raise ValueError("padding has no place in the trie: scores_padding needs objective=token")
        return self


@register("genrec-seq2seq")
class GenRecSeq2Seq(GenerativeRecommender):
    """history with a mask -> encoder–decoder language model -> the missing name, by search over the trie.

    Practical limits: those of `genrec`; one-answer examples (`prefixes`) cost several times as much as packed ones.
    """

    Config = GenRecSeq2SeqConfig
    pipeline = (
        "history with a mask -> encoder-decoder language model -> missing name, by search over the trie"
    )
    paper = "Cao & Liò 2024, https://arxiv.org/abs/2407.21191"
    tiny = {  # noqa: RUF012
        "depth": 1,
        "width": 64,
        "vocab_size": 300,
        "dropout": 0.0,
        "epochs": 28,
        "batch_tokens": 500,
        "learning_rate": 3e-3,
        "warmup_steps": 10,
        "evaluations": 1,
        "beams": 10,
        "bf16": False,
    }

    architecture = EncoderDecoder()

    backbone_: Seq2SeqBackbone
    layout_: EncoderLayout
    sources_: HistorySources
    users_: dict[str, int]  # row of each user who has a word; nobody where sources begin with none
    item_of_: dict[str, int]  # by what its code says; for free decoding

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config, histories = self.config, train_data.histories
        users = train_data.users if config.reads_users else ()
        self.users_ = {str(user): row for row, user in enumerate(users)}
        codebook = self._new_codebook(train_data, [_MASK, *user_words(len(self.users_))])
        self._use(codebook, self._new_backbone(codebook, len(self.users_)))
        if config.training.pretraining_epochs:
            steps = self._steps(histories, "masked", config.training.pretraining_epochs)
            before = None if run is None else run / "pretraining"
            self._train(steps, None, before, resume, evaluations=1, patience=0)
        steps = self._steps(histories, config.examples, config.training.epochs)
        self._train(steps, self._validation(validation), run, resume)

    def _steps(self, histories: Histories, way: Way, num_epochs: int) -> Mixture:
        return history_mixture(
            histories,
            self.sources_,
            way=way,
            batch_tokens=self.config.training.batch_tokens,
            num_epochs=num_epochs,
            seed=self.config.seed,
            max_steps=self.config.training.max_steps,
        )

    def prompt_texts(self) -> list[str]:
        return [_MASK]

    def _use(self, codebook: Codebook, backbone: Backbone) -> None:
        super()._use(codebook, backbone)
        config, tokenizer = self.config, codebook.tokenizer
        if config.search.decoding == "free":  # of equal names the first item's
            names = enumerate(map(self._read, codebook.codes))
            self.item_of_ = {name: item for item, name in reversed(list(names))}
        mask, *users = tokenizer.encode([_MASK, *user_words(len(self.users_))])
        num_trained = len(self.trained_catalogue)
        words = WordTable(config.word_vectors, self.backbone_.num_words, len(users), num_trained)
        self.layout_ = EncoderLayout(words=words, **layout_options(config, codebook, self.backbone_, users))
        self.sources_ = HistorySources(
            self.layout_,
            mask,
            packs=config.examples == "packed",
            last_share=config.last_share,
            scores_padding=config.scores_padding,
        )

    # -- answering -------------------------------------------------------------------------------------------

    def questions(self, histories: Histories) -> Sources:
        users = histories.users if self.config.reads_users else None
        rows = [None] * len(histories) if users is None else [self.users_.get(str(user)) for user in users]
        return Sources(
            [self.sources_.question(history, row) for history, row in zip(histories, rows, strict=True)]
        )

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        if self.config.search.decoding == "constrained":
            return super()._rank(histories, k, exclude_seen=exclude_seen, allowed=allowed, exact=exact)
        if exact:
            raise ConfigError("free decoding proves nothing: take decoding=constrained, or ask without exact")
        items_BK, scores_BK = (
            np.full((len(histories), k), -1, np.int32),
            np.full((len(histories), k), -np.inf),
        )
        questions, longest = self.questions(histories), int(self.codebook_.codes.lengths.max()) + 4
        for start in range(0, len(histories), _USERS_AT_ONCE):
            rows = np.arange(start, min(start + _USERS_AT_ONCE, len(histories)))
            width = max(k, self.config.search.beams)
            found = free_beams(
                self.backbone_, questions.prefix(rows), self.codebook_.tokenizer.end[0], width, longest
            )
            for row, beams in zip(rows.tolist(), found, strict=True):
                seen = set(histories[row].tolist()) if exclude_seen else set()
                mine = None if allowed is None else allowed[row] if allowed.ndim == 2 else allowed
                named = [(self.item_of_.get(self._read(tokens), -1), score) for tokens, score in beams]
                kept = [
                    (item, score)
                    for item, score in named
                    if item not in seen and (mine is None or item < 0 or mine[item])
                ][:k]
                items_BK[row, : len(kept)] = [item for item, _ in kept]
                scores_BK[row, : len(kept)] = [score for _, score in kept]
        return Rankings(items_BK, scores_BK.astype(np.float32), np.zeros(len(histories), bool))

    def _read(self, tokens: Iterable[int]) -> str:
        """What tokens say, however they are cut."""
        end = self.codebook_.tokenizer.end[0]
        return " ".join(
            self.codebook_.tokenizer.decode([int(token) for token in tokens if token != end]).split()
        )

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        example = self.sources_.single(history, item, None)
        batch = {name: tensor.to(device()) for name, tensor in self.sources_.collate([example]).items()}
        hidden_BLD: Tensor = self.backbone_(batch)
        return hidden_BLD[0]

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        save_users(folder, self.users_)

    def _load(self, folder: Path) -> None:
        self.users_ = load_users(folder)
        self._use(*self._saved(folder))
