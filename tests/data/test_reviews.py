"""Task data: what may be learnt of reviews and what is asked for never share a pair of user and item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Interactions
from genrec.data.read import read
from genrec.data.reviews import (
    MAX_WORDS,
    Reviews,
    copied_texts,
    explanations,
    feature_words,
    fixed_negatives,
    held_out_reviews,
    repeated_pairs,
    training_reviews,
)
from genrec.data.split import leave_one_out, temporal
from genrec.errors import ConfigError, DataError
from genrec.testing import toys


def interactions(lists: list[list[int]], num_items: int = 10) -> Interactions:
    """Users with these items; place p of all has rating p, text 't p &amp; more' and headline 'h p'."""
    places = np.arange(sum(map(len, lists)))
    texts, headlines = [f"t {place} &amp; more" for place in places], [f"h\n{place}" for place in places]
    return toys.interactions(
        lists, num_items, times=places % 7, ratings=places, texts=texts, headlines=headlines
    )


def texts(*reviews: str | None, users: list[int] | None = None) -> Reviews:
    rows = np.arange(len(reviews))
    return Reviews(
        rows if users is None else np.array(users),
        rows.astype(np.int32),
        texts=pl.Series(reviews, dtype=pl.String),
    )


def pairs(reviews: Reviews) -> list[tuple[int, int]]:
    return list(zip(reviews.users.tolist(), reviews.items.tolist(), strict=True))


def test_training_and_held_out_reviews() -> None:
    data = interactions([[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    split = leave_one_out(data)
    training = training_reviews(split)
    assert pairs(training) == [(0, 1), (0, 2), (1, 5), (1, 6), (2, 7)]
    assert training.ratings is not None
    assert training.ratings.tolist() == [0, 1, 4, 5, 6]
    assert training.texts is not None
    assert training.texts.to_list()[1] == "t 1 & more"
    test, validation = held_out_reviews(data, split.test), held_out_reviews(data, split.validation)
    assert pairs(test) == [(0, 4), (2, 9)]
    assert pairs(validation) == [(0, 3), (2, 8)]
    assert test.ratings is not None
    assert test.ratings.tolist() == [3, 8]
    assert test.headlines is not None
    assert test.headlines.to_list() == ["h 3", "h 8"]
    assert pairs(held_out_reviews(data, split.test.sample(1, seed=1))) in ([(0, 4)], [(2, 9)])


def test_the_temporal_split_has_reviews_too() -> None:
    rng = np.random.default_rng(0)
    data = interactions([rng.integers(0, 10, 6).tolist() for _ in range(20)])
    data = Interactions(data.catalogue, data.users, data.histories, np.tile(np.arange(6), 20), data.ratings)
    split = temporal(data, validation=0.2, test=0.2)
    for targets in (split.validation, split.test):
        assert (held_out_reviews(data, targets).items == targets.items).all()


def test_a_pair_that_is_held_out_is_not_learnt_from() -> None:
    data = interactions([[1, 2, 3, 1], [3, 1, 3, 5], [3, 5, 1, 2]])
    split = leave_one_out(data)
    assert repeated_pairs(split).tolist() == [True, False, True, False, False, False]
    assert pairs(training_reviews(split)) == [(0, 2), (1, 1), (2, 3), (2, 5)]


@pytest.mark.parametrize("name", ["amazon2018_gift_cards", "amazon2014_instruments_reviews", "ml-100k"])
def test_real_pairs_are_apart(name: str, shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data(name))
    training = set(pairs(training_reviews(data.split())))
    for targets in (data.validation, data.test):
        assert not training & set(pairs(held_out_reviews(data.interactions, targets)))


def test_reviews_without_a_rating_are_not_asked_for_one() -> None:
    said = replace(texts("fine", "well", "good"), ratings=np.array([4, np.nan, 2], np.float32))
    assert said.having("ratings").items.tolist() == [0, 2]
    assert said.having("texts").items.tolist() == [0, 1, 2]
    assert explanations(said, {}).rated().sentences.to_list() == ["fine", "good"]
    for ratings in (None, np.full(3, np.nan, np.float32)):
        with pytest.raises(DataError, match=r"have no ratings|none of 3 reviews has ratings"):
            explanations(replace(said, ratings=ratings), {}).rated()


def test_fields_that_are_needed() -> None:
    said = texts("fine", None, "good")
    assert said.having("texts").items.tolist() == [0, 2]
    with pytest.raises(DataError, match="these data have no headlines"):
        said.having("texts", "headlines")
    with pytest.raises(DataError, match="none of 1 reviews has texts"):
        texts(None).having("texts")
    with pytest.raises(ConfigError, match="reviews have the fields ratings, texts, headlines, not 'stars'"):
        said.having("stars")


def test_copied_texts() -> None:
    training = texts("same", "other", None, users=[0, 1, 2])
    assert copied_texts(texts("same", "same", None, "new", users=[0, 1, 2, 0]), training).tolist() == [
        True,
        False,
        False,
        False,
    ]
    bare = Reviews(np.array([0]), np.array([0]))
    with pytest.raises(DataError, match="no texts"):
        copied_texts(bare, bare)


def test_features_come_from_training_texts_and_are_told_often() -> None:
    said = ["The strap is great. Strap!"] * 5 + ["Great tuner"] * 6 + ["A bow"] * 9 + ["Rosin."] * 4
    assert feature_words(texts(*said)) == {"strap": 5, "tuner": 6}


def test_the_sentence_that_explains() -> None:
    features = {"strap": 9, "tuner": 5, "pedal": 5}
    told = explanations(
        texts(
            "I waited. The Tuner and the strap hold.It never fell! Strap.",
            "Nothing here. Nor here.",
            None,
            "pedal, tuner",
            " ".join(["much"] * 70 + ["strap"]),
        ),
        features,
    )
    assert told.reviews.items.tolist() == [0, 1, 3, 4]
    assert told.sentences.to_list()[:3] == ["The Tuner and the strap hold.", "Nothing here.", "pedal, tuner"]
    assert len(told.sentences[3].split()) == MAX_WORDS  # the word that was cut off is no feature
    assert told.features.to_list() == ["strap", None, "pedal", None]
    named = told.with_feature()
    assert named.reviews.items.tolist() == [0, 3]
    assert named.sentences.to_list() == ["The Tuner and the strap hold.", "pedal, tuner"]


def test_negatives_are_untaken_different_and_fixed() -> None:
    data = interactions([[0, 5, 9, 5], [1, 2, 3], [4, 6, 8]])
    targets = leave_one_out(data).test
    negatives = fixed_negatives(data, targets, num=7, seed=3)
    assert negatives.dtype == np.int32
    assert [sorted(row) for row in negatives.tolist()] == [
        sorted(set(range(10)) - set(history.tolist())) for history in data.histories
    ]
    few = fixed_negatives(data, targets, num=3, seed=3)
    one = targets.take(np.array([2]))
    assert fixed_negatives(data, one, num=3, seed=3).tolist() == few[2:].tolist()
    assert fixed_negatives(data, targets, num=3, seed=4).tolist() != few.tolist()
    with pytest.raises(DataError, match=r"user 'u0' left 7 of 10 items untaken, and 8 negatives"):
        fixed_negatives(data, targets, num=8)


def test_negatives_are_drawn_evenly() -> None:
    data = interactions([[0, 3, 7]] * 4000)
    drawn = np.bincount(fixed_negatives(data, leave_one_out(data).test, num=1).ravel(), minlength=10)
    assert drawn[[0, 3, 7]].sum() == 0
    assert np.abs(drawn[[1, 2, 4, 5, 6, 8, 9]] - 4000 / 7).max() < 120  # five standard deviations
