"""The batches of a training: every step's is a function of (seed, step) alone.

So a run that was killed goes on with the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.training.epochs import Calendar, Epochs, Way

Batch = dict[str, Tensor]


def padded(arrays: Sequence[IntArray | BoolArray], real_BT: BoolArray, nothing: int = 0) -> Tensor:
    """Rows of different lengths as one table (B, T) int64; `real_BT` marks what is no padding."""
    table_BT = np.full(real_BT.shape, nothing, np.int64)
    table_BT[real_BT] = np.concatenate(arrays)
    return torch.from_numpy(table_BT)


class Batches(Protocol):
    """The batches of a whole training, one a step."""

    def __len__(self) -> int: ...

    def __getitem__(self, step: int) -> Batch: ...


class ExampleWriter(Protocol):
    """What writes a piece of a history as an example, and examples as a batch."""

    code_lengths: IntArray
    longest_prompt: int
    max_items: int
    max_tokens: int

    @property
    def num_paraphrases(self) -> int: ...

    def check(self, way: Way) -> None: ...

    def example(
        self, way: Way, items: IntArray, user: int, paraphrase: int, rng: np.random.Generator
    ) -> Any: ...

    def collate(self, examples: Sequence[Any]) -> Batch: ...


class Steps(torch.utils.data.Dataset[Batch]):
    """The batches of a whole training, one a step; step s is always the same batch."""

    def __init__(
        self,
        histories: Histories,
        writer: ExampleWriter,
        *,
        way: Way,
        batch_tokens: int,
        num_epochs: int,
        seed: int,
        max_steps: int | None = None,
    ) -> None:
        """Plan the steps.

        Args:
            histories: training histories.
            writer: writes them.
            way: how a history becomes examples; see `genrec.training.decoder_rows`.
            batch_tokens: tokens a batch may hold, padding included.
            num_epochs: passes over the data.
            seed: of the order of batches, the cuts of long histories and the choice among paraphrases.
            max_steps: end after that many, wherever in an epoch; None: with the last epoch.

        Raises:
            ConfigError: the writer cannot write examples of that kind.
        """
        writer.check(way)
        self.histories, self.writer, self.way = histories, writer, way
        self.seed = seed
        self._epochs = Epochs(
            histories,
            writer.code_lengths,
            way=way,
            width=writer.max_items,
            longest_prompt=writer.longest_prompt,
            max_tokens=writer.max_tokens,
            batch_tokens=batch_tokens,
            seed=seed,
        )
        self.epoch = lru_cache(maxsize=1)(self._epochs.plan)
        self.calendar = Calendar((len(self.epoch(number)) for number in range(num_epochs)), max_steps)

    def __len__(self) -> int:
        return len(self.calendar)

    def __getitem__(self, step: int) -> Batch:
        number, place = self.calendar.find(step)
        users, firsts, lasts = self.epoch(number)[place]
        rng = stream(self.seed, "examples of a step", step)
        paraphrases = rng.integers(self.writer.num_paraphrases, size=len(users))
        return self.writer.collate(
            [
                self.writer.example(self.way, self.histories[user][first:last], user, paraphrase, rng)
                for user, first, last, paraphrase in zip(
                    users.tolist(), firsts.tolist(), lasts.tolist(), paraphrases.tolist(), strict=True
                )
            ]
        )
