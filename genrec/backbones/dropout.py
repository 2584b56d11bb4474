"""Dropout that draws a byte a number on the CPU, from a generator of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets each number to nought with probability `p` in training, and scales the others so that means stay.

    torch's own draws a float for each number one after the other, a sixth of a training step of a small model on the
    CPU; a byte each is eight numbers a draw. There `p` is rounded to a 256th, and the scale goes by the rounded
    share. Elsewhere this is torch's dropout.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None  # None: torch's own for the whole process

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        if not x.is_cpu:
            return F.dropout(x, self.p)
        dropped = min(max(round(256 * self.p), 1), 255)  # of 256 bytes
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(
            -(2**63), None, generator=self.generator
        )
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(dropped)
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def mixed(*key: int) -> int:
    """A seed for torch that depends on all of `key`."""
    seed = 0
    for part in key:
        seed = (seed * 1_000_003 + part + 1) % 2**63
    return seed


def seed_dropout(model: nn.Module, *key: int) -> None:
    """Let every `Dropout` of the model draw from one generator that depends on `key` alone."""
    generator = torch.Generator().manual_seed(mixed(*key))
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
