"""What a fitted recommender is asked in the names that people use: lists, and how they came about.

`Recommender.rank` answers with rows of the catalogue; this is what is around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, shown
from genrec.recommenders.asked import allowed_mask, named_rows
from genrec.recommenders.living_catalogue import LivingCatalogue

_NOISE = 1e-5  # of a score: what the order of adding up may change
_COMPARED = 50  # places in which lists are compared


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


@dataclass(frozen=True)
class Reason:
    """An item of a history that speaks for a recommended one.

    `effect`: by how much less the recommended item scores where this one is left out; of a probability, the logarithm
    of the ratio. Infinite where it would not be found at all.
    """

    item_id: str
    title: str
    effect: float


class _Chosen(NamedTuple):
    text: str
    probability: float


class Choice(_Chosen):
    """A decision along an item's name, and its probability among what the catalogue allows there: a pair of the two.

    Where names are written with a prior, `words` is what the language model alone says of it, `items` the prior alone.
    `unasked`: what the language model says of it without a history, where that is taken off (`pmi`).
    """

    words: float | None
    items: float | None
    unasked: float | None

    def __new__(
        cls,
        text: str,
        probability: float,
        words: float | None = None,
        items: float | None = None,
        unasked: float | None = None,
    ) -> Self:
        pair = super().__new__(cls, text, probability)
        pair.words, pair.items, pair.unasked = words, items, unasked
        return pair


class Answering(LivingCatalogue, ABC):
    """The part of a recommender that answers in names."""

    probabilistic: bool = False  # scores are log-probabilities over the catalogue

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
        the scores that a list weighs. With a prior it is that of a list without the items of the history. With `pmi` an
        item's score is the sum of log probability - pmi * log unasked.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: this recommender does not write names.
        """
        return self._why(self.catalogue.rows(history), self.catalogue.resolve(item))

    def because(self, history: Sequence[str | int], item: str | int) -> list[Reason]:
        """The items of a history that speak for `item`, the strongest first; none where nothing of it does.

        Each is left out by itself, wherever it stands in the history, and the scores of `item` are compared. Of two
        that say the same, neither may be missed.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold.
        """
        return self.reasons(history, [item])[0]

    def reasons(
        self,
        history: Sequence[str | int],
        items: Sequence[str | int],
        *,
        only: Mapping[str, Any] | Sequence[str] | BoolArray | None = None,
    ) -> list[list[Reason]]:
        """`because` for each of several items, as of a list that was made with `only`, at the cost of one."""
        catalogue = self.catalogue
        taken, wanted = np.array(catalogue.rows(history), np.int32), np.array(catalogue.rows(items), np.int32)
        distinct = np.unique(taken)
        mask = allowed_mask(only, (), catalogue)
        offered = np.ones(len(catalogue), bool) if mask is None else mask
        offered[distinct] = False  # what is left out takes no place that it did not have before
        offered[wanted] = True
        histories = Histories.from_lists([taken, *(taken[taken != item] for item in distinct)])
        scores_HJ = self._scores_of(histories, wanted, offered)
        found = []
        for scores_H in scores_HJ.T:
            least = _NOISE * max(1.0, abs(float(scores_H[0])))
            reasons = [
                Reason(catalogue.ids[row], catalogue.titles[row], float(scores_H[0] - score))
                for row, score in zip(distinct.tolist(), scores_H[1:], strict=True)
                if scores_H[0] - score > least
            ]
            found.append(sorted(reasons, key=lambda reason: -reason.effect))
        return found

    def _scores_of(self, histories: Histories, items_J: IntArray, offered: BoolArray) -> FloatArray:
        """Scores (B, J) of some items for each history, -inf where one is not found.

        Args:
            histories: B lists.
            items_J: rows of the catalogue.
            offered: mask (num_items,) of these and what else may be returned, for recommenders whose scores depend on
                it. The others look for these items alone.
        """
        allowed = np.zeros(len(offered), bool)
        allowed[items_J] = True
        return self.rank(histories, len(items_J), exclude_seen=False, allowed=allowed).scores_of(items_J)

    def similar_items(
        self,
        item: str | int,
        k: int = 10,
        *,
        only: Mapping[str, Any] | Sequence[str] | BoolArray | None = None,
        exclude: Iterable[str | int] = (),
        max_per: Mapping[str, int] | None = None,
        exact: bool = False,
    ) -> Ranking:
        """What the recommender puts beside an item: its list for somebody of whom it knows this one item alone.

        In `itemknn` these are the nearest neighbours, in `tfidf` the most similar texts, in `transitions` what was
        taken soon before or after. Recommenders of what comes next give what they expect after it.

        Args:
            item: an id or title.
            k, only, exclude, max_per, exact: as in `recommend`.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold.
            ConfigError: the recommender makes nothing of the item: its list is the one for somebody of whom nothing is
                known, as always in `popular`; or see `recommend`.
        """
        row, others = self.catalogue.resolve(item), np.ones(len(self.catalogue), bool)
        others[row] = False
        found = self.rank(Histories.from_lists([[row], []]), _COMPARED, allowed=others)
        if all((part[0] == part[1]).all() for part in (found.items_BK, found.scores_BK)):
            raise ConfigError(
                f"{self.name} knows nothing that is like {shown(self.catalogue.titles[row])}: who took that has the "
                "list of somebody of whom nothing is known; ask another recommender, such as itemknn or tfidf"
            )
        options: dict[str, Any] = {"only": only, "exclude": exclude, "max_per": max_per, "exact": exact}
        return self.recommend([[self.catalogue.ids[row]]], k, **options)[0]

    def background(self, history: Sequence[str | int]) -> dict[str, list[str]]:
        """What a list is made from beside the history: lines under their headings; nothing by default."""
        return {}

    def notes(self) -> list[str]:
        """What is worth knowing of how it was fitted and asked so far, a sentence each; nothing by default."""
        return []

    def _why(self, history: list[int], item: int) -> list[Choice]:
        raise ConfigError(f"{self.name} does not write names, so there are no decisions to show")
