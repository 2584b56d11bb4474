"""Rows of encoder–decoders: a source that is read, and the answers that are learnt from it.

A source is spans side by side. Packed, a history stands at its end and is read once: every item of it is an answer that
sees what came before it. Otherwise an example has one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from genrec.codes.title import Encode
from genrec.codes.trie import Trie
from genrec.data.interactions import IntArray
from genrec.prompts.template import HISTORY, Field, Segment
from genrec.training.layout import Layout, Span, Values, flat, num_tokens, padded, side_by_side
from genrec.training.mixture import Batch

WordNumbers = Literal["none", "order", "own", "shared"]

_PROMPT_WORDS = 200  # words around a history that are told apart by their order


@dataclass(frozen=True)
class Source:
    """What is read, five arrays (T,), and the position of the first token of an answer after it."""

    tokens_T: IntArray
    nodes_T: IntArray
    positions_T: IntArray
    words_T: IntArray
    reach_T: IntArray
    start: int

    @property
    def end(self) -> int:
        """How many tokens it has."""
        return len(self.tokens_T)


@dataclass(frozen=True)
class Answer:
    """What is learnt: spans, the position of their first token, and how much of the source they see.

    `restarts`: positions start again with every span, from that of the start token.
    """

    spans: Sequence[Span]
    start: int
    reach: int
    restarts: bool = False

    @property
    def tokens(self) -> IntArray:
        """Tokens of all spans."""
        return side_by_side(self.spans)[0]


@dataclass(frozen=True)
class Asked:
    """An example: a source and its answers; `chained`: each sees those before it."""

    source: Source
    answers: Sequence[Answer]
    chained: bool = False


@dataclass(frozen=True)
class WordTable:
    """Which row of a backbone's word table is added to the tokens of each span (0: none).

    `numbers`: "none": no span has one; "order": spans are counted from the start of the source (P5's whole-word
    embeddings), those at its end sharing the last row; "own": every user and every item has one; "shared": item and
    user of the same number have the same (the published code of Cao and Liò, https://arxiv.org/abs/2407.21191).
    `num_users`, `num_items`: those that it was made for, the first ones; later ones have no row.
    """

    numbers: WordNumbers = "none"
    num_rows: int = 0
    num_users: int = 0
    num_items: int = 0

    @staticmethod
    def size(numbers: WordNumbers, num_users: int, num_items: int, max_items: int) -> int:
        """Rows that it needs; 0: none."""
        return {
            "none": 0,
            "order": 1 + max_items + _PROMPT_WORDS,
            "own": 1 + num_users + num_items,
            "shared": 1 + max(num_users, num_items),
        }[numbers]

    def user(self, user: int) -> int:
        """The row of a user."""
        return 1 + user if self.numbers in ("own", "shared") else 0

    def item(self, item: int) -> int:
        """The row of an item."""
        row = {"own": 1 + self.num_users + item, "shared": 1 + item}.get(self.numbers, 0)
        # A run that an older version edited does not tell which of its items came after the table.
        return row if item < self.num_items and row < self.num_rows else 0

    def rows(self, spans: Sequence[Span]) -> IntArray:
        """The rows of the spans of a source."""
        if self.numbers == "order":
            return np.minimum(1 + np.arange(len(spans)), self.num_rows - 1)
        return np.array([span.number for span in spans])


class EncoderLayout(Layout):
    """Lays questions out as sources, a span a word, item or user; histories and texts lose what does not fit."""

    whole = frozenset({"user", "item", "candidates", "mask"})
    advice = "leave out tasks that name candidates (times.choose=0 times.direct-choose=0)"
    texts_kept = 100_000  # words come again and again

    def __init__(
        self,
        trie: Trie,
        encode: Encode,
        begin: Sequence[int],
        end: Sequence[int],
        *,
        start_token: int,
        users: Sequence[Sequence[int]] = (),
        words: WordTable | None = None,
        max_items: int = 50,
        max_tokens: int = 4096,
        continues: bool = True,
    ) -> None:
        """A layout.

        Args:
            trie, encode, begin, max_items, max_tokens: as in `Layout`; an answer is no part of the source.
            end: tokens that close an answer in text.
            start_token: what the decoder is given before each answer.
            users: tokens of each training user.
            words: the word table of the backbone, if it has one.
            continues: positions of an answer go on from those of the source; False: they start at 0.
        """
        super().__init__(trie, encode, begin, max_items=max_items, max_tokens=max_tokens)
        self.end, self.start_token, self.users, self.continues = [*end], start_token, users, continues
        self.words = words or WordTable()

    # -- spans -----------------------------------------------------------------------------------------------

    def word(self, word: str) -> Span:
        """A word of a text."""
        # Some tokenizers put no blank before a text themselves, and words side by side would run together.
        return self.span(f" {word}")

    def spelled(self, text: str) -> list[Span]:
        return [self.word(word) for word in text.split()]

    def item(self, item: int) -> Span:
        """An item, in a source or as an answer."""
        number = self.words.item(item)
        return Span(self.codes[item], self.paths[item], number, is_item=True, is_entity=True)

    def items(self, items: IntArray) -> list[Span]:
        return [self.item(item) for item in items.tolist()]

    def text(self, text: str, max_tokens: int = 64) -> Span:
        """A text as an answer, closed."""
        return Span.of_text([*self.spell(text)[:max_tokens], *self.end])

    def spell(self, text: str) -> list[int]:
        """The tokens of a text, word by word, as it stands in sources and answers."""
        return [token for span in self.spelled(text) for token in span.tokens.tolist()]

    def _part(self, segment: Segment, values: Values) -> list[Span]:
        if segment != Field("user"):
            return super()._part(segment, values)
        user = values["user"]
        if user is None:
            return [self.word("someone")]
        return [Span.of_text(self.users[user], self.words.user(user))]

    # -- examples --------------------------------------------------------------------------------------------

    def source(self, segments: Sequence[Segment], values: Values, *, packed: bool = False) -> Source:
        """The source of a prompt. Packed: its history stands at the end, each item seeing what came before it."""
        before, history = self.laid_out(segments, values, packed=packed)
        return self.placed([*before, *history], in_order_from=len(before) if packed else None)

    def example(self, segments: Sequence[Segment], target: Span, values: Values) -> Asked:
        """A prompt and its one answer."""
        return self.asked(self.source(segments, values), [target])

    def packed(self, segments: Sequence[Segment], values: Values) -> Asked:
        """A prompt whose history is packed: every item of it is an answer."""
        before, history = self.laid_out(segments, values, packed=True)
        source = self.placed([*before, *history], in_order_from=len(before))
        ends = (num_tokens(before) + np.cumsum([0, *map(len, history)])).tolist()
        answers = [
            Answer([item], self.start_after(end), end) for item, end in zip(history, ends[:-1], strict=True)
        ]
        return Asked(source, answers)

    def asked(self, source: Source, answers: Sequence[Span]) -> Asked:
        """A source and answers to the whole of it, each by itself."""
        return Asked(source, [Answer([answer], source.start, source.end) for answer in answers])

    def laid_out(
        self, segments: Sequence[Segment], values: Values, *, packed: bool = False
    ) -> tuple[list[Span], list[Span]]:
        """The spans of a source, less those of its history where that is packed, and these."""
        parts = self.parts(segments, values)
        history = parts.pop(segments.index(HISTORY)) if packed else []
        return [self.begin, *flat(parts)], history

    def placed(self, spans: Sequence[Span], in_order_from: int | None = None) -> Source:
        """Spans side by side; from span `in_order_from` on each sees only what came before it and itself."""
        lengths = np.array([len(span) for span in spans])
        ends = np.cumsum(lengths)
        reach = np.full(len(spans), ends[-1])
        if in_order_from is not None:
            reach[in_order_from:] = ends[in_order_from:]
            reach[:in_order_from] = ends[in_order_from - 1]
        tokens, nodes = side_by_side(spans)
        return Source(
            tokens,
            nodes,
            np.arange(ends[-1]),
            np.repeat(self.words.rows(spans), lengths),
            np.repeat(reach, lengths),
            self.start_after(int(ends[-1])),
        )

    def start_after(self, reach: int) -> int:
        """The position of an answer's first token that follows `reach` tokens of a source."""
        return reach if self.continues else 1

    # -- batches ---------------------------------------------------------------------------------------------

    def collate(self, examples: Sequence[Asked]) -> Batch:
        """Sources and answers of several examples, as `Seq2SeqBackbone.forward` takes them.

        `learnt` (B, L) marks what is predicted, `items` what of it belongs to codes of items and not to text.
        """
        start = Span.of_text([self.start_token])
        spans: list[Span] = []
        about: list[tuple[int, ...]] = []  # of each span: its first position, and the values of `names`
        names = ("answer", "sees", "reach", "learnt", "items")
        lengths = []
        for example in examples:
            first = len(spans)
            for number, answer in enumerate(example.answers):
                sees, position = 0 if example.chained else number, answer.start - 1
                for place, span in enumerate((start, *answer.spans)):
                    if answer.restarts and place > 1:
                        position = answer.start - 1
                    spans.append(span)
                    about.append((position, number, sees, answer.reach, place > 0, span.is_item))
                    position += len(span)
            lengths.append(num_tokens(spans[first:]))
        lengths_S = np.array([len(span) for span in spans], np.int64)
        about_TN = np.repeat(np.array(about, np.int64).reshape(-1, 1 + len(names)), lengths_S, axis=0)
        inside_T = np.arange(len(about_TN)) - np.repeat(np.cumsum(lengths_S) - lengths_S, lengths_S)
        real_BL = np.arange(max(lengths)) < np.array(lengths)[:, None]
        columns = dict(zip(("positions", *names), about_TN.T, strict=True))
        columns["positions"] = columns["positions"] + inside_T
        columns["tokens"], columns["nodes"] = side_by_side(spans)
        batch = collate_sources([example.source for example in examples])
        for name, column_T in columns.items():
            padding = -1 if name in ("answer", "sees") else 0  # padding answers nothing
            batch[name] = padded([column_T], real_BL, padding)
        for name in ("learnt", "items"):
            batch[name] = batch[name].bool()
        return batch


def collate_sources(sources: Sequence[Source]) -> Batch:
    """Sources padded on the right to one length.

    Returns:
        source_tokens, source_nodes, source_positions, source_words, source_reach (B, T) and source_length (B,), int64.
    """
    lengths = np.array([source.end for source in sources], np.int64)
    real_BT = np.arange(lengths.max()) < lengths[:, None]
    return {
        "source_tokens": padded([source.tokens_T for source in sources], real_BT),
        "source_nodes": padded([source.nodes_T for source in sources], real_BT),
        "source_positions": padded([source.positions_T for source in sources], real_BT),
        "source_words": padded([source.words_T for source in sources], real_BT),
        "source_reach": padded([source.reach_T for source in sources], real_BT, nothing=1),
        "source_length": torch.from_numpy(lengths),
    }
