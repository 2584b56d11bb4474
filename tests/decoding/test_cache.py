"""What a memory knows after tokens were added, against the same tokens read at once."""

from __future__ import annotations

import pytest
import torch
from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.decoding.cache import SearchCache
from torch import Tensor

QUESTIONS = [[1, 5, 6, 7], [1, 8], [1, 9, 9, 9, 3]]
ANSWERS = [[4, 2], [], [6, 7, 8]]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(1)
    made = CompactBackbone(12, depth=2, width=32, dropout=0.0, num_nodes=12).eval()
    for weight in made.parameters():
        if weight.dim() == 2:
            weight.data *= 12
    return made


def table(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows side by side, padded, and their lengths."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), torch.tensor([*map(len, rows)])


def memory(backbone: Backbone, rows: list[list[int]]) -> SearchCache:
    tokens_BT, length_B = table(rows)
    positions_BT = torch.arange(tokens_BT.shape[1]).expand_as(tokens_BT)
    return SearchCache(backbone, Prefix(tokens_BT, tokens_BT, positions_BT, length_B, length_B))


def try_one(known: SearchCache) -> Tensor:
    """Run a token of each row in a slot of its own."""
    rows_R = torch.arange(len(known.start_R))
    zeros_R = torch.zeros_like(rows_R)
    hidden_RQD, _, _ = known.run(
        rows_R, zeros_R, zeros_R, zeros_R[:, None] + 5, zeros_R[:, None] + 5, zeros_R + 1
    )
    return hidden_RQD[:, 0]


@torch.inference_mode()
def test_what_follows_is_known_as_if_it_had_been_read(backbone: Backbone) -> None:
    known = memory(backbone, QUESTIONS)
    for first in (0, 1, 2):  # a token of each answer at a time
        try_one(known.fork())  # leaves no trace
        tokens_RL, length_R = table([answer[first : first + 1] for answer in ANSWERS])
        known.follow(tokens_RL, tokens_RL, length_R)
    whole = memory(backbone, [[*asked, *answer] for asked, answer in zip(QUESTIONS, ANSWERS, strict=True)])
    at_once = memory(backbone, QUESTIONS)
    tokens_RL, length_R = table(ANSWERS)
    at_once.follow(tokens_RL, tokens_RL, length_R)
    for one in (known, at_once):
        torch.testing.assert_close(one.hidden_RD, whole.hidden_RD, rtol=1e-4, atol=1e-4)
        assert one.start_R.tolist() == whole.start_R.tolist()
        torch.testing.assert_close(try_one(one), try_one(whole.fork()), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_forks_go_on_by_themselves(backbone: Backbone) -> None:
    known = memory(backbone, QUESTIONS)
    one, other = known.fork(), known.fork()
    tokens_RL, length_R = table(ANSWERS)
    one.follow(tokens_RL, tokens_RL, length_R)
    other.take(torch.tensor([1]))
    expected = try_one(memory(backbone, QUESTIONS))
    torch.testing.assert_close(try_one(known), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(try_one(other), expected[1:2], rtol=1e-4, atol=1e-4)
