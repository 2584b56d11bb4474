"""A trie that took new items against one built from scratch."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from genrec.codes.insertion import begins_with, insert, moved_nodes
from genrec.codes.trie import Codes, Trie
from genrec.errors import CatalogueError
from hypothesis import example, given, settings
from hypothesis import strategies as st

Code = tuple[int, ...]

any_codes = st.lists(st.lists(st.integers(0, 2), max_size=5).map(tuple), max_size=12)
closed = st.lists(
    st.lists(st.integers(0, 3), max_size=6).map(lambda code: (*code, 9)), max_size=25, unique=True
)


def assert_same(found: Trie, expected: Trie) -> None:
    assert found.codes is expected.codes
    for field in fields(Trie)[1:]:
        assert getattr(found, field.name).dtype == np.int32
        assert np.array_equal(getattr(found, field.name), getattr(expected, field.name)), field.name


@settings(max_examples=300, deadline=None)
@given(closed.filter(len), st.data())
@example([(1, 2, 9)], None)
def test_equal_to_building_it_again(codes: list[Code], data: st.DataObject | None) -> None:
    num_old = 1 if data is None else data.draw(st.integers(1, len(codes)))
    old = Trie.build(Codes.from_lists(codes[:num_old]))
    every = Codes.from_lists(codes)
    expected = Trie.build(every)
    found, moved = insert(old, every)
    assert_same(found, expected)
    assert np.array_equal(moved, moved_nodes(old, expected))
    assert (moved >= 0).all()  # splitting a tip takes no node away


@given(any_codes.filter(len), any_codes)
def test_refuses_what_building_refuses(old_codes: list[Code], new_codes: list[Code]) -> None:
    try:
        old = Trie.build(Codes.from_lists(old_codes))
    except CatalogueError:
        return
    every = Codes.from_lists([*old_codes, *new_codes])
    try:
        expected = Trie.build(every)
    except CatalogueError:
        with pytest.raises(CatalogueError):
            insert(old, every)
    else:
        assert_same(insert(old, every)[0], expected)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ([(7,), ()], "item 4 has an empty code"),
        ([(1, 2)], "code of item 3 is a prefix of that of item 0"),
        ([(1, 2, 3)], "code of item 0 is a prefix of that of item 3"),
        ([(1, 2, 3, 4)], "code of item 0 is a prefix of that of item 3"),
        ([(7, 8), (7,)], "code of item 4 is a prefix of that of item 3"),
    ],
)
def test_the_error_names_the_items(new: list[Code], message: str) -> None:
    codes: list[Code] = [(1, 2, 3), (1, 2, 4), (0, 5, 6)]
    with pytest.raises(CatalogueError, match=message):
        insert(Trie.build(Codes.from_lists(codes)), Codes.from_lists([*codes, *new]))


def test_a_new_item_splits_a_tip_deep_in_its_tail() -> None:
    codes: list[Code] = [(1, 2, 3, 4, 5), (2, 9)]
    old = Trie.build(Codes.from_lists(codes))
    assert old.num_nodes == 3
    trie, moved = insert(old, Codes.from_lists([*codes, (1, 2, 3, 0)]))
    assert moved.tolist() == [0, 1, 2]
    assert trie.token_N.tolist() == [-1, 1, 2, 2, 3, 0, 4]
    assert trie.paths[0].tolist() == [1, 3, 4, 6, 0]
    assert trie.paths[2].tolist() == [1, 3, 4, 5]


def test_moved_nodes_of_codes_that_changed() -> None:
    old = Trie.build(Codes.from_lists([(1, 2), (1, 3), (4, 4)]))
    new = Trie.build(Codes.from_lists([(1, 2), (5, 3), (4, 4), (4, 5)]))
    # 1 stays (item 0 alone there now), the nodes of its children go; 4 moves up by none, and item 2 gets a deeper one.
    assert moved_nodes(old, new).tolist() == [0, 1, 2, -1, -1]


def test_begins_with() -> None:
    codes = Codes.from_lists([(1, 2), (3,), (4,)])
    assert begins_with(codes, codes)
    assert begins_with(codes, Codes.from_lists([(1, 2), (3,)]))
    assert not begins_with(codes, Codes.from_lists([(1,), (2, 3)]))
    assert not begins_with(codes, Codes.from_lists([(1, 2), (5,)]))
    assert not begins_with(Codes.from_lists([(1, 2)]), codes)
