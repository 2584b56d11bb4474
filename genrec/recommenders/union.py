"""Union: several recommenders as one, their lists merged by rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create, load, register
from genrec.recommenders.options import Config, Name, Names

TIE = 1e-3  # places that each further member's items stand behind the first member's: far below one


class UnionConfig(Config):
    """Options of `union`.

    The paper's rank constant is 60; 20 was better on the validation parts of ML-100K and Amazon Beauty.
    """

    members: Names = Field(
        ("itemknn", "tfidf"), description="recommenders; of two items at one place, the first member's leads"
    )
    options: dict[Name, dict[Name, Any]] = Field({}, description="a member's own options, by its name")
    depth: int = Field(100, ge=1, le=100_000, description="places of each member's list that count")
    rank_constant: float = Field(
        20.0,
        ge=0,
        le=1e6,
        description="added to places: the larger, the less it matters to be first in a list",
    )

    @field_validator("members")
    @classmethod
    def _members_differ(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if not members or len(set(members)) < len(members):
            raise ValueError("name at least one recommender, and each of them once")
        return members


@register("union")
class Union(Recommender):
    """several recommenders -> their lists for a history -> reciprocal rank fusion of the best places.

    An item scores the sum over the members of 1 / (rank_constant + its place), for places up to `depth` (Cormack,
    Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114): scores of different scales need not be
    compared, and what a single member finds is not lost. All members weigh the same: one much weaker than the
    others makes the list worse than theirs (`tfidf` does, on films whose titles say little). Items past `depth` in
    every list come last, by their best place, so that a list can be as long as the catalogue. Costs what its members
    cost; items can be added where all of them can take new ones.
    """

    Config = UnionConfig
    pipeline: ClassVar[str] = (
        "the lists of several recommenders -> the sum of 1 / (constant + place) over the lists"
    )
    paper: ClassVar[str] = "Cormack, Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114"
    tiny: ClassVar[dict[str, Any]] = {"options": {"itemknn": {"num_neighbours": 10, "shrink": 1.0}}}
    sequential: ClassVar[bool] = False

    def __init__(self, config: BaseModel | None = None, /, **options: Any) -> None:
        super().__init__(config, **options)
        self.members_ = self._created()  # unfitted: what a member refuses is said before anything is trained

    @classmethod
    def of(cls, members: Sequence[Recommender]) -> Self:
        """A union of recommenders that are fitted already, on the same items.

        Args:
            members: of different names; from now on they hide what the union hides.
        """
        options = {member.name: member.config.model_dump(mode="json") for member in members}
        union = cls(members=tuple(options), options=options)
        union.catalogue_ = members[0].catalogue
        union.removed_ = np.zeros(len(union.catalogue), bool)
        union.members_ = list(members)
        for member in members:
            member.removed_ = union.removed_
        return union

    def _created(self) -> list[Recommender]:
        members, options = self.config.members, self.config.options
        strange = [name for name in options if name not in members]
        if strange:
            raise ConfigError(
                f"options for {strange[0]!r}, which is no member of this union: it has {', '.join(members)}"
            )
        return [create(name, **options.get(name, {})) for name in members]

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        self.members_ = self._created()
        for member in self.members_:
            folder = None if run is None else run / member.name
            member.fit(train, validation, run=folder, resume=resume)
            member.removed_ = self.removed_  # one mask for all: a removal here reaches the members

    def _choose_as(self, other: Self) -> None:
        for member, chosen in zip(self.members_, other.members_, strict=True):
            member._choose_as(chosen)

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        length = min(max(k, self.config.depth), len(self.catalogue))
        rankings = [
            member.rank(
                histories,
                length,
                exclude_seen=exclude_seen,
                allowed=allowed,
                exact=exact,
                batch_size=len(histories),
            )
            for member in self.members_
        ]
        items_BP = np.concatenate([ranking.items_BK for ranking in rankings], axis=1)
        places_P = np.concatenate(
            [
                np.arange(1, ranking.items_BK.shape[1] + 1) + TIE * number
                for number, ranking in enumerate(rankings)
            ]
        )
        fused = self._fused(items_BP, places_P, k)
        return Rankings(*fused, np.logical_and.reduce([ranking.exact_B for ranking in rankings]))

    def _scores_of(self, histories: Histories, items_J: IntArray, offered: BoolArray) -> FloatArray:
        # A place is one among what may be returned.
        depth = max(self.config.depth, len(items_J))
        return self.rank(histories, depth, exclude_seen=False, allowed=offered).scores_of(items_J)

    def _fused(self, items_BP: Any, places_P: Any, k: int) -> tuple[Any, Any]:
        """The best k of the P entries of each row; items (B, k) int32 and scores (B, k) float32."""
        num_items = len(self.catalogue)
        row, column = np.nonzero(items_BP >= 0)
        pairs, pair = np.unique(row * num_items + items_BP[row, column], return_inverse=True)
        shares = 1 / (self.config.rank_constant + places_P[column])
        scores = np.bincount(pair, shares * (places_P[column] < self.config.depth + 1), minlength=len(pairs))
        single = np.zeros(len(pairs))
        np.maximum.at(single, pair, shares)
        scores = np.where(scores > 0, scores, single).astype(np.float32)

        row, item = np.divmod(pairs, num_items)
        order = np.lexsort((item, -scores, row))
        place = np.arange(len(order)) - np.searchsorted(row, row)
        kept = place < k
        items_BK = np.full((len(items_BP), k), -1, np.int32)
        scores_BK = np.full((len(items_BP), k), -np.inf, np.float32)
        items_BK[row[kept], place[kept]] = item[order][kept]
        scores_BK[row[kept], place[kept]] = scores[order][kept]
        return items_BK, scores_BK

    def _save(self, folder: Path) -> None:
        for member in self.members_:
            member.save(folder / member.name)

    def _load(self, folder: Path) -> None:
        self.members_ = [load(folder / name) for name in self.config.members]
        for member in self.members_:
            member.removed_ = self.removed_

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self.members_ = [member.with_catalogue(self.catalogue, self.removed_) for member in self.members_]
