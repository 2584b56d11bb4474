"""Files and frames of items: id, title and whatever else describes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.readers import json_lines, movielens, recbole, table
from genrec.data.readers.columns import find_columns
from genrec.data.readers.frames import as_polars, read_parquet
from genrec.data.readers.source import Items, Options, bare_name
from genrec.data.readers.values import as_ids, as_texts
from genrec.errors import DataError

JSON_FIELDS = {  # field of the catalogue: the names it has in the files, best first
    "item_id": ("item_id", "id", "parent_asin", "asin", "business_id"),
    "title": ("title", "name"),
    "brand": ("brand", "store"),
    "categories": ("categories", "category"),
    "genres": ("genres",),
    "price": ("price",),
    "year": ("year",),
    "city": ("city",),
}
JSON_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("item_id", "title", "brand", "city"), pl.String()),
    **dict.fromkeys(("categories", "genres"), pl.List(pl.String)),
    "price": pl.Float64(),
    "year": pl.Int32(),
}
FIELD_ALIASES = {
    "class": "genres",
    "genre": "genres",
    "category": "categories",
    "store": "brand",
    "release_year": "year",
}
LISTS = ("genres", "categories")
CHUNK_ROWS = 100_000


def read_items(items: Any, options: Options) -> Items:
    """The items of a file or frame.

    A file's name tells its format: `u.item`, `.dat`, `.item`, `.json`, `.jsonl`, else CSV, TSV or Parquet.

    Raises:
        DataError: no such file, a format that is not known, no column of ids, a malformed line.
    """
    if not isinstance(items, str | Path):
        source = "the frame of items"
        return Items(_named(as_polars(items, source), options, source), source)
    path = Path(items)
    if not path.is_file():
        raise DataError(f"there is no file of items {path}")
    name = bare_name(path)
    if name == "u.item":
        return movielens.items_100k(path)
    if name.endswith(".dat"):
        return movielens.items_1m(path)
    if name.endswith((".json", ".jsonl")):
        return Items(_from_json(path, options), path.name)
    if name.endswith(".item"):
        return Items(_named(recbole.table_of(path, options), options, path.name), path.name)
    if not name.endswith(table.SUFFIXES):
        raise DataError(
            f"{path.name} is no known file of items: u.item, .dat, .item, .json, .jsonl, .csv, .tsv, .parquet"
        )
    if name.endswith(".parquet"):
        return Items(_named(read_parquet(path), options, path.name), path.name)
    separator = table.separator_of(path)
    table.header_of(path, separator)  # an empty file
    frame = _named(table.read_csv(path, separator), options, path.name)
    if name == "movies.csv" and "year" not in frame.columns:
        frame = movielens.with_year(frame)
    return Items(frame, path.name)


def _from_json(path: Path, options: Options) -> pl.DataFrame:
    """Items of a file with one object a line (`items.jsonl`, Amazon's `meta_*`, Yelp's `business`)."""
    objects = json_lines.objects(path)
    names = JSON_FIELDS | {
        role: (name, *JSON_FIELDS[role])
        for role, name in options.named.items()
        if role in ("item_id", "title")
    }
    parts = []
    while rows := [_item(values, names) for _, values in islice(objects, CHUNK_ROWS)]:
        parts.append(pl.DataFrame(rows, schema=JSON_SCHEMA, orient="row"))
    if not parts:
        raise DataError(f"{path.name} is empty")
    frame = pl.concat(parts)
    if frame["item_id"].null_count() == frame.height:
        raise DataError(f"no object of {path.name} has an id: they are called {', '.join(names['item_id'])}")
    return frame[
        [column.name for column in frame if column.null_count() < frame.height or column.name == "title"]
    ]


def _item(values: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """One item with the fields of the catalogue; `names` are those that a field has in the file."""
    item = {
        field: next((values[name] for name in own if values.get(name) not in (None, "", [])), None)
        for field, own in names.items()
    }
    item["item_id"] = None if item["item_id"] is None else str(item["item_id"])
    for name in ("title", "brand", "city"):
        item[name] = item[name] if isinstance(item[name], str) else None
    for name in LISTS:
        item[name] = None if item[name] is None else list(dict.fromkeys(_flat(item[name])))
    item["price"] = _number(item["price"])
    year = _number(item["year"])
    item["year"] = None if year is None else int(year)
    return item


def _flat(value: Any) -> Iterable[str]:
    """The strings of a string with commas or of lists in lists."""
    if isinstance(value, str):
        return (part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return (part for entry in value for part in ([entry] if isinstance(entry, str) else _flat(entry)))
    return ()


def _number(value: Any) -> float | None:
    """A number as a number or as text such as '$1,250.00'; None for ranges and words."""
    try:
        number = float(value.strip().removeprefix("$").replace(",", "") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _named(frame: pl.DataFrame, options: Options, source: str) -> pl.DataFrame:
    """A table of items under our names of columns: lists are split; text and numbers stay, other types go."""
    wanted = {role: name for role, name in options.named.items() if role in ("item_id", "title")}
    if wanted.get("item_id") not in frame.columns:  # the name may be that of the interactions' column only
        wanted.pop("item_id", None)
    roles = find_columns(
        frame.columns, Options(wanted), source, needed=("item_id", *(set(wanted) & {"title"}))
    )
    title = roles.get("title") or ("name" if "name" in frame.columns else None)
    item_ids = as_ids(frame[roles["item_id"]], source).alias("item_id")
    titles = pl.lit(None, pl.String) if title is None else as_texts(frame[title], source, "title")
    rest = frame.drop({roles["item_id"], *([title] if title else [])})
    for alias, field in FIELD_ALIASES.items():
        if alias in rest.columns and field not in rest.columns:
            rest = rest.rename({alias: field})
    rest = rest.with_columns(as_lists(rest[name]) for name in LISTS if rest.schema.get(name) == pl.String)
    if "year" in rest.columns:
        rest = rest.with_columns(pl.col("year").cast(pl.Int32, strict=False))
    useful = [name for name, kind in rest.schema.items() if kind in _KINDS or kind.is_numeric()]
    return rest.select(
        item_ids, titles.alias("title"), *(name for name in useful if name not in ("item_id", "title"))
    )


_KINDS = (pl.String, pl.List(pl.String))


def as_lists(texts: pl.Series) -> pl.Series:
    """Values between bars, or commas where no cell has a bar, as a list; '(no genres listed)' as none."""
    separator = "|" if texts.str.contains("|", literal=True).any() else ","
    parts = texts.fill_null("").str.split(separator).list.eval(pl.element().str.strip_chars())
    return parts.list.eval(pl.element().filter(~pl.element().is_in(["", "(no genres listed)"])))
