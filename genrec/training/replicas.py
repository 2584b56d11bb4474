"""Several threads that learn from one batch: each a replica of the model, with the weights shared.

torch's own threads share out single operations and wait for each other in every one of them; the many small ones of
a small model gain nothing from that. A replica takes its share of the rows through forward and backward by itself,
while torch lets go of Python's lock. Weights are the same memory; gradients are each replica's own and are added
up in a fixed order, so that the result depends on the number of replicas and on nothing else. The same threads share
out the adding, and make the next batch while the weights are updated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from genrec.backbones.dropout import seed_dropout
from genrec.training.mixture import Batch, Batches
from genrec.training.objectives import Loss

Result = TypeVar("Result")


class Replicas:
    """A model and the replicas that learn beside it."""

    def __init__(self, model: nn.Module, loss: Loss, count: int) -> None:
        """Replicate.

        Args:
            model: the first replica; its gradients get the sum of all.
            loss: of a replica on its rows.
            count: replicas, the model among them.
        """
        self.loss = loss
        self.models = [model, *(_replica(model) for _ in range(count - 1))]
        self.gradients = [Gradients(weights) for weights in _shares(self.models)]
        threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(count - 1, initializer=torch.set_num_threads, initargs=(threads,))

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown()

    def seed(self, *key: int, first: int = 0) -> None:
        """Let dropout depend on `key` and the replica's number alone; `first` is the model's own."""
        for number, model in enumerate(self.models, start=first):
            seed_dropout(model, *key, number)

    def backward(self, batch: Batch, scale: float) -> Tensor:
        """Add the gradients of `scale` x the mean loss of the batch's items to the model's, and return that loss."""
        count = len(self.models)
        rows = len(next(iter(batch.values())))
        # Every count-th row: batches are sorted by length or filled alike, so that all parts cost about the same.
        parts = [
            {name: rows_B[start::count] for name, rows_B in batch.items()}
            for start in range(min(count, rows))
        ]
        num_items = [self.loss.num_items(part) for part in parts]
        weights = [scale * number / max(1, sum(num_items)) for number in num_items]
        losses = self._together(
            [
                partial(self._one, model, part, weight)
                for model, part, weight in zip(self.models, parts, weights, strict=False)
            ]
        )
        self._together([gradients.add_up for gradients in self.gradients])
        return torch.stack(losses).sum()

    def _together(self, work: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results of several pieces of work, the first done by this thread."""
        others = [self.pool.submit(piece) for piece in work[1:]]
        return [work[0](), *(other.result() for other in others)]

    def _one(self, model: nn.Module, part: Batch, weight: float) -> Tensor:
        model.train()
        loss = self.loss(model, part) * weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class Gradients:
    """Adds up the gradients of each weight, and turns the rows that look-ups left into whole tables.

    Optimisers and norms want tables. They are kept: to fill the memory of a fresh one costs several times as much as
    to clear an old one.
    """

    def __init__(self, weights: Sequence[tuple[nn.Parameter, ...]]) -> None:
        """Get ready.

        Args:
            weights: of each weight its parameter in every replica; the first one gets the sum.
        """
        self.weights = weights
        self.tables: dict[nn.Parameter, Tensor] = {}

    def add_up(self) -> None:
        """Leave the sum, dense, with the first replica, and nothing with the others."""
        for weight, *others in self.weights:
            found = [one.grad for one in (weight, *others) if one.grad is not None]
            for other in others:
                other.grad = None
            dense = [grad for grad in found if not grad.is_sparse]
            if found and not dense:
                if weight not in self.tables:
                    self.tables[weight] = torch.empty_like(weight, requires_grad=False)
                dense.append(self.tables[weight].zero_())
            if dense:
                weight.grad = dense[0]
            for grad in dense[1:]:
                dense[0].add_(grad)
            for grad in found:
                if grad.is_sparse:
                    dense[0].index_add_(0, grad._indices()[0], grad._values())


class Ahead(torch.utils.data.Dataset[Batch]):
    """The batches of a training, of which the next can be made on another thread."""

    def __init__(self, steps: Batches) -> None:
        self.steps, self.latest = steps, -1
        self.coming: dict[int, Future[Batch]] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> Batch:
        self.latest = step
        coming = self.coming.pop(step, None)
        return self.steps[step] if coming is None else coming.result()

    def make_next(self, pool: ThreadPoolExecutor) -> None:
        """Let the pool make the batch that comes after the latest."""
        following = self.latest + 1
        if following < len(self) and following not in self.coming:
            self.coming = {following: pool.submit(self.steps.__getitem__, following)}


def _shares(models: Sequence[nn.Module]) -> list[list[tuple[nn.Parameter, ...]]]:
    """The weights that are learnt, dealt into as many shares as there are replicas, about alike in size."""
    weights = zip(*(model.parameters() for model in models), strict=True)
    shares: list[list[tuple[nn.Parameter, ...]]] = [[] for _ in models]
    sizes = [0] * len(models)
    for weight in sorted(weights, key=lambda weight: -weight[0].numel()):
        if weight[0].requires_grad:
            least = sizes.index(min(sizes))
            shares[least].append(weight)
            sizes[least] += weight[0].numel()
    return shares


def _replica(model: nn.Module) -> nn.Module:
    """A copy whose weights are the same memory, with gradients of its own."""
    memo: dict[int, Tensor] = {id(buffer): buffer for buffer in model.buffers()}
    for weight in model.parameters():
        memo[id(weight)] = nn.Parameter(weight.data, requires_grad=weight.requires_grad)
    return copy.deepcopy(model, memo)
