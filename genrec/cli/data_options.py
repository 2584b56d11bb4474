"""The options that say how a data set is read, declared once for every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from genrec.cli.options import pair
from genrec.errors import ConfigError
from genrec.runs.source import DataSource

_PAIR = "NAME=THEIRS"
_OPTIONS: dict[str, Any] = {
    name: Annotated[kind | None, typer.Option(f"--{name.replace('_', '-')}", metavar=metavar, help=about)]
    for name, kind, metavar, about in (
        ("items", Path, None, "File with the items' titles, where it lies apart."),
        ("layout", str, None, "Name of the layout, where it is not recognised."),
        (
            "column",
            list[str],
            _PAIR,
            "A column of your file, as in user_id=uid; rating= leaves it out; repeat.",
        ),
        ("item_column", list[str], _PAIR, "The same for the file of items, as in item_id=sku; repeat."),
        ("ordered", bool, None, "The rows stand in time order."),
        ("dates", str, "day-first|month-first", "How to read dates such as 03/04/2024, if both would do."),
        (
            "orders",
            str,
            "id|time|none",
            "What is one order: the same order_id (if there is one), the same time, or each row.",
        ),
        ("untitled", str, "error|drop|id", "Items without a title: stop, drop their rows, or use their ids."),
        ("unrated", bool, None, "Keep listed items that nobody took."),
        ("min_rating", float, None, "Keep interactions rated at least this."),
        ("k_core", int, None, "Keep users and items with at least this many, repeatedly."),
        ("min_history", int, None, "Keep users with at least this many interactions."),
    )
}


class DataOptions(dict[str, Any]):
    """The options that were given, by name."""

    def source(self, path: str | None, recipe: Mapping[str, Any] | None = None) -> DataSource:
        """The data at `path`, read with these options; those left out are the recipe's, then `genrec.read`'s own.

        Raises:
            ConfigError: no path, a column that is not NAME=THEIRS, a role that is named twice, an unknown option in the
                recipe.
        """
        given = dict(self)
        items = given.pop("items", None)
        for option, example in (("column", "user_id=uid"), ("item_column", "item_id=sku")):
            if option in given:
                given[f"{option}s"] = columns_of(given.pop(option), f"--{option.replace('_', '-')}", example)
        return DataSource.of_recipe(recipe or {}, path, None if items is None else str(items), given)

    def words(self) -> list[str]:
        """The options as they stand on a command line."""
        words: list[str] = []
        for name, value in self.items():
            option = name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{option}", str(one)]
        return words


NONE_GIVEN = DataOptions()


def columns_of(words: Sequence[str], option: str, example: str) -> dict[str, str | None]:
    """The column of each role, None where nothing stands behind the equals sign.

    Raises:
        ConfigError: no equals sign, or a role that is given twice.
    """
    found: dict[str, str | None] = {}
    for word in words:
        left_out = word.endswith("=") and word.removesuffix("=")
        role, name = (left_out, None) if left_out else pair(word, option, example)
        if role in found:
            raise ConfigError(f"{option} {role} is given twice: give each role one column")
        found[role] = name
    return found


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the options of reading data, where its signature has one parameter `data_options`."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, own in inspect.signature(command).parameters.items():
        options = _OPTIONS.items() if name == "data_options" else [(name, hints[name])]
        default = None if name == "data_options" else own.default
        parameters += [
            inspect.Parameter(option, own.kind, default=default, annotation=annotation)
            for option, annotation in options
        ]

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: value for name in _OPTIONS if (value := values.pop(name)) not in (None, [])}
        command(**values, data_options=DataOptions(given))

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
