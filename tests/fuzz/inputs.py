"""What an input is, and how each one is made again from (seed, generator, number)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from material import Material

Expected = Literal["refused", "answered", "either"]


@dataclass(frozen=True)
class Input:
    """A command line and what has to come of it.

    Attributes:
        words: after `genrec`.
        about: what is wrong or odd, in words.
        expected: `refused`, exit code 2; `answered`, exit code 0; `either` where nobody can say beforehand.
        told: pieces of which the error line has to hold one; empty: any line will do.
        writes: patterns below the input's folder of what the command may make or change where it ends well.
        makes: patterns of what it may make where it ends well.
        touches: patterns of what it may make or change however it ends, such as a training that goes on.
        answer: takes what was written on stdout and raises AssertionError where it is not the right answer.
        exits: further exit codes that are no fault.
        environment: variables that are set while the command runs.
    """

    words: list[str]
    about: str
    expected: Expected = "either"
    told: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    answer: Callable[[str], None] | None = None
    exits: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


Generator = Callable[[Random, Path, Material], Input]
GENERATORS: dict[str, Generator] = {}


def generator(make: Generator) -> Generator:
    """Enter a generator under its name. Called with a source of chance, an empty folder to fill, and the material."""
    GENERATORS[make.__name__] = make
    return make


def make(seed: int, name: str, number: int, folder: Path, material: Material) -> Input:
    """The input of that number, with its files in `folder`."""
    return GENERATORS[name](Random(f"{seed}/{name}/{number}"), folder, material)
