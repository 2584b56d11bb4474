"""Codes of a catalogue that changed against those that a model was trained with."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

import numpy as np
import pytest
from genrec.codes.growth import TrainedCodes
from genrec.codes.title import title_codes
from genrec.codes.trie import Trie
from hypothesis import given, settings
from hypothesis import strategies as st

END = [1, 2]
names = st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=9)
ways = st.sampled_from([("shortest", False), ("shortest", True), ("full", True)])
Length = Literal["full", "shortest"]


def encode(texts: list[str]) -> list[list[int]]:
    return [[10 + ord(letter) for letter in text] for text in texts]


def trained(titles: list[str], length: Length, always_close: bool) -> TrainedCodes:
    codes = title_codes(titles, encode, END, length, always_close=always_close)
    return TrainedCodes(Trie.build(codes), titles, encode, END, length, always_close)


def written(trie: Trie, row: int) -> str:
    return "".join("" if token == 1 else "." if token == 2 else chr(token - 10) for token in trie.codes[row])


def nodes(trie: Trie, row: int) -> list[int]:
    path = trie.paths[row]
    return path[path > 0].tolist()


def assert_same(found: Trie, expected: Trie) -> None:
    assert [code.tolist() for code in found.codes] == [code.tolist() for code in expected.codes]
    for field in fields(Trie)[1:]:
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


@settings(max_examples=150)
@given(names, names, st.data(), ways)
def test_what_was_learnt_stays_with_its_item(
    then: list[str], pool: list[str], data: st.DataObject, way: tuple[Length, bool]
) -> None:
    known = trained(then, *way)
    today = [data.draw(st.sampled_from([name, name, *pool])) for name in then]
    new = data.draw(st.lists(st.sampled_from(pool), max_size=4))
    trie, moved = known.grown([*today, *new])
    kept = moved[moved >= 0]
    assert len(set(kept.tolist())) == len(kept)  # no two vectors at one node
    for row, (now, before) in enumerate(zip(today, then, strict=True)):
        old, path = nodes(known.trie, row), nodes(trie, row)
        if now == before:
            assert moved[old].tolist() == path[: len(old)]
            assert trie.codes[row][: len(old)].tolist() == known.trie.codes[row][: len(old)].tolist()
        else:  # the node that was its own is at the end of its new way, or has become one that it shares
            assert moved[old[-1]] in path
            assert moved[old[-1]] == path[-1] or moved[old].tolist() == path[: len(old)]
    assert_same(known.grown([*today, *new])[0], trie)


@given(names, ways)
def test_the_names_of_the_training_give_back_all(then: list[str], way: tuple[Length, bool]) -> None:
    known = trained(then, *way)
    trie, moved = known.grown(then)
    assert_same(trie, known.trie)
    assert moved.tolist() == list(range(trie.num_nodes))


@given(names, names, ways)
def test_new_items_alone_take_no_node_away(then: list[str], new: list[str], way: tuple[Length, bool]) -> None:
    known = trained(then, *way)
    trie, moved = known.grown([*then, *new])
    assert_same(trie, Trie.build(trie.codes))
    assert (moved >= 0).all()


@pytest.mark.parametrize(
    ("then", "codes", "today", "expected"),
    [
        # Others that are called otherwise leave a code as it was, though less would do now.
        (["abac", "abb", "aba"], ["abac", "abb", "aba."], ["zzz", "zab", "aba"], ["zz", "za", "aba."]),
        # A running number stays when the first of that name changes it, and a new item can have the plain name.
        (["x", "x", "y"], ["x.", "x ", "y"], ["q", "x", "y", "x"], ["q", "x ", "y", "x."]),
        # A changed name is numbered behind the items that had it in training, and before new ones.
        (["x", "y", "z"], ["x", "y", "z"], ["y", "y", "z", "y"], ["y (2", "y.", "z", "y (3"]),
        # A name that is the beginning of the old code is closed, so that it has a node of its own.
        (["ab", "ac", "q"], ["ab", "ac", "q"], ["a", "zz", "q"], ["a.", "z", "q"]),
        # A new neighbour makes a code longer; its nodes stay.
        (["abcd", "q"], ["a", "q"], ["abcd", "q", "abx"], ["abc", "q", "abx"]),
    ],
)
def test_shortest_codes_change_as_little_as_they_can(
    then: list[str], codes: list[str], today: list[str], expected: list[str]
) -> None:
    known = trained(then, "shortest", False)
    assert [written(known.trie, row) for row in range(len(then))] == codes
    trie, _ = known.grown(today)
    assert [written(trie, row) for row in range(len(today))] == expected
