"""Features: the words by which item vectors are put together, beside the vector that each item has of its own.

`title`: the words of the title. `beginnings`: what titles begin with, up to eight words, by which a brand or a series
is known. `attributes`: the words of every other text of an item, each field a kind of its own. A word of a single item
says nothing that the item's own vector cannot, and is left out.

Shape suffixes: I items.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import Field

from genrec.backbones.item_vectors import Bags
from genrec.data.catalogue import Catalogue
from genrec.data.files import read_json, write_json

Feature = Literal["title", "beginnings", "attributes"]
Features = Annotated[
    tuple[Feature, ...],
    Field(
        strict=False,
        max_length=3,
        description="words that item vectors are made of: title, beginnings, attributes; none: own vectors alone",
    ),
]

_LONGEST_BEGINNING = 8  # words


@dataclass(frozen=True)
class Vocabulary:
    """The words of each kind, a kind for every field and for the beginnings of titles; the same after the training."""

    kinds: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, catalogue: Catalogue, features: Sequence[Feature]) -> Vocabulary:
        """The words that several items have."""
        kinds = {}
        for kind in _kinds(catalogue, features):
            counts = Counter(word for row in _words(catalogue, kind) for word in row)
            kinds[kind] = [word for word, count in counts.items() if count > 1]
        return cls({kind: words for kind, words in kinds.items() if words})

    def bags(self, catalogue: Catalogue) -> Bags:
        """The known words of each item; a field that this catalogue lacks has none."""
        parts = []
        for kind, words in self.kinds.items():
            number = {word: place for place, word in enumerate(words)}
            there = kind == _BEGINNINGS or kind in catalogue.table.columns
            rows = _words(catalogue, kind) if there else iter([[]] * len(catalogue))
            parts.append(
                Bags.of_lists([[number[word] for word in row if word in number] for row in rows], len(words))
            )
        return Bags.joined(parts) if parts else Bags.none(len(catalogue))

    @property
    def words(self) -> list[tuple[str, str]]:
        """Each word with its kind, by number."""
        return [(kind, word) for kind, words in self.kinds.items() for word in words]

    def save(self, path: Path) -> None:
        """Write the words."""
        write_json(path, {kind: list(words) for kind, words in self.kinds.items()}, indent=None)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote."""
        return cls(read_json(path, dict[str, list[str]]))


_BEGINNINGS = "title:beginnings"  # no name of a field: a colon ends names in the files that we read


def _kinds(catalogue: Catalogue, features: Sequence[Feature]) -> list[str]:
    fields = catalogue.text_fields
    kinds = {
        "title": ["title"] if catalogue.titled else [],
        "beginnings": [_BEGINNINGS] if catalogue.titled else [],
        "attributes": [field for field in fields if field != "title"],
    }
    return [kind for feature in dict.fromkeys(features) for kind in kinds[feature]]


def _words(catalogue: Catalogue, kind: str) -> Iterator[list[str]]:
    """The different words of each item, in the order in which they stand."""
    column = catalogue.table["title" if kind == _BEGINNINGS else kind]
    if column.dtype != pl.String:
        column = column.list.join(" ", ignore_nulls=True)
    for text in column.fill_null(""):
        words = re.findall(r"\w+", text.casefold())
        if kind == _BEGINNINGS:
            yield [" ".join(words[:count]) for count in range(1, min(len(words), _LONGEST_BEGINNING) + 1)]
        else:
            yield list(dict.fromkeys(words))
