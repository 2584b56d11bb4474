"""Masks: nothing is lost, no entity is cut, and each level hides what it says."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.recommenders.recsysllm.masking import LEVELS, Level, Masked, Passage, mask
from genrec.training.layout import Span
from hypothesis import given, settings
from hypothesis import strategies as st

MASKS: dict[Level, Span] = {level: Span.of_text([900 + number]) for number, level in enumerate(LEVELS)}


def passage(lengths: list[int], entities: list[bool], sentences: list[int]) -> Passage:
    """Words of these many tokens, all tokens different."""
    starts = np.cumsum([0, *lengths])
    words = [
        Span(np.arange(first, last), np.arange(first, last) + 100, 0, is_entity=is_entity)
        for first, last, is_entity in zip(starts[:-1], starts[1:], entities, strict=True)
    ]
    return Passage(words, np.cumsum(sentences).tolist())


passages = st.lists(
    st.tuples(st.integers(1, 4), st.booleans(), st.integers(0, 1)), min_size=1, max_size=15
).map(
    lambda words: passage(*map(list, zip(*words, strict=True)))  # type: ignore[arg-type]
)


def tokens(words: list[Span]) -> list[int]:
    return [token for word in words for token in word.tokens.tolist()]


def filled(found: Masked) -> list[int]:
    """The text with every span back in its place."""
    parts = [word.tokens.tolist() for word in found.spans]
    for place, span in zip(found.places, found.hidden, strict=True):
        assert parts[place][0] >= 900
        parts[place] = tokens(span)
    return [token for part in parts for token in part]


@settings(deadline=None)
@given(passages, st.sampled_from(LEVELS), st.booleans(), st.booleans(), st.integers(0, 99))
def test_nothing_is_lost(text: Passage, level: Level, whole: bool, in_order: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = mask(text, level, MASKS, rng, share=0.3, whole_entities=whole, chronological=in_order)
    assert filled(found) == tokens(list(text.spans))
    assert len(found.hidden) == len(found.places) == sum(word.tokens[0] >= 900 for word in found.spans) > 0
    assert all(found.spans[place] is MASKS[level] for place in found.places)
    assert not in_order or found.places == sorted(found.places)
    if whole:
        assert all(any(word is one for one in text.spans) for span in found.hidden for word in span)


@settings(deadline=None)
@given(passages, st.integers(0, 99))
def test_each_level_hides_what_it_says(text: Passage, seed: int) -> None:
    rng = np.random.default_rng(seed)
    entities = mask(text, "entity", MASKS, rng, share=0.5)
    assert all(len(span) == 1 for span in entities.hidden)
    if any(word.is_entity for word in text.spans):
        assert all(word.is_entity for span in entities.hidden for word in span)
    sentence_of = {id(word): number for word, number in zip(text.spans, text.sentence_S, strict=True)}
    for span in mask(text, "sentence", MASKS, rng, share=0.5).hidden:
        (number,) = {sentence_of[id(word)] for word in span}
        assert len(span) == list(text.sentence_S).count(number)
    (span,) = mask(text, "document", MASKS, rng).hidden
    assert round(0.5 * len(text.spans)) <= len(span) <= len(text.spans)


def test_shares_and_lengths_on_average() -> None:
    rng = np.random.default_rng(0)
    text = passage([2] * 400, [True, False] * 200, [1] * 400)
    found = [mask(text, "entity", MASKS, rng, share=0.15) for _ in range(30)]
    assert np.mean([len(one.hidden) for one in found]) == pytest.approx(30, rel=0.1)
    lengths = [len(mask(text, "document", MASKS, rng).hidden[0]) for _ in range(300)]
    assert np.mean(lengths) == pytest.approx(300, rel=0.05)
    assert np.ptp(lengths) > 180
    cut = mask(text, "entity", MASKS, rng, share=0.5, whole_entities=False)
    assert np.mean([len(span) for span in cut.hidden]) == pytest.approx(3, rel=0.2)
    assert all(len(word.tokens) == 1 for span in cut.hidden for word in span)
    starts = [span[0].tokens[0] % 2 for span in cut.hidden]
    assert 0.3 < np.mean(starts) < 0.7  # words of two tokens are cut in the middle as often


def test_spans_in_any_order() -> None:
    text = passage([1] * 60, [True] * 60, [0] * 60)
    found = mask(text, "entity", MASKS, np.random.default_rng(1), share=0.5, chronological=False)
    assert found.places != sorted(found.places)
    assert filled(found) == list(range(60))
