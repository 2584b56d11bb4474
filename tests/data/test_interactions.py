"""Histories in flat arrays."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.data.interactions import Histories


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_lists_of_any_kind_give_the_same(kind) -> None:
    found = Histories.from_lists([kind([3, 1]), kind([]), kind([2])])
    assert found.items.dtype == np.int32
    assert found.items.tolist() == [3, 1, 2]
    assert found.offsets.tolist() == [0, 2, 2, 3]


def test_no_lists_and_empty_ones() -> None:
    assert Histories.from_lists([]).offsets.tolist() == [0]
    nobody = Histories.from_lists(iter([[], []]))
    assert len(nobody) == 2
    assert nobody.items.dtype == np.int32


def test_only_some_entries() -> None:
    found = Histories.from_lists([[3, 1], [], [2], [5, 4, 6]]).only(np.array([0, 1, 0, 1, 0, 1], bool))
    assert [history.tolist() for history in found] == [[1], [], [], [5, 6]]
