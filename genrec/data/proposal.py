"""Which column of a table may play which role: a proposal, from names and values, for a person to look over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from genrec.data.readers import recognise, table
from genrec.data.readers.columns import ALIASES, DESCRIPTION, folded, usual
from genrec.data.readers.encoding import encoding_of
from genrec.data.readers.frames import read_parquet
from genrec.data.readers.source import Options, bare_name
from genrec.data.readers.times import times_of
from genrec.data.readers.values import as_ids
from genrec.errors import DataError

NEEDED = ("user_id", "item_id", "timestamp")
LOOKED_AT = 10_000  # rows whose values are looked at
EXAMPLES = 3
# Parts of names that tell a role where the whole name is not known; a title's come before an item's.
PARTS = {
    "user_id": ("user", "cust", "kund", "client", "buyer", "shopper", "member", "visitor", "account", "mail"),
    "timestamp": ("date", "datum", "time", "zeit", "fecha", "stamp", "moment"),
    "title": ("name", "title", "titel", "bezeich", "label", "libel", "descr"),
    "item_id": (
        *(
            "item",
            "prod",
            "article",
            "artikel",
            "articul",
            "articol",
            "sku",
            "stock",
            "ware",
            "goods",
            "isbn",
        ),
        *("ean", "book", "movie", "film", "song", "track", "game"),
    ),
    "order_id": (
        "order",
        "invoice",
        "basket",
        "receipt",
        "bestell",
        "auftrag",
        "rechnung",
        "beleg",
        "commande",
    ),
}


@dataclass(frozen=True)
class Column:
    """A column with some of its values, the role that it may play ('': none) and whether its name is a usual one."""

    name: str
    examples: list[str]
    role: str
    usual: bool


@dataclass(frozen=True)
class Proposal:
    """What a table's columns may be.

    `dates` says in words how its dates can be read in two ways ('': they cannot), which only a person can decide.
    """

    columns: list[Column]
    dates: str = ""

    @property
    def roles(self) -> dict[str, str]:
        """The column of each role."""
        return {column.role: column.name for column in self.columns if column.role}

    @property
    def missing(self) -> list[str]:
        """Roles that are needed and that no column seems to play."""
        return [role for role in NEEDED if role not in self.roles]


def propose(path: Path, options: Options) -> Proposal:
    """Look at a table and propose its roles: those that the caller names, then by usual names, by parts, by values.

    Raises:
        DataError: no table, or one that cannot be read.
    """
    layout, file = recognise(path)
    if layout.name != table.LAYOUT.name:
        raise DataError(
            f"{path} is in the layout {layout.name}, whose columns are known: look at it with genrec data {path}"
        )
    frame = _frame(file).head(LOOKED_AT)
    roles = {role: name for role, name in options.named.items() if name in frame.columns}
    named = set(roles.values())
    asked_for = [role for role in ALIASES if role != "order_id" or options.orders in (None, "id")]
    for role in asked_for:
        more = (DESCRIPTION,) if role == "title" else ()
        hits = [name for name in usual(role, frame.columns, more) if name not in roles.values()]
        if hits and role not in options.columns:
            roles[role] = hits[0]
    known = set(roles.values())
    free = [name for name in frame.columns if name not in known]
    for role in PARTS:
        if role in roles or role in options.columns or role not in asked_for:
            continue
        for name in free:
            told = any(part in folded(name) for part in PARTS[role])
            if name not in roles.values() and _may_be(role, frame[name], told):
                roles[role] = name
                break
    dates = ""
    if "timestamp" in roles and options.dates is None:
        dates = _two_readings(frame[roles["timestamp"]])
    role_of = {name: role for role, name in roles.items()}
    return Proposal(
        [
            Column(name, _examples(frame[name]), role_of.get(name, ""), name in known - named)
            for name in frame.columns
        ],
        dates,
    )


def _frame(file: Path) -> pl.DataFrame:
    if bare_name(file).endswith(".parquet"):
        return read_parquet(file)
    encoding, _ = encoding_of(file)
    separator = table.separator_of(file)
    table.header_of(file, separator, encoding)
    return table.read_csv(file, separator, encoding=encoding)


def _may_be(role: str, values: pl.Series, told: bool) -> bool:
    """Whether a column may play a role by its values, where `told` says that a part of its name speaks for it.

    Times are known by their values alone, if they are dates: a number may be anything.
    """
    if role == "timestamp":
        numbers = (
            values.dtype.is_numeric() or values.drop_nulls().cast(pl.String).str.contains(r"^[\d.]+$").all()
        )
        return (told or not numbers) and bool(values.count()) and _are_times(values)
    if not told:
        return False
    try:
        return as_ids(values, "").count() > 0
    except DataError:
        return False


def _are_times(values: pl.Series) -> bool:
    try:
        times_of([values], "", str, dates=None)
    except DataError:
        return bool(_two_readings(values))
    return True


def _two_readings(values: pl.Series) -> str:
    """What is said of dates that could have the day or the month first; '' where they could not."""
    try:
        times_of([values], "the file", lambda row: f"row {row + 1}", dates=None)
    except DataError as error:
        try:
            times_of([values], "", str, dates="day-first")
            times_of([values], "", str, dates="month-first")
        except DataError:
            return ""
        return str(error)
    return ""


def _examples(values: pl.Series) -> list[str]:
    some: list[Any] = values.drop_nulls().unique(maintain_order=True).head(EXAMPLES).to_list()
    return [" ".join(str(value).split())[:40] for value in some]
