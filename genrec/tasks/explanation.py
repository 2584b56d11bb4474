"""Why an item suits a user, in their words: freely (`sentence`), around a word (`about`), or with the stars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from genrec.data.interactions import IntArray
from genrec.data.reviews import Explanations, explanations, feature_words
from genrec.evaluation.text_metrics import text_metrics
from genrec.prompts.task_prompts import Group
from genrec.tasks.base import (
    DESCRIBED,
    OFFER,
    STARS,
    Drawn,
    Examples,
    Family,
    FreeText,
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


def _examples(material: Material) -> Examples | None:
    prompts, known = material.of_family("explanation"), material.texts.explanations
    if not prompts or known is None:
        return None
    if any("stars" in prompt.needs for prompt in prompts):
        known = known.rated()
    reviews, sentences, features = known.reviews, known.sentences, known.features
    all_groups = [group for family, group in material.groups if family == "explanation"]

    def draw(datum: int, rng: np.random.Generator) -> Drawn:
        feature, groups = features[datum], all_groups
        if feature is None:
            groups = [name for name in groups if name != "about"] or groups
        prompt = material.draw(material.groups["explanation", str(rng.choice(groups))], rng)
        values = {
            "user": int(reviews.users[datum]),
            "feature": feature or "it",
            "explanation": sentences[datum],
            **material.described(int(reviews.items[datum])),
        }
        if reviews.ratings is not None and not np.isnan(reviews.ratings[datum]):
            values["stars"] = str(whole_stars(reviews.ratings[datum]))
        if reviews.headlines is not None:
            values["headline"] = reviews.headlines[datum] or ""
        return Drawn(prompt, values)

    return Examples(np.full(len(known), material.around(prompts)), draw)


def _test(data: TestData, *, with_feature: bool = False) -> Test:
    features = feature_words(data.training)
    known = explanations(data.training, features)
    reviews, num_copies = data.uncopied("texts")
    true = explanations(reviews, features)
    true = true.with_feature() if with_feature else true
    named = words_of(true.features) if with_feature else None
    rows = zip(data.users(true.reviews), true.reviews.items.tolist(), strict=True)
    questions = [{"user": user, "item": item} for user, item in rows]
    if named is not None:
        questions = [question | {"feature": word} for question, word in zip(questions, named, strict=True)]
    simple = {
        "commonest sentence": [commonest(words_of(known.sentences))] * len(true),
        "nearest sentence": nearest_explanations(known, true.reviews.users, true.reviews.items, named),
    }
    return Test(questions, words_of(true.sentences), simple, num_copies)


def nearest_explanations(
    training: Explanations, users_N: IntArray, items_N: IntArray, features: Sequence[str] | None = None
) -> list[str]:
    """For each question a training sentence: the last on the item, else the user's last, else the commonest.

    Where features are given, the last on the item's feature comes first, then the last on the feature.
    """
    said: dict[tuple[Any, ...], str] = {}
    rows = zip(
        training.reviews.users.tolist(), training.reviews.items.tolist(), training.features, strict=True
    )
    for (user, item, feature), sentence in zip(rows, training.sentences, strict=True):
        keys = _keys(user, item, feature) if feature is not None else _keys(user, item)
        said.update(dict.fromkeys(keys, sentence))
    otherwise = commonest(list(training.sentences))
    asked = zip(users_N.tolist(), items_N.tolist(), *([] if features is None else [features]), strict=True)
    return [next((said[key] for key in _keys(*question) if key in said), otherwise) for question in asked]


def _keys(user: int, item: int, *feature: str) -> list[tuple[Any, ...]]:
    """What a sentence may be found by, the nearest first."""
    of_feature: list[tuple[Any, ...]] = [("item", item, *feature), ("feature", *feature)] if feature else []
    return [*of_feature, ("item", item), ("user", user)]


_SENTENCE, _ITEM = frozenset({"explanation"}), ("user", "item|title")
_TOLD = DESCRIBED | STARS | {"headline"}

register(
    Family(
        "explanation",
        order=4,
        groups={
            "sentence": Group(_SENTENCE, _ITEM, _TOLD),
            "about": Group(_SENTENCE, (*_ITEM, "feature"), _TOLD),
            "stars_and_sentence": Group(STARS | _SENTENCE, _ITEM, DESCRIBED | {"headline", "feature"}),
        },
        new={
            "sentence": Group(_SENTENCE, ("user", "title"), OFFER | STARS),
            "about": Group(_SENTENCE, ("user", "title", "feature"), OFFER | STARS),
        },
        fields={"explanation": ("texts",), "feature": ("texts",)},
        training_sets=(TrainingSet("explanation", _examples),),
        tasks=(
            Task(
                "explanation",
                ("user", "item"),
                FreeText(drawn=True),
                (Way("explanation", "sentence", "explanation"),),
                frozenset({"texts"}),
                _test,
                text_metrics,
                verb="explain",
            ),
            Task(
                "explanation-with-feature",
                ("user", "item", "feature"),
                FreeText(names="feature"),
                (Way("explanation", "about", "explanation"),),
                frozenset({"texts"}),
                partial(_test, with_feature=True),
                text_metrics,
                verb="explain",
            ),
        ),
    )
)
