"""How fast this machine is just now, and how long the demo takes by that."""

from __future__ import annotations

import time

_STEPS = 40
_ROWS, _WIDTH = 512, 128  # tokens of a small batch, and the width of a small model
DEMO_SAMPLES = 235.0
"""Time of `genrec demo` on the synthetic data, in samples: 43.5 s of one core where a sample took 0.186 s of it."""


def sample_seconds() -> float:
    """Time of a sample of what a training does: steps of a small model on one core.

    It runs against the clock on the wall, so that other work on the machine counts too.
    """
    import torch

    from genrec.backbones.hardware import torch_threads

    values_NW = torch.ones(_ROWS, _WIDTH) / _WIDTH
    up_WH = torch.full((_WIDTH, 4 * _WIDTH), 0.01, requires_grad=True)
    down_HW = torch.full((4 * _WIDTH, _WIDTH), 0.01, requires_grad=True)
    with torch_threads(1):
        begun = time.perf_counter()
        for _ in range(_STEPS):
            hidden_NH = torch.nn.functional.silu(values_NW @ up_WH)
            loss = (hidden_NH @ down_HW).log_softmax(dim=-1).mean()
            torch.autograd.grad(loss, [up_WH, down_HW])
        return time.perf_counter() - begun


def demo_seconds() -> float:
    """About how long `genrec demo` takes on the synthetic data, at the pace of just now."""
    return DEMO_SAMPLES * sample_seconds()


def told(seconds: float) -> str:
    """A time as a person would say it: about 50 seconds, about 4 minutes."""
    if seconds < 90:
        return f"about {max(round(seconds, -1), 10):.0f} seconds"
    return f"about {seconds / 60:.0f} minutes"
