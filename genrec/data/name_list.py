"""Files that name items: an id or title a line, or a table with a column of ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genrec.data.readers.items import read_items
from genrec.data.readers.source import ANY, Options, bare_name, read_text
from genrec.errors import DataError

_TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".item", ".dat")


def read_names(path: Path, options: Options = ANY) -> Sequence[str]:
    """The names that a file holds, in its order: of a file of items the ids, of any other text its lines.

    Raises:
        DataError: no such file, one that names nothing, or a table without ids.
    """
    if not path.exists():
        raise DataError(f"there is no file of items {path}")
    if bare_name(path).endswith(_TABLES) or bare_name(path) == "u.item":
        names = read_items(path, options).frame["item_id"].drop_nulls().to_list()
    else:
        names = [line.strip() for line in read_text(path).removeprefix("\ufeff").splitlines() if line.strip()]
    if not names:
        raise DataError(f"{path.name} names no item: write an id or title on each line")
    return names
