"""Interactions in CSV, TSV or Parquet files and in pandas or polars frames."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from genrec.data import packed
from genrec.data.readers.columns import find_columns, looked_at, standard
from genrec.data.readers.encoding import UTF_8, encoding_of, recoded
from genrec.data.readers.frames import as_polars, read_parquet
from genrec.data.readers.source import (
    LONGEST_LINE,
    Layout,
    Log,
    Options,
    bare_name,
    first_file,
    first_line,
    start_of,
)
from genrec.errors import DataError

SUFFIXES = (".csv", ".tsv", ".parquet")
csv.field_size_limit(1 << 30)  # a review may be longer than the 131,072 characters that Python stops at


def find(path: Path) -> Path | None:
    """The file itself if its name ends as a table's; of a folder, its `interactions`."""
    if path.is_dir():
        return first_file(path, [f"interactions{suffix}" for suffix in SUFFIXES])
    return path if path.is_file() and bare_name(path).endswith(SUFFIXES) else None


def read(path: Path, options: Options) -> Log:
    """Interactions from a table with a header. Ids keep their spelling ('007' stays '007').

    Raises:
        DataError: see `genrec.data.readers.columns`; a malformed line is named.
    """
    if bare_name(path).endswith(".parquet"):
        return from_frame(read_parquet(path), options, path.name)
    encoding, notes = encoding_of(path)
    separator = separator_of(path)
    header = header_of(path, separator, encoding)
    roles = find_columns(header, options, path.name)
    frame = read_csv(path, separator, encoding=encoding)
    wanted = looked_at(header, roles, options)
    if not set(wanted) <= set(frame.columns):
        raise DataError(f"the first line of {path.name} has quotes that do not enclose whole names: {header}")
    frame = frame.select(wanted)
    check_fields(frame, roles, path, separator, encoding=encoding)
    log = standard(
        frame, roles, path.name, lambda row: f"line {line_of(path, separator, row)} of {path.name}", options
    )
    return replace(log, notes=[*notes, *log.notes])


def from_frame(frame: Any, options: Options, source: str = "the frame") -> Log:
    """Interactions from a polars or pandas frame."""
    table = as_polars(frame, source)
    roles = find_columns(table.columns, options, source)
    return standard(table, roles, source, lambda row: f"row {row + 1} of {source}", options)


def separator_of(path: Path) -> str:
    """Tab for a TSV; else the one of `, ; tab |` that the header holds most often."""
    header = first_line(path)
    return "\t" if bare_name(path).endswith(".tsv") else max(",;\t|", key=header.count)


def header_of(path: Path, separator: str, encoding: str = UTF_8) -> list[str]:
    """Column names in the first line.

    Raises:
        DataError: the file is empty, or in another encoding.
    """
    header = first_line(path, encoding)
    if not header:
        raise DataError(f"{path.name} is empty: a table starts with a line of column names")
    if "\ufffd" in header:
        raise DataError(f"{path.name} is not UTF-8 text (in its first line): save it as UTF-8")
    if len(header) >= LONGEST_LINE or "\r" in header:
        what = "ends its lines with CR alone" if "\r" in header else "has no line end in its first MiB"
        raise DataError(
            f"{path.name} {what}: save it with a line of column names and LF or CR LF at line ends"
        )
    return next(csv.reader([header], delimiter=separator))


def read_csv(
    path: Path,
    separator: str,
    *,
    names: Sequence[str] | None = None,
    quote: str | None = '"',
    encoding: str = UTF_8,
) -> pl.DataFrame:
    """A text table, all as text, so that ids keep their spelling. `names`: the file has no header.

    Every column is read, whatever is needed: only then are lines with too many fields found out.

    Raises:
        DataError: another encoding, or a line with too many fields.
    """
    stray = f"{path.name} has a field with a single {separator[0]!r} in it, where {separator!r} parts fields"
    columns = names
    # A reader of single characters sees an empty column in the middle of '::'.
    if names and len(separator) == 2:
        columns = [part for name in names for part in (name, f"after {name}")][:-1]
    try:
        frame = pl.read_csv(
            _for_polars(path) if encoding == UTF_8 else io.BytesIO(recoded(path, encoding)),
            skip_lines=start_of(path)[0],
            separator=separator[0],
            has_header=names is None,
            new_columns=None if columns is None else list(columns),
            infer_schema=False,
            glob=False,
            quote_char=quote,
        )
    except pl.exceptions.NoDataError:
        raise DataError(f"{path.name} is empty") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        told = stray if len(separator) == 2 else f"{path.name}: {str(error).splitlines()[0]}"
        raise DataError(_explain(path, separator, quote, encoding) or told) from None
    if names is None:
        return frame
    between = [column for column in frame if column.name not in names]
    if any((column.fill_null("") != "").any() for column in between):  # as in 1:2::3::4
        raise DataError(_explain(path, separator, quote) or stray)
    return frame.select(names)


def _for_polars(path: Path) -> Path | io.BytesIO:
    """What polars can read of a file that has passed through our door: it unpacks gzip and zstd as it parses.

    It takes any file for zlib's that starts like one, as the header `x^2,...` does; a mark of the byte order tells
    it from those.
    """
    kind = packed.examine(path)
    with path.open("rb") as file:
        looks_like_zlib = file.read(2) in (b"x\x01", b"x^", b"x\x9c", b"x\xda")
    if kind in ("gzip", "zstd") or not (kind or looks_like_zlib):
        return path
    return io.BytesIO(b"\xef\xbb\xbf" + packed.read_bytes(path, copies=3))


def check_fields(
    frame: pl.DataFrame,
    roles: Mapping[str, str],
    path: Path,
    separator: str,
    quote: str | None = '"',
    encoding: str = UTF_8,
) -> None:
    """Tell a short line, which a CSV reader fills up with nothing, from an empty cell.

    Raises:
        DataError: a cell that matters is missing because its line has too few fields.
    """
    matter = [name for role, name in roles.items() if role not in ("text", "headline", "title")]
    if not any(frame[name].null_count() for name in matter):
        return
    if problem := _explain(path, separator, quote, encoding):
        raise DataError(problem)


def _explain(path: Path, separator: str, quote: str | None, encoding: str = UTF_8) -> str:
    """The first line that is not text or has more or fewer fields than the first, in words; else ''."""
    number, width = 0, 0
    with packed.open_bytes(path) as file, io.TextIOWrapper(file, encoding=encoding, newline="") as text:
        try:
            for number, cells in _cells(text, separator, quote):
                width = width or len(cells)
                if cells and len(cells) != width:
                    quoted = (
                        f"put quotation marks around a field that holds {separator!r}, or " if quote else ""
                    )
                    return (
                        f"line {number} of {path.name} has {len(cells)} fields, and the first line has {width}: "
                        f"{quoted}correct or remove the line"
                    )
        except UnicodeDecodeError:
            return f"{path.name} is not UTF-8 text (after line {number}): save it as UTF-8"
        except csv.Error as error:
            return f"line {number + 1} of {path.name} cannot be read: {error}"
    return ""


def _cells(text: TextIO, separator: str, quote: str | None) -> Iterator[tuple[int, list[str]]]:
    """Fields of each row, with the line, from 1, in which the row ends: quoted fields may hold line ends."""
    if quote is None:
        yield from (
            (number, line.split(separator)) for number, line in enumerate(text, start=1) if line.strip()
        )
        return
    rows = csv.reader(text, delimiter=separator)
    for cells in rows:
        yield rows.line_num, cells


def line_of(path: Path, separator: str, row: int) -> int:
    """Line, from 1, in which data row `row`, from 0, ends."""
    with (
        packed.open_bytes(path) as file,
        io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="") as text,
    ):
        rows = itertools.dropwhile(lambda row: not "".join(row[1]).strip(), _cells(text, separator, '"'))
        lines = (number for number, _ in rows)
        return next(itertools.islice(lines, row + 1, None), row + 2)  # polars may see more rows in odd quotes


def _items(path: Path) -> Path | None:
    """The `items` beside a file called `interactions`."""
    if not bare_name(path).startswith("interactions."):
        return None
    return first_file(path.parent, [f"items{suffix}" for suffix in (*SUFFIXES, ".jsonl")])


LAYOUT = Layout(
    "table",
    "any .csv, .tsv or .parquet with columns for user, item, time; a folder with interactions.csv, items.csv",
    find,
    read,
    _items,
    header=True,
)
