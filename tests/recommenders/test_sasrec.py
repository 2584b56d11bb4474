"""The transformers over items: what a place may see, what the filter is, resuming, the command's defaults."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import genrec
import genrec.training.trainer as trainer
import numpy as np
import polars as pl
import pytest
import torch
from genrec.backbones.item_encoder import FrequencyFilter, past
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create
from genrec.recommenders.bsarec import BSARecConfig
from genrec.testing import interactions
from genrec.training.sequences import newest_states, pack

NUM_ITEMS = 40
BOTH = pytest.mark.parametrize("name", ["sasrec", "bsarec"])


@pytest.fixture(scope="module")
def walks() -> Interactions:
    """60 users who go round the catalogue in steps of one."""
    lists = [
        [(user * 7 + step) % NUM_ITEMS for step in range(3 + user % 9)] for user in range(60)
    ]  # 3 to 11 items
    return interactions(lists, NUM_ITEMS)


def small(name: str, **options: Any) -> Recommender:
    defaults = {"width": 16, "max_items": 6, "epochs": 4, "batch_size": 10, "evaluations": 2, "bf16": False}
    return create(name, **(defaults | options))


@pytest.fixture(scope="module")
def fitted(walks: Interactions) -> Callable[..., Recommender]:
    """Fitted once for the same name and options; no test may change it."""
    return cache(lambda name, **options: small(name, **options).fit(walks))


def hidden(model: Any, histories: list[list[int]]) -> list[torch.Tensor]:
    """Hidden states of each history, packed together."""
    batch, start_S = pack([np.array(items) for items in histories], model.config.max_items)
    with torch.inference_mode():
        vectors = model.network_.vectors.table()[batch["items"]]
        flat = model.network_(vectors, batch["ages"], batch["segments"]).flatten(0, 1)
    return [flat[start : start + len(items)] for items, start in zip(histories, start_S, strict=True)]


@BOTH
def test_neighbours_in_a_row_do_not_see_each_other(name: str, fitted: Callable[..., Recommender]) -> None:
    model = fitted(name, epochs=1, evaluations=1)
    together = hidden(model, [[1, 2], [3, 4, 5], [6]])  # one row of six
    for states, alone in zip(together, [[1, 2], [3, 4, 5], [6]], strict=True):
        torch.testing.assert_close(states, hidden(model, [alone])[0], rtol=1e-4, atol=1e-5)


@BOTH
def test_a_place_sees_nothing_that_comes_later(name: str, fitted: Callable[..., Recommender]) -> None:
    model = fitted(name, epochs=1, evaluations=1)
    one, other = hidden(model, [[1, 2, 3, 4, 5]])[0], hidden(model, [[1, 2, 3, 30, 31]])[0]
    torch.testing.assert_close(one[:3], other[:3], rtol=1e-4, atol=1e-5)
    assert (one[3:] - other[3:]).abs().max() > 1e-3


@pytest.mark.parametrize("num_frequencies", [0, 2, 5])
@pytest.mark.parametrize("length", [1, 4, 12])
def test_the_filter_is_the_cut_fourier_transform(num_frequencies: int, length: int) -> None:
    """At the last place of a history that stands at the end of a row of noughts."""
    width, places = 3, 12
    config = BSARecConfig(width=width, max_items=places, num_frequencies=num_frequencies)
    layer = FrequencyFilter(config)
    row_TD = torch.zeros(places, width)
    row_TD[-length:] = torch.randn(length, width, generator=torch.Generator().manual_seed(length))
    spectrum = torch.fft.rfft(row_TD, dim=0)
    spectrum[num_frequencies + 1 :] = 0
    slow_D = torch.fft.irfft(spectrum, n=places, dim=0)[-1]
    expected_D = slow_D + layer.quick_D**2 * (row_TD[-1] - slow_D)
    found_RTD = layer(row_TD[None, -length:], past(torch.zeros(1, length, dtype=torch.int64)))
    torch.testing.assert_close(found_RTD[0, -1], expected_D, rtol=1e-4, atol=1e-5)


@BOTH
def test_only_the_newest_items_count(name: str, fitted: Callable[..., Recommender]) -> None:
    model = fitted(name)
    long, short = Histories.from_lists([[30, 31, *range(6)]]), Histories.from_lists([range(6)])
    scores = [model.rank(history, 5, exclude_seen=False).scores_BK for history in (long, short)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_a_newcomer_is_offered_what_is_popular(
    walks: Interactions, fitted: Callable[..., Recommender]
) -> None:
    counts = np.bincount(walks.histories.items, minlength=NUM_ITEMS)
    found = fitted("sasrec").rank(Histories.from_lists([[]]), 3)
    assert sorted(counts[found.items_BK[0]]) == sorted(np.sort(counts)[-3:])
    np.testing.assert_allclose(
        np.exp(found.scores_BK[0]), (counts[found.items_BK[0]] + 1) / (counts + 1).sum(), rtol=1e-5
    )


def test_an_added_item_has_the_mean_vector(fitted: Callable[..., Recommender]) -> None:
    model: Any = copy(fitted("sasrec"))
    before = model.network_.vectors.own.detach().clone()
    model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["New Film"]}))
    after = model.network_.vectors.own.detach()
    torch.testing.assert_close(after[:NUM_ITEMS], before)
    torch.testing.assert_close(after[NUM_ITEMS], before.mean(0))


def test_a_killed_training_ends_with_the_same_weights(
    walks: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = Targets(walks.catalogue, walks.users, walks.histories, np.arange(60, dtype=np.int32) % 40)
    expected: Any = small("sasrec").fit(walks, targets, run=tmp_path / "whole")
    calls, compute = itertools.count(1), trainer.Learner.backward

    def stopping(*args: Any, **kwargs: Any) -> torch.Tensor:
        if next(calls) == 16:
            raise KeyboardInterrupt
        return compute(*args, **kwargs)

    monkeypatch.setattr(trainer.Learner, "backward", stopping)
    with pytest.raises(KeyboardInterrupt):
        small("sasrec").fit(walks, targets, run=tmp_path / "killed")
    monkeypatch.setattr(trainer.Learner, "backward", compute)
    resumed: Any = small("sasrec").fit(walks, targets, run=tmp_path / "killed", resume=True)
    for name, weight in expected.network_.state_dict().items():
        torch.testing.assert_close(resumed.network_.state_dict()[name], weight, rtol=0, atol=1e-6)


def test_nothing_to_learn_is_an_error(walks: Interactions) -> None:
    lonely = Interactions(walks.catalogue, walks.users[:2], Histories.from_lists([[1], [2]]))
    with pytest.raises(ConfigError, match="no history has two items"):
        small("sasrec").fit(lonely)


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_heads=3 does not divide width=16"):
        small("sasrec", num_heads=3)


@pytest.mark.slow
@BOTH
def test_films_are_learnt_far_beyond_popularity(name: str, shared_data: Callable[[str], Path]) -> None:
    data = genrec.read(shared_data("ml-100k"))
    options = {"max_items": 100, "batch_size": 64, "dropout": 0.4, "epochs": 15, "evaluations": 1}
    model = create(name, **options).fit(data.train)
    popular = create("popular").fit(data.train)
    found, known = (genrec.evaluate(each.rank, data.validation).metrics for each in (model, popular))
    assert found["HR@10"] > 2 * known["HR@10"]


@BOTH
def test_scores_to_be_weighed_differ_from_log_probabilities_by_a_number_a_user(
    name: str, fitted: Callable[..., Recommender]
) -> None:
    model = fitted(name)
    histories = Histories.from_lists([[3, 4, 5], [], [7]])
    chances_BI, scores_BI = model._score(histories), model._scores(histories)[name]
    gap_BI = scores_BI - chances_BI
    np.testing.assert_allclose(gap_BI, np.broadcast_to(gap_BI[:, :1], gap_BI.shape), atol=1e-5)
    assert abs(gap_BI[0, 0]) > 0.1
    np.testing.assert_array_equal(scores_BI[1], chances_BI[1])


@BOTH
def test_states_that_are_asked_for_are_those_of_all(name: str, fitted: Callable[..., Recommender]) -> None:
    model = fitted(name)
    lists = [[3, 4, 5], [7, 8], [1], [9, 10, 11, 12]]
    expected_BD = torch.stack([states_TD[-1] for states_TD in hidden(model, lists)])
    with torch.inference_mode():
        found_BD = newest_states(model.network_, Histories.from_lists(lists), model.config.max_items)
    torch.testing.assert_close(found_BD, expected_BD, atol=1e-5, rtol=0)
