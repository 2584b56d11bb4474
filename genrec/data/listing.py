"""Listing: the items that people took, put beside what their source tells about them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import IntArray
from genrec.data.readers.items import read_items
from genrec.data.readers.source import Log, Options
from genrec.data.readers.values import less_points
from genrec.errors import CatalogueError, ConfigError, DataError


@dataclass(frozen=True)
class Listing:
    """Items by code, a number that stands for the item while the interactions are being read.

    The codes stand first for the items that somebody took, then for the listed ones that nobody did. `table` has one
    row a code, with `item_id`, `title` (null where there is none) and further fields, under whatever names the source
    gives them; along it run `rows` (row in the items file, null where that does not list the item) and `decoded`
    (the title held entities).
    """

    table: pl.DataFrame
    rows: pl.Series
    decoded: pl.Series
    taken_ids: pl.Series  # of the items that somebody took, by code, as the log spells them
    source: str | None  # the items file, if there is one
    ids_column: str  # in which that holds the ids, if it has such
    titled: bool  # by the items file or by a column of the log
    num_listed: int | None
    notes: list[str]

    @classmethod
    def of(cls, log: Log, items: Any, options: Options) -> Listing:
        """The items of `log`, with the texts of `items` (a file, a frame, or None).

        Raises:
            DataError: the items cannot be read.
        """
        spelled = log.frame["item_id"].unique().sort()
        what = f"column item_id of {log.source}"
        if items is None:
            if options.item_columns:
                raise ConfigError(
                    "item_columns (--item-column) are those of a file of items, and there is none"
                )
            if "title" in options.named and "title" not in log.frame.columns:
                raise DataError(
                    f"{log.source} has no column {options.named['title']!r} for titles: give items too"
                )
            return cls._without_file(log, spelled, less_points(spelled, None, what))
        found = read_items(items, options, log)
        read, source = found.frame, found.source
        ids = less_points(read["item_id"], spelled, f"column item_id of {source}")
        lines = pl.DataFrame({"item_id": ids}).with_row_index("row").drop_nulls()
        listed = lines.unique("item_id", keep="first", maintain_order=True)
        notes = list(found.notes)
        if listed.height < lines.height:
            again = counted(lines.height - listed.height, "row")
            notes.append(f"{source} lists items again in {again}; the first row of an item counts")
        taken = pl.DataFrame({"item_id": less_points(spelled, read["item_id"], what)})
        known = taken.join(listed, on="item_id", how="left", maintain_order="left")
        places = pl.concat(
            [known, listed.join(taken, on="item_id", how="anti", maintain_order="left").select(known.columns)]
        )
        table = read.select(pl.all().gather(places["row"])).with_columns(places["item_id"])
        if table["title"].null_count() == table.height and "title" in log.frame.columns:
            own = _titles_of(log, spelled).extend_constant(None, table.height - len(spelled))
            table = table.with_columns(own)
            notes.append(f"{source} has no titles: they are from the column of {log.source}")
        titles, decoded = clean(table["title"])
        titled = titles.null_count() < len(titles)
        if broken := int(titles.str.contains("\ufffd", literal=True).sum()):
            found_in = counted(broken, "title")
            notes.append(f"U+FFFD, which stands for what is no character, is in {found_in} of {source}")
        return cls(
            table.with_columns(titles),
            places["row"],
            decoded,
            spelled,
            source,
            found.ids,
            titled,
            listed.height,
            notes,
        )

    @classmethod
    def _without_file(cls, log: Log, spelled: pl.Series, ids: pl.Series) -> Listing:
        titled = "title" in log.frame.columns
        if titled:
            titles, decoded = clean(_titles_of(log, spelled))
            note = f"titles from the column of {log.source}"
        else:
            titles, decoded = ids.alias("title"), ids.is_null()
            note = "no titles: items are known by their ids; give a file of items to train on titles"
        rows = pl.Series("row", [None], pl.UInt32).new_from_index(0, len(ids))
        return cls(pl.DataFrame([ids, titles]), rows, decoded, spelled, None, "", titled, None, [note])

    @property
    def has_title(self) -> pl.Series:
        """Whether each item has one; (num_codes,)."""
        return self.table["title"].is_not_null()

    def check_titles(self, rows: pl.DataFrame, log: str) -> None:
        """Nothing, if every `item` (a code) of `rows` has a title; `row` is its place in the file `log`.

        Raises:
            CatalogueError: one has none; its place is named.
        """
        bare = rows.filter(~self.has_title.gather(rows["item"]))
        if not bare.height:
            return
        first = bare.row(int(bare["row"].arg_min() or 0), named=True)
        item_id, listed_row = self.table["item_id"][first["item"]], self.rows[first["item"]]
        if self.ids_column and self.rows.head(len(self.taken_ids)).null_count() == len(self.taken_ids):
            others = self.table["item_id"].slice(len(self.taken_ids), 1).to_list()
            such = f", such as {others[0]!r}" if others else ""
            raise CatalogueError(
                f"none of the {len(self.taken_ids):,} items of {log} is listed in {self.source}, whose ids stand in "
                f"its column {self.ids_column!r}{such}: name another with item_columns={{'item_id': ...}} "
                "(--item-column item_id=NAME), or give untitled='id' (--untitled id)"
            )
        if self.source is not None and listed_row is None:
            what = f"item {item_id!r} (row {first['row'] + 1} of {log}) is not listed in {self.source}"
        elif self.source is not None:
            what = f"item {item_id!r} has no title (row {listed_row + 1} of {self.source})"
        else:
            what = f"item {item_id!r} has no title (row {first['row'] + 1} of {log})"
        num_bare = bare["item"].n_unique()
        many = f"; {num_bare:,} items have none" if num_bare > 1 else ""
        how = "columns={'title': ...} (--column title=NAME)"
        if self.source is not None:
            how = "item_columns={'title': ...} (--item-column title=NAME)"
        named = "" if self.titled else f" name their column with {how},"
        remedy = f"{named} add titles, or give untitled='drop' or 'id' (--untitled drop|id)"
        raise CatalogueError(f"{what}{many}:{remedy}")

    def note_of_ids(self, rows: pl.DataFrame) -> list[str]:
        """How many items of `rows` are called by their ids, as a note."""
        num_bare = int((~self.has_title.gather(rows["item"].unique())).sum())
        return [f"ids stand for the titles of {counted(num_bare, 'item')} without one"] if num_bare else []

    def num_decoded(self, codes: IntArray) -> int:
        """How many titles of `codes` held HTML entities."""
        return int(self.decoded.gather(codes).sum())

    def catalogue(self, taken: pl.Series, unrated: bool) -> tuple[Catalogue, IntArray]:
        """The items `taken` (codes; may repeat), if `unrated` also the others listed, and their codes.

        They stand by title, then id; an id stands in for a missing title. The order must not tell what people
        took, and publishers' own numbers often do, so ids come last.
        """
        wanted = pl.Series([False]).new_from_index(0, self.table.height).scatter(taken.unique(), True)
        if unrated:
            wanted |= self.rows.is_not_null() & self.has_title
        named = self.table.select(pl.col("title").fill_null(pl.col("item_id")), "item_id")
        codes = named.select(pl.arg_sort_by("title", "item_id")).to_series()
        codes = codes.filter(wanted.gather(codes))
        kept = self.table[codes].with_columns(named["title"].gather(codes))
        fields = [
            column.name
            for column in kept
            if column.name not in ("item_id", "title") and column.null_count() < kept.height
        ]
        return Catalogue(kept.select("item_id", "title", *fields), self.titled), codes.to_numpy()


def _titles_of(log: Log, item_ids: pl.Series) -> pl.Series:
    """The first title that the log has for each of `item_ids`."""
    named = log.frame.group_by("item_id").agg(pl.col("title").drop_nulls().first())
    found = item_ids.to_frame("item_id").join(named, on="item_id", how="left", maintain_order="left")
    return found["title"]


def counted(number: int, noun: str) -> str:
    """A number of things in words, as in "1 item" and "2,000 items"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
    return flat.set(flat == "", None).alias("title"), decoded.alias("decoded")


def _decoded(title: str) -> str:
    """Names only with their semicolon: by HTML's old rules 'R&Dagger' would hold one too."""
    return re.sub(r"&(#\d+;?|#[xX][0-9a-fA-F]+;?|\w+;)", lambda entity: html.unescape(entity.group()), title)
