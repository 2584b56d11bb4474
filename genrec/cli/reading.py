"""The options that say how a data set is read, declared once for every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from genrec.cli.options import pair
from genrec.errors import ConfigError
from genrec.runs.source import DataSource


@dataclass(frozen=True)
class Reading:
    """What was given of these options; None: not given."""

    items: Annotated[
        Path | None, typer.Option("--items", help="File with the items' titles, where it lies apart.")
    ] = None
    layout: Annotated[
        str | None, typer.Option("--layout", help="Name of the layout, where it is not recognised.")
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME=THEIRS",
            help="What your file calls a column, as in user_id=uid; rating= leaves it out; repeat.",
        ),
    ] = None
    item_column: Annotated[
        list[str] | None,
        typer.Option(
            "--item-column",
            metavar="NAME=THEIRS",
            help="The same for the file of items, where it names item_id or title otherwise; repeat.",
        ),
    ] = None
    ordered: Annotated[bool | None, typer.Option("--ordered", help="The rows stand in time order.")] = None
    untitled: Annotated[
        str | None,
        typer.Option(
            "--untitled",
            metavar="error|drop|id",
            help="Items without a title: stop, drop their interactions, or use their ids.",
        ),
    ] = None
    unrated: Annotated[bool | None, typer.Option("--unrated", help="Keep listed items that nobody took.")] = (
        None
    )
    min_rating: Annotated[
        float | None, typer.Option("--min-rating", help="Keep interactions rated at least this.")
    ] = None
    k_core: Annotated[
        int | None,
        typer.Option("--k-core", help="Keep users and items with at least this many, repeatedly."),
    ] = None
    min_history: Annotated[
        int | None, typer.Option("--min-history", help="Keep users with at least this many interactions.")
    ] = None

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, [])}

    def source(self, path: str, recipe: Mapping[str, Any] | None = None) -> DataSource:
        """The data at `path`, read with these options; those left out are the recipe's, then `genrec.read`'s own.

        Raises:
            ConfigError: a column that is not NAME=THEIRS, a role that is named twice, an unknown option in the recipe.
        """
        given = self.given()
        items = given.pop("items", None)
        for option, example in (("column", "user_id=uid"), ("item_column", "item_id=sku")):
            if option in given:
                given[f"{option}s"] = _columns(given.pop(option), f"--{option.replace('_', '-')}", example)
        return DataSource(path, None if items is None else str(items), {**(recipe or {}), **given})


def _columns(words: Sequence[str], option: str, example: str) -> dict[str, str | None]:
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
    """Let a command take the options of `Reading`, where its own signature has one parameter `reading`."""
    own = inspect.signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    reading_hints = get_type_hints(Reading, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name != "reading":
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        parameters += [
            inspect.Parameter(
                field.name, parameter.kind, default=field.default, annotation=reading_hints[field.name]
            )
            for field in fields(Reading)
        ]

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        options = {field.name: values.pop(field.name) for field in fields(Reading)}
        command(**values, reading=Reading(**options))

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
