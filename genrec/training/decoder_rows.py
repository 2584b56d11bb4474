"""Rows of decoders: a question and its answer as one row of tokens.

Three ways to put the same histories before a model:
- packed: a history once, every item of it a target (what a causal model learns for the price of one pass);
- prefixes: one example a target, each repeating everything before it (what most published systems do);
- last: one example a user, the last item its target (Ji et al. 2023, https://arxiv.org/abs/2307.00457).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from genrec.codes.title import Encode
from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import IntArray
from genrec.errors import ConfigError
from genrec.prompts.template import HISTORY, Segment, Template
from genrec.training.histories import Way
from genrec.training.layout import Layout, Span, Values, flat, padded, side_by_side
from genrec.training.mixture import Batch


@dataclass(frozen=True)
class Row:
    """Tokens, the trie node each one writes (0 for a prompt's words), positions, and what is learnt.

    Shape: four arrays (T,); learnt_T marks tokens that are predicted from those before them. `end`: the position of
    what is written behind it.
    """

    tokens_T: IntArray
    nodes_T: IntArray
    positions_T: IntArray
    learnt_T: BoolArray
    end: int

    def __len__(self) -> int:
        return len(self.tokens_T)

    def followed_by(self, tokens: IntArray, nodes: IntArray, *, learnt: bool = True) -> Row:
        """The row that goes on with these tokens."""
        return Row(
            np.concatenate([self.tokens_T, tokens]),
            np.concatenate([self.nodes_T, nodes]),
            np.concatenate([self.positions_T, self.end + np.arange(len(tokens))]),
            np.concatenate([self.learnt_T, np.full(len(tokens), learnt)]),
            self.end + len(tokens),
        )


class DecoderLayout(Layout):
    """Lays questions out as rows. A text is spelled as it stands, and only histories lose what does not fit."""

    whole = frozenset({"user", "item", "candidates", "profile", "count"})
    advice = "ask with fewer candidates"
    texts_kept = 1000

    def __init__(
        self,
        trie: Trie,
        encode: Encode,
        begin: Sequence[int],
        *,
        stride: int = 0,
        max_items: int = 100,
        max_tokens: int = 8192,
        reading: Codes | None = None,
    ) -> None:
        """A layout.

        Args:
            trie, encode, begin, max_items, max_tokens, reading: as in `Layout`; an answer is part of its row.
            stride: positions from the start of one item to the start of the next, so that distance in positions is
                distance in items however long their codes are; 0: positions count tokens.
        """
        super().__init__(trie, encode, begin, max_items=max_items, max_tokens=max_tokens, reading=reading)
        self.stride = stride

    def spelled(self, text: str) -> list[Span]:
        return [self.span(text)]

    def items(self, items: IntArray) -> list[Span]:
        if self.stride:
            read = zip(self.reading.take(items), self.reading_paths.take(items), strict=True)
            return [Span(tokens, nodes, is_item=True) for tokens, nodes in read]
        tokens, nodes = self.reading.take(items).items, self.reading_paths.take(items).items
        return [Span(tokens, nodes, is_item=True)]

    def question(self, segments: Sequence[Segment], values: Values, room: int) -> Row:
        """The row after which an answer of at most `room` tokens begins.

        Raises:
            ConfigError: it does not fit, even without a history.
        """
        spans = [self.begin, *flat(self.parts(segments, values, room))]
        lengths = np.array([len(span) for span in spans])
        steps = lengths
        if self.stride:
            steps = np.where([span.is_item for span in spans], self.stride, lengths)
        # Where each span starts in positions, less where it starts in tokens.
        shift = np.cumsum(steps) - steps - (np.cumsum(lengths) - lengths)
        tokens, nodes = side_by_side(spans)
        positions = np.arange(len(tokens)) + np.repeat(shift, lengths)
        return Row(tokens, nodes, positions, np.zeros(len(tokens), bool), int(steps.sum()))

    def example(self, segments: Sequence[Segment], values: Values, targets: IntArray) -> Row:
        """A question followed by its answer, the codes of `targets` side by side, which is learnt."""
        tokens, nodes = self.codes.take(targets).items, self.paths.take(targets).items
        return self.question(segments, values, len(tokens)).followed_by(tokens, nodes)


class HistoryRows:
    """Rows that ask what comes after a history, put in one of several ways."""

    def __init__(
        self,
        layout: DecoderLayout,
        paraphrases: Sequence[Template] = ((HISTORY,),),
        *,
        learn_prompt: bool = False,
    ) -> None:
        """Rows of histories.

        Args:
            layout: lays them out.
            paraphrases: templates, of which each names the history; evaluation asks with the first.
            learn_prompt: also learn the tokens of prompt and history (one-target examples only).

        Raises:
            ConfigError: no row holds the longest prompt and the longest code.
        """
        self.layout, self.paraphrases, self.learn_prompt = layout, paraphrases, learn_prompt
        self.read_lengths, self.max_items, self.max_tokens = (
            layout.read_lengths,
            layout.max_items,
            layout.max_tokens,
        )
        self.longest_prompt = len(layout.begin) + max(map(layout.own_length, paraphrases))
        layout.check_room(self.longest_prompt)

    def check(self, way: Way) -> None:
        """Raise ConfigError where examples of that kind cannot be written."""
        if way == "packed" and any(template[-1] != HISTORY for template in self.paraphrases):
            raise ConfigError(
                "packed examples have no place for a prompt's words after the history: take prompt=none, or "
                "examples=last or prefixes"
            )

    def example(self, way: Way, items: IntArray, user: int, rng: np.random.Generator) -> Row:
        """The example of a piece of a user's history, in one of the paraphrases."""
        paraphrase = int(rng.integers(len(self.paraphrases)))
        if way == "packed":
            return self.packed(items, paraphrase)
        return self.single(items[:-1], int(items[-1]), paraphrase)

    def collate(self, rows: Sequence[Row]) -> Batch:
        """See `collate`."""
        return collate(rows)

    def packed(self, items: IntArray, paraphrase: int = 0) -> Row:
        """The newest items as one row in which every item is a target."""
        template = self.paraphrases[paraphrase]
        row = self.layout.question(template, {"history": items}, 0)
        before = len(self.layout.begin) + self.layout.own_length(template)
        return replace(row, learnt_T=np.arange(len(row)) >= before)

    def question(self, items: IntArray, paraphrase: int = 0) -> Row:
        """A history as the row after which the answer begins."""
        # Room for any answer, so that a question is the same whichever answer follows.
        room = self.layout.longest_code
        return self.layout.question(self.paraphrases[paraphrase], {"history": items}, room)

    def single(self, items: IntArray, target: int, paraphrase: int = 0) -> Row:
        """A question about `items` followed by its answer, the code of `target`."""
        row = self.question(items, paraphrase)
        if self.learn_prompt:  # all but the first token, before which nothing stands
            row = replace(row, learnt_T=np.arange(len(row)) > 0)
        return row.followed_by(self.layout.codes[target], self.layout.paths[target])


def collate(rows: Sequence[Row]) -> Batch:
    """Rows padded on the right to one length.

    Returns:
        tokens, nodes, positions (B, T) int64, learnt (B, T) bool and length (B,) int64.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    real_BT = np.arange(lengths.max()) < lengths[:, None]
    return {
        "tokens": padded([row.tokens_T for row in rows], real_BT),
        "nodes": padded([row.nodes_T for row in rows], real_BT),
        "positions": padded([row.positions_T for row in rows], real_BT),
        "learnt": padded([row.learnt_T for row in rows], real_BT).bool(),
        "length": torch.from_numpy(lengths),
    }
