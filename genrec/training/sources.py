"""Examples of encoder–decoders: a source that is read, and the answers that are learnt from it.

A source is a list of *words*, each written with some tokens: an item (with its code), the user, the mask, a word of a
prompt. Packed, a history is read once and every item of it is an answer that sees what came before; otherwise an
example has one answer. Masked item prediction (Cao and Liò 2024, https://arxiv.org/abs/2407.21191) hides one word and
asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import IntArray
from genrec.errors import ConfigError
from genrec.training.histories import Way
from genrec.training.layout import padded
from genrec.training.mixture import Batch

WordNumbers = Literal["none", "order", "own", "shared"]

_PROMPT_WORDS = 200  # words around a history that are told apart by their order


@dataclass(frozen=True)
class Word:
    """Tokens of one word, the trie nodes that they write (0: none), and its row in the word table (0: none).

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
    def of_text(cls, tokens: IntArray, number: int = 0) -> Word:
        """A word that is no item."""
        return cls(tokens, np.zeros_like(tokens), number)


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
    """What is learnt: words, the position of their first token, and how much of the source they see.

    `restarts`: positions start anew with every word, from that of the start token.
    """

    words: Sequence[Word]
    start: int
    reach: int
    restarts: bool = False

    @property
    def tokens(self) -> IntArray:
        """Tokens of all words."""
        return np.concatenate([word.tokens for word in self.words])


@dataclass(frozen=True)
class Asked:
    """An example: a source and its answers; `chained`: each sees those before it."""

    source: Source
    answers: Sequence[Answer]
    chained: bool = False


def num_word_vectors(numbers: WordNumbers, num_users: int, num_items: int, max_items: int) -> int:
    """Rows that the word table of a backbone needs; 0: none."""
    return {
        "none": 0,
        "order": 1 + max_items + _PROMPT_WORDS,
        "own": 1 + num_users + num_items,
        "shared": 1 + max(num_users, num_items),
    }[numbers]


class SourceWriter:
    """Writes histories as sources, and items as answers, with the codes of a catalogue."""

    def __init__(
        self,
        codes: Codes,
        trie: Trie,
        *,
        begin: IntArray,
        mask: IntArray,
        start_token: int,
        numbers: WordNumbers = "none",
        num_words: int = 0,
        num_items: int | None = None,
        users: Sequence[IntArray] = (),
        max_items: int = 50,
        max_tokens: int = 4096,
        packs: bool = False,
        continues: bool = True,
        scores_padding: bool = False,
        last_share: float = 0.3,
    ) -> None:
        """A writer.

        Args:
            codes: tokens of each item.
            trie: the trie of these codes.
            begin: tokens that open every source, so that an empty history is one too.
            mask: tokens that stand for what is asked.
            start_token: what the decoder is given before each answer.
            numbers: rows of the word table. "none": no word has one; "order": words are counted from the start of the
                source (P5's whole-word embeddings), those at its end sharing the last row; "own": every user and every
                item has one; "shared": item and user of the same number have the same (the published code of Cao
                and Liò).
            num_words: rows of that table.
            num_items: items that it was made for, the first ones; later ones have no row. None: all.
            users: tokens of each training user's word; without them no user is written.
            max_items: most recent items of a history that are read.
            max_tokens: longest source; the oldest items are left out until it fits.
            packs: questions are put as packed examples learn them: without a mask, each item seeing only what came
                before it.
            continues: positions of an answer go on from those of the source; False: they start at 0.
            scores_padding: padding goes on with the last answer and is learnt too, which the published code of Cao and
                Liò does.
            last_share: of the masked words, how many are the last item (else one of all words, as likely each).

        Raises:
            ConfigError: no source of `max_tokens` holds one item of the longest code.
        """
        self.codes, self.paths = codes, trie.paths
        self.code_lengths, self.longest_code = codes.lengths, int(codes.lengths.max())
        self.begin, self.mask, self.start_token = begin, mask, start_token
        self.numbers, self.num_words, self.users, self.last_share = numbers, num_words, users, last_share
        self.num_items = len(codes) if num_items is None else num_items
        self.scores_padding = scores_padding
        self.max_items, self.max_tokens, self.packs, self.continues = max_items, max_tokens, packs, continues
        longest_user = max((len(user) for user in users), default=0)
        self.longest_prompt = len(begin) + longest_user + len(mask)
        if self.longest_prompt + self.longest_code > max_tokens:
            raise ConfigError(
                f"the words around a history take {self.longest_prompt} tokens and an item {self.longest_code}: they "
                f"do not fit in max_tokens={max_tokens}: raise it, or take code_length=shortest"
            )

    # -- examples --------------------------------------------------------------------------------------------

    def packed(self, items: IntArray, user: int | None) -> Asked:
        """Every item is an answer that sees what was taken before it."""
        words = self._words(items, user, masked=False)
        before = self._num_before(user)
        source = self.source(words, in_order_from=before)
        ends = np.cumsum([len(word.tokens) for word in words]).tolist()
        answers = [self.answer(words[place], ends[place - 1]) for place in range(before, len(words))]
        return Asked(source, answers)

    def single(self, items: IntArray, target: int, user: int | None) -> Asked:
        """The next item after a history, asked for by the mask at its end."""
        source = self.question(items, user)
        return Asked(source, [self.after(source, self.item(target))])

    def masked(self, items: IntArray, user: int | None, rng: np.random.Generator) -> Asked:
        """A history of which one word is hidden and asked for."""
        words = self._words(items, user, masked=False)
        last = rng.random() < self.last_share
        place = len(words) - 1 if last else int(rng.integers(1, len(words)))
        hidden = words[place]
        words[place] = Word.of_text(self.mask)
        source = self.source(words)
        return Asked(source, [self.after(source, hidden)])

    def question(self, items: IntArray, user: int | None) -> Source:
        """A history as the source after which its next item is asked for."""
        words = self._words(items, user, masked=not self.packs)
        return self.source(words, in_order_from=self._num_before(user) if self.packs else None)

    def example(self, way: Way, items: IntArray, user: int, rng: np.random.Generator) -> Asked:
        """The example of a piece of a user's history."""
        if way == "packed":
            return self.packed(items, user)
        if way == "masked":
            return self.masked(items, user, rng)
        return self.single(items[:-1], int(items[-1]), user)

    def check(self, way: Way) -> None:
        """Raise ConfigError where examples of that kind cannot be written."""

    # -- words -----------------------------------------------------------------------------------------------

    def _num_before(self, user: int | None) -> int:
        """Words before the first item."""
        return 1 + bool(self.users and user is not None)

    def _newest(self, items: IntArray, user: int | None, *, masked: bool) -> IntArray:
        """The newest items that fit."""
        items = items[-self.max_items :]
        taken = len(self.begin) + (len(self.mask) if masked else 0)
        taken += len(self.users[user]) if self.users and user is not None else 0
        from_here = np.cumsum(self.code_lengths[items][::-1])[::-1]
        return items[np.searchsorted(-from_here, taken - self.max_tokens) :]

    def _words(self, items: IntArray, user: int | None, *, masked: bool) -> list[Word]:
        words = [Word.of_text(self.begin)]
        if self.users and user is not None:
            number = 1 + user if self.numbers in ("own", "shared") else 0
            words.append(Word.of_text(self.users[user], number))
        words += [self.item(item) for item in self._newest(items, user, masked=masked).tolist()]
        if masked:
            words.append(Word.of_text(self.mask))
        return words

    def item(self, item: int) -> Word:
        """An item as a word."""
        number = {"own": 1 + len(self.users) + item, "shared": 1 + item}.get(self.numbers, 0)
        # A run that an older version edited does not tell which of its items came after the table.
        number = number if item < self.num_items and number < self.num_words else 0
        return Word(self.codes[item], self.paths[item], number, is_item=True, is_entity=True)

    def source(self, words: Sequence[Word], in_order_from: int | None = None) -> Source:
        """Words side by side; from word `in_order_from` on each sees only what came before it and itself."""
        lengths = np.array([len(word.tokens) for word in words])
        ends = np.cumsum(lengths)
        numbers = np.array([word.number for word in words])
        if self.numbers == "order":
            numbers = np.minimum(1 + np.arange(len(words)), self.num_words - 1)
        reach = np.full(len(words), ends[-1])
        if in_order_from is not None:
            reach[in_order_from:] = ends[in_order_from:]
            reach[:in_order_from] = ends[in_order_from - 1]
        return Source(
            np.concatenate([word.tokens for word in words]),
            np.concatenate([word.nodes for word in words]),
            np.arange(ends[-1]),
            np.repeat(numbers, lengths),
            np.repeat(reach, lengths),
            self.start_after(int(ends[-1])),
        )

    def start_after(self, reach: int) -> int:
        """The position of an answer's first token that follows `reach` tokens of a source."""
        return reach if self.continues else 1

    def answer(self, word: Word, reach: int) -> Answer:
        """A word as the answer to the first `reach` tokens of a source."""
        return Answer([word], self.start_after(reach), reach)

    def after(self, source: Source, word: Word) -> Answer:
        """A word as the answer to a source."""
        return Answer([word], source.start, source.end)

    def _positions(self, answer: Answer) -> IntArray:
        """Those of the start token and of every token after it."""
        lengths = [len(word) for word in answer.words]
        if not answer.restarts:
            return answer.start - 1 + np.arange(1 + sum(lengths))
        parts = [np.arange(length) for length in (1 + lengths[0], *lengths[1:])]
        return answer.start - 1 + np.concatenate(parts)

    # -- batches ---------------------------------------------------------------------------------------------

    def collate(self, examples: Sequence[Asked]) -> Batch:
        """Sources and answers of several examples, as `Seq2SeqBackbone.forward` takes them.

        `learnt` (B, L) marks what is predicted, `items` what of it belongs to codes of items and not to text.
        """
        batch = collate_sources([example.source for example in examples])
        lengths = [
            sum(1 + sum(len(word.tokens) for word in answer.words) for answer in example.answers)
            for example in examples
        ]
        shape = (len(examples), max(lengths))
        names = ("tokens", "nodes", "positions", "answer", "sees", "reach", "learnt", "items")
        table = {name: np.zeros(shape, np.int64) for name in names}
        table["answer"] -= 1  # padding answers nothing
        table["sees"] -= 1
        for row, example in enumerate(examples):
            place = 0
            for number, answer in enumerate(example.answers):
                start = place
                table["tokens"][row, place] = self.start_token
                place += 1
                for word in answer.words:
                    here = (row, slice(place, place + len(word.tokens)))
                    table["tokens"][here], table["nodes"][here] = word.tokens, word.nodes
                    table["items"][here] = word.is_item
                    place = here[1].stop
                here = (row, slice(start, place))
                table["positions"][here] = self._positions(answer)
                table["answer"][here], table["reach"][here] = number, answer.reach
                table["sees"][here] = 0 if example.chained else number
                table["learnt"][row, start + 1 : place] = 1
            if self.scores_padding and example.answers:
                last = example.answers[-1]
                table["answer"][row, place:] = table["sees"][row, place:] = len(example.answers) - 1
                table["reach"][row, place:] = last.reach
                table["positions"][row, place:] = last.start + len(last.tokens) + np.arange(shape[1] - place)
                table["learnt"][row, place:] = 1
                table["items"][row, place:] = last.words[-1].is_item
        batch |= {name: torch.from_numpy(values) for name, values in table.items()}
        for name in ("learnt", "items"):
            batch[name] = batch[name].bool()
        return batch


def collate_sources(sources: Sequence[Source]) -> Batch:
    """Sources padded on the right to one length.

    Returns:
        source_tokens, source_nodes, source_positions, source_words, source_reach (B, T) and source_length (B,), int64.
    """
    lengths = np.array([len(source.tokens_T) for source in sources], np.int64)
    real_BT = np.arange(lengths.max()) < lengths[:, None]
    return {
        "source_tokens": padded([source.tokens_T for source in sources], real_BT),
        "source_nodes": padded([source.nodes_T for source in sources], real_BT),
        "source_positions": padded([source.positions_T for source in sources], real_BT),
        "source_words": padded([source.words_T for source in sources], real_BT),
        "source_reach": padded([source.reach_T for source in sources], real_BT, nothing=1),
        "source_length": torch.from_numpy(lengths),
    }
