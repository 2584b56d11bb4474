"""The Yelp open data set: https://business.yelp.com/data/resources/open-dataset/"""

from __future__ import annotations

from pathlib import Path

from genrec.data.readers import json_lines
from genrec.data.readers.columns import standard
from genrec.data.readers.source import Layout, Log, Options, bare_name, first_file

REVIEWS, BUSINESSES = "yelp_academic_dataset_review.json", "yelp_academic_dataset_business.json"
FIELDS = ("user_id", "business_id", "date", "stars", "text")
ROLES = ("user_id", "item_id", "timestamp", "rating", "text")


def _find(path: Path) -> Path | None:
    if path.is_dir():
        return first_file(path, [REVIEWS])
    return path if path.is_file() and bare_name(path) == REVIEWS else None


def _read(path: Path, options: Options) -> Log:
    """Reviews in the order of their lines. The businesses are the items, called by their names."""
    frame, roles = json_lines.frame(path, FIELDS, ids=FIELDS[:2]), dict(zip(ROLES, FIELDS, strict=True))
    return standard(
        frame, roles, path.name, lambda row: f"line {json_lines.line_of(path, row)} of {path.name}"
    )


LAYOUT = Layout(
    "yelp", f"{REVIEWS}, {BUSINESSES}", _find, _read, lambda path: first_file(path.parent, [BUSINESSES])
)
