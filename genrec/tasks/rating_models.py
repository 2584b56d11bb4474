"""Simple answers to how many stars a user gives an item: means, biases and factors of the training reviews.

What can be chosen (damping, rank) is chosen on the validation reviews. Everything is deterministic.

Shapes: N reviews, U users, I items, F factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from genrec.data.interactions import FloatArray, IntArray
from genrec.data.reviews import Reviews
from genrec.data.streams import stream
from genrec.evaluation.text_metrics import rating_metrics

DAMPINGS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # of biases, and of factors
RANKS = (2, 4, 8)
NUM_SWEEPS = 15  # of alternating least squares; the error on ML-100K stands still from the tenth on


@dataclass(frozen=True)
class Ratings:
    """Predicted rating = mean + user's bias + item's bias + p_u · q_i, kept within the ratings that were given.

    Koren, Bell & Volinsky 2009, https://doi.org/10.1109/MC.2009.263. Users and items that nothing was learnt of have
    zeros, so they are given the mean.

    Shape: users (U, 1 + F) and items (I, 1 + F), bias first; damping (1 + F,), the penalty of each column; range the
    lowest and the highest rating.
    """

    mean: float
    range: tuple[float, float]
    users: FloatArray
    items: FloatArray
    damping: FloatArray

    def predict(self, reviews: Reviews) -> FloatArray:
        """Ratings (N,) of the users and items of reviews."""
        users_NF, items_NF = self.users[reviews.users], self.items[reviews.items]
        products_N = (users_NF[:, 1:] * items_NF[:, 1:]).sum(axis=1)
        predicted: FloatArray = np.clip(self.mean + users_NF[:, 0] + items_NF[:, 0] + products_N, *self.range)
        return predicted

    def learnt(self, training: Reviews, damping_F: FloatArray) -> Ratings:
        """The same mean with biases and factors of these penalties, by alternating ridge regressions."""
        residuals_N = _ratings(training) - self.mean
        users, items = (np.zeros((len(rows), len(damping_F))) for rows in (self.users, self.items))
        items[:, 1:] = stream(0, "factors of ratings").normal(0, 0.1, items[:, 1:].shape)
        by_user, by_item = _groups(training.users, len(users)), _groups(training.items, len(items))
        for _ in range(NUM_SWEEPS):
            _solve(users, by_user, items[training.items], residuals_N, damping_F)
            _solve(items, by_item, users[training.users], residuals_N, damping_F)
        return Ratings(self.mean, self.range, users, items, damping_F)


def mean_rating(training: Reviews, num_users: int, num_items: int) -> Ratings:
    """The mean rating for everybody and everything.

    Raises:
        DataError: the reviews have no ratings.
    """
    training = training.having("ratings")
    ratings_N = _ratings(training)
    bounds = float(ratings_N.min()), float(ratings_N.max())
    return Ratings(
        float(ratings_N.mean()), bounds, np.zeros((num_users, 1)), np.zeros((num_items, 1)), np.zeros(1)
    )


def rating_biases(training: Reviews, validation: Reviews, mean: Ratings) -> Ratings:
    """Biases of users and items around `mean`, their damping chosen."""
    return _best([mean.learnt(training, np.array([damping])) for damping in DAMPINGS], validation)


def rating_factors(training: Reviews, validation: Reviews, biases: Ratings) -> Ratings:
    """Biases damped as `biases` are, and factors, whose number and damping are chosen."""
    return _best(
        [
            biases.learnt(training, np.concatenate([biases.damping, np.full(rank, damping)]))
            for rank, damping in product(RANKS, DAMPINGS)
        ],
        validation,
    )


def _best(models: Sequence[Ratings], validation: Reviews) -> Ratings:
    """The model with the smallest RMSE on validation, the first of equals."""
    ratings_N = _ratings(validation)
    return min(models, key=lambda model: rating_metrics(model.predict(validation), ratings_N)["RMSE"])


def _groups(rows_N: IntArray, num_rows: int) -> list[IntArray]:
    """Places of each row number."""
    return np.split(
        np.argsort(rows_N, kind="stable"), np.cumsum(np.bincount(rows_N, minlength=num_rows))[:-1]
    )


def _solve(
    learnt: FloatArray,
    groups: list[IntArray],
    others_NF: FloatArray,
    residuals_N: FloatArray,
    damping_F: FloatArray,
) -> None:
    """Ridge regression of each row of `learnt` on the vectors of those that it was rated by or with, in place."""
    inputs_NF = others_NF.copy()
    inputs_NF[:, 0] = 1  # its own bias is learnt on a constant; the other's is taken off what is explained
    explained_N = residuals_N - others_NF[:, 0]
    squares = [inputs_NF[places].T @ inputs_NF[places] for places in groups]
    products = [inputs_NF[places].T @ explained_N[places] for places in groups]
    solved = np.linalg.solve(np.stack(squares) + np.diag(damping_F), np.stack(products)[:, :, None])
    learnt[:] = solved[:, :, 0]


def _ratings(reviews: Reviews) -> FloatArray:
    assert reviews.ratings is not None
    return np.asarray(reviews.ratings, np.float64)
