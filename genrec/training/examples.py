"""Examples: histories as token rows, and the batch of every training step.

Three ways to put the same histories before a model:
- packed: a history once, every item of it a target (what a causal model learns for the price of one pass);
- prefixes: one example a target, each repeating everything before it (what most published systems do);
- last: one example a user, the last item its target (Ji et al. 2023, https://arxiv.org/abs/2307.00457).

Every step's batch is a function of (seed, step) alone, so a run that was killed goes on with the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.errors import ConfigError
from genrec.prompts.render import PromptTokens
from genrec.training.epochs import Calendar, Epochs, Way


@dataclass(frozen=True)
class Example:
    """One row: tokens, the trie node each one writes (0 for a prompt's words), positions, and what is learnt.

    Shape: four arrays (T,); learnt_T marks tokens that are predicted from those before them.
    """

    tokens_T: IntArray
    nodes_T: IntArray
    positions_T: IntArray
    learnt_T: BoolArray


class Writer:
    """Writes histories with the codes of a catalogue."""

    def __init__(
        self,
        codes: Codes,
        trie: Trie,
        prompts: Sequence[PromptTokens],
        *,
        stride: int = 0,
        max_items: int = 100,
        max_tokens: int = 8192,
        learn_prompt: bool = False,
    ) -> None:
        """A writer.

        Args:
            codes: tokens of each item.
            trie: the trie of these codes.
            prompts: paraphrases; evaluation asks with the first.
            stride: positions from the start of one item to the start of the next, so that distance in positions is
                distance in items however long their codes are; 0: positions count tokens.
            max_items: most recent items of a history that are written.
            max_tokens: longest row, answer included; the oldest items are left out until it fits.
            learn_prompt: also learn the tokens of prompt and history (one-target examples only).

        Raises:
            ConfigError: no row of `max_tokens` holds the prompt and the longest code.
        """
        self.codes, self.paths, self.prompts = codes, trie.paths, list(prompts)
        self.stride, self.max_items, self.max_tokens = stride, max_items, max_tokens
        self.learn_prompt = learn_prompt
        self.code_lengths = codes.lengths
        # A question leaves room for any answer, so that it is the same whichever answer follows.
        self.longest_code = int(codes.lengths.max())
        self.longest_prompt = max(len(prompt.before) + len(prompt.after) for prompt in prompts)
        if self.longest_prompt + self.longest_code > max_tokens:
            raise ConfigError(
                f"a prompt of {self.longest_prompt} tokens and a title of {self.longest_code} do not fit in "
                f"max_tokens={max_tokens}: raise it, or take code_length=shortest"
            )

    @property
    def num_paraphrases(self) -> int:
        """Prompts to choose from."""
        return len(self.prompts)

    def check(self, way: Way) -> None:
        """Raise ConfigError where examples of that kind cannot be written."""
        if way == "packed" and any(len(prompt.after) for prompt in self.prompts):
            raise ConfigError(
                "packed examples have no place for a prompt's words after the history: take prompt=none, or "
                "examples=last or prefixes"
            )

    def example(
        self, way: Way, items: IntArray, user: int, paraphrase: int, rng: np.random.Generator
    ) -> Example:
        """The example of a piece of a user's history."""
        if way == "packed":
            return self.packed(items, paraphrase)
        return self.single(items[:-1], int(items[-1]), paraphrase)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """See `collate`."""
        return collate(examples)

    def packed(self, items: IntArray, paraphrase: int = 0) -> Example:
        """The newest items as one row in which every item is a target."""
        before = self.prompts[paraphrase].before
        items = self._newest(items, len(before))
        codes = self.codes.take(items)
        return Example(
            np.concatenate([before, codes.items]),
            np.concatenate([np.zeros_like(before), self.paths.take(items).items]),
            np.concatenate([np.arange(len(before)), len(before) + self._positions(codes)[0]]),
            np.arange(len(before) + len(codes.items)) >= len(before),
        )

    def question(self, items: IntArray, paraphrase: int = 0) -> tuple[Example, int]:
        """A history as the row after which the answer begins, and the position of the answer's first token."""
        prompt = self.prompts[paraphrase]
        before, after = prompt.before, prompt.after
        items = self._newest(items, len(before) + len(after) + self.longest_code)
        codes = self.codes.take(items)
        positions, end = self._positions(codes)
        start = len(before) + end
        tokens = np.concatenate([before, codes.items, after])
        nodes = np.concatenate([np.zeros_like(before), self.paths.take(items).items, np.zeros_like(after)])
        places = np.concatenate(
            [np.arange(len(before)), len(before) + positions, start + np.arange(len(after))]
        )
        return Example(tokens, nodes, places, np.zeros(len(tokens), bool)), start + len(after)

    def single(self, items: IntArray, target: int, paraphrase: int = 0) -> Example:
        """A question about `items` followed by its answer, the code of `target`."""
        code = self.codes[target]
        question, start = self.question(items, paraphrase)
        learnt = np.concatenate(
            [np.full(len(question.tokens_T), self.learn_prompt), np.ones(len(code), bool)]
        )
        learnt[0] = False  # nothing stands before the first token
        return Example(
            np.concatenate([question.tokens_T, code]),
            np.concatenate([question.nodes_T, self.paths[target]]),
            np.concatenate([question.positions_T, start + np.arange(len(code))]),
            learnt,
        )

    def _newest(self, items: IntArray, taken: int) -> IntArray:
        """The newest items that fit beside `taken` other tokens."""
        items = items[-self.max_items :]
        room = self.max_tokens - taken
        from_here = np.cumsum(self.code_lengths[items][::-1])[::-1]
        return items[np.searchsorted(-from_here, -room) :]

    def _positions(self, codes: Codes) -> tuple[IntArray, int]:
        """Position of each token of a history, counted from its start, and the position after it."""
        if not self.stride:
            return np.arange(len(codes.items)), len(codes.items)
        inside = np.arange(len(codes.items)) - np.repeat(codes.offsets[:-1], codes.lengths)
        return np.repeat(np.arange(len(codes)) * self.stride, codes.lengths) + inside, len(
            codes
        ) * self.stride


Batch = dict[str, Tensor]


def collate(examples: Sequence[Example]) -> Batch:
    """Rows padded on the right to one length.

    Returns:
        tokens, nodes, positions (B, T) int64, learnt (B, T) bool and length (B,) int64.
    """
    lengths = np.array([len(example.tokens_T) for example in examples], np.int64)
    real_BT = np.arange(lengths.max()) < lengths[:, None]
    return {
        "tokens": padded([example.tokens_T for example in examples], real_BT),
        "nodes": padded([example.nodes_T for example in examples], real_BT),
        "positions": padded([example.positions_T for example in examples], real_BT),
        "learnt": padded([example.learnt_T for example in examples], real_BT).bool(),
        "length": torch.from_numpy(lengths),
    }


def padded(arrays: Sequence[IntArray | BoolArray], real_BT: BoolArray, nothing: int = 0) -> Tensor:
    """Rows of different lengths as one table (B, T) int64; `real_BT` marks what is no padding."""
    table_BT = np.full(real_BT.shape, nothing, np.int64)
    table_BT[real_BT] = np.concatenate(arrays)
    return torch.from_numpy(table_BT)


class Batches(Protocol):
    """The batches of a whole training, one a step."""

    def __len__(self) -> int: ...

    def __getitem__(self, step: int) -> Batch: ...


class ExampleWriter(Protocol):
    """What writes a piece of a history as an example, and examples as a batch."""

    code_lengths: IntArray
    longest_prompt: int
    max_items: int
    max_tokens: int

    @property
    def num_paraphrases(self) -> int: ...

    def check(self, way: Way) -> None: ...

    def example(
        self, way: Way, items: IntArray, user: int, paraphrase: int, rng: np.random.Generator
    ) -> Any: ...

    def collate(self, examples: Sequence[Any]) -> Batch: ...


class Steps(torch.utils.data.Dataset[Batch]):
    """The batches of a whole training, one a step; step s is always the same batch."""

    def __init__(
        self,
        histories: Histories,
        writer: ExampleWriter,
        *,
        way: Way,
        batch_tokens: int,
        num_epochs: int,
        seed: int,
        max_steps: int | None = None,
    ) -> None:
        """Plan the steps.

        Args:
            histories: training histories.
            writer: writes them.
            way: how a history becomes examples; see the top of this file.
            batch_tokens: tokens a batch may hold, padding included.
            num_epochs: passes over the data.
            seed: of the order of batches, the cuts of long histories and the choice among paraphrases.
            max_steps: end after that many, wherever in an epoch; None: with the last epoch.

        Raises:
            ConfigError: the writer cannot write examples of that kind.
        """
        writer.check(way)
        self.histories, self.writer, self.way = histories, writer, way
        self.seed = seed
        self._epochs = Epochs(
            histories,
            writer.code_lengths,
            way=way,
            width=writer.max_items,
            longest_prompt=writer.longest_prompt,
            max_tokens=writer.max_tokens,
            batch_tokens=batch_tokens,
            seed=seed,
        )
        self.epoch = lru_cache(maxsize=1)(self._epochs.plan)
        self.calendar = Calendar((len(self.epoch(number)) for number in range(num_epochs)), max_steps)

    def __len__(self) -> int:
        return len(self.calendar)

    def __getitem__(self, step: int) -> Batch:
        number, place = self.calendar.find(step)
        users, firsts, lasts = self.epoch(number)[place]
        rng = stream(self.seed, "examples of a step", step)
        paraphrases = rng.integers(self.writer.num_paraphrases, size=len(users))
        return self.writer.collate(
            [
                self.writer.example(self.way, self.histories[user][first:last], user, paraphrase, rng)
                for user, first, last, paraphrase in zip(
                    users.tolist(), firsts.tolist(), lasts.tolist(), paraphrases.tolist(), strict=True
                )
            ]
        )
