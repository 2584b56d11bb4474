"""The processes that train together, as `torchrun` or `accelerate launch` started them; most often one.

Each takes its rows of every batch and their gradients are added up, so that an update is the same whatever their
number, but for rounding. Not torch's DistributedDataParallel: it takes no look-ups whose gradients are rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from genrec.training.mixture import Batch
from genrec.training.objectives import Loss

T = TypeVar("T")


class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number; the first one, 0, writes files and reports.
        count: how many there are.
    """

    def __init__(self) -> None:
        from accelerate import Accelerator  # here, as recommenders that only answer train nothing

        self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes

    def part(self, batch: Batch, loss: Loss) -> tuple[Batch, float]:
        """This process's rows of a batch, and their share of its items."""
        if self.count == 1:
            return batch, 1.0
        rows = {name: rows_B[self.rank :: self.count] for name, rows_B in batch.items()}
        return rows, loss.num_items(rows) / max(1, loss.num_items(batch))

    def add_up(self, loss: Tensor, weights: Sequence[nn.Parameter]) -> Tensor:
        """Leave the sum of the gradients of all processes with each; the sum of their losses."""
        if self.count == 1:
            return loss
        parts = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        there = torch.tensor([weight.grad is not None for weight in weights], device=loss.device)
        # One message: weights that no process has a gradient of keep none.
        sums = self._accelerator.reduce(torch.cat([loss[None], there, *map(torch.flatten, parts)]), "sum")
        loss, there, *parts = sums.split([1, len(weights), *map(torch.numel, parts)])
        for weight, part, known in zip(weights, parts, there.tolist(), strict=True):
            weight.grad = part.view_as(weight).to(weight.dtype) if known else None
        return loss[0]

    def agreed(self, value: T) -> T:
        """What the first process has for `value`."""
        from accelerate.utils import broadcast_object_list

        found: list[T] = broadcast_object_list([value])
        return found[0]

    def wait(self) -> None:
        """Wait for the others."""
        self._accelerator.wait_for_everyone()
