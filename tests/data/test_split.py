"""Leave-one-out and the temporal split: nothing of a target may be seen before it is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.read import read
from genrec.data.split import before_test, leave_one_out, some_users, spelt, split, temporal
from genrec.errors import ConfigError, DataError
from genrec.testing import toys
from hypothesis import given, settings
from hypothesis import strategies as st

CATALOGUE = toys.catalogue(20)


def interactions(histories: list[list[int]], times: list[list[int]] | None = None) -> Interactions:
    parts = {} if times is None else {"times": np.concatenate([np.asarray(part, np.int64) for part in times])}
    return toys.interactions(histories, CATALOGUE, **parts)


def lists(histories: Histories) -> list[list[int]]:
    return [history.tolist() for history in histories]


def test_leave_one_out() -> None:
    parts = leave_one_out(interactions([[1, 2, 3, 4], [5, 6], [7, 8, 9], [10]]))
    assert lists(parts.train.histories) == [[1, 2], [5, 6], [7], [10]]
    assert parts.train.users.to_list() == ["u0", "u1", "u2", "u3"]
    assert parts.validation.users.to_list() == parts.test.users.to_list() == ["u0", "u2"]
    assert lists(parts.validation.histories) == [[1, 2], [7]]
    assert parts.validation.items.tolist() == [3, 8]
    assert lists(parts.test.histories) == [[1, 2, 3], [7, 8]]  # the validation item is known by then
    assert parts.test.items.tolist() == [4, 9]


@pytest.mark.parametrize("protocol", ["leave-one-out", "temporal"])
def test_before_the_test_stands_what_its_questions_tell_and_no_target(protocol: str) -> None:
    histories = [[1, 2, 3, 4], [5, 6], [7, 8, 9], [10], list(range(11, 19))]
    times = [[1, 2, 30, 60], [2, 70], [3, 40, 90], [95], [1, 5, 10, 20, 45, 50, 55, 80]]
    data = interactions(histories, times)
    known, parts = before_test(data, protocol), split(data, protocol)
    assert known.users.to_list() == data.users.to_list()
    asked = [known.users.to_list().index(user) for user in parts.test.users]
    assert lists(known.histories.take(np.array(asked))) == lists(parts.test.histories)
    assert (known.histories.lengths >= parts.train.histories.lengths).all()
    assert known.num_interactions > parts.train.num_interactions
    assert len(known.times) == known.num_interactions
    if protocol == "leave-one-out":
        assert lists(known.histories) == [[1, 2, 3], [5, 6], [7, 8], [10], list(range(11, 18))]
    else:
        assert known.times.max() == 80
        assert lists(known.histories)[3] == []  # who is not asked has nothing after the cut either


def test_before_the_test_wants_a_known_protocol_and_its_times() -> None:
    with pytest.raises(ConfigError, match="'random' is not known; choose one of leave-one-out, temporal"):
        before_test(interactions([[1, 2, 3]]), "random")
    with pytest.raises(DataError, match="needs times"):
        before_test(interactions([[1, 2, 3]]), "temporal")


def test_ties_in_time_stay_in_order_of_rows() -> None:
    rows = [("u", "late", 9), ("u", "first", 5), ("u", "second", 5), ("u", "third", 5), ("u", "fourth", 5)]
    data = read(pl.DataFrame(rows, schema=["user", "item", "time"], orient="row"))
    ids = data.catalogue.ids
    assert [ids[item] for item in data.test.histories[0]] == ["first", "second", "third", "fourth"]
    assert ids[data.test.items[0]] == "late"
    assert ids[data.validation.items[0]] == "fourth"
    assert [ids[item] for item in data.train.histories[0]] == ["first", "second", "third"]


def test_everything_along_the_histories_is_cut_with_them() -> None:
    rows = [("u", item, time, time / 2, f"on {item}", item.upper()) for time, item in enumerate("abcde")]
    frame = pl.DataFrame(rows, schema=["user", "item", "time", "rating", "text", "summary"], orient="row")
    train = read(frame).train
    assert train.times.tolist() == [0, 1, 2]
    assert train.ratings.tolist() == [0, 0.5, 1]
    assert train.texts.to_list() == ["on a", "on b", "on c"]
    assert train.headlines.to_list() == ["A", "B", "C"]


def test_some_users_keep_everything_and_the_others_nothing() -> None:
    taken = [[user] * (1 + user % 3) for user in range(10)]
    ratings = np.array([item for items in taken for item in items], np.float32)
    whole = replace(interactions(taken), ratings=ratings)
    assert some_users(whole, 1) is whole
    drawn = set()
    for seed in range(20):
        some = some_users(whole, 0.3, seed)
        found = lists(some.histories)
        there = [user for user, items in enumerate(found) if items]
        assert len(there) == 3
        assert all(found[user] == taken[user] for user in there)
        assert some.users.equals(whole.users)
        assert some.ratings is not None
        assert some.ratings.tolist() == [item for items in found for item in items]
        drawn |= set(there)
    assert len(drawn) > 5
    assert some_users(whole, 0.01).num_interactions > 0


def test_too_short_for_leave_one_out() -> None:
    with pytest.raises(DataError, match=r"none of the 2 users has three interactions"):
        leave_one_out(interactions([[1, 2], [3]]))


def test_temporal() -> None:
    # 20 interactions at the times 0..19: cuts at 16 and 18.
    times = [[0, 1, 2, 3, 16, 17, 18], [4, 5, 6, 7, 8, 19], [9, 10, 11, 12, 13, 14], [15]]
    parts = temporal(
        interactions([[0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12], [13, 14, 15, 16, 17, 18], [19]], times)
    )
    assert lists(parts.train.histories) == [[0, 1, 2, 3], [7, 8, 9, 10, 11], [13, 14, 15, 16, 17, 18], [19]]
    assert parts.validation.users.to_list() == ["u0"]
    assert parts.validation.items.tolist() == [4]
    assert lists(parts.validation.histories) == [[0, 1, 2, 3]]
    assert parts.test.users.to_list() == ["u0", "u1"]
    assert parts.test.items.tolist() == [6, 12]
    assert lists(parts.test.histories) == [[0, 1, 2, 3, 4, 5], [7, 8, 9, 10, 11]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=12))
def test_temporal_never_trains_on_the_future(times: list[list[int]]) -> None:
    times = [sorted(part) for part in times]
    data = interactions([list(range(len(part))) for part in times], times)
    try:
        parts = temporal(data)
    except DataError:
        return
    flat = np.concatenate(times)
    first_cut, second_cut = np.quantile(flat, [0.8, 0.9], method="higher")
    assert parts.train.times is not None
    assert (parts.train.times < first_cut).all()
    assert parts.train.num_interactions == (flat < first_cut).sum()
    for questions, start, end in (
        (parts.validation, first_cut, second_cut),
        (parts.test, second_cut, np.inf),
    ):
        for user, history, item in zip(questions.users, questions.histories, questions.items, strict=True):
            own = times[int(user[1:])]
            assert len(history) == item == sum(time < start for time in own)
            assert start <= own[item] < end


def test_temporal_mistakes() -> None:
    with pytest.raises(DataError, match=r"the temporal split needs times"):
        temporal(interactions([[1, 2, 3]]))
    with pytest.raises(DataError, match=r"finds 0 users for validation and 0 for test"):
        temporal(interactions([[1, 2, 3]], [[5, 5, 5]]))


def test_split_by_name() -> None:
    data = interactions([[0, 1, 2, 3]], [[0, 1, 2, 3]])
    assert split(data).protocol == "leave-one-out"
    with pytest.raises(
        ConfigError, match=r"the split 'random' is not known; choose one of leave-one-out, temporal"
    ):
        split(data, "random")


def test_targets_sample_and_take() -> None:
    test = leave_one_out(interactions([[row, row + 1, row + 2] for row in range(10)])).test
    drawn = test.sample(4, seed=1)
    assert len(drawn) == 4
    assert drawn.items.tolist() == sorted(drawn.items.tolist())
    assert drawn.items.tolist() == test.sample(4, seed=1).items.tolist()
    assert test.sample(99) is test
    assert [history[-1] + 1 for history in drawn.histories] == drawn.items.tolist()
    assert test.take(np.array([3, 1])).users.to_list() == ["u3", "u1"]


def test_histories() -> None:
    histories = Histories.from_lists([[1, 2], [], [3]])
    assert histories.lengths.tolist() == [2, 0, 1]
    assert lists(histories) == [[1, 2], [], [3]]
    assert lists(histories.take(np.array([2, 0, 0]))) == [[3], [1, 2], [1, 2]]
    assert len(Histories.from_lists([])) == 0
    with pytest.raises(IndexError):
        histories[3]


# -- items that are held out as a whole ------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["leave-one-out", "temporal"])
def test_cold_items_are_in_no_training_part_and_questions_stay(base: str) -> None:
    rng = np.random.default_rng(0)
    histories = [rng.permutation(20)[:6].tolist() for _ in range(30)]
    times = [sorted(rng.permutation(1000)[:6].tolist()) for _ in histories]
    data = interactions(histories, times)
    plain, parts = split(data, base), split(data, f"{base}+cold=.25")
    assert parts.protocol == f"{base}+cold=0.25"
    cold = set(range(20)) - set(parts.train.histories.items.tolist())
    assert len(cold) == 5
    assert parts.train.users.equals(plain.train.users)
    for left, whole in zip(parts.train.histories, plain.train.histories, strict=True):
        assert left.tolist() == [item for item in whole.tolist() if item not in cold]
    assert len(parts.train.times) == parts.train.num_interactions
    for name in ("validation", "test"):
        ours, theirs = getattr(parts, name), getattr(plain, name)
        assert ours.items.tolist() == theirs.items.tolist()
        assert lists(ours.histories) == lists(theirs.histories)
        assert cold & set(ours.items.tolist())  # they are asked for,
        assert cold & set(ours.histories.items.tolist())  # and stand in histories
    known = before_test(data, f"{base}+cold=0.250")
    assert not cold & set(known.histories.items.tolist())
    assert known.num_interactions > parts.train.num_interactions


def test_which_items_are_cold_goes_by_the_items_that_were_taken() -> None:
    rng = np.random.default_rng(1)
    histories = [rng.permutation(10)[:5].tolist() for _ in range(20)]  # items 10 to 19 are never taken
    trained = set(split(interactions(histories), "leave-one-out+cold=0.3").train.histories.items.tolist())
    assert trained < set(range(10))
    assert len(trained) == 7
    again = split(interactions(histories[::-1]), "leave-one-out+cold=0.3").train.histories.items
    assert set(again.tolist()) == trained


def test_a_protocol_has_one_spelling() -> None:
    assert spelt("temporal") == "temporal"
    assert (
        spelt("temporal", 0.10)
        == spelt("temporal+cold=.1")
        == spelt("temporal+cold=1e-1")
        == "temporal+cold=0.1"
    )


@pytest.mark.parametrize(
    ("protocol", "share", "message"),
    [
        ("leave-one-out+cold=", None, "the share of cold items is ''; give a number above 0 and below 1"),
        ("leave-one-out+cold=1", None, "the share of cold items is '1'"),
        ("leave-one-out+cold=nan", None, "the share of cold items is 'nan'"),
        ("leave-one-out", -0.1, "the share of cold items is '-0.1'.* as in leave-one-out\\+cold=0.1"),
        ("leave-one-out+cold=0.1", 0.1, "has a share of cold items already"),
        (
            "cold=0.1",
            None,
            "'cold=0.1' is not known; choose one of leave-one-out, temporal, with \\+cold=SHARE",
        ),
    ],
)
def test_what_is_no_share_of_cold_items_is_said(protocol: str, share: float | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spelt(protocol, share)


def test_something_has_to_be_left_to_train_on() -> None:
    with pytest.raises(
        DataError, match=r"without 4 of 4 items .* nothing is left to train on: hold out fewer"
    ):
        split(interactions([[1, 2, 3], [2, 1, 4]]), "leave-one-out+cold=0.99")


def with_orders(orders: list[list[list[int]]], times: list[int] | None = None) -> Interactions:
    """A user's orders, each a list of items; `times` one an order."""
    flat = [order for own in orders for order in own]
    lengths = [len(order) for order in flat]
    parts = {} if times is None else {"times": np.repeat(times, lengths)}
    numbers = np.repeat(np.arange(len(flat))[::-1] * 10, lengths)  # only whether two are equal counts
    return toys.interactions(
        [[item for order in own for item in order] for own in orders], CATALOGUE, orders=numbers, **parts
    )


def orders_of(targets: Targets) -> list[list[int]]:
    assert targets.orders is not None
    assert [order[0] for order in targets.orders] == targets.items.tolist()
    return lists(targets.orders)


def test_leave_one_out_asks_for_whole_orders() -> None:
    data = with_orders([[[1, 2], [3], [4, 5, 4], [6, 1]], [[7, 8], [9]], [[10], [11], [12]], [[13, 14, 15]]])
    parts = leave_one_out(data)
    assert lists(parts.train.histories) == [[1, 2, 3], [7, 8, 9], [10], [13, 14, 15]]
    assert parts.test.users.to_list() == parts.validation.users.to_list() == ["u0", "u2"]
    assert (lists(parts.validation.histories), orders_of(parts.validation)) == (
        [[1, 2, 3], [10]],
        [[4, 5], [11]],
    )
    assert (lists(parts.test.histories), orders_of(parts.test)) == (
        [[1, 2, 3, 4, 5, 4], [10, 11]],
        [[6, 1], [12]],
    )
    known = before_test(data)
    assert lists(known.histories) == [[1, 2, 3, 4, 5, 4], [7, 8, 9], [10, 11], [13, 14, 15]]
    assert known.orders is not None
    assert len(known.order_starts) == 3 + 2 + 2 + 1
    with pytest.raises(DataError, match="none of the 2 users has three orders"):
        leave_one_out(with_orders([[[1, 2, 3], [4]], [[5], [6, 7]]]))


def test_the_temporal_split_asks_for_whole_orders() -> None:
    times = [1, 2, 30, 60, 3, 40, 90]
    data = with_orders([[[1, 2], [3], [4, 5], [6]], [[7, 8], [9, 10, 9], [11, 12]]], times)
    parts = temporal(data, validation=0.25, test=0.2)  # from 40 on, and from 60
    assert (lists(parts.validation.histories), orders_of(parts.validation)) == ([[7, 8]], [[9, 10]])
    assert lists(parts.test.histories) == [[1, 2, 3, 4, 5], [7, 8, 9, 10, 9]]
    assert orders_of(parts.test) == [[6], [11, 12]]
    assert lists(parts.train.histories) == [[1, 2, 3, 4, 5], [7, 8]]


def test_orders_of_one_item_ask_what_none_do() -> None:
    histories = [[1, 2, 3, 4], [5, 6], [7, 8, 9], [10]]
    plain, ordered = interactions(histories), with_orders([[[item] for item in own] for own in histories])
    for one, other in ((leave_one_out(plain), leave_one_out(ordered)),):
        for before, now in ((one.validation, other.validation), (one.test, other.test)):
            assert lists(before.histories) == lists(now.histories)
            assert before.items.tolist() == now.items.tolist()
            assert before.orders is None
            assert orders_of(now) == [[item] for item in before.items]
    assert one.test.apart() is one.test
    assert other.test.apart().items.tolist() == one.test.items.tolist()


def test_questions_about_orders_are_taken_and_taken_apart() -> None:
    asked = leave_one_out(with_orders([[[1], [2], [3, 4]], [[5], [6], [7]], [[8], [9], [10, 11, 12]]])).test
    some = asked.take(np.array([2, 0]))
    assert (some.users.to_list(), orders_of(some)) == (["u2", "u0"], [[10, 11, 12], [3, 4]])
    apart = some.apart()
    assert apart.items.tolist() == [10, 11, 12, 3, 4]
    assert lists(apart.histories) == [[8, 9]] * 3 + [[1, 2]] * 2
    assert apart.users.to_list() == ["u2"] * 3 + ["u0"] * 2
    assert apart.orders is None
    assert len(asked.sample(2)) == len(orders_of(asked.sample(2))) == 2
