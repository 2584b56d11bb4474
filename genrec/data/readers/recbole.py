"""RecBole's atomic files: tables with tabs whose header gives each column's type. https://recbole.io/docs/user_guide/data/atomic_files.html"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from genrec.data.readers import table
from genrec.data.readers.columns import find_columns, standard, usual
from genrec.data.readers.source import Layout, Log, Options, bare_name, first_file, start_of
from genrec.errors import DataError

TEXT_ROLES = ("title", "text", "headline")
# What holds the titles of items where a row is an item, beside the usual names of a title.
TITLES = ("name", "appname", "bookname", "booktitle", "songname", "trackname")
KINDS = ("token", "token_seq", "float", "float_seq")


def _find(path: Path) -> Path | None:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if bare_name(file).endswith(".inter"))
        return first_file(path, [f"{path.name}.inter", *(file.name for file in files)])
    return path if path.is_file() and bare_name(path).endswith(".inter") else None


def _read(path: Path, options: Options) -> Log:
    frame = table_of(path, options)
    roles = find_columns(frame.columns, options, path.name)
    table.check_fields(frame, roles, path, "\t", quote=None)
    first = start_of(path)[0] + 2
    return standard(frame, roles, path.name, lambda row: f"line {row + first} of {path.name}", options)


def table_of(path: Path, options: Options) -> pl.DataFrame:
    """An atomic file, all as text; a `token_seq` becomes a list, unless it is running text by its name or `options`.

    Raises:
        DataError: a header without types or with a name twice, or a malformed line.
    """
    header = table.header_of(path, "\t")
    wrong = next((cell for cell in header if cell.rpartition(":")[2] not in KINDS), None)
    if wrong is not None:
        raise DataError(
            f"column {wrong!r} of {path.name} has no type: a header says name:type, of {', '.join(KINDS)}"
        )
    kinds = {cell.rpartition(":")[0]: cell.rpartition(":")[2] for cell in header}
    if len(kinds) < len(header):
        raise DataError(
            f"{path.name} has two columns of one name: its header is {', '.join(header)}; rename one"
        )
    frame = table.read_csv(path, "\t", quote=None)
    frame.columns = list(kinds)
    named = (options.named, options.item_columns)
    texts = {columns.get(role) for columns in named for role in TEXT_ROLES} | {"description"}
    texts |= {name for role in TEXT_ROLES for name in usual(role, list(kinds), TITLES)}
    words = [name for name, kind in kinds.items() if kind == "token_seq" and name not in texts]
    return frame.with_columns(pl.col(words).str.split(" "))


def _items(path: Path) -> Path | None:
    return first_file(path.parent, [f"{path.name[: len(bare_name(path)) - len('.inter')]}.item"])


LAYOUT = Layout("recbole", "NAME.inter, NAME.item", _find, _read, _items, header=True)
