"""The trie against a plain reading of what it should hold."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from genrec.codes.trie import Codes, Trie
from genrec.errors import CatalogueError
from hypothesis import given
from hypothesis import strategies as st

Code = tuple[int, ...]
END = 9  # in no code, so that closing with it keeps codes from beginning each other

bare = st.lists(st.integers(0, 3), max_size=5).map(tuple)
code_lists = st.lists(bare, min_size=1, max_size=30, unique=True).map(
    lambda codes: [(*code, END) for code in codes]
)


def build(codes: list[Code]) -> Trie:
    return Trie.build(Codes.from_lists(codes))


def path(trie: Trie, item: int) -> list[int]:
    return trie.paths[item].tolist()


def tip_depth(codes: list[Code], item: int) -> int:
    """Tokens that single an item out, at least one: where its path ends."""
    others = [code for row, code in enumerate(codes) if row != item]
    return next(
        depth
        for depth in range(1, len(codes[item]) + 1)
        if all(other[:depth] != codes[item][:depth] for other in others)
    )


@given(code_lists)
def test_paths_spell_the_codes_as_far_as_they_single_items_out(codes: list[Code]) -> None:
    trie = build(codes)
    for item, code in enumerate(codes):
        nodes, depth = path(trie, item), tip_depth(codes, item)
        assert tuple(trie.token_N[nodes[:depth]].tolist()) == code[:depth]
        assert trie.parent_N[nodes[:depth]].tolist() == [0, *nodes[: depth - 1]]
        assert nodes[depth:] == [0] * (len(code) - depth)


@given(code_lists)
def test_nodes_are_the_prefixes_level_by_level(codes: list[Code]) -> None:
    trie = build(codes)
    prefixes = {
        code[:length] for item, code in enumerate(codes) for length in range(tip_depth(codes, item) + 1)
    }
    spelled: list[Code] = [()]
    for node in range(1, trie.num_nodes):
        spelled.append((*spelled[trie.parent_N[node]], int(trie.token_N[node])))
    assert spelled == sorted(prefixes, key=lambda prefix: (len(prefix), prefix))
    assert (trie.num_nodes, trie.num_items) == (len(prefixes), len(codes))
    assert [len(spelled[node]) for level in trie.levels for node in range(trie.num_nodes)[level]] == [
        depth for depth, level in enumerate(trie.levels) for _ in range(trie.num_nodes)[level]
    ]


@given(code_lists)
def test_children_stand_side_by_side(codes: list[Code]) -> None:
    trie = build(codes)
    children = [
        list(range(trie.first_child_N1[node], trie.first_child_N1[node + 1]))
        for node in range(trie.num_nodes)
    ]
    assert [child for own in children for child in own] == list(range(1, trie.num_nodes))
    for node, own in enumerate(children):
        assert own == np.flatnonzero(trie.parent_N == node).tolist()
        assert len(own) == trie.num_children_N[node]
        tokens = trie.token_N[own].tolist()
        assert tokens == sorted(set(tokens))


@given(code_lists)
def test_ranges_hold_the_items_below_a_node(codes: list[Code]) -> None:
    trie = build(codes)
    below: dict[int, set[int]] = {0: set(range(len(codes)))}
    for item in range(len(codes)):
        for node in path(trie, item)[: tip_depth(codes, item)]:
            below.setdefault(node, set()).add(item)
    assert sorted(trie.item_of_leaf_I) == list(range(len(codes)))
    for node in range(trie.num_nodes):
        leaves = trie.item_of_leaf_I[trie.first_leaf_N[node] : trie.last_leaf_N[node]]
        assert set(leaves.tolist()) == below[node]
    assert [codes[item] for item in trie.item_of_leaf_I] == sorted(codes)
    assert trie.item_of_leaf_I[trie.leaf_of_item_I].tolist() == list(range(len(codes)))


@given(st.lists(st.lists(st.integers(0, 2), max_size=4).map(tuple), min_size=1, max_size=12))
def test_codes_that_do_not_tell_items_apart_are_refused(codes: list[Code]) -> None:
    clash = any(
        a != b and codes[b][: len(codes[a])] == codes[a] for a in range(len(codes)) for b in range(len(codes))
    )
    if clash or () in codes:
        with pytest.raises(CatalogueError):
            build(codes)
    else:
        assert build(codes).num_items == len(codes)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], "at least one item"),
        ([(1,), ()], "item 1 has an empty code"),
        ([(5,), (1, 2), (1, 2)], "code of item 1 is a prefix of that of item 2"),
        ([(1, 2, 3), (7,), (1, 2)], "code of item 2 is a prefix of that of item 0"),
        ([(1,), (1, 0, 5), (1, 7)], "code of item 0 is a prefix of that of item 1"),
        ([(256,), (256, 1), (1,)], "code of item 0 is a prefix of that of item 1"),
    ],
)
def test_the_error_names_the_items(codes: list[Code], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        build(codes)


def test_large_token_ids_are_sorted_as_numbers() -> None:
    codes = [(300, 1), (2, 70_000), (2, 256), (70_000,), (255, 0)]
    assert build(codes).item_of_leaf_I.tolist() == [2, 1, 4, 0, 3]


def test_one_item() -> None:
    trie = build([(4, 5)])
    assert trie.token_N.tolist() == [-1, 4]
    assert trie.first_child_N1.tolist() == [1, 2, 2]
    assert path(trie, 0) == [1, 0]


def test_endless_codes_cost_what_they_share() -> None:
    """50,000 short codes and two of 3,000 tokens: a table items x longest would be 600 MB."""
    codes: list[Code] = [(0, item) for item in range(50_000)]
    codes[7] = (1,) * 2500 + (2,) * 500
    codes[8] = (1,) * 2500 + (3,) * 500
    trie = build(codes)
    assert trie.num_nodes == 1 + 1 + 49_998 + 2500 + 2
    assert path(trie, 7)[2500:] == [trie.num_nodes - 2, *[0] * 499]
    assert len(trie.paths.items) == sum(map(len, codes))


def test_arrays_are_small() -> None:
    trie = build([(1, 2), (1, 3, 3), (0,)])
    assert {getattr(trie, field.name).dtype for field in fields(Trie) if field.name != "codes"} == {
        np.dtype(np.int32)
    }
