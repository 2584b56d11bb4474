"""Ranks and metrics where a user's targets are all items of an order: by hand and against ranx."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from genrec.data.interactions import Histories, Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.comparison import Group, analyse
from genrec.evaluation.metrics import best_ranks, check_bounds, per_user, ranks, target_ranks
from genrec.evaluation.protocol import evaluate, evaluate_rankings
from genrec.testing import toys

KS = (1, 3, 5)


def questions(orders: list[list[int]], num_items: int = 30) -> Targets:
    asked = toys.targets([[num_items - 1]] * len(orders), [order[0] for order in orders], num_items)
    return Targets(asked.catalogue, asked.users, asked.histories, asked.items, Histories.from_lists(orders))


def rankings(items: list[list[int]], scores: list[list[float]] | None = None) -> Rankings:
    falling = [[-float(place) for place in range(len(own))] for own in items]
    return Rankings(
        np.array(items, np.int32), np.array(scores or falling, np.float32), np.ones(len(items), bool)
    )


def test_each_item_of_an_order_has_its_place() -> None:
    found = target_ranks(rankings([[7, 3, 9, 1], [7, 3, 9, 1]]), questions([[9, 7, 2], [4]]))
    assert found.tolist() == [3, 1, 0, 0]


def test_ties_stand_against_the_model_and_not_against_the_order() -> None:
    tied = [[3.0, 1.0, 1.0, 1.0, 1.0]]
    asked = questions([[2, 4]])
    assert target_ranks(rankings([[1, 2, 3, 4, 5]], tied), asked).tolist() == [4, 5]
    assert target_ranks(rankings([[1, 2, 3, 4, 5]], [[3, 2, 1, 1, 1]]), asked).tolist() == [2, 5]


def test_metrics_by_hand() -> None:
    """Of three items the first and the last of a list of three; then none of one item."""
    asked = questions([[1, 2, 3], [4]])
    assert asked.orders is not None
    ranks_T = target_ranks(rankings([[2, 9, 1], [5, 6, 7]]), asked)
    assert ranks_T.tolist() == [3, 1, 0, 0]
    values = per_user(ranks_T, [1, 3], asked.orders)
    assert list(values) == ["HR@1", "HR@3", "NDCG@1", "NDCG@3", "Recall@1", "Recall@3", "MRR"]
    assert values["HR@3"].tolist() == [1, 0]
    assert values["Recall@1"].tolist() == [1 / 3, 0]
    assert values["Recall@3"].tolist() == [2 / 3, 0]
    assert values["NDCG@1"].tolist() == [1, 0]  # min(k, 3) = 1 item makes the best list
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert values["NDCG@3"] == pytest.approx([1.5 / ideal, 0])
    assert values["MRR"].tolist() == [1, 0]
    assert best_ranks(ranks_T, asked.orders).tolist() == [1, 0]


def test_an_order_of_one_item_counts_as_one_target() -> None:
    rng = np.random.default_rng(0)
    lists = rankings([rng.permutation(30)[:6].tolist() for _ in range(40)])
    asked = questions([[int(item)] for item in rng.integers(0, 29, 40)])
    alone = Targets(asked.catalogue, asked.users, asked.histories, asked.items)
    found, expected = target_ranks(lists, asked), ranks(lists, asked.items)
    assert found.tolist() == target_ranks(lists, alone).tolist() == expected.tolist()
    assert (expected > 0).any()
    values = per_user(found, KS, asked.orders)
    for name, expected_B in per_user(expected, KS).items():
        np.testing.assert_allclose(values[name], expected_B)
        np.testing.assert_allclose(values[name.replace("HR", "Recall")], expected_B)


@pytest.mark.slow  # ranx compiles itself on first use
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")
def test_metrics_are_those_of_ranx() -> None:
    import ranx

    rng = np.random.default_rng(1)
    orders = [rng.permutation(29)[: rng.integers(1, 6)].tolist() for _ in range(50)]
    lists = [rng.permutation(29)[:8].tolist() for _ in range(50)]
    asked = questions(orders)
    values = per_user(target_ranks(rankings(lists), asked), KS, asked.orders)
    truth = {f"u{row}": {str(item): 1 for item in order} for row, order in enumerate(orders)}
    run = {
        f"u{row}": {str(item): 1.0 - place / 10 for place, item in enumerate(own)}
        for row, own in enumerate(lists)
    }
    names = {"HR": "hit_rate", "NDCG": "ndcg", "Recall": "recall"}
    metrics = {f"{ours}@{k}": f"{theirs}@{k}" for ours, theirs in names.items() for k in KS}
    metrics["MRR"] = f"mrr@{max(KS)}"
    told: dict[str, Any] = ranx.evaluate(ranx.Qrels(truth), ranx.Run(run), list(metrics.values()))
    for ours, theirs in metrics.items():
        assert values[ours].mean() == pytest.approx(told[theirs]), ours
    check_bounds({name: float(values_B.mean()) for name, values_B in values.items()})


def test_what_no_arithmetic_gives_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"Recall@5 = 0.400000 is impossible beside HR@5 = 0.300000"):
        check_bounds({"HR@5": 0.3, "NDCG@5": 0.2, "Recall@5": 0.4})


def test_the_protocol_tells_orders_from_single_targets() -> None:
    asked = questions([[1, 2, 3], [4], [5, 6]])
    lists = rankings([[*range(1, 22)], [*range(1, 22)], [*range(1, 22)]])
    found = evaluate(lambda histories, k, exclude_seen, **options: lists, asked)
    assert (found.metrics["num_users"], found.metrics["num_targets"]) == (3, 6)
    assert found.ranks_B.tolist() == [1, 4, 5]
    assert found.target_ranks.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.metrics["Recall@5"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert set(found.intervals) == {
        f"{name}@{k}" for name in ("HR", "NDCG", "Recall") for k in (5, 10, 20)
    } | {"MRR"}
    again = evaluate_rankings(lists, asked)
    assert all(again.metrics[name] == found.metrics[name] for name in found.intervals)
    alone = evaluate_rankings(lists, Targets(asked.catalogue, asked.users, asked.histories, asked.items))
    assert "num_targets" not in alone.metrics
    assert not any(name.startswith("Recall") for name in alone.metrics)


def test_recommenders_are_compared_by_orders() -> None:
    asked = questions([[1, 2, 3], [4], [5, 6]])
    good, poor = rankings([[*range(1, 22)]] * 3), rankings([[*range(21, 0, -1)]] * 3)
    groups = [Group("poor", (None,), (poor,)), Group("good", (None,), (good,))]
    found = analyse(groups, asked, Histories.from_lists([[1, 1, 2], [5]]))
    assert found.names == ["good", "poor"]
    expected = evaluate_rankings(good, asked).metrics
    for name, value in zip(found.metrics, found.comparisons.means_GM[0], strict=True):
        assert value == pytest.approx(expected[name]), name
