"""One line a user, `user item item …` in time order, as S3-Rec, P5 and their followers publish their data.

https://github.com/RUCAIBox/CIKM2020-S3Rec
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from genrec.data.readers.source import Layout, Log, Options, bare_name, first_file, read_lines
from genrec.errors import DataError


def _find(path: Path) -> Path | None:
    if path.is_dir():
        return first_file(path, ["sequences.txt"])
    return path if path.is_file() and bare_name(path).endswith("sequences.txt") else None


def _read(path: Path, options: Options) -> Log:
    """Histories without times: their order is the order of the items in the line.

    Raises:
        DataError: a line without items, or a user with two lines.
    """
    lines = pl.Series("line", read_lines(path)).str.strip_chars().str.replace_all(r"\s+", " ")
    cells = lines.str.split(" ")
    users, items = cells.list.first(), cells.list.slice(1)
    short = items.list.len() == 0
    if short.any():
        row = int(short.arg_max() or 0)
        raise DataError(
            f"line {row + 1} of {path.name} is {lines[row]!r}, not a user and the items in time order"
        )
    if users.is_duplicated().any():
        row = int(users.is_duplicated().arg_max() or 0)
        raise DataError(
            f"user {users[row]!r} (line {row + 1} of {path.name}) has several lines: keep one a user"
        )
    frame = pl.DataFrame({"user_id": users, "item_id": items}).with_row_index("row").explode("item_id")
    return Log(frame, path.name, frame.height, notes=["no times: a history's order is the order in its line"])


def _items(path: Path) -> Path | None:
    return first_file(path.parent, ["items.jsonl", "movies.dat"])


LAYOUT = Layout(
    "sequences", "sequences.txt, items.jsonl or movies.dat (may end in .gz)", _find, _read, _items
)
