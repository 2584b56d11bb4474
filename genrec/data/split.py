"""Splits: what may be learnt from, what is tuned on, what is measured once.

Where interactions are lines of orders, they count by orders: the target is all of an order, and no part of it is known.
Both splits cut each user's interactions by time, so nothing learnt from the training part has seen a target. Either can
hold some items out of the training part as a whole, as in `leave-one-out+cold=0.1`: a tenth of those that were taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.mapped import mapped
from genrec.data.streams import stream
from genrec.errors import ConfigError, DataError, shown

PROTOCOLS = ("leave-one-out", "temporal")
_COLD = "+cold="


@dataclass(frozen=True)
class Split:
    """Training interactions, and the questions of validation and test."""

    protocol: str
    train: Interactions
    validation: Targets
    test: Targets


def split(interactions: Interactions, protocol: str = "leave-one-out") -> Split:
    """Split by the protocol's name.

    With `+cold=SHARE` behind it the interactions of that share of the items are not in the training part. The questions
    stay as they are: such items are targets, and stand in histories. Which items they are depends on the data alone.

    Raises:
        ConfigError: no such protocol.
        DataError: no user has enough interactions for it, or there are too few items to hold some out.
    """
    protocol = spelt(protocol)
    parts = temporal(interactions) if way(protocol) == "temporal" else leave_one_out(interactions)
    return replace(parts, protocol=protocol, train=_without_cold(parts.train, interactions, protocol))


def spelt(protocol: str, cold_share: float | None = None) -> str:
    """The protocol's name in its only spelling.

    Args:
        protocol: `leave-one-out` or `temporal`, with `+cold=SHARE` or without.
        cold_share: the share, where the name is without.

    Raises:
        ConfigError: no such protocol, a share that is none, or one that is given twice.
    """
    base, cold, share = protocol.partition(_COLD)
    if base not in PROTOCOLS:
        raise ConfigError(
            f"the split {shown(protocol)} is not known; choose one of {', '.join(PROTOCOLS)}, with {_COLD}SHARE behind "
            "it to hold that share of the items out of the training"
        )
    if cold_share is not None:
        if cold:
            raise ConfigError(f"the split {protocol} has a share of cold items already: leave cold_share out")
        share = str(cold_share)
    if not cold and cold_share is None:
        return base
    try:
        number = float(share)
    except ValueError:
        number = float("nan")
    if not 0 < number < 1:
        raise ConfigError(
            f"the share of cold items is {shown(share)}; give a number above 0 and below 1, as in {base}{_COLD}0.1"
        )
    return f"{base}{_COLD}{number:g}"


def has_cold_items(protocol: str) -> bool:
    """Whether some items are held out of the training part as a whole."""
    return _COLD in protocol


def way(protocol: str) -> str:
    """How it cuts histories: `leave-one-out` or `temporal`."""
    return protocol.partition(_COLD)[0]


def before_test(interactions: Interactions, protocol: str = "leave-one-out") -> Interactions:
    """What stands before the test targets: the training part and the validation items, which `leave_one_out` and
    `temporal` hold out; of users who are asked at the test, the histories of their questions. Cold items are left out.

    Raises:
        ConfigError: no such protocol.
        DataError: a temporal split of data without times, or too few items to hold some out.
    """
    protocol = spelt(protocol)
    if way(protocol) == "temporal":
        known = _cut(interactions, _cuts(interactions)[1])
    else:
        known = _cut(interactions, _last(interactions)[2])
    return _without_cold(known, interactions, protocol)


def _without_cold(known: Interactions, interactions: Interactions, protocol: str) -> Interactions:
    """What is known without the items that the protocol holds out, which are drawn from those that were taken."""
    if not has_cold_items(protocol):
        return known
    taken = np.unique(interactions.histories.items)
    count = max(1, round(float(protocol.partition(_COLD)[2]) * len(taken)))
    cold = stream(0, "items held out of the training").choice(taken, count, replace=False)
    kept = ~np.isin(known.histories.items, cold)
    if not kept.any():
        raise DataError(
            f"without {count:,} of {len(taken):,} items ({protocol}) nothing is left to train on: hold out fewer"
        )
    return _kept(known, kept)


def leave_one_out(interactions: Interactions) -> Split:
    """Last item of a user: test target; the one before: validation target; the rest: training.

    With orders, the last order and the one before. A user with fewer than three interactions (orders) stays in training
    as a whole and asks no question. The history of a test question includes the validation item (order).

    Raises:
        DataError: no user has three interactions (orders).
    """
    asked, before_validation, before_test = _last(interactions)
    if not len(asked):
        what = "interactions" if interactions.orders is None else "orders"
        raise DataError(
            f"none of the {interactions.num_users} users has three {what}, and leave-one-out needs three "
            "(training, validation, test): give longer histories, or check which column holds the users"
        )
    return Split(
        "leave-one-out",
        train=_cut(interactions, before_validation),
        validation=_questions(interactions, asked, before_validation[asked]),
        test=_questions(interactions, asked, before_test[asked]),
    )


def _last(interactions: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users with three interactions or orders, and for all users where the last but one and the last begin.

    Of the other users both are the end of the history.
    """
    ends = interactions.histories.offsets[1:]
    if interactions.orders is None:
        asked = interactions.histories.lengths >= 3
        return np.flatnonzero(asked), ends - np.where(asked, 2, 0), ends - np.where(asked, 1, 0)
    starts = interactions.order_starts
    until = np.searchsorted(starts, ends)  # orders of all users up to this one
    asked = np.diff(until, prepend=0) >= 3
    last, one_before = (starts[np.maximum(until - back, 0)] for back in (1, 2))
    return np.flatnonzero(asked), np.where(asked, one_before, ends), np.where(asked, last, ends)


def temporal(interactions: Interactions, validation: float = 0.1, test: float = 0.1) -> Split:
    """One cut in time for all users: the last `test` share of the interactions, and `validation` before it.

    A user who has a past before a cut and took something after it asks one question: the first item (order) after the
    cut (for validation: between the two cuts). Its history is everything before.

    Raises:
        DataError: the data have no times, or no user acts on both sides of a cut.
    """
    at_first, at_second = _cuts(interactions, validation, test)
    starts, ends = interactions.histories.offsets[:-1], interactions.histories.offsets[1:]
    asked_validation = np.flatnonzero((at_first > starts) & (at_first < at_second))
    asked_test = np.flatnonzero((at_second > starts) & (at_second < ends))
    if not len(asked_validation) or not len(asked_test):
        raise DataError(
            f"the temporal split finds {len(asked_validation)} users for validation and {len(asked_test)} "
            "for test who act on both sides of the cut; use leave-one-out for data as short as this"
        )
    return Split(
        "temporal",
        train=_cut(interactions, at_first),
        validation=_questions(interactions, asked_validation, at_first[asked_validation]),
        test=_questions(interactions, asked_test, at_second[asked_test]),
    )


def _cuts(
    interactions: Interactions, validation: float = 0.1, test: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """The first interaction of each user at or after the cut before validation, and the one before the test."""
    if interactions.times is None:
        raise DataError(
            "the temporal split needs times, and these data have only an order: use leave-one-out"
        )
    histories, times = interactions.histories, interactions.times
    rows = histories.rows
    first, second = (
        histories.offsets[:-1] + np.bincount(rows[times < cut], minlength=len(histories))
        for cut in np.quantile(times, [1 - validation - test, 1 - test], method="higher")
    )
    return first, second


def some_users(interactions: Interactions, share: float, seed: int = 0) -> Interactions:
    """The interactions of a share of the users, drawn by `seed`, one at least; the others stay, with nothing."""
    if share == 1:
        return interactions
    num_users, offsets = interactions.num_users, interactions.histories.offsets
    count = max(1, round(share * num_users))
    chosen = stream(seed, "users trained on").choice(num_users, count, replace=False)
    ends = offsets[:-1].copy()
    ends[chosen] = offsets[1:][chosen]
    return _cut(interactions, ends)


def _cut(interactions: Interactions, ends: np.ndarray) -> Interactions:
    """Each user's interactions up to the flat positions `ends`; users with none left stay, with an empty history."""
    return _kept(interactions, _before(interactions.histories, ends))


def _kept(interactions: Interactions, kept: BoolArray) -> Interactions:
    """The interactions of a mask (num_interactions,); users with none left stay, with an empty history."""
    histories = interactions.histories
    lengths = np.bincount(histories.rows[kept], minlength=len(histories))
    offsets = np.concatenate([[0], np.cumsum(lengths)])

    def along(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else mapped(values[kept])

    def words(values: pl.Series | None) -> pl.Series | None:
        return None if values is None else values.filter(pl.Series(kept))

    return Interactions(
        interactions.catalogue,
        interactions.users,
        Histories(mapped(histories.items[kept]), offsets),
        along(interactions.times),
        along(interactions.ratings),
        words(interactions.texts),
        words(interactions.headlines),
        along(interactions.orders),
    )


def _questions(interactions: Interactions, users: np.ndarray, targets: np.ndarray) -> Targets:
    """Questions of `users` (in rising order) whose targets stand at the flat positions `targets`."""
    items, starts = interactions.histories.items, interactions.histories.offsets[:-1]
    ends = starts.copy()
    ends[users] = targets
    offsets = np.concatenate([[0], np.cumsum(targets - starts[users])])
    asked = Histories(
        mapped(items[_before(interactions.histories, ends)]), offsets, interactions.users[users]
    )
    return Targets(
        interactions.catalogue,
        interactions.users[users],
        asked,
        items[targets],
        _orders(interactions, targets),
    )


def _orders(interactions: Interactions, targets: np.ndarray) -> Histories | None:
    """The different items of the orders that begin at the flat positions `targets`, in the order of their lines."""
    if interactions.orders is None:
        return None
    starts = interactions.order_starts
    ends = np.append(starts[1:], interactions.num_interactions)[np.searchsorted(starts, targets)]
    counts = ends - targets
    rows = np.repeat(np.arange(len(targets)), counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    items = interactions.histories.items[
        np.repeat(targets, counts) + np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    ]
    first = np.unique(rows * np.int64(interactions.num_items) + items, return_index=True)[1]
    first.sort()
    counts = np.bincount(rows[first], minlength=len(targets))
    return Histories(items[first], np.concatenate([[0], np.cumsum(counts)]))


def _before(histories: Histories, ends: np.ndarray) -> BoolArray:
    """Mask (num_interactions,) of what stands before the flat position `ends` of its user: a byte each."""
    lengths = ends - histories.offsets[:-1]
    in_turn = np.stack([lengths, histories.lengths - lengths], axis=1).ravel()
    mask: BoolArray = np.repeat(np.tile([True, False], len(lengths)), in_turn)
    return mask
