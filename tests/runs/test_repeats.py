"""Lists of what was taken before, for many users at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.recommenders.base import create
from genrec.recommenders.itemknn import ItemKNN
from genrec.runs.repeats import rank_repeats
from genrec.testing import ring

HISTORIES = Histories.from_lists([[3, 4, 5, 4], [], [7], [9, 10, 11, 12, 13], [2, 1]])


@pytest.mark.parametrize("allowed", [None, np.arange(24) % 2 == 0])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_each_list_is_that_of_the_user_alone(allowed: Any, batch_size: int | None) -> None:
    model = create("itemknn", **ItemKNN.tiny).fit(ring())
    options: dict[str, Any] = {"repeat": "only", "allowed": allowed, "batch_size": batch_size}
    found = rank_repeats(model, HISTORIES, 3, **options)
    for row, history in enumerate(HISTORIES):
        own = np.isin(np.arange(24), history) & (True if allowed is None else allowed)
        alone = model.rank(HISTORIES.take(np.array([row])), 3, exclude_seen=False, allowed=own)
        np.testing.assert_array_equal(found.items_BK[row], alone.items_BK[0])
        assert set(found.items_BK[row][found.items_BK[row] >= 0]) <= set(history)


def test_users_are_ranked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    rank = ItemKNN._rank

    def counted(self: ItemKNN, histories: Histories, *args: Any, **options: Any) -> Any:
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    model = create("itemknn", **ItemKNN.tiny).fit(ring())
    monkeypatch.setattr(ItemKNN, "_rank", counted)
    rank_repeats(model, HISTORIES, 3, repeat="only", allowed=None)
    rank_repeats(model, HISTORIES, 3, repeat="only", allowed=None, batch_size=2)
    assert asked == [5, 2, 2, 1]
