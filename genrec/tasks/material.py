"""What examples of tasks are drawn from: the training part's histories and reviews, and the prompts to put them in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from genrec.data.interactions import IntArray, Interactions
from genrec.data.reviews import Explanations, all_reviews, explanations, feature_words
from genrec.data.streams import stream
from genrec.errors import DataError
from genrec.prompts.task_prompts import TaskPrompt
from genrec.prompts.template import Template, Text

_FIELD_TOKENS = 4  # of a user, an item or a word, about; histories, candidates and reviews are counted
_SOME_TEXTS = 5_000


class TrainingText:
    """What the training part says in words."""

    def __init__(self, train: Interactions) -> None:
        reviews = all_reviews(train)
        self.reviews = replace(
            reviews,
            ratings=None if reviews.ratings is None or np.isnan(reviews.ratings).all() else reviews.ratings,
            texts=_any_written(reviews.texts),
            headlines=_any_written(reviews.headlines),
        )
        table = train.catalogue.table
        of_items = {"title": train.catalogue.titled}
        of_items |= {name: name in table.columns and table[name].count() > 0 for name in ("brand", "price")}
        self._of_items = {name for name, there in of_items.items() if there}
        self.explanations: Explanations | None = None
        if self.reviews.texts is not None:
            self.features = feature_words(self.reviews)
            self.explanations = explanations(self.reviews, self.features)

    def fields(self, of_reviews: Mapping[str, Collection[str]]) -> frozenset[str]:
        """The fields of prompts that these data can fill.

        Args:
            of_reviews: fields that reviews fill, each with the columns of `Reviews` that it is made of.
        """
        there = {
            name for name in ("ratings", "texts", "headlines") if getattr(self.reviews, name) is not None
        }
        told = {name for name, columns in of_reviews.items() if there.issuperset(columns)}
        return frozenset({"user", "item", "history", "candidates", *self._of_items, *told})

    def parted(self, share: float, seed: int) -> tuple[TrainingText, TrainingText]:
        """The text without some of the reviews, and these alone: a share of them, drawn by `seed`, one at least."""
        order = stream(seed, "reviews held back").permutation(len(self.reviews))
        count = max(1, round(share * len(order)))
        return self._of(np.sort(order[count:])), self._of(np.sort(order[:count]))

    def of_users(self, train: Interactions) -> TrainingText:
        """The text of those users who have anything in `train`."""
        rows = np.flatnonzero(train.histories.lengths[self.reviews.users] > 0)
        return self if len(rows) == len(self.reviews) else self._of(rows)

    def _of(self, rows: IntArray) -> TrainingText:
        some = copy(self)
        some.reviews = self.reviews.take(rows)
        if self.explanations is not None:
            some.explanations = explanations(some.reviews, self.features)
        return some

    def some_words(self, titles: Sequence[str]) -> list[str]:
        """Words that titles and reviews are made of, each once, from as many texts as it takes to know the language."""
        texts = [*titles[:_SOME_TEXTS], *self.all_texts()[:_SOME_TEXTS]]
        return sorted({word for text in texts for word in text.split()})

    def all_texts(self) -> list[str]:
        """All of it."""
        given = [values for values in (self.reviews.texts, self.reviews.headlines) if values is not None]
        return [text for values in given for text in values.drop_nulls().to_list()]


class Material:
    """The training part, what it says in words, and the prompts that may be trained on, by family and group."""

    def __init__(
        self,
        prompts: Sequence[TaskPrompt],
        train: Interactions,
        texts: TrainingText,
        *,
        code_lengths: IntArray,
        own_length: Callable[[Template], int],
        max_items: int,
        max_tokens: int,
        packed: bool,
        named_users: float,
        other_words: float = 0.0,
        dropped_words: float = 0.0,
    ) -> None:
        """Get ready.

        Args:
            prompts: those that may be trained on.
            train: the training part.
            texts: what it says in words.
            code_lengths: tokens of each item's code; (num_items,).
            own_length: tokens of a template's own words.
            max_items: items of a history that are read.
            max_tokens: the longest question.
            packed: every item of a history is an answer, in one row; False: pieces are drawn, with one answer.
            named_users: share of the histories and reviews whose user is named; nobody is in the others.
            other_words: share of the prompts' own words in whose place any other word stands, packed histories aside.
            dropped_words: share of the words of a review to read that are left out, others each time
                (Iyyer et al. 2015, https://aclanthology.org/P15-1162/).

        Raises:
            DataError: stars are asked for, and ratings are of another scale.
        """
        self.train, self.texts, self.packed = train, texts, packed
        self.code_lengths, self.max_items, self.max_tokens = code_lengths, max_items, max_tokens
        self._own_length, self._named_users = own_length, named_users
        self._other_words, self._dropped_words = other_words, dropped_words
        self._vocabulary = texts.some_words(train.catalogue.titles) if other_words else []
        self._items = train.catalogue.table.to_dicts()
        self.groups: dict[tuple[str, str], list[TaskPrompt]] = {}
        for prompt in prompts:
            self.groups.setdefault((prompt.family, prompt.group), []).append(prompt)
        ratings = texts.reviews.ratings
        if ratings is not None and any("stars" in prompt.needs for prompt in prompts):
            least, most = float(np.fmin.reduce(ratings)), float(np.fmax.reduce(ratings))
            if least < 0.5 or most > 5:
                raise DataError(
                    f"ratings go from {least:g} to {most:g}, and stars from 1 to 5: bring them to that scale, or leave "
                    "the families rating, explanation and review out"
                )

    @cached_property
    def history_tokens_U(self) -> IntArray:
        """Tokens of the items of each history that are read; (num_users,)."""
        histories = self.train.histories
        tokens = np.concatenate([[0], np.cumsum(self.code_lengths[histories.items])])
        starts, ends = histories.offsets[:-1], histories.offsets[1:]
        return np.asarray(tokens[ends] - tokens[np.maximum(starts, ends - self.max_items)])

    def of_family(self, family: str) -> list[TaskPrompt]:
        """The prompts of a family, those of a group together."""
        return [prompt for (of, _), group in self.groups.items() for prompt in group if of == family]

    def around(self, prompts: Sequence[TaskPrompt]) -> int:
        """About how many tokens the sources of these prompts have beside histories, candidates and reviews."""
        lengths = [
            1 + self._own_length(prompt.source) + _FIELD_TOKENS * len(prompt.fields) for prompt in prompts
        ]
        return round(sum(lengths) / len(lengths))

    def draw(self, prompts: Sequence[TaskPrompt], rng: np.random.Generator) -> TaskPrompt:
        """A prompt, some of its own words changed: who has met that can read past words never trained on."""
        prompt = prompts[int(rng.integers(len(prompts)))]
        if not self._other_words:
            return prompt
        source = [
            Text(" ".join(self._perhaps_another(word, rng) for word in part.text.split()))
            if isinstance(part, Text)
            else part
            for part in prompt.source
        ]
        return replace(prompt, source=tuple(source))

    def _perhaps_another(self, word: str, rng: np.random.Generator) -> str:
        changed = bool(self._vocabulary) and rng.random() < self._other_words
        return self._vocabulary[int(rng.integers(len(self._vocabulary)))] if changed else word

    def someone(self, user: int, rng: np.random.Generator) -> int | None:
        """The user, or nobody by name: users of tomorrow are not known."""
        return user if rng.random() < self._named_users else None

    def some_words_of(self, text: str, rng: np.random.Generator) -> str:
        """A review, some of its words left out."""
        if not self._dropped_words:
            return text
        words = text.split()
        kept = rng.random(len(words)) >= self._dropped_words
        return " ".join(word for word, there in zip(words, kept.tolist(), strict=True) if there)

    def described(self, item: int) -> dict[str, Any]:
        """An item and what is told of it."""
        about = self._items[item]
        return {"item": item} | {name: str(about.get(name) or "") for name in ("title", "brand", "price")}


def _any_written(values: pl.Series | None) -> pl.Series | None:
    """The texts; None where nobody wrote one."""
    return values if values is not None and values.count() else None
