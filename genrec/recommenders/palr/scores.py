"""What `palr` scores its candidates by.

Shape suffixes: B users, C candidates of each (-1 where there are fewer).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.decoding.ranker import Questions, TrieRanker
from genrec.prompts.profiles import AttributeProfiles
from genrec.recommenders.palr.config import Task


class Score(Protocol):
    """A number for every candidate, higher is better."""

    @property
    def name(self) -> str: ...

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        """Scores (B, C); anything where no candidate stands."""


@dataclass(frozen=True)
class Likelihood:
    """log p(item | question) of a task."""

    name: Task
    ask: Callable[[Task, Histories, IntArray], Questions]
    ranker: TrieRanker

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        questions = self.ask(self.name, histories, candidates.items_BK)
        return self.ranker.log_likelihood(questions, candidates.items_BK)


@dataclass(frozen=True)
class ProfileMatch:
    """How well a candidate's attributes suit those of the history."""

    attributes: AttributeProfiles
    name: str = "profile"

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        pairs = zip(histories, candidates.items_BK, strict=True)
        return np.stack([self.attributes.matches(history, items) for history, items in pairs])


@dataclass(frozen=True)
class Retrieved:
    """The retriever's own score; `name`: the retriever's."""

    name: str

    def of(self, histories: Histories, candidates: Rankings) -> FloatArray:
        return candidates.scores_BK
