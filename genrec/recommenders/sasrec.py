"""SASRec: a small causal transformer over item vectors, trained by full cross-entropy over the catalogue.

Kang & McAuley 2018, https://arxiv.org/abs/1808.09781. What differs from the paper is told in docs/baselines.md.

Shape suffixes: R rows of packed histories, T places of a row, N new items, B histories, D width, I items, A ages.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, model_validator
from safetensors.torch import save_file
from torch import Tensor, nn

from genrec.backbones.base import twin
from genrec.backbones.hardware import built, device, full_precision, num_replicas, prepare_threads
from genrec.backbones.item_encoder import SASRecNetwork, Sizes
from genrec.backbones.item_vectors import Bags
from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.features import Features, Vocabulary
from genrec.recommenders.options import (
    Config,
    Evaluations,
    Group,
    MaxItems,
    Names,
    Seed,
    Threads,
    ValidationUsers,
)
from genrec.recommenders.start import check_same_kind, check_same_sizes, in_both
from genrec.training.mixture import Batch
from genrec.training.objectives import PLACES_AT_ONCE, item_loss, unwrapped
from genrec.training.sequences import ItemSteps, newest_states
from genrec.training.trainer import TrainingOptions, train
from genrec.training.validation import ranking_validation


class SASRecTraining(Group):
    """How `sasrec` is trained."""

    epochs: int = Field(
        100,
        ge=1,
        le=10_000,
        description="passes over the training part, if patience does not end them sooner",
    )
    min_steps: int = Field(
        0, ge=0, le=10**6, description="epochs are repeated until there are so many updates, on small data"
    )
    batch_size: int = Field(512, ge=1, le=1_000_000, description="histories in a batch of the training")
    learning_rate: float = Field(
        1e-3, gt=0, le=10, description="of Adam at its highest; larger ones diverge on small data"
    )
    lr_scheduler_type: Literal["constant", "linear"] = Field(
        "constant", description="the learning rate stays, or falls to 0 by the last epoch"
    )
    warmup_steps: int = Field(
        0, ge=0, le=10**9, description="updates over which the learning rate rises from 0 to its highest"
    )
    sampled_items: int = Field(
        0,
        ge=0,
        le=10**7,
        description="items that stand in a step for all that its batch does not hold; 0: all items are scored",
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="part of the gradient, as in Adam")
    evaluations: Evaluations = 20
    patience: int = Field(
        6, ge=0, le=10_000, description="validations without a better NDCG@10 before stopping; 0: never stop"
    )
    bf16: bool = Field(True, description="bfloat16 products in the loss, where the processor has them")
    report_to: Names = Field((), description="trackers of accelerate: wandb, tensorboard, mlflow, ...")


class SASRecConfig(Config):
    """Options of `sasrec`."""

    depth: int = Field(2, ge=1, le=64, description="blocks")
    width: int = Field(64, ge=1, le=16_384, description="size of the item vectors")
    num_heads: int = Field(1, ge=1, le=1024, description="attention heads of a block; a divisor of the width")
    dropout: float = Field(0.6, ge=0, lt=1, description="on vectors, attention and feed-forward layers")
    features: Features = ()
    own_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the items that are known in a step by their features alone; for unknown items",
    )
    max_items: MaxItems = 50
    training: SASRecTraining
    validation_users: ValidationUsers = 25_000
    seed: Seed = 0
    threads: Threads | None = Field(None, description="CPU threads; null: as many as help")

    @property
    def sizes(self) -> Sizes:
        """Of the encoder."""
        return Sizes(**self.model_dump(include={field.name for field in fields(Sizes)}))

    @model_validator(mode="after")
    def _fits_together(self) -> SASRecConfig:
        if self.width % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} does not divide width={self.width}")
        if self.own_dropout and not self.features:
            raise ValueError(
                f"own_dropout={self.own_dropout} leaves items without any vector: name features, or take own_dropout=0"
            )
        return self


class ItemLoss:
    """Mean loss of a target of a batch, among all candidates or among some."""

    def __init__(self, dtype: torch.dtype, sampled_items: int, candidate_I: Tensor | None = None) -> None:
        """See `Config` for the rest.

        Args:
            dtype: of the products, where all items are scored.
            sampled_items: 0: all items are scored.
            candidate_I: mask (I,) of what can be taken; every item of a batch is one. None: all items.
        """
        self.dtype, self.sampled_items, self.candidate_I = dtype, sampled_items, candidate_I

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        network = unwrapped(model)
        assert isinstance(network, SASRecNetwork)
        learned_RT = batch["targets"] >= 0
        target_N = batch["targets"][learned_RT]
        if not self.sampled_items:
            table_ID = network.vectors.table()
            vectors_RTD = F.embedding(batch["items"], table_ID)
            hidden_RTD = model(vectors_RTD, batch["ages"], batch["segments"])
            if self.candidate_I is not None:
                table_ID, target_N = table_ID[self.candidate_I], self.candidate_I.cumsum(0)[target_N] - 1
            return item_loss(hidden_RTD[learned_RT], table_ID, target_N, self.dtype)
        drawn = sampled(batch["items"], target_N, network, self.sampled_items, self.candidate_I)
        vectors_CD = network.vectors(drawn.item_C)
        vectors_RTD = F.embedding(drawn.column_I[batch["items"]], vectors_CD)
        hidden_RTD = model(vectors_RTD, batch["ages"], batch["segments"])
        logits_NC = hidden_RTD[learned_RT] @ vectors_CD.T + drawn.log_stand_for_C
        return F.cross_entropy(logits_NC, drawn.column_I[target_N])

    def num_items(self, batch: Batch) -> int:
        return int((batch["targets"] >= 0).sum())

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        """Those of all items, at some places at a time, with a copy of the items' vectors and its gradient; or those of
        the sampled ones at all places, with their gradients."""
        network = unwrapped(model)
        assert isinstance(network, SASRecNetwork)
        num_items, width = network.vectors.num_items, network.age_vectors.shape[1]
        if not self.sampled_items:
            return num_items * (PLACES_AT_ONCE + 2 * width)
        num_targets = self.num_items(batch)
        return 3 * num_targets * (self.sampled_items + batch["items"].numel() + num_targets)


@dataclass(frozen=True)
class Sampled:
    """Items that a loss is taken among: those of the batch, and others that stand for all the rest.

    `item_C`; `column_I`, where each item of the batch is among them; `log_stand_for_C`, the logarithm of how many items
    each stands for, which is added to its logit so that the sum over them estimates that over the catalogue.
    """

    item_C: Tensor
    column_I: Tensor
    log_stand_for_C: Tensor


def sampled(
    item_RT: Tensor,
    target_N: Tensor,
    network: SASRecNetwork,
    count: int,
    candidate_I: Tensor | None = None,
) -> Sampled:
    """The items of a batch and up to `count` others, drawn alike from all and with the dropout's generator.

    `candidate_I`: those of them that are no candidates (I,) are left out again.

    An importance-sampled softmax (Bengio & Senécal 2003, https://www.iro.umontreal.ca/~lisa/pointeurs/senecal_aistats2003.pdf)
    whose proposal is even over the items that the batch does not hold, and in which the batch's own count in full.
    """
    num_items, at = network.vectors.num_items, item_RT.device
    here_I = torch.zeros(num_items, dtype=torch.bool, device=at)
    here_I[item_RT.flatten()] = True
    here_I[target_N] = True
    generator = network.vectors.own_dropout.generator if item_RT.is_cpu else None
    drawn_I = torch.zeros_like(here_I)
    drawn_I[torch.randint(num_items, (count,), generator=generator, device=at)] = True
    drawn_I &= ~here_I
    if candidate_I is not None:
        drawn_I &= candidate_I
    of_batch_C, others_C = (torch.nonzero(mask_I).squeeze(1) for mask_I in (here_I, drawn_I))
    item_C = torch.cat([of_batch_C, others_C])
    column_I = torch.zeros(num_items, dtype=torch.int64, device=at)
    column_I[item_C] = torch.arange(len(item_C), device=at)
    log_C = torch.zeros(len(item_C), device=at)
    if len(others_C):  # a batch of a small catalogue may hold every item
        num_candidates = num_items if candidate_I is None else int(candidate_I.sum())
        log_C[len(of_batch_C) :] = math.log((num_candidates - len(of_batch_C)) / len(others_C))
    return Sampled(item_C, column_I, log_C)


@register("sasrec")
class SASRec(Recommender):
    """history -> item and position vectors -> causal self-attention -> softmax over all items.

    Full cross-entropy makes it one of the strongest baselines there are; its many poor figures in the literature
    come from one sampled negative (Petrov & Macdonald 2023, https://arxiv.org/abs/2308.07192; Klenitskiy &
    Vasilev 2023, https://arxiv.org/abs/2309.07602). Practical limits: time and memory grow with the number of items
    (a vector each); some 100k items are comfortable. An item that was never taken in training, or is added later, is
    known by its words where there are `features`; without them an added one has the mean of all vectors until the next
    fit.
    """

    Config: ClassVar[type[SASRecConfig]] = SASRecConfig
    pipeline: ClassVar[str] = "item and position vectors -> causal self-attention -> softmax over all items"
    paper: ClassVar[str] = "Kang & McAuley 2018, https://arxiv.org/abs/1808.09781"
    probabilistic = True
    tiny: ClassVar[dict[str, Any]] = {
        "width": 32,
        "dropout": 0.1,
        "batch_size": 36,
        "learning_rate": 5e-3,
        "epochs": 60,
        "evaluations": 1,
    }

    network_: SASRecNetwork
    vocabulary_: Vocabulary

    def _new_network(self, bags: Bags) -> SASRecNetwork:
        return SASRecNetwork(bags, self.config.sizes, own_dropout=self.config.own_dropout)

    def _check_start(self, earlier: Recommender) -> None:
        check_same_kind(earlier, self.name)
        before, now = (vars(config.sizes) | {"dropout": None} for config in (earlier.config, self.config))
        check_same_sizes(before, now)

    def _begin_at(self, earlier: Recommender) -> None:
        """Take over what an earlier one has learnt of the same items and words, and its layers."""
        earlier = earlier.as_trained
        assert isinstance(earlier, SASRec)
        items = in_both(self.catalogue.ids, earlier.catalogue.ids)
        words = in_both(self.vocabulary_.words, earlier.vocabulary_.words)
        self.network_.begin_at(earlier.network_)
        self.network_.vectors.begin_at(earlier.network_.vectors, items, words)

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config, training = self.config, self.config.training
        prepare_threads(config.threads)
        torch.manual_seed(config.seed)
        taken_I = np.bincount(train_data.histories.items, minlength=train_data.num_items)
        self.popularity_I_: FloatArray = np.log((taken_I + 1.0) / (taken_I + 1.0).sum()).astype(np.float32)
        lower = "width, depth or max_items"
        self.vocabulary_ = Vocabulary.of(self.catalogue, config.features)
        bags = self.vocabulary_.bags(self.catalogue)
        self.network_ = built(lambda: self._new_network(bags), lower).to(device())
        if self._start is not None:
            self._begin_at(self._start.model)
        steps = ItemSteps(
            train_data.histories,
            max_items=config.max_items,
            batch_size=training.batch_size,
            num_epochs=training.epochs,
            seed=config.seed,
            min_steps=training.min_steps,
            budget=1.0 if self._start is None else self._start.budget,
        )
        if not len(steps):
            raise ConfigError(f"no history has two items, so there is nothing for {self.name} to learn")
        options = TrainingOptions(
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            coupled_decay=True,
            adam_beta2=0.999,
            max_grad_norm=0.0,
            warmup_steps=training.warmup_steps,
            lr_scheduler_type=training.lr_scheduler_type,
            gradient_accumulation_steps=1,
            bf16=False,  # products this small gain nothing; the loss has its own
            seed=config.seed,
            evaluations=training.evaluations,
            patience=training.patience,
            report_to=training.report_to,
            replicas=num_replicas(),
        )
        dtype = torch.bfloat16 if training.bf16 and not full_precision() else torch.float32

        validate = ranking_validation(self.rank, validation, config.validation_users, config.seed)
        with tempfile.TemporaryDirectory() as scratch:
            folder = run if run is not None else Path(scratch)
            loss = ItemLoss(dtype, training.sampled_items, self._candidates(taken_I))
            train(self.network_, loss, steps, options, folder, validate=validate, resume=resume)

    def _candidates(self, taken_I: IntArray) -> Tensor | None:
        """What the training chooses among (I,): where items have words, those that were taken; None: all.

        An item that nobody took would be learned to be taken by nobody, and its words with it. So it is left to what
        its words say, as one that comes after the training.
        """
        if not len(self.network_.vectors.words) or taken_I.all():
            return None
        return torch.from_numpy(taken_I > 0).to(device())

    def _score(self, histories: Histories) -> FloatArray:
        return self._after(histories, lambda logits_SI: torch.log_softmax(logits_SI, dim=1))

    def _scores(self, histories: Histories) -> dict[str, FloatArray]:
        # What is added to all scores of a user changes no softmax over them.
        return {self.name: self._after(histories, lambda logits_SI: logits_SI)}

    @torch.inference_mode()
    def states(self, histories: Histories) -> Tensor:
        """The states (B, D) after histories of at least one item, whose products with the items' vectors are logits."""
        return newest_states(self.network_, histories, self.config.max_items)

    @torch.inference_mode()
    def _after(self, histories: Histories, scores: Callable[[Tensor], Tensor]) -> FloatArray:
        """What becomes of the logits; who has no history yet is offered what is popular."""
        known = np.flatnonzero(histories.lengths)
        if not len(known):
            return np.tile(self.popularity_I_, (len(histories), 1))
        states_SD = self.states(histories.take(known))
        scores_SI = scores(states_SD @ self.network_.vectors.table().T).numpy(force=True)
        if len(known) == len(histories):
            return scores_SI
        scores_BI = np.tile(self.popularity_I_, (len(histories), 1))
        scores_BI[known] = scores_SI
        return scores_BI

    def _catalogue_changed(self, trained: Catalogue) -> None:
        num_new = len(self.catalogue) - len(trained)
        self.network_ = twin(self.network_)
        self.network_.vectors = self.network_.vectors.grown(self.vocabulary_.bags(self.catalogue))
        self.popularity_I_ = np.pad(
            self.popularity_I_, (0, num_new), constant_values=self.popularity_I_.min()
        )

    def _save(self, folder: Path) -> None:
        state = {**self.network_.state_dict(), "popularity": torch.from_numpy(self.popularity_I_)}
        write_atomically(folder / f"{self.name}.safetensors", lambda path: save_file(state, path))
        if self.config.features:
            self.vocabulary_.save(folder / "features.json")

    def _load(self, folder: Path) -> None:
        prepare_threads(self.config.threads)
        state = read_safetensors(folder / f"{self.name}.safetensors", ["popularity"], framework="pt")
        if "item_vectors" in state:  # before items had features
            state["vectors.own"] = state.pop("item_vectors")
            state["vectors.words"] = state["vectors.own"][:0]
        self.popularity_I_ = state.pop("popularity").numpy()
        self.vocabulary_ = (
            Vocabulary.load(folder / "features.json") if self.config.features else Vocabulary({})
        )
        self.network_ = self._new_network(self.vocabulary_.bags(self.catalogue))
        self.network_.load_state_dict(state)
        self.network_.to(device()).eval()
