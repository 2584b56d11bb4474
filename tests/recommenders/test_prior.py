"""Recommenders weighed into one, against their scores by hand."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from genrec.recommenders.base import create, load
from genrec.testing import next_of, ring

HISTORIES = Histories.from_lists([[], [3], [4, 5, 6], [9, 10, 11]])
DATA = ring(14, 42, 5)
OPTIONS: dict[str, Any] = {"prior": ("itemknn", "transitions"), "prior_options": {"itemknn": {"shrink": 1.0}}}


@pytest.fixture(scope="module")
def fitted() -> Any:
    """Weighed on what comes next; no test may change it."""
    return create("prior", **OPTIONS).fit(DATA, next_of(DATA))


def test_a_score_is_the_weighed_sum(fitted: Any) -> None:
    parts = [create("itemknn", shrink=1.0).fit(DATA), create("transitions").fit(DATA)]
    weights = fitted.experts_.weights
    assert list(weights) == ["itemknn", "transitions"]
    assert max(weights.values()) > 0
    expected_BI = sum(weights[part.name] * part._scores(HISTORIES)[part.name] for part in parts)
    np.testing.assert_allclose(fitted._score(HISTORIES), expected_BI, rtol=1e-5, atol=1e-5)
    assert fitted.rank(HISTORIES, 1).items_BK[1:, 0].tolist() == [4, 7, 12]


def test_its_scores_are_what_it_adds_up(fitted: Any) -> None:
    """Those of items that were never trained too, which have weights of their own."""
    untrained_I = np.arange(14) == 4
    own = {name: 0.5 * weight for name, weight in fitted.experts_.weights.items()}
    other = copy(fitted)
    other.experts_ = replace(
        fitted.experts_, untrained_I=untrained_I, untrained_weights=own, untrained_bias=0.25
    )
    for model in (fitted, other):
        parts = model._scores(HISTORIES)
        assert list(parts) == ["itemknn", "transitions"]
        np.testing.assert_allclose(sum(parts.values()), model._score(HISTORIES), rtol=1e-5, atol=1e-6)
    differ_I = (other._score(HISTORIES) != fitted._score(HISTORIES)).any(axis=0)
    np.testing.assert_array_equal(differ_I, untrained_I)


def test_without_validation_the_first_part_ranks_alone() -> None:
    first = create("itemknn", shrink=1.0).fit(DATA).rank(HISTORIES, 14)
    np.testing.assert_array_equal(
        create("prior", **OPTIONS).fit(DATA).rank(HISTORIES, 14).items_BK, first.items_BK
    )


def test_it_is_the_prior_that_is_written_with(fitted: Any) -> None:
    writer: Any = create(
        "genrec", backbone="items", width=16, depth=1, max_steps=1, min_steps=0, bf16=False, **OPTIONS
    ).fit(DATA, next_of(DATA))
    assert writer.experts_.weights == pytest.approx(fitted.experts_.weights)


def test_weights_are_told_and_come_back(fitted: Any, tmp_path: Path) -> None:
    again: Any = load(fitted.save(tmp_path / "saved"))
    assert again.experts_.weights == fitted.experts_.weights
    (told,) = again.notes()
    assert told.startswith("weights of the prior's scores: itemknn ")
    refit: Any = fitted.refit(ring(14, 42, 6))
    assert refit.experts_.weights == fitted.experts_.weights


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": ()}, "at least one recommender"),
        ({"prior": ("palr",)}, "palr gives no score to every item"),
        ({"prior_options": {"popular": {}}}, "no part of the prior: it has bsarec, transitions"),
    ],
)
def test_what_cannot_be_weighed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create("prior", **options).fit(DATA)
    assert "\n" not in str(caught.value)
