"""What all recommenders share that write names: codes and their trie, the search, growth, saving.

A recommender brings the words around a history, what is learnt, and its backbone.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator
from safetensors.numpy import save_file
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact import HEAD, CompactBackbone, compact_width, shared_by_heads
from genrec.backbones.hardware import built, device, full_precision, num_replicas, prepare_threads
from genrec.backbones.tokenizer import PretrainedTokenizer, TextTokenizer, TrainedTokenizer, WordTokenizer
from genrec.codes.collaborative import collaborative_codes
from genrec.codes.growth import TrainedCodes
from genrec.codes.numbered import number_titles, original_numbers, random_numbers, sequential_numbers
from genrec.codes.title import title_codes
from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import read_json, read_safetensors, write_atomically, write_json
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Found
from genrec.errors import ConfigError, RunError
from genrec.recommenders.base import Recommender
from genrec.recommenders.options import (
    BatchTokens,
    Config,
    Depth,
    Evaluations,
    MaxItems,
    Name,
    Names,
    Passes,
    Seed,
    Threads,
    ValidationUsers,
    Width,
)
from genrec.training.objectives import CodeLoss
from genrec.training.trainer import TrainingOptions, Validate
from genrec.training.validation import ranking_validation


class WriterConfig(Config):
    """Options of every recommender that writes names."""

    backbone: Name = Field("compact", description="'compact', or a checkpoint by folder or hub name")
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
    code: Literal["title", "random", "sequential", "collaborative", "original"] = Field(
        "title", description="what is written for an item; original: the data's own ids, which mostly leak"
    )
    code_length: Literal["full", "shortest"] = Field(
        "shortest", description="whole, or just enough to tell apart"
    )
    objective: Literal["catalogue", "token"] = Field(
        "catalogue", description="softmax over children or vocabulary"
    )
    max_items: MaxItems = 50
    max_tokens: int = Field(
        4096, ge=16, le=1_000_000, description="longest row in tokens; oldest items are left out first"
    )
    stride: int = Field(
        0, ge=0, le=10_000, description="positions from item to item; 0: positions count tokens"
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
    validation_users: ValidationUsers = 500
    search: Literal["best-first", "beam"] = Field(
        "best-first", description="best-first: until the list is proved; beam: of fixed width, as published"
    )
    beams: int = Field(
        50, ge=1, le=4096, description="width of the beam; best-first goes on as one after many steps"
    )
    seed: Seed = 0
    threads: Threads | None = Field(None, description="CPU threads; null: as many as help")
    report_to: Names = Field((), description="trackers of transformers: wandb, tensorboard, mlflow, ...")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        width = self.width or compact_width(self.depth)
        if self.backbone == "compact" and not shared_by_heads(width):
            raise ValueError(
                f"width={width} is not shared out evenly by heads of {HEAD}, in pairs of numbers: take a multiple of "
                f"{HEAD}"
            )
        return self


class Questions(Protocol):
    """Histories, ready to be read.

    `lengths`: tokens of each.
    """

    lengths: list[int]

    def prefix(self, rows: IntArray) -> Prefix:
        """Those of `rows` as tensors."""


class GenerativeRecommender(Recommender):
    """A recommender that writes the next item's name and looks for the likeliest in the catalogue's trie."""

    probabilistic = True

    backbone_: Backbone
    tokenizer_: TextTokenizer
    codes_: Codes
    trie_: Trie
    tensors_: TrieTensors
    numbers_: np.ndarray | None
    trained_codes_: TrainedCodes

    # -- what such a recommender brings ----------------------------------------------------------------------

    def _prepare(self, train_data: Interactions) -> None:
        """What is to be known before there is a tokenizer."""

    @abstractmethod
    def _new_backbone(self, trie: Trie) -> Backbone:
        """A backbone that has not learnt yet."""

    @abstractmethod
    def _saved_backbone(self, folder: Path, compact: bool) -> Backbone:
        """The backbone that was saved there."""

    @abstractmethod
    def _learn(self, train_data: Interactions, validate: Validate | None, folder: Path, resume: bool) -> None:
        """Train the backbone."""

    @abstractmethod
    def _write_with(self, codes: Codes, trie: Trie) -> None:
        """Write histories with these codes from now on."""

    @abstractmethod
    def questions(self, histories: Histories) -> Questions:
        """Histories, ready to be read."""

    @abstractmethod
    def _states_before(self, history: IntArray, item: int) -> Tensor:
        """The states (L, D) from which each token of the item's code is predicted."""

    def prompt_texts(self) -> list[str]:
        """What stands in questions beside names."""
        return []

    def _spelt(self) -> list[str]:
        """What else than names the tokenizer has to spell."""
        return self.prompt_texts()

    def _words_of_their_own(self) -> list[str]:
        """Words that are a token each and that no text can spell."""
        return []

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config = self.config
        if config.code == "collaborative" and config.backbone != "compact":
            raise ConfigError(
                "code=collaborative needs backbone=compact: a checkpoint has no embeddings for words of our own; take "
                "code=title or code=sequential with it"
            )
        prepare_threads(config.threads)
        torch.manual_seed(config.seed)
        self._prepare(train_data)
        self.numbers_ = self._numbers(train_data)
        self.tokenizer_, words, coded = self._new_tokenizer(), self._words_of_their_own(), None
        if config.code == "collaborative":
            coded = collaborative_codes(train_data.histories, len(self.catalogue), seed=config.seed)
            words = [*words, *coded.words]
        if words:
            self.tokenizer_ = WordTokenizer(self.tokenizer_, words)
        if coded is not None:
            first = self.tokenizer_.vocab_size - len(coded.words)
            codes = Codes((first + coded.codes.items).astype(np.int32), coded.codes.offsets)
        else:
            codes = self._new_codes(self.numbers_)
        trie = Trie.build(codes)
        self.backbone_ = self._fitting_backbone(trie).to(device())
        self._use_codes(trie)
        self._keep_codes()
        validate = ranking_validation(self.rank, validation, config.validation_users, config.seed)
        with tempfile.TemporaryDirectory() as scratch:
            self._learn(train_data, validate, run if run is not None else Path(scratch), resume)

    def _fitting_backbone(self, trie: Trie) -> Backbone:
        if self.config.backbone != "compact":
            return self._new_backbone(trie)
        return built(
            lambda: self._new_backbone(trie), "depth, width or vocab_size, or take node_vectors=false"
        )

    @property
    def _mixed_precision(self) -> bool:
        return bool(self.config.bf16 and not full_precision())

    def _tuning(self) -> dict[str, Any]:
        """How a checkpoint is tuned, as pretrained backbones take it."""
        names = ("tuning", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets")
        return {name: getattr(self.config, name) for name in names}

    def _training_options(self) -> TrainingOptions:
        config = self.config
        return TrainingOptions(
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            warmup_steps=config.warmup_steps,
            lr_scheduler_type=config.lr_scheduler_type,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            bf16=self._mixed_precision,
            seed=config.seed,
            evaluations=config.evaluations,
            patience=config.patience,
            report_to=config.report_to,
            # A checkpoint's products are large enough for torch's own threads.
            replicas=num_replicas() if config.backbone == "compact" else 1,
        )

    def _loss(self) -> CodeLoss:
        dtype = torch.bfloat16 if self._mixed_precision else torch.float32
        return CodeLoss(self.trie_, self.config.objective, device(), dtype)

    def _numbers(self, train_data: Interactions) -> np.ndarray | None:
        """The number of each item, where numbers are written in place of titles."""
        if self.config.code == "random":
            return random_numbers(len(self.catalogue), self.config.seed)
        if self.config.code == "sequential":
            return sequential_numbers(train_data.histories, len(self.catalogue), self.config.seed)
        if self.config.code == "original":
            return original_numbers(self.catalogue.ids)
        return None

    def _names(self, numbers: np.ndarray | None) -> list[str]:
        """What is written for each item, before it is made unique and cut short."""
        return self.catalogue.titles if numbers is None else number_titles(numbers)

    def _new_tokenizer(self) -> TextTokenizer:
        if self.config.backbone != "compact":
            return PretrainedTokenizer(self.config.backbone)
        names = [] if self.config.code == "collaborative" else self._names(self.numbers_)
        return TrainedTokenizer.train(
            [*names, *self._spelt()], self.config.vocab_size, digit_pairs=self.numbers_ is not None
        )

    @property
    def _always_close(self) -> bool:
        # A model that learns to write from nothing but these codes needs no word for "the title ends here".
        return bool(self.config.backbone != "compact" or self.config.code_length == "full")

    def _new_codes(self, numbers: np.ndarray | None) -> Codes:
        tokenizer = self.tokenizer_
        return title_codes(
            self._names(numbers),
            tokenizer.encode,
            tokenizer.end,
            self.config.code_length,
            always_close=self._always_close,
        )

    def _use_codes(self, trie: Trie) -> None:
        """Write and read with these codes from now on."""
        self._write_with(trie.codes, trie)
        self.codes_, self.trie_ = trie.codes, trie
        self.tensors_ = TrieTensors.of(trie, device())

    def _keep_codes(self) -> None:
        """Remember that the codes in use are those of the training, and how they came about."""
        self.trained_codes_ = TrainedCodes(
            self.trie_,
            self._names(self.numbers_),
            self.tokenizer_.encode,
            self.tokenizer_.end,
            self.config.code_length,
            self._always_close,
        )

    # -- answering -------------------------------------------------------------------------------------------

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        search = BeamSearch(
            self.backbone_,
            self.tensors_,
            "children" if self.config.objective == "catalogue" else "vocabulary",
        )
        questions = self.questions(histories)
        found = Found.nothing(len(histories), k, device())
        open_to_all = Constraint(self.tensors_, allowed=allowed)
        for group in of_like_length(questions.lengths):

            def constraint(rows: torch.Tensor, group: np.ndarray = group) -> Constraint:
                seen = histories.take(group[rows.cpu().numpy()]) if exclude_seen else None
                return open_to_all.hiding(seen)

            prefix = questions.prefix(group)
            if exact:
                lists = search.search_exact(prefix, constraint, k, self.config.beams)
            else:
                way = search.search if self.config.search == "beam" else search.search_best_first
                lists = way(prefix, constraint(torch.arange(len(group))), k, self.config.beams)
            found.put(torch.from_numpy(group).to(device()), lists)
        return as_rankings(found)

    @torch.inference_mode()
    def _why(self, history: list[int], item: int) -> list[tuple[str, float]]:
        """The pieces of the item's code up to its last decision, each with its probability among the choices."""
        states_LD = self._states_before(np.asarray(history, np.int32), item)
        code, path = self.codes_[item], self.trie_.paths[item]
        pieces: list[tuple[list[int], float]] = []
        for place, (token, node) in enumerate(zip(code.tolist(), path.tolist(), strict=True)):
            parent = int(self.trie_.parent_N[node])
            first, last = self.trie_.first_child_N1[parent], self.trie_.first_child_N1[parent + 1]
            if pieces and (node == 0 or last - first == 1):  # the item's tail, or a forced token
                pieces[-1][0].append(token)
                continue
            nodes_C = torch.arange(int(first), int(last), device=device())
            vectors_CD = self.backbone_.edge_vectors(self.tensors_.token_N[nodes_C], nodes_C)
            chance_C = torch.softmax((vectors_CD.to(states_LD.dtype) @ states_LD[place]).float(), dim=0)
            pieces.append(([token], float(chance_C[node - int(first)])))
        return [(self.tokenizer_.decode(tokens), chance) for tokens, chance in pieces]

    # -- the catalogue lives ---------------------------------------------------------------------------------

    def _catalogue_changed(self, trained: Catalogue) -> None:
        num_new = len(self.catalogue) - len(trained)
        if self.config.code == "collaborative":
            if num_new:
                raise ConfigError(
                    "new items have no collaborative code, which comes from what users took: fit again, or take titles"
                )
            return  # what items are called does not change their codes
        if self.numbers_ is not None:
            top = int(self.numbers_.max(initial=-1)) + 1
            self.numbers_ = np.concatenate([self.numbers_, top + np.arange(num_new)])
        trie, moved = self.trained_codes_.grown(self._names(self.numbers_))
        self._use_codes(trie)
        if isinstance(self.backbone_, CompactBackbone):
            self.backbone_ = self.backbone_.with_nodes(torch.from_numpy(moved), trie.num_nodes)

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        self.backbone_.save(folder / "backbone")
        self.tokenizer_.save(folder)
        numbers = {} if self.numbers_ is None else {"numbers": self.numbers_}
        arrays = {"tokens": self.codes_.items, "offsets": self.codes_.offsets, **numbers}
        write_atomically(folder / "codes.safetensors", lambda path: save_file(arrays, path))
        about = {"compact": isinstance(self.backbone_, CompactBackbone)}
        write_json(folder / "genrec.json", about, indent=None)

    def _load(self, folder: Path) -> None:
        prepare_threads(self.config.threads)
        arrays = read_safetensors(folder / "codes.safetensors", ["tokens", "offsets"])
        self.numbers_ = arrays.get("numbers")
        compact = read_json(folder / "genrec.json", _Saved).compact
        if compact:
            self.tokenizer_ = TrainedTokenizer.load(folder)
        else:
            self.tokenizer_ = PretrainedTokenizer(str(folder))
        if (folder / "words.json").exists():
            self.tokenizer_ = WordTokenizer.load(folder, self.tokenizer_)
        backbone = self._saved_backbone(folder / "backbone", compact)
        self.backbone_ = backbone.to(device()).eval()
        codes = Codes(arrays["tokens"], arrays["offsets"])
        trie = Trie.build(codes)
        if isinstance(backbone, CompactBackbone):
            num_nodes = backbone.arguments["num_nodes"]
            if num_nodes not in (0, trie.num_nodes):
                raise RunError(
                    f"{folder} has {num_nodes} node vectors where its codes have {trie.num_nodes} nodes, as before a "
                    "trie ended where an item is alone: train again"
                )
        self._use_codes(trie)
        self._keep_codes()


class _Saved(BaseModel):
    """What `genrec.json` holds."""

    compact: bool  # our own backbone, not a pretrained checkpoint


def of_like_length(lengths: Sequence[int]) -> list[np.ndarray]:
    """The rows in groups of about the same length, so that few tokens are padding."""
    steps = np.ceil(np.log2(np.array(lengths) + 16) * 3).astype(int)  # a step is a quarter of the length
    return [np.flatnonzero(steps == step) for step in np.unique(steps)]


def as_rankings(found: Found) -> Rankings:
    """What a search found, as what a recommender answers."""
    return Rankings(
        found.item_Bk.cpu().numpy().astype(np.int32),
        found.score_Bk.float().cpu().numpy(),
        found.exact_B.cpu().numpy(),
    )
