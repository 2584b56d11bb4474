"""What all recommenders share that write names: they hold a codebook, a backbone, and a ranker made of both.

A recommender brings the words around a history and what is learnt. Its `_fit` makes the parts in the order in which one
needs the other: what is written beside names, the codebook, the backbone, the examples.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from pydantic import BaseModel
from safetensors.numpy import save_file
from torch import Tensor

from genrec.backbones.base import NodeModel
from genrec.backbones.children import child_logits
from genrec.backbones.hardware import built, device, full_precision, num_replicas, prepare_threads
from genrec.backbones.item_reader import ItemReader
from genrec.backbones.tokenizer import TextTokenizer
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import read_safetensors
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.decoding.offsets import Offsets
from genrec.decoding.prior import PriorOf
from genrec.decoding.ranker import Questions, TrieRanker
from genrec.errors import RunError
from genrec.recommenders.answering import Choice
from genrec.recommenders.base import Recommender
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Compact, GenerativeConfig
from genrec.recommenders.language.experts import Decisions, Experts
from genrec.recommenders.language.item_reading import ItemReading, item_bags
from genrec.training.mixture import Batches
from genrec.training.objectives import CodeLoss
from genrec.training.trainer import TrainingOptions, Validate, train
from genrec.training.validation import ranking_validation

_UNASKED = "unasked.safetensors"  # how likely titles are without a history, where `pmi` takes that off


class Architecture(Protocol):
    """A kind of language model.

    `loss`: what it is trained by.
    """

    loss: type[CodeLoss]

    def check(self, checkpoint: str) -> None:
        """Raise ConfigError where a checkpoint is none of this kind."""

    def new(self, config: Any, codebook: Codebook, num_users: int) -> NodeModel:
        """A backbone before its training; `num_users`: users who may have vectors of their own."""

    def load(self, folder: Path, config: Any, codebook: Codebook) -> NodeModel:
        """The backbone that was saved there, with the codebook of its training."""


class GenerativeRecommender(Recommender):
    """A recommender that writes the next item's name and looks for the likeliest in the catalogue's trie."""

    probabilistic = True
    architecture: Architecture

    codebook_: Codebook
    backbone_: Any  # a NodeModel: what the architecture makes
    ranker_: TrieRanker
    experts_: Experts | None = None  # None: the language model writes alone
    _unasked_I: FloatArray | None = None  # log p of each item without a history, between `_saved` and `_use`

    def __init__(self, config: BaseModel | None = None, /, **options: Any) -> None:
        super().__init__(config, **options)
        if self.config.reads_items:
            self.architecture = ItemReading()
        if self._pmi:
            self.probabilistic = False

    # -- what such a recommender brings, beside `_fit` -------------------------------------------------------

    @abstractmethod
    def questions(self, histories: Histories) -> Questions:
        """Histories, ready to be read."""

    @abstractmethod
    def _states_before(self, history: IntArray, item: int) -> Tensor:
        """The states (L, D) from which each token of the item's code is predicted."""

    def prompt_texts(self) -> list[str]:
        """What stands in questions beside names."""
        return []

    def _use(self, codebook: Codebook, backbone: Any) -> None:
        """Read and write with these from now on: after the training's first step, a load, and each edit."""
        self.codebook_, self.backbone_ = codebook, backbone
        self.ranker_ = TrieRanker(
            backbone,
            codebook.trie,
            "children" if self.config.training.objective == "catalogue" else "vocabulary",
            width=self.config.search.beams,
            best_first=self.config.search.kind == "best-first",
            offsets=self._offsets if self._pmi else None,
        )
        if self._unasked_I is not None:
            offsets = Offsets.against(codebook.trie, self._unasked_I, self._pmi, device())
            self.ranker_.search_with(offsets)
            self._unasked_I = None

    # -- how likely titles are by themselves -----------------------------------------------------------------

    @property
    def _pmi(self) -> float:
        """How much of that is taken off."""
        return getattr(self.config.search, "pmi", 0.0)

    def _unasked(self) -> Questions:
        """The question without a history."""
        return self.questions(Histories.from_lists([[]]))

    def _states_unasked(self, item: int) -> Tensor:
        """As `_states_before`, after that question."""
        return self._states_before(np.zeros(0, np.int32), item)

    def _offsets(self, ranker: TrieRanker) -> Offsets:
        """What `pmi` adds to the scores of items; `ranker` has none of it."""
        return Offsets.against(
            ranker.trie, ranker.log_likelihood_of_all(self._unasked()), self._pmi, device()
        )

    def check(self) -> None:
        config: GenerativeConfig = self.config
        if config.backbone.kind == "pretrained":
            self.architecture.check(config.backbone.path)

    # -- parts of `_fit` -------------------------------------------------------------------------------------

    def _new_codebook(
        self,
        train_data: Interactions,
        texts: Iterable[str],
        words: Sequence[str] = (),
        tokenizer: TextTokenizer | None = None,
    ) -> Codebook:
        """See `Codebook.build`."""
        config: GenerativeConfig = self.config
        prepare_threads(config.threads)
        self.check()  # what is no such checkpoint is told before its tokenizer is missed
        return Codebook.build(config, train_data, texts, words, tokenizer)

    def _new_backbone(self, codebook: Codebook, num_users: int = 0) -> Any:
        """See `Architecture.new`."""

        def new() -> NodeModel:
            return self.architecture.new(self.config, codebook, num_users)

        torch.manual_seed(self.config.seed)
        if self.config.backbone.kind == "pretrained":
            return new().to(device())
        return built(new, "depth, width or vocab_size, or take node_vectors=false").to(device())

    def _validation(self, validation: Targets | None) -> Validate | None:
        """The measurement of lists that chooses the checkpoint."""
        measure = ranking_validation(self.rank, validation, self.config.validation_users, self.config.seed)
        if measure is None or not self._pmi:
            return measure

        def measured_anew() -> dict[str, float]:
            self.ranker_.search_with(None)  # what titles were likely by the last time is of another model
            return measure()

        return measured_anew

    def _train(
        self,
        steps: Batches,
        validate: Validate | None,
        run: Path | None,
        resume: bool,
        loss: CodeLoss | None = None,
        **changed: Any,
    ) -> None:
        """Train the backbone, with the options of the configuration but those that are `changed`.

        `loss`: another one than the architecture's.
        """
        if self.config.training.max_steps == 0:
            self.backbone_.eval()
            return
        options = replace(self._training_options(), **changed)
        with tempfile.TemporaryDirectory() as scratch:
            folder = run if run is not None else Path(scratch)
            loss = self._loss() if loss is None else loss
            train(self.backbone_, loss, steps, options, folder, validate=validate, resume=resume)
        self.ranker_.search_with(None)

    @property
    def _mixed_precision(self) -> bool:
        return bool(self.config.training.bf16 and not full_precision())

    def _training_options(self) -> TrainingOptions:
        config: GenerativeConfig = self.config
        return TrainingOptions(
            learning_rate=config.training.learning_rate,
            weight_decay=config.training.weight_decay,
            max_grad_norm=config.training.max_grad_norm,
            warmup_steps=config.training.warmup_steps,
            lr_scheduler_type=config.training.lr_scheduler_type,
            gradient_accumulation_steps=config.training.gradient_accumulation_steps,
            bf16=self._mixed_precision,
            seed=config.seed,
            evaluations=config.training.evaluations,
            patience=config.training.patience,
            report_to=config.training.report_to,
            # A checkpoint's products are large enough for torch's own threads.
            replicas=1 if config.backbone.kind == "pretrained" else num_replicas(),
        )

    def _loss(self, **more: Any) -> CodeLoss:
        """The architecture's loss; `more`: what else it takes."""
        dtype = torch.bfloat16 if self._mixed_precision else torch.float32
        objective = self.config.training.objective
        return self.architecture.loss(self.codebook_.trie, objective, device(), dtype, **more)

    def _forget_untrained(self, train_data: Interactions) -> None:
        """Where items are read, forget what was learned of nodes that lead to no trained item: to take them never."""
        if not isinstance(self.backbone_, ItemReader):
            return
        trie = self.codebook_.trie
        trained_N = np.zeros(trie.num_nodes, bool)
        trained_N[trie.paths.take(np.unique(train_data.histories.items)).items] = True
        self.backbone_.forget_nodes(torch.from_numpy(np.flatnonzero(~trained_N)).to(device()))

    @torch.no_grad()
    def _use_experts(self, experts: Experts | None, validation: Targets | None) -> None:
        """Write from now on with what `fit_experts` gave, weighed by what validation users took next."""
        config, self.experts_ = self.config, experts
        if experts is None or validation is None:
            return
        asked = experts.asked(validation, config, config.seed)
        if not len(asked):
            return
        self.backbone_.eval()
        experts = experts.weighed(asked, validation, config)
        prior = experts.prior(asked.histories, self.ranker_.tensors, exclude_seen=True)(np.arange(len(asked)))
        decisions = self._decisions(asked)
        self.experts_ = experts.balanced(decisions, prior) if decisions else experts

    def _choose_as(self, other: Self) -> None:
        if self.experts_ is not None and other.experts_ is not None:
            self.experts_ = self.experts_.weighed_as(other.experts_)

    def _decisions(self, asked: Targets) -> list[Decisions]:
        """The choices on the way to what was taken, with the language model's logits."""
        trie, tensors = self.codebook_.trie, self.ranker_.tensors
        rows, nodes, states = list[int](), list[int](), list[Tensor]()
        for row, item in enumerate(asked.items.tolist()):
            states_LD = self._states_before(asked.histories[row], item)
            for place, node in enumerate(trie.paths[item].tolist()):
                if node and trie.num_children_N[trie.parent_N[node]] > 1:
                    rows.append(row)
                    nodes.append(node)
                    states.append(states_LD[place])
        if not nodes:  # a single item leaves nothing to choose
            return []
        row_N, node_N = (torch.tensor(part, device=device()) for part in (rows, nodes))
        parent_N = torch.from_numpy(trie.parent_N.astype(np.int64)).to(device())[node_N]
        groups = child_logits(
            self.backbone_, torch.stack(states), parent_N, tensors.token_N, tensors.first_child_N1
        )
        return [
            Decisions(
                row_N[one.group_N],
                parent_N[one.group_N],
                one.logits_NC,
                node_N[one.group_N] - tensors.first_child_N1[parent_N[one.group_N]],
            )
            for one in groups
        ]

    # -- answering -------------------------------------------------------------------------------------------

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        seen, prior = histories if exclude_seen else None, self._prior(histories, exclude_seen)
        return self.ranker_.rank(self.questions(histories), k, seen, allowed, exact=exact, prior=prior)

    def _prior(self, histories: Histories, exclude_seen: bool) -> PriorOf | None:
        """What the experts expect of histories, by their rows."""
        experts, trie = self.experts_, self.ranker_.tensors
        return None if experts is None else experts.prior(histories, trie, exclude_seen)

    @torch.inference_mode()
    def _why(self, history: list[int], item: int) -> list[Choice]:
        """The pieces of the item's code up to its last decision, each with its probability among the choices."""
        of = self._prior(Histories.from_lists([history]), exclude_seen=item not in history)
        prior = None if of is None else of(np.zeros(1, np.int32))
        states_LD = self._states_before(np.asarray(history, np.int32), item)
        decisions, decode = self.ranker_.decisions(states_LD, item, prior), self.codebook_.tokenizer.decode
        unasked: list[float | None] = [None] * len(decisions)
        if self._pmi:
            states_LD = self._states_unasked(item)
            unasked = [one.probability for one in self.ranker_.decisions(states_LD, item)]
        return [
            Choice(decode(one.tokens), one.probability, one.words, one.items, alone)
            for one, alone in zip(decisions, unasked, strict=True)
        ]

    def notes(self) -> list[str]:
        """The weights of the prior."""
        return [] if self.experts_ is None else self.experts_.notes()

    # -- the catalogue lives ---------------------------------------------------------------------------------

    def _catalogue_changed(self, trained: Catalogue) -> None:
        if self._pmi:  # while it is what it was trained to be, as a copy of it stays
            self.ranker_.find_offsets()
        codebook, moved = self.codebook_.grown(self.catalogue.titles)
        backbone = self.backbone_
        if codebook is not self.codebook_:
            new_node_of_old, num_nodes = torch.from_numpy(moved), codebook.trie.num_nodes
            if self.config.backbone.kind == "compact":
                backbone = backbone.with_nodes(new_node_of_old, num_nodes)
            elif isinstance(backbone, ItemReader):
                bags = item_bags(codebook, self.catalogue.titles)
                backbone = backbone.with_nodes(new_node_of_old, num_nodes, bags)
        if self.experts_ is not None:
            self.experts_ = self.experts_.grown(self.catalogue)
        self._use(codebook, backbone)

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        self.backbone_.save(folder / "backbone")
        self.codebook_.save(folder)
        if self._pmi:
            save_file({"log_p": self.ranker_.find_offsets().log_p_I}, folder / _UNASKED)
        if self.experts_ is not None:
            self.experts_.save(folder / "prior")

    def _load(self, folder: Path) -> None:
        self._use(*self._saved(folder))

    def _saved(self, folder: Path) -> tuple[Codebook, Any]:
        """The parts that `_save` wrote."""
        config: GenerativeConfig = self.config
        prepare_threads(config.threads)
        if (folder / "prior").is_dir():
            self.experts_ = Experts.load(folder / "prior")
        if self._pmi:
            self._unasked_I = read_safetensors(folder / _UNASKED, ["log_p"])["log_p"]
        codebook = Codebook.load(folder, config, self.catalogue.titles)
        backbone: Any = self.architecture.load(folder / "backbone", config, codebook)
        if config.backbone.kind == "compact":
            num_nodes, wanted = backbone.arguments["num_nodes"], codebook.trie.num_nodes
            if num_nodes not in (0, wanted):
                raise RunError(
                    f"{folder} has {num_nodes} node vectors where its codes have {wanted} nodes, as before a trie "
                    "ended where an item is alone: train again"
                )
        return codebook, backbone.to(device()).eval()


def compact_sizes(options: Compact, codebook: Codebook) -> dict[str, Any]:
    """What a compact backbone is made of, as all kinds of them take it."""
    sizes = options.model_dump(include={"depth", "width", "dropout"})
    num_nodes = codebook.trie.num_nodes if options.node_vectors else 0
    return {"vocab_size": codebook.tokenizer.vocab_size, "num_nodes": num_nodes, **sizes}


def tuning(config: GenerativeConfig) -> dict[str, Any]:
    """How a checkpoint is tuned, as pretrained backbones take it."""
    return config.backbone.model_dump(exclude={"kind", "path"})
