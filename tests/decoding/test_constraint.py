"""The constraint against counting the items one by one."""

from __future__ import annotations

import numpy as np
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
    constraint = Constraint(
        tensors,
        seen=None if seen is None else Histories.from_lists(seen),
        allowed=None if allowed is None else np.array(allowed),
    )

    users = range(1 if seen is None else len(seen))
    expected = [
        sum(
            (node == 0 or node in trie.paths[item])
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
    backwards = constraint.num_allowed(user_E.flip(0), node_E.flip(0))  # edges come in any order
    assert backwards.tolist() == expected[::-1]


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


def test_tensors_know_each_item_s_leaf() -> None:
    trie, tensors = catalogue([(2,), (0,), (1,)])
    assert tensors.leaf_of_item_I.tolist() == [2, 0, 1]
    assert tensors.num_children(torch.arange(trie.num_nodes)).tolist() == [3, 0, 0, 0]
