"""The analysis behind the comparison, on lists whose hits are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, DataError
from genrec.evaluation.comparison import Analysis, Group, analyse
from genrec.evaluation.protocol import evaluate_rankings
from genrec.testing import targets

NUM_ITEMS, NUM_USERS = 60, 40
# Item 0 is in every history, item 1 in half of them, and user u has u % 8 items of its own besides.
TRAIN = Histories.from_lists(
    [[0, *([1] if user % 2 else []), *range(40, 40 + user % 8)] for user in range(NUM_USERS)]
)
TARGETS = targets(TRAIN, np.arange(NUM_USERS) % 20 + 2, NUM_ITEMS)


def lists(places: list[int], depth: int = 21) -> Rankings:
    """Lists that hold user u's target at place `places[u]`, from 1; 0: not at all."""
    items = np.tile(np.arange(depth, dtype=np.int32) + 22, (NUM_USERS, 1)) % NUM_ITEMS
    items[items >= 40] -= 38
    for user, place in enumerate(places):
        items[user] = [(item if item != TARGETS.items[user] else 39) for item in items[user]]
        if place:
            items[user, place - 1] = TARGETS.items[user]
    scores = np.tile(-np.arange(depth, dtype=np.float32), (NUM_USERS, 1))
    return Rankings(items, scores, np.zeros(NUM_USERS, bool))


def group(name: str, *seeds: list[int]) -> Group:
    return Group(name, tuple(range(len(seeds))), tuple(lists(places) for places in seeds))


WEAK = group("weak", [1 if user < 4 else 0 for user in range(NUM_USERS)])
STRONG = group(
    "strong",
    [2 if 2 <= user < 32 else 0 for user in range(NUM_USERS)],
    [1 if 2 <= user < 22 else 15 for user in range(NUM_USERS)],
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse([WEAK, STRONG], TARGETS, TRAIN)


def test_the_best_comes_first_with_the_numbers_of_the_protocol(analysis: Analysis) -> None:
    assert analysis.names == ["strong", "weak"]
    assert analysis.metrics == ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR")
    for place, own in enumerate((STRONG, WEAK)):
        expected = [evaluate_rankings(one, TARGETS).metrics for one in own.rankings]
        for at, metric in enumerate(analysis.metrics):
            values = [one[metric] for one in expected]
            assert analysis.per_seed[place][:, at] == pytest.approx(values)
            assert analysis.comparisons.means_GM[place, at] == pytest.approx(np.mean(values))


def test_pairs_name_the_better_first_and_judge(analysis: Analysis) -> None:
    (pair,) = analysis.pairs("HR@10")
    assert (pair["first"], pair["second"], pair["significant"]) == ("strong", "weak", True)
    assert pair["difference"] == pytest.approx((30 + 20) / 2 / 40 - 4 / 40)
    assert pair["interval"][0] < pair["difference"] < pair["interval"][1]
    assert pair["p_value"] == pair["p_holm"] < 0.001


def test_a_worse_recommender_may_win_on_one_metric() -> None:
    top = group("top", [1] * 10 + [0] * 30)
    broad = group("broad", [10] * 12 + [0] * 28)
    (pair,) = analyse([top, broad], TARGETS, TRAIN).pairs("HR@10")
    assert (pair["first"], pair["significant"]) == ("broad", False)
    assert pair["difference"] == pytest.approx(2 / 40)


def test_users_by_history_and_by_popularity_of_their_target(analysis: Analysis) -> None:
    lengths = TRAIN.lengths
    assert sum(part.num_users for part in analysis.by_history) == NUM_USERS
    for part in analysis.by_history:
        low, _, high = part.label.partition("–")
        rows = (lengths >= int(low)) & (lengths <= int(high or low))
        assert part.num_users == rows.sum() >= 5
        hits = [np.isin(np.arange(40), range(2, end)) for end in (32, 22)]
        assert part.rate_G[0] == pytest.approx(np.mean([hit[rows].mean() for hit in hits]))
        assert np.all(part.low_G <= part.rate_G)
        assert np.all(part.rate_G <= part.high_G)


def test_cold_targets_are_apart() -> None:
    popular = replace(TARGETS, items=np.where(np.arange(40) < 10, 42, TARGETS.items))
    found = analyse([WEAK, STRONG], popular, TRAIN)
    assert found.num_cold == 30
    assert [(part.label, part.num_users) for part in found.by_popularity] == [("0", 30), ("25", 10)]
    assert found.by_popularity[0].rate_G[0] == pytest.approx((22 + 12) / 2 / 30)
    assert found.target_head_share == pytest.approx(0.25)


def test_found_alone_and_together_count_first_seeds(analysis: Analysis) -> None:
    assert analysis.together == pytest.approx(32 / 40)
    assert analysis.alone_G == pytest.approx([28 / 40, 2 / 40])


def test_examples_show_each_kind_of_user_once(analysis: Analysis) -> None:
    found = {example.found_by: example.row for example in analysis.examples}
    assert list(found) == [(0,), (1,), (0, 1), ()]
    assert 4 <= found[0,] < 32
    assert found[1,] in (0, 1)
    assert found[0, 1] in (2, 3)
    assert found[()] >= 32
    assert all(example.missed_by == () for example in analysis.examples)
    assert analyse([STRONG, WEAK], TARGETS, TRAIN).examples == analysis.examples


def test_examples_are_the_middle_of_their_kind_and_a_near_miss_is_one() -> None:
    """Users 0 to 8 are found at places 1 to 9, users 9 to 13 stand at 11 to 15 in one of the lists."""
    near = [user + 1 if user < 9 else user + 2 if user < 14 else 0 for user in range(NUM_USERS)]
    other = [user + 1 if user < 9 else 0 for user in range(NUM_USERS)]
    found = analyse([group("near", near), group("other", other)], TARGETS, TRAIN)
    first = found.names.index("near")
    assert [(example.found_by, example.missed_by) for example in found.examples] == [
        ((0, 1), ()),
        ((), (first,)),
        ((), ()),
    ]
    assert [example.row for example in found.examples[:2]] == [4, 11]
    missed = TRAIN.lengths[14:]
    shorter = (missed < TRAIN.lengths[found.examples[2].row]).sum()
    assert shorter <= len(missed) / 2
    assert (missed > TRAIN.lengths[found.examples[2].row]).sum() <= len(missed) / 2


def test_seen_items_are_dropped_and_told() -> None:
    """The list of each user begins with item 0, which all have had: the target at place 2 moves to the first."""
    cheating = lists([2] * NUM_USERS)
    cheating.items_BK[:, 0] = 0
    found = analyse([Group("file", (None,), (cheating,)), WEAK], TARGETS, TRAIN)
    assert found.per_seed[0][0] == pytest.approx(np.ones(7))
    assert found.rates[0]["seen_rate"] == pytest.approx(1 / 21)
    assert found.rates[1]["seen_rate"] == 0
    assert 0 not in found.groups[0].rankings[0].items_BK


def test_shallow_lists_limit_the_cut_offs_or_are_refused() -> None:
    short = Group("file", (None,), (lists([1] * NUM_USERS, depth=12),))
    assert analyse([short, WEAK], TARGETS, TRAIN).metrics == ("HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR")
    for depth in (4, 7):
        shallow = Group("mine", (None,), (lists([1] * NUM_USERS, depth=depth),))
        with pytest.raises(DataError, match=f"mine.* {depth} items"):
            analyse([shallow, WEAK], TARGETS, TRAIN)


def test_one_recommender_is_not_compared() -> None:
    with pytest.raises(ConfigError, match="weak alone"):
        analyse([WEAK], TARGETS, TRAIN)


def test_json_holds_everything_and_no_strange_number(analysis: Analysis) -> None:
    told = json.loads(json.dumps(analysis.to_json(), allow_nan=False))
    assert [one["name"] for one in told["recommenders"]] == ["strong", "weak"]
    assert told["recommenders"][0]["seeds"] == [0, 1]
    assert told["recommenders"][0]["metrics"]["HR@10"]["per_seed"] == [0.75, 0.5]
    assert set(told["comparisons"]) == set(analysis.metrics)
    assert told["overlap"]["share_of_hits"][1][1] is None  # one seed: nothing to compare with itself
    assert sum(part["num_users"] for part in told["by_target_popularity"]) == NUM_USERS
    assert 0 < told["recommenders"][0]["gini"] < 1
