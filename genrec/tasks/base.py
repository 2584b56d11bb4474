"""A task is one file: what its prompts may say, the examples that teach it, how it is asked and how it is measured.

A module of this folder describes a family of prompts and the tasks that are asked with them, and hands both to
`register`. Training, answers, `genrec evaluate --task` and `genrec ask` loop over what is registered, so a new task is
its module, a file of prompts in `prompts/p5/`, and its family's name in the option `families`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import genrec.tasks
from genrec.data.interactions import IntArray, Interactions, Targets
from genrec.data.reviews import Reviews, copied_texts
from genrec.prompts.task_prompts import NEVER_LEARNT, Group, TaskPrompt
from genrec.tasks.material import Material

STARS, ITEM = frozenset({"stars"}), frozenset({"item"})
OFFER = frozenset({"brand", "price"})
DESCRIBED = OFFER | {"item", "title"}  # what a prompt may name where the question is about an item


# -- training ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """An example before it is written as tokens.

    `values`: of the fields of the prompt's source and target. `true`: whether the first of a prompt's two `answers` is
    right. `packed`: every item of the history is an answer.
    """

    prompt: TaskPrompt
    values: Mapping[str, Any]
    true: bool = True
    packed: bool = False


@dataclass(frozen=True)
class Examples:
    """What a training set draws in an epoch: an example of each of E data, each about `lengths_E` tokens long.

    `once`: each is drawn once in an epoch, however often it is asked for.
    """

    lengths_E: IntArray
    draw: Callable[[int, np.random.Generator], Drawn]
    once: bool = False


class TrainingSet(NamedTuple):
    """Examples that the option `times` names; `find` gives None where prompts or data have nothing."""

    name: str
    find: Callable[[Material], Examples | None]
    times: int = 1


# -- asking --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rating:
    """The answer is one of `words`, which stand for `values`: their expectation, or the likeliest word as a number.

    `every_wording`: expectations are means over all wordings of the question.
    """

    words: tuple[str, ...]
    values: tuple[float, ...]
    every_wording: bool = False


@dataclass(frozen=True)
class FreeText:
    """The answer is a text. `drawn`: it may be the most typical of several that are drawn (the option `draws`).

    `names`: the field whose value the answer names.
    """

    drawn: bool = False
    names: str = ""


@dataclass(frozen=True)
class Ranked:
    """The answer is the order of the question's candidates or, where it has none, of the catalogue."""


class Way(NamedTuple):
    """Prompts by which a task is asked: a group of a family, and the training set that teaches them."""

    family: str
    group: str
    training_set: str


@dataclass(frozen=True)
class TestData:
    """What there is to ask, and what simple answers are trained on. `held_out` are the reviews behind `targets`."""

    __test__ = False  # to pytest
    interactions: Interactions
    targets: Targets
    training: Reviews
    validation: Reviews
    held_out: Reviews
    seed: int

    def users(self, reviews: Reviews) -> list[str]:
        return [str(user) for user in self.interactions.users[reviews.users]]

    def uncopied(self, *fields: str) -> tuple[Reviews, int]:
        """The held-out reviews that have all of `fields`, less the copies of training reviews; how many those are."""
        reviews = self.held_out.having(*fields)
        copied = copied_texts(reviews, self.training)
        return reviews.take(np.flatnonzero(~copied)), int(copied.sum())


@dataclass(frozen=True)
class Test:
    """N questions, the true answer to each, and what simple methods answer.

    `num_copies`: reviews that are left out because their user wrote the same text in a training review.
    """

    __test__ = False
    questions: Sequence[Mapping[str, Any]]
    truth: Any
    simple: Mapping[str, Any]
    num_copies: int | None = None


@dataclass(frozen=True)
class Task:
    """Something that a recommender can be asked.

    `question`: the fields that are given with it. `ways`: how it may be put, best first. `needs`: what the data must
    have to measure it: fields of reviews, or `negatives`. `test` and `metric`: its questions and what answers are
    worth; None: by the protocol for lists. `verb`: what `genrec ask` calls it, if not by its name.
    """

    name: str
    question: tuple[str, ...]
    answer: Rating | FreeText | Ranked
    ways: tuple[Way, ...]
    needs: frozenset[str] = frozenset()
    test: Callable[[TestData], Test] | None = None
    metric: Callable[[Any, Any], dict[str, float]] | None = None
    verb: str = ""

    @property
    def asked_as(self) -> str:
        return self.verb or self.name

    @property
    def may_name(self) -> frozenset[str]:
        """The fields that a prompt can be filled with: nobody is named where no user is given."""
        return frozenset({"user", *self.question}) | (DESCRIBED if "item" in self.question else set())


@dataclass(frozen=True)
class Family:
    """Prompts of one file, and the tasks that are asked with them.

    `order`: its place among the others, in lists of tasks and in the mixture of a training. `fields`: fields of
    its prompts that reviews fill, each with the columns of `Reviews` that it is made of. `new`: groups of prompts that
    are asked about items that nobody took yet.
    """

    name: str
    order: int
    groups: Mapping[str, Group]
    training_sets: tuple[TrainingSet, ...]
    tasks: tuple[Task, ...]
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new: Mapping[str, Group] = field(default_factory=dict)


_REGISTRY: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Make a family and its tasks known."""
    _REGISTRY[family.name] = family
    return family


def families() -> dict[str, Family]:
    """All families by name, in their order: every module beside this one is looked through."""
    for module in pkgutil.iter_modules(genrec.tasks.__path__, "genrec.tasks."):
        importlib.import_module(module.name)
    return {
        family.name: family for family in sorted(_REGISTRY.values(), key=lambda one: (one.order, one.name))
    }


def tasks() -> dict[str, Task]:
    """All tasks by name, in the order of their families."""
    return {task.name: task for family in families().values() for task in family.tasks}


def training_sets() -> dict[str, TrainingSet]:
    """All training sets by name, in the order of their families."""
    return {one.name: one for family in families().values() for one in family.training_sets}


def groups() -> dict[str, Mapping[str, Group]]:
    """The groups of prompts of each family, and last those that are never trained on."""
    known = families().values()
    never = {name: group for family in known for name, group in family.new.items()}
    return {**{family.name: family.groups for family in known}, NEVER_LEARNT: never}


def review_fields() -> dict[str, tuple[str, ...]]:
    """The fields of prompts that reviews fill, with the columns of `Reviews` that each is made of."""
    return {name: columns for family in families().values() for name, columns in family.fields.items()}


def words_of(values: Any) -> list[str]:
    """The texts of a series that has them."""
    assert values is not None
    return list(values)


def commonest(texts: Sequence[str]) -> str:
    """The text that stands there most often, the first one in the alphabet of several."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text))
