"""The protocol: one target per user, ranked against the whole catalogue, counted the same way for everybody.

Shapes: B users, K entries of a list.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data.interactions import Histories, IntArray, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, DataError
from genrec.evaluation.metrics import check_bounds, per_user, ranks
from genrec.evaluation.significance import bootstrap_interval

Progress = Callable[[int, int], None]  # (users done, users in all)


@dataclass(frozen=True)
class Evaluation:
    """What a recommender's lists are worth on some targets, seen items excluded.

    Attributes:
        metrics: `num_users num_items HR@k NDCG@k MRR exact_rate invalid_rate duplicate_rate seen_rate seconds
            users_per_s peak_memory_mb`. MRR is truncated at the largest k. The rates are shares of all
            returned entries (`exact_rate`: of all lists). `peak_memory_mb` is the peak of the process so far.
        intervals: 95 % bootstrap interval of HR, NDCG and MRR over users.
        ranks_B: position of each user's target from 1, ties against the model; 0 where it was not found.
        rankings: the lists themselves, one item longer than the largest k.
        unfiltered: the same metrics where seen items may be returned; None if not asked for.
        unfiltered_ranks_B: the ranks behind them.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ranks_B: IntArray
    rankings: Rankings
    unfiltered: dict[str, float] | None = None
    unfiltered_ranks_B: IntArray | None = None

    def to_json(self) -> dict[str, Any]:
        """Metrics, `unfiltered` and `intervals` as plain values, without the ranks and lists of single users."""
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        return {**self.metrics, "unfiltered": self.unfiltered, "intervals": intervals}


def evaluate(
    rank: Callable[..., Rankings],
    targets: Targets,
    *,
    ks: Sequence[int] = (5, 10, 20),
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
        ConfigError: a cut-off below 1, or none.
        DataError: no targets.
    """
    if not ks or min(ks) < 1:
        raise ConfigError(f"the cut-offs are {list(ks)}; give at least one, each at least 1")
    if not len(targets):
        raise DataError("there are no targets to measure on: choose another split or give longer histories")
    passes = 2 if unfiltered else 1

    def one_pass(number: int) -> tuple[dict[str, float], IntArray, Rankings]:
        if progress is not None:
            options["progress"] = lambda done, total: progress(done + number * total, passes * total)
        start = time.perf_counter()
        rankings = rank(targets.histories, k=max(ks) + 1, exclude_seen=number == 0, **options)
        seconds = time.perf_counter() - start
        return *_measure(rankings, targets, sorted(ks), seconds), rankings

    metrics, ranks_B, rankings = one_pass(0)
    intervals = {name: bootstrap_interval(values) for name, values in per_user(ranks_B, sorted(ks)).items()}
    if not unfiltered:
        return Evaluation(metrics, intervals, ranks_B, rankings)
    return Evaluation(metrics, intervals, ranks_B, rankings, *one_pass(1)[:2])


def _measure(
    rankings: Rankings, targets: Targets, ks: Sequence[int], seconds: float
) -> tuple[dict[str, float], IntArray]:
    num_users, num_items = len(targets), len(targets.catalogue)
    assert len(rankings) == num_users, f"{len(rankings)} lists came back for {num_users} users"
    ranks_B = ranks(rankings, targets.items)
    quality = {name: float(values.mean()) for name, values in per_user(ranks_B, ks).items()}
    check_bounds(quality)
    metrics = {
        "num_users": num_users,
        "num_items": num_items,
        **quality,
        "exact_rate": float(rankings.exact_B.mean()),
        **_rates(rankings.items_BK, targets.histories, num_items),
        "seconds": seconds,
        "users_per_s": num_users / seconds,
        "peak_memory_mb": _peak_memory_mb(),
    }
    return metrics, ranks_B


def _rates(items_BK: IntArray, histories: Histories, num_items: int) -> dict[str, float]:
    """Shares of the returned entries that are no item, repeat one of their list, or stand in the history."""
    returned_BK = items_BK != -1
    num_returned = max(int(returned_BK.sum()), 1)
    in_order_BK = np.sort(items_BK, axis=1)
    repeats = (in_order_BK[:, 1:] == in_order_BK[:, :-1]) & (in_order_BK[:, 1:] != -1)
    invalid = returned_BK & ((items_BK < 0) | (items_BK >= num_items))
    seen = sum(
        int(np.isin(items_K, history).sum()) for items_K, history in zip(items_BK, histories, strict=True)
    )
    return {
        "invalid_rate": int(invalid.sum()) / num_returned,
        "duplicate_rate": int(repeats.sum()) / num_returned,
        "seen_rate": seen / num_returned,
    }


def _peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux KiB
