"""The constraint against counting the items one by one."""

from __future__ import annotations

from unittest.mock import patch

import genrec.decoding.constraint as constraint_module
import numpy as np
import pytest
import torch
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories
from genrec.decoding.constraint import Constraint, TrieTensors
from hypothesis import given, settings
from hypothesis import strategies as st

code_lists = st.lists(
    st.lists(st.integers(0, 2), max_size=4).map(lambda code: (*code, 9)), min_size=1, max_size=20, unique=True
)


def catalogue(codes: list[tuple[int, ...]]) -> tuple[Trie, TrieTensors]:
    trie = Trie.build(Codes.from_lists(codes))
    return trie, TrieTensors.of(trie, "cpu")


@settings(deadline=None)
@given(st.data())
def test_counts_what_is_neither_seen_nor_forbidden(data: st.DataObject) -> None:
    codes = data.draw(code_lists)
    items = st.integers(0, len(codes) - 1)
    seen = data.draw(st.none() | st.lists(st.lists(items, max_size=12), min_size=1, max_size=4))  # may repeat
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=len(codes), max_size=len(codes)))
    trie, tensors = catalogue(codes)
    # Masks become lists or tables by their size; small catalogues must see both.
    with patch.object(constraint_module, "_SHORT", data.draw(st.sampled_from([1, 64]))):
        constraint = Constraint(
            tensors,
            seen=None if seen is None else Histories.from_lists(seen),
            allowed=None if allowed is None else np.array(allowed),
        )

    paths = [[node for node in path.tolist() if node] for path in trie.paths]
    users = range(1 if seen is None else len(seen))
    expected = [
        sum(
            (node == 0 or node in paths[item])
            and (seen is None or item not in seen[user])
            and (allowed is None or allowed[item])
            for item in range(len(codes))
        )
        for user in users
        for node in range(trie.num_nodes)
    ]
    user_E = torch.tensor([user for user in users for _ in range(trie.num_nodes)])
    node_E = torch.arange(trie.num_nodes).repeat(len(users))
    assert constraint.num_allowed(user_E, node_E).tolist() == expected
    assert constraint.allows(user_E, node_E).tolist() == [count > 0 for count in expected]
    backwards = constraint.num_allowed(user_E.flip(0), node_E.flip(0))  # edges come in any order
    assert backwards.tolist() == expected[::-1]


@settings(deadline=None)
@given(st.data())
def test_counts_what_is_offered(data: st.DataObject) -> None:
    codes = data.draw(code_lists)
    items = st.integers(0, len(codes) - 1)
    offered = data.draw(st.lists(st.lists(items, max_size=12), min_size=1, max_size=4))  # may repeat
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=len(codes), max_size=len(codes)))
    trie, tensors = catalogue(codes)
    with patch.object(constraint_module, "_SHORT", data.draw(st.sampled_from([1, 64]))):
        mask = Constraint(tensors, allowed=None if allowed is None else np.array(allowed))
    constraint = mask.hiding(Histories.from_lists([[0]])).offering(Histories.from_lists(offered))
    assert not constraint.is_open
    paths = [[node for node in path.tolist() if node] for path in trie.paths]
    expected = [
        sum((node == 0 or node in paths[item]) and (allowed is None or allowed[item]) for item in set(mine))
        for mine in offered
        for node in range(trie.num_nodes)
    ]
    user_E = torch.tensor([user for user in range(len(offered)) for _ in range(trie.num_nodes)])
    node_E = torch.arange(trie.num_nodes).repeat(len(offered))
    assert constraint.num_allowed(user_E, node_E).tolist() == expected
    assert constraint.allows(user_E, node_E).tolist() == [count > 0 for count in expected]


def test_no_filters_count_everything() -> None:
    _, tensors = catalogue([(0, 9), (1, 0, 9), (1, 1, 9)])
    nobody = Constraint(tensors, seen=Histories.from_lists([[], []]))
    assert nobody.num_allowed(torch.tensor([0, 1]), torch.tensor([0, 2])).tolist() == [3, 2]


def test_a_mask_that_cannot_be_written_to() -> None:
    _, tensors = catalogue([(0,), (1,)])
    allowed = np.array([False, True])
    allowed.flags.writeable = False
    constraint = Constraint(tensors, allowed=allowed)
    assert constraint.num_allowed(torch.tensor([0]), torch.tensor([0])).tolist() == [1]


def test_hiding_keeps_the_mask() -> None:
    _, tensors = catalogue([(0, 9), (1, 0, 9), (1, 1, 9)])
    masked = Constraint(tensors, allowed=np.array([True, True, False]))
    other = masked.hiding(Histories.from_lists([[1], [0, 2, 2]]))
    user_E, node_E = torch.tensor([0, 1, 0]), torch.tensor([0, 0, 2])
    assert other.num_allowed(user_E, node_E).tolist() == [1, 1, 0]
    assert masked.num_allowed(user_E, node_E).tolist() == [2, 2, 1]
    assert other.hiding(None).num_allowed(user_E, node_E).tolist() == [2, 2, 1]
    assert not masked.is_open
    assert Constraint(tensors).is_open
    assert not Constraint(tensors).hiding(Histories.from_lists([[1]])).is_open


@pytest.mark.parametrize("num_items", [8, 200, 1003])
@pytest.mark.parametrize("num_allowed", [0, 1, 3, 100, -3, -1])
def test_masks_of_every_density(num_items: int, num_allowed: int) -> None:
    """A few allowed, half, all but a few; catalogues that are and are not a multiple of eight."""
    rng = np.random.default_rng(num_items)
    codes = [(int(number) % 7, int(number)) for number in rng.permutation(num_items)]
    trie, tensors = catalogue(codes)
    allowed = np.full(num_items, num_allowed < 0)
    allowed[rng.permutation(num_items)[: min(abs(num_allowed), num_items)]] = num_allowed > 0
    every_other = np.repeat(allowed, 2)[::2]  # memory need not be in one piece
    node_E = torch.arange(trie.num_nodes)
    expected = [
        int(allowed[trie.item_of_leaf_I[first:last]].sum())
        for first, last in zip(trie.first_leaf_N, trie.last_leaf_N, strict=True)
    ]
    for mask in (allowed, every_other):
        constraint = Constraint(tensors, allowed=mask)
        assert constraint.num_allowed(torch.zeros_like(node_E), node_E).tolist() == expected
        assert constraint.allows(torch.zeros_like(node_E), node_E).tolist() == [n > 0 for n in expected]


def test_tensors_share_the_memory_of_the_trie() -> None:
    trie, tensors = catalogue([(2, 4, 5), (0, 6), (1,)])
    assert tensors.leaf_of_item_I.tolist() == [2, 0, 1]
    assert tensors.num_children(torch.arange(trie.num_nodes)).tolist() == [3, 0, 0, 0]
    assert tensors.code_token[tensors.code_start_I1[0] : tensors.code_start_I1[1]].tolist() == [2, 4, 5]
    for tensor, array in (
        (tensors.token_N, trie.token_N),
        (tensors.first_child_N1, trie.first_child_N1),
        (tensors.first_leaf_N, trie.first_leaf_N),
        (tensors.code_token, trie.codes.items),
    ):
        assert np.shares_memory(tensor.numpy(), array)


@settings(deadline=None)
@given(code_lists, st.data())
def test_edges_and_the_best_of_them(codes: list[tuple[int, ...]], data: st.DataObject) -> None:
    trie, tensors = catalogue(codes)
    num_users = data.draw(st.integers(1, 4))
    beams = data.draw(
        st.lists(
            st.tuples(st.integers(0, num_users - 1), st.integers(0, trie.num_nodes - 1)),
            min_size=1,
            max_size=9,
        ).map(sorted)
    )
    edges = tensors.edges(*torch.tensor(beams).T.contiguous(), num_users)
    expected = [
        (beam, child)
        for beam, (_, node) in enumerate(beams)
        for child in range(trie.first_child_N1[node], trie.first_child_N1[node + 1])
    ]
    assert list(zip(edges.beam_E.tolist(), edges.child_E.tolist(), strict=True)) == expected
    users = [beams[beam][0] for beam, _ in expected]
    assert edges.offset_B1.tolist() == [sum(user < of for user in users) for of in range(num_users + 1)]

    scores = data.draw(st.permutations(range(len(expected))))
    score_E = torch.tensor(scores, dtype=torch.float32).masked_fill(
        torch.tensor(scores, dtype=torch.int) % 3 == 0, -torch.inf
    )
    k = data.draw(st.integers(1, 6))
    score_Bk, edge_Bk = edges.best(score_E, k)
    for user in range(num_users):
        own = [
            (score, edge)
            for edge, score in enumerate(score_E.tolist())
            if users[edge] == user and score > -torch.inf
        ]
        found = [
            (score, edge)
            for score, edge in zip(score_Bk[user].tolist(), edge_Bk[user].tolist(), strict=True)
            if score > -torch.inf
        ]
        assert found == sorted(own, reverse=True)[:k]


def test_no_edges() -> None:
    _, tensors = catalogue([(2,), (0,)])
    edges = tensors.edges(torch.tensor([0, 1]), torch.tensor([1, 2]), 2)
    assert edges.most == len(edges.child_E) == 0
    score_Bk, edge_Bk = edges.best(torch.zeros(0), 3)
    assert score_Bk.shape == edge_Bk.shape == (2, 0)


@settings(deadline=None)
@given(code_lists)
def test_forced_tokens_lead_to_the_next_choice(codes: list[tuple[int, ...]]) -> None:
    trie, tensors = catalogue(codes)
    for node, found in enumerate(tensors.last_forced_N.tolist()):
        while trie.num_children_N[node] == 1:
            node = int(trie.first_child_N1[node])
        assert found == node
