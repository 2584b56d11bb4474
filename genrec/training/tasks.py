"""Examples of several tasks: what the data tell, put into the words of a prompt, with the answer that is learnt.

The tasks and how often each is drawn are P5's (Geng et al. 2022, https://arxiv.org/abs/2203.13366, and its code). A
history may be packed: its items stand at the end of the source then, and each is an answer.

Shape suffixes: E examples of an epoch, S steps of an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from genrec.codes.title import Encode
from genrec.errors import ConfigError
from genrec.prompts.template import Field, Segment, Text
from genrec.training.sources import Asked, Source, SourceWriter, Word

_WHOLE = ("user", "item", "candidates")  # fields that lose nothing in a question that is too long

Values = Mapping[str, Any]  # of fields: rows of users and items, lists of items, or text


class TaskWriter:
    """Puts prompts and their values into words, and answers into tokens."""

    def __init__(
        self, writer: SourceWriter, encode: Encode, end: Sequence[int], user_tokens: Sequence[Sequence[int]]
    ) -> None:
        """A writer of prompts.

        Args:
            writer: writes items, sources and batches.
            encode: texts to lists of token ids.
            end: tokens that close an answer in text.
            user_tokens: tokens of each user.
        """
        self.writer, self.end = writer, np.array(end)
        self._encode, self._user_tokens = encode, user_tokens
        self.word = lru_cache(maxsize=100_000)(self._new_word)

    def source(self, segments: Sequence[Segment], values: Values, *, packed: bool = False) -> Source:
        """The source of a prompt. Packed: its history stands at the end, each item seeing what came before it."""
        words, history = self._laid_out(segments, values, packed)
        return self.writer.source([*words, *history], in_order_from=len(words) if packed else None)

    def example(self, segments: Sequence[Segment], target: Word, values: Values) -> Asked:
        """A prompt and its one answer."""
        source = self.source(segments, values)
        return Asked(source, [self.writer.after(source, target)])

    def packed(self, segments: Sequence[Segment], values: Values) -> Asked:
        """A prompt whose history is packed: every item of it is an answer."""
        words, history = self._laid_out(segments, values, packed=True)
        source = self.writer.source([*words, *history], in_order_from=len(words))
        start = _num_tokens(words)
        answers = []
        for item in history:
            answers.append(self.writer.answer(item, start))
            start += len(item.tokens)
        return Asked(source, answers)

    def own_length(self, segments: Sequence[Segment]) -> int:
        """Tokens of a prompt's own words."""
        return sum(_num_tokens(self._words(part, {})) for part in segments if isinstance(part, Text))

    def item(self, item: int) -> Word:
        """An item as an answer."""
        return self.writer.item(item)

    def text(self, text: str, max_tokens: int = 64) -> Word:
        """A text as an answer, closed."""
        return Word.of_text(np.array([*self.spell(text)[:max_tokens], *self.end]))

    def spell(self, text: str) -> list[int]:
        """The tokens of a text, word by word, as it stands in sources and answers."""
        return [token for word in text.split() for token in self.word(word).tokens.tolist()]

    def _laid_out(
        self, segments: Sequence[Segment], values: Values, packed: bool
    ) -> tuple[list[Word], list[Word]]:
        """The words of a prompt, less those of its history where that is packed, and these."""
        parts = [self._words(segment, values) for segment in segments]
        begin = Word.of_text(self.writer.begin)
        excess = len(begin.tokens) + sum(map(_num_tokens, parts)) - self.writer.max_tokens
        if excess > 0:
            self._shorten(segments, parts, excess)
        history = parts.pop(segments.index(Field("history"))) if packed else []
        return [begin, *chain.from_iterable(parts)], history

    def _shorten(self, segments: Sequence[Segment], parts: list[list[Word]], excess: int) -> None:
        """Leave out the oldest items of a history, or the end of a text: of the longest that the prompt has."""
        places = [
            place
            for place, segment in enumerate(segments)
            if isinstance(segment, Field) and segment.name not in _WHOLE
        ]
        longest = max(places, key=lambda place: _num_tokens(parts[place]), default=None)
        room = -1 if longest is None else _num_tokens(parts[longest]) - excess
        if longest is None or room < 0:
            raise ConfigError(
                f"a question does not fit in max_tokens={self.writer.max_tokens}, by {-room} tokens or more: raise it, "
                "or leave out tasks that name candidates (times.choose=0 times.direct-choose=0)"
            )
        words, oldest_first = parts[longest], segments[longest] == Field("history")
        ends = np.cumsum([len(word.tokens) for word in (words[::-1] if oldest_first else words)])
        num_kept = int(np.searchsorted(ends, room, side="right"))
        parts[longest] = words[len(words) - num_kept :] if oldest_first else words[:num_kept]

    def _words(self, segment: Segment, values: Values) -> list[Word]:
        if isinstance(segment, Text):
            return [self.word(word) for word in segment.text.split()]
        value = values[segment.name]
        if segment.name == "user":
            if value is None:
                return [self.word("someone")]
            return [Word.of_text(np.array(self._user_tokens[value]))]
        if segment.name == "item":
            return [self.item(value)]
        if segment.name == "history":
            return [self.item(item) for item in value[-self.writer.max_items :].tolist()]
        if segment.name == "candidates":
            return [self.item(item) for item in value.tolist()]
        return [self.word(word) for word in str(value).split()]

    def _new_word(self, text: str) -> Word:
        """A text as one word of a source; kept as `word`, since words come again and again."""
        # Some tokenizers put no blank before a text themselves, and words side by side would run together.
        return Word.of_text(np.array(self._encode([f" {text}"])[0]))


def _num_tokens(words: Sequence[Word]) -> int:
    return sum(len(word.tokens) for word in words)
