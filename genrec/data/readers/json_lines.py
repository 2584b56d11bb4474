"""Files with one JSON object a line."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.readers.source import DAMAGED, open_bytes
from genrec.errors import DataError

CHUNK_BYTES = 1 << 26


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file; Python literals, as Amazon's metadata of 2014 has them, are understood.

    Raises:
        DataError: a line that holds no object, or a damaged file.
    """
    for number, line in _lines(path):
        yield _object(line, f"line {number} of {path.name}")


def frame(path: Path, fields: Sequence[str]) -> pl.DataFrame:
    """`fields` of every line, all as text; null where a line does not have one.

    Raises:
        DataError: a line that holds no object, or a damaged or empty file.
    """
    parts, first = [], 1
    try:
        with open_bytes(path) as file:
            while lines := file.readlines(CHUNK_BYTES):
                parts.append(_chunk(lines, fields, path, first))
                first += len(lines)
    except DAMAGED as error:
        raise DataError(f"{path.name} cannot be read: {error}") from None
    if not parts:
        raise DataError(f"{path.name} is empty")
    return pl.concat(parts)


def line_of(path: Path, row: int) -> int:
    """Line, from 1, of the object `row`, from 0: lines may be blank."""
    return next(number for position, (number, _) in enumerate(_lines(path)) if position == row)


def _chunk(lines: list[bytes], fields: Sequence[str], path: Path, first: int) -> pl.DataFrame:
    schema = dict.fromkeys(fields, pl.String())
    filled = [(number, line) for number, line in enumerate(lines, start=first) if line.strip()]
    try:
        return pl.read_ndjson(io.BytesIO(b"".join(line for _, line in filled)), schema=schema)
    except pl.exceptions.PolarsError:  # slower, but knows Python literals and the line
        objects = [_object(line, f"line {number} of {path.name}") for number, line in filled]
        values = [[None if row.get(name) is None else str(row[name]) for name in fields] for row in objects]
        return pl.DataFrame(values, schema=schema, orient="row")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except DAMAGED as error:
        raise DataError(f"{path.name} cannot be read: {error}") from None


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        try:
            value = ast.literal_eval(line.decode("utf-8").strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise DataError(f"{place} holds no JSON object: {line[:60].decode('utf-8', 'replace').strip()!r}")
    return value
