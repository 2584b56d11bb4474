"""Items known by their words: bags, composed vectors, and the models that read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import polars as pl
import pytest
import torch
from genrec.backbones.item_vectors import Bags, ItemVectors
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create
from genrec.recommenders.features import Vocabulary
from genrec.recommenders.sasrec import ItemLoss
from genrec.testing import interactions
from genrec.training.sequences import ItemSteps

BOTH = pytest.mark.parametrize("name", ["sasrec", "bsarec"])
COLOURS = ["red", "green", "blue", "black"]
FEATURES = ("title", "beginnings", "attributes")


def shop() -> Catalogue:
    """24 items of four colours, whose names say so."""
    titles = [f"{COLOURS[row % 4]} paint number {row}" for row in range(24)]
    return Catalogue.from_lists(
        [f"i{row}" for row in range(24)],
        titles,
        brand=["Acme" if row < 12 else None for row in range(24)],
        kinds=[["wall", "paint"] if row % 2 else ["paint"] for row in range(24)],
    )


@pytest.fixture(scope="module")
def train_data() -> Interactions:
    """Users who stay with their colour."""
    lists = [
        [4 * ((user + step) % 5) + user % 4 for step in range(5)] for user in range(80)
    ]  # rows 20 to 23: never
    return replace(interactions(lists, 24), catalogue=shop())


def small(name: str, **options: Any) -> Recommender:
    defaults = {
        "width": 16,
        "max_items": 6,
        "epochs": 30,
        "batch_size": 16,
        "evaluations": 1,
        "learning_rate": 1e-2,
        "dropout": 0.1,
        "features": FEATURES,
        "own_dropout": 0.2,
        "sampled_items": 8,
        "lr_scheduler_type": "linear",
        "bf16": False,
    }
    return create(name, **(defaults | options))


def test_a_vocabulary_has_the_words_of_several_items() -> None:
    words = Vocabulary.of(shop(), FEATURES).kinds
    assert words["title"] == [
        "red",
        "paint",
        "number",
        "green",
        "blue",
        "black",
    ]  # no number is in two titles
    assert words["title:beginnings"][:3] == ["red", "red paint", "red paint number"]
    assert words["brand"] == ["acme"]
    assert words["kinds"] == ["paint", "wall"]
    assert Vocabulary.of(shop(), ("attributes",)).kinds.keys() == {"brand", "kinds"}


def test_a_vocabulary_reads_other_catalogues_and_comes_back(tmp_path: Path) -> None:
    vocabulary = Vocabulary.of(shop(), ("title", "attributes"))
    vocabulary.save(tmp_path / "features.json")
    other = Catalogue.from_lists(["new"], ["Red GREEN mauve paint"])  # no brand, no kinds
    bags = Vocabulary.load(tmp_path / "features.json").bags(other)
    assert bags.num_words == 6 + 1 + 2
    assert bags.words[0].tolist() == [0, 3, 1]
    np.testing.assert_allclose(bags.weights, 1 / np.sqrt(3))


def test_joined_bags_hold_each_kind_side_by_side() -> None:
    one, other = Bags.of_lists([[0], [], [1, 0]], 2), Bags.of_lists([[], [2], [0]], 3)
    both = Bags.joined([one, other])
    assert [row.tolist() for row in both.words] == [[0], [4], [1, 0, 2]]
    np.testing.assert_allclose(both.weights, [1, 1, 0.5**0.5, 0.5**0.5, 1], rtol=1e-6)
    assert both.num_words == 5


def test_a_vector_is_that_of_the_item_and_those_of_its_words() -> None:
    bags = Bags.joined([Bags.of_lists([[0, 1], [], [1]], 2), Bags.of_lists([[0], [0], []], 1)])
    vectors = ItemVectors(bags, 4, 1.0).eval()
    assert not vectors.own.any()  # with words, own vectors start at nought
    torch.nn.init.normal_(vectors.own)
    own, words = vectors.own.detach().clone(), vectors.words.detach()
    expected = torch.stack(
        [own[0] + (words[0] + words[1]) / 2**0.5 + words[2], own[1] + words[2], own[2] + words[1]]
    )
    with torch.no_grad():
        torch.testing.assert_close(vectors.table(), expected)
        torch.testing.assert_close(vectors(torch.tensor([2, 0])), expected[[2, 0]])
        vectors.own.zero_()
        torch.testing.assert_close(vectors.table(), expected - own)  # no table of before


def test_vectors_follow_every_step() -> None:
    """Fused optimisers count no change of a weight, so that a table of before would go unnoticed."""
    vectors = ItemVectors(Bags.of_lists([[0, 1], [1]], 2), 4, 1.0)
    optimizer = torch.optim.AdamW(vectors.parameters(), lr=0.1, fused=True)

    def table() -> torch.Tensor:
        vectors.eval()
        with torch.inference_mode():
            found = vectors.table()
            torch.testing.assert_close(found, vectors._of(torch.arange(2)))
        return found.clone()

    first = table()
    vectors.train().table().sum().backward()
    optimizer.step()
    assert not torch.equal(table(), first)


def test_own_vectors_are_left_out_in_training_alone() -> None:
    vectors = ItemVectors(Bags.of_lists([[0]] * 500, 1), 4, 1.0, own_dropout=0.5)
    torch.nn.init.ones_(vectors.own)
    torch.nn.init.zeros_(vectors.words)
    with torch.inference_mode():
        left_out = float((vectors.train().table().sum(dim=1) == 0).float().mean())
        assert 0.4 < left_out < 0.6
        assert bool((vectors.eval().table() == 1).all())


@BOTH
def test_items_of_no_training_are_found_by_their_words(name: str, train_data: Interactions) -> None:
    model = small(name).fit(train_data)
    histories = Histories.from_lists([[colour, 4 + colour, 8 + colour] for colour in range(4)])
    allowed = np.arange(24) >= 20
    found = model.rank(histories, 1, allowed=allowed).items_BK[:, 0]
    assert found.tolist() == [20, 21, 22, 23]
    model.add_items(
        pl.DataFrame({"item_id": ["n1", "n2"], "title": ["blue paint number 98", "red paint number 99"]})
    )
    new = np.arange(26) >= 24
    assert model.rank(histories.take(np.array([0, 2])), 1, allowed=new).items_BK[:, 0].tolist() == [25, 24]


@BOTH
def test_the_best_checkpoint_is_asked_with_its_own_vectors(name: str, train_data: Interactions) -> None:
    """A table of vectors is kept for many batches of users; that of the last validation is of other weights."""
    histories = train_data.histories
    asked = Targets(train_data.catalogue, train_data.users, histories, np.full(len(histories), 3, np.int32))
    model: Any = small(name, epochs=6, evaluations=6).fit(train_data, asked)
    vectors = model.network_.vectors
    with torch.inference_mode():
        torch.testing.assert_close(vectors.table(), vectors(torch.arange(24)), rtol=0, atol=0)


@BOTH
def test_what_is_saved_answers_alike(name: str, train_data: Interactions, tmp_path: Path) -> None:
    model = small(name, epochs=2).fit(train_data)
    histories = train_data.histories.take(np.arange(10))
    before = model.rank(histories, 5)
    after = genrec.load(model.save(tmp_path / "model")).rank(histories, 5)
    assert before.items_BK.tolist() == after.items_BK.tolist()
    np.testing.assert_array_equal(before.scores_BK, after.scores_BK)


def test_sampled_items_stand_for_the_others(train_data: Interactions) -> None:
    """With all others drawn, the loss among the sampled items is that among all."""
    model: Any = small("bsarec", epochs=1, dropout=0.0, own_dropout=0.0).fit(train_data)
    model.network_.train()
    steps = ItemSteps(train_data.histories, max_items=6, batch_size=4, num_epochs=1, seed=0)
    torch.manual_seed(0)

    def loss(count: int) -> float:
        return float(ItemLoss(torch.float32, count)(model.network_, steps[0]).detach())

    full = loss(0)
    assert loss(2000) == pytest.approx(full, rel=1e-5)
    some = [loss(6) for _ in range(300)]
    assert np.std(some) > 0
    assert np.mean(some) == pytest.approx(full, rel=0.02)


@BOTH
@pytest.mark.parametrize("sampled_items", [0, 8])
def test_an_item_that_nobody_took_is_its_words(
    name: str, sampled_items: int, train_data: Interactions
) -> None:
    """As a candidate it would only ever be wrong, and its own vector would learn that."""
    model: Any = small(name, epochs=3, sampled_items=sampled_items).fit(train_data)
    untrained = np.bincount(train_data.histories.items, minlength=24) == 0
    assert 0 < untrained.sum() < 12
    own = model.network_.vectors.own.detach()
    assert not own[untrained].any()
    assert own[~untrained].any(dim=1).all()
    model.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["blue paint number 98"]}))
    assert not model.network_.vectors.own[24].any()


def test_the_loss_is_among_the_candidates(train_data: Interactions) -> None:
    model: Any = small("bsarec", epochs=1, dropout=0.0, own_dropout=0.0).fit(train_data)
    batch = ItemSteps(train_data.histories, max_items=6, batch_size=4, num_epochs=1, seed=0)[0]
    candidate_I = torch.from_numpy(np.bincount(train_data.histories.items, minlength=24) > 0)
    network = model.network_.train()
    table = network.vectors.table()
    hidden = network(table[batch["items"]], batch["ages"], batch["segments"])[batch["targets"] >= 0]
    logits = (hidden @ table.T).masked_fill(~candidate_I, -torch.inf)
    expected = torch.nn.functional.cross_entropy(logits, batch["targets"][batch["targets"] >= 0])
    for count in (0, 2000):  # all of them, and so many draws that all are drawn
        found = ItemLoss(torch.float32, count, candidate_I)(network, batch)
        torch.testing.assert_close(found, expected)


def test_a_batch_may_hold_every_item() -> None:
    """Then nothing is drawn, and the loss is that among all."""
    data = interactions([[row % 6 for row in range(start, start + 6)] for start in range(6)], 6)
    model: Any = small("sasrec", epochs=1, dropout=0.0, own_dropout=0.0).fit(data)
    batch = ItemSteps(data.histories, max_items=6, batch_size=6, num_epochs=1, seed=0)[0]
    one, other = (ItemLoss(torch.float32, count)(model.network_, batch) for count in (8, 0))
    torch.testing.assert_close(one, other)


def test_own_vectors_cannot_be_left_out_where_nothing_else_is() -> None:
    with pytest.raises(ConfigError, match="name features"):
        create("sasrec", own_dropout=0.1)
