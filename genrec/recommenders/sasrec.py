"""SASRec: a small causal transformer over item vectors, trained by full cross-entropy over the catalogue.

Kang & McAuley 2018, https://arxiv.org/abs/1808.09781. What differs from the paper is told in docs/baselines.md.

Shape suffixes: R rows of packed histories, T places of a row, N new items, B histories, D width, I items, A ages.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, model_validator
from safetensors.torch import save_file
from torch import Tensor, nn

from genrec.backbones.base import twin
from genrec.backbones.dropout import Dropout
from genrec.backbones.hardware import built, device, full_precision, num_replicas, prepare_threads
from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, Interactions, Targets
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, register
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
from genrec.training.mixture import Batch
from genrec.training.objectives import PLACES_AT_ONCE, item_loss, unwrapped
from genrec.training.sequences import ItemSteps, pack
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
    batch_size: int = Field(512, ge=1, le=1_000_000, description="histories in a batch of the training")
    learning_rate: float = Field(
        1e-3, gt=0, le=10, description="of Adam, the same all the time; larger ones diverge on small data"
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
    max_items: MaxItems = 50
    training: SASRecTraining
    validation_users: ValidationUsers = 25_000
    seed: Seed = 0
    threads: Threads | None = Field(None, description="CPU threads; null: as many as help")

    @model_validator(mode="after")
    def _fits_together(self) -> SASRecConfig:
        if self.width % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} does not divide width={self.width}")
        return self


def past(segments_RT: Tensor) -> Tensor:
    """Which places (R, T, T) each place may look at: those of its own history up to itself."""
    return (segments_RT[:, :, None] == segments_RT[:, None]).tril()


class Attention(nn.Module):
    """Attention of each place to those that its row of `past_RTT` allows."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, Dropout(config.dropout)
        self.query, self.key, self.value, self.out = (nn.Linear(config.width, config.width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)
        # Glorot's rule for the three as one matrix (3D, D), as torch's own attention is drawn: smaller scores at first.
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(0.5))
        nn.init.xavier_normal_(self.out.weight)

    def forward(self, queries_RTD: Tensor, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        num_rows, num_places, width = x_RTD.shape

        def heads(vectors: Tensor) -> Tensor:
            return vectors.view(num_rows, num_places, self.num_heads, -1).transpose(1, 2)

        query, key, value = heads(self.query(queries_RTD)), heads(self.key(x_RTD)), heads(self.value(x_RTD))
        scores_RHTT = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        scores_RHTT = scores_RHTT.masked_fill(~past_RTT[:, None], -torch.inf)
        seen = self.dropout(scores_RHTT.softmax(dim=3)) @ value
        out: Tensor = self.out(seen.transpose(1, 2).reshape(num_rows, num_places, width))
        return out


class SASRecBlock(nn.Module):
    """Attention and a feed-forward layer; the norm stands before the queries only, and the second residual starts
    after it."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.query_norm, self.norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.inner, self.outer = nn.Linear(config.width, config.width), nn.Linear(config.width, config.width)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        x_RTD = x_RTD + self.attention(self.query_norm(x_RTD), x_RTD, past_RTT)
        x_RTD = self.norm(x_RTD)
        out: Tensor = x_RTD + self.dropout(self.outer(self.dropout(self.inner(x_RTD)).relu()))
        return out


class SASRecNetwork(nn.Module):
    """Packed histories in, hidden states out; the item vectors serve as output vectors too."""

    Block: ClassVar[type[nn.Module]] = SASRecBlock

    def __init__(self, num_items: int, config: SASRecConfig) -> None:
        super().__init__()
        self.item_vectors = nn.Parameter(nn.init.xavier_normal_(torch.empty(num_items, config.width)))
        # By age, so that the newest item always stands at the same place.
        self.age_vectors = nn.Parameter(nn.init.xavier_normal_(torch.empty(config.max_items, config.width)))
        self.blocks = nn.ModuleList(self.Block(config) for _ in range(config.depth))
        self.dropout, self.norm = Dropout(config.dropout), nn.LayerNorm(config.width)
        # Of each head scores, shares and what dropout left of them, and once which places may look.
        self.attention_copies = config.depth * (3 * config.num_heads + 1)

    def forward(self, items_RT: Tensor, ages_RT: Tensor, segments_RT: Tensor) -> Tensor:
        past_RTT = past(segments_RT)
        vectors_RTD = F.embedding(items_RT, self.item_vectors) * math.sqrt(self.item_vectors.shape[1])
        x_RTD = self.dropout(vectors_RTD + F.embedding(ages_RT, self.age_vectors))
        for block in self.blocks:
            x_RTD = block(x_RTD, past_RTT)
        out: Tensor = self.norm(x_RTD)
        return out


class ItemLoss:
    """Mean loss of a target of a batch, among all items."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype  # of the products

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        hidden_RTD = model(batch["items"], batch["ages"], batch["segments"])
        learnt_RT = batch["targets"] >= 0
        network = unwrapped(model)
        assert isinstance(network, SASRecNetwork)
        return item_loss(hidden_RTD[learnt_RT], network.item_vectors, batch["targets"][learnt_RT], self.dtype)

    def num_items(self, batch: Batch) -> int:
        return int((batch["targets"] >= 0).sum())

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        """Those of some places at a time among all items, and a copy of the items' vectors with its gradient."""
        network = unwrapped(model)
        assert isinstance(network, SASRecNetwork)
        num_items, width = network.item_vectors.shape
        return num_items * (PLACES_AT_ONCE + 2 * width)


@register("sasrec")
class SASRec(Recommender):
    """history -> item and position vectors -> causal self-attention -> softmax over all items.

    Full cross-entropy makes it one of the strongest baselines there are; its many poor figures in the literature
    come from one sampled negative (Petrov & Macdonald 2023, https://arxiv.org/abs/2308.07192; Klenitskiy &
    Vasilev 2023, https://arxiv.org/abs/2309.07602). Practical limits: time and memory grow with the number of items
    (a vector each); some 100k items are comfortable. An item that is added later has the mean of all vectors until
    the next fit.
    """

    Config: ClassVar[type[SASRecConfig]] = SASRecConfig
    pipeline: ClassVar[str] = "item and position vectors -> causal self-attention -> softmax over all items"
    paper: ClassVar[str] = "Kang & McAuley 2018, https://arxiv.org/abs/1808.09781"
    probabilistic: ClassVar[bool] = True
    tiny: ClassVar[dict[str, Any]] = {
        "width": 32,
        "dropout": 0.1,
        "batch_size": 36,
        "learning_rate": 5e-3,
        "epochs": 60,
        "evaluations": 1,
    }

    network_: SASRecNetwork

    def _new_network(self, num_items: int) -> SASRecNetwork:
        return SASRecNetwork(num_items, self.config)

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config, training = self.config, self.config.training
        prepare_threads(config.threads)
        torch.manual_seed(config.seed)
        counts_I = np.bincount(train_data.histories.items, minlength=train_data.num_items) + 1.0
        self.popularity_I_: FloatArray = np.log(counts_I / counts_I.sum()).astype(np.float32)
        lower = "width, depth or max_items"
        self.network_ = built(lambda: self._new_network(train_data.num_items), lower).to(device())
        steps = ItemSteps(
            train_data.histories,
            max_items=config.max_items,
            batch_size=training.batch_size,
            num_epochs=training.epochs,
            seed=config.seed,
        )
        if not len(steps):
            raise ConfigError(f"no history has two items, so there is nothing for {self.name} to learn")
        options = TrainingOptions(
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            coupled_decay=True,
            adam_beta2=0.999,
            max_grad_norm=0.0,
            warmup_steps=0,
            lr_scheduler_type="constant",
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
            train(self.network_, ItemLoss(dtype), steps, options, folder, validate=validate, resume=resume)

    @torch.inference_mode()
    def _score(self, histories: Histories) -> FloatArray:
        known = np.flatnonzero(histories.lengths)
        # Who has no history yet is offered what is popular.
        scores_BI = np.tile(self.popularity_I_, (len(histories), 1))
        if len(known):
            newest = [items[-self.config.max_items :] for items in histories.take(known)]
            batch, start_S = pack(newest, max(map(len, newest)))
            hidden_RTD = self.network_(*(batch[name].to(device()) for name in ("items", "ages", "segments")))
            last_S = torch.from_numpy(start_S + [len(items) - 1 for items in newest]).to(device())
            logits_SI = hidden_RTD.flatten(0, 1)[last_S] @ self.network_.item_vectors.T
            scores_BI[known] = torch.log_softmax(logits_SI, dim=1).cpu().numpy()
        return scores_BI

    def _catalogue_changed(self, trained: Catalogue) -> None:
        num_new = len(self.catalogue) - len(trained)
        vectors_ID = self.network_.item_vectors.detach()
        mean_ND = vectors_ID.mean(dim=0).expand(num_new, -1)
        self.network_ = twin(self.network_)
        self.network_.item_vectors = nn.Parameter(torch.cat([vectors_ID, mean_ND]))
        self.popularity_I_ = np.pad(
            self.popularity_I_, (0, num_new), constant_values=self.popularity_I_.min()
        )

    def _save(self, folder: Path) -> None:
        state = {**self.network_.state_dict(), "popularity": torch.from_numpy(self.popularity_I_)}
        write_atomically(folder / f"{self.name}.safetensors", lambda path: save_file(state, path))

    def _load(self, folder: Path) -> None:
        prepare_threads(self.config.threads)
        state = read_safetensors(folder / f"{self.name}.safetensors", ["popularity"], framework="pt")
        self.popularity_I_ = state.pop("popularity").numpy()
        self.network_ = self._new_network(len(self.popularity_I_))
        self.network_.load_state_dict(state)
        self.network_.to(device()).eval()
