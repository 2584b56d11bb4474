"""`genrec recommenders`: what can be trained, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.options import Json
from genrec.cli.terminal import print_json, print_table, stdout
from genrec.errors import one_of
from genrec.runs.recipe import packaged_recipes

if TYPE_CHECKING:
    from genrec.recommenders.options import Config


def recommenders(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="List the options of this recommender.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what can be trained: each recommender with its pipeline and paper, and the recipes; or one's options."""
    from genrec.recommenders.base import recommenders as registered

    known = registered()
    if name is not None:
        one_of(name, list(known), "the recommender")
        _print_options(_schema(known[name].Config), as_json)
        return
    rows = [
        {"name": name, "pipeline": cls.pipeline, "paper": cls.paper, "probabilistic": cls.probabilistic}
        for name, cls in known.items()
    ]
    recipes = list(packaged_recipes())
    if as_json:
        print_json({"recommenders": rows, "recipes": recipes})
        return
    print_table(
        ["name", "pipeline", "paper", "scores"],
        [
            (
                row["name"],
                row["pipeline"],
                row["paper"],
                "probabilities" if row["probabilistic"] else "no scale",
            )
            for row in rows
        ],
    )
    if recipes:
        stdout().print(f"recipes: {', '.join(recipes)}")


def _schema(config: type[Config]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each option, those of a group as `group.option`; `defaults`: of a kind of another group."""
    groups, found = config.groups(), dict[str, dict[str, Any]]()
    for name, about in config.model_json_schema()["properties"].items():
        if name not in groups:
            found[name] = about
        for kind in groups.get(name, ()):
            inner = kind.model_json_schema()["properties"]
            found |= {
                f"{name}.{option}": inner[option] for option in inner if f"{name}.{option}" not in found
            }
        if "discriminator" in about:
            found[f"{name}.kind"]["enum"] = list(about["discriminator"]["mapping"])
    for kind in [kind for kinds in groups.values() for kind in kinds]:
        for name, usual in kind.defaults.items():
            inside = (
                {f"{name}.{option}": value for option, value in usual.items()}
                if name in groups
                else {name: usual}
            )
            for option, value in inside.items():
                found[option].setdefault("defaults", {})[kind.model_fields["kind"].default] = value
    return found


def _print_options(schema: Mapping[str, Mapping[str, Any]], as_json: bool) -> None:
    """Print the options that a JSON schema describes."""
    if as_json:
        print_json(schema)
        return
    rows = [
        (option, _defaults(about), _allowed(about), about["description"]) for option, about in schema.items()
    ]
    print_table(["option", "default", "allowed", "meaning"], rows)


def _defaults(about: Mapping[str, Any]) -> str:
    """The default, and those that come with a kind of another group."""
    others = [f"{_as_override(value)} ({kind})" for kind, value in about.get("defaults", {}).items()]
    return "; ".join([*([_as_override(about["default"])] if "default" in about else []), *others])


def _as_override(value: Any) -> str:
    """A default as it would stand behind `option=`."""
    from genrec.data.yaml_text import dump_yaml

    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else ((None, entry) for entry in value)
        words = [
            _as_override(entry) if key is None else f"{key}: {_as_override(entry)}" for key, entry in inner
        ]
        return ("{%s}" if isinstance(value, dict) else "[%s]") % ", ".join(words)
    return dump_yaml(value).removesuffix("...\n").strip()


def _allowed(about: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in about:
        return " or ".join(_allowed(one) for one in about["anyOf"])
    if "enum" in about or "const" in about:
        return ", ".join(map(str, about.get("enum", [about.get("const")])))
    if about.get("type") in ("integer", "number"):
        low = f"from {about['minimum']:,}" if "minimum" in about else f"above {about['exclusiveMinimum']:,}"
        high = (
            f"to {about['maximum']:,}" if "maximum" in about else f"and below {about['exclusiveMaximum']:,}"
        )
        return f"{'whole number' if about['type'] == 'integer' else 'number'} {low} {high.removesuffix('.0')}"
    kinds = {"boolean": "true, false", "string": "text", "array": "list", "object": "mapping", "null": "null"}
    return kinds[about["type"]]
