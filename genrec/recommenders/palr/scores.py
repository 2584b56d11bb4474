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


class Parts:
    """The scores of the parts of a prior that retrieves, found once for the same candidates."""

    def __init__(self, retriever: Recommender, catalogue: Catalogue) -> None:
        """See `part_scores`."""
        self._retriever, self._catalogue = retriever, catalogue
        self._found: tuple[Rankings, dict[str, FloatArray]] | None = None

    def of(self, histories: Histories, candidates: Rankings) -> dict[str, FloatArray]:
        """Scores (B, C) by their names."""
        if self._found is None or self._found[0] is not candidates:
            scores = part_scores(self._retriever, histories, candidates.items_BK, self._catalogue)
            self._found = candidates, scores
        return self._found[1]


@dataclass(frozen=True)
class OfPart:
    """What one score of a prior adds to its candidates' scores, by its name."""

    name: str
    parts: Parts
    usual: float = 1.0

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        return self.parts.of(histories, candidates)[self.name]


def of_retriever(retriever: Recommender, catalogue: Catalogue) -> list[Score]:
    """The score of a retriever; of a prior those that it weighs, since other weights tell its first few apart best."""
    if not isinstance(retriever, WeighedScores):
        return [Retrieved(retriever.name)]
    parts = Parts(retriever, catalogue)
    return [OfPart(name, parts) for name in retriever.experts_.weights]
