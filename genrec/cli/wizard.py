"""`genrec data PATH --wizard`: what the columns of a table seem to be, and the command that says so."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from genrec.cli.data_options import DataOptions
from genrec.cli.terminal import print_table, stderr, stdout
from genrec.errors import GenrecError

if TYPE_CHECKING:
    from genrec.data.proposal import Proposal

WHAT = {
    "user_id": "who took it",
    "item_id": "what was taken",
    "timestamp": "when",
    "title": "what it is called",
    "order_id": "in which order",
}


def propose_columns(path: str, given: DataOptions) -> None:
    """Print the columns with some values and the roles that they may play, and a command to train with them.

    On a terminal each role is asked for, with the proposal as the answer to nothing.

    Raises:
        DataError: no table, or one that cannot be read.
    """
    from genrec.data.proposal import propose
    from genrec.data.readers.source import Options

    options = given.source(path).options
    columns = options.get("columns", {})
    told = {name: options[name] for name in ("ordered", "dates", "orders") if name in options}
    found = propose(Path(path), Options(columns, **told))
    rows = [
        (
            column.name,
            f"{column.role}{'' if column.usual or not column.role else ' ?'}",
            " | ".join(column.examples),
        )
        for column in found.columns
    ]
    print_table(["column", "role", "examples"], rows, path)
    roles, more = found.roles, dict[str, str | bool]()
    if found.dates:
        stdout().print(f"dates: {found.dates}")
    if _somebody_is_there():
        known = {"timestamp"} if options.get("ordered") else set()
        known |= {"order_id"} if options.get("orders") in ("time", "none") else set()
        roles, more = _asked(found, known)
    elif found.dates:
        more["dates"] = "DAY-FIRST-OR-MONTH-FIRST"
    usual = {column.role: column.name for column in found.columns if column.usual}
    missing = [role for role in found.missing if role not in roles]
    if more.get("ordered") or options.get("ordered"):
        missing = [role for role in missing if role != "timestamp"]
    left_out = [role for role, name in columns.items() if name is None]
    left_out += [role for role in usual if role not in roles]
    words = [f"{role}={name}" for role, name in roles.items() if usual.get(role) != name]
    words += [f"{role}=" for role in dict.fromkeys(left_out)]
    settled = DataOptions({**given, **more, "column": words})
    if missing:
        stdout().print(
            f"no column seems to be {' or '.join(missing)}: put its name in the place of NAME"
            + (", or say --ordered if the rows stand in time order" if "timestamp" in missing else "")
        )
    elif not found.dates or more.get("dates") in ("day-first", "month-first"):
        _try(path, settled)
    words += [f"{role}=NAME" for role in missing]
    stdout().print("train with it, `?` marking what is guessed from values and parts of names:")
    stdout().print("  " + _command(path, settled))


def _try(path: str, options: DataOptions) -> None:
    """Read the data so, and tell how many there are, or why not."""
    try:
        counts = options.source(path).read(tell=False).summary()
    except GenrecError as error:
        stdout().print(f"read so, it says: {error}")
        return
    stdout().print(
        f"read so, there are {counts['num_users']:,} users, {counts['num_items']:,} items and "
        f"{counts['num_interactions']:,} interactions"
    )


def _command(path: str, options: DataOptions) -> str:
    words = ["genrec", "train", "genrec", "--data", path]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] * value
        else:
            words += [
                part for one in (value if isinstance(value, list) else [value]) for part in (option, str(one))
            ]
    return shlex.join([*words, "--out", f"runs/{Path(path).name.partition('.')[0]}"])


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and stderr().is_terminal


def _asked(found: Proposal, known: Collection[str]) -> tuple[dict[str, str], dict[str, str | bool]]:
    """The roles, but for `known` ones, and options that a person at the terminal chooses."""
    names = [column.name for column in found.columns]
    roles, more = dict(found.roles), dict[str, str | bool]()
    for role, what in WHAT.items():
        if role in known:
            continue
        needed = role in ("user_id", "item_id")
        without = "- if the rows stand in time order" if role == "timestamp" else "- for none"
        question = f"{role}: the column that says {what}{'' if needed else f', {without}'}"
        name = ""
        while name not in names:
            name = typer.prompt(question, default=roles.get(role, "" if not needed else None), err=True)
            if name.strip() in ("", "-") and not needed:
                break
            if name not in names:
                stderr().print(f"there is no column {name!r}; it is one of {', '.join(names)}")
        if name in names:
            roles[role] = name
        else:
            roles.pop(role, None)
            more |= {"ordered": True} if role == "timestamp" else {}
    if found.dates and roles.get("timestamp") == found.roles.get("timestamp"):
        first = ""
        while first not in ("day", "month"):
            first = typer.prompt("what comes first in its dates, day or month", err=True).strip()
        more["dates"] = f"{first}-first"
    return roles, more
