"""How the values of a column become times: unix microseconds, whatever type and unit they come in.

The unit of numbers follows from their size, since all times lie between `FIRST_YEAR` and `LAST_YEAR`: a
number that has another unit than most, or lies outside, stops the reading instead of moving to the far future.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from genrec.data.readers.source import Locate
from genrec.data.readers.values import EXACT, filled, plain
from genrec.errors import DataError, shown

FIRST_YEAR, LAST_YEAR = 1900, 2099
FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
)
# Where dots part a date, the day comes first unless the caller says otherwise; with slashes and dashes both are usual.
DATES = {"day-first": "%d{0}%m{0}%Y", "month-first": "%m{0}%d{0}%Y"}
CLOCKS = ("", " %H:%M", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
YEAR_LAST = r"^\s*\d{1,2}([./-])\d{1,2}[./-]\d{4}"
UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
PER_SECOND = (1, 10**3, 10**6, 10**9)
BOUNDS = (1e11, 1e14, 1e17)  # a size above the first is no second, above the second no millisecond, and so on
COMPACT = {  # digits of a date written as one whole number
    14: "YYYYMMDDHHMMSS",
    12: "YYYYMMDDHHMM",
    10: "YYYYMMDDHH",
    8: "YYYYMMDD",
    6: "YYYYMM",
    4: "YYYY",
}
# Seconds, of March 1973: smaller numbers are an order of rows, or stand for a time that is not known.
ORDER = 1e8
# Seconds, of 12 January 1970: smaller numbers are plainly an order, and need no note.
COUNTS = 10**6
SECOND = 10**6  # microseconds
DAY = 86_400 * SECOND
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
CLOCK = r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$"


class Times(NamedTuple):
    """Times of a log (None: it has none), notes on how they were read, and `day-first` or `month-first` if so."""

    values: pl.Series | None
    notes: list[str]
    dates: str | None = None


def times_of(
    candidates: Sequence[pl.Series],
    source: str,
    locate: Locate,
    ordered: bool = False,
    dates: str | None = None,
) -> Times:
    """Times as Int64 unix microseconds, and how they were read.

    Args:
        candidates: columns that may hold the times, best first. The first that holds points in time is taken; where
            it holds whole days and another one the time of day, the two are put together.
        ordered: times may be missing (None), as the rows stand in time order.
        dates: `day-first` or `month-first`, where dates such as 03/04/2024 could be either.

    Raises:
        DataError: a value that is no time, with its place; dates that could be either; no column that holds points in
            time.
    """
    columns = [plain(values, source) for values in candidates]
    faults = [_fault(values) for values in columns]
    if all(faults):
        what = f"column {columns[0].name!r} of {source} {faults[0]}"
        if ordered:
            return Times(None, [f"{what}: left out, as the rows are said to stand in time order"])
        raise DataError(
            f"{what}: name the column that tells the day with --column timestamp=NAME (columns={{'timestamp': ...}}), "
            "or say --ordered (ordered=True) if the rows stand in time order"
        )
    chosen = faults.index("")
    times, notes, way = _microseconds(columns[chosen], source, locate, dates)
    for place, fault in enumerate(faults):
        clock = _clock(columns[place]) if fault else None
        if clock is not None and ((times % DAY) == 0).all():
            days, hours = columns[chosen].name, columns[place].name
            told = f"times are the days of column {days!r}, at the times of day of {hours!r}"
            return Times(times + clock, [*notes, told], way)
    if chosen:
        notes.append(f"times come from column {columns[chosen].name!r}, as {columns[0].name!r} {faults[0]}")
    return Times(times, notes, way)


def iso_day(seconds: int) -> str:
    """The day of a unix time, as in 2024-05-31; of any number that a computer holds."""
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))


def in_calendar(moments: pl.Series) -> bool:
    """Whether all dates or datetimes are of the years 1 to 9999: polars panics as it writes others down."""
    first, last = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))
    return bool(_epoch(moments).is_between(first, last).all())


def _fault(values: pl.Series) -> str:
    """Why a column holds no points in time, in words; '' where it may."""
    if values.dtype == pl.Time or (values.dtype == pl.String and _all_clocks(values)):
        of_type = "is of type Time" if values.dtype == pl.Time else "holds times of day"
        return f"{of_type}, which do not tell the day"
    if values.dtype == pl.Duration:
        return "is of type Duration, which tells how long and not when"
    if not (values.dtype == pl.String or values.dtype.is_numeric() or values.dtype.is_temporal()):
        return f"is of type {values.dtype}, not a time"
    return ""


def _all_clocks(texts: pl.Series) -> bool:
    glance = filled(texts.head(1000)).drop_nulls()
    if not glance.str.contains(CLOCK).all():
        return False
    there = filled(texts).drop_nulls()
    return len(there) > 0 and bool(there.str.contains(CLOCK).all())


def _clock(values: pl.Series) -> pl.Series | None:
    """Times of day in microseconds, midnight where there is none; None where the column holds something else."""
    if values.dtype == pl.String:
        text = filled(values)
        long = text.str.to_time("%H:%M:%S%.f", strict=False)
        parsed = pl.select(pl.coalesce(long, text.str.to_time("%H:%M", strict=False))).to_series()
        if parsed.null_count() > text.null_count():
            return None
        values = parsed
    if values.dtype != pl.Time:
        return None
    return (values.cast(pl.Int64) // 1000).fill_null(0)


def _microseconds(
    values: pl.Series, source: str, locate: Locate, dates: str | None
) -> tuple[pl.Series, list[str], str | None]:
    """Times of one column of dates, datetimes, numbers or texts.

    Raises:
        DataError: a value that is no time, with its place.
    """
    asked, notes, way = values, list[str](), None
    if values.dtype == pl.String:
        numbers = values.cast(pl.Int64, strict=False)
        if numbers.null_count() == values.null_count():
            values = numbers
        else:
            values, notes, way = _parsed(filled(values), locate, dates)
    if values.dtype.is_temporal():
        times = _epoch(values)
        _check(times, asked, "dates", locate)
        return times, notes, way
    if values.dtype.is_float():
        exact = EXACT[values.dtype]
        values = values.cast(pl.Float64).fill_nan(None)
        if (values.abs() > exact).any() and exact < ORDER:
            notes.append(
                f"column {values.name!r} is of type {asked.dtype}, which rounds times above {exact:,}: what is rounded "
                "to the same time stays in order of rows; write times as Int64 or Float64"
            )
    elif values.dtype != pl.Int64:  # wide enough to be multiplied; what it cannot hold is no time in any unit
        wide = values.cast(pl.Int64, strict=False)
        values = wide if wide.null_count() == values.null_count() else values.cast(pl.Float64)
    times, said = _compact(values, locate) or _unix(values, asked, locate)
    return times, notes + said, None


def _unix(values: pl.Series, asked: pl.Series, locate: Locate) -> tuple[pl.Series, list[str]]:
    """Unix times of numbers, all in the unit that most of them have by their size.

    The smallest and the largest tell of most logs that all is well: millions of rows are looked at one by one only if
    they do not.
    """
    if not values.count():
        return values.cast(pl.Int64), []
    extremes = np.array([values.min(), values.max()], np.float64)
    alike = extremes[0] > 0 and np.ptp(np.searchsorted(BOUNDS, extremes)) == 0
    unit = int(np.searchsorted(BOUNDS, extremes[0])) if alike else _unit_of_most(values, asked, locate)
    scale = SECOND / PER_SECOND[unit]
    if not all(_FIRST <= extreme < _END for extreme in extremes * scale):
        _check(values.cast(pl.Float64) * scale, asked, f"unix {UNITS[unit]}", locate)
    if unit:
        finer, coarser = max(PER_SECOND[unit] // SECOND, 1), max(SECOND // PER_SECOND[unit], 1)
        times = ((values * coarser) // finer).cast(pl.Int64)
        return times, [f"times are unix {UNITS[unit]}, by their size"]
    times = values * SECOND if values.dtype.is_integer() else (values * SECOND).round().cast(pl.Int64)
    return times, _small(times, locate) if extremes[0] < ORDER else []


def _unit_of_most(values: pl.Series, asked: pl.Series, locate: Locate) -> int:
    """Place in `UNITS` of the unit that the numbers have.

    Raises:
        DataError: some have another one.
    """
    sizes = values.cast(pl.Float64).abs()
    unit_of = pl.Series(np.searchsorted(BOUNDS, sizes.fill_null(0).to_numpy()))
    unit = int(np.bincount(unit_of.filter(sizes > 0), minlength=len(UNITS)).argmax())
    strange = (sizes > 0) & (unit_of != unit)
    if strange.any():
        row = int(strange.arg_max() or 0)
        own = int(unit_of[row])
        seconds = float(values[row]) / PER_SECOND[own]
        sane = _FIRST <= seconds * SECOND < _END
        guess = (
            f"it looks like {UNITS[own]} ({iso_day(int(seconds))})"
            if sane
            else f"no unit puts it into {FIRST_YEAR}–{LAST_YEAR}"
        )
        raise DataError(
            f"{_place(asked, row, locate)}, and most are unix {UNITS[unit]}: {guess}; "
            f"bring {_count(strange)} to one unit with the rest, or leave {_rows(strange)} out"
        )
    return unit


def _small(times: pl.Series, locate: Locate) -> list[str]:
    """Notes on times of seconds that are those of 1970 only because they are no unix times."""
    small = (times.abs() < ORDER * SECOND).fill_null(False)
    if small.sum() == times.count():
        plain_order = (times.abs() < COUNTS * SECOND).all()
        return [] if plain_order else ["times are small numbers: taken as an order, they are no dates"]
    if not small.any():
        return []
    row = int(small.arg_max() or 0)
    return [
        f"{int(small.sum()):,} of {len(times):,} times lie near 1970, far from the rest: the first is "
        f"{iso_day(int(times[row]) // SECOND)} in {locate(row)}; they come first in their histories"
    ]


def _compact(values: pl.Series, locate: Locate) -> tuple[pl.Series, list[str]] | None:
    """Times of dates that are written as whole numbers, such as 20240531; None where most values are none.

    Raises:
        DataError: most values are dates, and one is not.
    """
    there, low, high = values.count(), values.min(), values.max()
    for digits, form in COMPACT.items():
        scale = 10 ** (digits - 4)
        if not there or high < FIRST_YEAR * scale or low >= (LAST_YEAR + 1) * scale:  # type: ignore[operator]
            continue
        fits = ((values >= FIRST_YEAR * scale) & (values < (LAST_YEAR + 1) * scale)).fill_null(False)
        # Few numbers are dates by chance, but many are years.
        enough = there if digits == 4 else there // 2 + 1
        if fits.sum() < enough:
            continue
        whole = values.cast(pl.Int64, strict=False)
        whole = whole.set(whole != values, None)
        # What is not written is the first month, day, hour, minute, second.
        text = whole.cast(pl.String) + "0101000000"[digits - 4 :]
        dates = text.str.to_datetime("%Y%m%d%H%M%S", time_unit="us", strict=False)
        if dates.count() < enough:
            continue
        wrong = dates.is_null() & values.is_not_null()
        if wrong.any():
            raise DataError(
                f"{_place(values, int(wrong.arg_max() or 0), locate)}, and most are dates written {form}: "
                f"correct {_count(wrong)}, or leave {_rows(wrong)} out"
            )
        return dates.dt.epoch("us"), [f"times are dates written {form}, by their size"]
    return None


def _parsed(texts: pl.Series, locate: Locate, dates: str | None) -> tuple[pl.Series, list[str], str | None]:
    """Times written as text, in one form, notes on it, and the way of dates whose year comes last.

    The forms are whole numbers, numbers, ISO 8601 (UTC where it names no zone), and dates whose year comes last.

    Raises:
        DataError: a value that is not in the form of most, with its place, or dates that could be read in two ways.
    """
    text = (
        pl.col("time").str.replace(r"^(\S+\d)[Tt](\d)", "$1 $2").str.replace(r"(?i)\s*(z|utc|gmt)$", "+00:00")
    )
    forms = (
        pl.col("time").cast(pl.Int64, strict=False),
        pl.col("time").cast(pl.Float64, strict=False),
        _moments(text, FORMATS),
    )
    tried: list[pl.Series] = []
    for form in forms:
        tried.append(texts.to_frame("time").select(form.alias(texts.name)).to_series())
        if tried[-1].null_count() == texts.null_count():
            return tried[-1], [], None
    readings = _year_last(texts, dates)
    fitting = {way: times for way, times in readings.items() if times.null_count() == texts.null_count()}
    if fitting:
        return _one_reading(texts, fitting, locate, asked=len(readings) == 1)
    best = min([*readings.values(), *tried], key=lambda times: times.null_count())
    wrong = best.is_null() & texts.is_not_null()
    row = int(wrong.arg_max() or 0)
    read_as = "".join(
        f", here with the {way.replace('-', ' ')}" for way, times in readings.items() if times is best
    )
    raise DataError(
        f"{_place(texts, row, locate)}: times are unix seconds or milliseconds, ISO dates such as 2024-05-31 or "
        f"2024-05-31T18:30:00Z, or dates such as 31.05.2024 18:30 or 5/31/2024, one form in the whole file{read_as}; "
        f"correct {_count(wrong)}, or leave {_rows(wrong)} out"
    )


def _moments(text: pl.Expr, formats: Sequence[str]) -> pl.Expr:
    """Datetimes of texts in whatever of some formats fits each, null where none does."""
    return pl.coalesce(
        text.str.to_datetime(
            form, time_unit="us", time_zone="UTC" if form.endswith("z") else None, strict=False
        ).dt.replace_time_zone(None)
        for form in formats
    )


def _year_last(texts: pl.Series, dates: str | None) -> dict[str, pl.Series]:
    """Times of dates such as 31.05.2024 or 5/31/2024 18:30 by `day-first` and `month-first`; the caller's way alone.

    Dots part days that come first, if nobody says otherwise. Empty where the first text is no such date.
    """
    first = texts.drop_nulls().head(1).str.extract(YEAR_LAST)
    mark = first[0] if len(first) else None
    if mark is None:
        return {}
    ways = [dates] if dates is not None else ["day-first"] if mark == "." else list(DATES)
    frame = texts.to_frame("time")
    return {
        way: frame.select(
            _moments(pl.col("time"), [DATES[way].format(mark) + clock for clock in CLOCKS]).alias(texts.name)
        ).to_series()
        for way in ways
    }


def _one_reading(
    texts: pl.Series, fitting: dict[str, pl.Series], locate: Locate, asked: bool
) -> tuple[pl.Series, list[str], str | None]:
    """The only way in which the dates of a column can be read: times, a note if nobody `asked` for it, and its name.

    Raises:
        DataError: there are two, with other days.
    """
    way, times = next(iter(fitting.items()))
    if len(fitting) == 1:
        row = int((times.dt.day() > 12).arg_max() or 0)
        note = f"dates of column {texts.name!r} have the {way.replace('-first', '')} first, as {texts[row]!r} shows"
        return times, [] if asked else [note], way
    other = fitting["month-first"]
    differ = times != other
    if not differ.any():
        return times, [], None
    row = int(differ.arg_max() or 0)
    raise DataError(
        f"{locate(row)} has the time {shown(texts[row])} in column {texts.name!r}, which is {_in_words(times[row])} "
        f"with the day first and {_in_words(other[row])} with the month first, and all {texts.count():,} times can "
        "be read in both ways: say --dates day-first or --dates month-first (dates='day-first' or 'month-first')"
    )


def _in_words(moment: dt.datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def _check(times: pl.Series, asked: pl.Series, what: str, locate: Locate) -> None:
    """Nothing, if all `times` (microseconds) are of the years that times may have.

    Raises:
        DataError: one is not; the message shows it as `asked` has it.
    """
    outside = (~((times >= _FIRST) & (times < _END))).fill_null(False)
    if outside.any():
        raise DataError(
            f"{_place(asked, int(outside.arg_max() or 0), locate)}: as {what} times lie between the years {FIRST_YEAR} "
            f"and {LAST_YEAR}; correct {_count(outside)}, or leave {_rows(outside)} out"
        )


def _place(asked: pl.Series, row: int, locate: Locate) -> str:
    if asked.dtype.is_temporal():  # of a year that Python does not know
        said = str(np.datetime64(int(_epoch(asked)[row]), "us").astype("datetime64[s]"))
    else:
        said = shown(asked[row]) if asked.dtype == pl.String else str(asked[row])
    return f"{locate(row)} has the time {said} in column {asked.name!r}"


def _epoch(moments: pl.Series) -> pl.Series:
    """Dates or datetimes as unix microseconds, those that cannot be said so as the first or last that can.

    polars multiplies without a look at what overflows, and a date of the year 600,000 would be one of today.
    """
    if getattr(moments.dtype, "time_unit", "ms") != "ms":
        return moments.cast(pl.Datetime("us")).dt.epoch("us")
    most = (2**63 - 1) // 1000
    return moments.cast(pl.Datetime("ms")).dt.epoch("ms").clip(-most, most) * 1000


def _count(rows: pl.Series) -> str:
    num_others = int(rows.sum()) - 1
    return "it" if not num_others else f"it and {num_others:,} other{'s' * (num_others > 1)}"


def _rows(rows: pl.Series) -> str:
    return "the row" if rows.sum() == 1 else "the rows"


_FIRST, _END = (
    int(np.datetime64(f"{year}-01-01", "us").astype(np.int64)) for year in (FIRST_YEAR, LAST_YEAR + 1)
)
