"""Frames of polars and pandas, and Parquet files, as polars reads them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data import packed
from genrec.data.parquet import look_over
from genrec.errors import DataError, one_line


def as_polars(frame: Any, source: str) -> pl.DataFrame:
    """A polars frame of a polars or pandas one; columns of pandas that polars cannot hold are of type Object.

    Raises:
        DataError: something else, a lazy frame that cannot be collected, or two columns of one name.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        try:
            return frame.collect()
        except Exception as error:  # whatever the functions raise that the frame calls
            raise DataError(
                f"{source} cannot be collected: {one_line(error) or type(error).__name__}"
            ) from None
    if any(
        f"{kind.__module__}.".startswith("pandas.") and kind.__name__ == "DataFrame"
        for kind in type(frame).__mro__
    ):
        return _of_pandas(frame, source)
    raise DataError(f"{type(frame).__name__} is neither a path nor a polars or pandas frame")


def read_parquet(path: Path) -> pl.DataFrame:
    """A Parquet file.

    Raises:
        DataError: not a Parquet file, a damaged one, or one that unpacks to more than is allowed.
    """
    examine(path)
    try:
        return pl.read_parquet(path, glob=False)  # a name with brackets is a name
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path.name} cannot be read as a Parquet file: {one_line(error)}") from None


def examine(path: Path) -> None:
    """Look a Parquet file over before polars reads it.

    Raises:
        DataError: see `read_parquet`.
    """

    def allowed(about: Any) -> None:
        groups = (about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        size = max(sum(groups), about.num_rows * about.num_columns)
        if size > packed.limit_bytes():
            raise packed.too_large(path.name, f"unpacks to {size:,} bytes or more, more than is allowed")

    packed.size_of(path)  # a folder, a pipe
    try:
        look_over(path, allowed)
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read as a Parquet file: {one_line(error)}") from None


def _of_pandas(frame: Any, source: str) -> pl.DataFrame:
    """The columns of a pandas frame, and those of its index that have names."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if levels:
        frame = frame.reset_index(level=levels)
    frame = frame.set_axis(list(map(str, frame.columns)), axis=1)
    twice = [name for name, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise DataError(f"{source} has several columns called {twice[0]!r}: rename all but one")
    try:
        table: pl.DataFrame = pl.from_pandas(frame)
    except Exception:  # pyarrow has no common root for what a column of mixed objects can raise
        return pl.DataFrame([_column(name, values) for name, values in frame.items()])
    return table


def _column(name: str, values: Any) -> pl.Series:
    try:
        series: pl.Series = pl.from_pandas(values)
    except Exception:
        return pl.Series(name, values.tolist(), dtype=pl.Object)
    return series
