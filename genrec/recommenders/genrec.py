"""GenRec: a decoder-only language model reads the titles of a history and writes the next one.

Ji, Li, Xu, Hua, Ge, Tan, Zhang 2023, https://arxiv.org/abs/2307.00457. What differs from the paper is told in
docs/genrec.md; the recipes `genrec-paper` and `genrec-best` stand for both ways.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from genrec.backbones.tokenizer import PretrainedTokenizer
from genrec.data.files import read_json, write_json
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.streams import stream
from genrec.errors import ConfigError
from genrec.prompts.template import Markup, Template, load_paraphrases, own_texts, wants_chat
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import TaughtOptions, WriterPriorOptions
from genrec.recommenders.language.decoder import (
    TINY_DECODER,
    DecoderConfig,
    DecoderOnly,
    Rows,
    states_before,
)
from genrec.recommenders.language.experts import fit_experts
from genrec.recommenders.language.generative import Architecture, GenerativeRecommender
from genrec.recommenders.language.item_reading import ItemQuestions, item_states, item_steps, nodes_of_before
from genrec.recommenders.language.teacher import ItemTeacher, fit_teacher
from genrec.recommenders.options import Name
from genrec.recommenders.start import check_same_kind, check_same_sizes
from genrec.training.decoder_rows import DecoderLayout, HistoryRows
from genrec.training.histories import history_mixture
from genrec.training.layout import flat, side_by_side
from genrec.training.mixture import Batches


class GenRecConfig(DecoderConfig, WriterPriorOptions, TaughtOptions):
    """Options of `genrec`; the defaults are the recipe `genrec-best`."""

    about_tokens: ClassVar = ("stride", "prompt", "shots", "examples", "learn_prompt")

    stride: int = Field(
        0, ge=0, le=10_000, description="positions from item to item; 0: positions count tokens"
    )
    prompt: Name = Field("none", description="prompt file: none, next_item, next_item_chat or a path")
    shots: int = Field(
        0,
        ge=0,
        le=100,
        description="worked examples before each question: what training users took, and what came next (a checkpoint, "
        "and a prompt with words)",
    )
    examples: Literal["packed", "prefixes", "last"] = Field(
        "packed",
        description="training rows: packed (a history each), prefixes (a target each) or last (a user's last target)",
    )
    learn_prompt: bool = Field(
        False, description="learn the prompt's and history's tokens too (token objective)"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> GenRecConfig:
        if self.learn_prompt and self.training.objective == "catalogue":
            raise ValueError("a prompt has no place in the trie: learn_prompt needs objective=token")
        if self.shots and (self.backbone.kind != "pretrained" or self.prompt == "none"):
            raise ValueError(
                f"shots={self.shots} shows a checkpoint how questions are answered, which takes words around them: "
                "take a checkpoint (backbone=PATH) and prompt=next_item, or leave shots out"
            )
        if self.search.pmi and self.expected_by:
            raise ValueError(
                f"pmi={self.search.pmi} is for a language model that writes alone, and there is a prior: take "
                "prior=[], or leave pmi out"
            )
        if self.learn_prompt and self.examples == "packed":
            raise ValueError(
                "packed examples learn every item anyway: learn_prompt needs examples=last or prefixes"
            )
        return self


_SHOTS = "shots.json"
_SHOWN = 6  # items of a worked example, the answer among them


@register("genrec")
class GenRec(GenerativeRecommender):
    """history -> titles as tokens -> decoder-only language model -> beam search over the catalogue's trie.

    Practical limits: the trie and all titles are held in memory (about 10 bytes a code token); decoding costs
    `beams` short rows a user, so a 100M-parameter model wants a GPU for more than some hundred users.
    """

    Config = GenRecConfig
    pipeline = (
        "titles of the history -> decoder-only language model -> next title, by beam search over the trie"
    )
    paper = "Ji et al. 2023, https://arxiv.org/abs/2307.00457"

    architecture: Architecture = DecoderOnly()
    tiny = TINY_DECODER

    rows_: HistoryRows
    shots_: list[list[int]]  # of worked examples: the items of a history, and the one after it

    def _check_start(self, earlier: Recommender) -> None:
        now = self.config
        if not now.reads_items or now.code.kind != "title" or now.taught_by is not None:
            raise ConfigError(
                "genrec starts from an earlier run where it reads items, writes titles and has no teacher "
                "(backbone=items code=title taught_by=null): leave the run out (--from, from_run)"
            )
        check_same_kind(earlier, self.name)
        shapes = [
            {"backbone": config.backbone.kind, "code": config.code.kind, "max_items": config.max_items}
            | {
                name: getattr(config.backbone, name, None)
                for name in ("encoder", "depth", "width", "num_heads")
            }
            for config in (earlier.config, now)
        ]
        check_same_sizes(*shapes)

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        self.shots_ = self._drawn(train_data.histories)
        model = fit_teacher(self.config, train_data, validation, run, resume)
        experts = fit_experts(self.config, train_data, validation, run, resume, self._start)
        earlier = None if self._start is None else self._start.model.as_trained
        tokenizer = earlier.codebook_.tokenizer if isinstance(earlier, GenRec) else None
        codebook = self._new_codebook(train_data, self.prompt_texts(), tokenizer=tokenizer)
        backbone = self._new_backbone(codebook)
        if isinstance(earlier, GenRec):
            ids = (train_data.catalogue.ids, earlier.catalogue.ids)
            backbone.begin_at(earlier.backbone_, nodes_of_before(codebook, ids[0], earlier.codebook_, ids[1]))
        self._use(codebook, backbone)
        loss = None
        if model is not None:
            teacher = ItemTeacher(model.network_.eval(), self.ranker_.tensors, self.config.taught_share)
            loss = self._loss(teacher=teacher)
        self._train(self._steps(train_data), self._validation(validation), run, resume, loss)
        self._forget_untrained(train_data)
        self._use_experts(experts, validation)

    def _steps(self, train_data: Interactions) -> Batches:
        config: GenRecConfig = self.config
        if config.reads_items:
            return item_steps(
                train_data.histories, config, 1.0 if self._start is None else self._start.budget
            )
        return history_mixture(
            train_data.histories,
            self.rows_,
            way=config.examples,
            batch_tokens=config.training.batch_tokens,
            num_epochs=config.training.epochs,
            seed=config.seed,
            max_steps=config.training.max_steps,
        )

    def prompt_texts(self) -> list[str]:
        return [text for template in load_paraphrases(self.config.prompt) for text in own_texts(template)]

    def _use(self, codebook: Codebook, backbone: Any) -> None:
        super()._use(codebook, backbone)
        if self.config.reads_items:
            return
        config, tokenizer, max_positions = self.config, codebook.tokenizer, backbone.max_positions
        furthest = config.max_items * config.stride + int(codebook.reading.lengths.max())
        if config.stride and furthest > max_positions:
            raise ConfigError(
                f"max_items={config.max_items} with stride={config.stride} needs {furthest} positions and the "
                f"backbone has {max_positions}: lower one of them, or take stride=0"
            )
        paraphrases, chat = load_paraphrases(config.prompt), None
        if isinstance(tokenizer, PretrainedTokenizer) and wants_chat(config.prompt):
            around = tokenizer.chat()
            chat = None if around is None else [Markup(tokens=tuple(tokens)) for tokens in around]
        layout = DecoderLayout(
            codebook.trie,
            tokenizer.encode,
            (tokenizer.begin or tokenizer.end) if chat is None else (),
            stride=config.stride,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, max_positions),
            reading=codebook.reading,
        )
        if self.shots_:
            paraphrases = [(self._worked(layout, template), *template) for template in paraphrases]
        if chat is not None:
            paraphrases = [(chat[0], *template, chat[1]) for template in paraphrases]
        self.rows_ = HistoryRows(layout, paraphrases, learn_prompt=config.learn_prompt)

    def _drawn(self, histories: Histories) -> list[list[int]]:
        """The newest items of some users, who took more than one, for worked examples."""
        able = np.flatnonzero(histories.lengths >= 2)
        rng = stream(self.config.seed, "worked examples")
        users = rng.choice(able, min(self.config.shots, len(able)), replace=False)
        return [histories[user][-_SHOWN:].tolist() for user in users.tolist()]

    def _worked(self, layout: DecoderLayout, template: Template) -> Markup:
        """The worked examples in the words of a template."""
        spans = []
        for *history, answer in self.shots_:
            spans += flat(layout.parts(template, {"history": np.array(history, np.int32)}))
            spans += layout.items(np.array([answer], np.int32))
        return Markup(tokens=tuple(side_by_side(spans)[0].tolist()))

    def questions(self, histories: Histories) -> Rows | ItemQuestions:
        if self.config.reads_items:
            return ItemQuestions(self.backbone_, histories)
        return Rows([self.rows_.question(history) for history in histories])

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        if self.config.reads_items:
            return item_states(self.backbone_, history, len(self.codebook_.codes[item]))
        row = self.rows_.single(history, item)
        return states_before(self.backbone_, row, len(self.codebook_.codes[item]))

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        if self.shots_:
            write_json(folder / _SHOTS, self.shots_, indent=None)

    def _load(self, folder: Path) -> None:
        self.shots_ = read_json(folder / _SHOTS, list[list[int]]) if self.config.shots else []
        super()._load(folder)
