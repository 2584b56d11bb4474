"""The options that all recommenders share that write names, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainSerializer, field_validator, model_validator

from genrec.backbones.item_reader import Encoder
from genrec.backbones.width import HEAD, compact_width, shared_by_heads
from genrec.errors import one_line, shown
from genrec.recommenders.options import (
    BatchTokens,
    Config,
    Depth,
    Evaluations,
    Group,
    MaxItems,
    Name,
    Names,
    Passes,
    Seed,
    Threads,
    ValidationUsers,
    Width,
)


class Compact(Group):
    """A small model from scratch."""

    called = "a model from scratch (backbone=compact)"

    kind: Literal["compact"] = Field(
        "compact",
        description="a model from scratch, or a pretrained checkpoint; backbone=PATH is short for it",
    )
    depth: Depth = 2
    width: Width | None = Field(None, description="hidden size of the compact backbone; null: 64 x depth")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="the compact backbone's, on embeddings and residual branches"
    )
    vocab_size: int = Field(
        8000,
        ge=260,
        le=1_000_000,
        description="most tokens of the compact backbone's vocabulary, trained on titles",
    )
    node_vectors: bool = Field(
        True, description="the trie's nodes have vectors of their own beside their tokens'"
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        width = self.width or compact_width(self.depth)
        if not shared_by_heads(width):
            raise ValueError(
                f"width={width} is not shared out evenly by heads of {HEAD}, in pairs of numbers: take a multiple of "
                f"{HEAD}"
            )
        return self


class Items(Group):
    """A model that reads one position an item, from scratch."""

    called = "a model that reads items (backbone=items)"
    defaults: ClassVar = {
        "training": {
            "learning_rate": 1e-3,
            "epochs": 15,
            "weight_decay": 0.0,
            "warmup_steps": 50,
            "max_grad_norm": 0.0,
            "evaluations": 1,
        }
    }

    kind: Literal["items"] = Field("items", description="histories are read item by item, not token by token")
    encoder: Encoder = Field("bsarec", description="whose blocks read the items")
    depth: Depth = 2
    width: Width = Field(64, description="size of the vectors")
    num_heads: int = Field(1, ge=1, le=1024, description="attention heads of a block; a divisor of the width")
    dropout: float = Field(0.5, ge=0, lt=1, description="on vectors, attention and feed-forward layers")
    vocab_size: int = Field(
        8000, ge=260, le=1_000_000, description="most tokens of the vocabulary, trained on titles"
    )
    batch_size: int = Field(128, ge=1, le=1_000_000, description="histories in a batch of the training")
    min_steps: int = Field(
        2000, ge=0, le=10**6, description="epochs are repeated until there are so many updates, on small data"
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} does not divide width={self.width}")
        return self


class Pretrained(Group):
    """A pretrained checkpoint.

    It is tuned gently and briefly, as GenRec was (Ji et al. 2023), and reads whole titles, as it did before. A hundred
    million weights take more memory a token and more time a user than the compact model, so a batch holds fewer tokens
    and a validation fewer users, a few of them at once.
    """

    called = "a checkpoint (backbone=PATH)"
    defaults: ClassVar = {
        "training": {
            "learning_rate": 3e-4,
            "epochs": 5,
            "weight_decay": 0.0,
            "warmup_steps": 0.1,
            "batch_tokens": 2048,
            "evaluations": 5,
        },
        "code": {"length": "full"},
        "search": {"beams": 10},
        "validation_users": 200,
        "ranking_batch": 32,
    }
    # Over a vocabulary of tens of thousands every prefix that is tried costs as much as a step of a beam.
    by_token: ClassVar = {"search": {"kind": "beam"}}

    @classmethod
    def usual(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if given.get("training", {}).get("objective") != "token":
            return super().usual(given)
        return {**cls.defaults, "search": {**cls.defaults["search"], **cls.by_token["search"]}}

    kind: Literal["pretrained"] = Field("pretrained", description="a checkpoint, not a model from scratch")
    path: Name = Field(description="a checkpoint by folder or hub name")
    tuning: Literal["lora", "qlora", "full"] = Field("lora", description="how a checkpoint is tuned")
    lora_rank: int = Field(
        8,
        ge=1,
        le=4096,
        description="rank of LoRA's updates; 8 as published, more learns more and costs more",
    )
    lora_alpha: int = Field(
        16, ge=1, le=65_536, description="LoRA's updates are scaled by lora_alpha / lora_rank"
    )
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="on what LoRA's updates read")
    lora_targets: Names = Field((), description="endings of layers' names; none: the usual ones")


class Code(Group):
    """What is written for an item."""

    kind: Literal["title", "random", "sequential", "collaborative", "original"] = Field(
        "title", description="what is written for an item; original: the data's own ids, which mostly leak"
    )
    length: Literal["full", "shortest"] = Field("shortest", description="whole, or just enough to tell apart")


class Search(Group):
    """How the likeliest items are found in the trie."""

    kind: Literal["best-first", "beam"] = Field(
        "best-first",
        description="best-first: until the list is proved; beam: of fixed width, as published, and what a checkpoint "
        "with objective=token gets",
    )
    beams: int = Field(
        50, ge=1, le=4096, description="width of the beam; best-first goes on as one after many steps"
    )


class Training(Group):
    """How a model is trained."""

    objective: Literal["catalogue", "token"] = Field(
        "catalogue", description="softmax over children or vocabulary"
    )
    epochs: Passes = 18
    max_steps: int | None = Field(
        None,
        ge=0,
        le=10**9,
        description="end after that many steps, if the epochs have more; 0: a checkpoint as it is, untrained",
    )
    batch_tokens: BatchTokens = 4000
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=10_000, description="batches whose gradients make one update, for batches past the memory"
    )
    learning_rate: float = Field(
        2e-3,
        gt=0,
        le=10,
        description="of AdamW at its highest; 2e-3 suits a model from scratch, 1e-5 to 3e-4 a checkpoint",
    )
    weight_decay: float = Field(0.05, ge=0, le=10, description="of AdamW, beside the gradient")
    max_grad_norm: float = Field(1.0, ge=0, le=1e6, description="gradients are scaled down to it; 0: never")
    # Written down as it was given: a number of updates is no 100.0.
    warmup_steps: Annotated[float, PlainSerializer(lambda given: given)] = Field(
        100,
        ge=0,
        le=10**9,
        description="updates over which the learning rate rises from 0 to its highest; below 1: a share of all updates",
    )
    lr_scheduler_type: Literal["linear", "cosine", "inverse_sqrt", "constant", "constant_with_warmup"] = (
        Field("linear", description="how the learning rate falls after that; linear and cosine end at 0")
    )
    bf16: bool = Field(
        True, description="mixed precision in training; weights and decoding stay in full precision"
    )
    evaluations: Evaluations = 6
    patience: int = Field(
        0, ge=0, le=10_000, description="validations without a better NDCG@10 before stopping; 0: never stop"
    )
    report_to: Names = Field((), description="trackers of accelerate: wandb, tensorboard, mlflow, ...")

    @field_validator("warmup_steps")
    @classmethod
    def _whole_or_a_share(cls, warmup_steps: float) -> float:
        if 0 < warmup_steps < 1:
            return warmup_steps
        if warmup_steps != int(warmup_steps):
            raise ValueError("give a whole number of updates, or a share of them below 1")
        return int(warmup_steps)


class GenerativeConfig(Config):
    """Options of every recommender that writes names."""

    # Options that mean nothing where items are read: there they stay at their defaults.
    about_tokens: ClassVar[Sequence[str]] = ()

    backbone: Annotated[Compact | Pretrained, Field(discriminator="kind")]
    code: Code
    search: Search
    training: Training
    max_items: MaxItems = 50
    max_tokens: int = Field(
        4096, ge=16, le=1_000_000, description="longest row in tokens; oldest items are left out first"
    )
    validation_users: ValidationUsers = 500
    seed: Seed = 0
    threads: Threads | None = Field(None, description="CPU threads; null: as many as help")

    @property
    def reads_items(self) -> bool:
        """Whether histories are read item by item."""
        return self.backbone.kind == "items"  # type: ignore[comparison-overlap]  # where it is one of the kinds

    @model_validator(mode="after")
    def _something_is_known(self) -> Self:
        if self.training.max_steps == 0 and self.backbone.kind != "pretrained":
            raise ValueError(
                f"max_steps=0 trains nothing, and backbone={self.backbone.kind} knows nothing before: take a "
                "checkpoint (backbone=PATH), or a step at least"
            )
        return self

    @model_validator(mode="after")
    def _items_are_read_as_they_are(self) -> Self:
        if not self.reads_items:
            return self
        if self.training.objective != "catalogue":
            raise ValueError("backbone=items is trained by objective=catalogue: leave objective out")
        names = {*self.about_tokens, "max_tokens", "batch_tokens", "pretraining_epochs"}
        for group in (self, self.training):
            for name in sorted(names & type(group).model_fields.keys()):
                if (value := getattr(group, name)) != type(group).model_fields[name].default:
                    told = ",".join(value) if isinstance(value, tuple) else one_line(value)
                    raise ValueError(
                        f"{name}={told} is about tokens, and backbone=items reads items: leave it out, or take "
                        "backbone=compact"
                    )
        return self


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
    "transitions": {"text": "tfidf", "text_power": 0.5},
}


class PriorOptions(Config):
    """Options of a prior: whose scores of whole items are weighed, and how their weights are learned."""

    prior: Names | None = Field(
        None,
        description="recommenders, or runs, whose scores of whole items are weighed; null: bsarec and transitions, but "
        "none where tokens are read",
    )
    prior_options: dict[Name, dict[Name, Any]] = Field(
        {}, description="of recommenders of the prior, by their names; others stay at their defaults"
    )
    calibration_users: int = Field(
        2000,
        ge=1,
        le=10**9,
        description="validation users from whose next items the weights of a prior are learned; all if no more",
    )

    @property
    def expected_by(self) -> tuple[str, ...]:
        """What the prior is made of."""
        return tuple(PRIOR) if self.prior is None else self.prior

    @model_validator(mode="after")
    def _options_are_of_its_parts(self) -> Self:
        names = self.expected_by
        if strange := [name for name in self.prior_options if name not in names]:
            raise ValueError(
                f"options for {shown(strange[0])}, which is no part of the prior: it has {', '.join(names) or 'none'}"
            )
        return self


class WriterPriorOptions(PriorOptions, GenerativeConfig):
    """Options of a recommender that can write names with a prior."""

    @property
    def expected_by(self) -> tuple[str, ...]:
        return super().expected_by if self.prior is not None or self.reads_items else ()

    @model_validator(mode="after")
    def _children_are_weighed(self) -> Self:
        if self.expected_by and self.training.objective == "token":
            raise ValueError(
                "a prior weighs the children of trie nodes, which objective=token does not learn: take "
                "objective=catalogue, or leave prior out"
            )
        return self


class TaughtOptions(GenerativeConfig):
    """Options of a language model that reads items and learns from a recommender."""

    taught_by: Name | None = Field(
        None,
        description="sasrec, bsarec or a run of one: the language model learns what it expects, beside what was taken; "
        "null: nobody (backbone=items)",
    )
    taught_share: float = Field(
        0.9, gt=0, le=1, description="share of the items that are learned from the teacher (taught_by)"
    )

    @model_validator(mode="after")
    def _taught_fits(self) -> Self:
        if self.taught_by is not None and not self.reads_items:
            raise ValueError(
                f"taught_by={shown(self.taught_by)} teaches a model that reads items: take backbone=items, or leave "
                "taught_by out"
            )
        if self.taught_by is None and self.taught_share != type(self).model_fields["taught_share"].default:
            raise ValueError(
                f"taught_share={self.taught_share} has no teacher: name one (taught_by), or leave it out"
            )
        return self
