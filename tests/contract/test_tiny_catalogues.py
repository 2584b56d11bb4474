"""However few items, users and choices there are: a recommender learns and ranks them, or says what it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.data.interactions import Histories, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create, recommenders
from genrec.testing import interactions
from hypothesis import example, given, settings
from hypothesis import strategies as st

# One step at least in which there is nothing to choose, for each way of learning.
WAYS: dict[str, list[dict[str, Any]]] = {
    "genrec": [
        {},
        {"examples": "last"},
        {"code": "collaborative"},
        {"objective": "token"},
        {"backbone": "items", "min_steps": 0, "prior": ()},
        {"backbone": "items", "min_steps": 3, "code": "collaborative", "prior": ("popular",)},
        {"backbone": "items", "min_steps": 0, "prior_options": {"bsarec": {"min_steps": 0, "width": 16}}},
    ],
    "genrec-seq2seq": [{}, {"pretraining_epochs": 1}, {"reads_users": True, "code": "sequential"}],
    "palr": [
        {},
        {"packed": False, "tasks": ("recommend", "candidates")},
        {
            "backbone": "items",
            "min_steps": 3,
            "retriever": "prior",
            "retriever_options": {"prior": ("popular",)},
        },
    ],
    "recsysllm": [
        {"pretraining_epochs": 0},
        {"pretraining_epochs": 1},
        {"backbone": "items", "min_steps": 3, "pretraining_epochs": 0, "prior": ("popular",)},
    ],
}
TITLES = st.sampled_from(["Home", "Home Again", "Away", "Hill 1", "Hill 2", "1"])


@st.composite
def shops(draw: st.DrawFn) -> Interactions:
    """One to four items, titles among them that are equal or begin others, and one to four users."""
    titles = draw(st.lists(TITLES, min_size=1, max_size=4))
    items = st.integers(0, len(titles) - 1)
    return interactions(
        draw(st.lists(st.lists(items, min_size=1, max_size=4), min_size=1, max_size=4)), titles
    )


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in recommenders() for way in WAYS.get(name, [{}])]
)
@settings(max_examples=6, derandomize=True)
@example(interactions([[0]], ["Home"]))
@example(interactions([[0, 0, 0], [0]], ["Home"]))
@example(interactions([[0, 1], [1, 0, 1]], ["Home", "Home"]))
@given(shops())
def test_learns_and_ranks_or_says_what_it_lacks(name: str, way: dict[str, Any], data: Interactions) -> None:
    tiny = recommenders()[name].tiny
    short = {"epochs": 1, "batch_tokens": 40, "warmup_steps": 0, "width": 32}
    options = tiny | {option: short[option] for option in short.keys() & tiny.keys()} | way
    if options.get("backbone") == "items":
        del options["batch_tokens"]
    model = create(name, **options)
    said = ""
    try:
        model.fit(data)
    except ConfigError as error:
        said = str(error)
    if not said:
        assert_ranks_everything(model, data)
        return
    assert "two items" in said
    assert "\n" not in said
    assert max(data.histories.lengths) < 2


def assert_ranks_everything(model: Recommender, data: Interactions) -> None:
    found = model.rank(Histories.from_lists([[], [0]]), data.num_items, exclude_seen=False)
    for items_K, scores_K in zip(found.items_BK, found.scores_BK, strict=True):
        assert sorted(items_K.tolist()) == list(range(data.num_items))
        assert np.isfinite(scores_K).all()
