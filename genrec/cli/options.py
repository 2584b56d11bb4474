"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print only JSON on stdout.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `genrec train` wrote.")]
MovedData = Annotated[
    str | None, typer.Option("--data", metavar="PATH", help="Where the run's data lie now, if moved.")
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="leave-one-out|temporal",
        help="How targets are held out; leave-one-out by default.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        max=100_000,
        help="Users ranked at once; what the run's option ranking_batch says by default.",
    ),
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Search on until every list is proven, however long that takes.")
]


def pair(word: str, option: str, example: str) -> tuple[str, str]:
    """The two sides of `name=value`.

    Raises:
        ConfigError: no equals sign, or nothing on one side of it.
    """
    name, _, value = word.partition("=")
    if not name or not value:
        raise ConfigError(f"{option} {word!r} has no two sides; write it as in {option} {example}")
    return name, value
