"""A codebook: how the items of a catalogue are written, from their names over tokens to the trie of their codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from genrec.backbones.tokenizer import PretrainedTokenizer, TextTokenizer, TrainedTokenizer, WordTokenizer
from genrec.codes.growth import TrainedCodes
from genrec.codes.numbered import number_titles, original_numbers, random_numbers, sequential_numbers
from genrec.codes.title import title_codes
from genrec.codes.trie import Codes, Trie
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import IntArray, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.language.config import GenerativeConfig

_WHOLE = "whole"  # an array of a saved codebook whose names are read to their ends; older ones have none


@dataclass(frozen=True)
class Codebook:
    """The tokenizer, the trie of all codes, and what the codes were made of.

    `reading`: what stands for each item in a history; its code begins it, or is all of it. `numbers`: of each item,
    where numbers are written in place of titles. `trained`: the codes of the training, from which those of an edited
    catalogue grow; None where codes come from interactions, so that no item can be added.
    """

    tokenizer: TextTokenizer
    trie: Trie
    numbers: IntArray | None
    trained: TrainedCodes | None
    reading: Codes

    @property
    def codes(self) -> Codes:
        """The tokens of each item."""
        return self.trie.codes

    @classmethod
    def build(
        cls,
        config: GenerativeConfig,
        train: Interactions,
        texts: Iterable[str],
        words: Sequence[str] = (),
        tokenizer: TextTokenizer | None = None,
    ) -> Codebook:
        """The codebook of the catalogue of `train`.

        Args:
            config: its options of the code and of the vocabulary count.
            train: the training part; nothing else may give codes their shape.
            texts: what else than names the tokenizer has to spell.
            words: words that are a token each and that no text can spell.
            tokenizer: of an earlier training; None: one for these names and texts.

        Raises:
            ConfigError: the code does not go with the backbone, or the backbone has no tokenizer.
            DataError: the ids of the items do not make the numbers that are wanted.
            CatalogueError: equal titles that the tokenizer cannot tell apart by a number.
        """
        backbone, titles, coded = config.backbone, train.catalogue.titles, None
        if config.code.kind == "collaborative":
            if backbone.kind == "pretrained":
                raise ConfigError(
                    "code=collaborative needs backbone=compact: a checkpoint has no embeddings for words of our own; "
                    "take code=title or code=sequential with it"
                )
            from genrec.codes.collaborative import (
                collaborative_codes,
            )  # scipy's solvers, for these codes alone

            coded = collaborative_codes(train.histories, len(titles), seed=config.seed)
            words = [*words, *coded.words]
        numbers = _numbers(config, train)
        names = _names(titles, numbers)
        if tokenizer is not None:
            pass
        elif backbone.kind != "pretrained":
            spelt = [*(names if coded is None else ()), *texts]
            digit_pairs = numbers is not None
            tokenizer = TrainedTokenizer.train(spelt, backbone.vocab_size, digit_pairs=digit_pairs)
        else:
            tokenizer = PretrainedTokenizer(backbone.path)
            tokenizer.check_spelling(names)
        if words:
            tokenizer = WordTokenizer(tokenizer, words)
        if coded is None:
            length, close = config.code.length, _always_close(config, _reads_whole(config))
            codes = title_codes(names, tokenizer.encode, tokenizer.end, length, always_close=close)
        else:
            first = tokenizer.vocab_size - len(coded.words)
            codes = Codes((first + coded.codes.items).astype(np.int32), coded.codes.offsets)
        return cls._trained(config, tokenizer, Trie.build(codes), numbers, names, _reads_whole(config))

    @classmethod
    def _trained(
        cls,
        config: GenerativeConfig,
        tokenizer: TextTokenizer,
        trie: Trie,
        numbers: IntArray | None,
        names: Sequence[str],
        whole: bool,
    ) -> Codebook:
        if config.code.kind == "collaborative":
            return cls(tokenizer, trie, numbers, None, trie.codes)
        close = _always_close(config, whole)
        trained = TrainedCodes(trie, names, tokenizer.encode, tokenizer.end, config.code.length, close)
        return cls(tokenizer, trie, numbers, trained, trained.whole(names) if whole else trie.codes)

    def grown(self, titles: Sequence[str]) -> tuple[Codebook, IntArray]:
        """The codebook of the edited catalogue, and the node of its trie that each trained node (N,) is, -1 for none.

        Args:
            titles: those of the trained items, then those of the others.

        Raises:
            ConfigError: there are others, and codes come from interactions.
            CatalogueError: equal titles that the tokenizer cannot tell apart by a number.
        """
        num_new = len(titles) - len(self.codes)
        if self.trained is None:
            if num_new:
                raise ConfigError(
                    "new items have no collaborative code, which comes from what users took: fit again, or take titles"
                )
            return self, np.arange(self.trie.num_nodes)  # what items are called does not change their codes
        numbers = self.numbers
        if numbers is not None:
            top = int(numbers.max(initial=-1)) + 1
            numbers = np.concatenate([numbers, top + np.arange(num_new)])
        names = _names(titles, numbers)
        trie, moved = self.trained.grown(names)
        reading = trie.codes if self.reading is self.codes else self.trained.whole(names)
        return replace(self, trie=trie, numbers=numbers, reading=reading), moved

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the codes."""
        self.tokenizer.save(folder)
        numbers = {} if self.numbers is None else {"numbers": self.numbers}
        arrays = {"tokens": self.codes.items, "offsets": self.codes.offsets, **numbers}
        if self.reading is not self.codes:
            arrays[_WHOLE] = np.ones(1, np.int8)
        write_atomically(folder / "codes.safetensors", lambda path: save_file(arrays, path))

    @classmethod
    def load(cls, folder: Path, config: GenerativeConfig, titles: Sequence[str]) -> Codebook:
        """Read what `save` wrote.

        Args:
            folder: it is there.
            config: the options that it was built with.
            titles: of the trained items.
        """
        arrays = read_safetensors(folder / "codes.safetensors", ["tokens", "offsets"])
        small = config.backbone.kind != "pretrained"
        tokenizer: TextTokenizer = (
            TrainedTokenizer.load(folder) if small else PretrainedTokenizer.load(folder)
        )
        if (folder / "words.json").exists():
            tokenizer = WordTokenizer.load(folder, tokenizer)
        trie, numbers = Trie.build(Codes(arrays["tokens"], arrays["offsets"])), arrays.get("numbers")
        return cls._trained(config, tokenizer, trie, numbers, _names(titles, numbers), _WHOLE in arrays)


def _numbers(config: GenerativeConfig, train: Interactions) -> IntArray | None:
    """The number of each item, where numbers are written in place of titles."""
    if config.code.kind == "random":
        return random_numbers(len(train.catalogue), config.seed)
    if config.code.kind == "sequential":
        return sequential_numbers(train.histories, len(train.catalogue), config.seed)
    if config.code.kind == "original":
        return original_numbers(train.catalogue.ids)
    return None


def _names(titles: Sequence[str], numbers: IntArray | None) -> Sequence[str]:
    """What is written for each item, before it is made unique and cut short."""
    return titles if numbers is None else number_titles(numbers)


def _reads_whole(config: GenerativeConfig) -> bool:
    """Whether histories are read by more than what is written."""
    return config.code.length == "shortest" and getattr(config.code, "read", "code") == "whole"


def _always_close(config: GenerativeConfig, whole: bool) -> bool:
    # A model that learns to write from nothing but these codes needs no word for "the title ends here". Where names are
    # read to their ends, `whole`, that would stand in the middle of one.
    return not whole and (config.backbone.kind == "pretrained" or config.code.length == "full")
