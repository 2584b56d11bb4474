"""Which column plays which role, and how its values become ids, times and ratings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from genrec.data.readers.source import ROLES, Log, Options
from genrec.errors import ConfigError, DataError

ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": ("userid", "user", "reviewerid", "uid", "customerid", "customer", "visitorid", "memberid"),
    "item_id": (
        *("itemid", "item", "movieid", "movie", "parentasin", "asin", "iid", "productid", "product"),
        *("businessid", "bookid", "isbn", "trackid", "songid", "gameid", "articleid", "newsid"),
    ),
    "timestamp": (
        *("timestamp", "time", "unixreviewtime", "unixtime", "ts"),
        *("datetime", "date", "eventtime", "createdat"),
    ),
    "rating": ("rating", "overall", "stars", "score", "ratings"),
    "text": ("text", "reviewtext", "review", "comment"),
    "headline": ("headline", "summary", "reviewtitle", "reviewheadline"),
    "title": ("title", "movietitle", "itemtitle", "itemname", "productname", "producttitle"),
}
TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M%:z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d",
)
UNITS = (
    (1e17, 1_000_000, "nanoseconds"),
    (1e14, 1_000, "microseconds"),
    (1e11, 1, "milliseconds"),
)  # if larger
Locate = Callable[[int], str]  # position of a row in its source -> words that tell a person where it is


def find_columns(
    names: Sequence[str],
    options: Options,
    source: str,
    needed: Sequence[str] = ("user_id", "item_id", "timestamp"),
) -> dict[str, str]:
    """The column of each role: as the caller named it, else by its usual names.

    Raises:
        ConfigError: a role that does not exist.
        DataError: a named column is missing, or no column plays a needed role.
    """
    found = {}
    for role, name in options.columns.items():
        if role not in ROLES:
            raise ConfigError(f"columns have the roles {', '.join(ROLES)}, not {role!r}")
        if name in names:
            found[role] = name
        elif role in needed or role != "title":  # the titles may stand in the file of items
            raise DataError(no_such_column(name, names, source))
    folded = {re.sub(r"[^0-9a-z]", "", name.casefold()): name for name in reversed(names)}
    for role, aliases in ALIASES.items():
        if role not in options.columns:
            hits = [folded[alias] for alias in aliases if alias in folded]
            found |= {role: hits[0]} if hits else {}
    for role in needed:
        if role not in found and not (role == "timestamp" and options.ordered):
            remedy = f"name it with columns={{{role!r}: ...}} (--column {role}=NAME)"
            if role == "timestamp":
                remedy += ", or say ordered=True (--ordered) if the rows stand in time order"
            raise DataError(f"{source} has no column for {role} among {', '.join(names)}: {remedy}")
    return found


def no_such_column(name: str, names: Sequence[str], source: str) -> str:
    """One line on a column that is not there."""
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{source} has no column {name!r}; it has {', '.join(names)}{hint}"


def standard(frame: pl.DataFrame, roles: Mapping[str, str], source: str, locate: Locate) -> Log:
    """A log from a frame whose columns play `roles`, less the rows without user, item, time or a good rating.

    Raises:
        DataError: no rows, a time that cannot be read, or ids of a type that names nothing.
    """
    if not frame.height:
        raise DataError(f"{source} is empty: it has no rows of interactions")
    notes: list[str] = []
    columns = {role: frame[name] for role, name in roles.items()}
    for role in ("user_id", "item_id"):
        columns[role] = as_ids(columns[role], source)
    if "timestamp" in columns:
        columns["timestamp"], unit = _milliseconds(columns["timestamp"], source, locate)
        notes += [unit] if unit else []
    if "rating" in columns:
        columns["rating"] = columns["rating"].cast(pl.Float32, strict=False)
    for role in {"text", "headline", "title"} & set(columns):
        columns[role] = columns[role].cast(pl.String)
    log = pl.DataFrame([values.alias(role) for role, values in columns.items()]).with_row_index("row")
    dropped = {}
    reasons = {"user_id": "no user", "item_id": "no item", "timestamp": "no time", "rating": "bad rating"}
    for role, reason in reasons.items():
        if role in columns:
            good = log[role].is_finite().fill_null(False) if role == "rating" else log[role].is_not_null()
            if not good.all():
                dropped[reason] = log.height - int(good.sum())
                log = log.filter(good)
    if not log.height:
        raise DataError(f"{source} has no row that can be used; dropped were {dropped}")
    return Log(log, source, frame.height, dropped, notes)


def as_ids(values: pl.Series, source: str) -> pl.Series:
    """Ids as text; the whole floats that missing values make of integers become integers again.

    Raises:
        DataError: values that are neither text nor whole numbers.
    """
    if values.dtype.is_float():
        whole = values.drop_nulls().drop_nans()
        if not (whole == whole.round()).all():
            raise DataError(
                f"column {values.name!r} of {source} holds fractions, which cannot be ids: name another"
            )
        values = values.fill_nan(None).cast(pl.Int64)
    elif not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise DataError(
            f"column {values.name!r} of {source} is of type {values.dtype}; ids are text or whole numbers"
        )
    texts = values.cast(pl.String)
    return texts.set(texts == "", None) if (texts == "").any() else texts


def _milliseconds(values: pl.Series, source: str, locate: Locate) -> tuple[pl.Series, str]:
    """Times as Int64 unix milliseconds, and a note where they were taken for something other than seconds.

    Raises:
        DataError: a value that is no time, with its place; a column of a type that holds no times.
    """
    if values.dtype == pl.String:
        values = _parsed(values.set(values == "", None), locate)
    if values.dtype.is_temporal():
        return values.cast(pl.Datetime("ms")).dt.epoch("ms"), ""
    if not values.dtype.is_numeric():
        raise DataError(
            f"column {values.name!r} of {source} is of type {values.dtype}, not a time: name another"
        )
    if values.dtype.is_float():
        values = values.fill_nan(None)
    middle = values.abs().median()
    size = float(middle) if isinstance(middle, int | float) else 0.0
    for bound, divisor, unit in UNITS:
        if size > bound:
            return (values // divisor).cast(pl.Int64), f"times are unix {unit}, by their size"
    return (values * 1000).round().cast(pl.Int64), ""


def _parsed(texts: pl.Series, locate: Locate) -> pl.Series:
    """Times written as text: whole numbers, numbers, or ISO 8601 (UTC where it names no zone), all in one form.

    Raises:
        DataError: a value that is not in the form of most, with its place.
    """
    text = pl.col("time").str.strip_chars().str.replace("T", " ").str.replace(r"[Zz]$", "+00:00")
    moments = [
        text.str.to_datetime(
            form, time_unit="ms", time_zone="UTC" if "%:z" in form else None, strict=False
        ).dt.replace_time_zone(None)
        for form in TIME_FORMATS
    ]
    forms = (
        pl.col("time").cast(pl.Int64, strict=False),
        pl.col("time").cast(pl.Float64, strict=False),
        pl.coalesce(moments),
    )
    tried: list[pl.Series] = []
    for form in forms:
        tried.append(texts.to_frame("time").select(form.alias(texts.name)).to_series())
        if tried[-1].null_count() == texts.null_count():
            return tried[-1]
    best = min(tried, key=lambda times: times.null_count())
    row = int((best.is_null() & texts.is_not_null()).arg_max() or 0)
    raise DataError(
        f"{locate(row)} has the time {texts[row]!r} in column {texts.name!r}: times are unix seconds or milliseconds, "
        "or ISO dates such as 2024-05-31 or 2024-05-31T18:30:00Z, all numbers or all dates"
    )
