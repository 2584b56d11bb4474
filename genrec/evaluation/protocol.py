"""The protocol: a user's one target, or one order, ranked against the whole catalogue and counted alike for all.

Shapes: B users, K entries of a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import IntArray, Targets
from genrec.data.ranking import BoolArray, Rankings
from genrec.errors import ConfigError, DataError, shown
from genrec.evaluation.metrics import best_ranks, check_bounds, per_user, target_ranks
from genrec.evaluation.peak_memory import peak_memory_mb
from genrec.evaluation.significance import bootstrap_interval

CUT_OFFS = (5, 10, 20)  # of HR and NDCG, wherever nothing else is asked
Progress = Callable[[int, int], None]  # (users done, users in all)


@dataclass(frozen=True)
class Evaluation:
    """What some lists are worth on some targets, seen items excluded.

    Attributes:
        metrics: `num_users num_items HR@k NDCG@k MRR invalid_rate duplicate_rate seen_rate`; of orders also
            `num_targets` and `Recall@k` (`genrec.evaluation.metrics.per_user`). MRR is truncated at the largest k.
            The rates are shares of all returned entries. From `evaluate` also `exact_rate` (share of the lists),
            `seconds users_per_s peak_memory_mb` (the peak of the process so far); from `evaluate_rankings` also
            `num_without_list` (users) and `depth` (places that all lists fill).
        intervals: 95% bootstrap interval of HR, NDCG and MRR over users.
        ranks_B: position of each user's target from 1, ties against the model; 0 where it was not found; of an order,
            that of the item found first.
        rankings: the lists that were measured.
        unfiltered: the same metrics where seen items may be returned; None if not asked for.
        unfiltered_ranks_B: the ranks behind them.
        ranks_T: position of each item of each order; None: `ranks_B` tells all.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ranks_B: IntArray
    rankings: Rankings
    unfiltered: dict[str, float] | None = None
    unfiltered_ranks_B: IntArray | None = None
    ranks_T: IntArray | None = None

    @property
    def target_ranks(self) -> IntArray:
        """Position of each target: one a user, or one an item of the order; (T,)."""
        return self.ranks_B if self.ranks_T is None else self.ranks_T

    def to_json(self) -> dict[str, Any]:
        """Metrics, `unfiltered` and `intervals` as plain values, without the ranks and lists of single users."""
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        return {**self.metrics, "unfiltered": self.unfiltered, "intervals": intervals}


def evaluate(
    rank: Callable[..., Rankings],
    targets: Targets,
    *,
    ks: Sequence[int] = CUT_OFFS,
    unfiltered: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Measure a recommender's lists by leave-one-out or temporal targets.

    Args:
        rank: a fitted recommender's `rank`; called as `rank(histories, k=..., exclude_seen=..., **options)`.
            It is asked for one item more than the largest k, which shows ties across the cut.
        targets: B questions.
        ks: cut-offs of HR and NDCG.
        unfiltered: rank a second time with seen items allowed.
        progress: called with (users done, users in all), over both passes.
        options: passed on to `rank`, e.g. `batch_size` or `exact`.

    Raises:
        ConfigError: a cut-off that is no whole number of at least 1, none, or nothing that ranks.
        DataError: no targets, or about other items than the recommender ranks.
    """
    ks = _cut_offs(ks, targets)
    num_items = len(_ranked(rank, targets))
    passes = 2 if unfiltered else 1

    def one_pass(number: int) -> tuple[dict[str, float], IntArray, Rankings]:
        if progress is not None:
            options["progress"] = lambda done, total: progress(done + number * total, passes * total)
        start = time.perf_counter()
        rankings = rank(targets.histories, k=max(ks) + 1, exclude_seen=number == 0, **options)
        seconds = time.perf_counter() - start
        quality, ranks_T = _quality(rankings, targets, ks)
        metrics = {
            **_counts(targets),
            "num_items": num_items,
            **quality,
            "exact_rate": float(rankings.exact_B.mean()),
            **_rates(rankings.items_BK, rankings.seen(targets.histories), num_items),
            "seconds": seconds,
            "users_per_s": len(targets) / seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
        return metrics, ranks_T, rankings

    metrics, ranks_T, rankings = one_pass(0)
    intervals = _intervals(ranks_T, targets, ks)
    if not unfiltered:
        return _evaluation(targets, metrics, intervals, ranks_T, rankings)
    return _evaluation(targets, metrics, intervals, ranks_T, rankings, *one_pass(1)[:2])


def evaluate_rankings(rankings: Rankings, targets: Targets, *, ks: Sequence[int] = CUT_OFFS) -> Evaluation:
    """Measure lists that are there already, made by any program, as `evaluate` measures a recommender's.

    "Seen excluded" drops the seen items from the lists, and what stands behind them moves up; `unfiltered` is
    the lists as given. The rates are those of the lists as given. An empty list is a miss. No number is told
    for a cut-off that lies deeper than the shortest of the other lists reaches, seen items excluded, unless that
    list holds as many items as could be recommended.

    Args:
        rankings: B lists. A tie across a cut-off is seen where the lists are longer than it.
        targets: B questions.
        ks: cut-offs of HR and NDCG.

    Raises:
        ConfigError: a cut-off below 1, or none.
        DataError: no targets, or a list that is shorter than the smallest cut-off.
    """
    ks = _cut_offs(ks, targets)
    seen_BK = rankings.seen(targets.histories)
    unseen = rankings.without(seen_BK)
    depth = _depth(unseen, rankings, targets, max(ks))
    held = [k for k in ks if k <= depth]
    if not held:
        raise DataError(
            f"the shortest list has {depth} items once seen ones are dropped, and the smallest cut-off is {ks[0]}: "
            "give longer lists, or lists without seen items"
        )
    about = {"num_without_list": int((rankings.items_BK == -1).all(axis=1).sum()), "depth": depth}
    rates = _rates(rankings.items_BK, seen_BK, len(targets.catalogue))
    quality, ranks_T = _quality(unseen, targets, held)
    metrics = {**_counts(targets), **about, **quality, **rates}
    as_given, given_ranks_T = _quality(rankings, targets, held)
    unfiltered = {**_counts(targets), **about, **as_given, **rates}
    intervals = _intervals(ranks_T, targets, held)
    return _evaluation(targets, metrics, intervals, ranks_T, unseen, unfiltered, given_ranks_T)


def _evaluation(
    targets: Targets,
    metrics: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    ranks_T: IntArray,
    rankings: Rankings,
    unfiltered: dict[str, float] | None = None,
    unfiltered_ranks_T: IntArray | None = None,
) -> Evaluation:
    orders = targets.orders
    found_B, given_B = (
        None if found is None else best_ranks(found, orders) for found in (ranks_T, unfiltered_ranks_T)
    )
    assert found_B is not None
    own_T = None if orders is None else ranks_T
    return Evaluation(metrics, intervals, found_B, rankings, unfiltered, given_B, own_T)


def _ranked(rank: Any, targets: Targets) -> Catalogue:
    """The items that are ranked: those of the recommender that `rank` belongs to, else those of the targets.

    An edited recommender has further items behind those that it was trained on.

    Raises:
        ConfigError: nothing that ranks.
        DataError: they are not the items of the targets, whose rows would stand for others.
    """
    if not callable(rank):
        raise ConfigError(f"{type(rank).__name__} does not rank by being called: give model.rank")
    known = getattr(getattr(rank, "__self__", None), "catalogue", None)
    if not isinstance(known, Catalogue):
        return targets.catalogue
    if known is not targets.catalogue and known.ids[: len(targets.catalogue)] != targets.catalogue.ids:
        raise DataError(
            f"the recommender was fitted on other items ({len(known):,}) than the targets are about "
            f"({len(targets.catalogue):,}): measure it on the data set that it was fitted on"
        )
    return known


def _cut_offs(ks: Sequence[int], targets: Targets) -> list[int]:
    """The cut-offs in rising order, if there is something to measure at them."""
    if not isinstance(targets, Targets):
        raise DataError(f"{type(targets).__name__} holds no targets: give data.test or data.validation")
    ks = list(ks) if isinstance(ks, Iterable) else []
    if not ks or not all(isinstance(k, Integral) and k >= 1 for k in ks):
        raise ConfigError(
            f"the cut-offs are {shown(ks)}; give at least one, each a whole number of at least 1"
        )
    if not len(targets):
        raise DataError("there are no targets to measure on: choose another split or give longer histories")
    return sorted(ks)


def _depth(unseen: Rankings, given: Rankings, targets: Targets, deepest: int) -> int:
    """Places, at most `deepest`, that every list fills, seen items excluded; empty and exhausted ones aside."""
    lengths_B = (unseen.items_BK != -1).sum(axis=1)
    short_B = (lengths_B < deepest) & (given.items_BK != -1).any(axis=1)
    histories, num_items = targets.histories, len(targets.catalogue)
    for row in np.flatnonzero(short_B & (lengths_B + histories.lengths >= num_items)).tolist():
        short_B[row] = lengths_B[row] < num_items - len(np.unique(histories[row]))
    return int(lengths_B[short_B].min(initial=deepest))


def _counts(targets: Targets) -> dict[str, float]:
    counts: dict[str, float] = {"num_users": len(targets), "num_items": len(targets.catalogue)}
    return counts if targets.orders is None else {**counts, "num_targets": len(targets.orders.items)}


def _quality(rankings: Rankings, targets: Targets, ks: Sequence[int]) -> tuple[dict[str, float], IntArray]:
    """Means of the metrics over users, and the ranks behind them."""
    assert len(rankings) == len(targets), f"{len(rankings)} lists came back for {len(targets)} users"
    ranks_T = target_ranks(rankings, targets)
    values = per_user(ranks_T, ks, targets.orders)
    quality = {name: float(values_B.mean()) for name, values_B in values.items()}
    check_bounds(quality)
    return quality, ranks_T


def _intervals(ranks_T: IntArray, targets: Targets, ks: Sequence[int]) -> dict[str, tuple[float, float]]:
    values = per_user(ranks_T, ks, targets.orders)
    return {name: bootstrap_interval(values_B) for name, values_B in values.items()}


def _rates(items_BK: IntArray, seen_BK: BoolArray, num_items: int) -> dict[str, float]:
    """Shares of the returned entries that are no item, repeat one of their list, or stand in the history."""
    num_returned = max(int((items_BK != -1).sum()), 1)
    in_order_BK = np.sort(items_BK, axis=1)
    repeats = (in_order_BK[:, 1:] == in_order_BK[:, :-1]) & (in_order_BK[:, 1:] != -1)
    invalid = (items_BK < -1) | (items_BK >= num_items)
    return {
        "invalid_rate": int(invalid.sum()) / num_returned,
        "duplicate_rate": int(repeats.sum()) / num_returned,
        "seen_rate": int(seen_BK.sum()) / num_returned,
    }
