"""Windows of attention are counted along a text, wherever its tokens stand in a row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from genrec.backbones.attention import within_window
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.pretrained_prefix import PretrainedPrefixBackbone
from hypothesis import given
from hypothesis import strategies as st


@given(st.data(), st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_a_window_is_that_of_the_text_that_a_token_ends(
    data: st.DataObject, num_tokens: int, size: int, chunks: bool
) -> None:
    """A row is a tree: each token follows any earlier one, or begins a text."""
    texts: list[list[int]] = []  # of each token the columns of the text that it ends
    for place in range(num_tokens):
        parent = data.draw(st.integers(-1, place - 1))
        texts.append([*(texts[parent] if parent >= 0 else []), place])
    visible_TK = torch.zeros((num_tokens, num_tokens), dtype=torch.bool)
    expected_TK = torch.zeros_like(visible_TK)
    for place, text in enumerate(texts):
        visible_TK[place, text] = True
        first = (len(text) - 1) // size * size if chunks else max(0, len(text) - size)
        expected_TK[place, text[first:]] = True
    num_old = data.draw(st.integers(0, num_tokens - 1))  # keys of earlier calls
    found_TK = (visible_TK & within_window(visible_TK[None], size, chunks=chunks)[0])[num_old:]
    assert found_TK.equal(expected_TK[num_old:])
    found_TK = visible_TK[num_old:] & within_window(visible_TK[None, num_old:], size, chunks=chunks)[0]
    assert found_TK.equal(expected_TK[num_old:])


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3", "llama4"])
def test_beams_side_by_side_see_what_each_would_see_alone(
    checkpoint: Callable[[str], str], family: str
) -> None:
    """The window, of 8 tokens, ends in the history for one of the tokens and in the beam for another."""
    backbone = PretrainedBackbone(checkpoint(family), tuning="full").eval()
    history, beams = torch.arange(20, 29), [torch.arange(40, 52), torch.arange(60, 64), torch.arange(70, 79)]
    cache = backbone.new_cache()
    backbone.hidden(history[None], history[None] * 0, torch.arange(9)[None], cache=cache)
    tokens, number = torch.cat(beams), torch.tensor([0] * 12 + [1] * 4 + [2] * 9)
    step = torch.cat([torch.arange(len(beam)) for beam in beams])
    own_TT = (number == number[:, None]) & (step <= step[:, None])
    mask_TK = torch.cat([torch.ones((25, 9), dtype=torch.bool), own_TT], dim=1)
    together_TD = backbone.hidden(tokens[None], tokens[None] * 0, 9 + step[None], mask_TK[None], cache)[0]
    plain = backbone.lm.model
    for row, beam in enumerate(beams):
        alone_TD = plain(torch.cat([history, beam])[None]).last_hidden_state[0, 9:]
        torch.testing.assert_close(together_TD[number == row], alone_TD, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_source_that_is_read_both_ways_is_seen_within_the_window_to_either_side(
    checkpoint: Callable[[str], str],
) -> None:
    backbone = PretrainedPrefixBackbone(checkpoint("mistral"), tuning="full", tables=False).eval()

    def states(tokens_T: torch.Tensor) -> torch.Tensor:
        positions_BT = 1024 * torch.arange(len(tokens_T))[None]
        inputs_BTD = backbone.embedded(tokens_T[None], tokens_T[None])
        whole_BTT = torch.ones((1, len(tokens_T), len(tokens_T)), dtype=torch.bool)
        return backbone.states(inputs_BTD, positions_BT // 1024, whole_BTT, None)[0]

    tokens_T = torch.arange(20, 60)
    other_T = tokens_T.clone()
    other_T[20] = 90
    changed_T = (states(tokens_T) - states(other_T)).abs().amax(1) > 1e-7
    # Two layers with a window of 8 carry a change 7 tokens each.
    assert torch.nonzero(changed_T).squeeze(1).tolist() == list(range(20 - 14, 20 + 15))
