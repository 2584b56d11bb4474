"""Every option of every recommender with extremes and wrong types, made from the configurations themselves."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from genrec.recommenders.base import recommenders
from genrec.testing.option_types import plain_types
from inputs import Expected, Input, generator
from material import Material, train_words
from pydantic.fields import FieldInfo

_LONG = "x" * 100_000
ODD = [
    "",
    '""',
    "abc",
    "[]",
    "{}",
    "[[]]",
    "true",
    "null",
    ".nan",
    ".inf",
    "-.inf",
    "12:30:45",
    "#1",
    _LONG,
    "2.5",
]
_WITHOUT_GROUP = {"code.length": "code_length", "backbone.path": "backbone"}
NUMBERS = ["0", "-1", "1", "1e9", str(10**9), str(10**30), "1.0", '"3"']


@generator
def options(rng: Random, folder: Path, material: Material) -> Input:
    """`genrec train` with one option of one recommender changed."""
    name = rng.choice(sorted(recommenders()))
    return option_input(material.shop, *rng.choice(cases()[name]))


def option_input(shop: Path, name: str, option: str, text: str, expected: Expected) -> Input:
    """Training a small model where `option` is `text`."""
    ours = {option, option.rpartition(".")[2], _WITHOUT_GROUP.get(option)}
    words = [word for word in train_words(name, shop, Path("run")) if word.split("=")[0] not in ours]
    words.insert(2, f"{option}={text}")
    told = (option.partition(".")[0],) if expected == "refused" else ()
    return Input(words, f"train {name} {option}={text[:60]}", expected, told, writes=("run", "run/*"))


@cache
def cases() -> dict[str, list[tuple[str, str, str, Expected]]]:
    """By recommender: its name, an option, a value, and whether it has to be refused."""
    return {
        name: [
            (name, option, text, expected)
            for option, field in cls.Config.all_options().items()
            for text, expected in _values(field)
            # Ten thousand passes are a choice, and what would end them sooner is not everywhere.
            if not option.endswith((".epochs", ".min_steps"))
            or "max_steps" in cls.Config.names()
            or expected == "refused"
        ]
        + [(name, "no_such_option", "1", "refused"), (name, "seed.deeper", "1", "refused")]
        for name, cls in sorted(recommenders().items())
    }


def _values(field: FieldInfo) -> Iterator[tuple[str, Expected]]:
    """Values of an option as they would be typed, each with whether it has to be refused."""
    found: dict[str, Expected] = {text: "either" for text in [*ODD, *NUMBERS]}
    kinds = dict(plain_types(field.annotation, field.metadata, inside=False))
    for kind, metadata in kinds.items():
        if kind in (int, float):
            found |= _around(kind, metadata)
        if typing.get_origin(kind) is typing.Literal:
            found |= {json.dumps(value): "either" for value in typing.get_args(kind)}
    if bool in kinds:
        found |= {"true": "either", "false": "either"}
    if not {str, tuple, dict} & set(kinds):
        found |= {text: "refused" for text in ("", '""', "[]", "{}", "[[]]", "12:30:45", _LONG)}
    if int in kinds or float in kinds:
        found |= {text: "refused" for text in ("abc", "true", ".nan", ".inf", "-.inf", str(10**30), '"3"')}
    yield from found.items()


def _around(kind: type, metadata: list[Any]) -> dict[str, Expected]:
    """A number's bounds and what lies just outside them."""
    step = 1 if kind is int else 1e-6
    found: dict[str, Expected] = {}
    for told in metadata:
        for name, sign in (("ge", -1), ("gt", -1), ("le", 1), ("lt", 1)):
            bound = getattr(told, name, None)
            if bound is None:
                continue
            bound = kind(bound)
            found[repr(bound)] = "either" if name in ("ge", "le") else "refused"
            outside = bound + sign * (step if kind is int else max(step, abs(bound) * step))
            found[repr(outside)] = "refused"
            inside = bound - sign * step if kind is int else math.nextafter(bound, -sign * math.inf)
            found[repr(inside)] = "either"
    return found
