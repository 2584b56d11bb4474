"""The steps of a training on a mixture of example sets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from genrec.training.mixture import Batch, ExampleSet, Mixture


def sets(drawn: list[tuple[int, int, float]]) -> list[ExampleSet]:
    """Two kinds of examples, which note what was drawn; an example is as many tokens as its length says."""

    def maker(kind: int, shortest: int) -> Any:
        def make(datum: int, rng: np.random.Generator) -> Any:
            drawn.append((kind, datum, float(rng.random())))
            return [100 * kind + datum] * (shortest + datum)

        return make

    return [ExampleSet(3 + np.arange(20), 1, maker(0, 3)), ExampleSet(6 + np.arange(7), 4, maker(1, 6))]


def collate(rows: Any) -> Batch:
    longest = max(map(len, rows))
    return {"tokens": torch.tensor([row + [0] * (longest - len(row)) for row in rows])}


def steps(drawn: list[tuple[int, int, float]], **options: Any) -> Mixture:
    given: dict[str, Any] = {"batch_tokens": 60, "num_epochs": 2, "seed": 3} | options
    return Mixture(sets(drawn), collate, **given)


def test_an_epoch_draws_each_example_as_often_as_its_kind_says() -> None:
    drawn: list[tuple[int, int, float]] = []
    training = steps(drawn)
    longest = [training[step]["tokens"].shape for step in range(len(training))]
    assert all(rows * length <= 60 for rows, length in longest)
    expected = Counter({(0, datum): 2 for datum in range(20)}) + Counter(
        {(1, datum): 8 for datum in range(7)}
    )
    assert Counter((kind, datum) for kind, datum, _ in drawn) == expected
    assert len({chance for *_, chance in drawn}) == len(drawn)  # drawn anew every time


def test_a_step_depends_on_seed_and_number_alone() -> None:
    drawn: list[tuple[int, int, float]] = []
    training = steps(drawn)
    batches: list[Batch] = [training[step] for step in range(len(training))]
    first = list(drawn)
    again = steps([])
    for step in np.random.default_rng(0).permutation(len(training)).tolist():
        for name, values in again[step].items():
            assert values.equal(batches[step][name])
    drawn.clear()
    other = steps(drawn, seed=4)
    assert all(isinstance(other[step]["tokens"], torch.Tensor) for step in range(len(other)))
    assert drawn != first


@pytest.mark.parametrize("max_steps", [1, 5, 10_000])
def test_max_steps(max_steps: int) -> None:
    whole = len(steps([]))
    assert len(steps([], max_steps=max_steps)) == min(whole, max_steps)
