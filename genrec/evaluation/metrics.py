"""Metrics of a ranking, of which a user took one item afterwards, or all items of an order.

Shapes: B users, T targets (B of them, where each user has one), K entries of a list. A rank counts from 1; 0 says that
the target is not in the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from math import log2
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray, Histories, IntArray, Targets
from genrec.data.ranking import Rankings


def ranks(rankings: Rankings, targets_B: IntArray) -> IntArray:
    """Position of each target in its list; (B,) int64, 0 where it is absent.

    Ties are broken against the model: a target stands behind every entry with its score. With lists one entry
    longer than the deepest metric, a target that is tied across the cut therefore ranks past the cut.

    Args:
        rankings: lists of B users, best first.
        targets_B: catalogue row of the item that each user did take; (B,).
    """
    at_target_BK = rankings.items_BK == np.asarray(targets_B)[:, None]
    score_B = np.where(at_target_BK, rankings.scores_BK, -np.inf).max(axis=1, initial=-np.inf)
    not_worse_B = (rankings.scores_BK >= score_B[:, None]).sum(axis=1)
    return np.where(at_target_BK.any(axis=1), not_worse_B, 0).astype(np.int64)


def target_ranks(rankings: Rankings, targets: Targets) -> IntArray:
    """Position of each target in its user's list; (T,) int64, 0 where it is absent.

    With one target a user, T is B and these are `ranks`. Of an order, each item is a target, and the ranks run along
    `targets.orders.items`; a target stands behind every other entry with its score, and targets among themselves as
    they stand in the list.

    Args:
        rankings: lists of B users, best first.
        targets: B questions.
    """
    if targets.orders is None:
        return ranks(rankings, targets.items)
    row_T = targets.orders.rows
    at_target_TK = rankings.items_BK[row_T] == targets.orders.items[:, None]
    found_T, place_T = at_target_TK.any(axis=1), at_target_TK.argmax(axis=1)
    is_target_BK = np.zeros_like(rankings.items_BK, bool)
    is_target_BK[row_T[found_T], place_T[found_T]] = True
    score_T = rankings.scores_BK[row_T, place_T]
    before_TK = np.arange(rankings.items_BK.shape[1]) <= place_T[:, None]
    not_worse_TK = rankings.scores_BK[row_T] >= score_T[:, None]
    ahead_TK = np.where(is_target_BK[row_T], before_TK, not_worse_TK)
    return np.where(found_T, ahead_TK.sum(axis=1), 0).astype(np.int64)


def best_ranks(ranks_T: IntArray, orders: Histories | None) -> IntArray:
    """Rank of each user's target, of an order that of the item found first; (B,) int64, 0 where none is found."""
    if orders is None:
        return ranks_T
    far = np.iinfo(np.int64).max
    best_B = np.minimum.reduceat(np.where(ranks_T > 0, ranks_T, far), orders.offsets[:-1])
    return np.where(best_B == far, 0, best_B)


def hit_rate(ranks_B: IntArray, k: int) -> FloatArray:
    """HR@k of each user: 1 where the target is among the first k; (B,)."""
    return ((ranks_B > 0) & (ranks_B <= k)).astype(np.float64)


def ndcg(ranks_B: IntArray, k: int) -> FloatArray:
    """NDCG@k of each user: 1 / log2(rank + 1) where the target is among the first k; (B,).

    With one target the ideal list scores 1. Järvelin & Kekäläinen 2002, https://doi.org/10.1145/582415.582418
    """
    discount_B: FloatArray = np.log2(np.maximum(ranks_B, 1) + 1)
    return hit_rate(ranks_B, k) / discount_B


def reciprocal_rank(ranks_B: IntArray, depth: int) -> FloatArray:
    """1 / rank of each user, 0 past `depth`: its mean is MRR@depth, not that of the whole list; (B,)."""
    return hit_rate(ranks_B, depth) / np.maximum(ranks_B, 1)


def order_recall(ranks_T: IntArray, orders: Histories, k: int) -> FloatArray:
    """Recall@k of each user: share of the order's items that are among the first k; (B,)."""
    hits_B: FloatArray = np.add.reduceat(hit_rate(ranks_T, k), orders.offsets[:-1])
    return hits_B / orders.lengths


def order_ndcg(ranks_T: IntArray, orders: Histories, k: int) -> FloatArray:
    """NDCG@k of each user: the sum of 1 / log2(rank + 1) of the items among the first k, over that of the best list.

    The best list begins with the order's items, min(k, their number) of which count. (B,). Järvelin & Kekäläinen 2002,
    https://doi.org/10.1145/582415.582418
    """
    ideal_K = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    gain_B: FloatArray = np.add.reduceat(ndcg(ranks_T, k), orders.offsets[:-1])
    of_ideal_B: FloatArray = gain_B / ideal_K[np.minimum(orders.lengths, k) - 1]
    return of_ideal_B


def per_user(ranks_T: IntArray, ks: Sequence[int], orders: Histories | None = None) -> dict[str, FloatArray]:
    """HR and NDCG at every k, and `MRR` truncated at the largest k; name to values (B,).

    Of orders, HR is 1 where any item is found, MRR that of the item found first, and there is Recall at every k too.

    Args:
        ranks_T: as `target_ranks` gives them, of the (..., B) users where each has one target.
        ks: cut-offs.
        orders: B lists of targets, where a user has several.
    """
    best_B = best_ranks(ranks_T, orders)
    values = {f"HR@{k}": hit_rate(best_B, k) for k in ks}
    if orders is None:
        values |= {f"NDCG@{k}": ndcg(best_B, k) for k in ks}
    else:
        values |= {f"NDCG@{k}": order_ndcg(ranks_T, orders, k) for k in ks}
        values |= {f"Recall@{k}": order_recall(ranks_T, orders, k) for k in ks}
    values["MRR"] = reciprocal_rank(best_B, max(ks))
    return values


COUNTS = ((0, 0), (1, 3), (4, 8), (9, 20), (21, None))


def by_training_count(
    ranks_B: IntArray, targets_B: IntArray, taken: IntArray, num_items: int
) -> dict[str, dict[str, float | None]]:
    """HR@10 and NDCG@10 of users by how often their target was taken in training: `0`, `1-3`, ..., `21+`.

    Items of orders are targets each by itself, and `num_users` counts them. Targets of count 0 are cold: who knows
    items by interactions alone finds none of them.

    Args:
        ranks_B: of the targets.
        targets_B: catalogue row of each target.
        taken: rows of all items taken in training, each as often as it was.
        num_items: of the catalogue.

    Returns:
        Each range to `num_users`, `HR@10` and `NDCG@10`, which are None where there are no users.
    """
    count_B = np.bincount(taken, minlength=num_items)[targets_B]
    found: dict[str, dict[str, float | None]] = {}
    for low, high in COUNTS:
        ranks_b = ranks_B[(count_B >= low) & (count_B <= (np.inf if high is None else high))]
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        values = {"HR@10": hit_rate(ranks_b, 10), "NDCG@10": ndcg(ranks_b, 10)}
        means = {
            metric: float(value_b.mean()) if len(ranks_b) else None for metric, value_b in values.items()
        }
        found[name] = {"num_users": len(ranks_b), **means}
    return found


def cold_and_warm(
    counts: Mapping[str, Mapping[str, float | None]],
) -> dict[str, dict[str, float | None]]:
    """What `by_training_count` found of targets that nobody took in training (`cold`) and of all others (`warm`)."""
    rows: dict[str, list[Mapping[str, Any]]] = {
        "cold": [counts["0"]],
        "warm": [row for name, row in counts.items() if name != "0"],
    }
    found: dict[str, dict[str, float | None]] = {}
    for name, parts in rows.items():
        num_users = sum(part["num_users"] for part in parts)
        found[name] = {"num_users": num_users}
        for metric in ("HR@10", "NDCG@10"):
            total = sum(part["num_users"] * (part[metric] or 0.0) for part in parts)
            found[name][metric] = total / num_users if num_users else None
    return found


def check_bounds(metrics: Mapping[str, float], tolerance: float = 1e-9) -> None:
    """Hold what arithmetic demands of HR@k and NDCG@k with one target per user, or of orders, which have Recall@k too.

    A hit among the first k adds between 1/log2(k + 1) and 1 to NDCG@k, and a hit at a place from a + 1 to b
    adds between 1/log2(b + 1) and 1/log2(a + 2) to NDCG@b. Of orders, neither NDCG nor Recall is above HR.

    Args:
        metrics: has HR@k and NDCG@k for some k; other names are ignored.
        tolerance: slack for rounding.

    Raises:
        AssertionError: the numbers cannot all be true, so the code that made them is wrong.
    """
    ks = sorted(int(name.removeprefix("HR@")) for name in metrics if name.startswith("HR@"))
    hr = {0: 0.0} | {k: metrics[f"HR@{k}"] for k in ks}
    gain = {0: 0.0} | {k: metrics[f"NDCG@{k}"] for k in ks}
    if any(f"Recall@{k}" in metrics for k in ks):
        for k, name in product(ks, ("NDCG", "Recall")):
            if not -tolerance <= metrics[f"{name}@{k}"] <= hr[k] + tolerance:
                raise AssertionError(
                    f"{name}@{k} = {metrics[f'{name}@{k}']:.6f} is impossible beside HR@{k} = {hr[k]:.6f}"
                )
        return
    for a, b in pairwise([0, *ks]):
        hits = hr[b] - hr[a]
        low, high = gain[a] + hits / log2(b + 1), gain[a] + hits / log2(a + 2)
        if hits < -tolerance or not low - tolerance <= gain[b] <= high + tolerance:
            raise AssertionError(
                f"NDCG@{b} = {gain[b]:.6f} is impossible beside HR@{a} = {hr[a]:.6f}, HR@{b} = {hr[b]:.6f} "
                f"and NDCG@{a} = {gain[a]:.6f}: it must lie in [{low:.6f}, {high:.6f}]"
            )
