"""Free beams against every sequence of a tiny vocabulary."""

from __future__ import annotations

import itertools

import pytest
import torch
from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone
from genrec.recommenders.genrec_seq2seq.free import free_beams

VOCABULARY, END, LONGEST = 5, 1, 3


def prefix_of(lengths: list[int]) -> Prefix:
    length_B = torch.tensor(lengths)
    torch.manual_seed(1)
    shape = (len(lengths), max(lengths))
    positions_BT = torch.arange(shape[1]).expand(shape)
    return Prefix(
        torch.randint(VOCABULARY, shape), torch.zeros(shape).long(), positions_BT, length_B, length_B
    )


@pytest.fixture(params=["decoder", "encoder-decoder"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    kind = CompactBackbone if request.param == "decoder" else CompactSeq2SeqBackbone
    model = kind(VOCABULARY, depth=2, width=32, dropout=0.0).eval()
    for weight in model.parameters():
        weight.data *= 3  # uneven choices
    return model


@torch.inference_mode()
def log_p(backbone: Backbone, prefix: Prefix, row: int, tokens: list[int]) -> float:
    """Of one sequence, token by token, each asked for alone."""
    alone, total = prefix.take(torch.tensor([row])), 0.0
    length = int(alone.length_B)
    alone = Prefix(
        alone.tokens_BT[:, :length], alone.nodes_BT[:, :length], alone.positions_BT[:, :length],
        alone.length_B, alone.start_B,
    )  # fmt: skip
    prefilled = backbone.prefill(alone)
    hidden_D, visible_1K = prefilled.hidden_BD[0], prefilled.visible_BK
    for place, token in enumerate(tokens):
        total += float((hidden_D @ backbone.vocabulary_vectors().T).log_softmax(0)[token])
        visible_1K = torch.cat([visible_1K, torch.ones((1, 1), dtype=torch.bool)], 1)
        position = alone.start_B[:, None] + place
        hidden_D = backbone.hidden(
            torch.tensor([[token]]),
            torch.zeros((1, 1)).long(),
            position,
            visible_1K[:, None],
            prefilled.cache,
        )[0, 0]
    return total


def test_wide_beams_find_the_likeliest_of_all_sequences(backbone: Backbone) -> None:
    prefix = prefix_of([4, 2])
    others = [token for token in range(VOCABULARY) if token != END]
    ended = [list(text) for n in range(LONGEST) for text in itertools.product(others, repeat=n)]
    open_ones = [list(text) for text in itertools.product(others, repeat=LONGEST)]
    width = len(ended) + len(open_ones)
    found = free_beams(backbone, prefix, END, width, LONGEST)
    for row in range(2):
        expected = {tuple(text): log_p(backbone, prefix, row, [*text, END]) for text in ended}
        expected |= {tuple(text): log_p(backbone, prefix, row, text) for text in open_ones}
        assert {tuple(text) for text, _ in found[row]} == set(expected)
        for text, score in found[row]:
            assert score == pytest.approx(expected[tuple(text)], abs=1e-3)
        scores = [score for _, score in found[row]]
        assert scores == sorted(scores, reverse=True)


def test_one_beam_is_greedy_until_something_better_ended(backbone: Backbone) -> None:
    prefix = prefix_of([4, 2, 3])
    for row, beams in enumerate(free_beams(backbone, prefix, END, 1, LONGEST)):
        ((text, score),) = beams
        closed = text if len(text) == LONGEST else [*text, END]
        assert score == pytest.approx(log_p(backbone, prefix, row, closed), abs=1e-3)
