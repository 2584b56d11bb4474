"""Validation while a recommender learns: the lists that it gives a sample of users, or the loss of other answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from genrec.backbones.hardware import device
from genrec.data.interactions import Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import per_user, target_ranks
from genrec.training.mixture import Batches
from genrec.training.objectives import Loss


def loss_validation(model: nn.Module, loss: Loss, batches: Batches) -> Callable[[], dict[str, float]]:
    """A function that measures the mean loss of an answer of `batches`, as the model is at that moment.

    Args:
        model: the backbone that learns, in evaluation mode when the function is called.
        loss: what it learns by.
        batches: of what it does not learn from; always the same.
    """

    def measure() -> dict[str, float]:
        total, count = 0.0, 0
        with torch.inference_mode():
            for step in range(len(batches)):
                batch = {name: value.to(device()) for name, value in batches[step].items()}
                num_items = loss.num_items(batch)
                total += float(loss(model, batch)) * num_items
                count += num_items
        return {"loss": total / max(1, count)}

    return measure


def ranking_validation(
    rank: Callable[..., Rankings], targets: Targets | None, num_users: int, seed: int
) -> Callable[[], dict[str, float]] | None:
    """A function that measures HR@10 and NDCG@10 of `rank` as it is at that moment; None where there are no targets.

    Args:
        rank: a recommender's `rank`.
        targets: the validation part.
        num_users: users that are sampled from it, always the same; all if it has no more.
        seed: of the sample.
    """
    if targets is None:
        return None
    sample = targets.sample(num_users, seed, "users validated on")

    def measure() -> dict[str, float]:
        found = per_user(target_ranks(rank(sample.histories, 10), sample), [10], sample.orders)
        return {name: float(found[name].mean()) for name in ("NDCG@10", "HR@10")}

    return measure
