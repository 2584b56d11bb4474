"""What a review says in short: as its headline, or as its stars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray
from genrec.data.reviews import Reviews
from genrec.evaluation.text_metrics import library, rating_metrics, text_metrics
from genrec.prompts.task_prompts import Group
from genrec.tasks.base import (
    DESCRIBED,
    STARS,
    Drawn,
    Examples,
    Family,
    FreeText,
    Rating,
    Task,
    Test,
    TestData,
    TrainingSet,
    Way,
    commonest,
    register,
    words_of,
)
from genrec.tasks.material import Material
from genrec.tasks.rating import whole_stars

RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0)  # penalties of the regression on words
CHUNK = 256  # texts compared with all training reviews at once


def _examples(material: Material) -> Examples | None:
    prompts = material.of_family("review")
    if not prompts:
        return None
    column = {"headline": "headlines", "stars": "ratings"}
    groups = [group for family, group in material.groups if family == "review"]
    reviews = material.texts.reviews.having("texts", *(column[group] for group in groups))
    assert reviews.texts is not None
    texts = reviews.texts

    def draw(datum: int, rng: np.random.Generator) -> Drawn:
        prompt = material.draw(prompts, rng)
        rating = math.nan if reviews.ratings is None else float(reviews.ratings[datum])
        values = {
            "user": material.someone(int(reviews.users[datum]), rng),
            "review": material.some_words_of(texts[datum], rng),
            "headline": None if reviews.headlines is None else reviews.headlines[datum],
            "stars": None if math.isnan(rating) else str(whole_stars(rating)),
            **material.described(int(reviews.items[datum])),
        }
        return Drawn(prompt, values)

    tokens = material.around(prompts) + 1.4 * texts.str.count_matches(" ").to_numpy()
    return Examples(np.minimum(tokens, material.max_tokens).astype(np.int64), draw)


def _headlines(data: TestData) -> Test:
    reviews, num_copies = data.uncopied("texts", "headlines")
    texts, true = words_of(reviews.texts), words_of(reviews.headlines)
    simple = {
        "commonest headline": [commonest(words_of(data.training.having("headlines").headlines))] * len(true),
        "nearest review": nearest_headlines(data.training, texts),
    }
    return Test([{"review": text} for text in texts], true, simple, num_copies)


def _ratings_from_reviews(data: TestData) -> Test:
    reviews, num_copies = data.uncopied("ratings", "texts")
    texts, training = words_of(reviews.texts), data.training.having("ratings")
    assert training.ratings is not None
    simple = {
        "commonest rating": np.full(len(reviews), commonest_rating(training)),
        "mean": np.full(len(reviews), training.ratings.mean()),
        "ridge on words": ridge_ratings(training, data.validation, texts),
    }
    return Test([{"review": text} for text in texts], reviews.ratings, simple, num_copies)


def ridge_ratings(training: Reviews, validation: Reviews, texts: Sequence[str]) -> FloatArray:
    """Ratings (N,) of texts by ridge regression on tf-idf, its penalty chosen, within the ratings that were given.

    Raises:
        DataError: no training or validation review has both a rating and a text.
        BackendMissingError: scikit-learn is not installed.
    """
    training, validation = training.having("ratings", "texts"), validation.having("ratings", "texts")
    ratings_N, ridge, words = _ratings(training), library("sklearn.linear_model").Ridge, _tfidf()
    known_NW, tried_NW = (
        words.fit_transform(words_of(training.texts)),
        words.transform(words_of(validation.texts)),
    )
    models = [ridge(alpha=alpha).fit(known_NW, ratings_N) for alpha in RIDGES]
    errors = [rating_metrics(model.predict(tried_NW), _ratings(validation))["RMSE"] for model in models]
    predicted_N: FloatArray = models[int(np.argmin(errors))].predict(words.transform(texts))
    return np.clip(predicted_N, ratings_N.min(), ratings_N.max())


def commonest_rating(training: Reviews) -> float:
    """The rating that was given most often, the lower one of two."""
    values, counts = np.unique(_ratings(training), return_counts=True)
    return float(values[counts.argmax()])


def nearest_headlines(training: Reviews, texts: Sequence[str]) -> list[str]:
    """For each text the headline of the training review whose words are nearest: cosine of tf-idf, the first of equals.

    Raises:
        DataError: no training review has a text and a headline.
        BackendMissingError: scikit-learn is not installed.
    """
    training = training.having("texts", "headlines")
    assert training.headlines is not None
    words = _tfidf()
    known_WN = words.fit_transform(words_of(training.texts)).T.tocsr()
    asked_NW = words.transform(texts)
    nearest: list[int] = []
    for start in range(0, len(texts), CHUNK):
        nearest += (asked_NW[start : start + CHUNK] @ known_WN).toarray().argmax(axis=1).tolist()
    return list(training.headlines[nearest])


def _tfidf() -> Any:
    """tf-idf of words and pairs of words, rows of length 1."""
    return library("sklearn.feature_extraction.text").TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)


def _ratings(reviews: Reviews) -> FloatArray:
    assert reviews.ratings is not None
    return np.asarray(reviews.ratings, np.float64)


_HEADLINE, _CLASSES = frozenset({"headline"}), ("1", "2", "3", "4", "5")
_MAY_NAME = DESCRIBED | {"user"}

register(
    Family(
        "review",
        order=5,
        groups={
            "headline": Group(_HEADLINE, ("review",), _MAY_NAME),
            "stars": Group(STARS, ("review",), _MAY_NAME),
        },
        fields={"review": ("texts",), "headline": ("headlines",)},
        training_sets=(TrainingSet("review", _examples),),
        tasks=(
            Task(
                "headline",
                ("review",),
                FreeText(),
                (Way("review", "headline", "review"),),
                frozenset({"texts", "headlines"}),
                _headlines,
                text_metrics,
            ),
            Task(
                "rating-from-review",
                ("review",),
                Rating(_CLASSES, tuple(map(float, _CLASSES))),
                (Way("review", "stars", "review"),),
                frozenset({"ratings", "texts"}),
                _ratings_from_reviews,
                rating_metrics,
            ),
        ),
    )
)
