"""Layout: a template and its values as spans of tokens, cut to the room of a row.

What is written for a template is the same whichever model reads it; `decoder_rows.py` and `encoder_rows.py` make rows
of it for their models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genrec.codes.title import Encode
from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import IntArray
from genrec.errors import ConfigError
from genrec.prompts.template import HISTORY, Field, Markup, Segment, Text

Values = Mapping[str, Any]
"""Of fields: rows of items or users, lists of items, text, or a span."""


@dataclass(frozen=True)
class Span:
    """Tokens that belong together, the trie nodes that they write (0: none), and their row in the word table (0: none).

    An item's code may end with tokens that write no node, as its tail below a tip does: `is_item` tells it from text.
    `is_entity`: an item, or a name or attribute of one, which stands for one thing however many tokens it has.
    """

    tokens: IntArray
    nodes: IntArray
    number: int = 0
    is_item: bool = False
    is_entity: bool = False

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def of_text(cls, tokens: Sequence[int] | IntArray, number: int = 0) -> Span:
        """A span that is no item."""
        tokens = np.asarray(tokens, np.int64)
        return cls(tokens, np.zeros_like(tokens), number)


class Layout(ABC):
    """Lays templates out with the codes of a catalogue; the kinds of models differ in how they spell text."""

    whole: ClassVar[Collection[str]]  # fields of which nothing is left out
    advice: ClassVar[str]  # what to do, besides raising max_tokens, where a question does not fit
    texts_kept: ClassVar[int]  # spelled texts that are kept for the next time

    def __init__(
        self,
        trie: Trie,
        encode: Encode,
        begin: Sequence[int],
        *,
        max_items: int,
        max_tokens: int,
        reading: Codes | None = None,
    ) -> None:
        """A layout.

        Args:
            trie: of the items' codes.
            encode: texts to lists of token ids.
            begin: tokens that open every row, so that an empty history is one too.
            max_items: most recent items of a history that are written.
            max_tokens: longest row.
            reading: what stands for each item in questions, of which its code is the beginning; None: the code.
        """
        self.codes, self.paths = trie.codes, trie.paths
        self.reading = trie.codes if reading is None else reading
        is_code = self.reading is trie.codes
        self.reading_paths = self.paths if is_code else _padded_paths(self.paths, self.reading)
        self.read_lengths, self.longest_code = self.reading.lengths, int(self.codes.lengths.max())
        self.begin = Span.of_text(begin)
        self.max_items, self.max_tokens = max_items, max_tokens
        self.span = lru_cache(self.texts_kept)(lambda text: Span.of_text(encode([text])[0]))

    @abstractmethod
    def spelled(self, text: str) -> list[Span]:
        """A text."""

    @abstractmethod
    def items(self, items: IntArray) -> list[Span]:
        """Items side by side."""

    def check_room(self, num_tokens: int) -> None:
        """Raise ConfigError where one item of the longest code does not fit beside so many other tokens."""
        longest = max(self.longest_code, int(self.read_lengths.max()))
        if num_tokens + longest > self.max_tokens:
            whole = self.reading is not self.codes
            raise ConfigError(
                f"the words around a history take {num_tokens} tokens and an item {longest}: they do not fit in "
                f"max_tokens={self.max_tokens}: raise it, or take {'read=code' if whole else 'code_length=shortest'}"
            )

    def own_length(self, segments: Sequence[Segment]) -> int:
        """Tokens of a template's own words."""
        return sum(num_tokens(self._part(part, {})) for part in segments if not isinstance(part, Field))

    def parts(self, segments: Sequence[Segment], values: Values, room: int = 0) -> list[list[Span]]:
        """The spans of each segment, such that `room` tokens more fit into a row behind them.

        Where they do not, the longest field that may be shortened loses the oldest items of a history, or the end of a
        text.

        Raises:
            ConfigError: it does not fit even so.
        """
        parts = [self._part(segment, values) for segment in segments]
        excess = len(self.begin) + room + sum(map(num_tokens, parts)) - self.max_tokens
        if excess > 0:
            self._shorten(segments, values, parts, excess, room)
        return parts

    def _part(self, segment: Segment, values: Values) -> list[Span]:
        if isinstance(segment, Markup):
            return [Span.of_text(segment.tokens)]
        if isinstance(segment, Text):
            return self.spelled(segment.text)
        value = values[segment.name]
        if isinstance(value, Span):
            return [value]
        if segment == HISTORY:
            return self.items(value[-self.max_items :])
        if segment.name in ("candidates", "item"):
            return self.items(np.atleast_1d(value))
        return self.spelled(str(value))

    def _shorten(
        self, segments: Sequence[Segment], values: Values, parts: list[list[Span]], excess: int, room: int
    ) -> None:
        places = [
            place
            for place, segment in enumerate(segments)
            if isinstance(segment, Field) and segment.name not in self.whole
        ]
        longest = max(places, key=lambda place: num_tokens(parts[place]), default=None)
        left = (0 if longest is None else num_tokens(parts[longest])) - excess
        if longest is None or left < 0:
            taken = f"take {self.max_tokens - left}" if room else f"takes {self.max_tokens - left}"
            raise ConfigError(
                f"a question {'and its answer ' if room else ''}{taken} tokens at least and max_tokens="
                f"{self.max_tokens}: raise it, or {self.advice}"
            )
        if segments[longest] == HISTORY:
            parts[longest] = self.items(self.newest(values["history"], left))
        else:
            ends = np.cumsum([len(span) for span in parts[longest]])
            parts[longest] = parts[longest][: int(np.searchsorted(ends, left, side="right"))]

    def newest(self, items: IntArray, room: int) -> IntArray:
        """The newest items of a history whose codes fit into `room` tokens."""
        items = items[-self.max_items :]
        from_here = np.cumsum(self.read_lengths[items][::-1])[::-1]
        return items[np.searchsorted(-from_here, -room) :]


def _padded_paths(paths: Codes, reading: Codes) -> Codes:
    """The nodes along each code, and 0 for what is read behind it."""
    nodes = np.zeros(len(reading.items), paths.items.dtype)
    place = np.arange(len(nodes)) - np.repeat(reading.offsets[:-1], reading.lengths)
    nodes[place < np.repeat(paths.lengths, reading.lengths)] = paths.items
    return Codes(nodes, reading.offsets)


def num_tokens(spans: Sequence[Span]) -> int:
    """Tokens of all spans."""
    return sum(map(len, spans))


def side_by_side(spans: Sequence[Span]) -> tuple[IntArray, IntArray]:
    """Tokens and nodes (T,) of spans."""
    none = np.zeros(0, np.int64)
    return (
        np.concatenate([none, *(span.tokens for span in spans)]),
        np.concatenate([none, *(span.nodes for span in spans)]),
    )


def flat(parts: Sequence[Sequence[Span]]) -> list[Span]:
    """The spans of all parts."""
    return [*chain.from_iterable(parts)]


def padded(arrays: Sequence[IntArray | BoolArray], real_BT: BoolArray, nothing: int = 0) -> Tensor:
    """Rows of different lengths as one table (B, T) int64; `real_BT` marks what is no padding."""
    table_BT = np.full(real_BT.shape, nothing, np.int64)
    table_BT[real_BT] = np.concatenate(arrays)
    return torch.from_numpy(table_BT)
