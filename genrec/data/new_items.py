"""New items for a catalogue that is there already, read as files of items are and fitted to its fields."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.listing import clean
from genrec.data.readers.frames import as_polars
from genrec.data.readers.item_fields import form_of, split
from genrec.data.readers.items import read_items
from genrec.data.readers.source import ANY, Log, Options
from genrec.errors import CatalogueError, shown


def read_new_items(
    items: Any, catalogue: Catalogue, options: Options = ANY
) -> tuple[pl.DataFrame, list[str]]:
    """Items with `item_id` and `title` (String, null only for known ones) and fields of the types in `catalogue`.

    With them come notes on what is left out of them.

    Args:
        items: a file of items, or a polars or pandas frame. The columns of a frame are known by the names that they
            have in the catalogue, else by those that they may have in a file.
        catalogue: that they are for.
        options: what is said of the columns, where usual names do not tell.

    Raises:
        DataError: no items, some without ids, or a column that cannot be read.
        CatalogueError: an id that is missing or there twice, a new item without a title, or a value that does not fit
            its field.
    """
    log = Log(pl.DataFrame(schema={"item_id": pl.String()}), "", 0, columns=options.named)
    if isinstance(items, str | Path):
        frame, known = pl.DataFrame(), list[str]()
        found = read_items(items, options, log)
    else:
        frame = as_polars(items, "the frame of new items")
        known = [name for name in catalogue.table.drop("item_id", "title").columns if name in frame.columns]
        found = read_items(frame.drop(known), options, log)
    read = found.frame
    unnamed = read["item_id"].is_null()
    if unnamed.any():
        row = int(unnamed.arg_max() or 0) + 1
        raise CatalogueError(f"row {row} of the new items has no id: give it one")
    read = read.with_columns(clean(read["title"])[0] if catalogue.titled else read["item_id"].alias("title"))
    untitled = read.filter(pl.col("title").is_null() & ~pl.col("item_id").is_in(catalogue.ids))
    if untitled.height:
        raise CatalogueError(f"item {shown(untitled['item_id'][0])} has no title: give one before adding it")
    Catalogue(read)  # no id twice
    for name in read.columns[2:]:
        if name in frame.columns and read[name].null_count() > frame[name].null_count():
            _refuse(read["item_id"], frame[name], read[name], read.schema[name])
    return fitted_to(catalogue, read.with_columns(frame[name] for name in known)), found.notes


def fitted_to(catalogue: Catalogue, items: pl.DataFrame) -> pl.DataFrame:
    """Items with their fields in the types that they have in `catalogue`.

    Raises:
        CatalogueError: a value does not fit its field.
    """
    return items.with_columns(
        _fitted(items[name], dtype, items["item_id"])
        for name, dtype in catalogue.table.schema.items()
        if name in items.columns
    )


def _fitted(values: pl.Series, dtype: pl.DataType, item_ids: pl.Series) -> pl.Series:
    """Values of a field as the catalogue has them: lists from text between bars or commas, text from lists, numbers.

    Raises:
        CatalogueError: a value that would be lost or changed.
    """
    formed = form_of(values, "the new items")
    values = values if formed is None else formed
    if values.dtype == dtype:
        return values
    if values.dtype == pl.String and dtype == pl.List(pl.String):
        return split(values, known=True).set(values.is_null(), None)
    if isinstance(values.dtype, pl.List) and dtype == pl.String:
        return values.cast(pl.List(pl.String)).list.join("|", ignore_nulls=True)
    if isinstance(values.dtype, pl.Datetime) and dtype == pl.String:  # as they were kept before days were
        return values.dt.strftime("%Y-%m-%d %H:%M:%S")
    fitted = pl.Series(values.name, [None] * len(values), dtype)
    if dtype == pl.Boolean and (values.dtype == pl.String or values.dtype.is_numeric()):
        values_in_words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
        fitted = values_in_words.replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    elif values.dtype == pl.String and dtype == pl.Date:
        fitted = values.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    elif values.dtype == pl.String and isinstance(dtype, pl.Datetime):
        fitted = (
            values.str.strip_chars().str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
        )
    # What polars would make of a record or a date, braces or days since 1970, is not what anybody meant.
    elif not values.dtype.is_nested() and not (values.dtype.is_temporal() and dtype.is_numeric()):
        with suppress(pl.exceptions.PolarsError):  # no value of the one type is one of the other
            fitted = values.cast(dtype, strict=False)
    if dtype.is_integer() and values.dtype.is_float():
        fitted = fitted.set(fitted.cast(values.dtype) != values, None)
    _refuse(item_ids, values, fitted, dtype)
    return fitted


def _refuse(item_ids: pl.Series, values: pl.Series, fitted: pl.Series, dtype: pl.DataType) -> None:
    """Raise CatalogueError where a value has become none."""
    lost = fitted.is_null() & values.is_not_null()
    if lost.any():
        row = int(lost.arg_max() or 0)
        kinds = {
            "numbers": dtype.is_numeric(),
            "truth values": dtype == pl.Boolean,
            "days": dtype.is_temporal(),
        }
        kinds |= {"lists of text": isinstance(dtype, pl.List), "text": True}
        wanted = next(name for name, fits in kinds.items() if fits)
        raise CatalogueError(
            f"the new item {shown(item_ids[row])} has {shown(values[row])} as its {values.name}, where the catalogue "
            f"has {wanted}: change it, or leave it out"
        )


_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
