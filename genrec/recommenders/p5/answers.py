"""What recommenders share that answer several tasks, each asked for by a prompt: numbers, sentences, lists.

The methods are those of `genrec.tasks.recommender.TaskRecommender`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.data.interactions import FloatArray
from genrec.data.ranking import Rankings
from genrec.data.streams import stream
from genrec.decoding.text import Written, answer_scores, most_alike, write_text
from genrec.errors import ConfigError
from genrec.prompts.task_prompts import NEVER_LEARNT, TaskPrompt
from genrec.recommenders.language.generative import GenerativeRecommender
from genrec.recommenders.language.seq2seq import Sources
from genrec.tasks.base import FreeText, Rating, Task, Way, families, tasks
from genrec.tasks.recommender import PromptKind
from genrec.training.encoder_rows import Asked, EncoderLayout, Source

_ROWS = 32  # questions that are answered at once
_TEXT_TOKENS = 64  # longest text that is written
_MANY_ROWS = 256  # of texts of which a question has several, which are short
_TEMPERATURE = 0.7  # that texts are drawn at
_PLACES = 16  # words of a sentence that a feature may come after


class TaskAnswers(GenerativeRecommender):
    """A recommender that is asked by prompts; its `config` has `families` and `times`."""

    backbone_: Seq2SeqBackbone
    layout_: EncoderLayout
    users_: dict[str, int]
    prompts_: list[TaskPrompt]
    dropped_: dict[str, str]  # prompts that the data cannot fill, and why
    asking: PromptKind = "seen"  # the prompts that lists are asked for with

    def tasks(self, prompt: PromptKind = "seen") -> list[str]:
        """The names of the tasks that it was trained on and can be asked with such prompts."""
        return [name for name, task in tasks().items() if self._ways(task, prompt)]

    def asked_with(self, prompt: PromptKind) -> Self:
        """The same model, its lists asked for with such prompts from now on."""
        other = copy.copy(self)
        other.asking = prompt
        return other

    def _ways(self, task: Task, asking: PromptKind) -> list[Way]:
        """How that task was trained and can be asked, best first."""
        times, trained = self.config.times, self.config.families
        return [
            way
            for way in task.ways
            if way.family in trained and times.get(way.training_set) and self._there(task, way, asking)
        ]

    def _there(self, task: Task, way: Way, asking: PromptKind) -> list[TaskPrompt]:
        """The prompts of that kind that the task's questions can fill.

        Asked as of a new item, they are those of the family that is never trained on.
        """
        family = way.family
        if asking == "new":
            family = NEVER_LEARNT if way.group in families()[family].new else ""
        asked = (family, way.group, asking != "seen")
        return [
            prompt
            for prompt in self.prompts_
            if (prompt.family, prompt.group, prompt.held_out) == asked and prompt.fields <= task.may_name
        ]

    def _prompts_for(self, task: Task, asking: PromptKind) -> list[TaskPrompt]:
        """The prompts to ask a task with, at least one."""
        way = next(iter(self._ways(task, asking)), task.ways[0])
        found = self._there(task, way, asking)
        if not found:
            why = (
                "the model did not learn it" if way.family not in self.config.families else "no prompt for it"
            )
            raise ConfigError(
                f"this {self.name} cannot be asked for {way.family} ({way.group}, {asking} prompts): {why}; train with "
                f"families={way.family} on data that have what it needs"
            )
        return found

    def _prompt_for(self, task: Task, asking: PromptKind) -> TaskPrompt:
        """The first prompt of those that name the least beside what is given."""
        asked = self._prompts_for(task, asking)
        return min(asked, key=lambda prompt: len(prompt.fields.difference(task.question)))

    def answer(
        self,
        task: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        prompt: PromptKind = "seen",
        greedy: bool = False,
    ) -> Any:
        """Answers to N questions of a task: see `TaskRecommender.answer`.

        Candidates are ranked by p(item | history) or, in a model that was not trained on what comes next, by
        p(item | user, candidates). `sequential` is what `rank` and `recommend` answer.

        Raises:
            ConfigError: the model was not trained on the task, has no such prompts for it, or needs a user.
        """
        known = tasks()[task]
        asked = self._prompt_for(known, prompt)
        named = "user" in asked.asks.about  # nobody is named where nobody is asked about
        if named and any(question.get("user") is None for question in questions):
            raise ConfigError(f"this model answers {task} for users by name: give each question its `user`")
        values = [self._filled(question, named) for question in questions]
        if isinstance(known.answer, Rating):
            if greedy or not known.answer.every_wording:
                return self._ratings(asked, values, known.answer, greedy)
            every = [
                self._ratings(one, values, known.answer, greedy) for one in self._prompts_for(known, prompt)
            ]
            return np.asarray(np.mean(every, axis=0))
        if isinstance(known.answer, FreeText):
            return self._free_texts(asked, values, known.answer)
        return self._ranked(asked, values)

    def _filled(self, question: Mapping[str, Any], named: bool) -> dict[str, Any]:
        """The values of all fields that a prompt may name."""
        values = {**question, "user": self.users_.get(str(question["user"])) if named else None}
        if "item" in question:
            row = self.catalogue.table.row(question["item"], named=True)
            values |= {name: str(row.get(name) or "") for name in ("title", "brand", "price")}
        return values

    def _source(self, prompt: TaskPrompt, values: Mapping[str, Any]) -> Source:
        """A question; what comes next is asked for as histories were read in training."""
        packed = self.config.packed and prompt.group == "next"
        return self.layout_.source(prompt.source, values, packed=packed)

    def _ranked(self, prompt: TaskPrompt, values: Sequence[Mapping[str, Any]]) -> Rankings:
        """The candidates of each question, best first."""
        lists = [np.asarray(value["candidates"], np.int32) for value in values]
        candidates_BC = np.stack(lists) if lists else np.zeros((0, 0), np.int32)
        examples = (
            self.layout_.asked(self._source(prompt, value), [self.layout_.item(item) for item in candidates])
            for value, candidates in zip(values, candidates_BC.tolist(), strict=True)
        )
        scores_BC = self._scores(examples, candidates_BC.shape[1])
        order_BC = np.argsort(-scores_BC, axis=1, kind="stable")
        return Rankings(
            np.take_along_axis(candidates_BC, order_BC, 1),
            np.take_along_axis(scores_BC, order_BC, 1),
            np.ones(len(order_BC), bool),
        )

    def _ratings(
        self, prompt: TaskPrompt, values: Sequence[Mapping[str, Any]], answer: Rating, greedy: bool
    ) -> FloatArray:
        """The likeliest number that may be written for each question, or the expectation of what is behind all."""
        words = [self.layout_.text(word) for word in answer.words]
        sources = (self._source(prompt, value) for value in values)
        scores_BA = self._scores((self.layout_.asked(source, words) for source in sources), len(words))
        if greedy:
            return np.asarray(np.array(answer.words, float)[scores_BA.argmax(1)])
        chance_BA = np.exp(scores_BA - scores_BA.max(1, keepdims=True))
        return np.asarray((chance_BA / chance_BA.sum(1, keepdims=True)) @ np.array(answer.values))

    def _free_texts(
        self, prompt: TaskPrompt, values: Sequence[dict[str, Any]], answer: FreeText
    ) -> list[str]:
        """Texts, each of which names the value of the field that it has to name."""
        if answer.drawn and self.config.draws:
            return self._alike(prompt, values)
        sources = [self._source(prompt, value) for value in values]
        texts = [self._read_back(written) for written in self._written(sources)]
        if answer.names:
            named = [value[answer.names] for value in values]
            lacking = [row for row, text in enumerate(texts) if named[row].casefold() not in text.casefold()]
            better = self._naming(
                [sources[row] for row in lacking],
                [named[row] for row in lacking],
                [texts[row] for row in lacking],
            )
            for row, text in zip(lacking, better, strict=True):
                texts[row] = text
        return texts

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

    def _alike(self, prompt: TaskPrompt, values: Sequence[dict[str, Any]]) -> list[str]:
        """Of several drawn texts the one that is most like the others; a question's draws are its own."""
        num_draws, seed = self.config.draws, self.config.seed
        sources = [self._source(prompt, value) for value in values]
        generators = [stream(seed, "drawn texts", *source.tokens_T.tolist()) for source in sources]
        chances_QDL = np.array([generator.random((num_draws, _TEXT_TOKENS)) for generator in generators])
        chances_NL = torch.from_numpy(chances_QDL.reshape(-1, _TEXT_TOKENS)).to(device())
        every = [source for source in sources for _ in range(num_draws)]
        texts = [self._read_back(written) for written in self._written(every, chances_NL=chances_NL)]
        return [most_alike(texts[start : start + num_draws]) for start in range(0, len(texts), num_draws)]

    def _naming(self, asked: Sequence[Source], names: Sequence[str], texts: Sequence[str]) -> list[str]:
        """Of each question the likeliest text, token by token, that goes like its text for some words, then gives the
        name and goes on freely: a search held to a word, with one beam for each place of it (Hokamp and Liu 2017,
        https://aclanthology.org/P17-1141/).
        """
        sources: list[Source] = []
        openings: list[Sequence[int]] = []
        asked_at = [0]
        for source, name, text in zip(asked, names, texts, strict=True):
            words = text.split()[:_PLACES]
            spelt = [self.layout_.spell(" ".join([*words[:place], name])) for place in range(len(words) + 1)]
            openings += [spelt[0], *(tokens for tokens in spelt[1:] if len(tokens) <= _TEXT_TOKENS)]
            sources += [source] * (len(openings) - len(sources))
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
        return {name: tensor.to(device()) for name, tensor in self.layout_.collate(examples).items()}
