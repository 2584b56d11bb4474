"""A prior of states and vectors against the one of the same model's scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from genrec.data.interactions import Histories
from genrec.decoding.prior import Memory, Prior
from genrec.recommenders.base import create, load
from genrec.recommenders.language.experts import Experts
from genrec.recommenders.language.products import Products
from genrec.testing import next_of, ring

NUM_ITEMS = 20
HISTORIES = Histories.from_lists([[3], [4, 5, 6], [19, 0, 1, 2, 3, 4, 5, 6, 7, 8], [2, 2]])
BSAREC: dict[str, Any] = {"width": 16, "depth": 1, "epochs": 3, "bf16": False, "features": ("title",)}


@pytest.fixture(scope="module")
def writer() -> Any:
    """A writer with a single model in its prior; no test may change it."""
    data = ring([f"{('red', 'green', 'blue')[row % 3]} paint {row}" for row in range(NUM_ITEMS)])
    options: dict[str, Any] = {"prior": ("bsarec",), "prior_options": {"bsarec": BSAREC}}
    options |= {"backbone": "items", "width": 16, "depth": 1, "vocab_size": 300, "epochs": 2, "min_steps": 0}
    return create("genrec", **options).fit(data, next_of(data))


def untrained(experts: Experts) -> Experts:
    """These where the last items have a weight and a bias of their own."""
    untrained_I = np.arange(NUM_ITEMS) >= NUM_ITEMS - 3
    return replace(experts, untrained_I=untrained_I, untrained_weights={"bsarec": 0.3}, untrained_bias=0.7)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("own", [False, True])
def test_it_is_the_prior_of_the_scores(
    writer: Any, exclude_seen: bool, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in several parts, and in memory that was used before."""
    monkeypatch.setattr("genrec.decoding.prior._USERS_TOGETHER", 3)
    experts, trie = replace(writer.experts_, words_weight=0.5), writer.ranker_.tensors
    experts = untrained(experts) if own else experts
    of = experts.prior(HISTORIES, trie, exclude_seen)
    assert isinstance(experts._products(trie), Products)
    for rows in ([0, 1, 2, 3], [2], [3, 0]):
        some = np.array(rows)
        found = of(some)
        logits_BI = torch.from_numpy(experts.logits(HISTORIES.take(some), exclude_seen))
        expected = Prior.of_scores(trie, logits_BI)
        torch.testing.assert_close(found.before_BI1, expected.before_BI1, rtol=1e-5, atol=1e-7)
        assert (found.weight, found.temperature) == (experts.prior_weight, 2.0)


def test_who_has_no_history_is_offered_what_is_popular(writer: Any) -> None:
    experts, trie = writer.experts_, writer.ranker_.tensors
    histories = Histories.from_lists([[], [4]])
    assert experts._products(trie).prior(histories, True, Memory()) is None
    found = experts.prior(histories, trie, exclude_seen=True)(np.arange(2))
    expected = Prior.of_scores(trie, torch.from_numpy(experts.logits(histories, True)))
    assert torch.equal(found.before_BI1, expected.before_BI1)


def test_where_a_vector_is_no_number_scores_are_the_worst(writer: Any) -> None:
    experts, trie = writer.experts_, writer.ranker_.tensors
    weight_I = np.where(np.arange(NUM_ITEMS) == 5, np.nan, 1.0)
    broken = Products.of(experts.models[0], trie, weight_I, np.zeros(NUM_ITEMS))
    assert broken.prior(HISTORIES, True, Memory()) is None


def test_several_models_are_weighed_by_their_scores(writer: Any) -> None:
    several = replace(writer.experts_, models=[*writer.experts_.models, create("popular")])
    assert several._products(writer.ranker_.tensors) is None


def test_a_grown_trie_has_another_order(writer: Any, tmp_path: Path) -> None:
    """What an edit adds stands between the others, and the vectors with it."""
    grown: Any = load(writer.save(tmp_path / "saved"))
    grown.add_items(pl.DataFrame({"item_id": ["new1", "new2"], "title": ["blue brush", "green brush"]}))
    trie = grown.ranker_.tensors
    assert trie.item_of_leaf_I.tolist()[-2:] != [NUM_ITEMS, NUM_ITEMS + 1]
    found = grown.experts_.prior(HISTORIES, trie, True)(np.arange(4))
    expected = Prior.of_scores(trie, torch.from_numpy(grown.experts_.logits(HISTORIES, True)))
    torch.testing.assert_close(found.before_BI1, expected.before_BI1, rtol=1e-5, atol=1e-7)
