"""What validation chose stays chosen in a refit, and all else is learnt again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.errors import NotFittedError
from genrec.recommenders.base import create
from genrec.recommenders.palr.recommender import Palr
from genrec.testing import TINY, next_of, ring

HISTORIES = Histories.from_lists([[0, 1], [5, 6, 7], [10]])
SHORT, LONG = ring(12, 24, 4), ring(12, 24, 5)  # the training part; with the validation items, and more
SASREC = {"epochs": 3, "width": 8, "evaluations": 1}


def test_it_is_the_same_recommender_fitted_on_other_data() -> None:
    model = create("itemknn", num_neighbours=3).fit(SHORT, next_of(SHORT))
    found, expected = model.refit(LONG), create("itemknn", num_neighbours=3).fit(LONG)
    for other, same in ((expected, True), (model, False)):
        scores = (one.rank(HISTORIES, 10).scores_BK for one in (found, other))
        assert np.array_equal(*scores) is same
    with pytest.raises(NotFittedError):
        create("itemknn").refit(LONG)


def test_a_prior_keeps_its_weights_and_its_models_learn_again() -> None:
    prior: dict[str, Any] = {"prior": ["sasrec", "transitions"], "prior_options": {"sasrec": SASREC}}
    model: Any = create("genrec", **TINY, **prior).fit(SHORT, next_of(SHORT))
    again: Any = model.refit(LONG)
    unweighed: Any = create("genrec", **TINY, **prior).fit(LONG)
    assert unweighed.experts_.weights != model.experts_.weights
    for name in ("weights", "prior_weight", "words_weight"):
        assert getattr(again.experts_, name) == getattr(model.experts_, name), name
    for place in range(2):
        models = (one.experts_.models[place] for one in (again, unweighed, model))
        scores, same, other = (one.rank(HISTORIES, 10).scores_BK for one in models)
        np.testing.assert_array_equal(scores, same)
        assert not np.array_equal(scores, other)


def test_palr_keeps_its_weights_and_those_of_its_retriever() -> None:
    options = Palr.tiny | {"epochs": 2, "num_candidates": 6}
    inner = {"retriever": "union", "retriever_options": {"members": ["popular", "palr"]}}
    inner["retriever_options"]["options"] = {"palr": options}
    model: Any = create("palr", **(options | inner)).fit(SHORT, next_of(SHORT))
    again: Any = model.refit(LONG)
    unweighed: Any = create("palr", **(options | inner)).fit(LONG)

    def weights(palr: Any) -> list[list[float]]:
        return [one.weights_.tolist() for one in (palr, palr.retriever_.members_[1])]

    assert weights(again) == weights(model)
    assert all(mine != theirs for mine, theirs in zip(weights(unweighed), weights(model), strict=True))
    assert again.ceiling_ == model.ceiling_
