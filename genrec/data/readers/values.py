"""How the values of a column become ids, ratings and texts, whatever type they come in."""

from __future__ import annotations

import polars as pl

from genrec.data.readers.source import Locate
from genrec.errors import DataError, shown

EXACT: dict[pl.DataType, int] = {  # whole numbers up to this one have a float of their own
    pl.Float16(): 2**11,
    pl.Float32(): 2**24,
    pl.Float64(): 2**53,
}


def plain(values: pl.Series, source: str) -> pl.Series:
    """The same values in a plain type: categories and bytes as text, decimals as numbers, no values as no text.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    kind = values.dtype
    if isinstance(kind, pl.Categorical | pl.Enum | pl.Null):
        return values.cast(pl.String)
    if kind == pl.Binary:  # what some writers of Parquet make of text
        try:
            return values.cast(pl.String)
        except pl.exceptions.PolarsError:
            raise DataError(
                f"column {values.name!r} of {source} is of type Binary and not UTF-8 text: write it as text"
            ) from None
    if isinstance(kind, pl.Decimal):
        whole = values.cast(pl.Int128)
        return whole if (whole.cast(kind) == values).all() else values.cast(pl.Float64)
    return values


def as_ids(values: pl.Series, source: str) -> pl.Series:
    """Ids as text; the whole floats that missing values make of integers become integers again.

    Raises:
        DataError: values that are neither text nor whole numbers, or floats so large that they run together.
    """
    values = plain(values, source)
    what = f"column {values.name!r} of {source}"
    if values.dtype.is_float():
        values = _integers(values, what)
    elif not (values.dtype.is_integer() or values.dtype == pl.String):
        raise DataError(
            f"{what} is of type {_named(values.dtype)}; ids are text or whole numbers: name another"
        )
    texts = values.cast(pl.String)
    return texts.set(texts == "", None) if (texts == "").any() else texts


def less_points(ids: pl.Series, beside: pl.Series | None, what: str) -> pl.Series:
    """Ids of a column that was one of floats, '12.0', as the whole numbers that they were before.

    Text is taken for such a column if every id ends in '.0', and `beside`, the same ids in another file, has no such
    as '1.10', which show that the points belong to the ids.

    Raises:
        DataError: such ids from 2^53 on, where floats run together.
    """
    if not _from_floats(ids) or (
        beside is not None and not _from_floats(beside) and _any(beside, _WITH_POINT)
    ):
        return ids
    numbers = ids.cast(pl.Float64)
    if (numbers.abs() >= EXACT[pl.Float64()]).any():
        raise _inexact(what, ids.filter(numbers.abs() >= EXACT[pl.Float64()])[0], pl.Float64())
    return ids.str.strip_suffix(".0")


def as_texts(values: pl.Series, source: str, role: str, option: str = "--column") -> pl.Series:
    """Text; numbers as they are written. `option` names another column for `role`.

    Raises:
        DataError: values that are not text, of which lists are the most frequent.
    """
    values = plain(values, source)
    if values.dtype.is_float() and (values.is_finite() & (values == values.round())).all():
        values = values.cast(pl.Int64, strict=False)
    if values.dtype != pl.String and not values.dtype.is_numeric():
        raise DataError(
            f"column {values.name!r} of {source} is of type {_named(values.dtype)}, not text: name another column of "
            f"{role}s with {option} {role}=NAME, or leave it out with {option} {role}="
        )
    return values.cast(pl.String)


def as_ratings(values: pl.Series, source: str, locate: Locate) -> tuple[pl.Series | None, list[str]]:
    """Ratings as Float32, null where there is none (None: nowhere), and notes on how they were read.

    Raises:
        DataError: most values are no numbers (one is named with its place), or a type that holds no numbers.
    """
    asked, notes = plain(values, source), list[str]()
    if not (asked.dtype == pl.String or asked.dtype == pl.Boolean or asked.dtype.is_numeric()):
        raise DataError(
            f"column {asked.name!r} of {source} is of type {_named(asked.dtype)}, not numbers: {_OTHER_RATINGS}"
        )
    asked = asked.fill_nan(None) if asked.dtype.is_float() else asked
    ratings = asked.cast(pl.Float32, strict=False)
    if asked.dtype == pl.String and not (ratings.is_finite() | asked.is_null()).fill_null(False).all():
        asked = filled(asked)
        commas = asked.filter(asked.str.contains(_COMMA))
        if len(commas):
            notes.append(f"ratings such as {commas[0]!r} are read as numbers with a decimal comma")
        ratings = _numbers(asked)
    wrong = asked.is_not_null() & ~ratings.is_finite().fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        said = shown(asked[row]) if asked.dtype == pl.String else str(asked[row])
        if 2 * wrong.sum() > asked.count():
            raise DataError(
                f"{locate(row)} has the rating {said} in column {asked.name!r}, and most there are no numbers: "
                f"{_OTHER_RATINGS}"
            )
        num_wrong = int(wrong.sum())
        many = (
            f"{num_wrong:,} ratings are no numbers, the first"
            if num_wrong > 1
            else "one rating is no number: it"
        )
        notes.append(f"{many} is {said} in {locate(row)}")
        ratings = ratings.set(wrong, None)
    num_missing = ratings.null_count()
    if num_missing == len(ratings):
        return None, [*notes, f"column {asked.name!r} holds no ratings"]
    if num_missing:
        notes.append(
            f"{num_missing:,} of {len(ratings):,} rows have no rating: they count as taken all the same, "
            "unless min_rating (--min-rating) is given"
        )
    return ratings, notes


def num_zeros(values: pl.Series) -> int:
    """Rows that are 0 in a column that holds 0 and 1 alone, as labels of what was shown and not taken; else 0."""
    values = filled(values) if values.dtype == pl.String else values
    if values.dtype == pl.String:
        numbers = _numbers(values)
    elif values.dtype == pl.Boolean or values.dtype.is_numeric():
        numbers = values.cast(pl.Float32)
    else:
        return 0
    known = (numbers == 0) | (numbers == 1) | values.is_null()
    return int((numbers == 0).sum()) if known.fill_null(False).all() else 0


def filled(texts: pl.Series) -> pl.Series:
    """Texts without blanks around them, null where one only says that there is none."""
    texts = texts.str.strip_chars()
    return texts.set(texts.str.contains(_MISSING), None)


def _numbers(texts: pl.Series) -> pl.Series:
    """Texts as Float32, with point or comma or as truth values; null where they are none of these."""
    texts = texts.str.replace(_COMMA, "$1.$2").str.replace("(?i)^true$", "1").str.replace("(?i)^false$", "0")
    return texts.cast(pl.Float32, strict=False)


_OTHER_RATINGS = "name another column with --column rating=NAME, or leave ratings out with --column rating="
_COMMA = r"^([+-]?\d+),(\d+)$"
_MISSING = r"(?i)^(|na|n/a|nan|nat|null|none|\\n|-|\?)$"  # \N: MySQL's way
_FLOAT = r"^-?\d+\.0$|^-?\d(\.\d+)?e\+\d+$"  # the second is how floats from 1e16 on are written
_WITH_POINT = r"^-?\d+\.\d+$"


def _from_floats(ids: pl.Series) -> bool:
    if not ids.head(1000).str.contains(_FLOAT).all():  # at a glance
        return False
    return ids.count() > 0 and bool(ids.str.contains(_FLOAT).all())


def _any(ids: pl.Series, pattern: str) -> bool:
    return bool(ids.str.contains(pattern).any())


def _integers(values: pl.Series, what: str) -> pl.Series:
    """Whole floats as integers; NaN as null."""
    kind = values.dtype
    numbers = values.cast(pl.Float64).fill_nan(None)
    if numbers.is_infinite().any():
        raise DataError(
            f"{what} holds infinity in row {int(numbers.is_infinite().arg_max() or 0) + 1}, which cannot be an id: "
            "correct it, or leave the row out"
        )
    if (numbers != numbers.round()).any():
        raise DataError(f"{what} holds fractions, which cannot be ids: name another")
    large = numbers.abs() >= EXACT[kind]
    if large.any():
        raise _inexact(what, f"{numbers.filter(large)[0]:.0f}", kind)
    return numbers.cast(pl.Int64)


def _inexact(what: str, value: str, kind: pl.DataType) -> DataError:
    return DataError(
        f"{what} holds {value} as a float ({kind}): those from {EXACT[kind]} on stand for several whole numbers "
        "each, so ids run together; write ids as text or integers"
    )


def _named(kind: pl.DataType) -> str:
    return "Object (values of several types)" if kind == pl.Object else str(kind)
