"""Examples of writing a list: the words of a prompt, a history, perhaps candidates, and the items that came after.

The tasks are those of PALR (Yang et al. 2023, https://arxiv.org/abs/2305.07622): recommend freely, or from candidates.
An answer is the codes of its items side by side; a code tells itself where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.codes.title import Encode
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.errors import ConfigError
from genrec.prompts.tasks import Field, Segment, Text
from genrec.training.examples import Example, Writer
from genrec.training.tasks import Kind

Candidates = Callable[[IntArray, IntArray, np.random.Generator], IntArray]
"""History and targets to a list of items that holds the targets."""

Values = Mapping[str, Any]  # of fields: a profile as text, a number, or items


class ListWriter:
    """Writes prompts with items, and lists of items as answers."""

    def __init__(
        self,
        codes: Codes,
        trie: Trie,
        encode: Encode,
        begin: Sequence[int],
        *,
        max_items: int,
        max_tokens: int,
    ) -> None:
        """A writer.

        Args:
            codes: tokens of each item.
            trie: the trie of these codes.
            encode: texts to lists of token ids.
            begin: tokens that open every row.
            max_items: most recent items of a history that are written.
            max_tokens: longest row, answer included; the oldest items are left out until it fits.
        """
        self.codes, self.paths, self.begin = codes, trie.paths, np.array(begin, np.int64)
        self.max_items, self.max_tokens = max_items, max_tokens
        self._encode = encode

    def question(self, segments: Sequence[Segment], values: Values, room: int) -> Example:
        """The row after which an answer of at most `room` tokens begins.

        Raises:
            ConfigError: it does not fit, even without a history.
        """
        parts: list[tuple[IntArray, IntArray]] = [(self.begin, np.zeros_like(self.begin))]
        taken = len(self.begin) + room
        history_at = None
        for segment in segments:
            if segment == Field("history"):
                history_at = len(parts)
                parts.append(parts[0])  # takes its place until it is known how much room is left
                continue
            parts.append(self._part(segment, values))
            taken += len(parts[-1][0])
        if taken > self.max_tokens:
            raise ConfigError(
                f"a question takes {taken} tokens, answer included, and max_tokens={self.max_tokens}: raise it, or ask "
                "with fewer candidates"
            )
        if history_at is not None:
            parts[history_at] = self._items(self._newest(values["history"], self.max_tokens - taken))
        tokens, nodes = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
        return Example(tokens, nodes, np.arange(len(tokens)), np.zeros(len(tokens), bool))

    def example(self, segments: Sequence[Segment], values: Values, targets: IntArray) -> Example:
        """A question followed by its answer, which is learnt."""
        tokens, nodes = self._items(targets)
        return self.after(self.question(segments, values, len(tokens)), tokens, nodes, learnt=True)

    def answers(self, items_B: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Tokens and nodes (B, L) of an item each, padded on the right, and how many they are (B,); none of item -1."""
        there_B = items_B >= 0
        length_B = np.where(there_B, self.codes.lengths[items_B], 0)
        real_BL = np.arange(length_B.max(initial=0)) < length_B[:, None]
        token_BL, node_BL = np.zeros(real_BL.shape, np.int64), np.zeros(real_BL.shape, np.int64)
        token_BL[real_BL], node_BL[real_BL] = self._items(items_B[there_B])
        return token_BL, node_BL, length_B

    def after(self, question: Example, tokens: IntArray, nodes: IntArray, *, learnt: bool) -> Example:
        """A row that goes on with these tokens."""
        return Example(
            np.concatenate([question.tokens_T, tokens]),
            np.concatenate([question.nodes_T, nodes]),
            np.arange(len(question.tokens_T) + len(tokens)),
            np.concatenate([question.learnt_T, np.full(len(tokens), learnt)]),
        )

    def _part(self, segment: Segment, values: Values) -> tuple[IntArray, IntArray]:
        if isinstance(segment, Text) or segment.name not in ("candidates", "item"):
            text = segment.text if isinstance(segment, Text) else str(values[segment.name])
            tokens = np.array(self._encode([text])[0], np.int64)
            return tokens, np.zeros_like(tokens)
        return self._items(values[segment.name])

    def _items(self, items: IntArray) -> tuple[IntArray, IntArray]:
        return self.codes.take(items).items, self.paths.take(items).items

    def _newest(self, items: IntArray, room: int) -> IntArray:
        items = items[-self.max_items :]
        from_here = np.cumsum(self.codes.lengths[items][::-1])[::-1]
        return items[np.searchsorted(-from_here, -room) :]


@dataclass(frozen=True)
class ListTasks:
    """What lists are learnt from.

    `profile`: a history to the words of its profile. `num_targets`: most items of an answer. `swap_share`: how often
    an item of the history changes places with one of the answer, as in the paper. `one_piece`: a user's history is
    always cut at the same place, which `seed` draws, for profiles that are dear.
    """

    writer: ListWriter
    histories: Histories
    profile: Callable[[IntArray], str]
    candidates: Candidates
    num_targets: int
    swap_share: float = 0.0
    one_piece: bool = False
    seed: int = 0

    def kind(self, segments: Sequence[Segment], users: IntArray, num_candidates: int, times: int) -> Kind:
        """Examples of one prompt; with candidates where the prompt names them."""
        lengths, histories = self.writer.codes.lengths, self.histories
        tokens = np.concatenate([[0], np.cumsum(lengths[histories.items])])
        ends = histories.offsets[1:][users]
        starts = np.maximum(histories.offsets[:-1][users], ends - self.writer.max_items - self.num_targets)
        words = sum(len(segment.text.split()) for segment in segments if isinstance(segment, Text))
        around = words + (num_candidates * lengths.mean() if Field("candidates") in segments else 0)
        in_all = np.minimum(tokens[ends] - tokens[starts] + around, self.writer.max_tokens)

        def make(datum: int, rng: np.random.Generator) -> Example:
            return self._example(segments, int(users[datum]), rng)

        return Kind(in_all.astype(np.int64), times, make)

    def _example(self, segments: Sequence[Segment], user: int, rng: np.random.Generator) -> Example:
        history, targets = self._pieces(user, rng)
        values: dict[str, Any] = {"history": history, "count": len(targets)}
        if Field("profile") in segments:
            values["profile"] = self.profile(history)
        if Field("candidates") in segments:
            values["candidates"] = self.candidates(history, targets, rng)
        return self.writer.example(segments, values, targets)

    def _pieces(self, user: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """A history up to somewhere, and what followed."""
        rng = stream(self.seed, "the one cut of a history", user) if self.one_piece else rng
        items = self.histories[user]
        start = int(rng.integers(1, len(items)))
        history, targets = items[:start], items[start : start + self.num_targets]
        targets = targets[np.sort(np.unique(targets, return_index=True)[1])]  # a list holds no item twice
        if rng.random() < self.swap_share:
            here, there = int(rng.integers(len(history))), int(rng.integers(len(targets)))
            history, targets = history.copy(), targets.copy()
            history[here], targets[there] = targets[there], history[here]
        return history, targets


def packed_kind(writer: Writer, histories: Histories) -> Kind:
    """Histories of which every item is learnt; of a long one, a window that is drawn each time."""
    users, width = np.flatnonzero(histories.lengths), writer.max_items

    def make(datum: int, rng: np.random.Generator) -> Example:
        items = histories[int(users[datum])]
        end = len(items) if len(items) <= width else int(rng.integers(width, len(items) + 1))
        return writer.packed(items[max(0, end - width) : end])

    lengths = np.minimum(histories.lengths[users], width) * writer.code_lengths.mean()
    return Kind(lengths.astype(np.int64) + 1, 1, make)
