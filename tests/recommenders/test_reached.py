"""Rankings out of sparse scores against those of all scores."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.recommenders.base import Recommender
from genrec.recommenders.itemknn import ItemKNN
from genrec.testing import interactions

NUM_USERS, NUM_ITEMS = 300, 240


@pytest.fixture(scope="module")
def model() -> ItemKNN:
    rng = np.random.default_rng(5)
    # Groups of items that are taken together, so that many scores are equal, and some items that nobody took.
    walks = [(rng.integers(0, 6) * 35 + rng.integers(0, 35, 8)).tolist() for _ in range(NUM_USERS)]
    return ItemKNN(num_neighbours=200, shrink=1.0).fit(interactions(walks, NUM_ITEMS))


@pytest.fixture(scope="module")
def histories() -> Histories:
    rng = np.random.default_rng(6)
    lists = [rng.integers(0, 210, rng.integers(1, 9)).tolist() for _ in range(60)]
    return Histories.from_lists([*lists, [], [NUM_ITEMS - 1], [3, 3, 3]])


@pytest.mark.parametrize("k", [1, 2, 10, NUM_ITEMS])
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("allowed", [None, "few", "of each"])
def test_lists_are_those_of_all_scores(
    model: ItemKNN, histories: Histories, k: int, exclude_seen: bool, allowed: str | None
) -> None:
    rng = np.random.default_rng(7)
    shape = {None: None, "few": NUM_ITEMS, "of each": (len(histories), NUM_ITEMS)}[allowed]
    mask = None if shape is None else rng.random(shape) < 0.2
    options = {"exclude_seen": exclude_seen, "allowed": mask, "exact": False}
    expected = Recommender._rank(model, histories, k, **options)
    found = model._rank(histories, k, **options)
    np.testing.assert_array_equal(found.items_BK, expected.items_BK)
    np.testing.assert_array_equal(found.scores_BK, expected.scores_BK)
    assert found.exact_B.all()


def test_only_histories_that_reach_little_are_scored_as_a_whole(
    model: ItemKNN, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []

    def counted(self: ItemKNN, some: Histories) -> np.ndarray:
        scored.append(len(some))
        return np.zeros((len(some), NUM_ITEMS), np.float32)

    monkeypatch.setattr(ItemKNN, "_score", counted)
    model._rank(histories, 2, exclude_seen=True, allowed=None, exact=False)
    assert scored == [2]  # the empty history, and that of an item that nobody took
