"""A model that reads items: states, vectors of edges, other tries, and the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from genrec.backbones.item_encoder import Sizes
from genrec.backbones.item_reader import Encoder, ItemReader
from genrec.backbones.item_vectors import Bags
from genrec.data.interactions import Histories
from genrec.training.sequences import newest_states, pack
from torch import Tensor

NUM_TOKENS, NUM_NODES = 6, 5
ENCODERS = pytest.mark.parametrize("encoder", ["sasrec", "bsarec"])
LISTS = [[0, 1, 2, 3], [3], [2, 0], [1, 1, 2, 3, 0, 2, 1]]


def bags(num_items: int = 4, num_nodes: int = NUM_NODES) -> Bags:
    tokens = [[item % NUM_TOKENS, (item + 1) % NUM_TOKENS] for item in range(num_items)]
    nodes = [[1 + item % (num_nodes - 1)] for item in range(num_items)]
    return Bags.joined([Bags.of_lists(tokens, NUM_TOKENS), Bags.of_lists(nodes, num_nodes)])


def reader(encoder: Encoder) -> ItemReader:
    torch.manual_seed(0)
    made = ItemReader(bags(), NUM_TOKENS, encoder, Sizes(2, 16, 2, 0.0, 5)).eval()
    torch.nn.init.normal_(made.network.vectors.words)
    return made


@ENCODERS
@torch.no_grad()
def test_a_history_has_the_states_that_it_has_alone(encoder: Encoder) -> None:
    """Packed with others or not, and read from its newest items on."""
    model = reader(encoder)
    found_BD = newest_states(model.network, Histories.from_lists(LISTS), 5)
    for items, state_D in zip(LISTS, found_BD, strict=True):
        newest = torch.tensor([items[-5:]])
        vectors_1TD = model.network.vectors(newest[0])[None]
        ages_1T = torch.arange(newest.shape[1]).flip(0)[None]
        alone_1TD = model.network(vectors_1TD, ages_1T, torch.zeros_like(newest))
        torch.testing.assert_close(state_D, alone_1TD[0, -1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(
        found_BD[0], newest_states(model.network, Histories.from_lists([[1, 0, 2, 3]]), 5)[0]
    )


@ENCODERS
@torch.no_grad()
def test_a_batch_of_the_training_gives_these_states_too(encoder: Encoder) -> None:
    model = reader(encoder)
    lists = [items[-5:] for items in LISTS]
    batch, start_S = pack([torch.tensor(items).numpy() for items in lists], 5)
    states_ND = model(batch).flatten(0, 1)
    last_S = torch.tensor([start + len(items) - 1 for start, items in zip(start_S, lists, strict=True)])
    expected_BD = newest_states(model.network, Histories.from_lists(lists), 5)
    torch.testing.assert_close(states_ND[last_S], expected_BD, rtol=1e-4, atol=1e-5)


def test_an_edge_is_its_token_and_its_node() -> None:
    model = reader("sasrec")
    words = model.network.vectors.words
    tokens, nodes = torch.tensor([2, 5]), torch.tensor([1, 4])
    torch.testing.assert_close(model.edge_vectors(tokens, nodes), words[tokens] + words[NUM_TOKENS + nodes])


@ENCODERS
@torch.no_grad()
def test_moved_nodes_keep_their_vectors_and_new_ones_start_at_zero(encoder: Encoder) -> None:
    model = reader(encoder)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    new_node_of_old = torch.tensor([0, 2, -1, 1, 6])
    other = model.with_nodes(new_node_of_old, 7, bags(6, 7))
    words, old = other.network.vectors.words, model.network.vectors.words
    assert words.shape == (NUM_TOKENS + 7, 16)
    torch.testing.assert_close(words[:NUM_TOKENS], old[:NUM_TOKENS])
    for node, new in enumerate(new_node_of_old.tolist()):
        if new >= 0:
            torch.testing.assert_close(words[NUM_TOKENS + new], old[NUM_TOKENS + node])
    for node in (3, 4, 5):
        assert not words[NUM_TOKENS + node].any()
    assert len(other.network.vectors.table()) == 6
    # All else is shared, and the old one is as it was.
    assert other.nobody_D is model.nobody_D
    assert other.network.blocks is model.network.blocks
    assert len(model.network.vectors.table()) == 4
    assert before.keys() == model.state_dict().keys()
    assert all(weight.equal(before[name]) for name, weight in model.state_dict().items())


@ENCODERS
def test_what_is_saved_comes_back(encoder: Encoder, tmp_path: Path) -> None:
    model = reader(encoder)
    torch.nn.init.normal_(model.nobody_D)
    model.save(tmp_path / "reader")
    again = ItemReader.load(tmp_path / "reader", bags())

    def state(one: ItemReader) -> dict[str, Tensor]:
        return one.state_dict()

    assert state(again).keys() == state(model).keys()
    assert all(weight.equal(state(model)[name]) for name, weight in state(again).items())
    assert (again.encoder, again.sizes, again.num_tokens) == (encoder, model.sizes, NUM_TOKENS)


@ENCODERS
def test_everything_learns(encoder: Encoder) -> None:
    model = reader(encoder).train()
    batch, _ = pack([torch.tensor(items[-5:]).numpy() for items in LISTS], 5)
    tokens, nodes = torch.tensor([0, 1]), torch.tensor([1, 2])
    out = model(batch)[batch["segments"] >= 0] @ model.edge_vectors(tokens, nodes).T
    (out.softmax(1)[:, 0].sum() + (model.nobody_D @ model.edge_vectors(tokens, nodes).T).sum()).backward()
    without = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert without <= {"network.vectors.own", "network.norm.weight", "network.norm.bias"}
    assert not len(model.network.vectors.own)
