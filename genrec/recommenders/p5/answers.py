"""What recommenders share that answer several tasks, each asked for by a prompt: stars, sentences, lists.

The methods are those of `genrec.evaluation.task_recommender.TaskRecommender`.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.data.streams import stream
from genrec.decoding.text import Written, answer_scores, most_alike, write_text
from genrec.errors import ConfigError
from genrec.prompts.tasks import NEVER_LEARNT, TaskPrompt
from genrec.recommenders.language.generative import GenerativeRecommender
from genrec.recommenders.language.seq2seq import Sources
from genrec.recommenders.p5.examples import stars_behind
from genrec.training.sources import Asked, Source, SourceWriter, Word
from genrec.training.tasks import TaskWriter

Asking = Literal["seen", "unseen", "new"]
STARS = tuple(f"{value / 10:.1f}" for value in range(10, 51))  # the 41 ratings that are learnt
CLASSES = ("1", "2", "3", "4", "5")
_ROWS = 32  # questions that are answered at once
_TEXT_TOKENS = 64  # longest text that is written
_MANY_ROWS = 256  # of texts of which a question has several, which are short
_TEMPERATURE = 0.7  # that texts are drawn at
_PLACES = 16  # words of a sentence that a feature may come after
# What each task is asked with: family and group of prompts, and the name in `times` of what teaches it. The first that
# was learnt is taken.
_ASKED = {
    "sequential": [("sequential", "next", "next")],
    "rating": [("rating", "stars", "rating")],
    "rating-from-review": [("review", "stars", "review")],
    "headline": [("review", "headline", "review")],
    "explanation": [("explanation", "sentence", "explanation")],
    "explanation-with-feature": [("explanation", "about", "explanation")],
    "direct": [("sequential", "next", "next"), ("direct", "choose", "direct-choose")],
}


class TaskAnswers(GenerativeRecommender):
    """A recommender that is asked by prompts; its `config` has `families` and `times`."""

    backbone_: Seq2SeqBackbone
    writer_: SourceWriter
    users_: dict[str, int]
    tasks_: TaskWriter
    prompts_: list[TaskPrompt]
    dropped_: dict[str, str]  # prompts that the data cannot fill, and why
    asking: Asking = "seen"  # the prompts that lists are asked for with

    @abstractmethod
    def _history(self, prompt: TaskPrompt, history: IntArray) -> Source:
        """The question what comes after a history."""

    def _prompt(
        self, family: str, group: str, asking: Asking, without: frozenset[str] = frozenset()
    ) -> TaskPrompt:
        """The first prompt of that kind; one that names none of `without` if there is one."""
        return min(self._prompts_of(family, group, asking), key=lambda prompt: len(prompt.fields & without))

    def _prompts_of(self, family: str, group: str, asking: Asking) -> list[TaskPrompt]:
        """All prompts of that kind, at least one."""
        found = self._there(family, group, asking)
        if not found:
            why = "the model did not learn it" if family not in self.config.families else "no prompt for it"
            raise ConfigError(
                f"this {self.name} cannot be asked for {family} ({group}, {asking} prompts): {why}; train with "
                f"families={family} on data that have what it needs"
            )
        return found

    def _there(self, family: str, group: str, asking: Asking) -> list[TaskPrompt]:
        """The prompts of that kind; asked as of a new item, those of the family that is never learnt."""
        if asking == "new":
            family = (
                NEVER_LEARNT if family in ("rating", "explanation") else ""
            )  # no other family has such prompts
        asked = (family, group, asking != "seen")
        return [prompt for prompt in self.prompts_ if (prompt.family, prompt.group, prompt.held_out) == asked]

    def _ways(self, task: str, asking: Asking) -> list[tuple[str, str]]:
        """Families and groups of prompts by which that task was learnt and can be asked, best first."""
        times, families = self.config.times, self.config.families
        return [
            (family, group)
            for family, group, name in _ASKED[task]
            if family in families and times.get(name) and self._there(family, group, asking)
        ]

    def tasks(self, prompt: Asking = "seen") -> list[str]:
        """What it has learnt and can be asked with such prompts: `sequential`, and tasks of `genrec evaluate`."""
        return [task for task in _ASKED if self._ways(task, prompt)]

    def asked_with(self, prompt: Asking) -> Self:
        """The same model, its lists asked for with such prompts from now on."""
        other = copy.copy(self)
        other.asking = prompt
        return other

    def predict_rating(
        self, users: Sequence[str], items_N: IntArray, *, prompt: Asking = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that users will give items: expectations over what may be written, or the likeliest of it.

        An expectation is the mean over all wordings of the question, the likeliest answer that to one of them.

        What is written lies near the stars that it was learnt for, five at 4.75 for one: expectations are of those.

        Raises:
            ConfigError: the model has not learnt to rate.
        """
        asked = self._prompts_of("rating", "stars", prompt)
        values = [self._about(user, int(item)) for user, item in zip(users, items_N, strict=True)]
        written_A = np.array([float(word) for word in STARS])
        if greedy:
            return self._stars(min(asked, key=_names_title), values, STARS, written_A, greedy)
        stars_A = stars_behind(written_A)
        expected = [self._stars(one, values, STARS, stars_A, greedy) for one in asked]
        return np.asarray(np.mean(expected, axis=0))

    def predict_rating_from_review(
        self, texts: Sequence[str], *, prompt: Asking = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that go with these reviews.

        Raises:
            ConfigError: the model has not learnt to read reviews.
        """
        asked = self._prompt("review", "stars", prompt, without=frozenset({"user"}))
        values = [{"review": text, "user": None} for text in texts]
        return self._stars(asked, values, CLASSES, np.array([float(word) for word in CLASSES]), greedy)

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
        """A sentence on why each user takes to each item; with the feature of it that is given, which it then names.

        Raises:
            ConfigError: the model has not learnt to explain.
        """
        group = "sentence" if features is None else "about"
        asked = self._prompt("explanation", group, prompt, frozenset({"title", "stars", "headline"}))
        values = [self._about(user, int(item)) for user, item in zip(users, items_N, strict=True)]
        if features is None:
            return self._alike(asked, values) if self.config.draws else self._texts(asked, values)
        values = [value | {"feature": feature} for value, feature in zip(values, features, strict=True)]
        texts = self._texts(asked, values)
        lacking = [row for row, text in enumerate(texts) if features[row].casefold() not in text.casefold()]
        better = self._naming(asked, [values[row] for row in lacking], [texts[row] for row in lacking])
        for row, text in zip(lacking, better, strict=True):
            texts[row] = text
        return texts

    def rank_candidates(
        self,
        histories: Histories,
        candidates_BC: IntArray,
        *,
        users: Sequence[str] | None = None,
        prompt: Asking = "seen",
    ) -> Rankings:
        """The candidates of each user by p(item | history), best first.

        A model that has not learnt what comes next, and has learnt to choose for a user (the family `direct`), ranks by
        p(item | user, candidates): it needs `users`, and histories tell it nothing.

        Raises:
            ConfigError: the model has not learnt to recommend, or it needs `users`.
        """
        way = next(iter(self._ways("direct", prompt)), ("sequential", "next"))
        asked = self._prompt(*way, prompt, without=frozenset({"user"}) if "next" in way else frozenset())
        if "next" in way:
            sources = (self._history(asked, history) for history in histories)
        elif users is None:
            raise ConfigError("this model knows users by name alone: say with `users` who they are")
        else:
            sources = (
                self.tasks_.source(
                    asked.source, {"user": self.users_.get(str(user)), "candidates": candidates}
                )
                for user, candidates in zip(users, candidates_BC, strict=True)
            )
        examples = (
            self._closed(source, [self.writer_.item(item) for item in candidates])
            for source, candidates in zip(sources, candidates_BC.tolist(), strict=True)
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
        return Asked(source, [self.writer_.after(source, word) for word in words])

    def _scores(self, examples: Iterable[Asked], num_answers: int) -> FloatArray:
        """Log-probability (B, num_answers) of the answers of each example."""
        self.backbone_.eval()
        parents = torch.from_numpy(self.codebook_.trie.parent_N).long().to(device())
        parent_N = parents if self.config.training.objective == "catalogue" else None
        parts, rest = [np.zeros((0, num_answers), np.float32)], iter(examples)
        while group := list(islice(rest, _ROWS)):
            scores_BA = answer_scores(self.backbone_, self._batch(group), self.ranker_.tensors, parent_N)
            parts.append(scores_BA.cpu().numpy())
        return np.concatenate(parts)

    def _texts(self, prompt: TaskPrompt, values: Sequence[dict[str, Any]]) -> list[str]:
        sources = [self.tasks_.source(prompt.source, value) for value in values]
        return [self._read_back(written) for written in self._written(sources)]

    def _alike(self, prompt: TaskPrompt, values: Sequence[dict[str, Any]]) -> list[str]:
        """Of several drawn texts the one that is most like the others; a question's draws are its own."""
        num_draws, seed = self.config.draws, self.config.seed
        sources = [self.tasks_.source(prompt.source, value) for value in values]
        generators = [stream(seed, "drawn texts", *source.tokens_T.tolist()) for source in sources]
        chances_QDL = np.array([generator.random((num_draws, _TEXT_TOKENS)) for generator in generators])
        chances_NL = torch.from_numpy(chances_QDL.reshape(-1, _TEXT_TOKENS)).to(device())
        every = [source for source in sources for _ in range(num_draws)]
        texts = [self._read_back(written) for written in self._written(every, chances_NL=chances_NL)]
        return [most_alike(texts[start : start + num_draws]) for start in range(0, len(texts), num_draws)]

    def _naming(
        self, prompt: TaskPrompt, values: Sequence[dict[str, Any]], texts: Sequence[str]
    ) -> list[str]:
        """Of each question the likeliest text, token by token, that goes like its text for some words, then names the
        feature and goes on freely: a search held to a word, with one beam for each place of it (Hokamp and Liu 2017,
        https://aclanthology.org/P17-1141/).
        """
        sources: list[Source] = []
        openings: list[Sequence[int]] = []
        asked_at = [0]
        for value, text in zip(values, texts, strict=True):
            words = text.split()[:_PLACES]
            spelt = [
                self.tasks_.spell(" ".join([*words[:place], value["feature"]]))
                for place in range(len(words) + 1)
            ]
            openings += [spelt[0], *(tokens for tokens in spelt[1:] if len(tokens) <= _TEXT_TOKENS)]
            sources += [self.tasks_.source(prompt.source, value)] * (len(openings) - len(sources))
            asked_at.append(len(sources))
        found = self._written(sources, openings)
        best = [max(found[start:end], key=lambda written: written.log_p) for start, end in pairwise(asked_at)]
        return [self._read_back(written) for written in best]

    def _written(
        self,
        sources: Sequence[Source],
        openings: Sequence[Sequence[int]] | None = None,
        chances_NL: Tensor | None = None,
    ) -> list[Written]:
        """Texts that answer these questions, each beginning with its opening, or drawn by its chances."""
        self.backbone_.eval()
        parts: list[Written] = []
        at_once = _ROWS if chances_NL is None and openings is None else _MANY_ROWS
        for start in range(0, len(sources), at_once):
            rows = slice(start, start + at_once)
            prefix = Sources(sources[rows]).prefix(np.arange(len(sources[rows])))
            given = None if openings is None else openings[rows]
            chances_BL = None if chances_NL is None else chances_NL[rows]
            end = self.codebook_.tokenizer.end[0]
            parts += write_text(
                self.backbone_, prefix, end, _TEXT_TOKENS, given, chances_BL, temperature=_TEMPERATURE
            )
        return parts

    def _read_back(self, written: Written) -> str:
        return " ".join(self.codebook_.tokenizer.decode(written.tokens).split())

    def _batch(self, examples: Sequence[Asked]) -> dict[str, Tensor]:
        return {name: tensor.to(device()) for name, tensor in self.writer_.collate(examples).items()}


def _names_title(prompt: TaskPrompt) -> bool:
    return "title" in prompt.fields
