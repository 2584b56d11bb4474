"""A small training to be stopped, also in a process of its own: `python interruptible.py RUN [OPTION=JSON]...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from genrec.data.interactions import Interactions, Targets
from genrec.recommenders.base import Recommender, create
from genrec.testing import interactions, next_of

# Dropout, validation and several windows an epoch: all that a resumed run could get wrong.
OPTIONS = {
    "backbone": "compact",
    "depth": 1,
    "width": 16,
    "vocab_size": 270,
    "dropout": 0.3,
    "bf16": False,
    "epochs": 6,
    "batch_tokens": 60,
    "max_items": 5,
    "warmup_steps": 3,
    "evaluations": 6,
    "beams": 4,
    "seed": 3,
}


def log() -> tuple[Interactions, Targets]:
    """15 walks over 12 items, and a question about each."""
    rng = np.random.default_rng(0)
    lists = [
        [(start + step) % 12 for step in range(length)] for start, length in rng.integers(2, 9, size=(15, 2))
    ]
    train = interactions(lists, [f"{'ABC'[row % 3]} part {row}" for row in range(12)])
    return train, next_of(train)


def fit(
    run: Path | None,
    *,
    name: str = "genrec",
    resume: bool = False,
    validate: bool = True,
    **options: Any,
) -> Recommender:
    """Train a recommender, with `options` in place of the usual ones."""
    train, validation = log()
    return create(name, **(OPTIONS | options)).fit(
        train, validation if validate else None, run=run, resume=resume
    )


def weights(model: Recommender) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.backbone_.state_dict().items()}


def assert_same_weights(found: Recommender, expected: dict[str, torch.Tensor]) -> None:
    assert weights(found).keys() == expected.keys()
    for name, weight in weights(found).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[2:])
    fit(Path(sys.argv[1]), resume=True, **{name: json.loads(value) for name, value in given.items()})
