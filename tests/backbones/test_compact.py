from __future__ import annotations

from pathlib import Path

import pytest
import torch
from genrec.backbones.compact import CompactBackbone
from genrec.backbones.hardware import prepare_threads

TOKENS = torch.tensor([[1, 5, 6, 7, 8, 9], [1, 9, 8, 7, 0, 0]])
NODES = torch.tensor([[0, 3, 4, 5, 6, 7], [0, 7, 6, 5, 0, 0]])
POSITIONS = torch.arange(6).expand(2, -1)


def backbone(**options: float) -> CompactBackbone:
    torch.manual_seed(0)
    sizes = {"depth": 2, "width": 32, "dropout": 0.0, "num_nodes": 10}
    return CompactBackbone(20, **(sizes | options)).eval()  # type: ignore[arg-type]


def test_depth_sizes_everything() -> None:
    lm = CompactBackbone(20, depth=3).lm
    assert (lm.config.num_hidden_layers, lm.config.hidden_size) == (3, 192)
    assert lm.get_output_embeddings().weight is lm.model.embed_tokens.weight


@torch.no_grad()
def test_a_row_does_not_depend_on_padding_nor_on_what_follows() -> None:
    model = backbone()
    both = model.hidden(TOKENS, NODES, POSITIONS)
    alone = model.hidden(TOKENS[1:, :4], NODES[1:, :4], POSITIONS[1:, :4])
    torch.testing.assert_close(both[1:, :4], alone, atol=1e-5, rtol=1e-5)
    shorter = model.hidden(TOKENS[:1, :3], NODES[:1, :3], POSITIONS[:1, :3])
    torch.testing.assert_close(both[:1, :3], shorter, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_distances_between_positions_matter_and_gaps_cut_nothing_off() -> None:
    model = backbone()
    plain = model.hidden(TOKENS[:1], NODES[:1], POSITIONS[:1])
    shifted = model.hidden(TOKENS[:1], NODES[:1], POSITIONS[:1] + 100)
    torch.testing.assert_close(plain, shifted, atol=1e-4, rtol=1e-4)
    jumping = torch.tensor([[0, 1, 20, 21, 40, 41]])
    apart = model.hidden(TOKENS[:1], NODES[:1], jumping)
    assert (apart - plain).abs().max() > 1e-4
    # The first token is still seen by the last one, beyond both gaps.
    changed = TOKENS[:1].clone()
    changed[0, 0] = 2
    assert (model.hidden(changed, NODES[:1], jumping)[0, -1] - apart[0, -1]).abs().max() > 1e-4


@torch.no_grad()
def test_mask_and_cache_give_what_one_pass_gives() -> None:
    model = backbone()
    expected = model.hidden(TOKENS, NODES, POSITIONS)
    causal = torch.ones(6, 6, dtype=torch.bool).tril().expand(2, -1, -1)
    torch.testing.assert_close(model.hidden(TOKENS, NODES, POSITIONS, causal), expected, atol=1e-5, rtol=1e-5)
    cache = model.new_cache()
    first = model.hidden(TOKENS[:, :4], NODES[:, :4], POSITIONS[:, :4], causal[:, :4, :4], cache)
    second = model.hidden(TOKENS[:, 4:], NODES[:, 4:], POSITIONS[:, 4:], causal[:, 4:], cache)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_in_a_step_of_a_search_is_left_out_and_changes_nothing() -> None:
    """Eight tokens, some of which only their own branch sees, and six that are none."""
    model, ran = backbone(), list[int]()
    model.lm.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda _, given, out: ran.append(out[..., 0].numel())
    )
    real_BT = torch.tensor([[True] * 6 + [False], [True] * 2 + [False] * 5])
    tokens_BT, nodes_BT = (torch.nn.functional.pad(one, (0, 1)) for one in (TOKENS, NODES))
    past_BTT = torch.ones(2, 7, 6, dtype=torch.bool) & real_BT[:, :, None]
    own_BTT = torch.ones(7, 7, dtype=torch.bool).tril() & (
        (torch.arange(7) % 2)[:, None] == torch.arange(7) % 2
    )
    mask_BTK = torch.cat([past_BTT, own_BTT.expand(2, -1, -1)], dim=2)
    found = []
    for real in (None, real_BT):
        cache = model.new_cache()
        model.hidden(TOKENS, NODES, POSITIONS, cache=cache)
        places_BT = (6 + torch.arange(7)).expand(2, -1)
        found.append(model.hidden(tokens_BT, nodes_BT, places_BT, mask_BTK, cache, real)[real_BT])
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-6)
    assert ran == [12, 14, 12, 8]


@torch.no_grad()
def test_node_vectors_stand_at_both_ends() -> None:
    model = backbone()
    assert model.node_vectors is not None
    edges = torch.tensor([4, 9])
    tokens = torch.tensor([6, 6])
    vectors = model.edge_vectors(tokens, edges)
    torch.testing.assert_close(vectors - model.vocabulary_vectors()[tokens], model.node_vectors.weight[edges])
    before = model.hidden(TOKENS, NODES, POSITIONS)
    model.node_vectors.weight[6] += 1
    after = model.hidden(TOKENS, NODES, POSITIONS)
    torch.testing.assert_close(after[0, :4], before[0, :4])  # node 6 is written later in this row
    assert (after[0, 4:] - before[0, 4:]).abs().min() > 0


@torch.no_grad()
def test_dropout_is_for_training_only() -> None:
    model = backbone(dropout=0.5)
    still = model.hidden(TOKENS, NODES, POSITIONS)
    assert model.hidden(TOKENS, NODES, POSITIONS).equal(still)
    model.train()
    torch.manual_seed(1)
    assert not model.hidden(TOKENS, NODES, POSITIONS).equal(model.hidden(TOKENS, NODES, POSITIONS))


@torch.no_grad()
@pytest.mark.parametrize("num_nodes", [0, 10])
def test_save_and_load(tmp_path: Path, capfd: pytest.CaptureFixture[str], num_nodes: int) -> None:
    model = backbone(num_nodes=num_nodes, dropout=0.1)
    model.save(tmp_path / "deep/folder")
    again = CompactBackbone.load(tmp_path / "deep/folder").eval()
    assert again.hidden(TOKENS, NODES, POSITIONS).equal(model.hidden(TOKENS, NODES, POSITIONS))
    assert again.arguments == model.arguments
    assert capfd.readouterr() == ("", "")


@torch.no_grad()
def test_moved_nodes_keep_their_vectors_and_new_ones_start_at_zero(tmp_path: Path) -> None:
    model = backbone(num_nodes=4)
    assert model.node_vectors is not None
    old = model.node_vectors.weight.clone()
    moved = model.with_nodes(torch.tensor([0, 3, -1, 1]), 6)
    expected = torch.zeros(6, 32)
    expected[[0, 3, 1]] = old[[0, 1, 3]]
    assert moved.node_vectors is not None
    assert moved.node_vectors.weight.equal(expected)
    assert model.node_vectors.weight.equal(old)  # the other one shares all but its node vectors
    assert model.arguments["num_nodes"] == 4
    assert moved.lm is model.lm
    moved.save(tmp_path)
    loaded = CompactBackbone.load(tmp_path).node_vectors
    assert loaded is not None
    assert loaded.weight.equal(expected)


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        prepare_threads(2)
        assert torch.get_num_threads() == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        prepare_threads(None)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
