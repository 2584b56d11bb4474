"""Every error that a user can cause.

    GenrecError
    ├── DataError          a file, row, column or frame that cannot be read as interactions
    ├── CatalogueError     an item that is missing, repeated, untitled or without a code
    │   └── UnknownItemError   an id or title that the catalogue does not hold
    ├── ConfigError        a recipe, option or argument outside what is allowed
    ├── NotFittedError     a recommender that was asked before it was fitted
    ├── RunError           a run folder that is missing, half written or of another kind
    ├── BackendMissingError    an optional library or device that is needed and not there
    └── ChatError          a chat model or endpoint that does not answer

Each message says what was found, what is allowed and what to do. The command line prints it in one line and
exits with 2. Anything else that is raised, an `assert` for one, is a fault of ours: the command line writes a report to
a file and exits with 70.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class GenrecError(Exception):
    """Root of all errors that a user can cause."""


class DataError(GenrecError):
    """Input that cannot be read as interactions."""


class CatalogueError(GenrecError):
    """An item that is missing, repeated, untitled or without a code."""


class UnknownItemError(CatalogueError):
    """An id or title that the catalogue does not hold."""


class ConfigError(GenrecError):
    """A recipe, option or argument outside what is allowed."""


class NotFittedError(GenrecError):
    """A recommender that was asked before it was fitted."""


class RunError(GenrecError):
    """A run folder that is missing, half written or of another kind."""


class BackendMissingError(GenrecError):
    """An optional library or device that is needed and not there."""


class ChatError(GenrecError):
    """A chat model or endpoint that does not answer."""


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxlevel = 4


def shown(value: object) -> str:
    """A value of the user's as a message shows it: its repr, with the middle of what is long left out."""
    return _REPR.repr(value)[:200]


def one_line(error: object) -> str:
    """What an error of somebody else's says, for the middle of a message: one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]


class Problem(NamedTuple):
    """The first thing that pydantic finds wrong with a value."""

    kind: str
    place: list[str]  # names and positions that lead to it
    value: object
    what: str


def first_problem(error: ValidationError) -> Problem:
    """What a validation error says of the first value that is wrong."""
    found = error.errors()[0]
    what = found["msg"].removeprefix("Value error, ")[:300]
    return Problem(found["type"], [str(part) for part in found["loc"]], found["input"], what)


def suggestion(name: str, known: Collection[str]) -> str:
    """The middle of a message about an unknown name: "did you mean NEAREST? ", or what there is, as far as it fits."""
    nearest = difflib.get_close_matches(name[:100], known, n=1)
    if nearest:
        return f"did you mean {nearest[0]}? "
    some = ", ".join(known)
    return (
        f"there are {some}; "
        if len(some) <= 200
        else f"there are {some[:200].rpartition(', ')[0]} and others; "
    )


def one_of(value: str, allowed: Sequence[str], what: str) -> str:
    """`value`, if it is one of `allowed`.

    Raises:
        ConfigError: it is not; the nearest is named.
    """
    if value in allowed:
        return value
    nearest = difflib.get_close_matches(str(value)[:100], allowed, n=1)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    raise ConfigError(f"{what} {value!r} is not known; {hint}choose one of {', '.join(allowed)}")
