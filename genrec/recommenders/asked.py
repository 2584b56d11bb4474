"""What people hand to a recommender, checked before anything is made of it: interactions, histories, masks, counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.conditions import parsed
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.errors import ConfigError, DataError, one_of, shown

UNKNOWN = ("error", "skip", "nearest")


def check_learnable(train: Any, validation: Any) -> None:
    """Nothing, if `train` are interactions and `validation` questions about the same items, or None.

    Raises:
        DataError: something else, of which a whole data set is the most frequent, or questions of other data.
    """
    if not isinstance(train, Interactions):
        raise DataError(
            f"{type(train).__name__} is nothing to learn from: give data.train of what genrec.read gave"
        )
    if validation is None:
        return
    if not isinstance(validation, Targets):
        raise DataError(
            f"{type(validation).__name__} holds no questions: give validation=data.validation, or none"
        )
    if validation.catalogue is not train.catalogue and validation.catalogue.ids != train.catalogue.ids:
        raise DataError(
            f"the validation is about {len(validation.catalogue):,} items and the training about "
            f"{len(train.catalogue):,} others: give both of one data set"
        )


def named_rows(histories: Any, catalogue: Catalogue) -> Histories:
    """Histories of ids or titles as catalogue rows.

    Raises:
        ConfigError: no list of lists; a set, which has no order, or a mapping in place of a list.
        UnknownItemError: a name that the catalogue does not hold.
    """
    listed = isinstance(histories, Iterable) and not isinstance(histories, Mapping)
    lists = list(histories) if listed else []
    if not listed or any(isinstance(one, str) for one in lists):
        raise ConfigError("`histories` is a list of lists, one a user: wrap a single history in another list")
    for one in lists:
        if isinstance(one, Set | Mapping):
            raise ConfigError(
                f"a history is a list of ids or titles, oldest first, and {type(one).__name__} {shown(one)} is none"
            )
    return Histories.from_lists([catalogue.rows(one) for one in lists])


def understood(
    names: Iterable[str], catalogue: Catalogue, unknown: str = "error"
) -> tuple[list[str], list[str]]:
    """Ids of the items that names mean, and a sentence for each name that was not taken as it stands.

    Args:
        names: ids or titles.
        catalogue: that they are of.
        unknown: what is done with a name that no item has, or that several share: `error`; `skip` it; or take the
            `nearest` title, the first of several.

    Raises:
        UnknownItemError: with `error`, such a name.
        ConfigError: another `unknown`.
    """
    one_of(unknown, UNKNOWN, "--unknown")
    ids, notes = list[str](), list[str]()
    for name in names:
        rows = catalogue.find(name)
        if len(rows) == 1 or unknown == "error":
            ids.append(catalogue.ids[catalogue.resolve(name)])
            continue
        nearest = catalogue.nearest_titles(name, 1) if unknown == "nearest" and not rows else []
        rows = rows or [row for title in nearest for row in catalogue.find(title)]
        if unknown == "skip" or not rows:
            notes.append(
                f"{shown(name)} is left out: "
                + ("several items are called so" if rows else "no item is called so")
            )
            continue
        ids.append(catalogue.ids[rows[0]])
        notes.append(
            f"{shown(name)} is taken for {shown(catalogue.titles[rows[0]])}, id {catalogue.ids[rows[0]]}"
        )
    return ids, notes


def allowed_mask(only: Any, exclude: Any, catalogue: Catalogue) -> BoolArray | None:
    """The mask (num_items,) that `only` and `exclude` of `Recommender.recommend` stand for; None: all is allowed.

    Raises:
        ConfigError: conditions that are none, that no item fits, or a mask of another length.
        UnknownItemError: an excluded name that the catalogue does not hold.
    """
    excluded = catalogue.rows(exclude)
    if only is None and not excluded:
        return None
    allowed = np.ones(len(catalogue), bool)
    if isinstance(only, str):
        only = [only]
    if isinstance(only, Mapping):
        for name, value in only.items():
            allowed &= catalogue.where(name, value)
    elif isinstance(only, list | tuple) and only and all(isinstance(one, str | tuple) for one in only):
        for one in only:
            name, relation, value = parsed(one) if isinstance(one, str) else (one[0], "=", one[-1])
            allowed &= catalogue.where(name, value, relation)
    elif only is not None and not (isinstance(only, list | tuple) and not only):
        allowed = as_mask(only, "only", len(catalogue))
    allowed[excluded] = False
    return allowed


def check_rows(histories: Any, num_items: int) -> None:
    """Nothing, if these are histories of rows of a catalogue with `num_items` items.

    Raises:
        ConfigError: something else, or a row outside the catalogue.
    """
    if not isinstance(histories, Histories):
        raise ConfigError(
            f"{type(histories).__name__} holds no histories of catalogue rows: give a Histories, or ids and titles to "
            "`recommend`"
        )
    outside = (histories.items < 0) | (histories.items >= num_items)
    if outside.any():
        raise ConfigError(
            f"a history holds row {histories.items[outside][0]}, and the catalogue has the rows 0 to {num_items - 1}: "
            "give histories of this catalogue"
        )


def as_mask(values: Any, name: str, num_items: int, num_histories: int | None = None) -> BoolArray:
    """A mask (num_items,) that was given as an array, a series or a list of truth values; a copy.

    With `num_histories` it may also be one for each of them, (num_histories, num_items).

    Numbers are no mask: 0 and 1 could as well be rows, and numpy takes them for that.

    Raises:
        ConfigError: values of another kind, or another number of them.
    """
    mask = np.array(values)
    if mask.dtype != bool:
        raise ConfigError(
            f"`{name}` is {shown(values)}; a mask holds a truth value for each of the {num_items} items"
        )
    if mask.shape not in ((num_items,), (num_histories, num_items)):
        raise ConfigError(f"`{name}` has the shape {mask.shape}; the catalogue needs ({num_items},)")
    return mask


def as_count(value: Any, name: str, what: str) -> int:
    """A number of things that was asked for.

    Raises:
        ConfigError: it is no whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ConfigError(f"{name} is {shown(value)}; ask for a whole number of {what}s, at least 1")
    return int(value)
