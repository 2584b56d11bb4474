"""What suits a user, without their history: put as yes or no (`confirm`), or picked from a list (`choose`)."""

from __future__ import annotations

import numpy as np

from genrec.data.interactions import IntArray
from genrec.data.ranking import Rankings
from genrec.data.reviews import fixed_negatives
from genrec.evaluation.metrics import check_bounds, per_user, ranks
from genrec.prompts.task_prompts import Group
from genrec.tasks.base import (
    DESCRIBED,
    ITEM,
    Drawn,
    Examples,
    Family,
    Ranked,
    Task,
    Test,
    TestData,
    TrainingSet,
    Way,
    register,
)
from genrec.tasks.material import Material
from genrec.tasks.sequential import NEXT, candidates, of_users, true_or_not

CUT_OFFS = (1, 5, 10)  # of HR and NDCG among candidates
NUM_NEGATIVES = 99


def _confirm(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    item, true = true_or_not(material, user, int(rng.choice(material.train.histories[user])), rng)
    prompt = material.draw(material.groups["direct", "confirm"], rng)
    return Drawn(prompt, {"user": user, **material.described(item)}, true)


def _choose(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    target = int(rng.choice(material.train.histories[user]))
    prompt = material.draw(material.groups["direct", "choose"], rng)
    among = candidates(material, user, target, rng)
    return Drawn(prompt, {"user": user, "candidates": among, "item": target})


def _confirmations(material: Material) -> Examples | None:
    return of_users(material, ("direct", "confirm"), _confirm, fewest=1)


def _choices(material: Material) -> Examples | None:
    return of_users(material, ("direct", "choose"), _choose, fewest=1, candidates=True)


def _test(data: TestData) -> Test:
    """One target among 99 negatives."""
    targets = data.targets
    negatives_BC = fixed_negatives(data.interactions, targets, NUM_NEGATIVES, data.seed)
    # By row of the catalogue: a place in the list tells nothing of who is the target.
    candidates_BC = np.sort(np.column_stack([targets.items, negatives_BC]).astype(np.int32), axis=1)
    asked = zip(targets.users, targets.histories, candidates_BC, strict=True)
    questions = [
        {"user": str(user), "history": history, "candidates": candidates_C}
        for user, history, candidates_C in asked
    ]
    counts_I = np.bincount(data.training.items, minlength=data.interactions.num_items)
    order_BC = np.argsort(-counts_I[candidates_BC], axis=1, kind="stable")
    popular_BC = np.take_along_axis(candidates_BC, order_BC, axis=1)
    popular = Rankings(popular_BC, counts_I[popular_BC].astype(np.float32), np.ones(len(targets), bool))
    return Test(questions, targets.items, {"popularity": popular})


def _metric(rankings: Rankings, targets_B: IntArray) -> dict[str, float]:
    found = per_user(ranks(rankings, targets_B), CUT_OFFS)
    metrics = {name: float(values_B.mean()) for name, values_B in found.items()}
    check_bounds(metrics)
    return metrics


register(
    Family(
        "direct",
        order=2,
        groups={
            "confirm": Group(ITEM, ("user", "item|title"), DESCRIBED, judged=True),
            "choose": Group(ITEM, ("user", "candidates"), frozenset()),
        },
        training_sets=(
            TrainingSet("direct-confirm", _confirmations, 10),
            TrainingSet("direct-choose", _choices, 5),
        ),
        tasks=(
            Task(
                "direct",
                ("history", "candidates"),
                Ranked(),
                (NEXT, Way("direct", "choose", "direct-choose")),
                frozenset({"negatives"}),
                _test,
                _metric,
                verb="rank",
            ),
        ),
    )
)
