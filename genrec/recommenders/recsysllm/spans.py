"""Sources with masks, and the spans behind them as answers, in two-dimensional positions.

Positions are those of RecSysLLM (Chu et al. 2023, https://arxiv.org/abs/2308.10837): a token's place in the text, or
that of the mask that it fills, and its place inside an entity or inside the span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genrec.backbones.prefix import INTRA
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import IntArray
from genrec.recommenders.recsysllm.masking import Masked
from genrec.training.sources import Answer, Asked, Source, SourceWriter, Word


class SpanWriter(SourceWriter):
    """Writes questions with a mask at their end, and masked texts with their spans."""

    def __init__(
        self,
        codes: Codes,
        trie: Trie,
        *,
        mask: IntArray,
        two_dimensional: bool,
        dynamic: bool,
        **options: Any,
    ) -> None:
        """A writer.

        Args:
            codes, trie, options: as in `SourceWriter`.
            mask: tokens that stand at the end of a question, where its answer belongs.
            two_dimensional: False: positions count tokens, those of answers going on from the source.
            dynamic: intra-positions start anew with every entity of a span, and not only with every span.
        """
        super().__init__(codes, trie, mask=mask, **options)
        self.two_dimensional, self.dynamic = two_dimensional, dynamic

    def source(self, words: Sequence[Word], in_order_from: int | None = None) -> Source:
        """Words side by side; a mask at their end, unless they are in order and each of them is an answer."""
        if in_order_from is not None:
            return self._placed(words, super().source(words, in_order_from))
        source = self._placed(words, super().source([*words, Word.of_text(self.mask)]))
        return replace(source, start=self.start_after(source.end - len(self.mask)))

    def start_after(self, reach: int) -> int:
        return reach * INTRA + (2 if self.two_dimensional else 1)

    def infill(self, masked: Masked, end: Sequence[int] | IntArray) -> Asked:
        """A masked text and its spans, each closed with `end`; a span sees those before it."""
        words, close = masked.words, Word.of_text(np.array(end))
        source = self._placed(words, super().source(words))
        place_of = np.cumsum([0, *map(len, words)])
        answers, written = [], 0
        for place, span in zip(masked.places, masked.spans, strict=True):
            start = self.start_after(int(place_of[place]) if self.two_dimensional else source.end + written)
            answers.append(Answer([*span, close], start, source.end, self.two_dimensional and self.dynamic))
            written += 1 + sum(map(len, span)) + len(close)
        return Asked(source, answers, chained=True)

    def _placed(self, words: Sequence[Word], source: Source) -> Source:
        """The source in this writer's positions."""
        intra = [
            np.arange(1, 1 + len(word))
            if word.is_entity and self.two_dimensional
            else np.zeros(len(word), int)
            for word in words
        ]
        inside_T = np.concatenate(intra)
        inside_T = np.pad(inside_T, (0, source.end - len(inside_T)))
        return replace(
            source, positions_T=np.arange(source.end) * INTRA + inside_T, start=self.start_after(source.end)
        )
