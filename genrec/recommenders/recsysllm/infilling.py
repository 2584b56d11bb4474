"""Sources with masks, and what is hidden behind them as answers, in two-dimensional positions.

Positions are those of RecSysLLM (Chu et al. 2023, https://arxiv.org/abs/2308.10837): a token's place in the text, or
that of the mask that it fills, and its place inside an entity or inside what was hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genrec.backbones.prefix import INTRA
from genrec.data.interactions import IntArray
from genrec.recommenders.recsysllm.masking import Masked
from genrec.training.encoder_rows import Answer, Asked, EncoderLayout, Source
from genrec.training.layout import Span


class InfillingLayout(EncoderLayout):
    """Lays out questions with a mask at their end, and masked texts with what is hidden in them."""

    def __init__(
        self, *args: Any, mask: IntArray, two_dimensional: bool, dynamic: bool, **options: Any
    ) -> None:
        """A layout.

        Args:
            args, options: as in `EncoderLayout`.
            mask: tokens that stand at the end of a question, where its answer belongs.
            two_dimensional: False: positions count tokens, those of answers going on from the source.
            dynamic: intra-positions start again with every entity of an answer, and not only with every answer.
        """
        super().__init__(*args, **options)
        self.mask, self.two_dimensional, self.dynamic = Span.of_text(mask), two_dimensional, dynamic
        self.check_room(len(self.begin) + len(self.mask))

    def placed(self, spans: Sequence[Span], in_order_from: int | None = None) -> Source:
        """Spans side by side; a mask at their end, unless they are in order and each of them is an answer."""
        if in_order_from is not None:
            return self._in_two_dimensions(spans, super().placed(spans, in_order_from))
        source = self._in_two_dimensions(spans, super().placed([*spans, self.mask]))
        return replace(source, start=self.start_after(source.end - len(self.mask)))

    def start_after(self, reach: int) -> int:
        return reach * INTRA + (2 if self.two_dimensional else 1)

    def infill(self, masked: Masked) -> Asked:
        """A masked text and what is hidden in it, each hidden part closed and seeing those before it."""
        source = self._in_two_dimensions(masked.spans, super().placed(masked.spans))
        place_of, close = np.cumsum([0, *map(len, masked.spans)]), Span.of_text(self.end)
        answers, written = [], 0
        for place, hidden in zip(masked.places, masked.hidden, strict=True):
            start = self.start_after(int(place_of[place]) if self.two_dimensional else source.end + written)
            answers.append(Answer([*hidden, close], start, source.end, self.two_dimensional and self.dynamic))
            written += 1 + sum(map(len, hidden)) + len(close)
        return Asked(source, answers, chained=True)

    def _in_two_dimensions(self, spans: Sequence[Span], source: Source) -> Source:
        """The source in this layout's positions; tokens behind `spans` are in no entity."""
        inside_T = np.zeros(source.end, np.int64)
        end = 0
        for span in spans:
            if span.is_entity and self.two_dimensional:
                inside_T[end : end + len(span)] = np.arange(1, 1 + len(span))
            end += len(span)
        positions_T = np.arange(source.end) * INTRA + inside_T
        return replace(source, positions_T=positions_T, start=self.start_after(source.end))
