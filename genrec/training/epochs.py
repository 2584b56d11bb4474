"""One pass over the histories: which parts of them are examples, and which examples make the batch of a step.

Shape suffixes: U users, P pieces (examples of an epoch), S steps of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genrec.data.interactions import Histories, IntArray
from genrec.data.mapped import mapped
from genrec.data.streams import stream

Way = Literal["packed", "prefixes", "last", "masked"]

_SLICE = 1_000_000  # pieces that are measured at once: 25 million prefixes would need gigabytes


@dataclass(frozen=True)
class Windows:
    """Pieces that are listed: user, first item and last item (exclusive) within the history; (P,) int32 each."""

    user_P: IntArray
    first_P: IntArray
    last_P: IntArray

    def __len__(self) -> int:
        return len(self.user_P)

    def __getitem__(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        return self.user_P[rows], self.first_P[rows], self.last_P[rows]


class Prefixes:
    """Every target of every history with the `width` items before it: a piece is worked out from its number."""

    def __init__(self, lengths_U: IntArray, width: int) -> None:
        self._before_U1 = np.concatenate([[0], np.cumsum(np.maximum(lengths_U - 1, 0))])
        self._width = width

    def __len__(self) -> int:
        return int(self._before_U1[-1])

    def __getitem__(self, rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        users = np.searchsorted(self._before_U1, rows, side="right") - 1
        last = rows - self._before_U1[users] + 2
        return users, np.maximum(last - self._width - 1, 0), last


@dataclass(frozen=True)
class Epoch:
    """Pieces in order of about their length, and the batches that they are dealt into.

    Shape: order_P int32, memory-mapped where it is long; start_S and end_S: step s reads order_P[start:end].
    """

    pieces: Windows | Prefixes
    order_P: IntArray
    start_S: IntArray
    end_S: IntArray

    def __len__(self) -> int:
        return len(self.start_S)

    def __getitem__(self, step: int) -> tuple[IntArray, IntArray, IntArray]:
        """Users, first items and last items (exclusive) of a batch."""
        return self.pieces[self.order_P[self.start_S[step] : self.end_S[step]]]


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


class Epochs:
    """Plans epochs, each a function of (seed, number) alone."""

    def __init__(
        self,
        histories: Histories,
        code_lengths: IntArray,
        *,
        way: Way,
        width: int,
        longest_prompt: int,
        max_tokens: int,
        batch_tokens: int,
        seed: int,
    ) -> None:
        """Get ready to plan.

        Args:
            histories: training histories.
            code_lengths: tokens of each item.
            way: how a history becomes examples; see `genrec.training.decoder_rows`.
            width: most items before a target (packed: most items of a row).
            longest_prompt: tokens that are kept for the prompt.
            max_tokens: longest row, prompt included.
            batch_tokens: tokens a batch may hold, padding included.
            seed: of the cuts of long histories and of the order of batches.
        """
        self._lengths_U, self._starts_U = histories.lengths, histories.offsets[:-1]
        # Tokens before each flat position: a piece's length is a difference of two of these.
        tokens_before = np.zeros(len(histories.items) + 1, np.int64)
        np.cumsum(code_lengths.astype(np.int32)[histories.items], out=tokens_before[1:])
        self._tokens_before = mapped(tokens_before)
        self._way, self._width = way, width
        self._longest_prompt, self._max_tokens = longest_prompt, max_tokens
        self._batch_tokens, self._seed = batch_tokens, seed

    def plan(self, number: int) -> Epoch:
        """Deal the histories into batches of rows of about the same length."""
        rng = stream(self._seed, "plan of an epoch", number)
        pieces = self._pieces(rng)
        tokens_P, keys_P = np.empty(len(pieces), np.int32), np.empty(len(pieces))
        for start in range(0, len(pieces), _SLICE):
            part = slice(start, min(start + _SLICE, len(pieces)))
            tokens = self._tokens(*pieces[np.arange(part.start, part.stop)]) + self._longest_prompt
            tokens_P[part] = np.minimum(tokens, self._max_tokens)
            # A little noise in the sort key mixes neighbours from epoch to epoch; padding hardly grows.
            keys_P[part] = tokens_P[part] * rng.uniform(0.9, 1.1, part.stop - part.start)
        order_P = np.argsort(keys_P, kind="stable").astype(np.int32)
        del keys_P
        start_S = deal(np.maximum.accumulate(tokens_P[order_P]), self._batch_tokens)
        end_S = np.append(start_S, len(pieces))[1:]
        steps = rng.permutation(len(start_S))
        return Epoch(pieces, mapped(order_P), start_S[steps], end_S[steps])

    def _pieces(self, rng: np.random.Generator) -> Windows | Prefixes:
        """The examples of one epoch."""
        lengths, width = self._lengths_U, self._width
        if self._way == "prefixes":
            return Prefixes(lengths, width)
        if self._way == "last":
            users = np.flatnonzero(lengths >= 2)
            return _windows(users, np.maximum(lengths[users] - width - 1, 0), lengths[users])
        # Packed or masked: long histories are cut into windows, at other places in every epoch.
        num_windows = np.where(lengths > width, -(-lengths // width) + 1, np.minimum(lengths, 1))
        users = np.repeat(np.arange(len(lengths)), num_windows)
        window = np.arange(len(users)) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
        shift = np.where(lengths > width, rng.integers(width, size=len(lengths)), 0)[users]
        first = np.maximum(window * width - shift, 0)
        last = np.minimum((window + 1) * width - shift, lengths[users])
        real = last > first
        return self._halved(_windows(users[real], first[real], last[real]))

    def _halved(self, pieces: Windows) -> Windows:
        """Pieces with more tokens than a row holds in two, until all fit: no item is left out of an epoch."""
        room = self._max_tokens - self._longest_prompt
        while True:
            user_P, first_P, last_P = pieces.user_P, pieces.first_P, pieces.last_P
            long_P = self._tokens(user_P, first_P, last_P) > room
            if not long_P.any():
                return pieces
            middle_P = (first_P + last_P) // 2
            pieces = Windows(
                np.concatenate([user_P, user_P[long_P]]),
                np.concatenate([first_P, middle_P[long_P]]),
                np.concatenate([np.where(long_P, middle_P, last_P), last_P[long_P]]),
            )

    def _tokens(self, user_P: IntArray, first_P: IntArray, last_P: IntArray) -> IntArray:
        """Tokens of the items of each piece."""
        starts = self._starts_U[user_P]
        tokens_P: IntArray = self._tokens_before[starts + last_P] - self._tokens_before[starts + first_P]
        return tokens_P


def _windows(user_P: IntArray, first_P: IntArray, last_P: IntArray) -> Windows:
    return Windows(user_P.astype(np.int32), first_P.astype(np.int32), last_P.astype(np.int32))


def deal(longest_P: IntArray, batch_tokens: int) -> IntArray:
    """Where batches start, if each takes rows as long as (rows x its longest row) is within `batch_tokens`.

    Args:
        longest_P: tokens of the longest row so far, never falling.
        batch_tokens: a row that is longer makes a batch of its own.

    Returns:
        (num_batches,) int64.
    """
    starts: list[IntArray] = []
    start = 0
    while start < len(longest_P):
        longest = int(longest_P[start])
        most = max(1, batch_tokens // max(1, longest))
        num_equal = int(np.searchsorted(longest_P, longest, side="right")) - start
        if num_equal >= most:  # batches of rows of one length are all alike
            starts.append(start + most * np.arange(num_equal // most))
            start += most * (num_equal // most)
            continue
        costs = longest_P[start : start + most].astype(np.int64)
        costs *= np.arange(1, len(costs) + 1)
        starts.append(np.array([start]))
        start += max(1, int(np.searchsorted(costs, batch_tokens, side="right")))
    return np.concatenate([*starts, np.zeros(0, np.int64)])
