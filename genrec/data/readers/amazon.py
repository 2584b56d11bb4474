"""Amazon reviews with their metadata: 2014, 2018 and 2023.

McAuley et al. 2015, https://jmcauley.ucsd.edu/data/amazon/ · Ni et al. 2019,
https://nijianmo.github.io/amazon/ · Hou et al. 2024, https://amazon-reviews-2023.github.io/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from genrec.data.readers import json_lines
from genrec.data.readers.columns import standard
from genrec.data.readers.source import Layout, Log, Options, bare_name
from genrec.errors import DataError

SUFFIXES = (".json", ".jsonl")
ROLES = ("user_id", "item_id", "timestamp", "rating", "text", "headline")
FIELDS_2014 = ("reviewerID", "asin", "unixReviewTime", "overall", "reviewText", "summary")
FIELDS_2023 = ("user_id", "parent_asin", "timestamp", "rating", "text", "title")


def _finder(marks: tuple[str, ...]) -> Callable[[Path], Path | None]:
    """Finds reviews whose first line has one of `marks`."""

    def fits(path: Path) -> bool:
        name = bare_name(path)
        if not path.is_file() or not name.endswith(SUFFIXES) or name.startswith("meta_"):
            return False
        beginning = json_lines.beginning(path)
        return any(re.search(rf"""["']{mark}["']\s*:""", beginning) for mark in marks)

    def fits_among_others(path: Path) -> bool:
        try:
            return fits(path)
        except DataError:  # a broken file, but perhaps none of ours
            return False

    def find(path: Path) -> Path | None:
        if not path.is_dir():
            return path if fits(path) else None
        files = [file for file in sorted(path.iterdir()) if fits_among_others(file)]
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise DataError(
                f"{path} holds several files of reviews, {names}: give the one to read instead of the folder"
            )
        return files[0] if files else None

    return find


def _reader(fields: tuple[str, ...]) -> Callable[[Path, Options], Log]:
    def read(path: Path, options: Options) -> Log:
        """Reviews in the order of their lines."""
        frame = json_lines.frame(path, fields, ids=fields[:2])
        roles = dict(zip(ROLES, fields, strict=True))
        return standard(
            frame, roles, path.name, lambda row: f"line {json_lines.line_of(path, row)} of {path.name}"
        )

    return read


def _metadata(path: Path) -> Path | None:
    """The `meta_` file of the same category beside the reviews."""
    category = re.sub(r"^reviews_|(_5)?\.jsonl?$", "", bare_name(path))
    files = [file for file in sorted(path.parent.iterdir()) if file.name.startswith("meta_")]
    return next((file for file in files if bare_name(file).rsplit(".", 1)[0] == f"meta_{category}"), None)


LAYOUT_2014 = Layout(
    "amazon-2014",
    "reviews_NAME_5.json.gz, meta_NAME.json.gz",
    _finder(("helpful",)),
    _reader(FIELDS_2014),
    _metadata,
)
LAYOUT_2018 = Layout(
    "amazon-2018",
    "NAME_5.json.gz, meta_NAME.json.gz",
    _finder(("reviewerID",)),
    _reader(FIELDS_2014),
    _metadata,
)
LAYOUT_2023 = Layout(
    "amazon-2023",
    "NAME.jsonl.gz, meta_NAME.jsonl.gz",
    _finder(("parent_asin",)),
    _reader(FIELDS_2023),
    _metadata,
)
