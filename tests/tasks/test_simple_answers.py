"""Simple answers: least squares that solve what they say, and nearest texts that are the nearest."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from genrec.data.reviews import Explanations, Reviews
from genrec.errors import DataError
from genrec.evaluation.text_metrics import rating_metrics
from genrec.tasks.base import commonest
from genrec.tasks.explanation import nearest_explanations
from genrec.tasks.rating_models import mean_rating, rating_biases, rating_factors
from genrec.tasks.review import commonest_rating, nearest_headlines, ridge_ratings

NUM_USERS, NUM_ITEMS = 60, 40


def ratings_of(true_UI: np.ndarray, seed: int) -> tuple[Reviews, Reviews, Reviews]:
    """Training, validation and test reviews with the ratings of a full table."""
    pairs = np.random.default_rng(seed).permutation(true_UI.size)
    users, items = np.divmod(pairs, true_UI.shape[1])
    reviews = Reviews(users, items.astype(np.int32), true_UI[users, items].astype(np.float32))
    first, second = int(0.6 * len(pairs)), int(0.8 * len(pairs))
    places = np.arange(len(pairs))
    return reviews.take(places[:first]), reviews.take(places[first:second]), reviews.take(places[second:])


def said(texts: list[str], ratings: list[float], headlines: list[str] | None = None) -> Reviews:
    rows = np.arange(len(texts))
    return Reviews(
        rows,
        rows.astype(np.int32),
        np.array(ratings, np.float32),
        pl.Series(texts, dtype=pl.String),
        None if headlines is None else pl.Series(headlines, dtype=pl.String),
    )


def rmse(model, reviews: Reviews) -> float:  # type: ignore[no-untyped-def]
    return rating_metrics(model.predict(reviews), reviews.ratings)["RMSE"]


def test_biases_solve_their_equations() -> None:
    rng = np.random.default_rng(0)
    true_UI = 3 + rng.normal(0, 0.7, (NUM_USERS, 1)) + rng.normal(0, 0.5, NUM_ITEMS)
    true_UI += rng.normal(0, 0.2, true_UI.shape)
    training, validation, test = ratings_of(true_UI, 1)
    mean = mean_rating(training, NUM_USERS, NUM_ITEMS)
    assert mean.mean == pytest.approx(training.ratings.mean())
    biases = rating_biases(training, validation, mean)
    assert rmse(mean, test) > 0.6
    assert rmse(biases, test) < 0.25  # the noise has 0.2
    assert training.ratings is not None
    left = training.ratings.astype(float) - mean.mean
    left -= biases.users[training.users, 0] + biases.items[training.items, 0]
    by_item = np.bincount(training.items, left, minlength=NUM_ITEMS)
    np.testing.assert_allclose(by_item, biases.damping[0] * biases.items[:, 0], atol=1e-9)
    by_user = np.bincount(training.users, left, minlength=NUM_USERS)
    np.testing.assert_allclose(by_user, biases.damping[0] * biases.users[:, 0], atol=0.01)


def test_factors_find_what_biases_cannot() -> None:
    rng = np.random.default_rng(0)
    true_UI = 3 + 0.8 * rng.normal(size=(NUM_USERS, 2)) @ rng.normal(size=(2, NUM_ITEMS))
    true_UI += rng.normal(0, 0.1, true_UI.shape)
    training, validation, test = ratings_of(true_UI, 1)
    biases = rating_biases(training, validation, mean_rating(training, NUM_USERS, NUM_ITEMS))
    factors = rating_factors(training, validation, biases)
    assert rmse(biases, test) > 0.8
    assert rmse(factors, test) < 0.25
    again = rating_factors(training, validation, biases)
    assert (again.predict(test) == factors.predict(test)).all()


def test_strangers_get_the_mean_and_predictions_stay_in_range() -> None:
    training = Reviews(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, 5, 1, 5], np.float32))
    biases = mean_rating(training, 3, 3).learnt(training, np.array([0.001]))
    stranger = Reviews(np.array([2, 2]), np.array([2, 1]))
    assert biases.predict(stranger)[0] == 3
    pushed = mean_rating(training, 3, 3)
    pushed.users[:] = 9
    assert pushed.predict(stranger).tolist() == [5, 5]


def test_ratings_of_words() -> None:
    rng = np.random.default_rng(0)
    fillers = ["it", "came", "on", "monday", "with", "strings", "box"]

    def reviews(num: int) -> Reviews:
        stars = rng.integers(1, 6, num)
        words = ["awful", "weak", "usable", "good", "superb"]
        texts = [" ".join([*rng.choice(fillers, 4), words[star - 1]]) for star in stars]
        return said(texts, stars.tolist())

    training, validation, test = reviews(300), reviews(60), reviews(60)
    assert test.texts is not None
    predicted = ridge_ratings(training, validation, list(test.texts))
    assert rating_metrics(predicted, test.ratings)["RMSE"] < 0.4
    with pytest.raises(DataError, match="no texts"):
        ridge_ratings(Reviews(np.array([0]), np.array([0]), np.ones(1)), validation, ["good"])


def test_commonest() -> None:
    assert commonest(["b", "c", "a", "c", "b"]) == "b"
    assert commonest_rating(said(["", "", ""], [4, 5, 5])) == 5
    assert commonest_rating(said(["", ""], [4, 2])) == 2


def test_nearest_headlines() -> None:
    training = said(
        ["the strings broke at once", "a fine tuner", "gift for my son", "no headline strings"],
        [1, 5, 5, 3],
        ["Broken", "In tune", "Gift", None],
    )
    asked = ["My son liked the gift", "These strings broke", "fine, it is a tuner", "zzz"]
    assert nearest_headlines(training, asked) == ["Gift", "Broken", "In tune", "Broken"]


def test_nearest_explanations() -> None:
    training = Explanations(
        Reviews(np.array([0, 0, 1, 2]), np.array([5, 6, 5, 7], np.int32)),
        pl.Series(["strap holds", "commonest", "tone is warm", "commonest"]),
        pl.Series(["strap", None, "tone", None], dtype=pl.String),
    )
    users, items = np.array([3, 0, 4, 2]), np.array([5, 9, 9, 7])
    assert nearest_explanations(training, users, items) == [
        "tone is warm",  # the last on item 5
        "commonest",  # the last of user 0
        "commonest",  # nothing is known
        "commonest",
    ]
    assert nearest_explanations(training, users, items, ["strap", "tone", "price", "strap"]) == [
        "strap holds",  # item and feature, though not the last
        "tone is warm",  # the feature before the user
        "commonest",
        "strap holds",  # the feature before the item
    ]
