"""The popularity baseline counts."""

from __future__ import annotations

import numpy as np
import polars as pl
from genrec.data.interactions import Histories
from genrec.recommenders.popular import Popular
from genrec.testing import catalogue, interactions


def fitted() -> Popular:
    return Popular().fit(interactions([[2, 1], [2, 1, 2], [3]], catalogue(list("ABCD"), list("abcd"))))


def test_counts_every_interaction_and_orders_ties_by_catalogue() -> None:
    found = fitted().rank(Histories.from_lists([[], [2], [3, 2, 1]]), 4)
    assert found.items_BK.tolist() == [[2, 1, 3, 0], [1, 3, 0, -1], [0, -1, -1, -1]]
    np.testing.assert_array_equal(found.scores_BK[0], [3, 2, 1, 0])


def test_new_items_start_at_zero() -> None:
    model = fitted().add_items(pl.DataFrame({"item_id": ["e", "c"], "title": ["E", "C, restored"]}))
    (ranking,) = model.recommend([[]], k=9)
    assert [(item.title, item.score) for item in ranking.items] == [
        ("C, restored", 3),
        ("B", 2),
        ("D", 1),
        ("A", 0),
        ("E", 0),
    ]
