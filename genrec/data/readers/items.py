"""Files and frames of items: id, title and whatever else describes them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data import packed
from genrec.data.readers import json_items, movielens, recbole, table
from genrec.data.readers.columns import DESCRIPTION, folded, no_such_column, some, usual
from genrec.data.readers.encoding import encoding_of
from genrec.data.readers.frames import as_polars, read_parquet
from genrec.data.readers.item_fields import FIELDS, left_out, our_name, usable
from genrec.data.readers.source import Items, Log, Options, bare_name
from genrec.data.readers.values import as_ids, as_texts
from genrec.errors import ConfigError, DataError

PUBLISHED = ("meta_", "yelp_academic_dataset_business")  # how Amazon's and Yelp's names of files begin
USUAL = {"item_id": ("id",), "title": recbole.TITLES}  # names that mean an item's where every row is an item


NO_LOG = Log(pl.DataFrame(schema={"item_id": pl.String()}), "", 0)


def read_items(items: Any, options: Options, log: Log = NO_LOG) -> Items:
    """The items of a file or frame, whose ids are those of `log`.

    A file's name tells its format: `u.item`, `.dat`, `.item`, `.json`, `.jsonl`, else CSV, TSV or Parquet. Ids stand in
    the column that the caller names, else in the one called as in the log, else in that of the usual names which
    lists most of the log's items.

    Raises:
        DataError: no such file, a format that is not known, no column of ids, a malformed line.
        ConfigError: columns are named and the format has no names.
    """
    if not isinstance(items, str | Path):
        source = "the frame of items"
        return _named(as_polars(items, source), options, log, source)
    path = Path(items)
    if not path.exists():
        raise DataError(f"there is no file of items {path}")
    packed.size_of(path)  # a folder or pipe
    name = bare_name(path)
    if name == "u.item" or name.endswith(".dat"):
        if options.item_columns:
            raise ConfigError(f"{path.name} has no named columns: leave item_columns (--item-column) out")
        return movielens.items_100k(path) if name == "u.item" else movielens.items_1m(path)
    if name.endswith((".json", ".jsonl")):
        return _from_json(path, options, log)
    if name.endswith(".item"):
        return _named(recbole.table_of(path, options), options, log, path.name)
    if name.endswith(".parquet"):
        return _named(read_parquet(path), options, log, path.name)
    if not name.endswith(table.SUFFIXES):
        raise DataError(
            f"{path.name} is no known file of items: u.item, .dat, .item, .json, .jsonl, .csv, .tsv, .parquet"
        )
    encoding, notes = encoding_of(path)
    separator = table.separator_of(path)
    table.header_of(path, separator, encoding)  # an empty file
    found = _named(table.read_csv(path, separator, encoding=encoding), options, log, path.name)
    found = replace(found, notes=[*notes, *found.notes])
    if name == "movies.csv" and "year" not in found.frame.columns:
        return Items(movielens.with_year(found.frame), found.source, found.ids, found.notes)
    return found


def _from_json(path: Path, options: Options, log: Log) -> Items:
    """Items of a file of objects. Of Amazon's and Yelp's, whose objects are large, only some fields are read."""
    published = bare_name(path).startswith(PUBLISHED)
    named = {*options.item_columns.values(), *options.named.values(), *log.columns.values()}

    @functools.cache
    def wanted(name: str) -> bool:
        roles = any(usual(role, [name], more) for role, more in USUAL.items())
        return not published or roles or name in named or our_name(name) in FIELDS

    members, lost = json_items.columns_of(path, wanted)
    found = _named(members, options, log, path.name)
    if published and lost:
        notes = [f"{path.name}: of its fields, only {', '.join(FIELDS)} are read"]
    else:
        notes = left_out(lost, path.name)
    frame = found.frame
    if frame.schema.get("price") == pl.String:
        prices, more = _prices(frame["price"], path.name)
        frame, notes = frame.with_columns(prices), notes + more
    return Items(frame, found.source, found.ids, found.notes + notes)


def _prices(texts: pl.Series, source: str) -> tuple[pl.Series, list[str]]:
    """Texts such as '$1,250.00' as numbers, if any is one, and a note on ranges and words."""
    plain = texts.str.strip_chars().str.strip_prefix("$").str.replace_all(",", "", literal=True)
    numbers = plain.cast(pl.Float64, strict=False)
    bad = texts.filter(numbers.is_null() & texts.is_not_null())
    if len(bad) == len(texts.drop_nulls()):
        return texts, []
    note = f"{source}: {len(bad):,} prices are no numbers and are left out"
    return numbers, [f"{note}, such as {bad[0]!r}"] if len(bad) else []


def _named(frame: pl.DataFrame, options: Options, log: Log, source: str) -> Items:
    """A table of items under our names of columns."""
    ids = _column_of_ids(frame, options, log, source)
    title = _column_of_titles(frame, options, log, source)
    rest = frame.drop([ids, *([title] if title else [])])
    hidden = [name for name in rest.columns if name in ("item_id", "title")]
    fields, notes = usable(rest.drop(hidden), source)
    if title is not None and folded(title) == DESCRIPTION and "title" not in options.item_columns:
        notes.append(f"{source}: titles are from its column {title!r}")
    notes += [
        f"{source}: its column {name!r} is left out, since another one plays this role" for name in hidden
    ]
    if title is None:
        titles = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    else:
        titles = as_texts(frame[title], source, "title", "--item-column")
    roles = pl.DataFrame({"item_id": as_ids(frame[ids], source), "title": titles})
    return Items(roles.hstack(fields), source, ids, notes)


def _column_of_ids(frame: pl.DataFrame, options: Options, log: Log, source: str) -> str:
    names = frame.columns
    given = options.item_columns.get("item_id")
    if given is not None:
        return _given(given, names, source)
    if log.columns.get("item_id") in names:
        return log.columns["item_id"]
    likely = usual("item_id", names, USUAL["item_id"])
    if not likely:
        raise DataError(
            f"{source} has no column for item_id among {some(names)}: name it with "
            "item_columns={'item_id': ...} (--item-column item_id=NAME)"
        )
    taken = log.frame["item_id"].unique() if len(likely) > 1 else None

    def listed(name: str) -> int:
        try:
            return int(as_ids(frame[name], source).is_in(taken.implode()).sum()) if taken is not None else 0
        except DataError:  # its values are no ids
            return -1

    return max(likely, key=listed)


def _column_of_titles(frame: pl.DataFrame, options: Options, log: Log, source: str) -> str | None:
    """None: there is none."""
    if "title" in options.item_columns or ("title" in options.columns and "title" not in log.columns):
        given = {**options.columns, **options.item_columns}["title"]
        return None if given is None else _given(given, frame.columns, source)
    if options.columns.get("title") in frame.columns:
        return options.columns["title"]
    likely = usual("title", frame.columns, (*USUAL["title"], DESCRIPTION))
    return next((name for name in likely if frame[name].null_count() < frame.height), None)


def _given(name: str, names: list[str], source: str) -> str:
    if name not in names:
        raise DataError(no_such_column([name], names, source))
    return name
