"""Numbers: permutations that know the training part only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import genrec
import numpy as np
import pytest
from genrec.codes.numbered import (
    number_titles,
    original_numbers,
    random_numbers,
    sequential_numbers,
)
from genrec.data.interactions import Histories
from genrec.data.split import leave_one_out
from genrec.errors import DataError
from genrec.testing import interactions
from hypothesis import given
from hypothesis import strategies as st

history_lists = st.lists(st.lists(st.integers(0, 14), max_size=6), max_size=6)


def test_random_numbers_are_a_seeded_permutation() -> None:
    numbers = random_numbers(50, seed=3)
    assert sorted(numbers) == list(range(50))
    assert np.array_equal(numbers, random_numbers(50, seed=3))
    assert not np.array_equal(numbers, random_numbers(50, seed=4))


def test_sequential_numbers_follow_first_appearance() -> None:
    train = Histories.from_lists([[4, 2, 4], [], [2, 0]])
    numbers = sequential_numbers(train, 5)
    assert numbers[[4, 2, 0]].tolist() == [0, 1, 2]
    assert sorted(numbers[[1, 3]]) == [3, 4]


@given(history_lists, st.integers(0, 5))
def test_sequential_numbers_are_a_permutation(lists: list[list[int]], seed: int) -> None:
    numbers = sequential_numbers(Histories.from_lists(lists), 15, seed)
    assert sorted(numbers) == list(range(15))
    order: list[int] = list(dict.fromkeys(item for items in lists for item in items))
    assert np.argsort(numbers)[: len(order)].tolist() == order


def test_held_out_items_do_not_leak() -> None:
    """Numbers over whole sequences would give each new test item the next number; here nothing depends on it."""
    num_users, num_items = 40, 160  # user u takes 4u, 4u+1, 4u+2, 4u+3: the last two are held out
    whole = Histories(np.arange(num_items, dtype=np.int32), np.arange(0, num_items + 1, 4))
    train = leave_one_out(interactions(whole, num_items)).train.histories
    numbers = sequential_numbers(train, num_items)

    held_out = np.flatnonzero(np.arange(num_items) % 4 >= 2)
    seen = np.setdiff1d(np.arange(num_items), held_out)
    assert numbers[seen].tolist() == list(range(2 * num_users))
    assert numbers[held_out].min() == 2 * num_users
    test_items = numbers[3::4]
    assert abs(np.corrcoef(np.arange(num_users), test_items)[0, 1]) < 0.5
    assert not np.array_equal(np.sort(test_items), test_items)


def test_names_count_from_one() -> None:
    assert number_titles(np.array([2, 0])) == ["item 3", "item 1"]


def test_original_numbers_keep_the_order_of_the_ids() -> None:
    assert original_numbers(["10", "9", "007", "123456789012345678"]).tolist() == [2, 1, 0, 3]
    dense = original_numbers([str(number) for number in (3, 1, 2)])
    assert number_titles(dense) == ["item 3", "item 1", "item 2"]


@given(st.lists(st.integers(0, 10**18 - 1), unique=True, max_size=20))
def test_original_numbers_are_a_permutation(ids: list[int]) -> None:
    numbers = original_numbers([str(number) for number in ids])
    assert sorted(numbers) == list(range(len(ids)))
    assert [ids[place] for place in np.argsort(numbers)] == sorted(ids)


@pytest.mark.parametrize("name", ["B00X", "-1", "1.5", "", "１", "1 ", "9" * 19])
def test_ids_that_are_no_whole_numbers_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"{name!r} is not a whole number, and code=original"):
        original_numbers(["1", name])


def test_ids_that_are_the_same_number_are_refused() -> None:
    with pytest.raises(DataError, match="two item ids are the same number"):
        original_numbers(["7", "1", "07"])


def test_original_numbers_of_beauty_leak_as_its_ids_do(shared_data: Callable[[str], Path]) -> None:
    """The item after the highest number so far is the test item of 4.4 % of the users, which is no luck."""
    data = genrec.read(shared_data("amazon2014_beauty"))
    hits = {}
    for code, numbers in {
        "original": original_numbers(data.catalogue.ids),
        "sequential": sequential_numbers(data.train.histories, len(data.catalogue)),
    }.items():
        highest = np.maximum.reduceat(numbers[data.test.histories.items], data.test.histories.offsets[:-1])
        hits[code] = float((numbers[data.test.items] == highest + 1).mean())
    assert hits["original"] > 0.04
    assert hits["sequential"] < 0.005
