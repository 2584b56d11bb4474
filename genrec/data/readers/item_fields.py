"""What describes an item, in the forms that a catalogue keeps: a text, number, truth value, day or list of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import time
from typing import Any

import polars as pl

from genrec.data.readers.columns import folded, some
from genrec.data.readers.source import literal, whole
from genrec.data.readers.times import in_calendar
from genrec.data.readers.values import plain
from genrec.errors import DataError, shown

NAMES = {  # what other files call a field of ours
    "class": "genres",
    "genre": "genres",
    "category": "categories",
    "store": "brand",
    "releaseyear": "year",
    "tag": "tags",
    "keyword": "keywords",
}
LISTS = ("genres", "categories", "tags", "keywords")
FIELDS = (*LISTS, "brand", "price", "year", "city")
NO_GENRES = "(no genres listed)"  # MovieLens
MOST = 10_000  # fields; a file with more is not one of items with a row or object each
LABELS = ("name", "title", "label")  # which member of an object stands for it, as in TMDB's genres

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def our_name(name: str) -> str:
    """The name of a field in the catalogue, by its name in a file."""
    known = folded(name)
    return NAMES.get(known) or (known if known in FIELDS else name)


def usable(table: pl.DataFrame, source: str) -> tuple[pl.DataFrame, list[str]]:
    """The fields of `table` under our names and in forms that a catalogue keeps, and notes on what is lost."""
    check_number(table.width, source)
    columns: dict[str, pl.Series] = {}
    lost, notes = [], []
    for column in table:
        name = our_name(column.name)
        if name in columns or (name != column.name and name in table.columns):
            name = column.name
        values = form_of(column, source)
        if values is None:
            lost.append(f"{column.name} ({_short(column.dtype)})")
            continue
        if values.dtype == pl.String:
            values = _truths(split(values, known=name in LISTS))
        if name == "year":
            values, note = _years(values, source)
            notes += note
        columns[name] = values.alias(name)
    notes += left_out(lost, source)
    return pl.DataFrame(columns), notes


def check_number(num_fields: int, source: str) -> None:
    """Nothing, if items may have that many fields.

    Raises:
        DataError: they may not.
    """
    if num_fields > MOST:
        raise DataError(
            f"{source} has {num_fields:,} fields or more, and items may have {MOST:,}: write one row or object an item"
        )


def left_out(names: Sequence[str], source: str) -> list[str]:
    """A note on fields that have no form in a catalogue."""
    forms = "texts, numbers, truth values, days or lists of texts"
    told = f"{source}: left out {some(names)}; the fields of items are {forms}"
    return [told] if names else []


def _short(kind: pl.DataType) -> str:
    name = str(kind)
    return name if len(name) <= 40 else f"{name[:36]} ..."


def form_of(values: pl.Series, source: str) -> pl.Series | None:
    """A column in a form that a catalogue keeps; None where it holds something else, such as vectors."""
    try:
        values = plain(values, source)
    except DataError:  # bytes
        return None
    kind = values.dtype
    if kind.is_float():
        return values.fill_nan(None)
    if kind in (pl.Int128, pl.UInt64):
        narrow = values.cast(pl.Int64, strict=False)
        return values.cast(pl.String) if narrow.null_count() > values.null_count() else narrow
    if kind in (pl.String, pl.Boolean) or kind.is_integer():
        return values
    if isinstance(kind, pl.Date | pl.Datetime) and not in_calendar(values):
        return None
    if isinstance(kind, pl.Datetime):
        days = (values.drop_nulls().dt.time() == time()).all()
        return values.dt.date() if days else values.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if kind == pl.Date:
        return values
    if kind.is_temporal():
        return values.dt.to_string()
    if isinstance(kind, pl.Struct):
        label = next((name for name in LABELS if name in values.struct.fields), None)
        return None if label is None else form_of(values.struct.field(label), source)
    if isinstance(kind, pl.Array):
        values = values.arr.to_list()
    return _flat(values, source) if isinstance(kind, pl.List | pl.Array) else None


def _flat(lists: pl.Series, source: str) -> pl.Series | None:
    """Lists of what has a form as lists of texts, each text once; lists in lists become one."""
    entries = pl.DataFrame({"row": range(len(lists)), "entry": lists}, schema_overrides={"row": pl.Int64})
    entries = entries.explode("entry")
    form = form_of(entries["entry"], source)
    if form is None or form.dtype.is_float():
        return None
    if isinstance(form.dtype, pl.Datetime):
        form = form.dt.strftime("%Y-%m-%d %H:%M:%S")
    entries = entries.with_columns(form.alias("entry"))
    if isinstance(form.dtype, pl.List):
        entries = entries.explode("entry")
    texts = entries.select("row", pl.col("entry").cast(pl.String)).filter(pl.col("entry") != "")
    gathered = texts.group_by("row").agg(pl.col("entry").unique(maintain_order=True))
    rows = pl.DataFrame({"row": range(len(lists))}, schema={"row": pl.Int64})
    found = rows.join(gathered, on="row", how="left", maintain_order="left")["entry"]
    there = pl.when(lists.is_not_null()).then(pl.col("entry").fill_null([]))
    return found.to_frame().select(there.alias(lists.name)).to_series()


def split(texts: pl.Series, known: bool) -> pl.Series:
    """A column of texts that are lists as lists; any other as it is.

    Lists are written by JSON, Python or numpy (in square brackets), and, in fields `known` to be lists, between bars,
    or between commas where no cell has a bar. A list of objects becomes that of their names.
    """
    bare = texts.str.strip_chars()
    bracketed = bare.str.starts_with("[") & bare.str.ends_with("]")
    if not known and not (bracketed.any() and (bracketed | (bare == "")).all()):
        return texts
    written = {cell: _written(cell) for cell in bare.filter(bracketed).unique()}
    if not known and None in written.values():
        return texts
    separator = "|" if bare.filter(~bracketed).str.contains("|", literal=True).any() else ","
    parts = bare.fill_null("").str.split(separator).list.eval(pl.element().str.strip_chars())
    parts = parts.list.eval(pl.element().filter(~pl.element().is_in(["", NO_GENRES])))
    read = {cell: [cell] if entries is None else entries for cell, entries in written.items()}
    if not read:
        return parts
    lists = pl.DataFrame(
        {"cell": list(read), "list": list(read.values())}, schema_overrides={"list": pl.List(pl.String)}
    )
    table = pl.DataFrame({"cell": bare, "parts": parts}).join(
        lists, on="cell", how="left", maintain_order="left"
    )
    return table.select(pl.coalesce("list", "parts").alias(texts.name)).to_series()


def _written(cell: str) -> list[str] | None:
    """The list that a text in square brackets writes; None if it writes none of texts."""
    try:
        return texts_in(json.loads(cell))
    except (ValueError, RecursionError):
        pass
    try:
        # numpy writes no commas, and Python would join the texts
        if not _QUOTED.sub("", cell[1:-1]).strip(", \t\r\n"):
            return texts_in([literal(text) for text in _QUOTED.findall(cell)])
        return texts_in(literal(cell))
    except ValueError:
        return None


def texts_in(value: Any) -> list[str] | None:
    """The texts of lists in lists, each once; objects by their names. None where something has no text."""
    found: dict[str, None] = {}
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            entry = next((entry[name] for name in LABELS if isinstance(entry.get(name), str)), entry)
        if isinstance(entry, list | tuple):
            waiting += reversed(entry)
        elif isinstance(entry, str):
            found |= {whole(entry): None} if entry else {}
        elif isinstance(entry, bool):
            found[str(entry).lower()] = None
        elif isinstance(entry, int):
            found[str(entry)] = None
        elif entry is not None:
            return None
    return list(found)


def _truths(values: pl.Series) -> pl.Series:
    """Texts that are all true or false, however they are written, as truth values: pandas has 'True'."""
    if values.dtype != pl.String:
        return values
    lower = values.str.to_lowercase()
    if not lower.drop_nulls().is_in(["true", "false", ""]).all() or not lower.is_in(["true", "false"]).any():
        return values
    return (lower == "true").set(lower == "", None)


def _years(values: pl.Series, source: str) -> tuple[pl.Series, list[str]]:
    """Years as whole numbers, if any value is one, and a note on those that are none."""
    if isinstance(values.dtype, pl.List):
        return values, []
    texts = values.cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    years = numbers.set(numbers != numbers.round(), None).cast(pl.Int32, strict=False)
    bad = texts.filter(years.is_null() & (texts != ""))
    if not len(bad):
        return years, []
    if len(bad) == len(texts.drop_nulls()):
        return values, []
    return years, [
        f"{source}: {len(bad):,} values of year are no years and are left out, such as {shown(bad[0])}"
    ]
