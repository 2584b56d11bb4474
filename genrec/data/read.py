"""Reading a data set: from files or frames to interactions, with a report of what was seen and done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.dataset import Dataset, ReadReport
from genrec.data.filters import Filters
from genrec.data.headlines import titles_or_headlines
from genrec.data.interactions import Histories, IntArray, Interactions
from genrec.data.listing import Listing
from genrec.data.mapped import mapped
from genrec.data.read_options import check_kinds
from genrec.data.readers import recognise, table
from genrec.data.readers.source import Log, Options, bare_name
from genrec.data.readers.values import less_points
from genrec.data.synthetic import NOTE, is_synthetic
from genrec.errors import CatalogueError, ConfigError, DataError

UNTITLED = ("error", "drop", "id")


def read(
    source: Any,
    items: Any = None,
    *,
    layout: str | None = None,
    name: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    item_columns: Mapping[str, str | None] | None = None,
    ordered: bool = False,
    dates: str | None = None,
    orders: str | None = None,
    untitled: str = "error",
    unrated: bool = False,
    min_rating: float | None = None,
    k_core: int | None = None,
    min_history: int | None = None,
) -> Dataset:
    """Read interactions and their items.

    Within a user, interactions are sorted by time, and at equal times by their row in the source. A row that
    repeats another in all that was read is dropped; the same item at another time is kept. The catalogue
    holds the items that somebody took, sorted by title, so that its order tells nothing about who took what.

    Args:
        source: a file, a folder in a known layout, or a polars or pandas frame.
        items: a file or frame with ids and titles; by default the one that belongs to the layout. False: none, items
            are known by their ids.
        layout: name of the layout, where it is not recognised; see `genrec.data.readers.LAYOUTS`.
        name: what to call the data set; by default the name of the file or folder.
        columns: the column of a role, for example {"user_id": "customer"}; the roles are user_id, item_id,
            timestamp, order_id, rating, text, headline and title. Usual names are found without it; None leaves a role
            out.
        item_columns: the column of `item_id` or `title` in `items`, where they call it otherwise than the log.
        ordered: the rows stand in time order, so no times are needed.
        dates: "day-first" or "month-first", where the log has dates such as 03/04/2024 that could be either.
        orders: what makes rows the lines of one order, which stand together and are asked for as one: "id", that a
            user's rows have the same order_id (the default where there is such a column); "time", the same time; or
            "none".
        untitled: what to do with an item without a title: "error"; "drop" its interactions; or "id", which
            lets its id stand for the title.
        unrated: let listed items that nobody took into the catalogue too.
        min_rating: keep interactions rated at least this.
        k_core: keep users and items with at least this many interactions, repeated until all have.
        min_history: keep users with at least this many interactions.

    Returns:
        The data set; `summary()` tells what is in it and `report` what was dropped and why.

    Raises:
        DataError: a missing, empty or malformed file (with its line), no such column, nothing left.
        CatalogueError: an item without a title.
        ConfigError: an option outside what is allowed.
    """
    check_kinds(
        {
            "layout": layout,
            "columns": columns,
            "item_columns": item_columns,
            "ordered": ordered,
            "dates": dates,
            "orders": orders,
            "untitled": untitled,
            "unrated": unrated,
            "min_rating": min_rating,
            "k_core": k_core,
            "min_history": min_history,
        }
    )
    filters = Filters(min_rating, k_core, min_history)
    if untitled not in UNTITLED:
        raise ConfigError(f"untitled={untitled!r}: choose one of {', '.join(UNTITLED)}")
    options = Options(columns or {}, ordered, item_columns or {}, dates, orders)
    layout_name, log, items = _open(source, items, layout, options)
    log = titles_or_headlines(log, options)
    listing = Listing.of(log, items, options)
    users, rows = _encoded(log.frame, listing)
    log = replace(log, frame=log.frame.clear())  # the text of millions of ids is no longer needed
    dropped, notes = dict(log.dropped), [*log.notes, *listing.notes]
    orders = _kind_of_orders(rows, log, options)
    if orders == "id":
        rows = _by_order(rows, log, notes)

    if untitled == "drop":
        keep = listing.has_title.to_numpy()[rows["item"].to_numpy()]
        dropped["no title"] = int((~keep).sum())
        rows = rows.filter(keep)
        if not rows.height:
            raise CatalogueError(f"no item of {log.source} has a title: give untitled='id' (--untitled id)")
    rows = _in_order(rows, dropped, notes)
    ratings = rows["rating"].to_numpy() if "rating" in rows.columns else None
    keep, cost = filters.apply(rows["user"].to_numpy(), rows["item"].to_numpy(), ratings)
    rows, dropped = rows if keep.all() else rows.filter(keep), dropped | cost
    if untitled == "error":
        listing.check_titles(rows, log.source)
    elif untitled == "id":
        notes += listing.note_of_ids(rows)

    if orders == "time":
        rows = rows.with_columns(pl.struct("user", "time").rle_id().alias("order"))
    if orders is not None:
        notes.append(_note_of_orders(rows, orders, log))
    catalogue, codes = listing.catalogue(rows["item"], unrated)
    synthetic = is_synthetic(source)
    if synthetic:
        notes.append(NOTE)
    report = ReadReport(
        layout_name,
        log.source,
        log.rows,
        dropped,
        notes,
        repeated_titles=len(catalogue) - catalogue.table["title"].n_unique(),
        decoded_entities=listing.num_decoded(codes),
        num_listed_items=listing.num_listed,
        dates=log.dates,
        orders=orders,
    )
    return Dataset(
        name or _name_of(source),
        _interactions(rows, users, catalogue, codes),
        report,
        synthetic,
        listed=None if listing.source is None else listing.rows.gather(codes).is_not_null().to_numpy(),
        named=listing.has_title.gather(codes).to_numpy() & listing.titled,
    )


def _open(source: Any, items: Any, layout: str | None, options: Options) -> tuple[str, Log, Any]:
    """Name of the layout, the log, and the items that belong to it; None: there are none."""
    if not isinstance(source, str | Path):
        if layout is not None:
            raise ConfigError(f"layout={layout!r} is for files; a frame has columns: leave it out")
        return "frame", table.from_frame(source, options), None if items is False else items
    found, file = recognise(Path(source), layout)
    if options.columns and not found.header:
        raise ConfigError(
            f"the layout {found.name} has no named columns: leave columns out, or give layout='table'"
        )
    if items is None:
        items = found.items(file)
    return found.name, found.read(file, options), None if items is False else items


def _name_of(source: Any) -> str:
    if not isinstance(source, str | Path):
        return "frame"
    path = Path(source).resolve()
    return path.name if path.is_dir() else path.name[: len(bare_name(path))].rsplit(".", 1)[0]


def _encoded(frame: pl.DataFrame, listing: Listing) -> tuple[pl.Series, pl.DataFrame]:
    """Ids of the users; the log with numbers for ids: `user`, `item`, beside `row` and `time` in µs."""
    users = frame["user_id"].unique().sort()
    rows = frame.select(
        "row",
        pl.col("user_id").cast(pl.Enum(users)).to_physical().cast(pl.Int32).alias("user"),
        pl.col("item_id").cast(pl.Enum(listing.taken_ids)).to_physical().cast(pl.Int32).alias("item"),
        *(name for name in ("timestamp", "order_id", "rating", "text", "headline") if name in frame.columns),
    )
    users = less_points(users, None, "the column of users")
    return users, rows.rename({"timestamp": "time"}, strict=False)


def _kind_of_orders(rows: pl.DataFrame, log: Log, options: Options) -> str | None:
    """What makes rows one order: `id`, `time` or None.

    Raises:
        DataError: the time, and there is none.
    """
    if options.orders == "time" and "time" not in rows.columns:
        raise DataError(
            f"{log.source} has no times, and orders='time' (--orders time) takes the rows of one time for an order: "
            "name the column of times or of orders, or leave it out"
        )
    found = options.orders or ("id" if "order_id" in rows.columns else "none")
    return None if found == "none" else found


def _by_order(rows: pl.DataFrame, log: Log, notes: list[str]) -> pl.DataFrame:
    """Rows with the number of their `order`, that of its first row, and with its earliest time."""
    first = pl.col("row").min().over("user", "order_id")
    num_alone = rows["order_id"].null_count()
    if num_alone:
        name = log.columns["order_id"]
        notes.append(f"{num_alone:,} rows have no order in column {name!r}: each is taken for one of its own")
    rows = rows.with_columns(
        pl.when(pl.col("order_id").is_null()).then("row").otherwise(first).alias("order")
    ).drop("order_id")
    return rows.with_columns(pl.col("time").min().over("order")) if "time" in rows.columns else rows


def _note_of_orders(rows: pl.DataFrame, orders: str, log: Log) -> str:
    what = f"column {log.columns['order_id']!r}" if orders == "id" else "the time"
    return (
        f"{rows['order'].n_unique():,} orders by {what}: all items of the next order are the targets, not the next row "
        "(say orders='none', --orders none, for that)"
    )


def _in_order(rows: pl.DataFrame, dropped: dict[str, int], notes: list[str]) -> pl.DataFrame:
    """Rows by user and time, stably, less those that repeat another; adds to `dropped` and `notes`."""
    order = ["order"] if "order" in rows.columns else []  # by their first rows
    if "time" not in rows.columns:
        return rows.sort("user", *order, maintain_order=True)
    rows = rows.sort("user", "time", *order, maintain_order=True)
    user, time, item = (rows[name].to_numpy() for name in ("user", "time", "item"))
    as_before = np.concatenate([[False], (user[1:] == user[:-1]) & (time[1:] == time[:-1])])
    num_ties = int(as_before.sum())
    if num_ties and not order:
        notes.append(
            f"{num_ties:,} interactions share their time with the user's one before; ties stay in order of rows "
            "(--orders time makes them one order)"
        )
    repeats = _repeats(as_before, item, rows)
    dropped["duplicate"] = len(repeats)
    if not len(repeats):
        return rows
    keep = np.ones(rows.height, bool)
    keep[repeats] = False
    return rows.filter(keep)


def _repeats(as_before: BoolArray, item: IntArray, rows: pl.DataFrame) -> IntArray:
    """Positions of rows that equal an earlier one in user, time, order, item, rating and text, if not in headline."""
    tied = np.flatnonzero(as_before | np.append(as_before[1:], False))
    if not len(tied):
        return tied
    moment = np.cumsum(~as_before)[tied]  # numbers the pairs of user and time
    key = moment * (int(item.max()) + 1) + item[tied]
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    suspects = np.sort(tied[order[np.append(same, False) | np.append(False, same)]])
    told = rows[suspects].drop("row", "headline", strict=False)
    first = told.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    repeats: IntArray = suspects[~first]
    return repeats


def _interactions(
    rows: pl.DataFrame, users: pl.Series, catalogue: Catalogue, codes: IntArray
) -> Interactions:
    """Interactions of sorted rows; the item coded `codes[i]` is row i of the catalogue."""
    counts = np.bincount(rows["user"].to_numpy(), minlength=len(users))
    position = np.zeros(int(codes.max()) + 1, np.int32)
    position[codes] = np.arange(len(codes), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts[counts > 0])])
    return Interactions(
        catalogue,
        users.filter(counts > 0),
        Histories(mapped(position[rows["item"].to_numpy()]), offsets),
        times=mapped(rows["time"].to_numpy() // 10**6) if "time" in rows.columns else None,
        ratings=mapped(rows["rating"].to_numpy()) if "rating" in rows.columns else None,
        texts=rows["text"] if "text" in rows.columns else None,
        headlines=rows["headline"] if "headline" in rows.columns else None,
        orders=mapped(rows["order"].cast(pl.Int64).to_numpy()) if "order" in rows.columns else None,
    )
