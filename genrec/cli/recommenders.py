"""`genrec recommenders`: what can be trained, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from genrec.cli.options import Json
from genrec.cli.terminal import print_json, print_table, stdout
from genrec.errors import one_of
from genrec.runs.recipe import packaged_recipes


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
        _print_options(known[name].Config.model_json_schema()["properties"], as_json)
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


def _print_options(schema: Mapping[str, Mapping[str, Any]], as_json: bool) -> None:
    """Print the options that a JSON schema describes."""
    if as_json:
        print_json(schema)
        return
    rows = [
        (option, _as_override(about["default"]), _allowed(about), about["description"])
        for option, about in schema.items()
    ]
    print_table(["option", "default", "allowed", "meaning"], rows)


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
