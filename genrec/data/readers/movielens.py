"""MovieLens: 100K, 1M (and 10M), latest/20M/25M/32M. Harper & Konstan 2015, https://doi.org/10.1145/2827872

Publisher: https://grouplens.org/datasets/movielens/
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from genrec.data import packed
from genrec.data.readers import table
from genrec.data.readers.columns import standard
from genrec.data.readers.item_fields import NO_GENRES
from genrec.data.readers.source import (
    Items,
    Layout,
    Log,
    Options,
    bare_name,
    first_file,
    first_line,
    start_of,
)
from genrec.errors import DataError, shown

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)
RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")


def _find_100k(path: Path) -> Path | None:
    if path.is_dir():
        return first_file(path, ["u.data"])
    return path if path.is_file() and bare_name(path) == "u.data" else None


def _read_100k(path: Path, options: Options) -> Log:
    return _read_bare(path, "\t")


def _find_1m(path: Path) -> Path | None:
    if path.is_dir():
        return first_file(path, ["ratings.dat"])
    fits = path.is_file() and bare_name(path).endswith(".dat") and first_line(path).count("::") == 3
    return path if fits else None


def _read_1m(path: Path, options: Options) -> Log:
    return _read_bare(path, "::")


def _read_bare(path: Path, separator: str) -> Log:
    """Ratings without a header."""
    width = len(first_line(path).split(separator))
    if width != len(RATING_COLUMNS):
        raise DataError(f"line 1 of {path.name} has {width} fields, and {len(RATING_COLUMNS)} are needed")
    frame = table.read_csv(path, separator, names=RATING_COLUMNS, quote=None)
    roles = {name: name for name in RATING_COLUMNS}
    table.check_fields(frame, roles, path, separator, quote=None)
    return standard(frame, roles, path.name, lambda row: f"line {row + 1 + start_of(path)[0]} of {path.name}")


def _find_csv(path: Path) -> Path | None:
    file = first_file(path, ["ratings.csv"]) if path.is_dir() else path
    if file is None or not file.is_file() or not bare_name(file).endswith(".csv"):
        return None
    return file if first_line(file).replace('"', "").startswith("userId,movieId") else None


def items_100k(path: Path) -> Items:
    """Items of `u.item`: id, title, year, and the genres whose flag is 1.

    Raises:
        DataError: a line with another number of fields.
    """
    rows = []
    lines, notes = _lines(path)
    for number, line in lines:
        cells = line.split("|")
        if len(cells) != 5 + len(GENRES_100K):
            raise DataError(
                f"line {number} of {path.name} has {len(cells)} fields, not {5 + len(GENRES_100K)}"
            )
        genres = [name for name, flag in zip(GENRES_100K, cells[5:], strict=True) if flag == "1"]
        rows.append((cells[0], cells[1], genres))
    return Items(with_year(_films(rows)), path.name, notes=notes)


def items_1m(path: Path) -> Items:
    """Items of `movies.dat`: id, title, year, genres.

    Raises:
        DataError: a line with fewer than three fields.
    """
    rows = []
    lines, notes = _lines(path)
    for number, line in lines:
        if line.count("::") < 2:
            raise DataError(f"line {number} of {path.name} is {shown(line)}, not id::title::genres")
        item_id, rest = line.split("::", 1)
        title, genres = rest.rsplit("::", 1)
        rows.append((item_id, title, [genre for genre in genres.split("|") if genre and genre != NO_GENRES]))
    return Items(with_year(_films(rows)), path.name, notes=notes)


def _lines(path: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """Lines with their numbers, from 1, and a note where they are not UTF-8.

    100K and 1M are Latin-1, 10M and what others publish in their form is UTF-8, and some files are both. So each line
    is UTF-8 if it can be, else Windows-1252, which holds Latin-1's letters and more.

    Raises:
        DataError: the file is empty, or a line is in neither encoding.
    """
    lines, foreign = [], 0
    for number, raw in enumerate(packed.read_bytes(path, copies=8).split(b"\n"), start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            foreign += 1
            line = _windows_1252(raw, f"line {number} of {path.name}")
        if line.strip():
            lines.append((number, line.rstrip("\r")))
    if not lines:
        raise DataError(f"{path.name} is empty")
    note = f"{foreign:,} of {len(lines):,} lines of {path.name} are not UTF-8 and were read as Latin-1"
    return lines, [note] if foreign else []


def _windows_1252(raw: bytes, place: str) -> str:
    try:
        return raw.decode("windows-1252")
    except UnicodeDecodeError:
        raise DataError(f"{place} is neither UTF-8 nor Latin-1 text: save the file as UTF-8") from None


def _films(rows: list[tuple[str, str, list[str]]]) -> pl.DataFrame:
    schema = {"item_id": pl.String(), "title": pl.String(), "genres": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_year(films: pl.DataFrame) -> pl.DataFrame:
    """Films with the year that stands in brackets at the end of their title."""
    year = pl.col("title").str.extract(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$").cast(pl.Int32)
    return films.with_columns(year=year)


def _beside(name: str) -> Callable[[Path], Path | None]:
    return lambda path: first_file(path.parent, [name])


LAYOUT_100K = Layout("movielens-100k", "u.data, u.item", _find_100k, _read_100k, _beside("u.item"))
LAYOUT_1M = Layout(
    "movielens-1m", "ratings.dat, movies.dat (`::` between fields)", _find_1m, _read_1m, _beside("movies.dat")
)
LAYOUT_CSV = Layout(
    "movielens-csv",
    "ratings.csv, movies.csv (latest, 20M, 25M, 32M)",
    _find_csv,
    table.read,
    _beside("movies.csv"),
    header=True,
)
