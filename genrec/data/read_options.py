"""What kind of value each option of `genrec.read` takes, wherever it comes from: a program, a recipe or a command."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from types import UnionType
from typing import Any

from genrec.errors import ConfigError, shown

_COLUMNS = (Mapping | None, "columns by their roles, as in {user_id: customer}")
_COUNT = (Integral | None, "a whole number of interactions")
_FLAG = (bool, "true or false")
KINDS: dict[str, tuple[type | UnionType, str]] = {
    "layout": (str | None, "the name of a layout"),
    "columns": _COLUMNS,
    "item_columns": _COLUMNS,
    "ordered": _FLAG,
    "dates": (str | None, "day-first or month-first"),
    "orders": (str | None, "id, time or none"),
    "untitled": (str, "error, drop or id"),
    "unrated": _FLAG,
    "min_rating": (Real | None, "a number"),
    "k_core": _COUNT,
    "min_history": _COUNT,
}


def check_kinds(options: Mapping[str, Any]) -> None:
    """Nothing, if every option is of its kind. Which values make sense is for those who use them.

    Raises:
        ConfigError: an option that does not exist, or one of another kind.
    """
    for name, value in options.items():
        if name not in KINDS:
            raise ConfigError(f"there is no data option {name!r}; choose among {', '.join(KINDS)}")
        kind, words = KINDS[name]
        # True is an Integral.
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if isinstance(value, Mapping):
            fits = all(isinstance(role, str) and isinstance(of, str | None) for role, of in value.items())
        if not fits:
            raise ConfigError(f"{name}={shown(value)}: give {words}, or leave it out")
