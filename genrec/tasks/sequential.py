"""What follows a history: named freely (`next`), picked from a list (`choose`), or put as yes or no (`confirm`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genrec.data.interactions import IntArray
from genrec.prompts.task_prompts import Group
from genrec.tasks.base import (
    DESCRIBED,
    ITEM,
    Drawn,
    Examples,
    Family,
    Ranked,
    Task,
    TrainingSet,
    Way,
    register,
)
from genrec.tasks.material import Material

NEXT = Way("sequential", "next", "next")
_CANDIDATES = 100
_USER = frozenset({"user"})


def of_users(
    material: Material,
    way: tuple[str, str],
    draw: Callable[[Material, int, np.random.Generator], Drawn],
    *,
    fewest: int,
    history: bool = False,
    candidates: bool = False,
    others: bool = True,
    once: bool = False,
) -> Examples | None:
    """An example of each user.

    Args:
        material: what there is.
        way: family and group of the prompts.
        draw: makes the example of a user.
        fewest: items that a user must have.
        history, candidates: what the question has of these.
        others: it names items that the user left, which who took everything has not.
        once: each user is drawn once in an epoch.
    """
    train, prompts = material.train, material.groups.get(way)
    lengths = train.histories.lengths
    users = np.flatnonzero((lengths >= fewest) & ((lengths < train.num_items) | (not others)))
    if prompts is None or not len(users):
        return None
    tokens = material.around(prompts) + candidates * int(_CANDIDATES * material.code_lengths.mean())
    lengths_E = tokens + (material.history_tokens_U[users] if history else np.zeros(len(users), np.int64))
    return Examples(lengths_E, lambda datum, rng: draw(material, int(users[datum]), rng), once)


def true_or_not(material: Material, user: int, target: int, rng: np.random.Generator) -> tuple[int, bool]:
    """The target, or as often an item that the user did not take."""
    true = bool(rng.random() < 0.5)
    return (target if true else int(_others(material, user, 1, rng)[0])), true


def candidates(material: Material, user: int, target: int, rng: np.random.Generator) -> IntArray:
    """The target among items that the user did not take."""
    count = min(_CANDIDATES, material.train.num_items // 2)
    return rng.permutation(np.append(_others(material, user, count - 1, rng), target))


def _others(material: Material, user: int, count: int, rng: np.random.Generator) -> IntArray:
    """Items that the user did not take in training; fewer where there are not so many."""
    taken, num_items = material.train.histories[user], material.train.num_items
    count = min(count, num_items - len(set(taken.tolist())))
    drawn = rng.integers(num_items, size=0)
    while len(drawn) < count:
        drawn = np.unique(np.append(drawn, rng.integers(num_items, size=2 * count)))
        drawn = drawn[~np.isin(drawn, taken)]
    return rng.permutation(drawn)[:count]


def _piece(material: Material, user: int, rng: np.random.Generator) -> tuple[IntArray, int]:
    """A piece of a history and the item after it.

    The paper's code draws the end among the last places and the start among the first three.
    """
    items = material.train.histories[user]
    last = len(items) - 1
    end = int(rng.integers(max(1, last - 2), last + 1))
    start = int(rng.integers(0, min(3, end)))
    return items[start:end], int(items[end])


def _packed(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    items, width = material.train.histories[user], material.max_items
    if len(items) > width:
        end = int(rng.integers(width, len(items) + 1))
        items = items[end - width : end]
    prompts = material.groups["sequential", "next"]
    prompt = prompts[
        int(rng.integers(len(prompts)))
    ]  # as it stands: a packed history is asked for with these words
    return Drawn(prompt, {"history": items, "user": material.someone(user, rng)}, packed=True)


def _next(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    history, target = _piece(material, user, rng)
    prompt = material.draw(material.groups["sequential", "next"], rng)
    return Drawn(prompt, {"history": history, "user": material.someone(user, rng), "item": target})


def _choose(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    history, target = _piece(material, user, rng)
    prompt = material.draw(material.groups["sequential", "choose"], rng)
    among = candidates(material, user, target, rng)
    return Drawn(prompt, {"history": history, "user": user, "candidates": among, "item": target})


def _confirm(material: Material, user: int, rng: np.random.Generator) -> Drawn:
    history, target = _piece(material, user, rng)
    prompt = material.draw(material.groups["sequential", "confirm"], rng)
    item, true = true_or_not(material, user, target, rng)
    return Drawn(prompt, {"history": history, "user": user, **material.described(item)}, true)


def _nexts(material: Material) -> Examples | None:
    draw, fewest = (_packed, 1) if material.packed else (_next, 2)
    way = ("sequential", "next")
    return of_users(material, way, draw, fewest=fewest, history=True, others=False, once=material.packed)


def _choices(material: Material) -> Examples | None:
    return of_users(material, ("sequential", "choose"), _choose, fewest=2, history=True, candidates=True)


def _confirmations(material: Material) -> Examples | None:
    return of_users(material, ("sequential", "confirm"), _confirm, fewest=2, history=True)


register(
    Family(
        "sequential",
        order=1,
        groups={
            "next": Group(ITEM, ("history",), _USER),
            "choose": Group(ITEM, ("history", "candidates"), _USER),
            "confirm": Group(ITEM, ("history", "item|title"), _USER | DESCRIBED, judged=True),
        },
        training_sets=(
            TrainingSet("next", _nexts, 5),
            TrainingSet("choose", _choices, 5),
            TrainingSet("confirm", _confirmations, 10),
        ),
        tasks=(Task("sequential", ("history",), Ranked(), (NEXT,), verb="recommend"),),
    )
)
