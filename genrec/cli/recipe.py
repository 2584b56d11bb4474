"""Recipes: the YAML files that fully describe a run.

    recommender: itemknn          the name under `genrec recommenders`
    config: {num_neighbours: 50}  its options; those left out keep their defaults
    data: {min_rating: 4}         how the interactions are read and filtered (the options of `genrec data`)
    protocol: leave-one-out       the split

A recipe of the package goes by its name, any other by its path; the bare name of a recommender is the recipe
that leaves everything at its default. The `config.yaml` of a run folder is a recipe too.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from genrec.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """A recipe as read; `text` is the file as it stands."""

    recommender: str
    text: str
    config: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    protocol: str = "leave-one-out"

    def with_overrides(self, assignments: Sequence[str]) -> Recipe:
        """The recipe with `key=value` words put into its config; `a.b=1` reaches into the mapping `a`.

        Raises:
            ConfigError: a word that is not `key=value`, or a dotted key through something that is no mapping.
        """
        config: dict[str, Any] = dict(self.config)
        for word in assignments:
            key, equals, value = word.partition("=")
            if not equals or not key:
                raise ConfigError(f"{word!r} is not key=value; write for example seed=1")
            _assign(config, key.split("."), _yaml(value, f"the value of {key}"), word)
        return replace(self, config=config)


def read_recipe(name: str) -> Recipe:
    """A recipe by its path, by the name of one in the package, or by the name of a recommender.

    Raises:
        ConfigError: nothing goes by that name, or the file is not a recipe.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"there is no recipe file {path}")
        try:
            return _parsed(path.read_text(encoding="utf-8"), str(path))
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8 text, as a recipe must be") from None
    packaged = packaged_recipes()
    if name in packaged:
        return _parsed(packaged[name], f"recipe {name}")
    from genrec.recommenders.base import recommenders

    known = recommenders()
    if name in known:
        return Recipe(name, f"recommender: {name}\n")
    nearest = difflib.get_close_matches(name, [*packaged, *known], n=1)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    raise ConfigError(
        f"there is no recommender or recipe {name!r}; {hint}recommenders: {', '.join(known)}; "
        f"recipes: {', '.join(packaged) or 'none'}, or the path of a .yaml file"
    )


def packaged_recipes() -> dict[str, str]:
    """Texts of the recipes that come with the package, by name."""
    folder = files("genrec") / "recipes"
    if not folder.is_dir():
        return {}
    found = {
        entry.name.removesuffix(".yaml"): entry for entry in folder.iterdir() if entry.name.endswith(".yaml")
    }
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def _parsed(text: str, where: str) -> Recipe:
    values = _yaml(text, where)
    if not isinstance(values, Mapping) or not isinstance(values.get("recommender"), str):
        raise ConfigError(f"{where} is not a recipe: it needs a line such as 'recommender: genrec'")
    unknown = set(values) - {"recommender", "config", "data", "protocol"}
    if unknown:
        raise ConfigError(
            f"{where} has the key {min(map(str, unknown))!r}; allowed are recommender, config, data, protocol"
        )
    for key in ("config", "data"):
        if not isinstance(values.get(key) or {}, Mapping):
            raise ConfigError(f"{where}: {key} is {values[key]!r}; it must be a mapping of options")
    return Recipe(
        values["recommender"],
        text,
        dict(values.get("config") or {}),
        dict(values.get("data") or {}),
        str(values.get("protocol", "leave-one-out")),
    )


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from None


def _assign(config: dict[str, Any], keys: Sequence[str], value: Any, word: str) -> None:
    """Set `config[k1][k2]… = value`, copying the mappings on the way."""
    *parents, last = keys
    for key in parents:
        inner = config.get(key, {})
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{word}: {key!r} is {inner!r} and has no options below it")
        config[key] = dict(inner)
        config = config[key]
    config[last] = value
