"""Files of JSON objects: one a line, or all in one array.

Names that an object holds twice count once, the first; whole numbers lose a '.0' that they gained on the way.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data import packed
from genrec.data.readers.source import LONGEST_LINE, first_line, literal, read_text, whole
from genrec.errors import DataError, shown

CHUNK_BYTES = 1 << 26
CHUNK_OBJECTS = 100_000
LARGEST_EXACT = 1 << 53  # of the whole numbers that a float tells apart
Placed = tuple[int, dict[str, Any]]  # line, from 1, in which an object stands, and the object


def objects(path: Path) -> Iterator[Placed]:
    """The objects of a file; Python literals, as Amazon's metadata of 2014 has them, are understood.

    Raises:
        DataError: a line that holds no object, or a damaged file.
    """
    if first_line(path).lstrip().startswith("["):
        yield from _of_array(path)
        return
    with packed.open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _object(line, f"line {number} of {path.name}")


def frame(path: Path, fields: Sequence[str], ids: Sequence[str]) -> pl.DataFrame:
    """`fields` of every object, all as text, null where an object does not have one; `ids` are those of the fields
    that must be spelt exactly.

    Raises:
        DataError: a line that holds no object, an id that is not exact, or a damaged or empty file.
    """
    if first_line(path).lstrip().startswith("["):
        rest = objects(path)
        parts = []
        while some := list(islice(rest, CHUNK_OBJECTS)):
            parts.append(_texts(some, fields, ids, path))
    else:
        with packed.open_bytes(path) as file:
            parts, first = [], 1
            while lines := file.readlines(CHUNK_BYTES):
                parts.append(_chunk(lines, fields, ids, path, first))
                first += len(lines)
    if not sum(part.height for part in parts):
        raise DataError(f"{path.name} is empty")
    return pl.concat(parts)


def line_of(path: Path, row: int) -> int:
    """Line, from 1, of the object `row`, from 0: lines may be blank."""
    return next(islice(objects(path), row, None))[0]


def beginning(path: Path) -> str:
    """Text in which the names of a file's first object stand, as far as they fit into a first line or block."""
    line = first_line(path)
    if line.strip() not in ("[", "{"):
        return line
    with packed.open_bytes(path) as file:
        return file.read(LONGEST_LINE >> 4).decode("utf-8", errors="replace")


def text_of(value: Any, place: str, *, exact: bool) -> str | None:
    """A value as text. Half of a surrogate pair, of which no text consists, becomes U+FFFD.

    Raises:
        DataError: `exact`, and the value is half a pair, a float that stands for no one whole number, or neither text
            nor number.
    """
    if exact and isinstance(value, bool | list | dict):
        raise DataError(f"{place} has the id {json.dumps(value)[:60]}: ids are text or whole numbers")
    if value is None or isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float):
        if exact and abs(value) >= LARGEST_EXACT:
            raise DataError(
                f"{place} has the id {value!r}: floats above 2^53 stand for many ids; write ids as text"
            )
        if exact and not (value.is_integer() or math.isnan(value)):
            raise DataError(f"{place} has the id {value!r}: fractions cannot be ids; write ids as text")
        text = None if math.isnan(value) else f"{value:.0f}" if value.is_integer() else repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    if text is None or text.isascii():
        return text
    repaired = whole(text)
    if exact and repaired != text:
        raise DataError(f"{place} has the id {text!r} with half of a surrogate pair: write ids as whole text")
    return repaired


def _chunk(
    lines: list[bytes], fields: Sequence[str], ids: Sequence[str], path: Path, first: int
) -> pl.DataFrame:
    filled = [(number, line) for number, line in enumerate(lines, start=first) if line.strip()]
    try:
        table = pl.read_ndjson(
            io.BytesIO(b"".join(line for _, line in filled)), schema=dict.fromkeys(fields, pl.String())
        )
    except pl.exceptions.PolarsError:  # slower, but knows Python literals and the line
        table = None
    if table is None or _doubtful(table, ids):
        placed = [(number, _object(line, f"line {number} of {path.name}")) for number, line in filled]
        return _texts(placed, fields, ids, path)
    return table


def _doubtful(table: pl.DataFrame, ids: Sequence[str]) -> bool:
    """Whether polars may have made something else of a value.

    It reads half of a surrogate pair at the end of a string as NUL, a float above 2^53 like a whole number, and
    whatever else is no text as JSON spells it.
    """
    nul = table.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True).any())).item()
    spelled = r"^-?\d{16,}$|^-?\d+\.\d|^[\[{]|^(true|false)$"
    other = table.select(pl.any_horizontal(pl.col(ids).str.contains(spelled).any())).item()
    return bool(nul or other)


def _texts(placed: Sequence[Placed], fields: Sequence[str], ids: Sequence[str], path: Path) -> pl.DataFrame:
    rows = [
        [text_of(row.get(name), f"line {number} of {path.name}", exact=name in ids) for name in fields]
        for number, row in placed
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String()), orient="row")


def _of_array(path: Path) -> Iterator[Placed]:
    """Objects of an array that fills the file; unlike lines, it must fit into memory."""
    text = read_text(path)
    decoder = json.JSONDecoder(object_pairs_hook=_first_of_each)
    position, counted, number = text.index("[") + 1, 0, 1
    between = re.compile(r"\s*")  # and after an object a comma or the end
    while True:
        blanks = between.match(text, position)
        if blanks is None:
            number += text.count("\n", counted, position)
            raise DataError(
                f"line {number} of {path.name} breaks its array of objects: no comma or end follows"
            )
        position = blanks.end()
        number += text.count("\n", counted, position)
        counted = position
        if text.startswith("]", position):
            break
        place = f"line {number} of {path.name}"
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise DataError(
                f"line {error.lineno} of {path.name} breaks its array of objects: {error.msg}"
            ) from None
        except RecursionError:
            raise _too_deep(place) from None
        if not isinstance(value, dict):
            raise DataError(f"{place} holds {shown(value)} where the file's array should hold an object")
        yield number, value
        between = re.compile(r"\s*(,\s*+(?!\])|(?=\]))")
    if text[position + 1 :].strip():
        raise DataError(
            f"line {number} of {path.name} goes on after the end of the array that fills the file"
        )


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_first_of_each)
    except RecursionError:
        raise _too_deep(place) from None
    except UnicodeDecodeError:
        raise DataError(f"{place} is not UTF-8 text: save the file as UTF-8") from None
    except ValueError:
        try:
            value = literal(line.decode("utf-8").strip())
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise DataError(
            f"{place} holds no JSON object: {shown(line[:200].decode('utf-8', 'replace').strip())}; "
            "write one object a line, or one array of all"
        )
    return value


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values; of a name that comes again the first value, as polars takes it."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else found | dict(reversed(pairs))


def _too_deep(place: str) -> DataError:
    return DataError(f"{place} holds lists or objects nested deeper than can be read: flatten them")
