"""What can be done next with a run, as commands that can be copied."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """Something to do next: what it is for, and its commands one after another."""

    what: str
    commands: tuple[str, ...]


def command(*words: str | Path) -> str:
    """A command of genrec for a shell, with the program as it is called from here."""
    return shlex.join([*program(), *map(str, words)])


def program() -> list[str]:
    """`genrec` where the shell finds this program under that name, else what this one was called by."""
    path = Path(sys.argv[0] if sys.argv else "")
    if path.stem == "__main__":
        return ["python", "-m", "genrec"]
    found = shutil.which("genrec")
    if path.stem != "genrec" or not path.is_file() or (found and os.path.samefile(found, path)):
        return ["genrec"]
    return [str(path)]


def steps_of_run(
    run: Path,
    folder: Path,
    *,
    user: str | None = None,
    history: Sequence[str] = (),
    moved: Sequence[str] = (),
) -> list[Step]:
    """What a run can be asked.

    Args:
        run: its folder.
        folder: where files go that it writes.
        user: somebody whom it knows.
        history: ids of items that a visitor may have looked at.
        moved: words that say where its data lie now.
    """
    steps = []
    if user is not None:
        steps.append(
            Step(
                "Recommend to one user, with reasons",
                (command("recommend", run, "--user", user, "--because", *moved),),
            )
        )
    if history:
        items = [word for item in history for word in ("--history", item)]
        steps.append(
            Step(
                "Recommend to a visitor, from what they look at",
                (command("recommend", run, *items, *moved),),
            )
        )
    everybody = folder / "everybody.parquet"
    return [
        *steps,
        Step(
            "Recommend to everybody, into a file",
            (command("recommend", run, "--users", "all", "--out", everybody, *moved),),
        ),
        Step("Look for what makes its numbers unbelievable", (command("audit", run, *moved),)),
    ]
