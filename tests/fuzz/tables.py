"""A small log and its items, in every form that a reader knows, with the fingerprint that all of them have to give."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from genrec.data.readers.columns import ALIASES

_WORDS = (
    "Lantern",
    "Harbour",
    "Ünder",
    "the C++",
    "Salt, Smoke",
    "No. 7",
    "漢字",
    "O'Clock",
    "Blue",
    "(Red)",
)
_START = 1_500_000_000


@dataclass(frozen=True)
class Content:
    """`rows`: (user, item, unix seconds, rating) in the order of the file; `titles` by item."""

    rows: list[tuple[str, str, int, float]]
    titles: dict[str, str]

    @classmethod
    def drawn(cls, rng: Random) -> Content:
        """3 to 8 users with 3 to 6 of 4 to 12 items each; no user takes two at once."""
        items = [
            rng.choice(("{}", "0{}", "B{}")).format(number) for number in range(10, 10 + rng.randint(4, 12))
        ]
        titles = {item: f"{rng.choice(_WORDS)} {rng.choice(_WORDS)} {item}" for item in items}
        rows = []
        for user in range(rng.randint(3, 8)):
            times = rng.sample(range(_START, _START + 10**8, 60), rng.randint(3, 6))
            rows += [(f"{7 * user + 3}", rng.choice(items), time, float(rng.randint(1, 5))) for time in times]
        rng.shuffle(rows)
        return cls(rows, titles)

    @property
    def fingerprint(self) -> str:
        """What `genrec data` has to give, worked out without any reader."""
        taken = {row[1] for row in self.rows}
        catalogue = sorted(taken, key=lambda item: (self.titles[item], item))
        users = sorted({row[0] for row in self.rows})
        digest = hashlib.sha256()
        for names in (users, catalogue, [self.titles[item] for item in catalogue]):
            digest.update("\x1f".join(names).encode() + b"\x1e")
        histories = [
            [catalogue.index(row[1]) for row in sorted(self.rows, key=lambda row: row[2]) if row[0] == user]
            for user in users
        ]
        offsets = np.cumsum([0, *map(len, histories)])
        digest.update(np.array(offsets, np.int64).tobytes())
        digest.update(np.array([item for history in histories for item in history], np.int32).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Form:
    """Where the log lies, what reads it, and in words what it looks like."""

    log: Path
    items: Path | None  # None: the layout finds its own
    about: str
    options: tuple[str, ...] = ()


Renderer = Callable[[Random, Content, Path], Form]


def text_table(rng: Random, content: Content, folder: Path) -> Form:
    """CSV with columns of any usual name in any order, any separator, ends of lines, quotes and packing."""
    separator = rng.choice((",", ",", ";", "\t", "|"))
    end, bom, packed = rng.choice(("\n", "\r\n")), rng.choice(("", "\ufeff")), rng.choice(("", "", ".gz"))
    suffix = ".tsv" if separator == "\t" and rng.random() < 0.5 else ".csv"
    names, spelled, about = _names(rng), _time_spelling(rng), f"{separator!r} {end!r} {bom!r}"
    columns = {
        names["user_id"]: [row[0] for row in content.rows],
        names["item_id"]: [row[1] for row in content.rows],
    }
    columns[names["timestamp"]] = [spelled(row[2]) for row in content.rows]
    columns[names["rating"]] = [f"{row[3]:g}" for row in content.rows]
    if rng.random() < 0.3:
        columns["remark"] = [rng.choice(("", "nice", 'so "good"', "a" + separator)) for _ in content.rows]
    log = folder / f"log{suffix}{packed}"
    _write_text(log, bom + csv_text(rng, columns, separator, end))
    items = folder / "goods.csv"
    goods = {"item_id": list(content.titles), "title": list(content.titles.values())}
    _write_text(items, csv_text(rng, goods, ",", "\n"))
    return Form(log, items, f"{log.name} {about} times {spelled(_START)}")


def parquet(rng: Random, content: Content, folder: Path) -> Form:
    """Parquet with columns of the types that other programs write."""
    log, items = folder / "log.parquet", folder / "goods.parquet"
    frame, about = typed_frame(rng, content)
    frame.write_parquet(log)
    pl.DataFrame({"item_id": list(content.titles), "title": list(content.titles.values())}).write_parquet(
        items
    )
    return Form(log, items, about)


def typed_frame(rng: Random, content: Content) -> tuple[pl.DataFrame, str]:
    """A frame of the log; its types are told."""
    names, numbers = _names(rng), [row[2] for row in content.rows]
    users = pl.Series([row[0] for row in content.rows])
    kind = rng.choice((pl.String, pl.Categorical, pl.Int64, pl.Int16, pl.UInt32, pl.Float64, pl.Float32))
    users = users.cast(kind) if kind in (pl.String, pl.Categorical) else users.cast(pl.Int64).cast(kind)
    unit = rng.choice(("s", "s int32", "s uint32", "s float", "ms", "us", "ns", "datetime", "text", "zoned"))
    seconds = pl.Series(numbers, dtype=pl.Int64)
    moment = pl.from_epoch(seconds, time_unit="s")
    times = {
        "s": lambda: seconds,
        "s int32": lambda: seconds.cast(pl.Int32),
        "s uint32": lambda: seconds.cast(pl.UInt32),
        "s float": lambda: seconds.cast(pl.Float64),
        "ms": lambda: seconds * 1000,
        "us": lambda: seconds * 1_000_000,
        "ns": lambda: seconds * 1_000_000_000,
        "datetime": lambda: moment.cast(pl.Datetime(rng.choice(("ms", "us", "ns")))),
        "text": lambda: moment.dt.to_string("%Y-%m-%d %H:%M:%S"),
        "zoned": lambda: moment.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
    }[unit]()
    ratings = pl.Series([row[3] for row in content.rows]).cast(rng.choice((pl.Float32, pl.Float64, pl.Int8)))
    columns = {
        names["user_id"]: users,
        names["item_id"]: pl.Series([row[1] for row in content.rows]),
        names["timestamp"]: times,
        names["rating"]: ratings,
    }
    order = sorted(columns, key=lambda _: rng.random())
    return pl.DataFrame({name: columns[name] for name in order}), f"users {kind}, times {unit}"


def json_lines(rng: Random, content: Content, folder: Path) -> Form:
    """Reviews and metadata as Amazon's and Yelp's publishers write them."""
    layout = rng.choice(("2014", "2018", "2023", "yelp"))
    review, meta, spelled = {
        "2014": ("reviews_Toys_5.json", "meta_Toys.json", lambda time: time),
        "2018": ("Toys_5.json", "meta_Toys.json", lambda time: time),
        "2023": ("Toys.jsonl", "meta_Toys.jsonl", lambda time: 1000 * time),
        "yelp": (
            "yelp_academic_dataset_review.json",
            "yelp_academic_dataset_business.json",
            lambda time: datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        ),
    }[layout]
    fields = {
        "2014": ("reviewerID", "asin", "unixReviewTime", "overall", "asin"),
        "2018": ("reviewerID", "asin", "unixReviewTime", "overall", "asin"),
        "2023": ("user_id", "parent_asin", "timestamp", "rating", "parent_asin"),
        "yelp": ("user_id", "business_id", "date", "stars", "business_id"),
    }[layout]
    rows = []
    for user, item, time, rating in content.rows:
        row: dict[str, Any] = dict(zip(fields, (user, item, spelled(time), rating), strict=False))
        row |= {"helpful": [0, 0]} if layout == "2014" else {}
        row |= {"reviewText": "It works."} if layout in ("2014", "2018") else {"text": "It works."}
        rows.append(row)
    title = "name" if layout == "yelp" else "title"
    goods = [{fields[4]: item, title: text} for item, text in content.titles.items()]
    packed = rng.choice(("", ".gz")) if layout != "yelp" else ""
    ascii_only = rng.random() < 0.5
    for name, objects in ((review, rows), (meta, goods)):
        lines = [json.dumps(row, ensure_ascii=ascii_only) for row in objects]
        if layout == "2014" and name == meta and rng.random() < 0.5:
            lines = [repr(row) for row in objects]
        _write_text(folder / (name + packed), "\n".join(lines) + "\n")
    return Form(folder / (review + packed), None, f"amazon or yelp {layout}{packed}")


def movielens(rng: Random, content: Content, folder: Path) -> Form:
    """MovieLens 1M and latest."""
    if rng.random() < 0.5:
        rows = [
            "::".join((user, item, f"{rating:g}", str(time))) for user, item, time, rating in content.rows
        ]
        goods = [f"{item}::{title}::Drama|War" for item, title in content.titles.items()]
        _write_text(folder / "ratings.dat", "\n".join(rows) + "\n")
        _write_text(folder / "movies.dat", "\n".join(goods) + "\n")
        return Form(rng.choice((folder, folder / "ratings.dat")), None, "movielens-1m")
    columns = dict(
        zip(
            ("userId", "movieId", "timestamp", "rating"),
            map(list, zip(*content.rows, strict=True)),
            strict=True,
        )
    )
    columns = {name: columns[name] for name in ("userId", "movieId", "rating", "timestamp")}
    _write_text(folder / "ratings.csv", csv_text(rng, columns, ",", "\n"))
    goods_columns = {"movieId": list(content.titles), "title": list(content.titles.values())}
    goods_columns["genres"] = ["Drama|War"] * len(content.titles)
    _write_text(folder / "movies.csv", csv_text(rng, goods_columns, ",", "\n"))
    return Form(rng.choice((folder, folder / "ratings.csv")), None, "movielens-csv")


def recbole(rng: Random, content: Content, folder: Path) -> Form:
    """RecBole's atomic files."""
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    rows += [f"{user}\t{item}\t{rating}\t{time}" for user, item, time, rating in content.rows]
    goods = ["item_id:token\ttitle:token_seq", *("\t".join(pair) for pair in content.titles.items())]
    _write_text(folder / "toys.inter", "\n".join(rows) + "\n")
    _write_text(folder / "toys.item", "\n".join(goods) + "\n")
    return Form(folder / "toys.inter", None, "recbole")


def sequences(rng: Random, content: Content, folder: Path) -> Form:
    """One line a user."""
    users = sorted({row[0] for row in content.rows}, key=lambda _: rng.random())
    rows = sorted(content.rows, key=lambda row: row[2])
    lines = [" ".join([user, *(row[1] for row in rows if row[0] == user)]) for user in users]
    _write_text(folder / "sequences.txt", "\n".join(lines) + rng.choice(("", "\n")))
    goods = [json.dumps({"item_id": item, "title": title}) for item, title in content.titles.items()]
    _write_text(folder / "items.jsonl", "\n".join(goods) + "\n")
    return Form(folder / "sequences.txt", None, "sequences")


RENDERERS: tuple[Renderer, ...] = (text_table, text_table, parquet, json_lines, movielens, recbole, sequences)


def _names(rng: Random) -> dict[str, str]:
    """A usual name for each role, in some spelling."""
    found = {}
    for role in ("user_id", "item_id", "timestamp", "rating"):
        name = rng.choice((role, *ALIASES[role]))
        found[role] = rng.choice((name, name.upper(), name.capitalize()))
    return found


def _time_spelling(rng: Random) -> Callable[[int], str]:
    def at(time: int, form: str) -> str:
        return datetime.fromtimestamp(time, UTC).strftime(form)

    return rng.choice(
        (
            str,
            lambda time: str(1000 * time),
            lambda time: f"{time}.0",
            lambda time: at(time, "%Y-%m-%d %H:%M:%S"),
            lambda time: at(time, "%Y-%m-%dT%H:%M:%SZ"),
            lambda time: at(time, "%Y-%m-%d %H:%M"),
            lambda time: at(time, "%Y-%m-%dT%H:%M:%S.000+00:00"),
        )
    )


def csv_text(rng: Random, columns: dict[str, list[Any]], separator: str, end: str) -> str:
    """A table as text; columns in any order, cells quoted as needed or always."""
    order = list(columns)
    if "movieId" not in columns:
        rng.shuffle(order)
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(order)
    writer.writerows(zip(*(columns[name] for name in order), strict=True))
    return out.getvalue()


def _write_text(path: Path, text: str) -> None:
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
