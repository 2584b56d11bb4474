"""Profiles: a user's taste as a few keywords, each with the items of the history that support it.

PALR (Yang et al. 2023, https://arxiv.org/abs/2305.07622) lets a large language model name the keywords. Here they are
values of the catalogue's own attributes (genres, categories, brand, ...), which need no model at all.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.errors import ConfigError

_NEARLY_ALL = 0.9  # of the described items: what that many of them have in common tells no user from another
_LONGEST_WORD = 40  # characters: what is longer is running text
_LONGEST_TITLE = 80  # characters: some sellers write a page
_SAYS_NOTHING = {"", "unknown", "n/a", "none", "(no genres listed)"}


@dataclass(frozen=True, eq=False)
class Keyword:
    """One word of a taste, and why. Shape: items (n,), rows of the history's items that support it, newest first."""

    word: str
    items: IntArray


Profile = tuple[Keyword, ...]
"""A user's keywords, most important first; () where nothing is known."""


def short_title(title: str) -> str:
    """A title in one line of at most 80 characters; "…" ends one that was cut."""
    line = " ".join(title.split())
    return line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1].rstrip() + "…"


def profile_text(profile: Profile, titles: Sequence[str], num_titles: int = 2) -> str:
    """A profile in words for a prompt: one line a keyword, under a heading.

    Args:
        profile: the keywords.
        titles: of the catalogue, by row.
        num_titles: at most so many supporting titles stand beside a keyword, the newest; 0: keywords alone, in
            one line.

    Returns:
        The text, without a line break at its end; "" for an empty profile.
    """
    if not profile:
        return ""
    if not num_titles:
        return "Tastes, strongest first: " + ", ".join(keyword.word for keyword in profile)
    lines = (
        f"{keyword.word}: "
        + "; ".join(short_title(titles[row]) for row in keyword.items[:num_titles].tolist())
        for keyword in profile
    )
    return "\n".join(["Tastes, strongest first, and what shows them:", *lines])


class AttributeProfiles:
    """Profiles from the attributes of a user's items.

    A keyword weighs Σ 0.5^(age / half_life) over the user's items that have it, times log(num_described / num_items
    with it): recent items and rare attributes count most. The newest item has age 0, and a repeated one the age of its
    last time. A keyword that a heavier one implies (all items of the catalogue that have the one have the other, as
    an inner category has its outer ones) is left out unless further items of the history support it.

    Attributes of a single item, which lead to no other, and of nearly all items say nothing and are not used.

    A profile costs time in proportion to the attributes of the history: about 50 µs for ten items.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        num_keywords: int = 4,
        half_life: float = 5.0,
        fields: Sequence[str] | None = None,
    ) -> None:
        """Look through the catalogue once.

        Args:
            catalogue: whose rows the histories hold.
            num_keywords: at most so many in a profile.
            half_life: after so many further items an item counts half, in items.
            fields: columns of the catalogue to take attributes from, strings or lists of strings; None: all such
                columns but ids and titles. A string is parted at its bars ("Drama|War").

        Raises:
            ConfigError: no such field, one that holds no words, or a number that is not positive.
        """
        if num_keywords < 1 or not half_life > 0:
            raise ConfigError(
                f"num_keywords={num_keywords} and half_life={half_life} have to be positive: give at least 1 keyword "
                "and a half-life in items"
            )
        self.catalogue, self.num_keywords, self.half_life = catalogue, num_keywords, half_life
        self.fields = _fields(catalogue) if fields is None else _checked(catalogue, fields)
        words: dict[str, tuple[int, str]] = {}  # by folded spelling: number, and the spelling met first
        rows: list[int] = []
        attributes: list[int] = []
        for field in self.fields:
            for row, word in _values(catalogue.table[field]):
                rows.append(row)
                attributes.append(words.setdefault(word.casefold(), (len(words), word))[0])
        has = sparse.csr_array(
            (np.ones(len(rows), np.int64), (rows, attributes)), shape=(len(catalogue), len(words))
        )
        has.data[:] = 1  # an attribute that two fields name
        num_described = int((np.diff(has.indptr) > 0).sum())
        num_items_A = np.bincount(has.indices, minlength=len(words))
        told = np.flatnonzero((num_items_A > 1) & (num_items_A < _NEARLY_ALL * num_described))
        has = has[:, told]
        has.sort_indices()
        spellings = [word for _, word in words.values()]
        self._words = [spellings[attribute] for attribute in told]
        self._rarity = [math.log(num_described / count) for count in num_items_A[told].tolist()]
        self._offsets, self._attributes = has.indptr, has.indices
        self._implied = _implied(has)

    @property
    def words(self) -> list[str]:
        """All keywords that a profile may have."""
        return self._words

    @property
    def has_attributes(self) -> bool:
        """Whether the catalogue tells anything by which tastes differ; without it all profiles are empty."""
        return bool(self._words)

    def of(self, history: IntArray) -> Profile:
        """The profile of a user.

        Args:
            history: (n,) rows of the catalogue, oldest first.

        Returns:
            At most `num_keywords` keywords; () where no item of the history has an attribute.
        """
        weights, support = self._taste(history, self.half_life)
        chosen: list[int] = []
        for attribute in sorted(weights, key=lambda one: (-weights[one], one)):
            count = len(support[attribute])
            if any(attribute in self._implied[one] and len(support[one]) == count for one in chosen):
                continue
            chosen.append(attribute)
            if len(chosen) == self.num_keywords:
                break
        return tuple(Keyword(self._words[one], np.array(support[one], np.int32)) for one in chosen)

    def matches(self, history: IntArray, items: IntArray, half_life: float = 1.0) -> FloatArray:
        """How well items suit a taste: of each the weights of all its attributes together; (n,), at least 0.

        Args:
            history: (m,) rows of the catalogue, oldest first.
            items: (n,) rows of the catalogue.
            half_life: as of the profile, and shorter by default: what is taken next is like what was taken last.
        """
        weights, _ = self._taste(history, half_life)
        return np.array([sum(weights.get(one, 0.0) for one in self._of_item(row)) for row in items.tolist()])

    def _taste(self, history: IntArray, half_life: float) -> tuple[dict[int, float], dict[int, list[int]]]:
        """Of each attribute that the history has: its weight, and the items that support it, newest first."""
        weights: dict[int, float] = {}
        support: dict[int, list[int]] = {}
        for age, row in enumerate(dict.fromkeys(history[::-1].tolist())):
            recency = 0.5 ** (age / half_life)
            for attribute in self._of_item(row):
                weights[attribute] = weights.get(attribute, 0.0) + recency * self._rarity[attribute]
                support.setdefault(attribute, []).append(row)
        return weights, support

    def _of_item(self, row: int) -> list[int]:
        attributes: list[int] = self._attributes[self._offsets[row] : self._offsets[row + 1]].tolist()
        return attributes

    def of_all(self, histories: Histories) -> list[Profile]:
        """The profile of each history."""
        return [self.of(history) for history in histories]


def _fields(catalogue: Catalogue) -> list[str]:
    kinds = (pl.String(), pl.List(pl.String))
    return [
        name
        for name, kind in catalogue.table.schema.items()
        if kind in kinds and name not in ("item_id", "title")
    ]


def _checked(catalogue: Catalogue, fields: Sequence[str]) -> list[str]:
    known = _fields(catalogue)
    for name in fields:
        if name not in known:
            allowed = f"choose of {', '.join(known)}" if known else "the catalogue has none"
            raise ConfigError(f"the items have no field {name!r} with words to make profiles of; {allowed}")
    return list(fields)


def _values(column: pl.Series) -> Iterator[tuple[int, str]]:
    """The row and the words of all values that may be keywords."""
    for row, value in enumerate(column.to_list()):
        for part in value.split("|") if isinstance(value, str) else value or ():
            word = " ".join(html.unescape(part or "").split())
            if len(word) <= _LONGEST_WORD and word.casefold() not in _SAYS_NOTHING:
                yield row, word


def _implied(has: sparse.csr_array) -> list[frozenset[int]]:
    """For each attribute the others that all its items have too. `has` (num_items, num_attributes) is 0 or 1."""
    together = (has.T @ has).tocsr()
    num_items_A = together.diagonal()
    implied = []
    for attribute, count in enumerate(num_items_A):
        part = slice(together.indptr[attribute], together.indptr[attribute + 1])
        others = together.indices[part][together.data[part] == count].tolist()
        implied.append(frozenset(others) - {attribute})
    return implied
