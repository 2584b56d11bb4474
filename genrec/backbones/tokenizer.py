"""Tokenizers: one trained on the catalogue's own text, or the one that a pretrained model brings.

Either may get words besides, for items and users that are written by words of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from genrec.data.files import read_json, write_json
from genrec.data.interactions import IntArray
from genrec.errors import ConfigError, shown

_log = logging.getLogger("genrec")

_BLANK = "\u0120"  # the letter that byte-level BPE writes a blank with
_BEGIN = "begin.json"  # what opens a text
_TEXTS_AT_ONCE = 1024  # what is known of a text beside its tokens takes more memory than these


class TextTokenizer(Protocol):
    """Text to token ids without any added tokens, the ids that open a text and close a title, and back."""

    vocab_size: int
    begin: list[int]
    end: list[int]

    def encode(self, texts: list[str]) -> list[list[int]]: ...

    def decode(self, tokens: Iterable[int]) -> str: ...

    def save(self, folder: Path) -> None: ...


class TrainedTokenizer:
    """Byte-level BPE trained on the given texts; any character can be written, seen or not."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()
        self.begin: list[int] = tokenizer.encode("<begin>").ids
        self.end: list[int] = tokenizer.encode("<end>").ids
        tokenizer.encode_special_tokens = True  # a title that says "<end>" is text like any other

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, digit_pairs: bool = False) -> TrainedTokenizer:
        """Train on `texts`; the vocabulary is smaller where they are too few to fill it.

        `digit_pairs`: numbers are written two digits a token and never whole, so that near ones begin alike.
        """
        tokenizer = Tokenizer(models.BPE())
        # Every word starts with its blank, the first one too: a word has one spelling wherever it stands.
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        if digit_pairs:
            # To the byte-level alphabet a blank is a letter of its own.
            pairs = pre_tokenizers.Split(Regex(f"{_BLANK}?[0-9]{{1,2}}"), "isolated")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([tokenizer.pre_tokenizer, pairs])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=["<begin>", "<end>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    def encode(self, texts: list[str]) -> list[list[int]]:
        starts = range(0, len(texts), _TEXTS_AT_ONCE)
        parts = (
            self.tokenizer.encode_batch_fast(texts[start : start + _TEXTS_AT_ONCE], add_special_tokens=False)
            for start in starts
        )
        return [encoding.ids for part in parts for encoding in part]

    def decode(self, tokens: Iterable[int]) -> str:
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def save(self, folder: Path) -> None:
        self.tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(cls, folder: Path) -> TrainedTokenizer:
        """Read what `save` wrote."""
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")))


class PretrainedTokenizer:
    """The tokenizer of a pretrained checkpoint; a title is closed by a line break, as in running text, or by the end of
    text where the tokenizer has none.
    """

    def __init__(self, name: str) -> None:
        """Load it.

        Args:
            name: folder of a checkpoint, a GGUF file, or a name on the Hugging Face hub.

        Raises:
            ConfigError: there is no tokenizer at `name`, or it has code of its own.
        """
        # Here, as a tokenizer of our own does without transformers' machinery for all others.
        from genrec.backbones.checkpoint import checkpoint_tokenizer, opening

        self.name = name
        with opening(f"{name!r} has no tokenizer that transformers can load"):
            self.tokenizer: Any = checkpoint_tokenizer(name)
            self.vocab_size = len(self.tokenizer)
            self.begin = self._begin()
            end = self._end()
        if not end:
            raise ConfigError(f"the tokenizer of {name!r} can write neither a line break nor an end of text")
        self.end = end

    def _begin(self) -> list[int]:
        """The token that the tokenizer itself opens a text with; nothing where it adds none.

        A checkpoint that has not read a token there in its pretraining expects other text after it.
        """
        first = self.tokenizer.bos_token_id
        return [first] if self.tokenizer("a")["input_ids"][:1] == [first] else []

    def _end(self) -> list[int]:
        """What closes a title; nothing where there is neither a line break nor an end of text."""
        # Some tokenizers put a blank before a text, so the line break is read off after a letter.
        letter, line = self.encode(["a", "a\n"])
        end = line[len(letter) :] if line[: len(letter)] == letter else []
        # That of T5 knows no line break and writes a blank, an unknown token or nothing for it.
        if "\n" in self.decode(end):
            return end
        return [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]

    def encode(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        return ids

    def chat(self) -> tuple[list[int], list[int]] | None:
        """What the checkpoint's chat template has before what a user says, and after it until the answer begins.

        None where it has no template.

        Raises:
            ConfigError: the template does not hold what a user says as it stands.
        """
        if getattr(self.tokenizer, "chat_template", None) is None:
            return None
        said = "what a user says"
        from genrec.backbones.checkpoint import opening

        with opening(f"the chat template of {self.name!r} cannot be used"):
            asked = [{"role": "user", "content": said}]
            text = self.tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        before, found, after = text.partition(said)
        if not found:
            raise ConfigError(
                f"the chat template of {self.name!r} changes what a user says: take a prompt without chat"
            )
        spelt = self.tokenizer([before, after], add_special_tokens=False)["input_ids"]
        return spelt[0], spelt[1]

    def check_spelling(self, titles: Sequence[str]) -> None:
        """Look at titles that the vocabulary has no tokens for; it is told where some of their letters are lost.

        Raises:
            ConfigError: nothing is left of a title.
        """
        unknown = self.tokenizer.unk_token_id
        if unknown is None:
            return
        rows = {
            title: row for title, row in zip(titles, self.encode(list(titles)), strict=True) if unknown in row
        }
        for title, row in rows.items():
            if title.strip() and not self.decode(row).strip():
                raise ConfigError(
                    f"the tokenizer of {self.name!r} cannot spell the title {shown(title)}: choose a checkpoint whose "
                    "vocabulary has its letters, or bytes"
                )
        if rows:
            _log.warning(
                "the tokenizer of %s lacks letters of %s of %s titles, such as %s",
                self.name, f"{len(rows):,}", f"{len(titles):,}", shown(next(iter(rows))),
            )  # fmt: skip

    def decode(self, tokens: Iterable[int]) -> str:
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)
        write_json(folder / _BEGIN, self.begin, indent=None)

    @classmethod
    def load(cls, folder: Path) -> PretrainedTokenizer:
        """Read what `save` wrote.

        Until December 2026 it did not note what opens a text, which was the first token of texts wherever the
        checkpoint names one.
        """
        found = cls(str(folder))
        first = found.tokenizer.bos_token_id
        known = (folder / _BEGIN).exists()
        found.begin = read_json(folder / _BEGIN, list[int]) if known else [] if first is None else [first]
        return found


class WordTokenizer:
    """A tokenizer and words besides: each a token of its own, behind the others, that no text can spell."""

    def __init__(self, text: TextTokenizer, words: Sequence[str]) -> None:
        """Put words behind the tokens of `text`; more of them later leave the ids of these as they are.

        Raises:
            ConfigError: a word is there twice.
        """
        if len(set(words)) < len(words):
            twice = next(word for word in words if words.count(word) > 1)
            raise ConfigError(f"the word {twice!r} is there twice: a token needs a name of its own")
        self.text = text
        self.words = tuple(words)
        self.vocab_size = text.vocab_size + len(words)
        self.begin, self.end = text.begin, text.end

    @property
    def word_ids(self) -> IntArray:
        """The token of each word; (num_words,)."""
        return np.arange(self.text.vocab_size, self.vocab_size, dtype=np.int32)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Text to tokens, none of them a word."""
        return self.text.encode(texts)

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens to text, with the words set off by blanks."""
        first = self.text.vocab_size
        runs = [
            " ".join(self.words[token - first] for token in run) if is_word else self.text.decode(run)
            for is_word, run in groupby(tokens, lambda token: token >= first)
        ]
        return " ".join(run.strip() for run in runs) if len(runs) > 1 else "".join(runs)

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        write_json(folder / "words.json", list(self.words), indent=None)

    @classmethod
    def load(cls, folder: Path, text: TextTokenizer) -> WordTokenizer:
        """Read the words that `save` wrote beside the tokenizer `text`."""
        return cls(text, read_json(folder / "words.json", list[str]))
