"""The options that all recommenders share that write names, in groups."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from genrec.backbones.compact import HEAD, compact_width, shared_by_heads
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


class Pretrained(Group):
    """A pretrained checkpoint.

    It is tuned gently and briefly, as GenRec was (Ji et al. 2023), and reads whole titles, as it did before.
    """

    called = "a checkpoint (backbone=PATH)"
    defaults: ClassVar = {
        "training": {"learning_rate": 3e-4, "epochs": 5, "weight_decay": 0.0},
        "code": {"length": "full"},
        "search": {"beams": 10},
    }

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
        "best-first", description="best-first: until the list is proved; beam: of fixed width, as published"
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
        None, ge=1, le=10**9, description="end after that many steps, if the epochs have more"
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
    warmup_steps: int = Field(
        100, ge=0, le=10**9, description="updates over which the learning rate rises from 0 to its highest"
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


class GenerativeConfig(Config):
    """Options of every recommender that writes names."""

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


class PriorOptions(Config):
    """Options of a recommender that can write with a prior."""

    prior: Names | None = Field(
        None,
        description="recommenders, or runs, whose scores of whole items are weighed into what is written; null: bsarec "
        "and transitions where items are read (backbone=items), else none",
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
