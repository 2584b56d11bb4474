"""The catalogue of a recommender, whose items come, go and get other texts after the training.

A recommender keeps its state after `fit`, and every edit derives the new state from that and from the whole edited
catalogue. So the order of edits does not matter, a restored title restores its scores, and an edit that is refused half
way has changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.new_items import read_new_items
from genrec.errors import ConfigError, NotFittedError

if TYPE_CHECKING:
    from genrec.recommenders.today import Today


class LivingCatalogue:
    """The part of a recommender that manages its catalogue.

    Learnt state are attributes whose names end in an underscore. `trained_` holds those that edits have bound anew, as
    they were before the first edit; it is empty before that.
    """

    name: ClassVar[str]

    catalogue_: Catalogue | None = None  # None: not fitted
    removed_: BoolArray  # (num_items,)
    trained_: Mapping[str, Any] = MappingProxyType({})

    def _catalogue_changed(self, trained: Catalogue) -> None:
        """Adapt what was learnt from `trained` to `catalogue_`, whose texts and further items are other ones.

        It is called on a shallow copy of the recommender as it was after `fit`, whatever came in between, and decides
        alone what becomes of what was learnt. Attributes may be bound anew; what they held belongs to others as well
        and is never changed. Rows of trained items are where they were; new items come after them.
        """
        raise ConfigError(f"{self.name} cannot take new items without being fitted again")

    @property
    def _not_fitted(self) -> str:
        return f"this {self.name} has not been fitted: call fit(data.train) or load a run first"

    @property
    def catalogue(self) -> Catalogue:
        """The items that can be recommended.

        Raises:
            NotFittedError: before `fit` or `load`.
        """
        if self.catalogue_ is None:
            raise NotFittedError(self._not_fitted)
        return self.catalogue_

    @property
    def trained_catalogue(self) -> Catalogue:
        """The items with the texts that `fit` saw."""
        trained: Catalogue = self.trained_.get("catalogue_", self.catalogue)
        return trained

    def add_items(self, items: Any) -> Self:
        """Add items, or give known ones a new text, without fitting again. What is refused leaves all as it was.

        What the recommender is afterwards follows from what it has learnt and from the catalogue alone: not from the
        order of edits, nor from how often it was saved and loaded in between. What it has learnt of an item stays
        with the item under its new text, and the old text gives back the old scores.

        Args:
            items: a file of items, or a polars or pandas frame with columns of ids and titles and any further fields,
                read as such a file is. A known id gets the new text, an empty field leaves the old value, and a hidden
                item comes back. New items stand behind those of the training, by id: their rows may change with each
                addition.

        Raises:
            NotFittedError: before `fit`.
            DataError: no items, or some without ids.
            CatalogueError: an id that is missing or there twice, a new item without a title, or a value that does not
                fit its field.
            ConfigError: the recommender cannot take these items.
        """
        new = read_new_items(items, self.catalogue)[0]
        back = set(new["item_id"])
        gone = [item_id for item_id in self.removed_ids if item_id not in back]
        vars(self).update(vars(self.with_items(new, gone)))
        return self

    def with_data(
        self, source: Any, items: Any = None, *, unrated: bool | None = None, **options: Any
    ) -> Today:
        """Today's log and items beside the recommender, which stays as it is and learns nothing.

        Users and items are known by their ids. The items get today's texts and fields; those that the file of items no
        longer lists are not recommended, and may stand in histories; new ones are added where the recommender can.

        Args:
            source: the log, as `genrec.read` takes it.
            items: file or frame of today's items; None: the one that belongs to the layout.
            unrated: add the listed items that nobody took, too; None: if `items` are given.
            options: how they are read, as `genrec.read` takes it. `k_core` and `min_history` choose what is learnt
                from, and are not used.

        Returns:
            The recommender for today, and the history of each user.

        Raises:
            NotFittedError: before `fit`.
            DataError, CatalogueError, ConfigError: data that cannot be read, or values that do not fit the fields of
                the catalogue.
        """
        from genrec.recommenders.today import beside, read_today

        _ = self.catalogue  # nobody reads long for a recommender that has learnt nothing
        unrated = items is not None if unrated is None else unrated
        return beside(self, read_today(source, items, **options), unrated=unrated)

    @property
    def removed_ids(self) -> list[str]:
        """Of the items that are never recommended."""
        return [self.catalogue.ids[row] for row in np.flatnonzero(self.removed_)]

    def with_items(self, new: pl.DataFrame, removed_ids: Iterable[str]) -> Self:
        """The recommender with further items or texts, which fit the catalogue; this one stays as it is.

        Args:
            new: as `Catalogue.with_items` takes it.
            removed_ids: the items that are never recommended.
        """
        catalogue = self.catalogue.with_items(new, self.trained_catalogue)
        removed = np.zeros(len(catalogue), bool)
        removed[catalogue.rows_of_ids(removed_ids)] = True
        return self.with_catalogue(catalogue, removed)

    def with_catalogue(self, catalogue: Catalogue, removed: BoolArray) -> Self:
        """The recommender with another catalogue, in one step from what was learnt; this one stays as it is.

        Args:
            catalogue: the trained items where they were, then others.
            removed: mask (num_items,) of what is never recommended; kept, not copied.
        """
        changed = self._as_fitted()
        learnt, trained = dict(vars(changed)), changed.catalogue
        changed.catalogue_, changed.removed_, changed.trained_ = catalogue, removed, {"catalogue_": trained}
        changed._catalogue_changed(trained)
        changed.trained_ = {
            name: value
            for name, value in learnt.items()
            if name not in ("removed_", "trained_") and vars(changed)[name] is not value
        }
        return changed

    def _as_fitted(self) -> Self:
        """A shallow copy with all that edits have bound anew as it was before the first of them."""
        fitted = copy(self)
        vars(fitted).update(self.trained_)
        return fitted

    def hide_items(self, names: Iterable[str | int]) -> Self:
        """Never recommend these items; histories may still hold them.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold; no item is hidden then.
        """
        self.removed_[self.catalogue.rows(names)] = True
        return self

    def show_items(self, names: Iterable[str | int]) -> Self:
        """Recommend hidden items again.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold; no item is shown then.
        """
        self.removed_[self.catalogue.rows(names)] = False
        return self

    def remove_items(self, names: Iterable[str | int]) -> Self:
        """Take items out of the catalogue: those that were added. What was learnt from is hidden, and stays readable.

        Raises:
            NotFittedError: before `fit`.
            UnknownItemError: a name that the catalogue does not hold; no item is removed then.
        """
        rows = np.array(self.catalogue.rows(names), dtype=np.int64)
        added = rows >= len(self.trained_catalogue)
        self.removed_[rows[~added]] = True
        if added.any():
            kept = np.ones(len(self.catalogue), bool)
            kept[rows[added]] = False
            catalogue = Catalogue(self.catalogue.table.filter(kept), self.catalogue.titled)
            vars(self).update(vars(self.with_catalogue(catalogue, self.removed_[kept])))
        return self

    @property
    def as_trained(self) -> Self:
        """The recommender with the catalogue that it learnt from, whatever was edited since; this one stays."""
        if not self.trained_ and not self.removed_.any():
            return self
        trained = self.trained_catalogue
        return self.with_catalogue(trained, np.zeros(len(trained), bool))
