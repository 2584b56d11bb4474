"""Listing: the items that people took, put beside what their source tells about them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import IntArray
from genrec.data.readers.items import read_items
from genrec.data.readers.source import Log, Options
from genrec.errors import CatalogueError, DataError


@dataclass(frozen=True)
class Listing:
    """Items by code, a number that stands for the item while the interactions are being read.

    `table` has one row a code, in the order of the codes: first the items that somebody took, then the listed
    ones that nobody did. Its columns are `item_id`, `title` (null where there is none), further fields,
    `_row` (row in the items file, null where that does not list the item), `_decoded` (title held entities).
    """

    table: pl.DataFrame
    num_taken: int
    source: str | None  # the items file, if there is one
    titled: bool  # by the items file or by a column of the log
    num_listed: int | None
    notes: list[str]

    @classmethod
    def of(cls, log: Log, items: Any, options: Options) -> Listing:
        """The items of `log`, with the texts of `items` (a file, a frame, or None).

        Raises:
            DataError: the items cannot be read.
        """
        taken = log.frame.select(pl.col("item_id").unique().sort())
        if items is None:
            if "title" in options.columns and "title" not in log.frame.columns:
                raise DataError(
                    f"{log.source} has no column {options.columns['title']!r} for titles: give items too"
                )
            return cls._without_file(log, taken)
        read = read_items(items, options).with_row_index("_row").filter(pl.col("item_id").is_not_null())
        listed = read.unique("item_id", keep="first", maintain_order=True)
        source = Path(items).name if isinstance(items, str | Path) else "the frame of items"
        notes = []
        if listed.height < read.height:
            notes.append(
                f"{source} lists {read.height - listed.height:,} items again; their first row counts"
            )
        unrated = listed.join(taken, on="item_id", how="anti", maintain_order="left")
        table = pl.concat(
            [taken.join(listed, on="item_id", how="left", maintain_order="left"), unrated], how="diagonal"
        )
        table = table.with_columns(*clean(table["title"]))
        titled = table["title"].null_count() < table.height
        return cls(table, taken.height, source, titled, listed.height, notes)

    @classmethod
    def _without_file(cls, log: Log, taken: pl.DataFrame) -> Listing:
        titled = "title" in log.frame.columns
        if titled:
            titles = log.frame.group_by("item_id").agg(pl.col("title").drop_nulls().first())
            table = taken.join(titles, on="item_id", how="left", maintain_order="left")
            table = table.with_columns(*clean(table["title"]))
            note = f"titles from the column of {log.source}"
        else:
            table = taken.with_columns(title=pl.col("item_id"), _decoded=pl.lit(False))
            note = "no titles: items are known by their ids; give a file of items to train on titles"
        table = table.with_columns(_row=pl.lit(None, pl.UInt32))
        return cls(table, taken.height, None, titled, None, [note])

    @property
    def has_title(self) -> pl.Series:
        """Whether each item has one; (num_codes,)."""
        return self.table["title"].is_not_null()

    @property
    def taken_ids(self) -> pl.Series:
        """Raw ids of the items that somebody took, by code; (num_taken,)."""
        return self.table["item_id"].head(self.num_taken)

    def check_titles(self, rows: pl.DataFrame, log: str) -> None:
        """Nothing, if every `item` (a code) of `rows` has a title; `row` is its place in the file `log`.

        Raises:
            CatalogueError: one has none; its place is named.
        """
        bare = rows.filter(~self.has_title.gather(rows["item"]))
        if not bare.height:
            return
        first = bare.row(int(bare["row"].arg_min() or 0), named=True)
        item_id, listed_row = self.table.select("item_id", "_row").row(first["item"])
        if self.source is not None and listed_row is None:
            what = f"item {item_id!r} (row {first['row'] + 1} of {log}) is not listed in {self.source}"
        elif self.source is not None:
            what = f"item {item_id!r} has no title (row {listed_row + 1} of {self.source})"
        else:
            what = f"item {item_id!r} has no title (row {first['row'] + 1} of {log})"
        num_bare = bare["item"].n_unique()
        many = f"; {num_bare:,} items have none" if num_bare > 1 else ""
        named = "" if self.titled else " name their column with columns={'title': ...} (--column title=NAME),"
        remedy = f"{named} add titles, or give untitled='drop' or 'id' (--untitled drop|id)"
        raise CatalogueError(f"{what}{many}:{remedy}")

    def note_of_ids(self, rows: pl.DataFrame) -> list[str]:
        """How many items of `rows` are called by their ids, as a note."""
        num_bare = int((~self.has_title.gather(rows["item"].unique())).sum())
        return [f"{num_bare:,} items without a title are called by their ids"] if num_bare else []

    def num_decoded(self, codes: IntArray) -> int:
        """How many titles of `codes` held HTML entities."""
        return int(self.table["_decoded"].gather(codes).sum())

    def catalogue(self, taken: pl.Series, unrated: bool) -> tuple[Catalogue, IntArray]:
        """The items `taken` (codes; may repeat), if `unrated` also the others listed, and their codes.

        They stand by title, then id; an id stands in for a missing title. The order must not tell what people
        took, and publishers' own numbers often do, so ids come last.
        """
        kept = self.table.with_row_index("_code").filter(
            pl.col("_code").is_in(taken.unique().cast(pl.UInt32).implode())
            | (unrated & pl.col("_row").is_not_null() & pl.col("title").is_not_null())
        )
        kept = kept.with_columns(pl.col("title").fill_null(pl.col("item_id"))).sort("title", "item_id")
        fields = [name for name in kept.columns if name not in _OWN and kept[name].null_count() < kept.height]
        return Catalogue(kept.select("item_id", "title", *fields), self.titled), kept["_code"].to_numpy()


_OWN = ("item_id", "title", "_row", "_decoded", "_code")


def clean(titles: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Titles on one line with HTML entities decoded, null where nothing is left; and which held entities.

    Shops escape some titles twice ('&amp;amp;'), so decoding is done twice, never more.
    """
    suspects = titles.str.contains("&", literal=True).fill_null(False).arg_true()
    escaped = titles.gather(suspects)
    plain = pl.Series([_decoded(_decoded(title)) for title in escaped], dtype=pl.String)
    decoded = titles.is_null() & False
    if len(suspects):
        decoded = decoded.scatter(suspects, plain != escaped)
        titles = titles.clone().scatter(suspects, plain)
    flat = titles.str.replace_all(r"\s+", " ").str.strip_chars()
    return flat.set(flat == "", None).alias("title"), decoded.alias("_decoded")


def _decoded(title: str) -> str:
    """Names only with their semicolon: by HTML's old rules 'R&Dagger' would hold one too."""
    return re.sub(r"&(#\d+;?|#[xX][0-9a-fA-F]+;?|\w+;)", lambda entity: html.unescape(entity.group()), title)
