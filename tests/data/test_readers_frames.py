"""Frames and Parquet files: what polars and pandas hold, and names of columns and files."""

from __future__ import annotations

import gzip
import uuid
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genrec.data.ranking_file import read_rankings
from genrec.data.read import read
from genrec.data.readers.source import ROLES
from genrec.errors import DataError, GenrecError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

LOG = pl.DataFrame(
    {"user": ["u", "u", "v"], "item": ["b", "a", "b"], "time": [1, 2, 3], "stars": [5, None, 4]}
)
EXPECTED = read(LOG).fingerprint


def refusal(*sources: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(*sources, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "kinds",
    [
        {"user": "category", "item": "string", "time": "Int64", "stars": "Int8"},
        {
            "user": "string[pyarrow]",
            "item": "string[pyarrow]",
            "time": "int64[pyarrow]",
            "stars": "double[pyarrow]",
        },
        {"user": "object", "item": "category", "time": "uint32", "stars": "Float32"},
        {"time": "float64", "stars": "float16"},
    ],
)
def test_types_of_pandas(kinds: dict[str, str]) -> None:
    data = read(LOG.to_pandas().astype(kinds))
    assert data.fingerprint == EXPECTED
    assert np.array_equal(data.interactions.ratings, [5, np.nan, 4], equal_nan=True)


class Derived(pd.DataFrame):
    """As geopandas and others derive theirs."""


def test_frames_of_a_derived_class() -> None:
    assert read(Derived(LOG.to_pandas())).fingerprint == EXPECTED


def test_an_index_with_names_is_read() -> None:
    frame = LOG.to_pandas()
    assert read(frame.set_index(["user", "item"])).fingerprint == EXPECTED
    assert read(frame.set_index("user", drop=False)).fingerprint == EXPECTED
    assert read(frame.set_index(pd.Index([7, 8, 9]))).fingerprint == EXPECTED


@pytest.mark.parametrize(
    "strange",
    [
        [1, "x", 2.5],
        [1j, 2j, 3j],
        [object(), object(), object()],
        [{"a": 1}, [2], "x"],
        pd.interval_range(0, 3),
        pd.period_range("2023-01", periods=3, freq="M"),
        [uuid.UUID(int=number) for number in (2**127, 2**126, 3)],
        [b"\xff", b"a", b"b"],
    ],
)
def test_strange_columns_stop_only_those_who_need_them(strange: Any) -> None:
    frame = LOG.to_pandas().assign(strange=pd.Series(strange))
    assert read(frame).fingerprint == EXPECTED
    items = frame[["item", "strange"]].drop_duplicates("item").assign(title=["B", "A"])
    assert read(LOG, items).catalogue.titles == ["A", "B"]
    for role in ("user_id", "item_id", "timestamp", "rating", "text", "title"):
        assert "'strange' of the frame is of type" in refusal(frame, columns={role: "strange"})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            LOG.to_pandas().set_axis(["user", "user", "item", "time"], axis=1),
            "the frame has several columns called 'user'",
        ),
        (
            LOG.to_pandas().set_axis(["user", "item", 1, "1"], axis=1),
            "the frame has several columns called '1'",
        ),
        (
            LOG.rename({"stars": "User"}),
            "the frame has the columns 'user' and 'User': say which is user_id with --column",
        ),
        (LOG.clear(), "the frame is empty: it has no rows of interactions"),
        (pl.DataFrame(), "the frame has no column for user_id nor item_id nor timestamp among"),
        (pd.DataFrame(), "the frame has no column for user_id nor item_id nor timestamp among"),
        (pd.Series([1]), "Series is neither a path nor a polars or pandas frame"),
        (LOG["user"], "Series is neither a path nor"),
        (LOG.lazy().select("nobody"), "the frame cannot be collected: unable to find column"),
        (pl.scan_csv("there/is/none.csv"), "the frame cannot be collected: No such file"),
        (
            LOG.lazy().with_columns(pl.col("user").map_elements(lambda user: [][0], return_dtype=pl.String)),
            "the frame cannot be collected",
        ),
    ],
)
def test_frames_that_are_refused(frame: Any, message: str) -> None:
    assert message in refusal(frame)


def test_frames_of_items_that_are_refused() -> None:
    assert "the frame of items cannot be collected" in refusal(LOG, pl.LazyFrame({"a": [1]}).select("b"))
    assert "the frame of items has no column for item_id" in refusal(LOG, pd.DataFrame())


def test_a_header_that_names_a_column_twice(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time,item\nu,a,1,b\n")
    assert refusal(tmp_path / "log.csv") == "log.csv has several columns called 'item': rename all but one"
    (tmp_path / "log.csv").write_text("user,item,time,note,note\nu,a,1,b,c\n")
    assert read(tmp_path / "log.csv").catalogue.ids == ["a"]


def test_parquet_files_that_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["user", "user"])
    pq.write_table(table, tmp_path / "twice.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "twice.parquet").read_bytes()[:60])
    for name in ("twice", "cut"):
        assert f"{name}.parquet cannot be read as a Parquet file: " in refusal(tmp_path / f"{name}.parquet")


def test_brackets_in_a_name_are_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "data [1]"
    folder.mkdir()
    LOG.write_csv(folder / "log[2].csv")
    LOG.write_parquet(folder / "log*.parquet")
    assert read(folder / "log[2].csv").fingerprint == read(folder / "log*.parquet").fingerprint == EXPECTED
    data = read(pl.DataFrame({"user": ["u"] * 3, "item": ["a", "b", "c"], "time": [1, 2, 3]}))
    lists = pl.DataFrame({"user_id": ["u"], "item_id": ["c"], "rank": [1], "score": [1.0]})
    lists.write_parquet(folder / "lists.parquet")
    assert len(read_rankings(folder / "lists.parquet", data.test).items_BK) == 1


ODD: dict[str, Any] = {
    "empty": [None, None, None],
    "halves": [0.5, None, float("nan")],
    "endless": [float("inf"), float("-inf"), 1e300],
    "wide": [2**64, -(2**64), 0],
    "truth": [True, False, None],
    "bytes": [b"\xff", b"a", None],
    "decimals": [Decimal("1.50"), Decimal(10) ** 30, None],
    "lists": [["a"], [], None],
    "lists of lists": [[["a"]], [[]], None],
    "structures": [{"a": 1}, {"a": None}, None],
    "objects": pl.Series([object(), {1}, None], dtype=pl.Object),
    "clocks": [time(9), time(0), None],
    "spans": [timedelta(1), timedelta(-1), None],
    "far days": pl.Series([10**7, -(10**7), None], dtype=pl.Int32).cast(pl.Date),
    "far moments": pl.Series([2**62, -(2**62), None]).cast(pl.Datetime("us")),
    "words": ["", " ", "\0"],
    "numbers": ["1e400", "0x10", "1_000"],
    "arrays": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int64, 2)),
    "categories": pl.Series(["", "b", None], dtype=pl.Categorical),
}


@pytest.mark.parametrize("odd", ODD)
def test_any_column_in_any_role_is_read_or_refused_in_words(odd: str, tmp_path: Path) -> None:
    frame = LOG.drop("stars").with_columns(pl.Series("odd", ODD[odd]))
    sources: list[Any] = [frame]
    if odd != "objects":
        frame.write_parquet(tmp_path / "log.parquet")
        sources.append(tmp_path / "log.parquet")
    items = pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["A", "B", "C"]})
    said = [
        outcome(source, columns={role: "odd"}, ordered=ordered)
        for source in sources
        for role in ROLES
        for ordered in (False, True)
    ]
    said += [
        outcome(LOG, items.with_columns(pl.Series(name, ODD[odd])), untitled="id")
        for name in ("item_id", "title", "year", "genres", "price", "anything")
    ]
    assert all(len(line) <= 500 and "\n" not in line for line in said)
    assert set(map(str.isdecimal, said)) == {True, False}  # some roles it can play, and some not


def outcome(*sources: Any, **options: Any) -> str:
    """How many items are read, or why not in words of ours."""
    try:
        return str(read(*sources, **options).summary()["num_items"])
    except GenrecError as error:
        return str(error)


FORMS = ["csv", "csv.gz", "tsv", "parquet", "pandas", "pandas with arrow", "lazy"]
TEXT_IDS = st.text('ab01.-, "é\n', min_size=1, max_size=4)


@st.composite
def logs(draw: st.DrawFn) -> pl.DataFrame:
    """Logs of text or whole numbers as ids, some of them missing, with times, ratings and texts."""
    ids = draw(st.sampled_from([TEXT_IDS, st.integers(-5, 2**53 - 1)]))
    columns = {
        "user": ids,
        "item": ids,
        "time": st.integers(10**9, 2 * 10**9),
        "rating": st.integers(1, 10).map(lambda half: half / 2),
        "text": st.text('no,"\n ', min_size=1, max_size=5),
    }
    rows = draw(st.integers(1, 6))
    drawn = {
        name: draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        for name, values in columns.items()
    }
    assume(any(None not in row for row in zip(drawn["user"], drawn["item"], drawn["time"], strict=True)))
    return pl.DataFrame(drawn)


@given(logs(), st.sampled_from(FORMS))
@settings(max_examples=50)
def test_a_log_is_the_same_data_in_every_form(
    tmp_path_factory: pytest.TempPathFactory, log: pl.DataFrame, form: str
) -> None:
    expected, found = read(log), read(in_form(log, form, tmp_path_factory))
    assert found.fingerprint == expected.fingerprint
    assert found.report.dropped == expected.report.dropped
    assert np.array_equal(found.interactions.times, expected.interactions.times)
    ratings, others = found.interactions.ratings, expected.interactions.ratings
    assert (ratings is None) == (others is None)
    assert ratings is None or np.array_equal(ratings, others, equal_nan=True)
    assert found.interactions.texts.to_list() == expected.interactions.texts.to_list()


@given(
    st.lists(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)), min_size=1, max_size=6),
    st.sampled_from([pl.Datetime("ms"), pl.Datetime("us", "Asia/Tokyo"), pl.Datetime("ns"), pl.Int64]),
    st.sampled_from(FORMS),
)
@settings(max_examples=50)
def test_moments_are_the_same_times_in_every_form(
    tmp_path_factory: pytest.TempPathFactory, moments: list[datetime], kind: Any, form: str
) -> None:
    times = pl.Series("time", [moment.replace(microsecond=0) for moment in moments], dtype=pl.Datetime("ms"))
    log = pl.DataFrame(
        {"user": ["u"] * len(times), "item": [f"i{row}" for row in range(len(times))], "time": times}
    )
    expected = read(log)
    if kind == pl.Int64:
        times = times.dt.epoch("s")
    elif kind.time_zone:
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(kind.time_zone)
    else:
        times = times.cast(kind)
    found = read(in_form(log.with_columns(times), form, tmp_path_factory))
    assert found.fingerprint == expected.fingerprint
    assert found.interactions.times.tolist() == expected.interactions.times.tolist()


def in_form(log: pl.DataFrame, form: str, folders: pytest.TempPathFactory) -> Any:
    if form.startswith("pandas"):
        return log.to_pandas(use_pyarrow_extension_array=form.endswith("arrow"))
    if form == "lazy":
        return log.lazy()
    path = folders.mktemp("forms") / f"log.{form}"
    if form == "parquet":
        log.write_parquet(path)
    else:
        text = log.write_csv(separator="\t" if form == "tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if form.endswith("gz") else text)
    return path
