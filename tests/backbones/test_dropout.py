from __future__ import annotations

import pytest
import torch
from genrec.backbones.dropout import Dropout, seed_dropout
from torch import nn


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_scale(p: float, dtype: torch.dtype) -> None:
    dropout = Dropout(p).train()
    seed_dropout(dropout, 0)
    x = torch.ones(1001, 999, dtype=dtype)  # no multiple of the eight bytes of a draw
    out = dropout(x)
    assert out.dtype == dtype
    rounded = min(max(round(256 * p), 1), 255) / 256
    assert abs((out == 0).float().mean() - rounded) < 2e-3
    torch.testing.assert_close(
        out[out != 0].float().unique(), torch.tensor([1 / (1 - rounded)]), rtol=4e-3, atol=0
    )
    # No row or column is favoured, and neighbours do not go together.
    kept = (out != 0).float()
    assert (kept.mean(0) - 1 + rounded).abs().max() < 0.1
    assert abs((kept[:, 1:] * kept[:, :-1]).mean() - (1 - rounded) ** 2) < 3e-3


def test_gradients_pass_where_numbers_pass() -> None:
    dropout = Dropout(0.5).train()
    x = torch.full((64, 64), 3.0, requires_grad=True)
    out = dropout(x)
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * 3, out)


def test_nothing_is_dropped_outside_training_nor_at_nought() -> None:
    x = torch.randn(5, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_a_seed_tells_every_mask_of_the_model() -> None:
    model = nn.Sequential(Dropout(0.5), nn.Identity(), Dropout(0.5)).train()
    x = torch.ones(40, 40)

    def drawn(*key: int) -> torch.Tensor:
        seed_dropout(model, *key)
        torch.rand(1)  # torch's own generator has no part in it
        return torch.stack([model(x), model(x)])

    first = drawn(1, 2, 3)
    assert drawn(1, 2, 3).equal(first)
    assert not first[0].equal(first[1])
    for other in ((1, 2, 4), (1, 3, 3), (2, 2, 3), (1, 3, 2)):
        assert not drawn(*other).equal(first)
