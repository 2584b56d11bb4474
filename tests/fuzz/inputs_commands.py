"""Command lines with something wrong in them, drawn from the commands' own declarations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, get_args

import damage
import typer
from genrec.cli.main import app
from inputs import Expected, Input, generator
from material import ASKED, HISTORY, Material

_SHOP = ["--data", "sales.csv", "--items", "goods.csv"]
_ITEM, _REVIEW = ["--user", "u1", "--item", "i2"], ["--review", "My tuner came. It works."]
_BASES: dict[str, list[list[str]]] = {  # good command lines of each
    "train": [["popular", *_SHOP, "--out", "made"]],
    "evaluate": [["run"], ["run", "--users", "5"], ["--rankings", "run/rankings-test.parquet", *_SHOP]],
    "compare": [["run", "other"], ["run", "other", "run/rankings-test.parquet", "--out", "made.html"]],
    "audit": [["run"], ["sales.csv", "--items", "goods.csv"], ["table.csv"]],
    "bench": [["run", "--seconds", "0.001"]],
    "ask": [
        ["run", "recommend", *HISTORY],
        ["run", "rank", "--user", "u2", "--candidate", "i2", "--candidate", "i3"],
        *(["asked", task, *_ITEM] for task in ("rating", "explain")),
        *(["asked", task, *_REVIEW] for task in ("headline", "rating-from-review")),
    ],
    "recommend": [
        ["run", *HISTORY],
        ["run", "--user", "u1", "--why", "--only", "genres=music", "--exclude", "i2"],
        ["run", "--users", "all", "--out", "made.parquet"],
    ],
    "recommenders": [[]],
    "demo": [[*_SHOP, "--recipe", "popular", "--out", "made"]],
    "data show": [["sales.csv"], ["sales.csv", "--items", "goods.csv", "--k-core", "2"]],
    "data get": [["--list"], ["ml-100k", "--out", "made"]],
    "backbone list": [["--json"]],
    "data synthetic": [["--out", "made", "--users", "20"]],
}
_SLOW = {"bench --seconds", "demo --recipe", "train what"}  # what a good value may make slow stays as it is
_NUMBERS = ("-1", "0", "1", "3", "1000000", "99999999999999999999", "-9223372036854775809", "2147483648")
_NO_NUMBERS = ("", " ", "many", "1e3x", "0x10", "1.5.2", "[1]", "NaN%", "١٢x", "--", "1,000")
_FLOATS = (*_NUMBERS, "nan", "inf", "-inf", "1e308", "-1e-308", "2.5")
_TEXTS = (
    *(
        "",
        " ",
        "\t",
        "x",
        "x" * 5000,
        "a\nb",
        "a\rb",
        "\x1b[31mred",
        "ü→漢",
        "i1",
        "u1",
        "user_id=uid",
        "=",
        "a=b",
    ),
    *(
        "item_id=item_id",
        "user_id=text",
        "genres=music",
        "price=3",
        "title=x",
        "\udcff",
        "'",
        '"',
        "%s",
        "{}",
        "\\",
    ),
    *(
        "[link=x]",
        "recommend",
        "rank",
        "rating",
        "test",
        "validation",
        "all",
        "seen",
        "drop",
        "id",
        "leave-one-out",
    ),
    *(
        "temporal",
        "table",
        "movielens-csv",
        "amazon-2014",
        "sequential,rating",
        "-",
        "1",
        "nan",
        "None",
        "synthetic",
    ),
)
_PATHS = (
    *(
        "missing",
        "missing.csv",
        "missing.html",
        "missing.parquet",
        "missing.md",
        "",
        "empty",
        "thesis",
        "run",
        "other",
    ),
    *(
        "thesis/notes.txt",
        "thesis.html",
        "thesis.md",
        "thesis.parquet",
        "thesis.csv",
        "sales.csv",
        "goods.csv",
    ),
    *(
        "thesis.html/inside.html",
        "n" * 300 + ".csv",
        "a/" * 2500 + "b",
        "new\nline.csv",
        "ünï cødé.csv",
        "\udcff.csv",
    ),
    *(
        "~",
        ".",
        "..",
        "loop",
        "loop.csv",
        "zero.csv",
        "run/config.yaml",
        "run/model",
        "made.html",
        "made.parquet",
    ),
    *(
        "made.md",
        "made",
        "empty.csv",
        "empty.parquet",
        "synthetic",
        "binary.csv",
        "binary.parquet",
        "table.csv",
    ),
)


@generator
def commands(rng: Random, folder: Path, material: Material) -> Input:
    """A good command line in which one to three things are changed."""
    _furnish(rng, folder, material)
    name = rng.choice(sorted(_BASES))
    words, told, expected = name.split() + rng.choice(_BASES[name]), [], set()
    if "asked" in words:
        damage.copy_run(material.runs[ASKED], folder / "asked")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        words, what, wrong = _changed(rng, name, words)
        told.append(what)
        expected.add(wrong)
    if len(told) > 1 and any(what.startswith(("--", "and ", "unknown")) for what in told):
        expected.discard("refused")  # one change may have become the value of another
    measured = "run/metrics.json", "run/rankings-*.parquet"
    return Input(
        words,
        f"{name}: {'; '.join(told)}: {words!r:.300}",
        "refused" if "refused" in expected else "either",
        writes=measured if name == "evaluate" else (),
        makes=("*",),
        touches=("made", "made/.ml-100k.download*")
        if name == "data get"
        else (),  # the next try goes on there
        exits=(1,) if name == "audit" else (),
    )


def _furnish(rng: Random, folder: Path, material: Material) -> None:
    """Good inputs, things of other people, and odd files."""
    for name in ("sales.csv", "goods.csv"):
        (folder / name).write_bytes((material.shop / name).read_bytes())
    damage.copy_run(material.runs["popular"], folder / "run")
    damage.copy_run(material.runs["itemknn"], folder / "other")
    (folder / "empty").mkdir()
    (folder / "thesis").mkdir()
    for name in ("thesis/notes.txt", "thesis.html", "thesis.md", "thesis.parquet", "thesis.csv"):
        (folder / name).write_text("years of work\n")
    if rng.random() < 0.3:  # names that a careless program takes for its own
        for name in ("made.html.tmp", "made.md.tmp", "made.parquet.tmp", "made.parquet.parts"):
            (folder / name).write_text("years of work\n")
    for name in ("empty.csv", "empty.parquet"):
        (folder / name).touch()
    for name in ("binary.csv", "binary.parquet"):
        (folder / name).write_bytes(rng.randbytes(300))
    (folder / "table.csv").write_text("model,HR@5,HR@10,NDCG@10\nours,0.1,0.2,0.15\ntheirs,0.3,0.2,0.1\n")
    for name in ("loop", "loop.csv"):
        (folder / name).symlink_to(name)
    (folder / "zero.csv").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.csv")


def _changed(rng: Random, name: str, words: list[str]) -> tuple[list[str], str, Expected]:
    """The words with one thing changed, what that is, and what has to come of it."""
    options = list(_options(name))
    how = rng.choice(
        ("value", "value", "value", "value", "bare", "unknown", "dropped", "twice", "argument", "extra")
    )
    option = rng.choice(options) if options else None
    if how in ("value", "bare", "twice") and option is None:
        how = "unknown"
    if how == "unknown":
        word = rng.choice(("--no-such", "-z", "--dta", "--", "-", "--k-cor=3", "--=", "--out="))
        return [*words, word], f"unknown {word}", "refused" if word.startswith("--no") else "either"
    if how == "dropped":
        at = rng.randrange(len(words))
        return words[:at] + words[at + 1 :], f"without {words[at]}", "either"
    if how == "extra":
        word = rng.choice((*_TEXTS, *_PATHS))
        return [*words, word], f"and {word!r:.40}", "either"
    if how == "argument":
        return _other_argument(rng, name, words)
    assert option is not None
    if option.is_flag:
        return [*words, option.opts[0]], f"with {option.opts[0]}", "either"
    if how == "bare":
        return [*words, option.opts[0]], f"{option.opts[0]} without a value", "refused"
    first, wrong = _value(rng, option)
    if how == "twice" and first not in words:
        second, also = _value(rng, option)
        several = "list" in str(option.type_descriptor.annotation) or first == second
        expected: Expected = "refused" if "refused" in (wrong, also) or not several else "either"
        added = [option.opts[0], first, option.opts[0], second]
        return [*words, *added], f"{option.opts[0]} twice", expected
    if f"{name} {option.opts[0]}" in _SLOW and wrong != "refused":
        first, wrong = "many", "either"
    if option.opts[0] in words:
        at = words.index(option.opts[0]) + 1
        return [*words[:at], first, *words[at + 1 :]], f"{option.opts[0]} {first!r:.40}", wrong
    return [*words, option.opts[0], first], f"{option.opts[0]} {first!r:.40}", wrong


def _other_argument(rng: Random, name: str, words: list[str]) -> tuple[list[str], str, Expected]:
    """Something else in the place of an argument that is no option."""
    start = len(name.split())
    places = [at for at in range(start, len(words)) if not words[at].startswith("-")]
    if not places:
        return [*words, "argument"], "and an argument", "either"
    at = rng.choice(places)
    if {f"{name} {words[at - 1]}", f"{name} what"} & _SLOW and words[at] not in ("sales.csv", "goods.csv"):
        return [*words, "argument"], "and an argument", "either"
    word = rng.choice((*_PATHS, *_TEXTS))
    return [*words[:at], word, *words[at + 1 :]], f"{word!r:.40} in place of {words[at]}", "either"


def _options(name: str) -> Iterator[Any]:
    """The declared options of a command."""
    command: Any = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    return (parameter for parameter in command.params if parameter.opts[0].startswith("-"))


def _value(rng: Random, option: Any) -> tuple[str, Expected]:
    """A value for an option: one that its type does not know, or an odd one that it does."""
    annotation = option.type_descriptor.annotation
    kinds = {annotation, *get_args(annotation)}
    if kinds & {int, float}:
        if rng.random() < 0.3:
            return rng.choice(_NO_NUMBERS), "refused"
        return rng.choice(_NUMBERS if int in kinds else _FLOATS), "either"
    if Path in kinds or option.metavar == "PATH":
        pool = _PATHS if rng.random() < 0.97 else ("pipe.csv",)
        return rng.choice(pool), "either"
    return rng.choice(_TEXTS), "either"
