"""What several recommenders' lists say beside one another: how good, for whom, of which items, and how alike.

Pure functions on rankings, targets and the training part. Shapes: G recommenders, S seeds of one of them, B users,
I items, M metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray, Histories, IntArray, Targets
from genrec.data.ranking import BoolArray, Rankings
from genrec.errors import ConfigError, DataError
from genrec.evaluation.beyond_accuracy import (
    DEPTH,
    Concentration,
    Overlap,
    concentration,
    concentration_of_lists,
    head,
    overlap,
)
from genrec.evaluation.metrics import hit_rate, per_user
from genrec.evaluation.outcomes import LAST, middle
from genrec.evaluation.protocol import CUT_OFFS, Evaluation, evaluate_rankings
from genrec.evaluation.significance import Comparisons, compare_all, interval, resampled_means

_NUM_BINS = 4
_RATES = ("seen_rate", "invalid_rate", "duplicate_rate", "num_without_list")


@dataclass(frozen=True)
class Group:
    """One recommender: the lists of each of its seeds, all for the same targets.

    `seeds` are increasing; None stands for a recommender that draws nothing, or one whose seed is not known.
    """

    name: str
    seeds: tuple[int | None, ...]
    rankings: tuple[Rankings, ...]


@dataclass(frozen=True)
class Bin:
    """HR@10 on some of the users, mean over seeds, with its 95% interval: rate_G, low_G, high_G."""

    label: str
    num_users: int
    rate_G: FloatArray
    low_G: FloatArray
    high_G: FloatArray


@dataclass(frozen=True)
class Example:
    """A user worth looking at.

    Attributes:
        row: of the targets.
        found_by: the recommenders whose first seed finds the target.
        missed_by: where nobody does, those whose first seed has it just behind the first ten.
    """

    row: int
    found_by: tuple[int, ...]
    missed_by: tuple[int, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """All that is known of some recommenders on the same targets.

    Attributes:
        groups: by NDCG@10, the best first.
        metrics: names along M.
        per_seed: for each recommender (S, M), means over users.
        comparisons: means, intervals, differences and p-values.
        by_history: HR@10 by the number of items in the history.
        by_popularity: HR@10 by how often the target was taken in the training part; never taken comes first.
        concentration: of each recommender's first ten.
        training: the same of the training part's interactions.
        target_head_share: share of the targets that are popular items.
        num_cold: users whose target (of an order: the first) was never taken in the training part.
        overlap: see `Overlap`.
        alone_G: share of users whose target this recommender alone finds, by each one's first seed.
        together: share of users whose target at least one finds, by each one's first seed.
        examples: users worth looking at.
        rates: for each recommender `seen_rate`, `invalid_rate`, `duplicate_rate` and `num_without_list` of its
            lists as given, mean over seeds; see `genrec.evaluation.protocol.Evaluation`.
    """

    groups: tuple[Group, ...]
    metrics: tuple[str, ...]
    per_seed: tuple[FloatArray, ...]
    comparisons: Comparisons
    by_history: tuple[Bin, ...]
    by_popularity: tuple[Bin, ...]
    concentration: tuple[Concentration, ...]
    training: Concentration
    target_head_share: float
    num_cold: int
    overlap: Overlap
    alone_G: FloatArray
    together: float
    examples: tuple[Example, ...]
    rates: tuple[dict[str, float], ...]

    @property
    def names(self) -> list[str]:
        """Names of the recommenders, the best first."""
        return [group.name for group in self.groups]

    def pairs(self, metric: str) -> list[dict[str, Any]]:
        """Each pair's difference on a metric as plain values, the better recommender of the two first."""
        found, at = self.comparisons, self.metrics.index(metric)
        rows = []
        for one, other in zip(*np.triu_indices(len(self.groups), 1), strict=True):
            first, second = int(one), int(other)
            if found.difference_GGM[first, second, at] < 0:
                first, second = second, first
            place = (first, second, at)
            rows.append(
                {
                    "first": self.groups[first].name,
                    "second": self.groups[second].name,
                    "difference": float(found.difference_GGM[place]),
                    "interval": [float(found.low_GGM[place]), float(found.high_GGM[place])],
                    "p_value": float(found.p_GGM[place]),
                    "p_holm": float(found.p_holm_GGM[place]),
                    "significant": found.significant(first, second, at),
                }
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """Everything but the lists themselves as plain values; a matrix has a row and a column a recommender."""

        def bins(parts: Sequence[Bin]) -> list[dict[str, Any]]:
            return [
                {
                    "label": part.label,
                    "num_users": part.num_users,
                    "HR@10": part.rate_G.tolist(),
                    "intervals": np.stack([part.low_G, part.high_G], axis=1).tolist(),
                }
                for part in parts
            ]

        return {
            "recommenders": [self._group_json(place) for place in range(len(self.groups))],
            "comparisons": {metric: self.pairs(metric) for metric in self.metrics},
            "by_history_length": bins(self.by_history),
            "by_target_popularity": bins(self.by_popularity),
            "num_cold_targets": self.num_cold,
            "target_head_share": self.target_head_share,
            "training": _concentration_json(self.training),
            "overlap": {
                "shared_items_of_10": _matrix_json(self.overlap.items_GG),
                "share_of_hits": _matrix_json(self.overlap.hits_GG),
                "found_alone": self.alone_G.tolist(),
                "found_together": self.together,
            },
        }

    def _group_json(self, place: int) -> dict[str, Any]:
        group, found = self.groups[place], self.comparisons
        return {
            "name": group.name,
            "seeds": list(group.seeds),
            "metrics": {
                metric: {
                    "mean": float(found.means_GM[place, at]),
                    "interval": [float(found.low_GM[place, at]), float(found.high_GM[place, at])],
                    "per_seed": self.per_seed[place][:, at].tolist(),
                }
                for at, metric in enumerate(self.metrics)
            },
            **_concentration_json(self.concentration[place]),
            **self.rates[place],
        }


def analyse(groups: Sequence[Group], targets: Targets, train: Histories) -> Analysis:
    """Compare recommenders by the protocol: items of a user's history are dropped from the lists.

    Args:
        groups: at least two, each with lists of all B users in the order of `targets`.
        targets: the B questions.
        train: histories of the training part: what popular and cold mean.

    Raises:
        ConfigError: fewer than two recommenders.
        DataError: lists that are too short for HR@10.
    """
    if len(groups) < 2:
        raise ConfigError(f"there is {groups[0].name} alone to compare: give at least one other recommender")
    found = [_measured(group, targets) for group in groups]
    found.sort(key=lambda own: -sum(one.metrics["NDCG@10"] for one in own[1]) / len(own[1]))
    groups, measured = [group for group, _ in found], [own for _, own in found]
    depth = min(int(one.metrics["depth"]) for own in measured for one in own)
    cut_offs = [k for k in CUT_OFFS if k <= depth]
    ranks_SB = [np.stack([one.ranks_B for one in own]) for own in measured]
    orders = targets.orders
    values = [[per_user(one.target_ranks, cut_offs, orders) for one in own] for own in measured]
    values_SBM = [np.stack([np.stack(list(one.values()), axis=1) for one in own]) for own in values]
    hits_SB = [hit_rate(found_SB, DEPTH).astype(bool) for found_SB in ranks_SB]
    first_GB = np.stack([hit_SB[0] for hit_SB in hits_SB])
    popularity_I = np.bincount(train.items, minlength=len(targets.catalogue))
    head_I = head(popularity_I)
    lists = [group.rankings for group in groups]
    return Analysis(
        groups=tuple(groups),
        metrics=tuple(values[0][0]),
        per_seed=tuple(own_SBM.mean(axis=1) for own_SBM in values_SBM),
        comparisons=compare_all(values_SBM),
        by_history=_bins(targets.histories.lengths, hits_SB),
        by_popularity=_bins(popularity_I[targets.items], hits_SB),
        concentration=tuple(concentration_of_lists(own, head_I) for own in lists),
        training=concentration(popularity_I, head_I),
        target_head_share=float(head_I[targets.items].mean()),
        num_cold=int((popularity_I[targets.items] == 0).sum()),
        overlap=overlap(lists, hits_SB),
        alone_G=(first_GB & (first_GB.sum(axis=0) == 1)).mean(axis=1),
        together=float(first_GB.any(axis=0).mean()),
        examples=_examples(np.stack([found_SB[0] for found_SB in ranks_SB]), targets.histories.lengths),
        rates=tuple(
            {name: float(np.mean([one.metrics[name] for one in own])) for name in _RATES} for own in measured
        ),
    )


def _measured(group: Group, targets: Targets) -> tuple[Group, list[Evaluation]]:
    """The group with its lists as they are measured, seen items dropped, and the measurement of each seed."""
    try:
        measured = [evaluate_rankings(lists, targets, ks=CUT_OFFS) for lists in group.rankings]
    except DataError as error:
        raise DataError(f"{group.name}: {error}") from None
    depth = min(int(one.metrics["depth"]) for one in measured)
    if depth < DEPTH:
        raise DataError(
            f"the shortest list of {group.name} has {depth} items once seen ones are dropped, and HR@10 needs 10: "
            "write longer lists"
        )
    return Group(group.name, group.seeds, tuple(one.rankings for one in measured)), measured


def _bins(count_B: IntArray, hits_SB: Sequence[BoolArray]) -> tuple[Bin, ...]:
    """HR@10 by a count: users with none first, the others in about equal parts."""
    some_B = count_B[count_B > 0]
    quantiles = np.arange(1, _NUM_BINS) / _NUM_BINS
    ends = np.unique(np.quantile(some_B, quantiles, method="lower")) if len(some_B) else some_B
    part_B = np.where(count_B > 0, 1 + np.searchsorted(ends, count_B), 0)
    bins = []
    for part in np.unique(part_B):
        rows = part_B == part
        low, high = int(count_B[rows].min()), int(count_B[rows].max())
        own_SBM = [hit_SB[:, rows, None].astype(np.float64) for hit_SB in hits_SB]
        low_GM, high_GM = interval(resampled_means(own_SBM))
        rate_G = np.array([own.mean() for own in own_SBM])
        label = f"{low:,}" if low == high else f"{low:,}–{high:,}"
        bins.append(Bin(label, int(rows.sum()), rate_G, low_GM[:, 0], high_GM[:, 0]))
    return tuple(bins)


def _examples(ranks_GB: IntArray, lengths_B: IntArray) -> tuple[Example, ...]:
    """Up to seven users: found by one alone (the best four of them), by everyone, just missed, and missed by everyone.

    Of several such users the one in the middle by the ranks of those who have it, then by length of history.
    """
    ranks_GB = np.where(ranks_GB <= LAST, ranks_GB, 0)
    found_GB = (ranks_GB > 0) & (ranks_GB <= DEPTH)
    near_GB = ranks_GB > DEPTH
    places_B = np.where(found_GB.any(axis=0), np.where(found_GB, ranks_GB, 0), ranks_GB).sum(axis=0)
    num_groups = len(ranks_GB)
    wanted = [np.arange(num_groups) == one for one in range(min(num_groups, 4))]
    kinds_B = [(found_GB == finders_G[:, None]).all(axis=0) for finders_G in wanted]
    nobody_B, near_B = ~found_GB.any(axis=0), near_GB.any(axis=0)
    kinds_B += [found_GB.all(axis=0), nobody_B & near_B, nobody_B & ~near_B]
    rows = [middle(np.flatnonzero(of_B), places_B, lengths_B) for of_B in kinds_B]
    return tuple(
        Example(
            row,
            tuple(np.flatnonzero(found_GB[:, row]).tolist()),
            () if found_GB[:, row].any() else tuple(np.flatnonzero(near_GB[:, row]).tolist()),
        )
        for row in rows
        if row is not None
    )


def _concentration_json(found: Concentration) -> dict[str, Any]:
    return {
        "coverage": found.coverage,
        "gini": found.gini,
        "head_share": found.head_share,
        "curve": found.curve.tolist(),
    }


def _matrix_json(matrix: FloatArray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in matrix]
