"""Histories as sources: what comes next, and which element is hidden.

Masked item prediction (Cao and Liò 2024, https://arxiv.org/abs/2407.21191) hides one element of a history, the user
among them, and asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genrec.data.interactions import IntArray
from genrec.prompts.template import HISTORY, Field
from genrec.training.encoder_rows import Asked, EncoderLayout, Source
from genrec.training.histories import Way
from genrec.training.layout import Span
from genrec.training.mixture import Batch

_USER, _MASK = Field("user"), Field("mask")


class HistorySources:
    """Sources that ask what comes after a history, or what is hidden in it."""

    def __init__(
        self,
        layout: EncoderLayout,
        mask: Sequence[int],
        *,
        packs: bool = False,
        last_share: float = 0.3,
        scores_padding: bool = False,
    ) -> None:
        """Sources of histories.

        Args:
            layout: lays them out; where it has no users, none is written.
            mask: tokens that stand for what is asked.
            packs: questions are put as packed examples learn them: without a mask, each item seeing only what came
                before it.
            last_share: of the hidden elements, how many are the last item (else one of all, as likely each).
            scores_padding: padding goes on with the last answer and is learnt too, which the published code does.

        Raises:
            ConfigError: no source holds one item of the longest code.
        """
        self.layout, self.mask, self.packs = layout, Span.of_text(mask), packs
        self.last_share, self.scores_padding = last_share, scores_padding
        self.read_lengths, self.max_items, self.max_tokens = (
            layout.read_lengths,
            layout.max_items,
            layout.max_tokens,
        )
        self.longest_prompt = len(layout.begin) + max(map(len, layout.users), default=0) + len(mask)
        layout.check_room(self.longest_prompt)

    def check(self, way: Way) -> None:
        """Examples of every kind can be written."""

    def example(self, way: Way, items: IntArray, user: int, rng: np.random.Generator) -> Asked:
        """The example of a piece of a user's history."""
        if way == "packed":
            return self.packed(items, user)
        if way == "masked":
            return self.masked(items, user, rng)
        return self.single(items[:-1], int(items[-1]), user)

    def packed(self, items: IntArray, user: int | None) -> Asked:
        """Every item is an answer that sees what was taken before it."""
        return self.layout.packed(*self._prompt(items, user))

    def single(self, items: IntArray, target: int, user: int | None) -> Asked:
        """The next item after a history, asked for by the mask at its end."""
        return self.layout.asked(self.question(items, user), [self.layout.item(target)])

    def masked(self, items: IntArray, user: int | None, rng: np.random.Generator) -> Asked:
        """A history of which one element is hidden and asked for."""
        spans, _ = self.layout.laid_out(*self._prompt(items, user))
        last = rng.random() < self.last_share
        place = len(spans) - 1 if last else int(rng.integers(1, len(spans)))
        hidden, spans[place] = spans[place], self.mask
        return self.layout.asked(self.layout.placed(spans), [hidden])

    def question(self, items: IntArray, user: int | None) -> Source:
        """A history as the source after which its next item is asked for."""
        return self.layout.source(*self._prompt(items, user, masked=not self.packs), packed=self.packs)

    def _prompt(
        self, items: IntArray, user: int | None, *, masked: bool = False
    ) -> tuple[list[Field], dict[str, Any]]:
        """The template of a history, and its values."""
        named = user is not None and len(self.layout.users) > 0
        template = [*([_USER] if named else []), HISTORY, *([_MASK] if masked else [])]
        return template, {"user": user, "history": items, "mask": self.mask}

    def collate(self, examples: Sequence[Asked]) -> Batch:
        """As `EncoderLayout.collate`; padding may be learnt as well."""
        batch = self.layout.collate(examples)
        if not self.scores_padding:
            return batch
        for row, example in enumerate(examples):
            last, length = example.answers[-1], int((batch["answer"][row] >= 0).sum())
            rest = batch["positions"][row, length:]
            rest[:] = last.start + len(last.tokens) + rest.new_ones(len(rest)).cumsum(0) - 1
            number = len(example.answers) - 1
            filled = {"answer": number, "sees": number, "reach": last.reach, "learnt": True}
            for name, value in {**filled, "items": last.spans[-1].is_item}.items():
                batch[name][row, length:] = value
        return batch
