"""Items as JSON objects: their members as columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.readers import json_lines
from genrec.data.readers.item_fields import LABELS, LISTS, check_number, our_name, split, texts_in
from genrec.data.readers.source import whole
from genrec.errors import DataError

_LARGEST = 1 << 63
_TEXT, _TEXTS = pl.String(), pl.List(pl.String)


def columns_of(path: Path, wanted: Callable[[str], bool]) -> tuple[pl.DataFrame, list[str]]:
    """The members whose names are `wanted`, a column each, and the names of those left out or without a form.

    A column holds texts, numbers or lists of texts. Members that are empty ('', [], null) count as missing.

    Raises:
        DataError: a line that holds no object, or a damaged or empty file.
    """
    objects = json_lines.objects(path)
    parts: list[pl.DataFrame] = []
    lost: dict[str, None] = {}
    while some := list(islice(objects, json_lines.CHUNK_OBJECTS)):
        members: dict[str, list[Any]] = {}
        for row, (number, values) in enumerate(some):
            for name, value in values.items():
                form = _form(value, f"line {number} of {path.name}") if wanted(name) else None
                if form is not None:
                    members.setdefault(whole(name), [None] * len(some))[row] = form
                elif value not in (None, "", []) and value == value:
                    lost[whole(name)] = None
            check_number(len(members) + len(lost), path.name)
        parts.append(
            pl.DataFrame([_series(name, values) for name, values in members.items()], height=len(some))
        )
    if not parts:
        raise DataError(f"{path.name} is empty")
    return pl.concat(_alike(parts), how="diagonal_relaxed"), list(lost)


def _form(value: Any, place: str) -> str | int | float | list[str] | None:
    """A member as a text, a number or a list of texts; None: it has none of these forms."""
    if isinstance(value, dict):
        value = next((value[name] for name in LABELS if isinstance(value.get(name), str)), None)
    if isinstance(value, list | tuple):
        texts = texts_in(value) or []
        return texts or None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST:
        return value
    return None if value is None else _text(value, place) or None


def _text(value: Any, place: str) -> str:
    return json_lines.text_of(value, place, exact=False) or ""


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if list in kinds:
        lists = pl.Series(
            name, [value if isinstance(value, list) else None for value in values], dtype=_TEXTS
        )
        single = [None if value is None or isinstance(value, list) else _text(value, "") for value in values]
        return lists.zip_with(lists.is_not_null(), _listed(pl.Series(name, single, dtype=_TEXT)))
    if kinds <= {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    return pl.Series(name, [None if value is None else _text(value, "") for value in values], dtype=_TEXT)


def _listed(texts: pl.Series) -> pl.Series:
    """Texts of a column in which others are lists, as lists; null stays."""
    if our_name(texts.name) in LISTS:
        lists = split(texts, known=True)
    else:
        lists = texts.to_frame().select(pl.concat_list(pl.col(texts.name))).to_series()
    return texts.to_frame().select(pl.when(texts.is_not_null()).then(lists).alias(texts.name)).to_series()


def _alike(parts: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The parts with one kind for all columns of a name, where polars would not find it: lists win over the rest."""
    lists = {name for part in parts for name, kind in part.schema.items() if kind == _TEXTS}
    for part in parts:
        single = [column for column in part if column.name in lists and column.dtype != _TEXTS]
        yield part.with_columns(_listed(column.cast(pl.String)) for column in single)
