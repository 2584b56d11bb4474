"""Ways in which a file comes to harm, each said in words; what is certainly wrong and what may go unnoticed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Random, Path], str | None]  # None: it cannot be done to this file

_STRANGE: tuple[Any, ...] = (
    None,
    [],
    {},
    [[]],
    True,
    -1,
    0,
    1.5,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
)
_STRANGE += ("\x00", "é" * 300, "../../etc/passwd", {"": {}}, [None], "1e5", "null")


def emptied(rng: Random, path: Path) -> str | None:
    path.write_bytes(b"")
    return "empty"


def cut(rng: Random, path: Path) -> str | None:
    content = path.read_bytes()
    if len(content.strip()) < 2:
        return None
    end = rng.randrange(1, len(content.rstrip()))
    path.write_bytes(content[:end])
    return f"cut after {end} of {len(content)} bytes"


def flipped(rng: Random, path: Path) -> str | None:
    content = bytearray(path.read_bytes())
    if not content:
        return None
    places = [rng.randrange(len(content)) for _ in range(rng.choice((1, 1, 4, 30)))]
    for place in places:
        content[place] ^= rng.randrange(1, 256)
    path.write_bytes(content)
    return f"bytes changed at {places[:4]}"


def nonsense(rng: Random, path: Path) -> str | None:
    path.write_bytes(rng.choice((b"nonsense", rng.randbytes(200), b"\x00" * 64, b"\xff\xfe" * 9, b"\n\n")))
    return "nonsense"


def in_utf16(rng: Random, path: Path) -> str | None:
    if not is_text(path):
        return None
    path.write_text(path.read_text(encoding="utf-8"), encoding=rng.choice(("utf-16", "utf-16-be", "utf-32")))
    return "in UTF-16 or UTF-32"


def in_latin1(rng: Random, path: Path) -> str | None:
    if not is_text(path):
        return None
    path.write_bytes(path.read_bytes() + b"# \xe9\xff\n")
    return "with bytes that are no UTF-8"


def deeply_nested(rng: Random, path: Path) -> str | None:
    if not is_text(path):
        return None
    path.write_text(rng.choice(("[", '{"a":')) * 100_000)
    return "100,000 brackets"


def a_folder(rng: Random, path: Path) -> str | None:
    path.unlink()
    path.mkdir()
    return "a folder in its place"


def a_loop(rng: Random, path: Path) -> str | None:
    path.unlink()
    path.symlink_to(path.name)
    return "a link to itself"


def deleted(rng: Random, path: Path) -> str | None:
    path.unlink()
    return "deleted"


def another_value(rng: Random, path: Path) -> str | None:
    """JSON or YAML whose whole, or whose value at some place, is something else or gone."""
    if path.suffix not in (".json", ".yaml"):
        return None
    import yaml

    def parsed() -> Any:
        return yaml.safe_load(path.read_text()) if path.suffix == ".yaml" else json.loads(path.read_text())

    value = parsed()
    strange = rng.choice(_STRANGE)
    parent, key, place = value, None, ""
    while isinstance(value, dict | list) and value and (key is None or rng.random() < 0.6):
        parent, key = value, rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        place, value = f"{place}.{key}", parent[key]
    whole = parsed()
    told = f"{strange!r:.40} in place of {place[1:] or 'all'}"
    if key is None or rng.random() < 0.1:
        whole, told = strange, f"{strange!r:.40} in place of all"
    else:
        inner = whole
        *parents, last = _steps(whole, place)
        for step in parents:
            inner = inner[step]
        if rng.random() < 0.3:
            del inner[last]
            told = f"without {place[1:]}"
        else:
            inner[last] = strange
    if repr(whole) == repr(parsed()):
        return None
    text = (
        yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
        if path.suffix == ".yaml"
        else json.dumps(whole)
    )
    path.write_text(text)
    return told


def _steps(whole: Any, place: str) -> list[Any]:
    """Keys from the root to `place`, as in `.config.epochs`; keys may hold dots themselves."""
    steps: list[Any] = []
    rest = place
    while rest:
        keys = list(whole) if isinstance(whole, dict) else list(range(len(whole)))
        step = max(
            (key for key in keys if rest == f".{key}" or rest.startswith(f".{key}.")),
            key=lambda key: len(str(key)),
        )
        steps.append(step)
        whole, rest = whole[step], rest[len(str(step)) + 1 :]
    return steps


def other_tensors(rng: Random, path: Path) -> str | None:
    """Safetensors with a tensor that is gone, renamed, of another shape or type, or not finite."""
    if path.suffix != ".safetensors":
        return None
    tensors = load_file(path)
    if not tensors:
        return None
    name = rng.choice(sorted(tensors))
    value = tensors.pop(name)
    how = rng.choice(("gone", "renamed", "transposed", "longer", "of float64", "not finite", "zero", "empty"))
    if how == "renamed":
        tensors[name + "x"] = value
    elif how != "gone":
        tensors[name] = {
            "transposed": lambda: value.T.contiguous() if value.ndim == 2 else value[None],
            "longer": lambda: torch.cat([value.flatten(), value.flatten()]),
            "of float64": lambda: value.to(torch.float64 if value.dtype != torch.float64 else torch.int8),
            "not finite": lambda: (value.float() * float("nan")).to(value.dtype),
            "zero": lambda: torch.full_like(value, 1 if not value.any() else 0),
            "empty": lambda: value.flatten()[:0],
        }[how]()
    save_file(tensors, path)
    return f"tensor {name} {how}"


def a_wrong_header(rng: Random, path: Path) -> str | None:
    """Safetensors that promise a header of another length."""
    if path.suffix != ".safetensors":
        return None
    content = path.read_bytes()
    length = rng.choice((0, 1, 2**63, 2**32, len(content) * 2, 100_000_001))
    path.write_bytes(length.to_bytes(8, "little") + content[8:])
    return f"a header of {length} bytes promised"


def another_table(rng: Random, path: Path) -> str | None:
    """Parquet with a column or row that is gone, repeated, empty or of another type."""
    if path.suffix != ".parquet":
        return None
    table = pl.read_parquet(path)
    name = rng.choice(table.columns)
    how = rng.choice(
        ("without", "as text", "null", "as a list", "fewer rows", "no rows", "rows twice", "upside down")
    )
    table = {
        "without": lambda: table.drop(name),
        "as text": lambda: (
            table.with_columns(pl.format("{}x", pl.col(name).cast(pl.String, strict=False)))
            if not table.schema[name].is_nested()
            else table.with_columns(pl.lit("x").alias(name))
        ),
        "null": lambda: table.with_columns(pl.lit(None).alias(name)),
        "as a list": lambda: table.with_columns(pl.lit([[1]]).alias(name)),
        "fewer rows": lambda: table.head(table.height - 1),
        "no rows": lambda: table.clear(),
        "rows twice": lambda: pl.concat([table, table]),
        "upside down": lambda: table.reverse(),
    }[how]()
    table.write_parquet(path)
    return f"{how} {name}" if how in ("without", "as text", "null", "as a list") else how


CERTAIN = (emptied, cut, nonsense, in_utf16, deeply_nested, a_folder, a_loop, deleted)
CHANGED = (flipped, in_latin1, another_value, another_value, other_tensors, a_wrong_header, another_table)


def is_text(path: Path) -> bool:
    return path.suffix in (".json", ".yaml", ".jsonl", ".txt", ".csv", ".tsv")


def copy_run(run: Path, to: Path) -> Path:
    """A copy of a run that an input may damage."""
    shutil.copytree(run, to)
    return to


def replaced(path: Path, by: Path) -> str | None:
    """Put another file in the place of this one; None where that is the same."""
    if not by.is_file() or by.read_bytes() == path.read_bytes():
        return None
    os.replace(shutil.copy(by, path.with_name(".new")), path)
    return f"taken from {by.parent.parent.name}"
