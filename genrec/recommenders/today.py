"""Today's log and items beside a recommender that learnt from those of another day.

Nothing has to be as it was in training: users and items are known by their ids. So a shop trains at times and
recommends every day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from genrec.data.interactions import Histories, IntArray
from genrec.data.listing import counted
from genrec.data.new_items import fitted_to
from genrec.errors import ConfigError, DataError, shown

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.recommenders.answering import Ranking
    from genrec.recommenders.base import Recommender
    from genrec.recommenders.living_catalogue import LivingCatalogue

M = TypeVar("M", bound="LivingCatalogue")

_EXAMPLES = 3  # ids that a note names


@dataclass(frozen=True)
class Today:
    """A recommender with today's items, and what each of today's users took.

    Attributes:
        model: the recommender; its catalogue has today's texts and fields.
        data: today's data as they were read.
        histories: rows of the catalogue of `model`, a list for each of `users`; what it does not know is left out.
        notes: what is new, gone or unknown, a sentence each.
    """

    model: Recommender
    data: Dataset
    histories: Histories
    notes: list[str] = field(default_factory=list)

    @property
    def users(self) -> pl.Series:
        """Raw ids of those who have histories; (B,)."""
        return self.data.interactions.users

    def history(self, user: str | int) -> list[str]:
        """Ids of all that a user took and the recommender knows, oldest first.

        Raises:
            DataError: there is no such user.
        """
        row = self.users.cast(pl.String).index_of(str(user))
        if row is None:
            some = ", ".join(map(str, self.users[:5]))
            raise DataError(
                f"{self.data.report.source} has no user {shown(str(user))}; there are users such as {some}, "
                "and of somebody new nothing is known (--visitor)"
            )
        ids = self.model.catalogue.ids
        return [ids[item] for item in self.histories[row]]

    def recommend(self, users: Sequence[str | int], k: int = 10, **options: Any) -> list[Ranking]:
        """Recommend to users of the log.

        Args:
            users: their ids.
            k: items wanted for each.
            options: of `Recommender.recommend`.

        Raises:
            DataError: a user who is not in the log.
            ConfigError: see `Recommender.recommend`.
        """
        return self.model.recommend([self.history(user) for user in users], k, **options)


def read_today(source: Any, items: Any = None, **options: Any) -> Dataset:
    """Data of which every user and every listed item counts, whatever was learnt from.

    Args:
        source, items: as `genrec.read` takes them.
        options: of `genrec.read`; what says which items and users are learnt from is not used.

    Raises:
        DataError, CatalogueError, ConfigError: see `genrec.read`.
    """
    from genrec.data.read import read

    everybody = {"untitled": "id", "unrated": True, "k_core": None, "min_history": None}
    return read(source, items, **{**options, **everybody})


def beside(model: LivingCatalogue, data: Dataset, *, items: bool = True, unrated: bool = False) -> Today:
    """Put data beside a recommender; see `LivingCatalogue.with_data`.

    Args:
        model: fitted; stays as it is.
        data: as `read_today` gives them, or of a source without a file of items.
        items: the items are those of today; False: those of the recommender.
        unrated: add what is listed and nobody took, too.

    Raises:
        CatalogueError: a value that does not fit its field.
    """
    changed, notes = _with_items(model, data, unrated) if items else (model, [])
    found = map(changed.catalogue.get, data.catalogue.ids)
    rows = np.array([-1 if row is None else row for row in found], np.int32)
    taken = data.interactions.histories
    found_items = rows[taken.items]
    known = found_items >= 0
    if not known.all():
        unknown = np.unique(taken.items[~known])
        count = counted(int((~known).sum()), "interaction")
        notes.append(
            f"{_some(data, unknown)} unknown to the recommender: left out of the histories, in {count}; give today's "
            "items, or add them with `genrec items add`"
        )
    histories = Histories(found_items, taken.offsets).only(known)
    return Today(changed, data, histories, notes)  # type: ignore[arg-type]


def _with_items(model: M, data: Dataset, unrated: bool) -> tuple[M, list[str]]:
    """The recommender with today's items as far as it can take them, and what is to be told of them."""
    catalogue, notes = model.catalogue, list[str]()
    if data.listed is None and not data.catalogue.titled and catalogue.titled:
        return model, notes  # a log alone says nothing of items
    ids = pl.Series(data.catalogue.ids, dtype=pl.String)
    is_known = ids.is_in(catalogue.ids).to_numpy()
    named = data.catalogue.titled if data.named is None else data.named
    is_named = np.full(len(ids), True) & (named if catalogue.titled else True)
    wanted = np.full(len(ids), True)
    if not unrated:
        wanted[:] = False
        wanted[data.interactions.histories.items] = True
    is_new = ~is_known & is_named & wanted
    table = data.catalogue.table
    if catalogue.titled:
        table = table.with_columns(pl.when(pl.Series(is_named)).then("title").alias("title"))
    else:  # items were learnt by their ids, and are known by these
        table = table.with_columns(pl.col("item_id").alias("title"))
    today = fitted_to(catalogue, table.filter(is_known | is_new))
    gone = _gone(model, data)
    removed = {*model.removed_ids, *gone}
    changed = model
    if is_new.any():
        try:
            changed = _edited(model, today, removed)
            notes.append(f"{_some(data, np.flatnonzero(is_new))} new since the training")
        except ConfigError as error:
            notes.append(f"{_some(data, np.flatnonzero(is_new))} new and left out: {error}")
            is_new[:] = False
    if not is_new.any():
        changed = _edited(model, today.filter(pl.col("item_id").is_in(catalogue.ids)), removed)
    if gone:
        told = _examples(gone)
        notes.append(
            f"{counted(len(gone), 'item')} ({told}) {'is' if len(gone) == 1 else 'are'} no longer listed and not "
            "recommended; histories may hold such"
        )
    return changed, notes


def _edited(model: M, items: pl.DataFrame, removed: set[str]) -> M:
    """The recommender with these texts and items, or the same one where they say nothing new."""
    catalogue = model.catalogue.with_items(items, model.trained_catalogue)
    same = catalogue.table.equals(model.catalogue.table)
    if same and removed == set(model.removed_ids):
        return model
    mask = np.zeros(len(catalogue), bool)
    mask[catalogue.rows_of_ids(removed)] = True
    return model.with_catalogue(catalogue, mask)


def _gone(model: LivingCatalogue, data: Dataset) -> list[str]:
    """Of the items that can be recommended, those that a file of items listed before and does no longer."""
    if data.listed is None:
        return []
    listed = set(pl.Series(data.catalogue.ids, dtype=pl.String).filter(pl.Series(data.listed)))
    hidden = set(model.removed_ids)
    pairs = zip(model.catalogue.ids, model.catalogue.titles, strict=True)
    # What is called by its id was in no list even then.
    return [
        item_id
        for item_id, title in pairs
        if item_id not in listed
        and item_id not in hidden
        and (title != item_id or not model.catalogue.titled)
    ]


def _some(data: Dataset, rows: IntArray) -> str:
    """Items of today in words, with a verb that a sentence goes on from."""
    ids = data.catalogue.ids
    verb = "is" if len(rows) == 1 else "are"
    return f"{counted(len(rows), 'item')} ({_examples([ids[row] for row in rows[: _EXAMPLES + 1]])}) {verb}"


def _examples(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_EXAMPLES]) + (", …" if len(ids) > _EXAMPLES else "")
