"""What a reader is given and what it returns, whatever the source."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data import packed
from genrec.errors import ConfigError, DataError, one_of

LONGEST_LINE = 1 << 20  # bytes of a first line that are looked at
Locate = Callable[[int], str]  # position of a row in its source -> words that tell a person where it is
ROLES = ("user_id", "item_id", "timestamp", "order_id", "rating", "text", "headline", "title")
ORDERS = ("id", "time", "none")
ITEM_ROLES = ("item_id", "title")


@dataclass(frozen=True)
class Options:
    """What the caller says about the columns.

    `columns` maps a role (one of `ROLES`) to the column that plays it in the log and, for ids and titles, in the items
    where they call it the same; to None, if none shall. `item_columns` maps one of `ITEM_ROLES` to a column of the
    items. `ordered` says that the rows stand in time order, so that a source without times can be read, and `dates`,
    `day-first` or `month-first`, how dates such as 03/04/2024 are read. `orders` says what makes rows one order, as in
    `genrec.read`.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    ordered: bool = False
    item_columns: Mapping[str, str | None] = field(default_factory=dict)
    dates: str | None = None
    orders: str | None = None

    def __post_init__(self) -> None:
        if self.orders is not None:
            one_of(self.orders, ORDERS, "orders (--orders)")
            if self.orders != "id" and self.columns.get("order_id") is not None:
                raise ConfigError(
                    f"orders={self.orders} (--orders {self.orders}) and a column of order_id are given: leave one out"
                )
        if self.dates is not None:
            one_of(self.dates, ("day-first", "month-first"), "dates (--dates)")
        for what, given, roles in (
            ("columns", self.columns, ROLES),
            ("item_columns", self.item_columns, ITEM_ROLES),
        ):
            for role in given:
                if role not in roles:
                    raise ConfigError(
                        f"{what} have the roles {', '.join(roles)}, not {role!r}; the role comes first, "
                        "as in item_id=sku"
                    )

    @property
    def named(self) -> dict[str, str]:
        """The columns that are named."""
        return {role: name for role, name in self.columns.items() if name is not None}


ANY = Options()


@dataclass(frozen=True)
class Log:
    """Interactions in the order of their source.

    `frame` has `row` (UInt32, from 0, in the source), `user_id` and `item_id` (String) and, where the
    source has them, `timestamp` (Int64, unix microseconds), `order_id` (String, null where a row has none), `rating`
    (Float32, null where a row has none), `text`, `headline` and `title` (String).
    `source` is the file's name, `rows` counts its rows, `dropped` maps a reason to the rows it cost, and `columns` a
    role to the name that its column has in the source, where columns have names. `dates` is `day-first` or
    `month-first` where the times were read so.
    """

    frame: pl.DataFrame
    source: str
    rows: int
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    columns: Mapping[str, str] = field(default_factory=dict)
    dates: str | None = None


@dataclass(frozen=True)
class Items:
    """Items in the order of their source.

    `frame` has `item_id` and `title` (String, null where there is none) and further fields, each a text, a number or
    a list of texts. `source` is the file's name, `ids` that of the column in which the ids stand, if it has one.
    """

    frame: pl.DataFrame
    source: str
    ids: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """How one publisher lays out its files.

    `files` names them for people. `find` returns the file of interactions of a folder or file in this layout,
    else None; `read` reads that file; `items` returns the file of items that belongs to it, if there is one.
    Where `header` holds, the file names its columns, so that the caller may say which column is which.
    """

    name: str
    files: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Options], Log]
    items: Callable[[Path], Path | None]
    header: bool = False


def bare_name(path: Path) -> str:
    """File name in lower case without `.gz` or another ending of packed files."""
    name = path.name.lower()
    ending = next((ending for ending in packed.SUFFIXES if name.endswith(ending)), "")
    return name.removesuffix(ending)


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of `names` that `folder` holds, plain or packed."""
    for name in names:
        for ending in ("", *packed.SUFFIXES):
            path = folder / f"{name}{ending}"
            if path.is_file():
                return path
    return None


def read_text(path: Path) -> str:
    """All of a UTF-8 file.

    Raises:
        DataError: the file is damaged or in another encoding.
    """
    content = packed.read_bytes(path, copies=4)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"line {number} of {path.name} is not UTF-8 text: save the file as UTF-8") from None


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file without their ends.

    Raises:
        DataError: the file is empty, damaged or in another encoding.
    """
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(f"{path.name} is empty")
    return lines


def literal(text: str) -> Any:
    """The value that a Python literal writes; nothing is evaluated.

    Raises:
        ValueError: it is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd backslashes, which Python keeps as they are
        try:
            return ast.literal_eval(text)
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None


def whole(text: str) -> str:
    """Text with U+FFFD for each half of a surrogate pair, which JSON may write and no text consists of."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def first_line(path: Path, encoding: str = "utf-8") -> str:
    """First line of a text file that is not blank, or its first MiB; empty where all of the first MiB is blank.

    Raises:
        DataError: a file that cannot be read.
    """
    return start_of(path, encoding)[1]


def start_of(path: Path, encoding: str = "utf-8") -> tuple[int, str]:
    """How many blank lines a text file begins with, and the next line as `first_line` gives it.

    Raises:
        DataError: a file that cannot be read.
    """
    blank, room = 0, LONGEST_LINE
    with packed.open_bytes(path) as file:
        while room > 0 and (line := file.readline(room)):
            if line.strip():
                return blank, line.rstrip(b"\r\n").decode(encoding, errors="replace")
            blank, room = blank + 1, room - len(line)
    return blank, ""
