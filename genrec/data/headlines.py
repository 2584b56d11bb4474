"""Whether the titles that a log holds are those of its items, or headlines of reviews."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from genrec.data.listing import clean
from genrec.data.readers.columns import folded
from genrec.data.readers.source import Log, Options

AMAZON = ("parentasin", "asin")  # columns of items beside which Amazon's `title` is that of the review


def titles_or_headlines(log: Log, options: Options) -> Log:
    """`log` with its titles as headlines where they cannot be the items', and a note on what was found.

    An item has one title, so titles that differ for most of the items with several rows are headlines. So are those
    of Amazon's reviews of 2023 saved as a table, unless each item has a title of its own. A column that the caller
    calls the title is believed.
    """
    if "title" not in log.frame.columns:
        return log
    pairs = log.frame.select("item_id", "title").drop_nulls().group_by("item_id", "title").len()
    pairs = pairs.with_columns(clean(pairs["title"])[0]).drop_nulls()
    items = pairs.group_by("item_id").agg(pl.col("title").n_unique(), pl.col("len").sum())
    num_varied, num_repeated = int((items["title"] > 1).sum()), int((items["len"] > 1).sum())
    name = log.columns["title"]
    one_each = not num_varied and num_repeated and pairs["title"].n_unique() == items.height
    doubtful = 2 * num_varied > num_repeated or (_of_amazon(log.columns) and not one_each)
    if doubtful and "title" not in options.named:
        found = f"{num_varied:,} of {num_repeated:,} items with several rows have several"
        note = (
            f"column {name!r} of {log.source} is taken as the headline of reviews, not as the items' title "
            f"({found}): say --column title={name} if it is the title"
        )
        frame = log.frame
        frame = frame.drop("title") if "headline" in frame.columns else frame.rename({"title": "headline"})
        return replace(log, frame=frame, notes=[*log.notes, note])
    if num_varied:
        note = (
            f"{num_varied:,} {'items have' if num_varied > 1 else 'item has'} several titles in column {name!r} of "
            f"{log.source}; the first counts"
        )
        return replace(log, notes=[*log.notes, note])
    return log


def _of_amazon(columns: Mapping[str, str]) -> bool:
    return folded(columns["item_id"]) in AMAZON and "text" in columns
