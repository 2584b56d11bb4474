"""Files with one JSON object a line."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.readers.source import open_bytes
from genrec.errors import DataError

CHUNK_BYTES = 1 << 26


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, one a line; Python literals, as Amazon's metadata of 2014 has them, are understood.

    Raises:
        DataError: a line that holds no object, or a damaged file.
    """
    for number, line in _lines(path):
        yield _object(line, f"line {number} of {path.name}")


def frame(path: Path, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """The fields of `schema` from every line; null where a line does not have one.

    Raises:
        DataError: a line that holds no object, or a damaged file.
    """
    parts, first = [], 1
    try:
        with open_bytes(path) as file:
            while lines := file.readlines(CHUNK_BYTES):
                parts.append(_chunk(lines, schema, path, first))
                first += len(lines)
    except (OSError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from None
    if not parts:
        raise DataError(f"{path.name} is empty")
    return pl.concat(parts)


def _chunk(lines: list[bytes], schema: Mapping[str, Any], path: Path, first: int) -> pl.DataFrame:
    filled = [line for line in lines if line.strip()]
    try:
        return pl.read_ndjson(io.BytesIO(b"".join(filled)), schema=dict(schema))
    except pl.exceptions.PolarsError:  # slower, and knows the line
        rows = [
            _object(line, f"line {number} of {path.name}")
            for number, line in enumerate(lines, start=first)
            if line.strip()
        ]
    try:
        return pl.DataFrame(
            [{name: row.get(name) for name in schema} for row in rows], schema=dict(schema), strict=False
        )
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise DataError(f"lines {first} to {first + len(lines) - 1} of {path.name}: {error}") from None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError) as error:
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
