"""The batches of a training on a mixture of example sets; step s is a function of (seed, s) alone.

So a run that was killed goes on with the same batches.

Shape suffixes: E examples of an epoch, S steps of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genrec.data.interactions import IntArray
from genrec.data.mapped import mapped
from genrec.data.memory import check_fits
from genrec.data.streams import stream

Batch = dict[str, Tensor]


class Batches(Protocol):
    """The batches of a whole training, one a step."""

    def __len__(self) -> int: ...

    def __getitem__(self, step: int) -> Batch: ...


@dataclass(frozen=True)
class ExampleSet:
    """Examples of one kind: how many tokens each has, about, how often each is drawn in an epoch, and how it is made.

    All example sets of a training make what its `collate` takes.
    """

    lengths_E: IntArray
    times: int
    make: Callable[[int, np.random.Generator], Any]

    def __len__(self) -> int:
        return len(self.lengths_E) * self.times

    def of_epoch(self, rng: np.random.Generator) -> ExampleSet:
        """The same in every epoch."""
        return self


class EpochSets(Protocol):
    """An example set for every epoch."""

    def of_epoch(self, rng: np.random.Generator) -> ExampleSet: ...


@dataclass(frozen=True)
class _Epoch:
    """Example sets side by side, in order of about their length, and the batches that they are dealt into.

    Shape: first_N, where each set begins; order_E int32, memory-mapped where it is long; start_S and end_S: step s
    makes order_E[start:end].
    """

    sets: Sequence[ExampleSet]
    first_N: IntArray
    order_E: IntArray
    start_S: IntArray
    end_S: IntArray

    def __len__(self) -> int:
        return len(self.start_S)

    def make(self, step: int, rng: np.random.Generator) -> list[Any]:
        """The examples of a batch."""
        examples_B = self.order_E[self.start_S[step] : self.end_S[step]]
        set_B = np.searchsorted(self.first_N, examples_B, side="right") - 1
        found = []
        for number, place in zip(set_B.tolist(), (examples_B - self.first_N[set_B]).tolist(), strict=True):
            one = self.sets[number]
            found.append(one.make(place % len(one.lengths_E), rng))
        return found


class Mixture(torch.utils.data.Dataset[Batch]):
    """The batches of a whole training, one a step; step s is always the same batch."""

    def __init__(
        self,
        sets: Sequence[EpochSets],
        collate: Callable[[Sequence[Any]], Batch],
        *,
        batch_tokens: int,
        num_epochs: int,
        seed: int,
        max_steps: int | None = None,
        purpose: str = "",
    ) -> None:
        """Plan the steps.

        Args:
            sets: of examples; all are drawn in every epoch.
            collate: examples to a batch.
            batch_tokens: tokens that the rows of a batch may hold (of encoders, the sources), padding included, about.
            num_epochs: passes over the data.
            seed: of everything that is drawn.
            max_steps: end after that many, wherever in an epoch; None: with the last epoch.
            purpose: what is trained on, where a training has several mixtures: each has its own random streams
                (`genrec.data.streams`).

        Raises:
            ConfigError: the plan of so many examples does not fit into memory.
        """
        self.sets, self.collate, self.seed = sets, collate, seed
        self._batch_tokens = batch_tokens
        self._plan_purpose = f"{purpose}, an epoch" if purpose else "plan of an epoch"
        self._step_purpose = f"{purpose}, a step" if purpose else "examples of a step"
        self._epoch = lru_cache(maxsize=1)(self._plan)
        self.calendar = Calendar((len(self._epoch(number)) for number in range(num_epochs)), max_steps)

    def __len__(self) -> int:
        return len(self.calendar)

    def __getitem__(self, step: int) -> Batch:
        number, place = self.calendar.find(step)
        return self.collate(self._epoch(number).make(place, stream(self.seed, self._step_purpose, step)))

    def _plan(self, number: int) -> _Epoch:
        """Deal the examples into batches of about the same length."""
        rng = stream(self.seed, self._plan_purpose, number)
        sets = [one.of_epoch(rng) for one in self.sets]
        counts = [len(one) for one in sets]
        check_fits(
            f"the plan of an epoch of {sum(counts):,} examples",
            sum(counts) * 32,  # their lengths, keys and order
            "draw fewer, by times, users_share or another way to make examples",
        )
        length_E = np.concatenate(
            [np.tile(one.lengths_E, one.times) if one.times != 1 else one.lengths_E for one in sets]
        )
        # A little noise in the sort key mixes neighbours from epoch to epoch; padding hardly grows.
        key_E = rng.uniform(0.9, 1.1, len(length_E))
        key_E *= length_E
        order_E = np.argsort(key_E, kind="stable").astype(np.int32)
        del key_E
        start_S = deal(np.maximum.accumulate(length_E[order_E]), self._batch_tokens)
        end_S = np.append(start_S, len(order_E))[1:]
        steps = rng.permutation(len(start_S))
        first_N = np.cumsum([0, *counts[:-1]])
        return _Epoch(sets, first_N, mapped(order_E), start_S[steps], end_S[steps])


class Calendar:
    """Several epochs in a row: how many steps they have, and which epoch a step is of."""

    def __init__(self, num_steps: Iterable[int], max_steps: int | None = None) -> None:
        """Lay them out.

        Args:
            num_steps: of each epoch; an epoch that `max_steps` does not reach is not asked for.
            max_steps: end after that many, wherever in an epoch; None: with the last epoch.
        """
        first_step = [0]
        for count in num_steps:
            first_step.append(first_step[-1] + count)
            if max_steps is not None and first_step[-1] >= max_steps:
                break
        self.first_step = np.array(first_step)
        self._num_steps = first_step[-1] if max_steps is None else min(max_steps, first_step[-1])

    def __len__(self) -> int:
        return self._num_steps

    def find(self, step: int) -> tuple[int, int]:
        """The epoch of a step, and its place in that epoch."""
        epoch = int(np.searchsorted(self.first_step, step, side="right")) - 1
        return epoch, step - int(self.first_step[epoch])


def deal(longest_E: IntArray, batch_tokens: int) -> IntArray:
    """Where batches start, if each takes rows as long as (rows x its longest row) is within `batch_tokens`.

    Args:
        longest_E: tokens of the longest row so far, never falling.
        batch_tokens: a row that is longer makes a batch of its own.

    Returns:
        (num_batches,) int64.
    """
    starts: list[IntArray] = []
    start = 0
    while start < len(longest_E):
        longest = int(longest_E[start])
        most = max(1, batch_tokens // max(1, longest))
        num_equal = int(np.searchsorted(longest_E, longest, side="right")) - start
        if num_equal >= most:  # batches of rows of one length are all alike
            starts.append(start + most * np.arange(num_equal // most))
            start += most * (num_equal // most)
            continue
        costs = longest_E[start : start + most].astype(np.int64)
        costs *= np.arange(1, len(costs) + 1)
        starts.append(np.array([start]))
        start += max(1, int(np.searchsorted(costs, batch_tokens, side="right")))
    return np.concatenate([*starts, np.zeros(0, np.int64)])
