"""The catalogue: every item that may be recommended, with its text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from genrec.errors import CatalogueError, ConfigError, UnknownItemError

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Catalogue:
    """Items in a fixed order; everywhere inside the package an item is its row number here.

    `table` has one row an item: `item_id` (str, unique), `title` (str, never empty) and any further fields,
    each either a string, a number or a list of strings (`genres`, `brand`, `year`, ...).
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
                f"the item id {twice!r} is in several rows of the items; keep one row an item"
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

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}

    @cached_property
    def _rows_of_title(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, title in enumerate(self.titles):
            rows.setdefault(_folded(title), []).append(row)
        return rows

    def get(self, item_id: str | int) -> int | None:
        """Row of a raw id, or None."""
        return self._row_of_id.get(str(item_id))

    def resolve(self, name: str | int) -> int:
        """Row of an item given by raw id or by title (case and punctuation do not matter).

        Raises:
            UnknownItemError: nothing fits (the nearest titles are named) or several items share the title.
        """
        row = self.get(name)
        if row is not None:
            return row
        rows = self._rows_of_title.get(_folded(str(name)), [])
        if len(rows) == 1:
            return rows[0]
        if rows:
            ids = ", ".join(self.ids[row] for row in rows[:5])
            raise UnknownItemError(f"{len(rows)} items are called {str(name)!r}; give one of the ids {ids}")
        nearest = self.nearest_titles(str(name))
        hint = "; did you mean " + " or ".join(repr(title) for title in nearest) + "?" if nearest else ""
        raise UnknownItemError(f"the catalogue of {len(self)} items has no id or title {str(name)!r}{hint}")

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
        candidates = pool[:200] or list(self._rows_of_title)[:20_000]
        close = difflib.get_close_matches(key, candidates, n=count, cutoff=0.3)
        found = close or pool[:count]
        return [self.titles[self._rows_of_title[folded][0]] for folded in found]

    def where(self, name: str, value: str) -> BoolArray:
        """Mask (num_items,) of the items whose field `name` equals `value` or, where it is a list, holds it.

        Raises:
            ConfigError: no such field, or no item has the value.
        """
        if name not in self.table.columns:
            raise ConfigError(f"the items have no field {name!r}; they have {', '.join(self.table.columns)}")
        column = self.table[name]
        if isinstance(column.dtype, pl.List):
            mask = column.list.eval(pl.element().cast(pl.String) == value).list.any().fill_null(False)
            known = column.explode().cast(pl.String).drop_nulls().unique()
        else:
            mask = (column.cast(pl.String) == value).fill_null(False)
            known = column.cast(pl.String).drop_nulls().unique()
        if not mask.any():
            nearest = difflib.get_close_matches(value, known.to_list(), n=3, cutoff=0.3)
            nearest = nearest or known.sort()[:5].to_list()
            raise ConfigError(f"no item has {name}={value!r}; for example {', '.join(map(repr, nearest))}")
        return mask.to_numpy()

    def rows(self, names: Iterable[str | int]) -> list[int]:
        """`resolve` over several names."""
        return [self.resolve(name) for name in names]

    def with_items(self, items: pl.DataFrame) -> Catalogue:
        """A catalogue with `items` appended; a row whose `item_id` is known replaces that item's text."""
        Catalogue(items)  # the same checks
        known = items.filter(pl.col("item_id").is_in(self.ids))
        table = self.table
        if known.height:
            extra = [
                pl.lit(None, dtype).alias(name)
                for name, dtype in known.schema.items()
                if name not in table.columns
            ]
            table = table.with_columns(extra).update(known, on="item_id", how="left")
        new = items.filter(~pl.col("item_id").is_in(self.ids))
        return Catalogue(pl.concat([table, new], how="diagonal_relaxed"), self.titled)


def _folded(title: str) -> str:
    """Spelling that comparison by title uses: lower case, letters and digits only."""
    return " ".join(re.findall(r"\w+", title.casefold()))
