"""Answers of a model that is asked for several tasks by prompts: numbers, sentences, lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.backbones.tokenizer import TextTokenizer
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, IntArray
from genrec.data.ranking import Rankings
from genrec.data.streams import stream
from genrec.decoding.ranker import TrieRanker
from genrec.decoding.text import Written, answer_scores, most_alike, write_text
from genrec.errors import ConfigError
from genrec.prompts.task_prompts import TaskPrompt
from genrec.recommenders.language.seq2seq import Sources
from genrec.recommenders.p5.prompts import TaskPrompts
from genrec.tasks.base import FreeText, Rating
from genrec.tasks.base import tasks as all_tasks
from genrec.tasks.recommender import PromptKind
from genrec.training.encoder_rows import Asked, EncoderLayout, Source

_ROWS = 32  # questions that are answered at once
_TEXT_TOKENS = 64  # longest text that is written
_MANY_ROWS = 256  # of texts of which a question has several, which are short
_TEMPERATURE = 0.7  # that texts are drawn at
_PLACES = 16  # words of a sentence that a feature may come after


@dataclass(frozen=True)
class TaskAnswers:
    """A trained model that is asked by prompts.

    `config`: of `p5`. `prompts`: those that it was trained on, and others like them. `layout`: lays questions and
    answers out as in training. `ranker`: the trie of its items. `users`: the row of each user that it can name.
    """

    config: Any
    prompts: TaskPrompts
    layout: EncoderLayout
    tokenizer: TextTokenizer
    backbone: Seq2SeqBackbone
    ranker: TrieRanker
    catalogue: Catalogue
    users: Mapping[str, int]

    def next_items(self, histories: Iterable[IntArray], asking: PromptKind) -> list[Source]:
        """The question what comes next, of each history.

        Raises:
            ConfigError: there is no prompt of that kind for it.
        """
        prompt = self.prompts.one(all_tasks()["sequential"], asking)
        return [self._source(prompt, {"history": history, "user": None}) for history in histories]

    def states_before(self, source: Source, item: int) -> Tensor:
        """The states (L, D) from which each token of the item's code is predicted, as the answer to a question."""
        example = self.layout.asked(source, [self.layout.item(item)])
        hidden_1LD: Tensor = self.backbone(self._batch([example]))
        return hidden_1LD[0]

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
        known = all_tasks()[task]
        asked = self.prompts.one(known, prompt)
        named = "user" in asked.asks.about  # nobody is named where nobody is asked about
        if named and any(question.get("user") is None for question in questions):
            raise ConfigError(f"this model answers {task} for users by name: give each question its `user`")
        values = [self._filled(question, named) for question in questions]
        if isinstance(known.answer, Rating):
            if greedy or not known.answer.every_wording:
                return self._ratings(asked, values, known.answer, greedy)
            every = [
                self._ratings(one, values, known.answer, greedy) for one in self.prompts.every(known, prompt)
            ]
            return np.asarray(np.mean(every, axis=0))
        if isinstance(known.answer, FreeText):
            return self._free_texts(asked, values, known.answer)
        return self._ranked(asked, values)

    def _filled(self, question: Mapping[str, Any], named: bool) -> dict[str, Any]:
        """The values of all fields that a prompt may name."""
        values = {**question, "user": self.users.get(str(question["user"])) if named else None}
        if "item" in question:
            row = self.catalogue.table.row(question["item"], named=True)
            values |= {name: str(row.get(name) or "") for name in ("title", "brand", "price")}
        return values

    def _source(self, prompt: TaskPrompt, values: Mapping[str, Any]) -> Source:
        """A question; what comes next is asked for as histories were read in training."""
        packed = self.config.packed and prompt.group == "next"
        return self.layout.source(prompt.source, values, packed=packed)

    def _ranked(self, prompt: TaskPrompt, values: Sequence[Mapping[str, Any]]) -> Rankings:
        """The candidates of each question, best first."""
        lists = [np.asarray(value["candidates"], np.int32) for value in values]
        candidates_BC = np.stack(lists) if lists else np.zeros((0, 0), np.int32)
        examples = (
            self.layout.asked(self._source(prompt, value), [self.layout.item(item) for item in candidates])
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
        words = [self.layout.text(word) for word in answer.words]
        sources = (self._source(prompt, value) for value in values)
        scores_BA = self._scores((self.layout.asked(source, words) for source in sources), len(words))
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
        self.backbone.eval()
        parents = torch.from_numpy(self.ranker.trie.parent_N).long().to(device())
        parent_N = parents if self.config.training.objective == "catalogue" else None
        parts, rest = [np.zeros((0, num_answers), np.float32)], iter(examples)
        while group := list(islice(rest, _ROWS)):
            scores_BA = answer_scores(self.backbone, self._batch(group), self.ranker.tensors, parent_N)
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
            spelt = [self.layout.spell(" ".join([*words[:place], name])) for place in range(len(words) + 1)]
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
        self.backbone.eval()
        parts: list[Written] = []
        at_once = _ROWS if chances_NL is None and openings is None else _MANY_ROWS
        for start in range(0, len(sources), at_once):
            rows = slice(start, start + at_once)
            prefix = Sources(sources[rows]).prefix(np.arange(len(sources[rows])))
            given = None if openings is None else openings[rows]
            chances_BL = None if chances_NL is None else chances_NL[rows]
            end = self.tokenizer.end[0]
            parts += write_text(
                self.backbone, prefix, end, _TEXT_TOKENS, given, chances_BL, temperature=_TEMPERATURE
            )
        return parts

    def _read_back(self, written: Written) -> str:
        return " ".join(self.tokenizer.decode(written.tokens).split())

    def _batch(self, examples: Sequence[Asked]) -> dict[str, Tensor]:
        return {name: tensor.to(device()) for name, tensor in self.layout.collate(examples).items()}
