"""Several threads that learn from one batch: each a replica of the model, with the weights shared.

torch's own threads share out single operations and wait for each other in every one of them; the many small ones of
a small model gain nothing from that. A replica takes its share of the rows through forward and backward by itself,
while torch lets go of Python's lock. Weights are the same memory; gradients are each replica's own and are added
up in a fixed order, so that the result depends on the number of replicas and on nothing else.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from genrec.backbones.dropout import seed_dropout
from genrec.training.examples import Batch
from genrec.training.objectives import Loss


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
        self.parameters = [
            [weight for weight in replica.parameters() if weight.requires_grad] for replica in self.models
        ]
        threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(count - 1, initializer=torch.set_num_threads, initargs=(threads,))

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown()

    def seed(self, *key: int) -> None:
        """Let dropout depend on `key` and the replica's number alone."""
        for number, model in enumerate(self.models):
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
        others = [
            self.pool.submit(self._one, model, part, weight)
            for model, part, weight in zip(self.models[1:], parts[1:], weights[1:], strict=False)
        ]
        total = self._one(self.models[0], parts[0], weights[0])
        for other in others:
            total += other.result()
        self._sum_gradients()
        return total

    def _one(self, model: nn.Module, part: Batch, weight: float) -> Tensor:
        model.train()
        loss = self.loss(model, part) * weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _sum_gradients(self) -> None:
        for weight, *others in zip(*self.parameters, strict=True):
            for other in others:
                if other.grad is None:
                    continue
                weight.grad = other.grad if weight.grad is None else _added(weight.grad, other.grad)
                other.grad = None


class DenseGradients:
    """Turns the rows that look-ups left as gradients into whole tables, as optimisers and norms want them.

    The tables are kept: to fill the memory of a fresh one costs several times as much as to clear an old one.
    """

    def __init__(self) -> None:
        self.tables: dict[nn.Parameter, Tensor] = {}

    def __call__(self, model: nn.Module) -> None:
        for weight in model.parameters():
            if weight.grad is not None and weight.grad.is_sparse:
                rows, values = weight.grad._indices()[0], weight.grad._values()
                if weight not in self.tables:
                    self.tables[weight] = torch.empty_like(weight, requires_grad=False)
                table = self.tables[weight]
                weight.grad = table.zero_().index_add_(0, rows, values)


def _added(left: Tensor, right: Tensor) -> Tensor:
    """The sum, in the memory of one of the two where that is dense."""
    if left.is_sparse and not right.is_sparse:
        left, right = right, left
    return left + right if left.is_sparse else left.add_(right)


def _replica(model: nn.Module) -> nn.Module:
    """A copy whose weights are the same memory, with gradients of its own."""
    memo: dict[int, Tensor] = {id(buffer): buffer for buffer in model.buffers()}
    for weight in model.parameters():
        memo[id(weight)] = nn.Parameter(weight.data, requires_grad=weight.requires_grad)
    return copy.deepcopy(model, memo)
