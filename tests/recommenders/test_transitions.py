"""Transitions against their definition, written out slowly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.read import read
from genrec.errors import CatalogueError, ConfigError
from genrec.evaluation.protocol import evaluate
from genrec.recommenders import transitions
from genrec.recommenders.base import create, load
from genrec.recommenders.tfidf import Tfidf
from genrec.recommenders.transitions import Transitions, close_pairs
from genrec.testing import interactions, toys
from hypothesis import given, settings
from hypothesis import strategies as st

NUM_ITEMS = 6
TITLES = ["Red Nail Polish", "Blue Polish", "Shampoo", "Red Shampoo", "Oil", "Brush"]
lists = st.lists(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=7), min_size=1, max_size=8)


def slow_counts(walks: list[list[int]], gap: int, reverse: float) -> np.ndarray:
    counts = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for walk in walks:
        for place, one in enumerate(walk):
            for distance, other in enumerate(walk[place + 1 : place + 1 + gap], start=1):
                if one != other:
                    counts[one, other] += 1 / distance
                    counts[other, one] += reverse / distance
    return counts


def slow_scores(walks: list[list[int]], history: list[int], model: Transitions) -> np.ndarray:
    """Scores (num_items,) of the transitions alone, by loops over the definition."""
    config = model.config
    taken = np.bincount([item for walk in walks for item in walk], minlength=NUM_ITEMS)
    scores = np.zeros(NUM_ITEMS)
    counts = slow_counts(walks, config.gap, config.reverse)
    for place, item in enumerate(reversed(history[-config.max_items :])):
        scores += config.decay**place * np.log1p(counts[item])
    return np.where(scores > 0, scores, taken / (taken.max() + 1) - 1)


@settings(max_examples=60, deadline=None)
@given(
    walks=lists,
    history=st.lists(st.integers(0, NUM_ITEMS - 1), max_size=5),
    reverse=st.sampled_from([0.0, 0.25, 0.7]),
)
def test_scores_follow_the_definition(walks: list[list[int]], history: list[int], reverse: float) -> None:
    model = Transitions(gap=3, max_items=3, decay=0.5, reverse=reverse)
    found = model.fit(interactions(walks, NUM_ITEMS))._score(Histories.from_lists([history]))
    np.testing.assert_allclose(found[0], slow_scores(walks, history, model), rtol=1e-5)


@pytest.mark.parametrize("gap", [1, 4, 12, 100])
def test_blocks_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch, gap: int) -> None:
    walks = np.random.default_rng(0).integers(0, NUM_ITEMS, (20, 15)).tolist()
    histories = Histories.from_lists(walks)
    monkeypatch.setattr(transitions, "BLOCK_PAIRS", 14)
    found = close_pairs(histories, NUM_ITEMS, gap, 0.25).toarray()
    np.testing.assert_allclose(found, slow_counts(walks, gap, 0.25), rtol=1e-5)


def test_equal_sums_tie_whatever_they_are_made_of() -> None:
    """A third three times is one, though not in floats: the first item of the catalogue leads."""
    walks = [[0, 4, 5, 1]] * 3 + [[0, 2]]
    counts = close_pairs(Histories.from_lists(walks), NUM_ITEMS, 3, 0.0).toarray()
    assert counts[0, 1] == counts[0, 2] == 1


def shop(walks: list[list[int]], titles: list[str] = TITLES) -> Interactions:
    return toys.interactions(walks, toys.catalogue(titles, brand=["Opi", "Opi", "Lush", "Lush", None, None]))


@pytest.mark.parametrize("history", [[0], [3, 1], [4, 0, 3, 2], [5]])
def test_text_adds_the_cosine_of_tfidf(history: list[int]) -> None:
    walks = [[0, 1, 2], [3, 4, 0], [5, 1]]
    histories = Histories.from_lists([history])
    words = Tfidf(weighting="tfidf", decay=0.5).fit(shop(walks))._score(histories)[0]
    total = sum(0.5**place for place in range(len(history)))
    both, alone = (
        Transitions(decay=0.5, text=text, text_weight=3.0).fit(shop(walks))._score(histories)[0]
        for text in ("tfidf", "none")
    )
    expected = np.maximum(alone, 0) + 3 * total * np.maximum(words, 0)
    np.testing.assert_allclose(both, np.where(expected > 0, expected, np.minimum(alone, 0)), rtol=1e-5)


def test_texts_count_by_a_power_of_their_sum() -> None:
    walks, histories = [[0, 1, 2], [3, 4, 0], [5, 1]], Histories.from_lists([[3, 1], [5]])
    whole, root = (Transitions(text="tfidf", text_power=power).fit(shop(walks)) for power in (1, 0.5))
    of_whole, of_root = (model._scores(histories) for model in (whole, root))
    assert (of_whole["text"] > 0).any()
    np.testing.assert_allclose(of_root["text"], np.sqrt(of_whole["text"]), rtol=1e-6)
    np.testing.assert_array_equal(of_root["transitions"], of_whole["transitions"])
    by_hand_BI = of_root["transitions"] + 2 * of_root["text"]
    np.testing.assert_allclose(root._score(histories)[by_hand_BI > 0], by_hand_BI[by_hand_BI > 0], rtol=1e-6)


def test_a_new_item_is_found_by_its_text_alone(tmp_path: Path) -> None:
    new = pl.DataFrame({"item_id": ["new"], "title": ["Oil for Heads"]})
    model = Transitions(text="tfidf").fit(shop([[2, 3], [0, 5]])).add_items(new)
    for found in (model, load(model.save(tmp_path / "model"))):
        assert [item.title for item in found.recommend([["Oil"]], k=1)[0].items] == ["Oil for Heads"]
    without = Transitions().fit(shop([[2, 3], [0, 5]])).add_items(new)
    assert without.recommend([["Oil"]], k=99)[0].items[-1].title == "Oil for Heads"


def test_a_newcomer_gets_what_is_popular() -> None:
    model = Transitions(text="tfidf").fit(shop([[3, 5], [3, 5], [3]]))
    assert model.rank(Histories.from_lists([[]]), NUM_ITEMS).items_BK[0].tolist() == [3, 5, 0, 1, 2, 4]


def test_items_without_titles_have_no_text_to_compare() -> None:
    bare = Catalogue(pl.DataFrame({"item_id": ["a", "b"], "title": ["a", "b"]}), titled=False)
    untitled = toys.interactions([[0, 1]], bare)
    with pytest.raises(CatalogueError, match=r"transitions with text=tfidf compares .* leave out text=tfidf"):
        Transitions(text="tfidf").fit(untitled)
    assert Transitions().fit(untitled).rank(Histories.from_lists([[0]]), 1).items_BK.tolist() == [[1]]


def test_more_pairs_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.data.memory.machine_bytes", lambda: 10**6)
    monkeypatch.setattr("genrec.data.memory._ALWAYS_THERE", 0)
    walks = Histories.from_lists([list(range(500))] * 20)
    with pytest.raises(ConfigError, match=r"100,000 pairs of items at most 5 places apart .* lower gap"):
        close_pairs(walks, 500, 5, 0.25)


def test_above_neighbours_on_real_films(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("ml-100k"))
    hr = {
        name: evaluate(create(name).fit(data.train).rank, data.validation, unfiltered=False).metrics["HR@10"]
        for name in ("itemknn", "transitions")
    }
    assert hr["transitions"] > 1.05 * hr["itemknn"]
