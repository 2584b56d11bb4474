"""Masks over text that cut no entity, and the spans that are to be filled in.

RecSysLLM (Chu et al. 2023, https://arxiv.org/abs/2308.10837) masks at three levels: whole entities (items, their
attributes), whole sentences, or one long part of a text. The spans are filled in one after another, in the order of the
text; GLM (Du et al. 2022, https://arxiv.org/abs/2103.10360), on which it builds, shuffles them and cuts anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from genrec.training.layout import Span

Level = Literal["entity", "sentence", "document"]
LEVELS: tuple[Level, ...] = ("entity", "sentence", "document")

_LONG = (0.5, 1.0)  # of a text, what a mask of the level "document" covers
_MEAN_CUT = 3.0  # tokens of a span that is cut anywhere, as in GLM


@dataclass(frozen=True)
class Passage:
    """A text: its spans (words and entities), and the number of the sentence that each stands in, ascending."""

    spans: Sequence[Span]
    sentence_S: Sequence[int]


@dataclass(frozen=True)
class Masked:
    """What is left of a text, and what is hidden in it, part by part in the order in which they are filled in.

    `places`: which of `spans` is the mask of each hidden part.
    """

    spans: list[Span]
    places: list[int]
    hidden: list[list[Span]]


def mask(
    passage: Passage,
    level: Level,
    masks: Mapping[Level, Span],
    rng: np.random.Generator,
    *,
    share: float = 0.15,
    whole_entities: bool = True,
    chronological: bool = True,
) -> Masked:
    """Hide parts of a text.

    Args:
        passage: at least one word.
        level: entity: each entity with probability `share` (of a text without entities each word); sentence: each
            sentence with that probability; document: one part of half to all of the words. At least one part is
            hidden.
        masks: what stands for a hidden part, of each level.
        rng: where chance comes from.
        share: see `level`.
        whole_entities: False: parts are cut anywhere, of three tokens on average at the level "entity"; spans are
            taken apart for it.
        chronological: False: parts are filled in in any order.
    """
    if not whole_entities:
        passage = _apart(passage)
    ends = [*_chosen(passage, level, rng, share, whole_entities)]
    spans: list[Span] = []
    places: list[int] = []
    hidden: list[list[Span]] = []
    last = 0
    for first, end in ends:
        spans += passage.spans[last:first]
        places.append(len(spans))
        spans.append(masks[level])
        hidden.append(list(passage.spans[first:end]))
        last = end
    spans += passage.spans[last:]
    order = range(len(hidden)) if chronological else rng.permutation(len(hidden)).tolist()
    return Masked(spans, [places[one] for one in order], [hidden[one] for one in order])


def _chosen(
    passage: Passage, level: Level, rng: np.random.Generator, share: float, whole: bool
) -> list[tuple[int, int]]:
    """First and last word (exclusive) of each span, in order and apart from each other."""
    count = len(passage.spans)
    if level == "document":
        length = max(1, round(float(rng.uniform(*_LONG)) * count))
        first = int(rng.integers(count - length + 1))
        return [(first, first + length)]
    if level == "sentence":
        places = [place for place, _ in enumerate(passage.sentence_S)]
        units = [
            (group[0], group[-1] + 1)
            for _, found in groupby(places, key=lambda place: passage.sentence_S[place])
            if (group := list(found))
        ]
    elif whole:
        entities = [place for place, span in enumerate(passage.spans) if span.is_entity]
        units = [(place, place + 1) for place in entities or range(count)]
    else:
        units = _cuts(count, rng)
    hidden = rng.random(len(units)) < share
    hidden[int(rng.integers(len(units)))] |= not hidden.any()
    return [unit for unit, is_hidden in zip(units, hidden.tolist(), strict=True) if is_hidden]


def _cuts(count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """`count` tokens in pieces of random length."""
    drawn = np.cumsum(np.maximum(1, rng.poisson(_MEAN_CUT, count)))
    ends = np.append(drawn[drawn < count], count).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _apart(passage: Passage) -> Passage:
    """Every token a span of its own, and no entity among them."""
    spans, sentences = [], []
    for span, sentence in zip(passage.spans, passage.sentence_S, strict=True):
        for token, node in zip(span.tokens, span.nodes, strict=True):
            spans.append(Span(np.array([token]), np.array([node]), 0, span.is_item))
            sentences.append(sentence)
    return Passage(spans, sentences)
