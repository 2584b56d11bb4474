"""Weights of scores, fitted to what people took.

Shape suffixes: B users, b of them in a part, I what they may take, E scores of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.data.interactions import FloatArray

WORST = np.float32(-1e4)  # in place of -inf, whose product with a weight of 0 is no number


def fit_weights(
    parts: Sequence[Tensor], gone: Sequence[tuple[Tensor, Tensor]], taken_B: Tensor
) -> list[float]:
    """Weights (E,), none below 0, under which the softmax over what may be taken fits what was taken best.

    This is the conditional logit of McFadden (1974, https://eml.berkeley.edu/reprints/mcfadden/zarembka.pdf); the loss
    is convex, so there is one answer.

    Args:
        parts: finite scores (E, b, I) of some of the users after another.
        gone: of each part row and column of what cannot be taken.
        taken_B: the column of what was taken.
    """
    spread_E = torch.stack([part.std(dim=(1, 2)) for part in parts]).mean(dim=0)
    scale_E = torch.where(spread_E > 0, spread_E, torch.inf)  # what is the same for all has no say
    taken = torch.split(taken_B, [part.shape[1] for part in parts])

    def losses(weights_E: Tensor) -> Iterator[Tensor]:
        for part_EbI, gone_2, taken_b in zip(parts, gone, taken, strict=True):
            logits_bI = torch.einsum("e,ebi->bi", weights_E / scale_E, part_EbI)
            logits_bI = logits_bI.index_put(gone_2, logits_bI.new_tensor(float(WORST)))
            yield F.cross_entropy(logits_bI, taken_b, reduction="sum") / len(taken_B)

    found = minimum(losses, [1.0] * len(scale_E), [0.0] * len(scale_E))
    return [value / scale for value, scale in zip(found, scale_E.tolist(), strict=True)]


def minimum(
    losses: Callable[[Tensor], Iterator[Tensor]], start: Sequence[float], least: Sequence[float | None]
) -> list[float]:
    """Where a sum of convex functions of numbers of at least so much (None: any) is least, by L-BFGS-B."""
    # Here, as answers fit nothing and the import takes a third of a second.
    from scipy.optimize import minimize

    def value(numbers: FloatArray) -> tuple[float, FloatArray]:
        total = 0.0
        with torch.enable_grad():
            at = torch.tensor(numbers, dtype=torch.float32, device=device(), requires_grad=True)
            for loss in losses(at):
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
        assert at.grad is not None
        return total, at.grad.double().numpy(force=True)

    found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=[(low, None) for low in least])
    return [float(number) for number in found.x]
