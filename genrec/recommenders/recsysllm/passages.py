"""Texts for pre-training that no task asks about: what users took, what the catalogue says, what reviews say.

RecSysLLM (Chu et al. 2023, https://arxiv.org/abs/2308.10837) learns from behaviour in windows of three lengths, 10 % of
them long, 30 % of middle length and 60 % short, and from text. Items and their attributes are entities.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genrec.data.interactions import Interactions
from genrec.prompts.profiles import AttributeProfiles
from genrec.recommenders.recsysllm.infilling import InfillingLayout
from genrec.recommenders.recsysllm.masking import Level, Passage, mask
from genrec.tasks.material import TrainingText
from genrec.training.encoder_rows import Asked
from genrec.training.layout import Span
from genrec.training.mixture import ExampleSet

_WINDOWS = (
    (0.1, 1.0),
    (0.3, 0.5),
    (0.6, 0.25),
)  # share of the texts, and of `max_items` that a window may hold
_FEWEST = 2  # items of a window
_MOST_ATTRIBUTES = 3  # of an item
_ATTRIBUTE_SHARE = 0.3  # of the items of a window that are told with their attributes
_MOST_WORDS = 120  # of a review
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Masks:
    """How texts are masked; see `genrec.recommenders.recsysllm.masking.mask`."""

    words: Mapping[Level, Span]
    levels: Sequence[Level]
    share: float
    whole_entities: bool
    chronological: bool


class Passages:
    """Masked texts of the training part."""

    def __init__(
        self,
        layout: InfillingLayout,
        train: Interactions,
        texts: TrainingText,
        attributes: AttributeProfiles,
        masks: Masks,
    ) -> None:
        """Get ready.

        Args:
            layout: lays masked texts out.
            train: the training part.
            texts: what it says in words.
            attributes: what items have; all of one item are told as its profile tells them.
            masks: how texts are masked.
        """
        self.layout, self.train, self.texts, self.masks = layout, train, texts, masks
        self._attributes = attributes

    def kinds(self) -> list[ExampleSet]:
        """A text of each user with a history, of each item that the catalogue describes and of each review."""
        histories = self.train.histories
        users = np.flatnonzero(histories.lengths >= _FEWEST)
        mean = float(self.layout.read_lengths.mean())
        held = [share * np.minimum(histories.lengths[users], self._width(part)) for share, part in _WINDOWS]
        lengths = np.sum(held, axis=0) * (1.5 * mean)
        kinds = [self._kind(lengths, lambda datum, rng: self._behaviour(int(users[datum]), rng))]
        described = np.array(
            [item for item in range(self.train.num_items) if self._told(item)], dtype=np.int64
        )
        if len(described):
            tokens = np.full(len(described), mean + 8)
            kinds.append(self._kind(tokens, lambda datum, rng: self._catalogue(int(described[datum]))))
        reviews = self.texts.reviews
        if reviews.texts is not None:
            written = np.flatnonzero(reviews.texts.is_not_null().to_numpy())
            words = reviews.texts[written.tolist()].str.count_matches(" ").to_numpy() + 1
            tokens = 1.4 * np.minimum(words, _MOST_WORDS) + mean
            kinds.append(self._kind(tokens, lambda datum, rng: self._review(int(written[datum]))))
        return kinds

    def _kind(
        self, lengths: np.ndarray, passage: Callable[[int, np.random.Generator], Passage]
    ) -> ExampleSet:
        masks = self.masks

        def make(datum: int, rng: np.random.Generator) -> Asked:
            level = masks.levels[int(rng.integers(len(masks.levels)))]
            found = mask(
                passage(datum, rng),
                level,
                masks.words,
                rng,
                share=masks.share,
                whole_entities=masks.whole_entities,
                chronological=masks.chronological,
            )
            found.spans.insert(0, self.layout.begin)
            found.places[:] = [place + 1 for place in found.places]
            return self.layout.infill(found)

        return ExampleSet(np.asarray(lengths, np.int64) + 1, 1, make)

    def _behaviour(self, user: int, rng: np.random.Generator) -> Passage:
        """A window of a history, each item a sentence, some with their attributes."""
        items = self.train.histories[user]
        shares, parts = zip(*_WINDOWS, strict=True)
        part = parts[int(rng.choice(len(parts), p=shares))]
        width = min(self._width(part), len(items))
        first = int(rng.integers(len(items) - width + 1))
        sentences = [
            [self.layout.item(item), *(self._told(item) if rng.random() < _ATTRIBUTE_SHARE else ())]
            for item in items[first : first + width].tolist()
        ]
        return _passage(sentences)

    def _width(self, part: float) -> int:
        return max(_FEWEST, round(part * self.layout.max_items))

    def _catalogue(self, item: int) -> Passage:
        """An item and what it has."""
        return _passage([[self.layout.item(item)], *([word] for word in self._told(item))])

    def _review(self, datum: int) -> Passage:
        """What somebody said of an item."""
        reviews = self.texts.reviews
        assert reviews.texts is not None
        words = " ".join(reviews.texts[datum].split()[:_MOST_WORDS])
        sentences = [
            [self.layout.word(word) for word in one.split()] for one in _SENTENCE.split(words) if one
        ]
        return _passage([[self.layout.item(int(reviews.items[datum]))], *sentences])

    def _told(self, item: int) -> list[Span]:
        """The rarest attributes of an item, each an entity."""
        found = self._attributes.of(np.array([item], np.int32))[:_MOST_ATTRIBUTES]
        return [self._entity(keyword.word) for keyword in found]

    def _entity(self, text: str) -> Span:
        word = self.layout.word(text)
        return Span(word.tokens, word.nodes, is_entity=True)


def _passage(sentences: Sequence[Sequence[Span]]) -> Passage:
    spans = [span for sentence in sentences for span in sentence]
    numbers = [number for number, sentence in enumerate(sentences) for _ in sentence]
    return Passage(spans, numbers)
