"""Validation while a recommender learns: the lists that it gives a sample of users, measured."""

from __future__ import annotations

from collections.abc import Callable

from genrec.data.interactions import Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import hit_rate, ndcg, ranks


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
    sample = targets.sample(num_users, seed)

    def measure() -> dict[str, float]:
        found = ranks(rank(sample.histories, 10), sample.items)
        return {"NDCG@10": float(ndcg(found, 10).mean()), "HR@10": float(hit_rate(found, 10).mean())}

    return measure
