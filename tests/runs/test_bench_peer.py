"""The common way and ours with one checkpoint: lists that can be compared score by score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import Normalise
from genrec.decoding.constraint import Constraint
from genrec.runs.bench_peer import CommonWay, SameModel, random_llama

END = 1
CODES = [(2, 3, END), (2, 4, END), (2, 4, 5, 6, END), (3, END), (3, 3, 3, END), (5, 2, 4, END), (6, END)]
HISTORIES = [np.array([2, 3, 1]), np.array([5, 2, 4, 1, 6, 1]), np.array([3, 1])]


@pytest.mark.parametrize("normalise", ["children", "vocabulary"])
def test_both_ways_give_every_item_the_same_score(tmp_path: Path, normalise: Normalise) -> None:
    """With as many beams as items nothing is lost on either side, whatever the order of finishing."""
    codes = Codes.from_lists(CODES)
    model = random_llama(tmp_path, 8, END, layers=1, width=32, inner=64)
    item_BK, score_BK = CommonWay(model, codes).lists(HISTORIES, len(CODES), 12, normalise)
    ours = SameModel(tmp_path, codes, Trie.build(codes), normalise)
    found = ours.search.search(ours.prefix(HISTORIES), Constraint(ours.tensors), len(CODES), 12)
    np.testing.assert_array_equal(found.item_Bk.numpy(), item_BK)
    np.testing.assert_allclose(found.score_Bk.numpy(), score_BK, atol=1e-4)
    assert sorted(item_BK[0]) == list(range(len(CODES)))
