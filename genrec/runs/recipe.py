"""Recipes: the YAML files that fully describe a run.

    recommender: itemknn          the name under `genrec recommenders`
    config: {num_neighbours: 50}  its options, in their groups or without; those left out keep their defaults
    data: {min_rating: 4}         how the interactions are read and filtered (the options of `genrec data`), and where
                                  they are: `path` and `items`, unless --data and --items are given
    protocol: leave-one-out       the split

A recipe of the package goes by its name, any other by its path; the bare name of a recommender is the recipe
that leaves everything at its default. The `config.yaml` of a run folder is a recipe too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from genrec.data.yaml_text import YamlError, parse_yaml
from genrec.errors import ConfigError, shown, suggestion

AUTO = "auto"  # in place of a recipe: see genrec.runs.auto
_MOST_BYTES = 1_000_000
KEYS = ("recommender", "config", "data", "protocol")


@dataclass(frozen=True)
class Recipe:
    """A recipe as read; `text` is the file as it stands."""

    recommender: str
    text: str
    config: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    protocol: str = "leave-one-out"

    @property
    def options(self) -> dict[str, Any]:
        """The options of the config by their names without groups."""
        from genrec.recommenders.options import flattened

        return flattened(self.config)

    def with_options(self, options: Mapping[str, Any]) -> Recipe:
        """The recipe with other options, in groups or without.

        Raises:
            ConfigError: no such recommender, or an option that is given twice.
        """
        from genrec.recommenders.base import recommender_class

        config = recommender_class(self.recommender).Config
        return replace(self, config=config.merged(self.config, options))

    def with_overrides(self, assignments: Sequence[str]) -> Recipe:
        """The recipe with `key=value` words put into its config; `a.b=1` reaches into the group or mapping `a`.

        Raises:
            ConfigError: no such recommender, a word that is not `key=value`, an option that is given twice, or a dotted
                key through something that is no mapping.
        """
        from genrec.recommenders.base import recommender_class

        options = recommender_class(self.recommender).Config
        groups, flat = options.groups(), options.flat_names()
        config, changes = options.nested(self.config), dict[str, Any]()
        given: list[tuple[str, ...]] = []
        for word in assignments:
            key, equals, text = word.partition("=")
            if not equals or not all(key.split(".")):
                raise ConfigError(f"{shown(word)} is not key=value; write for example seed=1")
            if not text.strip():
                raise ConfigError(
                    f"{shown(key)} is given nothing; write {key}=null for none, {key}=\"''\" for no text"
                )
            value = _yaml(text, f"the value of {shown(key)}", comments=False)
            found: dict[tuple[str, ...], Any] = {flat.get(key, tuple(key.split("."))): value}
            if key in groups:
                found = {(key, option): entry for option, entry in options.nested({key: value})[key].items()}
            for keys, entry in found.items():
                if any(keys[: len(before)] == before[: len(keys)] for before in given):
                    raise ConfigError(f"{shown(key)} is given twice: give it once")
                given.append(keys)
                _assign(changes if keys[0] in groups else config, keys, entry, key)
        return replace(self, config=options.merged(config, changes))


def read_recipe(name: str) -> Recipe:
    """A recipe by its path, by the name of one in the package, or by the name of a recommender.

    Raises:
        ConfigError: nothing goes by that name, or the file is not a recipe.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"there is no recipe file {shown(name)}")
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(
                f"{path} has {path.stat().st_size:,} bytes, and a recipe a page at most: give another"
            )
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
    names = sorted({*known, *packaged})
    raise ConfigError(
        f"there is no recommender or recipe {shown(name)}; {suggestion(name, names)}or give the path of a .yaml file"
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
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise ConfigError(
            f"{where} has the key {shown(unknown[0])}; {suggestion(unknown[0], KEYS)}leave it out"
        )
    for key in ("config", "data"):
        if not isinstance(values.get(key), Mapping | None):  # None: the key alone, with nothing below it
            raise ConfigError(f"{where}: {key} is {shown(values[key])}; it must be a mapping of options")
    protocol = values.get("protocol", "leave-one-out")
    if not isinstance(protocol, str):
        raise ConfigError(f"{where}: protocol is {shown(protocol)}; write leave-one-out or temporal")
    return Recipe(
        values["recommender"],
        text,
        dict(values.get("config") or {}),
        dict(values.get("data") or {}),
        protocol,
    )


def _yaml(text: str, where: str, *, comments: bool = True) -> Any:
    try:
        return parse_yaml(text, comments=comments)
    except YamlError as error:
        raise ConfigError(f"{where} is not YAML as a recipe has it: {error}") from None


def _assign(config: dict[str, Any], keys: Sequence[str], value: Any, word: str) -> None:
    """Set `config[k1][k2]… = value`, copying the mappings on the way."""
    *parents, last = keys
    for key in parents:
        inner = config.get(key, {})
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{shown(word)}: {key!r} is {shown(inner)} and has no options below it")
        config[key] = dict(inner)
        config = config[key]
    config[last] = value
