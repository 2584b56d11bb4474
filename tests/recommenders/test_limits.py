"""At most so many items of one value: the head of the ranking that keeps to it, however deep that goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import IntArray
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.limits import Limits
from hypothesis import given
from hypothesis import strategies as st

NUM_ITEMS = 30
_VALUES = st.lists(
    st.none() | st.lists(st.sampled_from("abc"), max_size=3), min_size=NUM_ITEMS, max_size=NUM_ITEMS
)


def catalogue(**fields: Any) -> Catalogue:
    count = len(next(iter(fields.values())))
    names = [f"i{row}" for row in range(count)]
    return Catalogue(pl.DataFrame({"item_id": names, "title": names, **fields}))


def ranked(order: IntArray) -> Any:
    """The same ranking for everybody; the depths that were asked for are kept in `depths`."""

    def rank(rows: IntArray, depth: int) -> Rankings:
        rank.depths.append(depth)
        scores_D = -np.arange(len(order), dtype=np.float32)
        items_BD, scores_BD = (np.tile(one, (len(rows), 1))[:, :depth] for one in (order, scores_D))
        return Rankings(items_BD.astype(np.int32), scores_BD, np.ones(len(rows), bool))

    rank.depths = []
    return rank


@given(
    genres=_VALUES,
    brands=st.lists(st.none() | st.sampled_from([1.5, 2.0]), min_size=NUM_ITEMS, max_size=NUM_ITEMS),
    most=st.tuples(st.integers(1, 4), st.integers(1, 8)),
    k=st.integers(1, NUM_ITEMS),
    order=st.permutations(range(NUM_ITEMS)),
)
def test_a_list_is_what_going_through_the_whole_ranking_gives(genres, brands, most, k, order) -> None:
    items = catalogue(genres=pl.Series(genres, dtype=pl.List(pl.String)), price=brands)
    limits = Limits.of(dict(zip(("Genres", "price"), most, strict=True)), items)
    expected: list[int] = []
    for item in order:
        others = [[(set(genres[other] or ())) for other in expected], [brands[other] for other in expected]]
        full = any(sum(value in own for own in others[0]) >= most[0] for value in set(genres[item] or ()))
        if not full and (brands[item] is None or others[1].count(brands[item]) < most[1]):
            expected.append(item)
    found = limits.best(ranked(np.array(order)), np.arange(2), k)
    assert found.items_BK.tolist() == 2 * [(expected + [-1] * k)[:k]]
    places = [order.index(item) for item in expected[:k]]
    assert found.scores_BK[1, : len(places)].tolist() == [-place for place in places]
    assert np.isneginf(found.scores_BK[:, len(places) :]).all()


def test_no_more_is_looked_at_than_lists_need() -> None:
    items = catalogue(brand=["Pike"] * 60 + ["Rill"] * 40)
    rank = ranked(np.arange(100))
    found = Limits.of({"brand": 2}, items).best(rank, np.arange(1), 3)
    assert found.items_BK.tolist() == [[0, 1, 60]]
    assert rank.depths == [12, 48, 100]
    rank.depths.clear()
    Limits.of({"brand": 3}, items).best(rank, np.arange(1), 3)
    assert rank.depths == [12]


def test_what_ends_is_not_asked_again() -> None:
    def rank(rows: IntArray, depth: int) -> Rankings:
        assert depth == 8  # the first look
        items_BD = np.tile(np.array([4, -1, 3, -1, -1, -1, -1, -1], np.int32), (len(rows), 1))
        scores_BD = np.where(np.arange(8) < 4, -np.arange(8), -np.inf).astype(np.float32)  # a name of no item
        return Rankings(items_BD, np.tile(scores_BD, (len(rows), 1)), np.zeros(len(rows), bool))

    found = Limits.of({"brand": 1}, catalogue(brand=["Pike"] * 50)).best(rank, np.arange(1), 2)
    assert found.items_BK.tolist() == [[4, -1]]
    assert found.exact_B.tolist() == [False]


@pytest.mark.parametrize(
    ("max_per", "told"),
    [
        ({"brand": 0}, "max_per of brand is 0"),
        ({"brand": True}, "max_per of brand is True"),
        ({"colour": 2}, "no field 'colour'; they have item_id, title, brand"),
        ("brand=2", r"as in \{\"brand\": 2\}"),
    ],
)
def test_what_is_no_limit_is_refused(max_per: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Limits.of(max_per, catalogue(brand=["Pike"]))
