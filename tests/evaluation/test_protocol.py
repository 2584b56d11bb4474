"""The protocol counts what the lists hold, good or bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, DataError
from genrec.evaluation.protocol import evaluate, evaluate_rankings
from genrec.testing import toys

NUM_ITEMS = 30


def targets(histories: list[list[int]], items: list[int]) -> Targets:
    return toys.targets(histories, items, NUM_ITEMS)


def always(items: list[int], exact: list[bool] | None = None) -> Callable[..., Rankings]:
    """A `rank` that gives everybody the same list, whatever is asked."""

    def rank(histories: Histories, k: int, **asked: Any) -> Rankings:
        row = np.array([*items, *[-1] * k], np.int32)[:k]
        scores = np.where(row == -1, -np.inf, -np.arange(k, dtype=np.float32)).astype(np.float32)
        exact_B = np.ones(len(histories), bool) if exact is None else np.array(exact)
        return Rankings(np.tile(row, (len(histories), 1)), np.tile(scores, (len(histories), 1)), exact_B)

    return rank


def test_metrics_of_known_lists() -> None:
    found = evaluate(always(list(range(NUM_ITEMS))), targets([[29]] * 4, [0, 6, 19, 25]))
    assert found.ranks_B.tolist() == [1, 7, 20, 0]
    metrics = found.metrics
    assert list(metrics) == [
        "num_users",
        "num_items",
        "HR@5",
        "HR@10",
        "HR@20",
        "NDCG@5",
        "NDCG@10",
        "NDCG@20",
        "MRR",
        "exact_rate",
        "invalid_rate",
        "duplicate_rate",
        "seen_rate",
        "seconds",
        "users_per_s",
        "peak_memory_mb",
    ]
    assert (metrics["num_users"], metrics["num_items"]) == (4, 30)
    assert (metrics["HR@5"], metrics["HR@10"], metrics["HR@20"]) == (0.25, 0.5, 0.75)
    assert metrics["NDCG@10"] == pytest.approx((1 + 1 / 3) / 4)
    assert metrics["MRR"] == pytest.approx((1 + 1 / 7 + 1 / 20) / 4)
    assert metrics["exact_rate"] == 1
    assert metrics["peak_memory_mb"] > 10
    assert metrics["users_per_s"] == pytest.approx(4 / metrics["seconds"])
    low, high = found.intervals["HR@10"]
    assert low <= 0.5 <= high


def test_bad_lists_are_counted_not_trusted() -> None:
    """Four entries: one past the catalogue, one negative, one twice, two in the history of the first user."""
    found = evaluate(always([3, 3, 30, -7], exact=[True, False]), targets([[3], [4]], [9, 9])).metrics
    assert found["invalid_rate"] == pytest.approx(2 / 4)
    assert found["duplicate_rate"] == pytest.approx(1 / 4)
    assert found["seen_rate"] == pytest.approx(2 / 8)
    assert found["exact_rate"] == 0.5


def test_an_empty_list_is_a_miss_and_no_error() -> None:
    found = evaluate(always([]), targets([[1]], [2])).metrics
    assert (found["HR@20"], found["invalid_rate"], found["duplicate_rate"]) == (0, 0, 0)


def test_asks_for_one_more_item_and_for_both_filters() -> None:
    asked = []

    def rank(histories: Histories, **options: Any) -> Rankings:
        asked.append(dict(options))
        return always([1])(histories, **options)

    questions = targets([[1]] * 2, [1, 1])
    evaluate(rank, questions, ks=(3,), batch_size=7)
    assert asked == [
        {"k": 4, "exclude_seen": True, "batch_size": 7},
        {"k": 4, "exclude_seen": False, "batch_size": 7},
    ]
    alone = evaluate(rank, questions, unfiltered=False)
    assert len(asked) == 3
    assert alone.unfiltered is None
    assert alone.to_json()["unfiltered"] is None


def test_unfiltered_ranks_stand_beside() -> None:
    def rank(histories: Histories, k: int, exclude_seen: bool) -> Rankings:
        return always([5] if exclude_seen else [1, 5])(histories, k)

    found = evaluate(rank, targets([[1]], [5]))
    assert (found.metrics["MRR"], found.metrics["seen_rate"]) == (1, 0)
    assert found.unfiltered is not None
    assert (found.unfiltered["MRR"], found.unfiltered["seen_rate"]) == (0.5, 0.5)
    assert found.unfiltered_ranks_B is not None
    assert found.unfiltered_ranks_B.tolist() == [2]


def test_progress_runs_over_both_passes() -> None:
    calls = []

    def rank(
        histories: Histories, k: int, exclude_seen: bool, progress: Callable[[int, int], None]
    ) -> Rankings:
        progress(1, 2)
        progress(2, 2)
        return always([1])(histories, k)

    evaluate(rank, targets([[1], [2]], [3, 4]), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_json_round_trip_is_flat_as_the_protocol_names_it() -> None:
    found = evaluate(always([1, 2]), targets([[3]], [2]))
    again = json.loads(json.dumps(found.to_json()))
    assert again["HR@5"] == found.metrics["HR@5"]
    assert again["unfiltered"]["MRR"] == found.metrics["MRR"]
    assert again["intervals"]["MRR"] == [0.5, 0.5]


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cut-offs are \[0, 5\]"):
        evaluate(always([1]), targets([[1]], [2]), ks=(0, 5))
    with pytest.raises(DataError, match="no targets"):
        evaluate(always([1]), targets([], []))


def lists(items: list[list[int]]) -> Rankings:
    """Lists of -1 where they end, scores falling."""
    longest = max(map(len, items))
    items_BK = np.array([[*row, *[-1] * (longest - len(row))] for row in items], np.int32)
    scores_BK = np.where(items_BK == -1, -np.inf, -np.arange(longest)).astype(np.float32)
    return Rankings(items_BK, scores_BK, np.zeros(len(items), bool))


def test_lists_of_a_recommender_are_worth_what_the_recommender_is() -> None:
    rng = np.random.default_rng(0)
    questions = targets(
        [rng.integers(0, 30, 4).tolist() for _ in range(50)], rng.integers(0, 30, 50).tolist()
    )

    def rank(histories: Histories, k: int, exclude_seen: bool) -> Rankings:
        scores_BI = np.random.default_rng(1).integers(0, 9, (len(histories), NUM_ITEMS)).astype(np.float32)
        order = np.argsort(-scores_BI, axis=1, kind="stable").astype(np.int32)
        everything = Rankings(order, np.take_along_axis(scores_BI, order, axis=1), np.ones(len(order), bool))
        if exclude_seen:
            everything = everything.without(everything.seen(histories))
        return Rankings(everything.items_BK[:, :k], everything.scores_BK[:, :k], everything.exact_B)

    expected = evaluate(rank, questions)
    all_items = rank(questions.histories, NUM_ITEMS, exclude_seen=False)
    found = evaluate_rankings(all_items, questions)
    assert found.unfiltered is not None
    assert expected.unfiltered is not None
    for name in found.intervals:
        assert found.metrics[name] == expected.metrics[name]
        assert found.unfiltered[name] == expected.unfiltered[name]
    assert found.intervals == expected.intervals
    assert found.metrics["HR@10"] != found.unfiltered["HR@10"]
    assert found.metrics["depth"] == 20
    assert "exact_rate" not in found.metrics


def test_rates_are_those_of_the_lists_as_given() -> None:
    """Entry 30 is no item, 3 comes twice, 9 is seen by the first user."""
    found = evaluate_rankings(lists([[9, 3, 3, 30, 5]] * 2), targets([[9, 9], [8]], [5, 5]), ks=(2,))
    for metrics in (found.metrics, found.unfiltered):
        assert metrics is not None
        assert (metrics["invalid_rate"], metrics["duplicate_rate"], metrics["seen_rate"]) == (0.2, 0.2, 0.1)
    assert found.ranks_B.tolist() == [4, 5]
    assert found.unfiltered_ranks_B is not None
    assert found.unfiltered_ranks_B.tolist() == [5, 5]


def test_cut_offs_deeper_than_the_shortest_list_are_left_out() -> None:
    first = lists([list(range(12)), list(range(15, 27))])
    questions = targets([[28], [15]], [1, 16])
    assert set(evaluate_rankings(first, questions).intervals) == {"HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR"}
    found = evaluate_rankings(first, targets([[28], [15, 16, 17]], [1, 18]))  # nine unseen ones stay
    assert set(found.intervals) == {"HR@5", "NDCG@5", "MRR"}
    assert found.metrics["depth"] == 9
    with pytest.raises(
        DataError, match="shortest list has 9 items once seen ones are dropped, and the smallest"
    ):
        evaluate_rankings(first, targets([[28], [15, 16, 17]], [1, 18]), ks=(10,))


def test_a_list_of_all_that_is_left_is_long_enough() -> None:
    """The history holds 27 items, one of them twice, so a list can have three."""
    history = [*range(27), 0]
    found = evaluate_rankings(lists([[29, 28, 27], list(range(25))]), targets([history, [29]], [28, 3]))
    assert found.metrics["depth"] == 20
    assert found.ranks_B.tolist() == [2, 4]
    short = evaluate_rankings(
        lists([[29, 28], list(range(25))]), targets([history, [29]], [28, 3]), ks=(2, 5)
    )
    assert short.metrics["depth"] == 2


def test_a_user_without_a_list_is_a_miss() -> None:
    found = evaluate_rankings(lists([list(range(5)), []]), targets([[9], [9]], [0, 0]))
    assert (found.metrics["HR@5"], found.metrics["num_without_list"], found.metrics["depth"]) == (0.5, 1, 5)


class _Ranker:
    """A recommender as the protocol knows it: a catalogue, and the same list for everybody."""

    def __init__(self, ids: list[str], items: list[int]) -> None:
        self.catalogue = Catalogue.from_lists(ids, ids)
        self.items = items

    def rank(self, histories: Histories, k: int, **asked: Any) -> Rankings:
        return always(self.items)(histories, k, **asked)


def test_targets_of_other_items_are_refused() -> None:
    asked = targets([[29]] * 2, [0, 6])
    with pytest.raises(DataError, match=r"fitted on other items \(30\)"):
        evaluate(_Ranker([f"other {row}" for row in range(NUM_ITEMS)], [0]).rank, asked)
    with pytest.raises(DataError, match=r"fitted on other items \(29\)"):
        evaluate(_Ranker(asked.catalogue.ids[:-1], [0]).rank, asked)


def test_items_that_were_added_later_are_items() -> None:
    asked = targets([[29]] * 2, [0, 6])
    found = evaluate(_Ranker([*asked.catalogue.ids, "new"], [30, 0]).rank, asked)
    assert found.metrics["invalid_rate"] == 0
    assert found.metrics["num_items"] == 31
    assert found.ranks_B.tolist() == [2, 0]
    assert found.unfiltered is not None
    assert found.unfiltered["num_items"] == 31


@pytest.mark.parametrize("ks", [5, "5", [5.5], [], [0], [True, None], None])
def test_cut_offs_are_whole_numbers(ks: Any) -> None:
    with pytest.raises(ConfigError, match="give at least one, each a whole number"):
        evaluate(always([0]), targets([[29]], [0]), ks=ks)


def test_cut_offs_may_be_an_array() -> None:
    assert "HR@7" in evaluate(always([0]), targets([[29]], [0]), ks=np.array([7, 3])).metrics  # type: ignore[arg-type]


def test_what_cannot_be_measured_is_told() -> None:
    with pytest.raises(ConfigError, match=r"give model\.rank"):
        evaluate(object(), targets([[29]], [0]))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"give data\.test"):
        evaluate(always([0]), targets([[29]], [0]).histories)  # type: ignore[arg-type]
