"""GenRec: a decoder-only language model reads the titles of a history and writes the next one.

Ji, Li, Xu, Hua, Ge, Tan, Zhang 2023, https://arxiv.org/abs/2307.00457. What differs from the paper is told in
docs/genrec.md; the recipes `genrec-paper` and `genrec-best` stand for both ways.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.errors import ConfigError, shown
from genrec.prompts.template import load_paraphrases, own_texts
from genrec.recommenders.base import recommender_class, register
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Compact, PriorOptions
from genrec.recommenders.language.decoder import (
    TINY_DECODER,
    DecoderConfig,
    DecoderOnly,
    PretrainedDecoder,
    Rows,
    states_before,
)
from genrec.recommenders.language.generative import Architecture, GenerativeRecommender
from genrec.recommenders.language.item_reading import ItemQuestions, ItemReading, Items
from genrec.recommenders.options import Name
from genrec.training.decoder_rows import DecoderLayout, HistoryRows
from genrec.training.histories import history_mixture
from genrec.training.mixture import Batches
from genrec.training.sequences import ItemSteps

# What items are expected by, unless told otherwise; chosen on the validation part of Amazon Beauty.
PRIOR: dict[str, dict[str, Any]] = {
    "bsarec": {
        "features": ["title", "beginnings", "attributes"],
        "width": 128,
        "own_dropout": 0.15,
        "training": {
            "epochs": 12,
            "min_steps": 2000,
            "batch_size": 128,
            "learning_rate": 1e-3,
            "lr_scheduler_type": "linear",
            "warmup_steps": 50,
            "sampled_items": 2048,
            "evaluations": 1,
            "patience": 0,
        },
    },
    "transitions": {"text": "tfidf"},
}


class GenRecConfig(DecoderConfig, PriorOptions):
    """Options of `genrec`; the defaults are the recipe `genrec-best`."""

    backbone: Annotated[Items | Compact | PretrainedDecoder, Field(discriminator="kind")]  # type: ignore[assignment]
    stride: int = Field(
        0, ge=0, le=10_000, description="positions from item to item; 0: positions count tokens"
    )
    prompt: Name = Field("none", description="prompt file: none, next_item or a path")
    examples: Literal["packed", "prefixes", "last"] = Field(
        "packed",
        description="training rows: packed (a history each), prefixes (a target each) or last (a user's last target)",
    )
    learn_prompt: bool = Field(
        False, description="learn the prompt's and history's tokens too (token objective)"
    )

    @model_validator(mode="after")
    def _items_are_read_as_they_are(self) -> GenRecConfig:
        if self.backbone.kind != "items":
            return self
        if self.backbone.width % self.backbone.num_heads:
            raise ValueError(
                f"num_heads={self.backbone.num_heads} does not divide width={self.backbone.width}"
            )
        fixed = {"stride": 0, "prompt": "none", "examples": "packed", "learn_prompt": False}
        for name, only in fixed.items():
            if (value := getattr(self, name)) != only:
                raise ValueError(
                    f"{name}={value} is about tokens, and backbone=items reads items: leave it out, or take "
                    "backbone=compact"
                )
        if self.training.objective != "catalogue":
            raise ValueError("backbone=items is trained by objective=catalogue: leave objective out")
        return self

    @property
    def expected_by(self) -> tuple[str, ...]:
        """What the prior is made of."""
        if self.prior is None:
            return tuple(PRIOR) if self.backbone.kind == "items" else ()
        return self.prior

    @model_validator(mode="after")
    def _prior_fits(self) -> GenRecConfig:
        names = self.expected_by
        if strange := [name for name in self.prior_options if name not in names]:
            raise ValueError(
                f"options for {shown(strange[0])}, which is no part of the prior: it has {', '.join(names) or 'none'}"
            )
        if names and self.training.objective == "token":
            raise ValueError(
                "a prior weighs the children of trie nodes, which objective=token does not learn: take "
                "objective=catalogue, or leave prior out"
            )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> GenRecConfig:
        if self.learn_prompt and self.training.objective == "catalogue":
            raise ValueError("a prompt has no place in the trie: learn_prompt needs objective=token")
        if self.learn_prompt and self.examples == "packed":
            raise ValueError(
                "packed examples learn every item anyway: learn_prompt needs examples=last or prefixes"
            )
        return self


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

    tiny = TINY_DECODER | {"backbone": "compact"}

    rows_: HistoryRows

    def __init__(self, config: BaseModel | None = None, /, **options: Any) -> None:
        super().__init__(config, **options)
        self.architecture: Architecture = ItemReading() if self._reads_items else DecoderOnly()

    @property
    def _reads_items(self) -> bool:
        return bool(self.config.backbone.kind == "items")

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        options = dict(self.config.prior_options)
        if self.config.prior is None:
            usual = PRIOR | {"transitions": {"text": "tfidf" if self.catalogue.titled else "none"}}
            for name in self.config.expected_by:
                options[name] = recommender_class(name).Config.merged(usual[name], options.get(name, {}))
        experts = self._fit_experts(self.config.expected_by, options, train_data, validation, run, resume)
        codebook = self._new_codebook(train_data, self.prompt_texts())
        self._use(codebook, self._new_backbone(codebook))
        self._train(self._steps(train_data), self._validation(validation), run, resume)
        self._use_experts(experts, validation)

    def _steps(self, train_data: Interactions) -> Batches:
        config: GenRecConfig = self.config
        if isinstance(config.backbone, Items):
            return ItemSteps(
                train_data.histories,
                max_items=config.max_items,
                batch_size=config.backbone.batch_size,
                num_epochs=config.training.epochs,
                seed=config.seed,
                min_steps=config.backbone.min_steps,
                max_steps=config.training.max_steps,
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
        if self._reads_items:
            return
        config, tokenizer, max_positions = self.config, codebook.tokenizer, backbone.max_positions
        furthest = config.max_items * config.stride + int(codebook.codes.lengths.max())
        if config.stride and furthest > max_positions:
            raise ConfigError(
                f"max_items={config.max_items} with stride={config.stride} needs {furthest} positions and the "
                f"backbone has {max_positions}: lower one of them, or take stride=0"
            )
        layout = DecoderLayout(
            codebook.trie,
            tokenizer.encode,
            tokenizer.begin or tokenizer.end,
            stride=config.stride,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, max_positions),
        )
        self.rows_ = HistoryRows(layout, load_paraphrases(config.prompt), learn_prompt=config.learn_prompt)

    def questions(self, histories: Histories) -> Rows | ItemQuestions:
        if self._reads_items:
            return ItemQuestions(self.backbone_, histories)
        return Rows([self.rows_.question(history) for history in histories])

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        if self._reads_items:
            states_1D = ItemQuestions(self.backbone_, Histories.from_lists([history])).states_BD
            return states_1D.expand(len(self.codebook_.codes[item]), -1)
        row = self.rows_.single(history, item)
        return states_before(self.backbone_, row, len(self.codebook_.codes[item]))
