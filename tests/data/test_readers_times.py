"""Times: types, units, dates written as numbers, times of day, and what is refused."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read
from genrec.errors import ConfigError, DataError
from hypothesis import given
from hypothesis import strategies as st


def log(times: Any, **columns: Any) -> pl.DataFrame:
    """One user's log, whose items are named by their rows."""
    values = pl.Series("time", times)
    items = [f"i{row}" for row in range(len(values))]
    return pl.DataFrame({"user": ["u"] * len(values), "item": items, "time": values, **columns})


def seconds(times: Any, **options: Any) -> list[int]:
    found: list[int] = read(log(times), **options).interactions.times.tolist()
    return found


def refusal(frame: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(frame, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


HOLDS: dict[Any, tuple[int, int]] = {  # the unix seconds that a type holds, and tells apart
    pl.Int8: (-(2**7), 2**7 - 1),
    pl.Int16: (-(2**15), 2**15 - 1),
    pl.Int32: (-(2**31), 2**31 - 1),
    pl.Int64: (-(2**31), 2**32 - 1),
    pl.Int128: (-(2**31), 2**31 - 1),
    pl.UInt8: (0, 2**8 - 1),
    pl.UInt16: (0, 2**16 - 1),
    pl.UInt32: (0, 4_102_444_799),
    pl.UInt64: (0, 4_102_444_799),
    pl.Float16: (-(2**11), 2**11),
    pl.Float32: (-(2**24), 2**24),
    pl.Float64: (-2_208_988_800, 4_102_444_799),
    pl.Decimal(20, 0): (-2_208_988_800, 4_102_444_799),
    pl.Decimal(20, 3): (-2_208_988_800, 4_102_444_799),
    pl.String: (-2_208_988_800, 4_102_444_799),
    pl.Categorical: (-2_208_988_800, 4_102_444_799),
}


@given(st.data())
def test_every_type_that_holds_the_times_gives_the_same_histories(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(HOLDS)))
    low, high = HOLDS[kind]
    # An order of a few hundred numbers may look like years, which changes no order but the times.
    moments = st.integers(max(low, -(2**31)), min(high, 2**32 - 200_000_000)).filter(
        lambda second: not 1900 <= second <= 2099
    )
    times = data.draw(st.lists(moments, min_size=1, max_size=6))
    expected = read(log(pl.Series(times, dtype=pl.Int64)))
    values = pl.Series(times, dtype=pl.Int64)
    found = read(log((values.cast(pl.String) if kind == pl.Categorical else values).cast(kind)))
    assert found.fingerprint == expected.fingerprint
    assert found.interactions.times.tolist() == expected.interactions.times.tolist() == sorted(times)


@pytest.mark.parametrize(
    ("times", "day", "note"),
    [
        ([20230228, 20230301], "2023-02-28", "YYYYMMDD"),
        ([20230228.0, None], "2023-02-28", "YYYYMMDD"),
        (["20230228", "20230301"], "2023-02-28", "YYYYMMDD"),
        ([202302, 202303], "2023-02-01", "YYYYMM"),
        ([2023022817, 2023022818], "2023-02-28", "YYYYMMDDHH"),
        ([202302281745, 202302281746], "2023-02-28", "YYYYMMDDHHMM"),
        ([20230228174559, 20230228174600], "2023-02-28", "YYYYMMDDHHMMSS"),
        ([1987, 2023], "1987-01-01", "YYYY,"),
    ],
)
def test_dates_written_as_numbers(times: list[Any], day: str, note: str) -> None:
    data = read(log(times))
    first = dt.datetime.fromtimestamp(data.summary()["first_time"], dt.UTC)
    assert first.date().isoformat() == day
    assert any(note in line for line in data.report.notes)


def test_small_numbers_are_an_order_and_larger_ones_are_told() -> None:
    for last, told in ((999_999, False), (1_000_000, True)):
        data = read(log([last, 7]))
        assert ordered_ids(data) == ["i1", "i0"]
        assert any("taken as an order" in note for note in data.report.notes) is told


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2019-10-01 06:00:00 UTC", 1569909600),
        ("2019-10-01 08:00:00+02", 1569909600),
        ("2019-10-01 08:00:00 +0200", 1569909600),
        ("2019/10/01 06:00", 1569909600),
        ("2019-10-01t06:00:00z", 1569909600),
        ("01.10.2019", 1569888000),
        ("1.10.2019 06:00", 1569909600),
        ("01.10.2019 06:00:00", 1569909600),
    ],
)
def test_ways_of_writing_a_time(text: str, second: int) -> None:
    assert seconds([text]) == [second]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [1600000000, 1600000001, 1600000002000],
            "row 3 of the frame has the time 1600000002000 in column 'time', and most are unix seconds: it looks like "
            "milliseconds (2020-09-13); bring it to one unit with the rest, or leave the row out",
        ),
        (
            [1600000000000, 1600000001, 1600000002000],
            "most are unix milliseconds: it looks like seconds (2020",
        ),
        ([1600000000, 1600000001, 10**13 * 9], "no unit puts it into 1900–2099"),
        ([1600000000, 1600000001, 2**32 - 1], "as unix seconds times lie between the years 1900 and 2099"),
        ([1600000000.0, float("inf")], "has the time inf in column 'time'"),
        ([float("-inf")], "has the time -inf in column 'time'"),
        ([10.0**300], "has the time 1e+300 in column 'time'"),
        ([2**100], f"has the time {2**100} in column 'time'"),
        ([dt.date(2023, 1, 1), dt.date(9999, 12, 31)], "row 2 of the frame has the time 9999-12-31"),
        (["0001-01-01", "2023-01-01"], "row 1 of the frame has the time '0001-01-01'"),
        (
            [20230228, 20230229, 20230301],
            "row 2 of the frame has the time 20230229 in column 'time', and most are",
        ),
        ([dt.timedelta(1)], "column 'time' of the frame is of type Duration, which tells how long"),
        ([dt.time(9)], "column 'time' of the frame is of type Time, which do not tell the day: name"),
        (["09:00", "10:15:30"], "column 'time' of the frame holds times of day, which do not tell the day"),
        ([[1]], "column 'time' of the frame is of type List(Int64), not a time"),
        ([{"a": 1}], "column 'time' of the frame is of type Struct"),
        ([b"\xff"], "column 'time' of the frame is of type Binary and not UTF-8 text"),
        ([None, None], "the frame has no row that can be used; dropped were {'no time': 2}"),
    ],
)
def test_times_that_are_refused(times: Any, message: str) -> None:
    assert message in refusal(log(times))


def test_the_line_of_a_strange_time_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('user,item,time,text\nu,a,1600000000,"two\nlines"\nu,b,1600000001,\nu,c,1600000000000,\n')
    assert refusal(path).startswith("line 5 of log.csv has the time '1600000000000' in column 'time'")


def test_times_that_stand_for_none_are_told() -> None:
    data = read(log([1600000000, 0, 1600000001]))
    assert [data.catalogue.ids[item] for item in data.interactions.histories[0]] == ["i1", "i0", "i2"]
    assert any("1 of 3 times lie near 1970" in note and "row 2" in note for note in data.report.notes)


def test_times_that_a_narrow_float_rounds_are_told() -> None:
    data = read(log(pl.Series([1600000000, 1600000001], dtype=pl.Float32)))
    assert any("of type Float32, which rounds times above 16,777,216" in note for note in data.report.notes)


@pytest.mark.parametrize("clocks", [[dt.time(9), dt.time(8, 30)], ["9:00", "08:30:00"]])
@pytest.mark.parametrize("days", [[dt.date(2023, 5, 1)] * 2, ["2023-05-01"] * 2, [20230501] * 2])
def test_a_day_and_a_time_of_day_are_put_together(clocks: list[Any], days: list[Any]) -> None:
    data = read(log(clocks, date=days))
    assert ordered_ids(data) == ["i1", "i0"]
    assert data.interactions.times.tolist() == [1682929800, 1682931600]
    assert "times are the days of column 'date', at the times of day of 'time'" in data.report.notes
    alone = read(log(clocks, date=days), columns={"timestamp": "date"})
    assert alone.interactions.times.tolist() == [1682899200] * 2
    assert "of the frame" in refusal(log(clocks, date=days), columns={"timestamp": "time"})


def test_columns_without_times_are_passed_over() -> None:
    data = read(log([dt.timedelta(9), dt.timedelta(8)], created_at=["2023-05-02", "2023-05-01"]))
    assert ordered_ids(data) == ["i1", "i0"]
    assert any(
        "times come from column 'created_at', as 'time' is of type Duration" in note
        for note in data.report.notes
    )


def test_a_column_without_times_does_not_hinder_rows_in_order() -> None:
    data = read(log(["12:30", "11:30"]), ordered=True)
    assert data.interactions.times is None
    assert any("column 'time' of the frame holds times of day" in note for note in data.report.notes)


def ordered_ids(data: Dataset) -> list[str]:
    return [data.catalogue.ids[item] for item in data.interactions.histories[0]]


def test_times_of_pandas_without_a_meaning_are_refused() -> None:
    frame = pd.DataFrame(
        {"user": ["u"], "item": ["i"], "time": pd.period_range("2023-01", periods=1, freq="M")}
    )
    assert "column 'time' of the frame is of type" in refusal(frame)


def test_times_as_exact_decimals() -> None:
    assert seconds([Decimal("1600000000.75"), Decimal("1600000000.25")]) == [1600000000, 1600000000]


@pytest.mark.parametrize(
    "times",
    [
        [1_700_000_000_000_300, 1_700_000_000_000_200, 1_700_000_000_000_100],
        [1_700_000_000_000_300_000, 1_700_000_000_000_200_000, 1_700_000_000_000_100_000],
        [1_700_000_000_000.3, 1_700_000_000_000.2, 1_700_000_000_000.1],
        [1_700_000_000.0003, 1_700_000_000.0002, 1_700_000_000.0001],
        ["2023-11-14T22:13:20.0003Z", "2023-11-14T22:13:20.0002Z", "2023-11-14T22:13:20.0001Z"],
        pl.Series([300, 200, 100]).cast(pl.Datetime("us")),
        pl.Series([300_000, 200_000, 100_000]).cast(pl.Datetime("ns", "Europe/Warsaw")),
    ],
    ids=["microseconds", "nanoseconds", "milliseconds", "seconds", "text", "datetime", "zoned"],
)
def test_times_within_a_millisecond_keep_their_order(times: Any) -> None:
    log = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["last", "then", "first"], "timestamp": times})
    data = read(log)
    assert [data.catalogue.ids[item] for item in data.interactions.histories[0]] == ["first", "then", "last"]
    assert not [note for note in data.report.notes if "share their time" in note]


def test_dates_beyond_what_microseconds_hold_are_not_dates_of_today() -> None:
    beyond = 2**64 // 1000 + 1_700_000_000_000  # overflows to 2023
    times = pl.Series([1_700_000_000_000, beyond]).cast(pl.Datetime("ms"))
    with pytest.raises(DataError, match="times lie between the years"):
        read(pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": times}))


@pytest.mark.parametrize(
    ("texts", "day", "way"),
    [
        (["13/02/2011", "01/02/2011 08:26"], "2011-02-01", "day"),
        (["2/13/2011 18:26", "1/2/2011 8:26"], "2011-01-02", "month"),
        (["02-13-2011", "02-01-2011"], "2011-02-01", "month"),
        (["1/2/2011 11:59 PM", "2/13/2011 1:00:05 am"], "2011-01-02", "month"),
    ],
)
def test_the_order_of_day_and_month_is_found_where_one_fits(texts: list[str], day: str, way: str) -> None:
    data = read(log(texts))
    first = dt.datetime.fromtimestamp(data.summary()["first_time"], dt.UTC)
    assert first.date().isoformat() == day
    assert data.report.dates == f"{way}-first"
    assert any(f"dates of column 'time' have the {way} first, as '" in note for note in data.report.notes)
    again = read(log(texts), dates=f"{way}-first")
    assert again.interactions.times.tolist() == data.interactions.times.tolist()  # type: ignore[union-attr]
    assert not any("dates of column" in note for note in again.report.notes)


def test_the_order_of_day_and_month_is_asked_for_where_both_fit() -> None:
    texts = ["05/05/2011 10:00", "03/04/2011 18:00", None]
    assert refusal(log(texts)) == (
        "row 2 of the frame has the time '03/04/2011 18:00' in column 'time', which is 3 April 2011 with the day first "
        "and 4 March 2011 with the month first, and all 2 times can be read in both ways: say --dates "
        "day-first or --dates month-first (dates='day-first' or 'month-first')"
    )
    for way, month in (("day-first", 4), ("month-first", 3)):
        data = read(log(texts), dates=way)
        assert dt.datetime.fromtimestamp(data.summary()["first_time"], dt.UTC).month == month
        assert data.report.dates == way
    assert seconds(["05/05/2011", "06/06/2011"]) == [1304553600, 1307318400]  # the same in both ways
    with pytest.raises(ConfigError, match="dates"):
        read(log(texts), dates="day")


def test_dots_part_days_that_come_first_unless_months_are_said_to() -> None:
    texts = ["01.02.2011", "03.02.2011"]
    assert seconds(texts) == [1296518400, 1296691200]
    assert seconds(texts, dates="month-first") == [1293926400, 1299024000]
    assert read(log(texts)).report.dates == "day-first"


@pytest.mark.parametrize(
    ("texts", "dates", "message"),
    [
        (
            ["13/02/2011", "02/13/2011", "14/02/2011"],
            None,
            "row 2 of .*'02/13/2011'.* here with the day first;",
        ),
        (["13/02/2011"], "month-first", "row 1 of .*'13/02/2011'.* here with the month first;"),
        (["31/02/2011", "30/01/2011"], None, "row 1 of the frame has the time '31/02/2011'"),
        (["1/13/11"], None, "row 1 of the frame has the time '1/13/11'"),
    ],
)
def test_dates_that_do_not_fit_the_others(texts: list[str], dates: str | None, message: str) -> None:
    assert re.search(message, refusal(log(texts), dates=dates))
