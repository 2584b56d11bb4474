"""Histories as examples: which parts of them are the examples of an epoch.

Shape suffixes: U users, P pieces (examples of an epoch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from genrec.data.interactions import Histories, IntArray
from genrec.data.mapped import mapped
from genrec.errors import ConfigError
from genrec.training.mixture import Batch, ExampleSet, Mixture

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


class HistoryLayout(Protocol):
    """What writes a piece of a history as an example.

    `longest_prompt`: tokens that an example may have beside its items; `max_items`: most items before a target (packed:
    most items of a row); `max_tokens`: longest row, prompt included.
    """

    read_lengths: IntArray
    longest_prompt: int
    max_items: int
    max_tokens: int

    def check(self, way: Way) -> None:
        """Raise ConfigError where examples of that kind cannot be written."""

    def example(self, way: Way, items: IntArray, user: int, rng: np.random.Generator) -> Any: ...

    def collate(self, examples: Sequence[Any]) -> Batch: ...


def history_mixture(histories: Histories, rows: HistoryLayout, *, way: Way, **plan: Any) -> Mixture:
    """The batches of a training on histories alone.

    Args:
        histories: training histories.
        rows: writes them.
        way: how a history becomes examples; see `genrec.training.decoder_rows`.
        plan: as `Mixture` takes it.

    Raises:
        ConfigError: examples of that kind cannot be written, or there are none.
    """
    if plan.get("max_steps") == 0:  # examples that nobody asks for
        return Mixture([HistoryExamples(histories, rows, way)], rows.collate, **plan)
    rows.check(way)
    mixture = Mixture([HistoryExamples(histories, rows, way)], rows.collate, **plan)
    if not len(mixture):
        raise ConfigError(f"no history is long enough for examples={way!r}: it needs two items")
    return mixture


class HistoryExamples:
    """Pieces of histories as examples, at other places in every epoch where histories are long."""

    def __init__(self, histories: Histories, rows: HistoryLayout, way: Way) -> None:
        """See `history_mixture`."""
        self._histories, self._rows, self._way, self._width = histories, rows, way, rows.max_items
        self._lengths_U, self._starts_U = histories.lengths, histories.offsets[:-1]
        # Tokens before each flat position: a piece's length is a difference of two of these.
        tokens_before = np.zeros(len(histories.items) + 1, np.int64)
        np.cumsum(rows.read_lengths.astype(np.int32)[histories.items], out=tokens_before[1:])
        self._tokens_before = mapped(tokens_before)

    def of_epoch(self, rng: np.random.Generator) -> ExampleSet:
        """The pieces of an epoch."""
        pieces, rows = self._pieces(rng), self._rows
        tokens_P = np.empty(len(pieces), np.int32)
        for start in range(0, len(pieces), _SLICE):
            part = slice(start, min(start + _SLICE, len(pieces)))
            tokens = self._tokens(*pieces[np.arange(part.start, part.stop)]) + rows.longest_prompt
            tokens_P[part] = np.minimum(tokens, rows.max_tokens)

        def make(piece: int, rng: np.random.Generator) -> Any:
            user, first, last = (int(part[0]) for part in pieces[np.array([piece])])
            return rows.example(self._way, self._histories[user][first:last], user, rng)

        return ExampleSet(tokens_P, 1, make)

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
        room = self._rows.max_tokens - self._rows.longest_prompt
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


def drawn_window(items: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """A history of up to `width` items as it is; of a longer one a window, drawn each time."""
    end = len(items) if len(items) <= width else int(rng.integers(width, len(items) + 1))
    return items[max(0, end - width) : end]
