"""The catalogue: every item that may be recommended, with its text."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from genrec.data.conditions import matches
from genrec.errors import CatalogueError, ConfigError, UnknownItemError, shown

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Catalogue:
    """Items in a fixed order; everywhere inside the package an item is its row number here.

    `table` has one row an item: `item_id` (str, unique), `title` (str, never empty) and any further fields,
    each a string, a number, a truth value, a day or moment, or a list of strings (`genres`, `brand`, `year`, ...).
    """

    table: pl.DataFrame
    titled: bool = field(default=True)  # False: the source had no titles and an item is known by its id alone

    def __post_init__(self) -> None:
        missing = {"item_id", "title"} - set(self.table.columns)
        if missing:
            raise CatalogueError(
                f"the items have the columns {', '.join(self.table.columns)}, without "
                f"{' and '.join(sorted(missing))}: rename or add"
            )
        if self.table["item_id"].is_duplicated().any():
            twice = self.table["item_id"].filter(self.table["item_id"].is_duplicated())[0]
            raise CatalogueError(
                f"the item id {shown(twice)} is in several rows of the items; keep one row an item"
            )

    @classmethod
    def from_lists(cls, ids: Sequence[str], titles: Sequence[str], **fields: Sequence[Any]) -> Catalogue:
        """A catalogue from plain lists of equal length."""
        return cls(pl.DataFrame({"item_id": list(map(str, ids)), "title": list(titles), **fields}))

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def ids(self) -> list[str]:
        """Raw ids, as the user's files spell them; (num_items,)."""
        return self.table["item_id"].to_list()

    @cached_property
    def titles(self) -> list[str]:
        """Titles with HTML entities decoded; may repeat; (num_items,)."""
        return self.table["title"].to_list()

    @property
    def text_fields(self) -> list[str]:
        """Names of the fields that hold a string or a list of strings, without the id; the title is one of them."""
        return [
            name
            for name, dtype in self.table.schema.items()
            if name != "item_id" and dtype in (pl.String, pl.List(pl.String))
        ]

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}

    @cached_property
    def _rows_of_spelling(self) -> dict[str, list[int]]:
        return self._rows_by(_spelling)

    @cached_property
    def _rows_of_title(self) -> dict[str, list[int]]:
        return self._rows_by(_folded)

    def _rows_by(self, key: Callable[[str], str]) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, title in enumerate(self.titles):
            rows.setdefault(key(title), []).append(row)
        return rows

    def get(self, item_id: str | int) -> int | None:
        """Row of a raw id, or None."""
        return self._row_of_id.get(str(item_id))

    def rows_of_ids(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of ids that are all there."""
        return [self._row_of_id[item_id] for item_id in item_ids]

    def resolve(self, name: str | int) -> int:
        """Row of an item given by raw id, by title, or by a title spelt nearly so.

        An id goes before a title, and a title that is spelt exactly so before those that differ in case, punctuation
        or the form of a letter: where there are "C++" and "C#", each is found by its own title and "c" by neither.

        Raises:
            UnknownItemError: nothing fits (the nearest titles are named), several items share the title, or it is no
                name at all, as None, a float or bytes are not.
        """
        rows = self.find(name)
        if len(rows) == 1:
            return rows[0]
        if rows:
            ids = ", ".join(self.ids[row] for row in rows[:5])
            raise UnknownItemError(
                f"{len(rows)} items are called {shown(str(name))}; give one of the ids {ids}"
            )
        nearest = self.nearest_titles(str(name))
        hint = "; did you mean " + " or ".join(map(shown, nearest)) + "?" if nearest else ""
        raise UnknownItemError(
            f"the catalogue of {len(self)} items has no id or title {shown(str(name))}{hint}"
        )

    def find(self, name: str | int) -> list[int]:
        """Rows of the items that go by a name, as `resolve` takes it: none, one, or several that share a title.

        Raises:
            UnknownItemError: it is no name at all.
        """
        if not isinstance(name, str | Integral) or isinstance(name, bool):
            raise UnknownItemError(
                f"{shown(name)} is no name of an item: give an id or title as text, or an id as a whole number"
            )
        row = self.get(name)
        if row is not None:
            return [row]
        rows = self._rows_of_spelling.get(_spelling(str(name)), [])
        return rows or self._rows_of_title.get(_folded(str(name)), [])

    def notes(self, names: Iterable[str | int]) -> list[str]:
        """A sentence for each of the names that is an item's id and the title of others, as "300" may be."""
        told = []
        for name in dict.fromkeys(map(str, names)):
            row = self.get(name)
            others = [other for other in self._rows_of_spelling.get(_spelling(name), []) if other != row]
            if row is not None and others:
                ids = ", ".join(self.ids[other] for other in others[:5])
                told.append(
                    f"{shown(name)} is taken as the id of {shown(self.titles[row])}; what is called so has the id {ids}"
                )
        return told

    def nearest_titles(self, name: str, count: int = 3) -> list[str]:
        """Titles that look most like `name`: those that share its words first, then by spelling."""
        key = _folded(name)
        words = set(key.split())
        if not words:
            return []
        shared = [folded for folded in self._rows_of_title if words & set(folded.split())]

        def overlap(folded: str) -> float:
            return len(words & set(folded.split())) / len(words | set(folded.split()))

        pool = sorted(shared, key=overlap, reverse=True)
        candidates = pool[:200] or list(self._rows_of_title)[:_MOST_COMPARED]
        close = difflib.get_close_matches(key, candidates, n=count, cutoff=0.3)
        found = close or pool[:count]
        return [self.titles[self._rows_of_title[folded][0]] for folded in found]

    def field(self, name: str) -> pl.Series:
        """The values (num_items,) of a field, which is known by its name here and by the one that files may give it.

        Raises:
            ConfigError: no such field.
        """
        found = name
        if name not in self.table.columns:
            from genrec.data.readers.columns import folded
            from genrec.data.readers.item_fields import our_name

            alike = [column for column in self.table.columns if folded(column) == folded(name)]
            found = alike[0] if len(alike) == 1 else our_name(name)
        if found not in self.table.columns:
            raise ConfigError(
                f"the items have no field {shown(name)}; they have {', '.join(self.table.columns)}"
            )
        return self.table[found]

    def where(self, name: str, value: Any, relation: str = "=") -> BoolArray:
        """Mask (num_items,) of the items whose field `name` has `relation` to `value`; see `genrec.data.conditions`.

        Raises:
            ConfigError: no such field, no item that fits, a value that is none, or an order of what has none.
        """
        mask: BoolArray = matches(self.field(name), relation, value).to_numpy()
        return mask

    def rows(self, names: Iterable[str | int]) -> list[int]:
        """`resolve` over several names.

        Raises:
            ConfigError: a single name in place of a list.
            UnknownItemError: as `resolve` does.
        """
        if isinstance(names, str | bytes) or not isinstance(names, Iterable):
            raise ConfigError(f"items are given as a list of ids or titles: wrap {shown(names)} in a list")
        return [self.resolve(name) for name in names]

    def with_items(self, items: pl.DataFrame, first: Catalogue | None = None) -> Catalogue:
        """A catalogue with `items` too; a row whose `item_id` is known replaces that item's text where it has one.

        Args:
            items: `item_id`, `title` and further fields, of the types that they have here.
            first: items whose rows and fields stand where they do there, and before all others, which follow by
                their ids and names, however they came; None: those of this catalogue.
        """
        Catalogue(items)  # the same checks
        first = self if first is None else first
        known = items.filter(pl.col("item_id").is_in(self.ids))
        extra = [
            pl.lit(None, dtype).alias(name)
            for name, dtype in known.schema.items()
            if name not in self.table.columns
        ]
        table = self.table.with_columns(extra).update(known, on="item_id", how="left")
        new = items.filter(~pl.col("item_id").is_in(self.ids))
        table = pl.concat([table, new], how="diagonal_relaxed")
        place = pl.col("item_id").replace_strict(first._row_of_id, default=len(first), return_dtype=pl.Int64)
        columns = [*first.table.columns, *sorted(set(table.columns) - set(first.table.columns))]
        return Catalogue(table.sort(place, "item_id").select(columns), self.titled)


def _spelling(title: str) -> str:
    """One form of what Unicode can write in several: an accent of its own or in its letter."""
    return unicodedata.normalize("NFC", title)


def _folded(title: str) -> str:
    """Spelling that comparison by title uses: lower case, words without what stands between them.

    A title that has no words stays as it is.
    """
    if title.isascii():
        return " ".join(re.findall(r"\w+", title.lower())) or title.strip()
    # Folding case can leave an accent of its own behind, and the other way round: normalised before and after.
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", title).casefold())
    return " ".join(_words().findall(plain)) or plain.strip()


@cache
def _words() -> re.Pattern[str]:
    """Runs of letters, digits and the marks that belong to them: `\\w` alone leaves the vowels of many scripts out."""
    marks = [code for code in range(_LAST_MARK + 1) if unicodedata.category(chr(code)).startswith("M")]
    starts = [marks[0], *(code for before, code in pairwise(marks) if code > before + 1)]
    ends = [*(before for before, code in pairwise(marks) if code > before + 1), marks[-1]]
    ranges = "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
    return re.compile(rf"[\w{ranges}]+")


_MOST_COMPARED = 20_000  # texts by their spelling, for a hint: some tenths of a second
_LAST_MARK = 0x1FFFF  # of a script; behind them come variation selectors
