"""A decoder's checkpoint as a prefix language model: its own numbers where it looks back only, and both ways else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import POSITIONS
from genrec.backbones.base import Prefix
from genrec.backbones.prefix import INTRA
from genrec.backbones.pretrained_prefix import PretrainedPrefixBackbone
from torch import Tensor
from transformers import AutoModelForCausalLM

START = 1
SOURCE_BT = torch.tensor([[5, 9, 40, 7, 33, 8], [11, 4, 60, 2, 2, 2]])
LENGTH_B = torch.tensor([6, 3])


def backbone(checkpoint: str, **options: object) -> PretrainedPrefixBackbone:
    torch.manual_seed(0)
    usual: dict[str, object] = {"start_token": START, "tuning": "full"}
    return PretrainedPrefixBackbone(checkpoint, **(usual | options)).eval()  # type: ignore[arg-type]


def prefix(both_ways: bool, source_BT: Tensor = SOURCE_BT) -> Prefix:
    place_BT = torch.arange(source_BT.shape[1]).expand_as(source_BT)
    return Prefix(
        source_BT,
        torch.zeros_like(source_BT),
        place_BT * INTRA,
        LENGTH_B,
        (LENGTH_B - 1) * INTRA + 2,  # the mask is the last token
        reach_BT=None if both_ways else place_BT + 1,
    )


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "gpt_neox"])
def test_looking_back_only_it_is_the_checkpoint(checkpoint: Callable[[str], str], family: str) -> None:
    model = backbone(checkpoint(family))
    original = AutoModelForCausalLM.from_pretrained(checkpoint(family)).eval()
    reading = model.prefill(prefix(both_ways=False))
    answer_BT = torch.tensor([[21, 22], [23, 24]])
    visible_B1K = torch.cat([reading.visible_BK, torch.ones((2, 2), dtype=torch.bool)], dim=1)[:, None]
    mask_BTK = visible_B1K.repeat(1, 2, 1)
    mask_BTK[:, 0, -1] = False
    positions_BT = (LENGTH_B - 1)[:, None] * INTRA + torch.tensor([2, 3])
    states_BTD = model.hidden(answer_BT, answer_BT * 0, positions_BT, mask_BTK, reading.cache)
    for row, length in enumerate(LENGTH_B.tolist()):
        whole = torch.cat([SOURCE_BT[row, :length], torch.tensor([START]), answer_BT[row]])
        expected_TV = original(whole[None]).logits[0, length:]
        found_TD = torch.cat([reading.hidden_BD[row][None], states_BTD[row]])
        torch.testing.assert_close(found_TD @ model.vocabulary_vectors().T, expected_TV, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_source_is_read_both_ways(checkpoint: Callable[[str], str]) -> None:
    model = backbone(checkpoint("llama"))
    changed_BT = SOURCE_BT.clone()
    changed_BT[0, 5] = 12

    def first_keys(source_BT: Tensor, both_ways: bool) -> Tensor:
        """Of the first token in the second layer, which has heard of the others in the first."""
        return model.prefill(prefix(both_ways, source_BT)).cache.layers[1].keys[0, :, 0]

    assert not torch.allclose(first_keys(SOURCE_BT, True), first_keys(changed_BT, True), atol=1e-4)
    torch.testing.assert_close(first_keys(SOURCE_BT, False), first_keys(changed_BT, False))
    # What stands behind the end of a source is seen by nobody.
    padded_BT = SOURCE_BT.clone()
    padded_BT[1, 3:] = 50
    one, other = model.prefill(prefix(True)).hidden_BD, model.prefill(prefix(True, padded_BT)).hidden_BD
    torch.testing.assert_close(one, other)


@torch.no_grad()
def test_both_positions_have_vectors_that_are_kept(checkpoint: Callable[[str], str], tmp_path: Path) -> None:
    model = backbone(checkpoint("llama"), tuning="lora")
    assert model.position_vectors is not None
    plain_BD = backbone(checkpoint("llama"), tables=False).prefill(prefix(True)).hidden_BD
    torch.testing.assert_close(model.prefill(prefix(True)).hidden_BD, plain_BD)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert "position_vectors.weight" in trained
    assert all("lora" in name or name == "position_vectors.weight" for name in trained)
    for row in (3, model.max_positions + 1):  # an inter-position and an intra-position
        model.position_vectors.weight[row] = 0.5 * torch.randn(32)
        told_BD = model.prefill(prefix(True)).hidden_BD
        assert not torch.allclose(told_BD[0], plain_BD[0], atol=1e-3)
        plain_BD = told_BD
        if row == 3:
            before_D = model.prefill(prefix(True)).hidden_BD[1]
            torch.testing.assert_close(
                before_D, backbone(checkpoint("llama")).prefill(prefix(True)).hidden_BD[1]
            )
    model.save(tmp_path)
    again = PretrainedPrefixBackbone.load(tmp_path).eval()
    assert again.start_token == START
    torch.testing.assert_close(again.prefill(prefix(True)).hidden_BD, plain_BD)


def test_the_papers_layers_are_tuned_where_they_are_there(checkpoint: Callable[[str], str]) -> None:
    def tuned(family: str) -> set[str]:
        model = backbone(checkpoint(family), tuning="lora")
        return {
            name.split(".lora_")[0].rsplit(".", 1)[-1]
            for name, _ in model.named_parameters()
            if "lora_" in name
        }

    assert tuned("gpt_neox") == {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}
    assert tuned("llama") == {"q_proj", "v_proj"}


@torch.no_grad()
def test_a_long_answer_does_not_leave_the_table_of_positions(checkpoint: Callable[[str], str]) -> None:
    model = backbone(checkpoint("gpt2"))
    tokens_BT = torch.zeros((1, 1), dtype=torch.long)
    last, beyond = (
        model.hidden(tokens_BT, tokens_BT, torch.tensor([[(POSITIONS - 1) * INTRA + more]]))
        for more in (0, 40)
    )
    torch.testing.assert_close(last, beyond)
