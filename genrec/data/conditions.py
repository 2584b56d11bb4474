"""Conditions on the fields of items, as people write them: `brand=Pike,Rill`, `price<20`, `in_stock=true`.

A field is asked for by what it means, whatever it was read from: numbers as numbers, also where a CSV file has them as
text ("$1,250.00", "12,99"), truth values however they are written, days as 2026-12-01.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from numbers import Real
from typing import Any, NamedTuple

import polars as pl

from genrec.errors import ConfigError, shown

_WRITTEN = re.compile(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_TRUE, _FALSE = ("true", "yes", "y", "1", "1.0", "ja", "j"), ("false", "no", "n", "0", "0.0", "nein")
_DAY = r"^\d{4}-\d{2}-\d{2}"
_MOST_COMPARED = 20_000  # values by their spelling, for a hint: some tenths of a second
_ORDERS: dict[str, Callable[[pl.Series, Any], pl.Series]] = {
    "<": lambda values, bound: values < bound,
    "<=": lambda values, bound: values <= bound,
    ">": lambda values, bound: values > bound,
    ">=": lambda values, bound: values >= bound,
}


class Condition(NamedTuple):
    """A field, a relation (`=`, `!=`, `<`, `<=`, `>` or `>=`) and what it is compared with."""

    field: str
    relation: str
    value: str


def parsed(text: str, option: str = "--only") -> Condition:
    """A condition from its text.

    Raises:
        ConfigError: it has no relation, or nothing on one side of it.
    """
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if found is None or not found[3]:
        raise ConfigError(
            f"{option} {shown(text)} has no two sides; write it as in {option} genres=Comedy, {option} brand=Pike,Rill "
            f"or {option} 'price<20'"
        )
    return Condition(found[1], found[2], found[3])


def matches(values: pl.Series, relation: str, wanted: Any) -> pl.Series:
    """Which values of a field stand in a relation to what is wanted; never null: what is missing stands in `!=` alone.

    Args:
        values: the field, of any type that a catalogue has. A list equals each of its entries.
        relation: see `Condition`.
        wanted: a text, number or truth value, or several, one of which is to fit. A text may hold several between
            commas, unless some item has it as it stands.

    Raises:
        ConfigError: none fits, or the field has no such order.
    """
    wanted = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
    for one in wanted:
        if not isinstance(one, str | Real | date):
            raise ConfigError(f"{shown(values.name)} is asked for {shown(one)}: give one text or number")
    if relation in _ORDERS:
        found = _ordered(values, relation, wanted)
    else:
        found = _any_equal(values, wanted)
        if relation == "!=":
            return ~found
    if not found.any():
        raise _nothing(values, relation, wanted)
    return found


def _any_equal(values: pl.Series, wanted: Sequence[Any]) -> pl.Series:
    """Values that are one of those wanted.

    Raises:
        ConfigError: no value is that.
    """
    found = _none(values)
    for one in wanted:
        equal = _equal(values, one)
        if not equal.any() and isinstance(one, str) and "," in one:
            parts = [part.strip() for part in one.split(",") if part.strip()]
            for part in parts:
                of_part = _equal(values, part)
                if not of_part.any():
                    raise _nothing(values, "=", [part])
                equal |= of_part
        found |= equal
    return found


def _equal(values: pl.Series, wanted: Any) -> pl.Series:
    kind, text = values.dtype, _text(wanted)
    truth = True if text.casefold() in _TRUE else False if text.casefold() in _FALSE else None
    found: pl.Series | None = None
    if isinstance(kind, pl.List):
        found = values.list.eval(pl.element().cast(pl.String) == text).list.any()
    elif kind == pl.Boolean:
        found = None if truth is None else values == truth
    elif kind.is_numeric():
        number = _number(text)
        if number is None and truth is not None and values.is_in([0, 1, None]).all():
            number = float(truth)
        found = None if number is None else values == number
    elif kind.is_temporal():
        spelled = values.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
        found = spelled.str.starts_with(text.replace("T", " ")) if re.match(_DAY, text) else None
    else:
        texts = values.cast(pl.String)
        found = texts == text
        number = _number(text)
        if number is not None and not found.any():
            numbers = as_numbers(texts)
            if numbers.is_not_null().equals(texts.fill_null("").str.strip_chars() != ""):
                found = numbers == number
        if truth is not None and not found.any():
            folded = texts.str.to_lowercase()
            if folded.drop_nulls().is_in([*_TRUE, *_FALSE, ""]).all():
                found = folded.is_in(_TRUE if truth else _FALSE)
    return _none(values) if found is None else found.fill_null(False)


def _ordered(values: pl.Series, relation: str, wanted: Sequence[Any]) -> pl.Series:
    """Values on one side of a bound.

    Raises:
        ConfigError: several bounds, or none that these values can be compared with.
    """
    text, kind = _text(wanted[0]) if len(wanted) == 1 else "", values.dtype
    number, day = _number(text), _moment(text)
    compared: tuple[pl.Series, Any] | None = None
    if kind.is_numeric() and number is not None:
        compared = values, number
    elif kind.is_temporal() and day is not None:
        compared = values.cast(pl.Datetime("us")), day
    elif kind == pl.String and number is not None:
        compared = as_numbers(values), number
    elif kind == pl.String and day is not None:  # as ISO writes them, the texts stand in the order of time
        compared = values.set(~values.str.contains(_DAY), None), text.replace("T", " ")
    if compared is None or compared[0].null_count() == len(values):
        raise ConfigError(
            f"{values.name}{relation}{_told(wanted)} asks for an order, and {values.name} has "
            f"{_examples(values)}: compare numbers with a number and days with one such as 2026-12-01, or use = or !="
        )
    return _ORDERS[relation](*compared).fill_null(False)


def as_numbers(texts: pl.Series) -> pl.Series:
    """Texts such as "12.5", "12,99 €" or "$1,250.00" as numbers, null where there is none."""
    plain = texts.str.replace_all(r"[\s$€£]|EUR|USD|GBP", "")
    with_point = plain.str.contains(r"^-?\d{1,3}(,\d{3})+(\.\d+)?$")
    with_comma = plain.str.contains(r"^-?(\d+|\d{1,3}(\.\d{3})+),\d+$")
    frame = pl.DataFrame({"text": plain, "point": with_point, "comma": with_comma})
    american = pl.col("text").str.replace_all(",", "", literal=True)
    german = pl.col("text").str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    text = pl.when("point").then(american).when("comma").then(german).otherwise("text")
    return frame.select(text.cast(pl.Float64, strict=False).fill_nan(None)).to_series()


def _nothing(values: pl.Series, relation: str, wanted: Sequence[Any]) -> ConfigError:
    """The error that no item fits, with values that would."""
    hint, text = _examples(values, _told(wanted)), _told(wanted)
    barred = values.dtype == pl.String and values.drop_nulls().str.split("|").list.contains(text).any()
    told = (
        "; bars part values in columns called genres, categories, tags or keywords: rename it"
        if barred
        else ""
    )
    sign = "=" if relation == "!=" else relation
    asked = shown(text) if sign == "=" else text
    return ConfigError(f"no item has {values.name}{sign}{asked}; for example {hint}{told}")


def _examples(values: pl.Series, like: str = "") -> str:
    """Some values of a field in words: the nearest to a text, or the range of numbers and days."""
    if (values.dtype.is_numeric() or values.dtype.is_temporal()) and values.count():
        return f"{values.min()!s} to {values.max()!s}"
    if isinstance(values.dtype, pl.List):
        values = values.explode()
    some = values.cast(pl.String).drop_nulls().unique().sort().head(_MOST_COMPARED).to_list()
    nearest = difflib.get_close_matches(like, some, n=3, cutoff=0.3) or some[:5]
    return ", ".join(map(shown, nearest)) or "no value"


def _none(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [False]).new_from_index(0, len(values))


def _text(wanted: Any) -> str:
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)


def _told(wanted: Sequence[Any]) -> str:
    return ",".join(map(_text, wanted))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None
