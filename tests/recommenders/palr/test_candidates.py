"""What a retriever may propose, and lists of targets among negatives, on data small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.flat import Draw
from genrec.data.interactions import Histories, Interactions
from genrec.data.ranking import Rankings
from genrec.data.read import read
from genrec.errors import ConfigError, DataError, NotFittedError
from genrec.recommenders.base import create
from genrec.recommenders.itemknn import ItemKNN
from genrec.recommenders.palr.candidates import CandidateLists, ceiling, retrieve
from genrec.recommenders.popular import Popular
from genrec.testing import toys
from hypothesis import given, settings
from hypothesis import strategies as st

NUM_ITEMS = 12
GENRES = [["Drama"], ["Drama", "War"], ["War"], ["Comedy"], ["Comedy"], [], None, *([["All"]] * 5)]


def interactions(walks: list[list[int]], order: np.ndarray | None = None) -> Interactions:
    """Items i0 to i11 in `order`; the walks count rows of the catalogue."""
    order = np.arange(NUM_ITEMS) if order is None else order
    ids, genres = [f"i{number}" for number in order], [GENRES[number] for number in order]
    return toys.interactions(walks, toys.catalogue([f"Film {name}" for name in ids], ids, genres=genres))


class Short(Popular):
    """Returns two items, however many are asked for."""

    def _rank(self, histories: Histories, k: int, **options: object) -> Rankings:
        found = super()._rank(histories, k, **options)
        found.items_BK[:, 2:] = -1
        return found


class Strange(Popular):
    """Returns a row behind the catalogue."""

    def _rank(self, histories: Histories, k: int, **options: object) -> Rankings:
        found = super()._rank(histories, k, **options)
        found.items_BK[:, 0] = NUM_ITEMS
        return found


# -- retrieve -------------------------------------------------------------------------------------------------


def test_candidates_are_the_retrievers_list() -> None:
    train = interactions([[0, 1, 2], [0, 1], [0, 3]])
    model, histories = ItemKNN().fit(train), Histories.from_lists([[0], [], [3, 1]])
    for exclude_seen in (True, False):
        found = retrieve(model, histories, 5, exclude_seen=exclude_seen, catalogue=train.catalogue)
        expected = model.rank(histories, 5, exclude_seen=exclude_seen)
        np.testing.assert_array_equal(found.items_BK, expected.items_BK)
        np.testing.assert_array_equal(found.scores_BK, expected.scores_BK)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_catalogue_in_another_order_is_matched_by_ids(exclude_seen: bool) -> None:
    walks = [
        [0, 1, 2],
        [0, 1],
        [0, 3],
        [9, 3],
        *([row] for row in range(NUM_ITEMS) for _ in range(row)),
    ]  # no ties
    order = np.random.default_rng(3).permutation(NUM_ITEMS)  # the retriever's row r is our row order[r]
    theirs = np.argsort(order)
    train = interactions(walks)
    retriever = ItemKNN().fit(interactions([theirs[walk].tolist() for walk in walks], order))
    assert retriever.catalogue.ids != train.catalogue.ids
    allowed = np.arange(NUM_ITEMS) % 4 != 1
    histories = Histories.from_lists([[0], [3, 2]])
    found = retrieve(
        retriever, histories, 2, exclude_seen=exclude_seen, catalogue=train.catalogue, allowed=allowed
    )
    expected = ItemKNN().fit(train).rank(histories, 2, exclude_seen=exclude_seen, allowed=allowed)
    np.testing.assert_array_equal(found.items_BK, expected.items_BK)
    np.testing.assert_allclose(found.scores_BK, expected.scores_BK)


def test_a_retriever_of_other_items_is_refused() -> None:
    train = interactions([[0, 1]])
    catalogue = train.catalogue.with_items(pl.DataFrame({"item_id": ["new"], "title": ["New"]}))
    retriever = Popular().fit(train)
    with pytest.raises(
        ConfigError, match=r"popular was fitted on another catalogue: 0 of its 12 .* 1 of .*'new'"
    ):
        retrieve(retriever, Histories.from_lists([[0]]), 3, catalogue=catalogue)
    retriever.add_items(pl.DataFrame({"item_id": ["new", "newer"], "title": ["New", "Newer"]}))
    with pytest.raises(
        ConfigError, match=r"1 of its 14 items .* it lacks \(it knows 'newer'\): fit it on the same"
    ):
        retrieve(retriever, Histories.from_lists([[0]]), 3, catalogue=catalogue)


def test_fewer_candidates_than_there_are_items_is_an_error() -> None:
    train = interactions([[0, 1]])
    histories = Histories.from_lists([list(range(2, NUM_ITEMS)), [0, 1]])
    with pytest.raises(
        ConfigError, match=r"returns 2 candidates for history 1, though 3 .* 10 items may be .*\(1 such"
    ):
        retrieve(Short().fit(train), histories, 3)
    assert retrieve(Short().fit(train), histories, 2).items_BK.shape == (2, 2)
    allowed = np.isin(np.arange(NUM_ITEMS), [0, 5])
    assert retrieve(Short().fit(train), histories, 9, allowed=allowed).items_BK[1].tolist() == [5, *[-1] * 8]


def test_all_that_is_left_is_enough() -> None:
    model = Popular().fit(interactions([[0, 1]])).remove_items(["i7"])
    found = retrieve(model, Histories.from_lists([[0, 7, 0], []]), 50)
    assert (found.items_BK >= 0).sum(axis=1).tolist() == [NUM_ITEMS - 2, NUM_ITEMS - 1]
    assert retrieve(model, Histories.from_lists([]), 50).items_BK.shape == (0, NUM_ITEMS)


def test_rows_that_are_no_items_and_unfitted_retrievers_are_errors() -> None:
    train = interactions([[0, 1]])
    with pytest.raises(ConfigError, match="proposes row 12 of a catalogue of 12 items"):
        retrieve(Strange().fit(train), Histories.from_lists([[0]]), 3)
    with pytest.raises(NotFittedError, match="popular"):
        retrieve(Popular(), Histories.from_lists([[0]]), 3, catalogue=train.catalogue)
    with pytest.raises(ConfigError, match="k is 0"):
        retrieve(Popular().fit(train), Histories.from_lists([[0]]), 0)


def test_the_ceiling_is_the_share_of_targets_among_the_candidates() -> None:
    items_BK = np.array([[1, 2], [3, -1], [4, 5], [-1, -1]], np.int32)
    rankings = Rankings(items_BK, np.zeros((4, 2), np.float32), np.ones(4, bool))
    assert ceiling(rankings, np.array([2, 4, 4, 0])) == 0.5
    with pytest.raises(DataError, match="4 candidate lists and 2 targets"):
        ceiling(rankings, np.array([2, 4]))
    with pytest.raises(DataError, match="0 candidate lists"):
        ceiling(rankings.take(np.arange(0)), np.array([], np.int32))


# -- lists to learn from --------------------------------------------------------------------------------------

lists = st.lists(st.integers(0, NUM_ITEMS - 1), max_size=7)


@settings(max_examples=80, deadline=None)
@given(
    walks=st.lists(lists, min_size=1, max_size=6),
    examples=st.lists(st.tuples(lists, st.lists(st.integers(0, NUM_ITEMS - 1), max_size=4)), max_size=5),
    seed=st.integers(0, 99),
    retrieved=st.booleans(),
)
def test_lists_hold_all_targets_and_nothing_else_of_the_history(
    walks: list[list[int]], examples: list[tuple[list[int], list[int]]], seed: int, retrieved: bool
) -> None:
    histories = Histories.from_lists([history for history, _ in examples])
    targets = Histories.from_lists([target for _, target in examples])
    train = interactions(walks)
    rankings = Popular().fit(train).rank(histories, 4) if retrieved else None
    found = CandidateLists(train, 8).draw(histories, targets, np.random.default_rng(seed), rankings=rankings)
    assert found.shape == (len(examples), 8)
    assert found.dtype == np.int32
    for items_N, (history, wanted) in zip(found.tolist(), examples, strict=True):
        drawn = [item for item in items_N if item >= 0]
        assert len(set(drawn)) == len(drawn) == min(8, NUM_ITEMS - len(set(history) - set(wanted)))
        assert drawn == items_N[: len(drawn)]
        assert set(wanted) <= set(drawn)
        assert not (set(drawn) - set(wanted)) & set(history)


def drawn(
    train: Interactions, history: list[int], target: list[int], times: int, num: int, **given: object
) -> np.ndarray:
    """How often each item stands in `times` lists of `num` candidates; (num_items,)."""
    lists_BN = CandidateLists(train, num).draw(
        Histories.from_lists([history] * times),
        Histories.from_lists([target] * times),
        np.random.default_rng(0),
        **given,
    )
    return np.bincount(lists_BN.ravel(), minlength=train.num_items)


def test_negatives_share_a_genre_or_a_user_with_target_or_history() -> None:
    train = interactions([[3, 8], [0, 9]])  # 8 was taken with 3, 9 with 0
    counts = drawn(train, [0], [3], 400, 3)
    assert counts[3] == 400
    assert set(np.flatnonzero(counts)) == {1, 3, 4, 8, 9}  # 1 shares the genre of 0, 4 that of 3
    assert counts[[1, 4, 8, 9]].min() > 60


def test_negatives_are_like_the_history_too_so_the_target_is_not_their_centre() -> None:
    train = interactions([[3, 8], [0, 9], [1, 9]])
    counts = drawn(train, [1], [3], 2000, 2)
    like_target, like_history = counts[[4, 8]].sum(), counts[[0, 2, 9]].sum()
    assert like_target + like_history == 2000
    assert 0.4 < like_target / 2000 < 0.6


def test_rare_values_and_popular_items_are_drawn_more() -> None:
    genres = [["Common", "Rare"], ["Rare"], *([["Common"]] * 10), *([[]] * 8)]
    train = toys.interactions([[2]] * 9, toys.catalogue(20, genres=genres))
    counts = drawn(train, [], [0], 3000, 2)
    # The rare value is drawn log(10) : log(20 / 11) = 79 : 21; half of its draws and a 20th of the others hit 0 itself.
    assert counts[1] / 3000 == pytest.approx(0.666, abs=0.03)
    assert 5 * counts[3] < counts[2]  # ten times the weight of an item that nobody took


def test_the_head_of_a_ranking_comes_first_and_takes_turns() -> None:
    train = interactions([[3, 8], [0, 9]])
    rankings = Rankings(np.tile([7, 11, 10], (50, 1)), np.zeros((50, 3), np.float32), np.ones(50, bool))
    counts = drawn(train, [0], [3], 50, 4, rankings=rankings)
    assert drawn(train, [0], [3], 50, 2, rankings=rankings)[[3, 7]].tolist() == [50, 50]
    assert counts[7] == 50
    assert counts[[11, 10]].sum() < 50  # two others stand between 7 and 11
    assert counts[[1, 4, 8, 9]].sum() >= 50


def test_places_tell_nothing_and_the_same_chance_gives_the_same_lists() -> None:
    train = interactions([[row, row + 1] for row in range(NUM_ITEMS - 1)])
    maker = CandidateLists(train, 5)
    histories, targets = Histories.from_lists([[0]] * 5000), Histories.from_lists([[6]] * 5000)
    found = maker.draw(histories, targets, np.random.default_rng(1))
    share_N = (found == 6).mean(axis=0)
    np.testing.assert_allclose(share_N, 0.2, atol=0.03)
    np.testing.assert_array_equal(found, maker.draw(histories, targets, np.random.default_rng(1)))
    assert (found != maker.draw(histories, targets, np.random.default_rng(2))).any()


def test_lists_need_room_and_as_many_targets_as_histories() -> None:
    train, rng = interactions([[0, 1]]), np.random.default_rng(0)
    one = Histories.from_lists([[0]])
    with pytest.raises(ConfigError, match="num_candidates is 0"):
        CandidateLists(train, 0)
    with pytest.raises(ConfigError, match="has 3 targets and a list 2 places"):
        CandidateLists(train, 2).draw(one, Histories.from_lists([[1, 2, 3]]), rng)
    with pytest.raises(ConfigError, match="1 histories need as many"):
        CandidateLists(train, 2).draw(one, Histories.from_lists([[1], [2]]), rng)
    two = Popular().fit(train).rank(Histories.from_lists([[0], [1]]), 2)
    with pytest.raises(ConfigError, match="as many rankings"):
        CandidateLists(train, 2).draw(one, one, rng, rankings=two)


def test_draws_follow_the_weights_of_their_row() -> None:
    weights = np.array([[0, 1, 3, 0], [0, 0, 0, 0], [0, 0, 0, 2]], float)
    rows = np.repeat([[0], [1], [2], [-1]], 4000, axis=1)
    found = Draw.by(weights).draw(rows, np.random.default_rng(0))
    assert set(found[0]) == {1, 2}
    assert (found[0] == 2).mean() == pytest.approx(0.75, abs=0.03)
    assert (found[1] == -1).all()
    assert (found[2] == 3).all()
    assert (found[3] == -1).all()


def test_real_lists_are_whole_and_harder_than_chance(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("ml-100k"))
    asked = data.validation
    targets = Histories(asked.items, np.arange(len(asked) + 1))
    candidates = retrieve(create("itemknn").fit(data.train), asked.histories, 50, catalogue=data.catalogue)
    assert 0.35 < ceiling(candidates, asked.items) < 0.5
    for rankings in (None, candidates):
        found = CandidateLists(data.train, 50).draw(
            asked.histories, targets, np.random.default_rng(0), rankings=rankings
        )
        assert (found >= 0).all()
        assert (found == asked.items[:, None]).sum(axis=1).tolist() == [1] * len(asked)
        seen = Rankings(found, np.zeros(found.shape, np.float32), np.ones(len(found), bool)).seen(
            asked.histories
        )
        assert not (seen & (found != asked.items[:, None])).any()
        taken_I = np.bincount(data.train.histories.items, minlength=data.train.num_items)
        assert taken_I[found].mean() > 1.3 * taken_I.mean()
