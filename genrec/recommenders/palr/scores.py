"""What `palr` scores its candidates by.

Shape suffixes: B users, C candidates of each (-1 where there are fewer).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.ranker import Questions, TrieRanker
from genrec.prompts.profiles import AttributeProfiles
from genrec.recommenders.base import Recommender
from genrec.recommenders.language.experts import scores_of
from genrec.recommenders.palr.candidates import part_scores
from genrec.recommenders.palr.config import Task
from genrec.recommenders.prior import WeighedScores


class Score(Protocol):
    """A number for every candidate, higher is better; `usual`: its weight until validation tells another."""

    @property
    def name(self) -> str: ...

    @property
    def usual(self) -> float: ...

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        """Scores (B, C); anything where no candidate stands."""


@dataclass(frozen=True)
class Likelihood:
    """log p(item | question) of a task."""

    name: Task
    ask: Callable[[Task, Histories, IntArray], Questions]
    ranker: TrieRanker
    usual: float = 1.0

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        questions = self.ask(self.name, histories, candidates.items_BK)
        return self.ranker.log_likelihood(questions, candidates.items_BK)


@dataclass(frozen=True)
class ProfileMatch:
    """How well a candidate's attributes suit those of the history."""

    attributes: AttributeProfiles
    name: str = "profile"
    usual: float = 0.0  # how much a profile says is not known before; the others are about log-probabilities

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        pairs = zip(histories, candidates.items_BK, strict=True)
        return np.stack([self.attributes.matches(history, items) for history, items in pairs])


@dataclass(frozen=True)
class Retrieved:
    """The retriever's own score; `name`: the retriever's."""

    name: str
    usual: float = 1.0

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        return candidates.scores_BK


@dataclass(frozen=True)
class OfPart:
    """A score of a recommender that a prior retrieves with; `catalogue`: whose rows are asked for."""

    name: str
    usual: float
    model: Recommender
    catalogue: Catalogue

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        return part_scores(self.model, self.name, histories, candidates.items_BK, self.catalogue)


def of_retriever(retriever: Recommender, catalogue: Catalogue) -> list[Score]:
    """The score of a retriever; of a prior those that it weighs, since other weights tell its first few apart best."""
    if not isinstance(retriever, WeighedScores):
        return [Retrieved(retriever.name)]
    nobody, weights = Histories.from_lists([[]]), retriever.experts_.weights
    return [
        OfPart(name, weights[name], model, catalogue)
        for model in retriever.experts_.models
        for name in scores_of(model, nobody)
    ]
