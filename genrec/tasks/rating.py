"""How many stars a user gives. `guess`: whether they give that many; `liking`: whether it is four stars or more."""

from __future__ import annotations

import numpy as np

from genrec.data.interactions import FloatArray
from genrec.evaluation.text_metrics import rating_metrics
from genrec.prompts.task_prompts import Group
from genrec.tasks.base import (
    DESCRIBED,
    OFFER,
    STARS,
    Drawn,
    Examples,
    Family,
    Rating,
    Task,
    Test,
    TestData,
    TrainingSet,
    Way,
    register,
)
from genrec.tasks.material import Material
from genrec.tasks.rating_models import mean_rating, rating_biases, rating_factors

# Mean and spread of what is written for each number of stars (P5, section 4.1): 41 values say more than five classes.
_WRITTEN = {1: (1.2, 0.1), 2: (1.95, 0.225), 3: (2.95, 0.225), 4: (3.95, 0.225), 5: (4.75, 0.125)}


def spread_stars(stars: int, rng: np.random.Generator) -> str:
    """A value of one decimal near 1 to 5 stars, for the model to write."""
    mean, spread = _WRITTEN[stars]
    return f"{float(np.clip(rng.normal(mean, spread), 1, 5)):.1f}"


def stars_behind(values: FloatArray) -> FloatArray:
    """The stars that written values stand for: the means of `spread_stars` undone, straight lines between them."""
    means = [mean for mean, _ in _WRITTEN.values()]
    return np.interp(values, means, list(_WRITTEN))


def whole_stars(rating: float) -> int:
    """1 to 5 stars; halves go up."""
    return max(1, int(rating + 0.5))


def _examples(material: Material) -> Examples | None:
    prompts = material.of_family("rating")
    if not prompts:
        return None
    rated = material.texts.reviews.having("ratings")
    assert rated.ratings is not None
    ratings = rated.ratings

    def draw(datum: int, rng: np.random.Generator) -> Drawn:
        prompt, stars = material.draw(prompts, rng), whole_stars(ratings[datum])
        values = {"user": int(rated.users[datum]), **material.described(int(rated.items[datum]))}
        if prompt.group == "stars":
            return Drawn(prompt, values | {"stars": spread_stars(stars, rng)})
        if prompt.group == "liking":
            return Drawn(prompt, values, stars >= 4)
        others = [value for value in range(1, 6) if value != stars]
        true = bool(rng.random() < 0.5)
        return Drawn(prompt, values | {"guess": str(stars if true else int(rng.choice(others)))}, true)

    return Examples(np.full(len(rated), material.around(prompts)), draw)


def _test(data: TestData) -> Test:
    reviews = data.held_out.having("ratings")
    questions = [
        {"user": user, "item": item}
        for user, item in zip(data.users(reviews), reviews.items.tolist(), strict=True)
    ]
    training, validation = (part.having("ratings") for part in (data.training, data.validation))
    mean = mean_rating(training, data.interactions.num_users, data.interactions.num_items)
    biases = rating_biases(training, validation, mean)
    factors = rating_factors(training, validation, biases)
    simple = {"mean": mean, "biases": biases, "matrix factorisation": factors}
    return Test(questions, reviews.ratings, {name: model.predict(reviews) for name, model in simple.items()})


_WORDS = tuple(f"{value / 10:.1f}" for value in range(10, 51))  # the 41 ratings that are written
_ITEM = ("user", "item|title")

register(
    Family(
        "rating",
        order=3,
        groups={
            "stars": Group(STARS, _ITEM, DESCRIBED),
            "guess": Group(STARS, (*_ITEM, "guess"), DESCRIBED, judged=True, drawn=frozenset({"guess"})),
            "liking": Group(STARS, _ITEM, DESCRIBED, judged=True),
        },
        new={
            "stars": Group(STARS, ("user", "title"), OFFER),
            "liking": Group(STARS, ("user", "title"), OFFER, judged=True),
        },
        fields={"stars": ("ratings",)},
        training_sets=(TrainingSet("rating", _examples),),
        tasks=(
            Task(
                "rating",
                ("user", "item"),
                Rating(_WORDS, tuple(stars_behind(np.array(_WORDS, float))), every_wording=True),
                (Way("rating", "stars", "rating"),),
                frozenset({"ratings"}),
                _test,
                rating_metrics,
            ),
        ),
    )
)
