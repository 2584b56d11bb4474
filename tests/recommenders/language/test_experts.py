"""Experts beside the language model: their weights, and the lists written with them, against explicit softmaxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from genrec import testing
from genrec.data.interactions import FloatArray, Histories, Interactions, Targets
from genrec.decoding.constraint import TrieTensors
from genrec.decoding.prior import LEAST, Prior
from genrec.recommenders.base import Recommender, create, load
from genrec.recommenders.language.experts import Decisions, Experts
from genrec.recommenders.popular import Popular
from genrec.testing import ring, targets
from small_writer import NUM_ITEMS, SMALL, TITLES

NONE = np.zeros(NUM_ITEMS, bool)
BSAREC = {"width": 16, "depth": 1, "epochs": 3, "max_items": 8, "bf16": False, "features": ("title",)}


class Scores(Popular):
    """Recommends by a table of scores of the last item of a history."""

    table_II: FloatArray
    more: dict[str, FloatArray]

    def _score(self, histories: Histories) -> FloatArray:
        return self._scores(histories)[self.name]

    def _scores(self, histories: Histories) -> dict[str, FloatArray]:
        last = [int(items[-1]) if len(items) else 0 for items in histories]
        return {name: table[last] for name, table in self.more.items()}


def scores(data: Interactions, **tables: FloatArray) -> Scores:
    model = Scores().fit(data)
    model.more = {name: table.astype(np.float32) for name, table in tables.items()}
    return model


@pytest.fixture(scope="module")
def data() -> Interactions:
    return ring(TITLES, num_users=60, length=5)


def steps(true_II: FloatArray, count: int = 400) -> Targets:
    """Users of one item, and what they take with the probabilities of these logits; never the same item again."""
    rng = np.random.default_rng(1)
    logits_II = np.where(np.eye(NUM_ITEMS, dtype=bool), -np.inf, true_II)
    chance_II = np.exp(logits_II) / np.exp(logits_II).sum(axis=1, keepdims=True)
    lasts = rng.integers(NUM_ITEMS, size=count)
    taken = [int(rng.choice(NUM_ITEMS, p=chance_II[last])) for last in lasts]
    return targets([[int(last)] for last in lasts], taken, TITLES)


def loss(experts: Experts, asked: Targets, weights: Sequence[float]) -> float:
    """What the items cost on average under these weights, among all that is not in the history."""
    tables_EII = np.stack([table for model in experts.models for table in model.more.values()])  # type: ignore[attr-defined]
    total = 0.0
    for history, item in zip(asked.histories, asked.items, strict=True):
        logits_I = np.tensordot(weights, tables_EII[:, history[-1]].astype(float), 1)
        logits_I[history] = -np.inf
        total -= logits_I[item] - np.logaddexp.reduce(logits_I)
    return total / len(asked)


def test_fitted_weights_are_where_the_loss_is_least(data: Interactions) -> None:
    rng = np.random.default_rng(0)
    one, other, noise = 3 * rng.normal(size=(3, NUM_ITEMS, NUM_ITEMS))
    experts = Experts.of([scores(data, one=one, noise=noise), scores(data, other=100 * other)], NONE)
    assert experts.weights == {"one": 1.0, "noise": 0.0, "other": 0.0}  # nothing is known of them yet
    asked = steps(0.5 * one + 0.2 * other)
    found = experts.fitted(asked, 64)
    assert list(found.weights) == ["one", "noise", "other"]
    assert found.weights["one"] == pytest.approx(0.5, rel=0.15)
    assert found.weights["other"] == pytest.approx(0.002, rel=0.2)
    assert 0 <= found.weights["noise"] < 0.05
    least = loss(experts, asked, list(found.weights.values()))
    for place, value in enumerate(found.weights.values()):
        for change in (-0.02, 0.02):
            others = list(found.weights.values())
            others[place] = max(0.0, value + change / (100 if place == 2 else 1))
            assert loss(experts, asked, others) >= least - 1e-6
    whole = experts.fitted(asked, 1000)
    assert list(whole.weights.values()) == pytest.approx(list(found.weights.values()), rel=0.02, abs=1e-3)


UNTRAINED = np.arange(NUM_ITEMS) >= 14


def parted(asked: Targets) -> tuple[Targets, Targets]:
    """Users who took an item that was trained, and the others."""
    taken_B = UNTRAINED[asked.items]
    return asked.take(np.flatnonzero(~taken_B)), asked.take(np.flatnonzero(taken_B))


def test_weights_of_untrained_items_are_where_the_loss_is_least(data: Interactions) -> None:
    """Of them one score says twice as much and another nothing, and they are taken less often."""
    one, other = 2 * np.random.default_rng(0).normal(size=(2, NUM_ITEMS, NUM_ITEMS))
    truth = np.where(UNTRAINED, one - 1.5, 0.5 * one + 0.5 * other)
    asked = steps(truth, 4000)
    experts = Experts.of([scores(data, one=one, other=other)], UNTRAINED)
    experts = replace(experts, weights={"one": 0.5, "other": 0.5})
    others, takers = parted(asked)
    found = experts.fitted_to_untrained(others, takers, 1.0, 64)
    assert found.weights == experts.weights
    assert found.untrained_weights["one"] == pytest.approx(1.0, abs=0.1)
    assert found.untrained_weights["other"] == pytest.approx(0.0, abs=0.1)
    assert found.untrained_bias == pytest.approx(-1.5, abs=0.2)
    logits_BI = found.logits(asked.histories, exclude_seen=False)
    last = [history[-1] for history in asked.histories]
    np.testing.assert_allclose(
        logits_BI[:, ~UNTRAINED], (0.5 * one + 0.5 * other)[last][:, ~UNTRAINED], rtol=1e-5
    )
    # A half of the others, each for two: the same but for chance.
    half = others.take(np.arange(0, len(others), 2))
    again = experts.fitted_to_untrained(half, takers, 2.0, 1000)
    assert again.untrained_bias == pytest.approx(found.untrained_bias, abs=0.2)


def test_few_who_took_untrained_items_change_little(data: Interactions) -> None:
    one = 2 * np.random.default_rng(0).normal(size=(NUM_ITEMS, NUM_ITEMS))
    experts = Experts.of([scores(data, one=one, flat=np.ones_like(one))], UNTRAINED)
    others, takers = parted(steps(np.where(UNTRAINED, 2 * one - 1, one), 4000))
    ratio = len(takers) / len(others)
    few, many = (
        experts.fitted_to_untrained(
            others.take(np.arange(round(count / ratio))), takers.take(np.arange(count)), 1.0, 64
        )
        for count in (2, len(takers))
    )
    assert abs(few.untrained_bias) < 0.5 < abs(many.untrained_bias)
    assert abs(few.untrained_weights["one"] - 1) < abs(many.untrained_weights["one"] - 1)
    assert many.untrained_weights["flat"] == 0  # it tells nothing apart


def test_what_speaks_against_an_item_gets_no_say(data: Interactions) -> None:
    table = 3 * np.random.default_rng(0).normal(size=(NUM_ITEMS, NUM_ITEMS))
    flat = np.full_like(table, 7.0)
    found = Experts.of([scores(data, one=table, against=-table, flat=flat)], NONE).fitted(steps(table), 64)
    assert found.weights["against"] == 0
    assert found.weights["flat"] == 0
    assert found.weights["one"] == pytest.approx(1, rel=0.2)


def test_scores_that_are_no_numbers_are_the_worst(data: Interactions) -> None:
    table = np.zeros((NUM_ITEMS, NUM_ITEMS))
    table[:, 3], table[:, 4], table[:, 5] = np.nan, -np.inf, np.inf
    experts = Experts.of([scores(data, one=table)], NONE)
    logits_I = experts.logits(Histories.from_lists([[0]]), exclude_seen=True)[0]
    assert np.isfinite(logits_I).all()
    assert logits_I[3] == logits_I[4] == logits_I[0] == logits_I.min() < 0 < logits_I[5]
    assert experts.logits(Histories.from_lists([[0]]), exclude_seen=False)[0, 0] == 0


def test_no_more_users_are_weighed_than_fit(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.eye(NUM_ITEMS)
    experts = Experts.of([scores(data, one=table, two=table, three=table)], NONE)
    monkeypatch.setattr("genrec.recommenders.language.experts._NUMBERS_HELD", 3 * NUM_ITEMS * 5)
    assert experts.most_users == 5


def test_balanced_weights_are_where_the_loss_is_least(data: Interactions) -> None:
    """The prior knows the taken child of a third of the decisions, the words that of another third."""
    torch.manual_seed(0)
    model: Any = create("genrec", **SMALL | {"prior": ()}).fit(data)
    trie: TrieTensors = model.ranker_.tensors
    width = int(trie.first_child_N1[1] - trie.first_child_N1[0])
    num_users = 60
    words_NC = torch.randn(num_users, width)
    taken_N = torch.randint(width, (num_users,))
    words_NC[torch.arange(20), taken_N[:20]] += 4
    words_NC = torch.cat([words_NC, torch.full((num_users, 3), -torch.inf)], dim=1)
    logits_BI = torch.randn(num_users, NUM_ITEMS)
    for row in range(20, 40):
        leaf = int(trie.first_leaf_N[trie.first_child_N1[0] + taken_N[row]])
        logits_BI[row, leaf] += 4
    prior = Prior.of_logits(trie, logits_BI)
    # In two groups, one of them out of order.
    parts = [torch.arange(30, num_users).flip(0), torch.arange(30)]
    decisions = [
        Decisions(row_N, torch.zeros_like(row_N), words_NC[row_N], taken_N[row_N]) for row_N in parts
    ]
    experts = Experts.of([scores(data, one=np.eye(NUM_ITEMS))], NONE)
    found = experts.balanced(decisions, prior)
    everyone = torch.arange(num_users)
    offset_NC = prior.offsets(everyone, torch.zeros_like(everyone), width)

    def cost(prior_weight: float, words_weight: float) -> float:
        logits_NC = prior_weight * offset_NC + words_weight * words_NC[:, :width]
        return float(torch.nn.functional.cross_entropy(logits_NC.double(), taken_N))

    assert found.prior_weight > 0.1
    assert found.words_weight > 0.1
    least = cost(found.prior_weight, found.words_weight)
    for change in (-0.03, 0.03):
        assert cost(found.prior_weight + change, found.words_weight) > least
        assert cost(found.prior_weight, found.words_weight + change) > least
    only_words = [replace(one, taken_N=one.logits_NC.argmin(dim=1).clamp_max(0)) for one in decisions]
    assert (
        min(vars(experts.balanced(only_words, prior))[name] for name in ("prior_weight", "words_weight")) >= 0
    )


@pytest.fixture(scope="module")
def weighed(data: Interactions) -> Recommender:
    """A writer with three scores in its prior; no test may change it."""
    options = {"prior": ("bsarec", "transitions"), "calibration_users": 40}
    options |= {"prior_options": {"bsarec": BSAREC, "transitions": {"text": "tfidf"}}}
    return create("genrec", **SMALL | options).fit(data, testing.next_of(data))


def test_lists_are_the_product_of_both_voices(weighed: Any) -> None:
    """p(item) by explicit softmaxes at every node on the way, with the mass below each child by adding up items."""
    histories = Histories.from_lists([[], [3], [4, 5, 6], [19, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
    trie, experts, reader = weighed.codebook_.trie, weighed.experts_, weighed.backbone_
    assert len(experts.weights) == 3
    assert sum(weight > 0 for weight in experts.weights.values()) >= 2
    logits_BI = sum(
        np.float64(experts.weights[name]) * np.nan_to_num(table_BI.astype(float))
        for model in experts.models
        for name, table_BI in model._scores(histories).items()
    )
    states_BD = weighed.questions(histories).states_BD.double()
    words = reader.network.vectors.words.detach().double()
    token_N, node_N = torch.from_numpy(trie.token_N).long().clamp_min(0), torch.arange(trie.num_nodes)
    vectors_ND = words[token_N] + words[reader.num_tokens + node_N]
    vectors_ND = vectors_ND.numpy()
    found = weighed.rank(histories, NUM_ITEMS, exclude_seen=True, exact=True)
    for row, history in enumerate(histories):
        logits_I = logits_BI[row].copy()
        logits_I[history] = -1e4
        chance_I = np.exp(logits_I - np.logaddexp.reduce(logits_I)) + LEAST
        mass_N = np.zeros(trie.num_nodes)
        for item, path in enumerate(trie.paths):
            mass_N[np.unique(path[path > 0])] += chance_I[item]
        log_p = np.zeros(NUM_ITEMS)
        for item, path in enumerate(trie.paths):
            for node in path[path > 0]:
                parent = trie.parent_N[node]
                children = np.arange(trie.first_child_N1[parent], trie.first_child_N1[parent + 1])
                both_C = experts.prior_weight * np.log(mass_N[children])
                both_C = both_C + experts.words_weight * (vectors_ND[children] @ states_BD[row].numpy())
                log_p[item] += both_C[node - children[0]] - np.logaddexp.reduce(both_C)
        assert np.logaddexp.reduce(log_p) == pytest.approx(0, abs=1e-9)
        kept = found.items_BK[row][found.items_BK[row] >= 0]
        assert sorted(kept.tolist()) == sorted(set(range(NUM_ITEMS)) - set(history.tolist()))
        likely = log_p[kept] > np.log(1e-7)  # the others are told apart by rounding
        np.testing.assert_allclose(found.scores_BK[row, : len(kept)][likely], log_p[kept][likely], atol=1e-4)
        np.testing.assert_allclose(found.scores_BK[row, : len(kept)], log_p[kept], atol=0.05)
        assert likely.sum() >= 1


def test_why_tells_both_voices(weighed: Any) -> None:
    history = ["i4", "i5"]
    for item in weighed.recommend([history], k=NUM_ITEMS, exact=True)[0].items:
        choices = weighed.why(history, item.item_id)
        assert np.prod([choice.probability for choice in choices]) == pytest.approx(
            item.probability, rel=1e-4
        )
        for choice in choices:
            assert choice.words is not None
            assert choice.items is not None
            assert 0 <= choice.words <= 1
            assert 0 <= choice.items <= 1


def test_the_note_tells_the_weights(weighed: Any) -> None:
    (note,) = weighed.notes()
    for name, weight in weighed.experts_.weights.items():
        assert f"{name} {weight:.3g}" in note
    assert f"the prior has {weighed.experts_.prior_weight:.3g}" in note


def test_everything_comes_back_from_the_disk(weighed: Any, tmp_path: Path) -> None:
    again: Any = load(weighed.save(tmp_path / "saved"))
    assert [model.name for model in again.experts_.models] == ["bsarec", "transitions"]
    for name in ("weights", "prior_weight", "words_weight", "untrained_weights", "untrained_bias"):
        assert getattr(again.experts_, name) == getattr(weighed.experts_, name)
    np.testing.assert_array_equal(again.experts_.untrained_I, weighed.experts_.untrained_I)


# -- items that were never trained, or come later ---------------------------------------------------------------

COLOURS = ("red", "green", "blue", "black")


@pytest.fixture(scope="module")
def coloured() -> Recommender:
    """Users stay with their colour; of each colour one item stands in validation alone. No test may change it."""
    titles = [f"{COLOURS[row % 4]} paint {row}" for row in range(24)]
    lists = [[4 * ((user + step) % 5) + user % 4 for step in range(4)] for user in range(80)]
    data = testing.interactions(lists, titles)
    taken = [20 + user % 4 if user % 5 == 0 else 4 * ((user + 4) % 5) + user % 4 for user in range(80)]
    bsarec = {**BSAREC, "epochs": 30, "own_dropout": 0.2, "dropout": 0.1, "batch_size": 16}
    bsarec |= {"learning_rate": 1e-2, "sampled_items": 8}
    options = {"prior": ("bsarec", "transitions"), "calibration_users": 40}
    options |= {"prior_options": {"bsarec": bsarec, "transitions": {"text": "tfidf"}}}
    asked = Targets(data.catalogue, data.users, data.histories, np.asarray(taken, np.int32))
    return create("genrec", **SMALL | options).fit(data, asked)


def test_items_that_nobody_took_in_training_have_weights_of_their_own(coloured: Any, tmp_path: Path) -> None:
    experts = coloured.experts_
    assert np.flatnonzero(experts.untrained_I).tolist() == [20, 21, 22, 23]
    assert experts.untrained_weights.keys() == experts.weights.keys()
    assert "(of 4 items that nobody took in training bsarec " in coloured.notes()[0]
    again: Any = load(coloured.save(tmp_path / "saved"))
    assert again.experts_.untrained_weights == experts.untrained_weights
    histories = Histories.from_lists([[colour, 4 + colour, 8 + colour] for colour in range(4)])
    found = coloured.rank(histories, 4)
    for colour, items in enumerate(found.items_BK.tolist()):
        assert 20 + colour in items[:3]  # with the two others of that colour


def test_the_language_model_forgets_that_they_were_never_taken(coloured: Any) -> None:
    reader, trie = coloured.backbone_, coloured.codebook_.trie
    nodes_ND = reader.network.vectors.words.detach()[reader.num_tokens :]
    trained = np.unique(np.concatenate([trie.paths[item] for item in range(20)]))
    untrained = np.setdiff1d(np.arange(trie.num_nodes), trained)
    assert len(untrained) >= 4
    assert not nodes_ND[untrained].any()
    assert nodes_ND[trained[trained > 0]].any(dim=1).all()


@pytest.mark.parametrize("names", [("genrec",), ("bsarec", "transitions")])
def test_an_item_that_comes_later_is_found_by_its_words(
    coloured: Any, tmp_path: Path, names: Sequence[str]
) -> None:
    model: Any = load(coloured.save(tmp_path / "saved"))
    model.add_items(pl.DataFrame({"item_id": ["n1", "n2"], "title": ["blue paint 98", "red paint 99"]}))
    assert model.experts_.untrained_I[24:].all()
    histories = Histories.from_lists([[2, 6, 10], [0, 4, 8], [3, 7, 11]])  # blue, red, black
    for name in names:
        one = model if name == "genrec" else {expert.name: expert for expert in model.experts_.models}[name]
        ranks = [found.tolist() for found in one.rank(histories, 26).items_BK]
        assert ranks[0].index(24) < 5 < ranks[0].index(25)
        assert ranks[1].index(25) < 5 < ranks[1].index(24)
        assert min(ranks[2].index(24), ranks[2].index(25)) >= 3
        new = np.arange(26) >= 24
        assert one.rank(histories, 1, allowed=new).items_BK[:2, 0].tolist() == [24, 25]


def test_edits_reach_every_expert(weighed: Any, tmp_path: Path) -> None:
    """In any order, saved in between or not; a title that comes back brings back the scores."""
    histories = Histories.from_lists([[], [3], [4, 5, 6]])
    new = pl.DataFrame({"item_id": ["n2", "n1"], "title": ["green paint 77", "blue lacquer"]})
    renamed = pl.DataFrame({"item_id": ["i3"], "title": ["violet paint"]})
    one: Any = load(weighed.save(tmp_path / "one")).add_items(new).remove_items(["i9"]).add_items(renamed)
    for model in one.experts_.models:
        assert model.catalogue.ids == one.catalogue.ids
        assert model.catalogue.titles == one.catalogue.titles
    other: Any = load(weighed.save(tmp_path / "other")).remove_items(["i9"]).add_items(renamed)
    other = load(other.save(tmp_path / "between")).add_items(new[::-1])
    found, expected = (model.rank(histories, NUM_ITEMS + 2) for model in (one, other))
    np.testing.assert_array_equal(found.items_BK, expected.items_BK)
    np.testing.assert_allclose(found.scores_BK, expected.scores_BK, atol=1e-5)
    old = pl.DataFrame({"item_id": ["i3", "i9"], "title": [TITLES[3], TITLES[9]]})
    back = load(weighed.save(tmp_path / "back")).add_items(renamed).remove_items(["i9"]).add_items(old)
    np.testing.assert_array_equal(back.rank(histories, 10).items_BK, weighed.rank(histories, 10).items_BK)
