"""Nearness over a few steps of the co-consumption graph, on graphs that can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.data.read import read
from genrec.errors import ConfigError
from genrec.recommenders.palr.affinity import affinity, enrichment
from genrec.testing import interactions

CHAIN = interactions([[row, row + 1] for row in range(5)], 7)  # 0-1-2-3-4-5, and 6 that nobody took


@pytest.mark.parametrize(
    ("hops", "from_the_end", "from_the_middle"),
    [
        (1, [1], {2, 4}),
        (2, [1, 2], {2, 4, 1, 5}),
        (3, [1, 2, 3], {2, 4, 1, 5, 0}),
        (9, [1, 2, 3, 4, 5], {0, 1, 2, 4, 5}),
    ],
)
def test_items_are_reached_in_so_many_steps(
    hops: int, from_the_end: list[int], from_the_middle: set[int]
) -> None:
    found = affinity(CHAIN, hops, 6)
    assert found.shape == (7, 6)
    assert found.dtype == np.int32
    assert found[0].tolist() == from_the_end + [-1] * (6 - len(from_the_end))
    assert set(found[3].tolist()) - {-1} == from_the_middle
    assert set(found[3, :2].tolist()) == {2, 4}  # one step comes before two
    assert (found[6] == -1).all()


def test_strong_pairs_and_many_paths_are_nearer() -> None:
    train = interactions([[0, 1]] * 3 + [[0, 2]] + [[1, 3]] * 2 + [[2, 3], [1, 4]], 5)
    assert affinity(train)[0].tolist()[:4] == [1, 2, 3, 4]  # 3 over both 1 and 2, 4 over 1 alone


def test_no_more_than_asked_for_and_the_nearest_of_them() -> None:
    train = interactions([[0, other] for other in range(1, 6) for _ in range(other)], 6)
    assert affinity(train, num_nearest=3)[0].tolist() == [5, 4, 3]
    for options in ({"hops": 0}, {"num_nearest": 0}):
        with pytest.raises(ConfigError, match="both need at least 1"):
            affinity(CHAIN, **options)


def test_short_lists_are_lengthened_with_what_is_nearest_to_their_last_items() -> None:
    near = np.array([[1, 2, 3], [4, 0, 5], [-1, -1, -1], [5, 1, 6], [-1] * 3, [-1] * 3, [-1] * 3], np.int32)
    lists = Histories.from_lists([[0, 1], [1, 2, 3, 0], [2], [], [0, 3], [6]])
    found = enrichment(lists, near, 4)
    assert [items.tolist() for items in found] == [[4, 2], [], [], [], [5, 1], []]
    assert enrichment(lists, near, 9)[0].tolist() == [4, 2, 5, 3]  # first of 1 (0 has 1), then second, third
    assert len(enrichment(Histories.from_lists([]), near, 4)) == 0


def test_real_films_find_company(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("ml-100k"))
    found = affinity(data.train)
    assert (found >= 0).mean() > 0.99
    assert not (found == np.arange(len(found))[:, None]).any()
    titles = data.catalogue.titles
    near = {titles[row] for row in found[data.catalogue.resolve("Star Wars (1977)")][:5]}
    assert {"Return of the Jedi (1983)", "Empire Strikes Back, The (1980)"} & near
    short = data.train.histories.take(np.flatnonzero(data.train.histories.lengths < 20))
    added = enrichment(short, found, 20)
    assert (added.lengths + short.lengths == 20).all()
