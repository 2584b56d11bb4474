"""Numbers: permutations that know the training part only."""

from __future__ import annotations

import numpy as np
from genrec.codes.numbered import number_titles, random_numbers, sequential_numbers
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.split import leave_one_out
from hypothesis import given
from hypothesis import strategies as st
from polars import Series

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
    catalogue = Catalogue.from_lists([str(item) for item in range(num_items)], ["x"] * num_items)
    users = Series([str(user) for user in range(num_users)])
    train = leave_one_out(Interactions(catalogue, users, whole)).train.histories
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
