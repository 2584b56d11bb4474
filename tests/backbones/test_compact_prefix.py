"""The compact prefix language model: answers side by side against answers alone, and what its positions tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact_prefix import CompactPrefixBackbone
from genrec.backbones.prefix import INTRA
from genrec.errors import ConfigError
from torch import Tensor

VOCABULARY, NUM_NODES, START = 12, 20, 3
LENGTHS = torch.tensor([7, 3, 9])
REACH = torch.tensor([[7, 4], [3, 3], [9, 5]])
Batch = dict[str, Tensor]


def backbone(**options: object) -> CompactPrefixBackbone:
    """A random one, with weights large enough to tell inputs apart."""
    torch.manual_seed(0)
    sizes = {"depth": 2, "width": 32, "dropout": 0.0, "num_nodes": NUM_NODES, "max_positions": 32}
    model = CompactPrefixBackbone(VOCABULARY, start_token=START, **(sizes | options))  # type: ignore[arg-type]
    if model.position_vectors is not None:  # as training leaves them: they begin at zero
        torch.nn.init.normal_(model.position_vectors.weight, std=0.02)
    for weight in model.parameters():
        if weight.dim() == 2:
            weight.data *= 6
    return model.eval()


def make_batch() -> Batch:
    """Sources that are read both ways, and two answers of 2 and 3 tokens after each, one behind a mask inside."""
    generator = torch.Generator().manual_seed(1)

    def numbers(below: int, length: int) -> Tensor:
        return torch.randint(below, (3, length), generator=generator)

    step = torch.tensor([0, 1, 2, 0, 1, 2, 3])
    answer = torch.tensor([0, 0, 0, 1, 1, 1, 1]).repeat(3, 1)
    inter = torch.tensor([[7, 3], [3, 1], [9, 2]]).repeat_interleave(torch.tensor([3, 4]), dim=1)
    tokens, nodes = numbers(VOCABULARY, 7), numbers(NUM_NODES, 7)
    tokens[:, step == 0], nodes[:, step == 0] = START, 0
    return {
        "source_tokens": numbers(VOCABULARY, 9),
        "source_nodes": numbers(NUM_NODES, 9),
        "source_positions": torch.arange(9) * INTRA + numbers(4, 9),
        "source_words": torch.zeros(3, 9, dtype=torch.int64),
        "source_reach": torch.where(torch.arange(9) < LENGTHS[:, None], LENGTHS[:, None], 1),
        "tokens": tokens,
        "nodes": nodes,
        "positions": inter * INTRA + 1 + step,
        "sees": answer,
        "reach": REACH.repeat_interleave(torch.tensor([3, 4]), dim=1),
    }


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"tables": False}])
@torch.no_grad()
def test_answers_side_by_side_are_those_asked_alone(options: dict[str, bool]) -> None:
    model, batch = backbone(**options), make_batch()
    batch["reach"] = LENGTHS[:, None].repeat(1, 7)
    together = model(batch)
    for row, length in enumerate(LENGTHS.tolist()):
        for start, end in ((0, 3), (3, 7)):
            prefix = Prefix(
                *(
                    batch[f"source_{name}"][row : row + 1, :length]
                    for name in ("tokens", "nodes", "positions")
                ),
                length_B=torch.tensor([length]),
                start_B=batch["positions"][row : row + 1, start + 1],
            )
            reading = model.prefill(prefix)
            assert_close(reading.hidden_BD[0], together[row, start])
            visible_BK = reading.visible_BK
            for place in range(start + 1, end):
                visible_BK = torch.cat([visible_BK, torch.ones(1, 1, dtype=torch.bool)], dim=1)
                one = [
                    batch[name][row : row + 1, place : place + 1] for name in ("tokens", "nodes", "positions")
                ]
                hidden_BTD = model.hidden(*one, visible_BK[:, None], reading.cache)
                assert_close(hidden_BTD[0, 0], together[row, place])


@torch.no_grad()
def test_a_source_is_read_both_ways_as_far_as_it_may() -> None:
    model, batch = backbone(), make_batch()
    before = model(batch)
    for place in range(9):
        changed = batch | {"source_tokens": batch["source_tokens"].clone()}
        changed["source_tokens"][:, place] = (changed["source_tokens"][:, place] + 1) % VOCABULARY
        difference_BL = (model(changed) - before).abs().amax(dim=2)
        # Every token of a source saw all of it, so an answer that sees any of it depends on all.
        assert ((difference_BL > 1e-4) == (place < LENGTHS)[:, None]).all()
    blind = batch | {"source_reach": torch.minimum(torch.arange(9) + 1, LENGTHS[:, None])}
    before = model(blind)
    blind["source_tokens"] = blind["source_tokens"].clone()
    blind["source_tokens"][:, 8] = (blind["source_tokens"][:, 8] + 1) % VOCABULARY
    difference_BL = (model(blind) - before).abs().amax(dim=2)
    assert (difference_BL[2, :3] > 1e-4).all()
    assert (difference_BL[2, 3:] < 1e-6).all()


@torch.no_grad()
def test_both_positions_tell() -> None:
    batch = make_batch()
    for model in (backbone(), backbone(tables=False)):
        before = model(batch)
        for moved in (INTRA, 1):
            after = model(batch | {"positions": batch["positions"] + moved})
            assert (after - before).abs().amax() > 1e-3


def test_tables_begin_at_zero_and_each_row_tells() -> None:
    fresh = CompactPrefixBackbone(VOCABULARY, width=32, max_positions=32)
    assert fresh.position_vectors is not None
    assert not fresh.position_vectors.weight.any()
    model, batch = backbone(), make_batch()
    assert model.position_vectors is not None
    with torch.no_grad():
        for row in (7, 3, 32 + 1, 32 + 3):  # inter-positions of answers, then intra-positions
            before = model(batch)
            model.position_vectors.weight[row] += 1.0
            assert (model(batch) - before).abs().amax() > 1e-3


@torch.no_grad()
def test_places_of_an_answer_follow_its_mask() -> None:
    model, batch = backbone(tables=False), make_batch()
    before = model(batch)
    # One place further on in the text is as far as one place further on in the answer, but not for what is read.
    moved = batch | {"positions": batch["positions"] + INTRA - 1}
    assert_close(model(moved), before)
    inside = batch | {"source_positions": batch["source_positions"] // INTRA * INTRA}
    assert_close(model(inside), before)


def test_everything_learns() -> None:
    model, batch = backbone().train(), make_batch()
    model(batch).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.to_dense().abs().sum() > 0, name


@torch.no_grad()
@pytest.mark.parametrize("tables", [True, False])
def test_save_and_load(tmp_path: Path, tables: bool) -> None:
    model, batch = backbone(tables=tables), make_batch()
    model.save(tmp_path)
    assert_close(CompactPrefixBackbone.load(tmp_path).eval()(batch), model(batch))


def test_a_model_of_another_version_is_refused(tmp_path: Path) -> None:
    backbone().save(tmp_path)
    path = tmp_path / "compact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rotary": True}))
    with pytest.raises(ConfigError, match=r"an argument 'rotary': train it anew, or go on with that version"):
        CompactPrefixBackbone.load(tmp_path)
