"""What a reader is given and what it returns, whatever the source."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import polars as pl

from genrec.errors import DataError

Locate = Callable[[int], str]  # position of a row in its source -> words that tell a person where it is
DAMAGED = (OSError, EOFError, zlib.error)  # what a broken or truncated file raises while it is read
ROLES = ("user_id", "item_id", "timestamp", "rating", "text", "headline", "title")


@dataclass(frozen=True)
class Options:
    """What the caller says about the columns.

    `columns` maps a role (one of `ROLES`) to the column that plays it. `ordered` says that the rows stand in
    time order, so that a source without times can be read.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False


ANY = Options()


@dataclass(frozen=True)
class Log:
    """Interactions in the order of their source.

    `frame` has `row` (UInt32, from 0, in the source), `user_id` and `item_id` (String) and, where the
    source has them, `timestamp` (Int64, unix milliseconds), `rating` (Float32), `text`, `headline` and `title`
    (String).
    `source` is the file's name, `rows` counts its rows, `dropped` maps a reason to the rows it cost.
    """

    frame: pl.DataFrame
    source: str
    rows: int
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """How one publisher lays out its files.

    `files` names them for people. `find` returns the file of interactions of a folder or file in this layout,
    else None; `read` reads that file; `items` returns the file of items that belongs to it, if there is one.
    Where `header` holds, the file names its columns, so that the caller may say which column is which.
    """

    name: str
    files: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Options], Log]
    items: Callable[[Path], Path | None]
    header: bool = False


def bare_name(path: Path) -> str:
    """File name in lower case without `.gz`."""
    return path.name.lower().removesuffix(".gz")


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of `names` that `folder` holds, plain or with `.gz`."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where its name ends in `.gz`."""
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(gzip.GzipFile(path))
    return path.open("rb")


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Lines of a text file without their ends.

    Raises:
        DataError: the file is empty, damaged or in another encoding.
    """
    try:
        with open_bytes(path) as file:
            lines = file.read().decode(encoding).replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not {encoding} text (byte {error.start}): save it as {encoding}"
        ) from None
    except DAMAGED as error:
        raise DataError(f"{path.name} cannot be read: {error}") from None
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{path.name} is empty")
    return lines


def first_line(path: Path) -> str:
    """First line of a text file, for recognising its layout; empty for an empty or unreadable file."""
    try:
        with open_bytes(path) as file:
            return file.readline(1 << 20).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    except DAMAGED:
        return ""
