"""Logs and items in every form that the readers know: whole ones, and the same with one thing wrong."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import damage
import polars as pl
import tables
from inputs import Expected, Input, generator
from material import Material

_Harm = Callable[[Random, Path], str | None]


@generator
def spellings(rng: Random, folder: Path, material: Material) -> Input:
    """The same data in any form are the same data."""
    content = tables.Content.drawn(rng)
    form = rng.choice(tables.RENDERERS)(rng, content, folder)
    return Input(_words(form), form.about, "answered", answer=fingerprint(content))


@generator
def frames(rng: Random, folder: Path, material: Material) -> Input:
    """The same data as a pandas or polars frame."""
    content = tables.Content.drawn(rng)
    frame, about = tables.typed_frame(rng, content)
    library = rng.choice(("pandas", "polars"))
    frame.write_parquet(folder / "log.parquet")
    pl.DataFrame({"item_id": list(content.titles), "title": list(content.titles.values())}).write_parquet(
        folder / "goods.parquet"
    )
    words = ["@frame", library, "log.parquet", "goods.parquet"]
    return Input(words, f"{library} {about}", "answered", answer=fingerprint(content))


@generator
def logs(rng: Random, folder: Path, material: Material) -> Input:
    """Data with one thing wrong."""
    content = tables.Content.drawn(rng)
    form = rng.choice(tables.RENDERERS)(rng, content, folder)
    files = sorted(path for path in folder.iterdir())
    log = next(path for path in files if form.log in (path, path.parent) and not _of_items(path))
    path = log if rng.random() < 0.7 else rng.choice(files)
    while True:
        how = rng.choice((*_WRONG, *_ODD, *_HARMLESS))
        about = how(rng, path)
        if about is not None:
            break
    expected: Expected = "refused" if how in _WRONG else "answered" if how in _HARMLESS else "either"
    return Input(
        _words(form),
        f"{form.about}: {path.name} {about}",
        expected,
        (path.name, path.parent.name) if expected == "refused" else (),
        answer=fingerprint(content) if expected == "answered" else None,
    )


def _of_items(path: Path) -> bool:
    return bool(re.match(r"goods|meta_|movies|items|.*business|.*\.item$", path.name))


def _words(form: tables.Form) -> list[str]:
    items = [] if form.items is None else ["--items", str(form.items)]
    return ["data", str(form.log), *items, "--json", *form.options]


def fingerprint(content: tables.Content) -> Callable[[str], None]:
    def check(out: str) -> None:
        found = json.loads(out)["fingerprint"]
        assert found == content.fingerprint, f"fingerprint {found}, not {content.fingerprint}"

    return check


def _text(path: Path) -> list[str] | None:
    """Lines of a text file, packed or not."""
    if path.suffix == ".parquet":
        return None
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode().split("\n")


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def empty(rng: Random, path: Path) -> str | None:
    path.write_bytes(b"")
    return "empty"


def not_packed(rng: Random, path: Path) -> str | None:
    """Text under a name that ends in .gz."""
    if path.suffix != ".gz":
        return None
    path.write_bytes(gzip.decompress(path.read_bytes()))
    return "is not packed"


def packed_unsaid(rng: Random, path: Path) -> str | None:
    """Packed under a name that does not say so."""
    if path.suffix in (".parquet", ".gz"):
        return None
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return "is packed, and its name does not say so"


def cut_archive(rng: Random, path: Path) -> str | None:
    if path.suffix not in (".gz", ".parquet"):
        return None
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])
    return "cut"


def utf16(rng: Random, path: Path) -> str | None:
    lines = _text(path)
    if lines is None:
        return None
    _put(path, "\n".join(lines).encode("utf-16"))
    return "in UTF-16"


def nonsense(rng: Random, path: Path) -> str | None:
    _put(path, bytes(rng.choice(range(128, 256)) for _ in range(300)))
    return "nonsense"


def header_alone(rng: Random, path: Path) -> str | None:
    lines = _text(path)
    if lines is None or path.name.endswith((".dat", ".txt")) or "json" in path.name or _of_items(path):
        return None
    _put(path, (lines[0].rstrip("\r") + "\n").encode())
    return "has a header alone"


def a_cell_more(rng: Random, path: Path) -> str | None:
    lines = _text(path)
    if (
        lines is None
        or len(lines) < 4
        or not path.name.endswith((".csv", ".tsv", ".inter", ".csv.gz", ".tsv.gz"))
    ):
        return None
    separator = max(",;\t|", key=lines[0].count)
    at = rng.randrange(1, len(lines) - 1)
    lines[at] = lines[at].rstrip("\r") + separator + "more"
    _put(path, "\n".join(lines).encode())
    return f"line {at + 1} has a field more"


def broken_json(rng: Random, path: Path) -> str | None:
    lines = _text(path)
    if lines is None or "json" not in path.name:
        return None
    at = rng.randrange(len(lines) - 1)
    line = lines[at]
    lines[at] = rng.choice(
        (line[:-1], line[: len(line) // 2], f"[{line}]", "null", "12", "{", "[" * 50_000, line + "}")
    )
    _put(path, "\n".join(lines).encode())
    return f"line {at + 1} is {lines[at][:20]!r}"


def other_types(rng: Random, path: Path) -> str | None:
    """A column of the log of a type that holds no ids or no times."""
    if path.suffix != ".parquet" or _of_items(path):
        return None
    table = pl.read_parquet(path)
    ids = [
        name for name in table.columns if table[name].dtype == pl.String and "-" not in str(table[name][0])
    ]
    name = rng.choice(ids or table.columns[:1])
    strange = rng.choice(([1, 2], {"a": 1}, True, 1.5, b"\x00\xff"))
    table.with_columns(pl.Series(name, [strange] * table.height)).write_parquet(path)
    return f"column {name} holds {strange!r}"


_WRONG: tuple[_Harm, ...] = (
    *(empty, cut_archive, utf16, nonsense, header_alone, a_cell_more, broken_json, other_types),
)
_HARMLESS: tuple[_Harm, ...] = (not_packed, packed_unsaid)  # what a file holds counts, not what its name says


def bytes_changed(rng: Random, path: Path) -> str | None:
    return damage.flipped(rng, path)


def cells_changed(rng: Random, path: Path) -> str | None:
    """One to three cells of a text hold something else."""
    lines = _text(path)
    if lines is None:
        return None
    told = []
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        parts = re.split(r"(::|[,;\t|: ])", lines[at])
        place = rng.randrange(0, len(parts), 2)
        parts[place] = rng.choice(_CELLS)
        lines[at] = "".join(parts)
        told.append(f"line {at + 1}: {lines[at]!r:.60}")
    _put(path, "\n".join(lines).encode("utf-8", "surrogatepass"))
    return "; ".join(told)


_CELLS = (
    *(
        "",
        " ",
        '"',
        "'",
        "\x00",
        "NaN",
        "inf",
        "-1",
        "1e400",
        "99999999999999999999",
        "0x1F",
        "None",
        "null",
        "\ud800",
    ),
    *(
        "yesterday",
        "12:30:45",
        "31/12/2020",
        "2020-13-01",
        "2020-02-30",
        "1970-01-01",
        "-99999",
        "[]",
        "{}",
        "\r",
    ),
    *("x" * 100_000, "é", "\u2028", "\ufeff", "user_id", "item_id", "true", "1.5", "007", "\\", "\\N", "#"),
)


def lines_moved(rng: Random, path: Path) -> str | None:
    """Lines that are gone, repeated, joined or blank."""
    lines = _text(path)
    if lines is None or len(lines) < 3:
        return None
    at = rng.randrange(len(lines) - 1)
    how = rng.choice(("gone", "repeated", "joined", "blank", "first again"))
    lines[at : at + 1] = {
        "gone": [],
        "repeated": [lines[at]] * 3,
        "joined": [lines[at] + " " + lines.pop(at + 1)] if how == "joined" else [],
        "blank": ["", "  ", lines[at]],
        "first again": [lines[0], lines[at]],
    }[how]
    _put(path, "\n".join(lines).encode())
    return f"line {at + 1} {how}"


def columns_changed(rng: Random, path: Path) -> str | None:
    """Parquet with a column that is gone, empty, twice as wide or of another type."""
    return damage.another_table(rng, path)


_ODD: tuple[_Harm, ...] = (bytes_changed, cells_changed, cells_changed, lines_moved, columns_changed)
