"""P5: one encoder–decoder that rates, explains, sums up reviews and recommends, each asked for in words.

Geng, Liu, Fu, Ge, Zhang 2022, https://arxiv.org/abs/2203.13366; numberings of Hua et al. 2023,
https://arxiv.org/abs/2305.06569. What differs from the papers is told in docs/p5.md; the recipes `p5-paper` and
`p5-best` stand for both ways.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.backbones.tokenizer import WordTokenizer
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions
from genrec.data.ranking import Rankings
from genrec.decoding.text import answer_scores, write_text
from genrec.errors import ConfigError
from genrec.prompts.tasks import NEVER_LEARNT, TaskPrompt, Text, load_task_prompts, usable
from genrec.recommenders.base import register
from genrec.recommenders.seq2seq_writer import Seq2SeqConfig, Seq2SeqWriter, Sources
from genrec.training.sources import Asked, Source, SourceWriter, Word
from genrec.training.task_examples import KindName, TaskExamples, TaskText, stars_behind
from genrec.training.tasks import TaskSteps, TaskWriter
from genrec.training.trainer import Validate, train

FAMILIES = ("rating", "sequential", "explanation", "review", "direct")
Asking = Literal["seen", "unseen"]
STARS = tuple(f"{value / 10:.1f}" for value in range(10, 51))  # the 41 ratings that are learnt
_CLASSES = ("1", "2", "3", "4", "5")
_ROWS = 32  # questions that are answered at once
# What each task is asked with: family and group of prompts, and the name in `times` of what teaches it.
_ASKED = {
    "sequential": ("sequential", "next", "next"),
    "rating": ("rating", "stars", "rating"),
    "rating-from-review": ("review", "stars", "review"),
    "headline": ("review", "headline", "review"),
    "explanation": ("explanation", "sentence", "explanation"),
    "explanation-with-feature": ("explanation", "about", "explanation"),
    "direct": ("sequential", "next", "next"),
}


class P5Config(Seq2SeqConfig):
    """Options of `p5`; the defaults are the recipe `p5-best`."""

    code: Literal["title", "random", "sequential", "collaborative", "original"] = Field(
        "sequential",
        description="what is written for an item; original: the data's own ids, which mostly leak",
    )
    prompts: str = Field("p5", description="folder of prompts: p5, or a path")
    families: tuple[str, ...] = Field(FAMILIES, description="families of tasks that are learnt")
    word_vectors: Literal["none", "order"] = Field(
        "order", description="order: whole-word embeddings, by a word's place in the source"
    )
    user_tokens: bool = Field(
        True, description="each user has a token of their own; False: spelt as text (paper; checkpoints)"
    )
    packed: bool = Field(
        True, description="histories as packed rows; False: one drawn piece an example (paper)"
    )
    times: dict[KindName, Annotated[int, Field(ge=0)]] = Field(
        {
            "rating": 1,
            "next": 5,
            "choose": 5,
            "confirm": 10,
            "explanation": 1,
            "review": 1,
            "direct-confirm": 10,
            "direct-choose": 5,
        },
        description="examples drawn of each user or review in an epoch; packed histories count once",
    )


@register("p5")
class P5(Seq2SeqWriter):
    """question in words -> encoder–decoder language model -> item by search over the trie, stars, or a sentence.

    Practical limits: those of `genrec-seq2seq`; a `choose` question holds a hundred codes, which is dear to learn.
    """

    Config = P5Config
    pipeline = (
        "question in words -> encoder-decoder language model -> item over the trie, stars or a sentence"
    )
    paper = "Geng et al. 2022, https://arxiv.org/abs/2203.13366"
    tiny = {  # noqa: RUF012
        "depth": 1,
        "width": 64,
        "vocab_size": 400,
        "dropout": 0.0,
        "epochs": 60,
        "batch_tokens": 700,
        "learning_rate": 4e-3,
        "warmup_steps": 100,
        "evaluations": 1,
        "beams": 10,
        "bf16": False,
        "families": ("sequential",),
        "times": {"next": 1},
    }

    tasks_: TaskWriter
    prompts_: list[TaskPrompt]
    dropped_: dict[str, str]  # prompts that the data cannot fill, and why
    asking: Asking = "seen"  # the prompts that lists are asked for with

    # -- learning --------------------------------------------------------------------------------------------

    def _prepare(self, train_data: Interactions) -> None:
        self.users_ = {str(user): row for row, user in enumerate(train_data.users)}
        self.texts_ = TaskText(train_data)
        self._choose_prompts(self.texts_.fields)

    def _choose_prompts(self, fields: frozenset[str]) -> None:
        config, families = self.config, load_task_prompts(self.config.prompts)
        unknown = sorted(set(config.families) - set(FAMILIES))
        if unknown or not config.families:
            raise ConfigError(
                f"families={','.join(config.families)}: choose among {', '.join(FAMILIES)}, one at least"
            )
        self.fields_ = fields
        absent = sorted(set(config.families) - set(families))
        if absent:
            raise ConfigError(
                f"prompts={config.prompts} has no file for {', '.join(absent)}, only {', '.join(families)}: add it, or "
                "choose other families"
            )
        wanted = [families[name] for name in (*config.families, NEVER_LEARNT) if name in families]
        self.prompts_, self.dropped_ = usable([prompt for family in wanted for prompt in family], fields)
        if not any(not prompt.held_out for prompt in self.prompts_):
            raise ConfigError(
                f"the data can fill none of the prompts of {', '.join(config.families)}: choose other families"
            )

    def _learn(self, train_data: Interactions, validate: Validate | None, folder: Path, resume: bool) -> None:
        config = self.config
        examples = TaskExamples(
            self.tasks_,
            [prompt for prompt in self.prompts_ if not prompt.held_out],
            train_data,
            self.texts_,
            packed=config.packed,
            times=config.times,
        )
        steps = TaskSteps(
            examples.kinds(),
            self.writer_.collate,
            batch_tokens=config.batch_tokens,
            num_epochs=config.epochs,
            seed=config.seed,
            max_steps=config.max_steps,
        )
        options = self._training_options()
        if "sequential" not in config.families:
            validate = None
        train(self.backbone_, self._loss(), steps, options, folder, validate=validate, resume=resume)

    def prompt_texts(self) -> list[str]:
        """The words of all prompts."""
        words = [part.text for prompt in self.prompts_ for part in prompt.source if isinstance(part, Text)]
        answers = [word for prompt in self.prompts_ for word in prompt.answers or ()]
        return [*words, *answers]

    def _spelt(self) -> list[str]:
        users = [] if self._has_user_tokens else self._user_words()
        return [*self.prompt_texts(), *STARS, *_CLASSES, "someone", *users, *self.texts_.all_texts()]

    @property
    def _has_user_tokens(self) -> bool:
        """A checkpoint's embeddings are for the tokens that it came with."""
        return bool(self.config.user_tokens and self.config.backbone == "compact")

    def _words_of_their_own(self) -> list[str]:
        return self._user_words() if self._has_user_tokens else []

    def _write_with(self, codes: Codes, trie: Trie) -> None:
        config, tokenizer = self.config, self.tokenizer_
        self.writer_ = SourceWriter(
            codes,
            trie,
            begin=np.array(tokenizer.begin or tokenizer.end),
            mask=np.array([], np.int64),
            start_token=self.backbone_.start_token,
            numbers=config.word_vectors,
            num_words=self.backbone_.num_words,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, self.backbone_.max_positions),
            packs=config.packed,
            continues=config.backbone == "compact",
        )
        if isinstance(tokenizer, WordTokenizer) and self._has_user_tokens:
            users = [[token] for token in tokenizer.word_ids[: len(self.users_)].tolist()]
        else:
            users = tokenizer.encode(self._user_words())
        self.tasks_ = TaskWriter(self.writer_, tokenizer.encode, tokenizer.end, users)

    # -- recommending ----------------------------------------------------------------------------------------

    def questions(self, histories: Histories) -> Sources:
        prompt = self._prompt("sequential", "next", self.asking, without=frozenset({"user"}))
        return Sources([self._history(prompt, history) for history in histories], self.writer_.continues)

    def _history(self, prompt: TaskPrompt, history: IntArray) -> Source:
        return self.tasks_.source(
            prompt.source, {"history": history, "user": None}, packed=self.config.packed
        )

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        prompt = self._prompt("sequential", "next", self.asking, without=frozenset({"user"}))
        source = self._history(prompt, history)
        example = self._closed(source, [self.writer_.item(item)])
        hidden_BLD: Tensor = self.backbone_(self._batch([example]))
        return hidden_BLD[0]

    def _prompt(
        self, family: str, group: str, asking: Asking, without: frozenset[str] = frozenset()
    ) -> TaskPrompt:
        """The first prompt of that kind; one that names none of `without` if there is one."""
        found = [
            prompt for prompt in self._prompts(asking) if (prompt.family, prompt.group) == (family, group)
        ]
        if not found:
            why = "the model did not learn it" if family not in self.config.families else "no prompt for it"
            raise ConfigError(
                f"this p5 cannot be asked for {family} ({group}, {asking} prompts): {why}; train with "
                f"families={family} on data that have what it needs"
            )
        return min(found, key=lambda prompt: len(prompt.fields & without))

    def _prompts(self, asking: Asking) -> list[TaskPrompt]:
        return [prompt for prompt in self.prompts_ if prompt.held_out == (asking == "unseen")]

    # -- tasks -----------------------------------------------------------------------------------------------

    def tasks(self, prompt: Asking = "seen") -> list[str]:
        """What it has learnt and can be asked with such prompts: `sequential`, and tasks of `genrec evaluate`."""
        there = {(asked.family, asked.group) for asked in self._prompts(prompt)}
        learnt = {name for name, times in self.config.times.items() if times}
        return [task for task, (*kind, name) in _ASKED.items() if tuple(kind) in there and name in learnt]

    def asked_with(self, prompt: Asking) -> Self:
        """The same model, its lists asked for with such prompts from now on."""
        other = copy.copy(self)
        other.asking = prompt
        return other

    def predict_rating(
        self, users: Sequence[str], items_N: IntArray, *, prompt: Asking = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that users will give items: expectations over what may be written, or the likeliest of it.

        What is written lies near the stars that it was learnt for, five at 4.75 for one: expectations are of those.

        Raises:
            ConfigError: the model has not learnt to rate.
        """
        asked = self._prompt("rating", "stars", prompt, without=frozenset({"title"}))
        values = [self._about(user, int(item)) for user, item in zip(users, items_N, strict=True)]
        written_A = np.array([float(word) for word in STARS])
        return self._stars(asked, values, STARS, written_A if greedy else stars_behind(written_A), greedy)

    def predict_rating_from_review(
        self, texts: Sequence[str], *, prompt: Asking = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that go with these reviews.

        Raises:
            ConfigError: the model has not learnt to read reviews.
        """
        asked = self._prompt("review", "stars", prompt, without=frozenset({"user"}))
        values = [{"review": text, "user": None} for text in texts]
        return self._stars(asked, values, _CLASSES, np.array([float(word) for word in _CLASSES]), greedy)

    def summarise_review(self, texts: Sequence[str], *, prompt: Asking = "seen") -> list[str]:
        """A headline for each review.

        Raises:
            ConfigError: the model has not learnt to read reviews.
        """
        asked = self._prompt("review", "headline", prompt, without=frozenset({"user"}))
        return self._texts(asked, [{"review": text, "user": None} for text in texts])

    def explain(
        self,
        users: Sequence[str],
        items_N: IntArray,
        features: Sequence[str] | None = None,
        *,
        prompt: Asking = "seen",
    ) -> list[str]:
        """A sentence on why each user takes to each item, on this feature of it where one is given.

        Raises:
            ConfigError: the model has not learnt to explain.
        """
        group = "sentence" if features is None else "about"
        asked = self._prompt("explanation", group, prompt, frozenset({"title", "stars", "headline"}))
        values = [self._about(user, int(item)) for user, item in zip(users, items_N, strict=True)]
        if features is not None:
            for value, feature in zip(values, features, strict=True):
                value["feature"] = feature
        return self._texts(asked, values)

    def rank_candidates(
        self,
        histories: Histories,
        candidates_BC: IntArray,
        *,
        users: Sequence[str] | None = None,
        prompt: Asking = "seen",
    ) -> Rankings:
        """The candidates of each user by p(item | history), best first. `users` are not asked for.

        Raises:
            ConfigError: the model has not learnt to recommend.
        """
        asked = self._prompt("sequential", "next", prompt, without=frozenset({"user"}))
        examples = (
            self._closed(self._history(asked, history), [self.writer_.item(item) for item in candidates])
            for history, candidates in zip(histories, candidates_BC.tolist(), strict=True)
        )
        scores_BC = self._scores(examples, candidates_BC.shape[1])
        order_BC = np.argsort(-scores_BC, axis=1, kind="stable")
        return Rankings(
            np.take_along_axis(candidates_BC, order_BC, 1).astype(np.int32),
            np.take_along_axis(scores_BC, order_BC, 1),
            np.ones(len(order_BC), bool),
        )

    def _about(self, user: str, item: int) -> dict[str, Any]:
        """What a prompt may name of a user and an item."""
        row = self.catalogue.table.row(item, named=True)
        values = {name: str(row.get(name) or "") for name in ("title", "brand", "price")}
        return {"user": self.users_.get(str(user)), "item": item, **values}

    def _stars(
        self,
        prompt: TaskPrompt,
        values: Sequence[dict[str, Any]],
        answers: Sequence[str],
        stars_A: FloatArray,
        greedy: bool,
    ) -> FloatArray:
        """The stars behind the likeliest answer to each question, or their expectation over all answers."""
        words = [self.tasks_.text(answer) for answer in answers]
        sources = (self.tasks_.source(prompt.source, value) for value in values)
        scores_BA = self._scores((self._closed(source, words) for source in sources), len(words))
        if greedy:
            return np.asarray(stars_A[scores_BA.argmax(1)])
        chance_BA = np.exp(scores_BA - scores_BA.max(1, keepdims=True))
        return np.asarray((chance_BA / chance_BA.sum(1, keepdims=True)) @ stars_A)

    def _closed(self, source: Source, words: Sequence[Word]) -> Asked:
        return Asked(source, [self.writer_.answer(word, source.end) for word in words])

    def _scores(self, examples: Iterable[Asked], num_answers: int) -> FloatArray:
        """Log-probability (B, num_answers) of the answers of each example."""
        self.backbone_.eval()
        parents = torch.from_numpy(self.trie_.parent_N).long().to(device())
        parent_N = parents if self.config.objective == "catalogue" else None
        parts, rest = [np.zeros((0, num_answers), np.float32)], iter(examples)
        while group := list(islice(rest, _ROWS)):
            scores_BA = answer_scores(self.backbone_, self._batch(group), self.tensors_, parent_N)
            parts.append(scores_BA.cpu().numpy())
        return np.concatenate(parts)

    def _texts(self, prompt: TaskPrompt, values: Sequence[dict[str, Any]]) -> list[str]:
        self.backbone_.eval()
        written = []
        for start in range(0, len(values), _ROWS):
            sources = [self.tasks_.source(prompt.source, value) for value in values[start : start + _ROWS]]
            prefix = Sources(sources, self.writer_.continues).prefix(np.arange(len(sources)))
            written += write_text(self.backbone_, prefix, self.tokenizer_.end[0], 64)
        return [" ".join(self.tokenizer_.decode(tokens).split()) for tokens in written]

    def _batch(self, examples: Sequence[Asked]) -> dict[str, Tensor]:
        return {name: tensor.to(device()) for name, tensor in self.writer_.collate(examples).items()}

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        (folder / "fields.txt").write_text("\n".join(sorted(self.fields_)) + "\n")

    def _load(self, folder: Path) -> None:
        self._choose_prompts(frozenset((folder / "fields.txt").read_text().split()))
        super()._load(folder)
