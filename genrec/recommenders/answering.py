"""What a fitted recommender is asked in the names that people use: lists, and how they came about.

`Recommender.rank` answers with rows of the catalogue; this is what is around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.asked import allowed_mask, named_rows
from genrec.recommenders.living_catalogue import LivingCatalogue


@dataclass(frozen=True)
class RecommendedItem:
    """One line of a ranking, in the user's own names."""

    item_id: str
    title: str
    score: float
    probability: float | None  # p(item | history); None where the recommender gives scores without a scale


@dataclass(frozen=True)
class Ranking:
    """The recommended items of one user, best first; `exact`: provably the model's true top k."""

    items: list[RecommendedItem]
    exact: bool


class _Chosen(NamedTuple):
    text: str
    probability: float


class Choice(_Chosen):
    """A decision along an item's name, and its probability among what the catalogue allows there: a pair of the two.

    Where names are written with a prior, `words` is what the language model alone says of it, `items` the prior alone.
    """

    words: float | None
    items: float | None

    def __new__(
        cls, text: str, probability: float, words: float | None = None, items: float | None = None
    ) -> Self:
        pair = super().__new__(cls, text, probability)
        pair.words, pair.items = words, items
        return pair


class Answering(LivingCatalogue, ABC):
    """The part of a recommender that answers in names."""

    probabilistic: ClassVar[bool] = False  # scores are log-probabilities over the catalogue

    @abstractmethod
    def rank(self, histories: Histories, k: int = 10, *args: Any, **options: Any) -> Rankings:
        """See `Recommender.rank`."""

    def recommend(
        self,
        histories: Sequence[Sequence[str | int]],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        only: Mapping[str, Any] | Sequence[str] | BoolArray | None = None,
        exclude: Iterable[str | int] = (),
        max_per: Mapping[str, int] | None = None,
        exact: bool = False,
    ) -> list[Ranking]:
        """Recommend for histories given by raw ids or titles, oldest first.

        Args:
            histories: one list a user; the users need not have been seen in training.
            k: items wanted for each user.
            exclude_seen: never recommend an item of the history.
            only: what an item must be: `{field: value}` as in `{"genres": "Comedy"}`, conditions as in `["price<20",
                "brand=Pike,Rill"]`, or a mask over the catalogue.
            exclude: ids or titles never to recommend, e.g. out of stock.
            max_per: at most so many items of one value of a field, as in `{"brand": 2}`: see `Recommender.rank`.
            exact: search on until every list is proved to be the model's true top k, however long that takes; False:
                stop trying after some steps.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold; the message names the nearest titles.
            ConfigError: k below 1, a field or value that no item has, or something else than lists of names.
        """
        rows = named_rows(histories, self.catalogue)
        allowed = allowed_mask(only, exclude, self.catalogue)
        options: dict[str, Any] = {"exclude_seen": exclude_seen, "max_per": max_per, "exact": exact}
        rankings = self.rank(rows, k, allowed=allowed, **options)
        return self.named(rankings)

    def named(self, rankings: Rankings) -> list[Ranking]:
        """Lists of catalogue rows in the user's own names."""
        return [self._named(rankings, row) for row in range(len(rankings))]

    def _named(self, rankings: Rankings, row: int) -> Ranking:
        catalogue = self.catalogue
        items = [
            RecommendedItem(
                catalogue.ids[item],
                catalogue.titles[item],
                float(score),
                float(np.exp(score)) if self.probabilistic else None,
            )
            for item, score in zip(rankings.items_BK[row], rankings.scores_BK[row], strict=True)
            if item >= 0
        ]
        return Ranking(items, bool(rankings.exact_B[row]))

    def why(self, history: Sequence[str | int], item: str | int) -> list[Choice]:
        """How the recommender came to `item`: each decision along its name.

        The product of the probabilities is p(item | history), that of the item in an exact list. In `palr` it is one of
        the scores that a list weighs. With a prior it is that of a list without the items of the history.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: this recommender does not write names.
        """
        return self._why(self.catalogue.rows(history), self.catalogue.resolve(item))

    def background(self, history: Sequence[str | int]) -> dict[str, list[str]]:
        """What a list is made from beside the history: lines under their headings; nothing by default."""
        return {}

    def notes(self) -> list[str]:
        """What is worth knowing of how it was fitted and asked so far, a sentence each; nothing by default."""
        return []

    def _why(self, history: list[int], item: int) -> list[Choice]:
        raise ConfigError(f"{self.name} does not write names, so there are no decisions to show")
