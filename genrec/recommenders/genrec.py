"""GenRec: a decoder-only language model reads the titles of a history and writes the next one.

Ji, Li, Xu, Hua, Ge, Tan, Zhang 2023, https://arxiv.org/abs/2307.00457. What differs from the paper is told in
docs/genrec.md; the recipes `genrec-paper` and `genrec-best` stand for both ways.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from safetensors.numpy import load_file, save_file

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.backbones.hardware import device, full_precision, num_replicas, prepare_threads
from genrec.backbones.pretrained import PretrainedBackbone, decoder_config
from genrec.backbones.tokenizer import PretrainedTokenizer, TextTokenizer, TrainedTokenizer
from genrec.codes.insertion import begins_with, insert, moved_nodes
from genrec.codes.numbered import number_titles, random_numbers, sequential_numbers
from genrec.codes.title import title_codes
from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.decoding.beam import BeamSearch
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Found
from genrec.errors import ConfigError, RunError
from genrec.prompts.render import load_prompts, tokenise
from genrec.recommenders.base import Config, Recommender, register
from genrec.training.epochs import Way
from genrec.training.examples import Example, Steps, Writer, collate
from genrec.training.objectives import CodeLoss
from genrec.training.trainer import TrainingOptions, train
from genrec.training.validation import ranking_validation


class GenRecConfig(Config):
    """Options of `genrec`; the defaults are the recipe `genrec-best`."""

    backbone: str = Field(
        "compact", description="'compact', or a decoder-only checkpoint by folder or hub name"
    )
    depth: int = Field(2, ge=1, description="layers of the compact backbone; its one dial")
    width: int | None = Field(None, ge=16, description="its hidden size; 64 x depth if not given")
    dropout: float = Field(0.5, ge=0, lt=1, description="its dropout on embeddings and residual branches")
    vocab_size: int = Field(8000, ge=260, description="its vocabulary, trained on the titles")
    node_vectors: bool = Field(
        True, description="its trie nodes have vectors of their own beside their tokens'"
    )
    tuning: Literal["lora", "qlora", "full"] = Field("lora", description="how a checkpoint is tuned")
    lora_rank: int = Field(8, ge=1)
    lora_alpha: int = Field(16, ge=1)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    code: Literal["title", "random", "sequential"] = Field("title", description="what is written for an item")
    code_length: Literal["full", "shortest"] = Field(
        "shortest", description="whole, or just enough to tell apart"
    )
    prompt: str = Field("none", description="prompt file: none, next_item or a path")
    examples: Way = Field("packed", description="packed, prefixes or last; see genrec.training.examples")
    learn_prompt: bool = Field(
        False, description="learn the prompt's and history's tokens too (token objective)"
    )
    objective: Literal["catalogue", "token"] = Field(
        "catalogue", description="softmax over children or vocabulary"
    )
    max_items: int = Field(50, ge=1, description="most recent items of a history that are read")
    max_tokens: int = Field(4096, ge=16, description="longest row in tokens; oldest items are left out first")
    stride: int = Field(0, ge=0, description="positions from item to item; 0: positions count tokens")
    epochs: int = Field(18, ge=1)
    max_steps: int | None = Field(
        None, ge=1, description="end after that many steps, if the epochs have more"
    )
    batch_tokens: int = Field(4000, ge=16, description="tokens in a batch, padding included")
    gradient_accumulation_steps: int = Field(1, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_steps: int = Field(100, ge=0)
    lr_scheduler_type: Literal["linear", "cosine", "inverse_sqrt", "constant", "constant_with_warmup"] = (
        "linear"
    )
    bf16: bool = Field(
        True, description="mixed precision in training; weights and decoding stay in full precision"
    )
    evaluations: int = Field(6, ge=1, description="validations and checkpoints over the training")
    patience: int = Field(
        0, ge=0, description="validations without a better NDCG@10 before stopping; 0: never stop"
    )
    validation_users: int = Field(500, ge=1, description="users sampled for validation")
    search: Literal["best-first", "beam"] = Field(
        "best-first", description="best-first: until the list is proved; beam: of fixed width, as published"
    )
    beams: int = Field(50, ge=1, description="width of the beam; best-first goes on as one after many steps")
    seed: int = 0
    threads: int | None = Field(None, ge=1, description="CPU threads; None: as many as help")
    report_to: tuple[str, ...] = Field(
        (), description="trackers of transformers: wandb, tensorboard, mlflow, ..."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> GenRecConfig:
        if self.learn_prompt and self.objective == "catalogue":
            raise ValueError("a prompt has no place in the trie: learn_prompt needs objective=token")
        if self.learn_prompt and self.examples == "packed":
            raise ValueError(
                "packed examples learn every item anyway: learn_prompt needs examples=last or prefixes"
            )
        return self


@register("genrec")
class GenRec(Recommender):
    """history -> titles as tokens -> decoder-only language model -> beam search over the catalogue's trie.

    Practical limits: the trie and all titles are held in memory (about 10 bytes a code token); decoding costs
    `beams` short rows a user, so a 100M-parameter model wants a GPU for more than some hundred users.
    """

    Config = GenRecConfig
    pipeline = (
        "titles of the history -> decoder-only language model -> next title, by beam search over the trie"
    )
    paper = "Ji et al. 2023, https://arxiv.org/abs/2307.00457"
    probabilistic = True
    tiny = {  # noqa: RUF012
        "depth": 1,
        "width": 64,
        "vocab_size": 300,
        "dropout": 0.0,
        "epochs": 60,
        "batch_tokens": 2000,
        "learning_rate": 1e-2,
        "warmup_steps": 10,
        "evaluations": 1,
        "beams": 10,
        "bf16": False,
    }

    backbone_: Backbone
    tokenizer_: TextTokenizer
    codes_: Codes
    trie_: Trie
    writer_: Writer
    tensors_: TrieTensors

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config = self.config
        prepare_threads(config.threads)
        torch.manual_seed(config.seed)
        self.numbers_ = self._numbers(train_data)
        self.tokenizer_ = self._new_tokenizer()
        codes = self._new_codes(self.numbers_)
        trie = Trie.build(codes)
        self.backbone_ = self._new_backbone(trie).to(device())
        self._use_codes(codes, trie)
        steps = Steps(
            train_data.histories,
            self.writer_,
            way=config.examples,
            batch_tokens=config.batch_tokens,
            num_epochs=config.epochs,
            seed=config.seed,
            max_steps=config.max_steps,
        )
        if not len(steps):
            raise ConfigError(
                f"no history is long enough for examples={config.examples!r}: it needs two items"
            )
        options = TrainingOptions(
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_steps=config.warmup_steps,
            lr_scheduler_type=config.lr_scheduler_type,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            bf16=config.bf16 and not full_precision(),
            seed=config.seed,
            evaluations=config.evaluations,
            patience=config.patience,
            report_to=config.report_to,
            # A checkpoint's products are large enough for torch's own threads.
            replicas=num_replicas() if config.backbone == "compact" else 1,
        )
        validate = ranking_validation(self.rank, validation, config.validation_users, config.seed)
        with tempfile.TemporaryDirectory() as scratch:
            folder = run if run is not None else Path(scratch)
            dtype = torch.bfloat16 if options.bf16 else torch.float32
            loss = CodeLoss(self.trie_, config.objective, device(), dtype)
            train(self.backbone_, loss, steps, options, folder, validate=validate, resume=resume)

    def _numbers(self, train_data: Interactions) -> np.ndarray | None:
        """The number of each item, where numbers are written in place of titles."""
        if self.config.code == "random":
            return random_numbers(len(self.catalogue), self.config.seed)
        if self.config.code == "sequential":
            return sequential_numbers(train_data.histories, len(self.catalogue), self.config.seed)
        return None

    def _names(self, numbers: np.ndarray | None) -> list[str]:
        """What is written for each item, before it is made unique and cut short."""
        return self.catalogue.titles if numbers is None else number_titles(numbers)

    def _new_tokenizer(self) -> TextTokenizer:
        if self.config.backbone != "compact":
            decoder_config(
                self.config.backbone
            )  # what is no such checkpoint is told before its tokenizer is missed
            return PretrainedTokenizer(self.config.backbone)
        words = [
            text for prompt in load_prompts(self.config.prompt) for text in (prompt.before, prompt.after)
        ]
        return TrainedTokenizer.train([*self._names(self.numbers_), *words], self.config.vocab_size)

    def _new_backbone(self, trie: Trie) -> Backbone:
        config = self.config
        if config.backbone != "compact":
            return PretrainedBackbone(
                config.backbone,
                tuning=config.tuning,
                lora_rank=config.lora_rank,
                lora_alpha=config.lora_alpha,
                lora_dropout=config.lora_dropout,
                lora_targets=config.lora_targets,
            )
        return CompactBackbone(
            self.tokenizer_.vocab_size,
            depth=config.depth,
            width=config.width,
            dropout=config.dropout,
            num_nodes=trie.num_nodes if config.node_vectors else 0,
        )

    def _new_codes(self, numbers: np.ndarray | None) -> Codes:
        tokenizer = self.tokenizer_
        # A model that learns to write from nothing but these codes needs no word for "the title ends here".
        shortest = self.config.backbone == "compact" and self.config.code_length == "shortest"
        return title_codes(
            self._names(numbers),
            tokenizer.encode,
            tokenizer.end,
            self.config.code_length,
            always_close=not shortest,
        )

    def _use_codes(self, codes: Codes, trie: Trie) -> None:
        """Write and read with these codes from now on."""
        config, tokenizer, max_positions = self.config, self.tokenizer_, self.backbone_.max_positions
        furthest = config.max_items * config.stride + int(codes.lengths.max())
        if config.stride and furthest > max_positions:
            raise ConfigError(
                f"max_items={config.max_items} with stride={config.stride} needs {furthest} positions and the "
                f"backbone has {max_positions}: lower one of them, or take stride=0"
            )
        self.writer_ = Writer(
            codes,
            trie,
            tokenise(load_prompts(config.prompt), tokenizer.encode, tokenizer.begin or tokenizer.end),
            stride=config.stride,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, max_positions),
            learn_prompt=config.learn_prompt,
        )
        self.codes_, self.trie_ = codes, trie
        self.tensors_ = TrieTensors.of(trie, device())

    # -- answering -------------------------------------------------------------------------------------------

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        search = BeamSearch(
            self.backbone_,
            self.tensors_,
            "children" if self.config.objective == "catalogue" else "vocabulary",
        )
        questions = [self.writer_.question(history) for history in histories]
        found = Found.nothing(len(histories), k, device())
        open_to_all = Constraint(self.tensors_, allowed=allowed)
        for group in _of_like_length([len(row.tokens_T) for row, _ in questions]):

            def constraint(rows: torch.Tensor, group: np.ndarray = group) -> Constraint:
                seen = histories.take(group[rows.cpu().numpy()]) if exclude_seen else None
                return open_to_all.hiding(seen)

            prefix = _prefix([questions[row] for row in group])
            if exact:
                lists = search.search_exact(prefix, constraint, k, self.config.beams)
            else:
                way = search.search if self.config.search == "beam" else search.search_best_first
                lists = way(prefix, constraint(torch.arange(len(group))), k, self.config.beams)
            found.put(torch.from_numpy(group).to(device()), lists)
        return _rankings(found)

    @torch.inference_mode()
    def _why(self, history: list[int], item: int) -> list[tuple[str, float]]:
        """The pieces of the item's code up to its last decision, each with its probability among the choices."""
        row = self.writer_.single(np.asarray(history, np.int32), item)
        batch = {name: tensor.to(device()) for name, tensor in collate([row]).items()}
        hidden_TD = self.backbone_.hidden(batch["tokens"], batch["nodes"], batch["positions"])[0]
        code, path = self.codes_[item], self.writer_.paths[item]
        pieces: list[tuple[list[int], float]] = []
        for place, (token, node) in enumerate(zip(code.tolist(), path.tolist(), strict=True)):
            parent = int(self.trie_.parent_N[node])
            first, last = self.trie_.first_child_N1[parent], self.trie_.first_child_N1[parent + 1]
            if pieces and (node == 0 or last - first == 1):  # the item's tail, or a forced token
                pieces[-1][0].append(token)
                continue
            nodes_C = torch.arange(int(first), int(last), device=device())
            vectors_CD = self.backbone_.edge_vectors(self.tensors_.token_N[nodes_C], nodes_C)
            state_D = hidden_TD[len(row.tokens_T) - len(code) + place - 1]
            chance_C = torch.softmax((vectors_CD.to(state_D.dtype) @ state_D).float(), dim=0)
            pieces.append(([token], float(chance_C[node - int(first)])))
        return [(self.tokenizer_.decode(tokens), chance) for tokens, chance in pieces]

    # -- the catalogue lives ---------------------------------------------------------------------------------

    def _catalogue_changed(self, old: Catalogue) -> None:
        old_trie, numbers = self.trie_, self.numbers_
        if numbers is not None:
            top = int(numbers.max(initial=-1)) + 1
            numbers = np.concatenate([numbers, top + np.arange(len(self.catalogue) - len(old))])
        codes = self._new_codes(numbers)
        if begins_with(codes, old_trie.codes):
            trie, moved = insert(old_trie, codes)
        else:
            trie = Trie.build(codes)
            moved = moved_nodes(old_trie, trie)
        self._use_codes(codes, trie)
        self.numbers_ = numbers
        if isinstance(self.backbone_, CompactBackbone):
            self.backbone_.move_nodes(torch.from_numpy(moved), trie.num_nodes)

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        self.backbone_.save(folder / "backbone")
        self.tokenizer_.save(folder)
        numbers = {} if self.numbers_ is None else {"numbers": self.numbers_}
        save_file(
            {"tokens": self.codes_.items, "offsets": self.codes_.offsets, **numbers},
            folder / "codes.safetensors",
        )
        about = {"compact": isinstance(self.backbone_, CompactBackbone)}
        (folder / "genrec.json").write_text(json.dumps(about) + "\n")

    def _load(self, folder: Path) -> None:
        prepare_threads(self.config.threads)
        arrays = load_file(folder / "codes.safetensors")
        self.numbers_ = arrays.get("numbers")
        compact = json.loads((folder / "genrec.json").read_text())["compact"]
        if compact:
            self.tokenizer_ = TrainedTokenizer.load(folder)
            backbone: Backbone = CompactBackbone.load(folder / "backbone")
        else:
            self.tokenizer_ = PretrainedTokenizer(str(folder))
            backbone = PretrainedBackbone.load(folder / "backbone")
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
        self._use_codes(codes, trie)


def _of_like_length(lengths: Sequence[int]) -> list[np.ndarray]:
    """The rows in groups of about the same length, so that few tokens are padding."""
    steps = np.ceil(np.log2(np.array(lengths) + 16) * 3).astype(int)  # a step is a quarter of the length
    return [np.flatnonzero(steps == step) for step in np.unique(steps)]


def _prefix(questions: Sequence[tuple[Example, int]]) -> Prefix:
    batch = {name: tensor.to(device()) for name, tensor in collate([row for row, _ in questions]).items()}
    start_B = torch.tensor([start for _, start in questions], device=device())
    return Prefix(batch["tokens"], batch["nodes"], batch["positions"], batch["length"], start_B)


def _rankings(found: Found) -> Rankings:
    return Rankings(
        found.item_Bk.cpu().numpy().astype(np.int32),
        found.score_Bk.float().cpu().numpy(),
        found.exact_B.cpu().numpy(),
    )
