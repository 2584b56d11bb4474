"""What P5's families of tasks learn from: histories, ratings and reviews, drawn as the paper's code draws them.

Geng et al. 2022, https://arxiv.org/abs/2203.13366; sections 4.1 and 5.1, and https://github.com/jeykigung/P5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from genrec.data.interactions import FloatArray, IntArray, Interactions
from genrec.data.streams import stream
from genrec.data.tasks import Explanations, all_reviews, explanations, feature_words
from genrec.errors import ConfigError, DataError
from genrec.prompts.tasks import TaskPrompt
from genrec.prompts.template import Segment, Text
from genrec.training.histories import drawn_window
from genrec.training.mixture import ExampleSet
from genrec.training.sources import Asked, Word
from genrec.training.tasks import TaskWriter

KindName = Literal[
    "rating", "next", "choose", "confirm", "explanation", "review", "direct-confirm", "direct-choose"
]

OfUser = Callable[[int, np.random.Generator], Asked]

_FIELD_TOKENS = 4  # of a user, an item or a word, about; histories, candidates and reviews are counted
_CANDIDATES = 100
_SOME_TEXTS = 5_000
# Mean and spread of what is learnt for each number of stars (section 4.1): 41 values say more than five classes.
_STARS = {1: (1.2, 0.1), 2: (1.95, 0.225), 3: (2.95, 0.225), 4: (3.95, 0.225), 5: (4.75, 0.125)}


class TaskText:
    """What the training part says in words, and which fields of prompts it can fill."""

    def __init__(self, train: Interactions) -> None:
        reviews = all_reviews(train)
        self.reviews = replace(
            reviews,
            ratings=None if reviews.ratings is None or np.isnan(reviews.ratings).all() else reviews.ratings,
            texts=_any_written(reviews.texts),
            headlines=_any_written(reviews.headlines),
        )
        fields = {"user", "item", "history", "candidates"}
        table = train.catalogue.table
        fields |= {"title"} if train.catalogue.titled else set()
        fields |= {name for name in ("brand", "price") if name in table.columns and table[name].count()}
        fields |= {"stars", "guess"} if self.reviews.ratings is not None else set()
        fields |= {"headline"} if self.reviews.headlines is not None else set()
        self.explanations: Explanations | None = None
        if self.reviews.texts is not None:
            fields |= {"review", "explanation", "feature"}
            self.features = feature_words(self.reviews)
            self.explanations = explanations(self.reviews, self.features)
        self.fields = frozenset(fields)

    def parted(self, share: float, seed: int) -> tuple[TaskText, TaskText]:
        """The text without some of the reviews, and these alone: a share of them, drawn by `seed`, one at least."""
        order = stream(seed, "reviews held back").permutation(len(self.reviews))
        count = max(1, round(share * len(order)))
        return self._of(np.sort(order[count:])), self._of(np.sort(order[:count]))

    def of_users(self, train: Interactions) -> TaskText:
        """The text of those users who have anything in `train`."""
        rows = np.flatnonzero(train.histories.lengths[self.reviews.users] > 0)
        return self if len(rows) == len(self.reviews) else self._of(rows)

    def _of(self, rows: IntArray) -> TaskText:
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


class TaskExamples:
    """Examples of the families whose prompts are given."""

    def __init__(
        self,
        writer: TaskWriter,
        prompts: Sequence[TaskPrompt],
        train: Interactions,
        texts: TaskText,
        *,
        packed: bool,
        times: Mapping[KindName, int],
        named_users: float,
        other_words: float = 0.0,
        dropped_words: float = 0.0,
    ) -> None:
        """Get ready.

        Args:
            writer: puts prompts and values into tokens.
            prompts: those that may be learnt from.
            train: the training part.
            texts: what it says in words.
            packed: every item of a history is an answer, in one row; False: pieces are drawn, with one answer.
            times: examples of each kind that are drawn of a user or review in an epoch; a kind left out is not learnt.
            named_users: share of the histories and reviews whose user is named; `someone` stands in the others.
            other_words: share of the prompts' own words in whose place any other word stands, packed histories aside.
            dropped_words: share of the words of a review to read that are left out, others each time
                (Iyyer et al. 2015, https://aclanthology.org/P15-1162/).

        Raises:
            DataError: stars are asked for, and ratings are of another scale.
        """
        self.writer, self.train, self.texts, self.packed, self.times = writer, train, texts, packed, times
        self.named_users, self.other_words, self.dropped_words = named_users, other_words, dropped_words
        self._vocabulary = texts.some_words(train.catalogue.titles) if other_words else []
        self.catalogue = train.catalogue.table.to_dicts()
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

    def kinds(self) -> list[ExampleSet]:
        """All kinds of examples that there are prompts and data for.

        Raises:
            ConfigError: there are none.
        """
        kinds = [*self._of_histories(), *self._of_reviews()]
        if not kinds:
            raise ConfigError("there is nothing to learn: give `times` of a task that the families have")
        return kinds

    # -- histories -------------------------------------------------------------------------------------------

    def _of_histories(self) -> list[ExampleSet]:
        histories, writer = self.train.histories, self.writer.writer
        tokens = np.concatenate([[0], np.cumsum(writer.code_lengths[histories.items])])
        starts, ends = histories.offsets[:-1], histories.offsets[1:]
        of_items_U = tokens[ends] - tokens[np.maximum(starts, ends - writer.max_items)]
        candidates, none_U = int(_CANDIDATES * writer.code_lengths.mean()), np.zeros_like(of_items_U)
        # Of each kind: its name, how many items a user must have, about how many tokens stand for items, its maker.
        makers: dict[tuple[str, str], tuple[KindName, int, IntArray, OfUser]] = {
            ("sequential", "next"): ("next", 2, of_items_U, self._next),
            ("sequential", "choose"): ("choose", 2, of_items_U + candidates, self._choose),
            ("sequential", "confirm"): ("confirm", 2, of_items_U, self._confirm),
            ("direct", "confirm"): ("direct-confirm", 1, none_U, self._likes),
            ("direct", "choose"): ("direct-choose", 1, none_U + candidates, self._picks),
        }
        times: dict[KindName, int] = dict(self.times)
        if self.packed and times.get("next"):
            makers["sequential", "next"] = ("next", 1, of_items_U, self._packed)
            times["next"] = 1
        kinds = []
        for group, (name, fewest, tokens_U, make) in makers.items():
            # Who took everything left nothing to hold against it.
            fits_U = (histories.lengths >= fewest) & (
                (name == "next") | (histories.lengths < self.train.num_items)
            )
            users = np.flatnonzero(fits_U)
            if group in self.groups and times.get(name) and len(users):
                around = self._around(self.groups[group])
                kinds.append(ExampleSet(tokens_U[users] + around, times[name], _of_users(users, make)))
        return kinds

    def _packed(self, user: int, rng: np.random.Generator) -> Asked:
        items = drawn_window(self.train.histories[user], self.writer.writer.max_items, rng)
        prompt = self._draw("sequential", "next", rng)
        return self.writer.packed(prompt.source, {"history": items, "user": self._someone(user, rng)})

    def _piece(self, user: int, rng: np.random.Generator) -> tuple[IntArray, int]:
        """A piece of a history and the item after it.

        The paper's code draws the end among the last places and the start among the first three.
        """
        items = self.train.histories[user]
        last = len(items) - 1
        end = int(rng.integers(max(1, last - 2), last + 1))
        start = int(rng.integers(0, min(3, end)))
        return items[start:end], int(items[end])

    def _next(self, user: int, rng: np.random.Generator) -> Asked:
        history, target = self._piece(user, rng)
        prompt = self._draw("sequential", "next", rng)
        values = {"history": history, "user": self._someone(user, rng)}
        return self.writer.example(prompt.source, self.writer.item(target), values)

    def _choose(self, user: int, rng: np.random.Generator) -> Asked:
        history, target = self._piece(user, rng)
        prompt = self._draw("sequential", "choose", rng)
        values = {"history": history, "user": user, "candidates": self._candidates(user, target, rng)}
        return self.writer.example(prompt.source, self.writer.item(target), values)

    def _confirm(self, user: int, rng: np.random.Generator) -> Asked:
        history, target = self._piece(user, rng)
        prompt = self._draw("sequential", "confirm", rng)
        item, true = self._true_or_not(user, target, rng)
        return self._judged(prompt, {"history": history, "user": user, **self._described(item)}, true)

    def _likes(self, user: int, rng: np.random.Generator) -> Asked:
        item, true = self._true_or_not(user, int(rng.choice(self.train.histories[user])), rng)
        prompt = self._draw("direct", "confirm", rng)
        return self._judged(prompt, {"user": user, **self._described(item)}, true)

    def _picks(self, user: int, rng: np.random.Generator) -> Asked:
        target = int(rng.choice(self.train.histories[user]))
        prompt = self._draw("direct", "choose", rng)
        values = {"user": user, "candidates": self._candidates(user, target, rng)}
        return self.writer.example(prompt.source, self.writer.item(target), values)

    def _true_or_not(self, user: int, target: int, rng: np.random.Generator) -> tuple[int, bool]:
        """The target, or as often an item that the user did not take."""
        true = bool(rng.random() < 0.5)
        return (target if true else int(self._others(user, 1, rng)[0])), true

    def _candidates(self, user: int, target: int, rng: np.random.Generator) -> IntArray:
        count = min(_CANDIDATES, self.train.num_items // 2)
        return rng.permutation(np.append(self._others(user, count - 1, rng), target))

    def _others(self, user: int, count: int, rng: np.random.Generator) -> IntArray:
        """Items that the user did not take in training; fewer where there are not so many."""
        taken = self.train.histories[user]
        count = min(count, self.train.num_items - len(set(taken.tolist())))
        drawn = rng.integers(self.train.num_items, size=0)
        while len(drawn) < count:
            drawn = np.unique(np.append(drawn, rng.integers(self.train.num_items, size=2 * count)))
            drawn = drawn[~np.isin(drawn, taken)]
        return rng.permutation(drawn)[:count]

    def _someone(self, user: int, rng: np.random.Generator) -> int | None:
        """The user, or nobody by name: users of tomorrow are not known."""
        return user if rng.random() < self.named_users else None

    # -- ratings and reviews ---------------------------------------------------------------------------------

    def _of_reviews(self) -> list[ExampleSet]:
        texts, kinds = self.texts, []
        families = {family for family, _ in self.groups}
        if "rating" in families and self.times.get("rating"):
            self._rated = texts.reviews.having("ratings")
            lengths = np.full(len(self._rated), self._around(self._of_family("rating")))
            kinds.append(ExampleSet(lengths, self.times["rating"], self._rating))
        if texts.explanations is None:
            return kinds
        if "explanation" in families and self.times.get("explanation"):
            prompts, self._explained = self._of_family("explanation"), texts.explanations
            if any("stars" in prompt.needs for prompt in prompts):
                self._explained = self._explained.rated()
            lengths = np.full(len(self._explained), self._around(prompts))
            kinds.append(ExampleSet(lengths, self.times["explanation"], self._explanation))
        if "review" in families and self.times.get("review"):
            asked_for = {"headline": "headlines", "stars": "ratings"}
            groups = [group for family, group in self.groups if family == "review"]
            self._read = texts.reviews.having("texts", *(asked_for[group] for group in groups))
            assert self._read.texts is not None
            words = self._read.texts.str.count_matches(" ").to_numpy()
            room = self.writer.writer.max_tokens
            around = self._around(self._of_family("review"))
            lengths = np.minimum(around + 1.4 * words, room).astype(np.int64)
            kinds.append(ExampleSet(lengths, self.times["review"], self._review))
        return kinds

    def _rating(self, datum: int, rng: np.random.Generator) -> Asked:
        prompt = self._draw_family("rating", rng)
        assert self._rated.ratings is not None
        user, item = int(self._rated.users[datum]), int(self._rated.items[datum])
        stars = whole_stars(self._rated.ratings[datum])
        values = {"user": user, **self._described(item)}
        if prompt.group == "stars":
            return self.writer.example(prompt.source, self.writer.text(spread_stars(stars, rng)), values)
        if prompt.group == "liking":
            return self._judged(prompt, values, stars >= 4)
        others = [value for value in range(1, 6) if value != stars]
        true = bool(rng.random() < 0.5)
        values["guess"] = str(stars if true else int(rng.choice(others)))
        return self._judged(prompt, values, true)

    def _explanation(self, datum: int, rng: np.random.Generator) -> Asked:
        known = self._explained
        feature = known.features[datum]
        groups = [name for family, name in self.groups if family == "explanation"]
        if feature is None:
            groups = [name for name in groups if name != "about"] or groups
        prompt = self._draw("explanation", str(rng.choice(groups)), rng)
        reviews = known.reviews
        values = {
            "user": int(reviews.users[datum]),
            "feature": feature or "it",
            "explanation": known.sentences[datum],
            **self._described(int(reviews.items[datum])),
        }
        if reviews.ratings is not None and not np.isnan(reviews.ratings[datum]):
            values["stars"] = str(whole_stars(reviews.ratings[datum]))
        if reviews.headlines is not None:
            values["headline"] = reviews.headlines[datum] or ""
        return self.writer.example(prompt.source, self._target(prompt.target, values), values)

    def _review(self, datum: int, rng: np.random.Generator) -> Asked:
        prompt, reviews = self._draw_family("review", rng), self._read
        assert reviews.texts is not None
        rating = math.nan if reviews.ratings is None else float(reviews.ratings[datum])
        values = {
            "user": self._someone(int(reviews.users[datum]), rng),
            "review": self._some_words_of(reviews.texts[datum], rng),
            "headline": None if reviews.headlines is None else reviews.headlines[datum],
            "stars": None if math.isnan(rating) else str(whole_stars(rating)),
            **self._described(int(reviews.items[datum])),
        }
        return self.writer.example(prompt.source, self._target(prompt.target, values), values)

    def _some_words_of(self, text: str, rng: np.random.Generator) -> str:
        if not self.dropped_words:
            return text
        words = text.split()
        kept = rng.random(len(words)) >= self.dropped_words
        return " ".join(word for word, there in zip(words, kept.tolist(), strict=True) if there)

    # -- prompts ---------------------------------------------------------------------------------------------

    def _draw(self, family: str, group: str, rng: np.random.Generator) -> TaskPrompt:
        return self._one_of(self.groups[family, group], rng)

    def _draw_family(self, family: str, rng: np.random.Generator) -> TaskPrompt:
        return self._one_of(self._of_family(family), rng)

    def _one_of(self, prompts: Sequence[TaskPrompt], rng: np.random.Generator) -> TaskPrompt:
        """A prompt, some of its own words changed into others: who has met that can read past words never learnt."""
        prompt = prompts[int(rng.integers(len(prompts)))]
        if not self.other_words or (self.packed and prompt.group == "next"):
            return prompt
        source = [
            Text(" ".join(self._perhaps_another(word, rng) for word in part.text.split()))
            if isinstance(part, Text)
            else part
            for part in prompt.source
        ]
        return replace(prompt, source=tuple(source))

    def _perhaps_another(self, word: str, rng: np.random.Generator) -> str:
        changed = bool(self._vocabulary) and rng.random() < self.other_words
        return self._vocabulary[int(rng.integers(len(self._vocabulary)))] if changed else word

    def _of_family(self, family: str) -> list[TaskPrompt]:
        return [prompt for (of, _), group in self.groups.items() for prompt in group if of == family]

    def _around(self, prompts: Sequence[TaskPrompt]) -> int:
        """About how many tokens the sources of these prompts have beside histories, candidates and reviews."""
        lengths = [
            1 + self.writer.own_length(prompt.source) + _FIELD_TOKENS * len(prompt.fields)
            for prompt in prompts
        ]
        return round(sum(lengths) / len(lengths))

    def _described(self, item: int) -> dict[str, Any]:
        about = self.catalogue[item]
        return {"item": item} | {name: str(about.get(name) or "") for name in ("title", "brand", "price")}

    def _judged(self, prompt: TaskPrompt, values: Mapping[str, Any], true: bool) -> Asked:
        assert prompt.answers is not None
        answer = prompt.answers[0 if true else 1]
        return self.writer.example(prompt.source, self.writer.text(answer), values)

    def _target(self, segments: Sequence[Segment], values: Mapping[str, Any]) -> Word:
        parts = [part.text if isinstance(part, Text) else str(values[part.name]) for part in segments]
        return self.writer.text("".join(parts))


def spread_stars(stars: int, rng: np.random.Generator) -> str:
    """A value of one decimal near 1 to 5 stars, for the model to write."""
    mean, spread = _STARS[stars]
    return f"{float(np.clip(rng.normal(mean, spread), 1, 5)):.1f}"


def stars_behind(values: FloatArray) -> FloatArray:
    """The stars that learnt values stand for: the means of `spread_stars` undone, straight lines between them."""
    means = [mean for mean, _ in _STARS.values()]
    return np.interp(values, means, list(_STARS))


def whole_stars(rating: float) -> int:
    """1 to 5 stars; halves go up."""
    return max(1, int(rating + 0.5))


def _of_users(users: IntArray, make: OfUser) -> OfUser:
    """Make examples of the users at these rows."""
    return lambda datum, rng: make(int(users[datum]), rng)


def _any_written(values: pl.Series | None) -> pl.Series | None:
    """The texts; None where nobody wrote one."""
    return values if values is not None and values.count() else None
