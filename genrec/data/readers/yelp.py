"""The Yelp open data set: https://business.yelp.com/data/resources/open-dataset/"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from genrec.data.readers import json_lines
from genrec.data.readers.columns import standard
from genrec.data.readers.source import Layout, Log, Options, bare_name, first_file

REVIEWS, BUSINESSES = "yelp_academic_dataset_review.json", "yelp_academic_dataset_business.json"
SCHEMA = {
    **{"user_id": pl.String, "business_id": pl.String, "date": pl.String},
    **{"stars": pl.Float64, "text": pl.String},
}
ROLES = ("user_id", "item_id", "timestamp", "rating", "text")


def _find(path: Path) -> Path | None:
    if path.is_dir():
        return first_file(path, [REVIEWS])
    return path if path.is_file() and bare_name(path) == REVIEWS else None


def _read(path: Path, options: Options) -> Log:
    """Reviews in the order of their lines. The businesses are the items, called by their names."""
    frame = json_lines.frame(path, SCHEMA)
    return standard(
        frame, dict(zip(ROLES, SCHEMA, strict=True)), path.name, lambda row: f"line {row + 1} of {path.name}"
    )


LAYOUT = Layout(
    "yelp", f"{REVIEWS}, {BUSINESSES}", _find, _read, lambda path: first_file(path.parent, [BUSINESSES])
)
