"""A look at a Parquet file before polars reads it: on some damage polars panics, and on some it ends the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def look_over(path: Path, check: Callable[[Any], None] = lambda about: None) -> None:
    """Read a Parquet file once by Arrow, which says what is damaged.

    Args:
        path: the file.
        check: called with Arrow's metadata of the file before its content is read; what it raises is passed on.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be opened.
    """
    import pyarrow as pa  # here, as `genrec --help` comes by this file
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check(file.metadata)
            for _ in file.iter_batches():
                pass
    except pa.ArrowNotImplementedError:
        pass  # a type that polars may know
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # else it is Arrow's word for damage
            raise
        raise ValueError(str(error)) from None
