"""How the values of a column become ids, ratings and texts, whatever type they come in."""

from __future__ import annotations

import polars as pl

from genrec.errors import DataError

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
