"""What options of recommenders are made of: the root of their configurations, and the kinds that several share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from genrec.data.memory import MOST_THREADS
from genrec.errors import ConfigError, first_problem, one_line, shown, suggestion

# Names and paths, and lists of them; a list from a file will do.
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[tuple[Name, ...], Field(strict=False, max_length=50)]

Seed = Annotated[
    int,
    Field(
        ge=0, le=2**32 - 1, description="of everything that is drawn by chance; the same seed, the same run"
    ),
]
Threads = Annotated[int, Field(ge=1, le=MOST_THREADS)]
ValidationUsers = Annotated[
    int,
    Field(ge=1, le=10**9, description="users sampled for a validation; all of them if there are no more"),
]
MaxItems = Annotated[int, Field(ge=1, le=10_000, description="most recent items of a history that are read")]
Evaluations = Annotated[
    int, Field(ge=1, le=10_000, description="validations and checkpoints over the training")
]

# Of recommenders that write names.
Depth = Annotated[
    int,
    Field(ge=1, le=64, description="layers of the compact backbone (of each of its stacks); its one dial"),
]
Width = Annotated[int, Field(ge=16, le=16_384)]
Passes = Annotated[
    int,
    Field(
        ge=1,
        le=10_000,
        description="passes over the training part; more than the default overfits small data",
    ),
]
Pretraining = Annotated[int, Field(ge=0, le=10_000)]
BatchTokens = Annotated[
    int,
    Field(
        ge=16,
        le=10_000_000,
        description="tokens in a batch, padding included; a longer row is a batch of its own",
    ),
]


_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
# Groups of options. One that is a choice between kinds has a class for each, with a `kind` of one value.
GROUPS = ("backbone", "code", "search", "training")
# Options that go by the name of their group, as in `backbone=compact` and `code=random`. Others go by their own name
# where they stand without their group, but for those of `_FLAT`.
_NAMING = ("kind", "path")
_FLAT = {("code", "length"): "code_length"}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numpy, as a loop over `np.arange` has them, as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


class Group(BaseModel):
    """Options that belong together. Where a group is a choice of kinds, each has a `kind` of one value."""

    model_config = _STRICT

    called: ClassVar[str] = ""  # this kind, in messages
    defaults: ClassVar[Mapping[str, Any]] = {}  # what it makes the defaults of other groups and options

    @classmethod
    def usual(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """`defaults`, where these options (in groups) are given."""
        return cls.defaults

    @model_validator(mode="before")
    @classmethod
    def _of_numpy(cls, values: Any) -> Any:
        return _plain(values) if isinstance(values, Mapping) else values


class Config(BaseModel):
    """Hyper-parameters of a recommender; unknown names are refused.

    A value has the type of its option, or that of numpy for it: no text or bool for a number, no nan or infinity, and
    every number lies within bounds that a training can be meant by. `tests/recommenders/test_options.py` holds all
    options to that.

    Fields called as in `GROUPS` are a `Group`, or a choice of several kinds of it, with options of their own
    (`training.learning_rate`), each of which may also be given without its group (`learning_rate`).
    """

    model_config = _STRICT

    # Options of earlier versions that had a single value, by which old runs are still known.
    dropped: ClassVar[Mapping[str, Any]] = {}

    validation_users: ValidationUsers = 1000  # enough to see that a run went well
    ranking_batch: int = Field(
        256,
        ge=1,
        le=100_000,
        description="users that are ranked at once; more are quicker on a GPU, fewer take less memory",
    )

    @classmethod
    def groups(cls) -> dict[str, tuple[type[Group], ...]]:
        """The groups by name, each with the kinds that it can be."""
        types = {name: cls.model_fields[name].annotation for name in GROUPS if name in cls.model_fields}
        kinds = {name: get_args(field) or (field,) for name, field in types.items()}
        return {name: found for name, found in kinds.items() if set(map(type, found)) == {type(Group)}}

    @classmethod
    def all_options(cls) -> dict[str, FieldInfo]:
        """Every option, one of a group as `group.option`."""
        groups, found = cls.groups(), dict[str, FieldInfo]()
        for name, field in cls.model_fields.items():
            inside = [pair for kind in groups.get(name, ()) for pair in kind.model_fields.items()]
            found |= {f"{name}.{option}": inner for option, inner in inside} or {name: field}
        return found

    @classmethod
    def flat_names(cls) -> dict[str, tuple[str, str]]:
        """Group and option of each name that may stand without its group."""
        places = [(name.split(".")[0], name.split(".")[1]) for name in cls.all_options() if "." in name]
        return {_FLAT.get(place, place[1]): place for place in places if place[1] not in _NAMING}

    @classmethod
    def names(cls) -> list[str]:
        """What an option may be given by, beside `group.option`."""
        return [*cls.model_fields, *cls.flat_names()]

    @classmethod
    def nested(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, in groups or without, with each option in its group.

        Raises:
            ConfigError: an option that is given twice, or one value for a group that has no kinds.
        """
        groups, places = cls.groups(), cls.flat_names()
        found: dict[str, Any] = {}
        for name, value in _plain(given).items():
            group, option = places.get(name, (name, ""))
            if group in groups:
                inside = {option: value} if option else _inside(group, groups[group], value)
                before = found.setdefault(group, {})
                if twice := min(inside.keys() & before.keys(), default=""):
                    raise ConfigError(f"{group}.{twice} is given twice, in its group and alone: give it once")
                before |= inside
            elif [value] != [cls.dropped.get(name, ...)]:
                found[name] = value
        for name, kinds in _choices(groups).items():
            inner = found.get(name, {})
            if not inner.keys().isdisjoint(_NAMING):
                for _, foreign in _foreign(kinds, inner):
                    if (
                        foreign <= inner.keys()
                    ):  # an earlier version, which wrote down the options of every kind
                        found[name] = {option: inner[option] for option in inner if option not in foreign}
        return found

    @classmethod
    def merged(cls, given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """`given` with `changes`, both in groups or not; of a group whose kind changes stays what the new kind has."""
        found, groups = cls.nested(given), cls.groups()
        for name, value in cls.nested(changes).items():
            kept = found.get(name, {}) if name in groups else {}
            if name in _choices(groups) and not value.keys().isdisjoint(_NAMING):
                fields = _kind(groups[name], value).model_fields.keys() - {"kind"}
                kept = {option: kept[option] for option in kept if option in fields}
            found[name] = {**kept, **value} if name in groups else value
        return found

    def changed(self, **options: Any) -> Self:
        """A copy with other values of some options."""
        return type(self)(**self.merged(self.model_dump(), options))

    @model_validator(mode="before")
    @classmethod
    def _in_groups(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        found, groups = cls.nested(values), cls.groups()
        found = {name: {} for name in groups} | found
        for name, kinds in _choices(groups).items():
            inner, kind = found[name], _kind(kinds, found[name])
            inner.setdefault("kind", kind.model_fields["kind"].default)
            for other, foreign in _foreign(kinds, inner):
                if strange := min(foreign & inner.keys(), default=""):
                    chosen = one_line(inner.get("path", inner["kind"]))
                    raise ConfigError(
                        f"{strange} belongs to {other.called}; {name} is {chosen}: leave {strange} out, or choose "
                        f"another {name}"
                    )
            for option, usual in kind.usual(found).items():
                found[option] = {**usual, **found[option]} if option in groups else found.get(option, usual)
        return found


def _inside(name: str, kinds: Sequence[type[Group]], value: Any) -> dict[str, Any]:
    """The options of a group that is given as a whole, or by one value: its kind, or what is told by its path."""
    if isinstance(value, Mapping | Group):
        return dict(value)
    if "kind" not in kinds[0].model_fields:
        some = ", ".join([*kinds[0].model_fields][:3])
        raise ConfigError(f"{name}={shown(value)} is no group of options: {name} has {some}, ...")
    is_kind = len(kinds) == 1 or any(kind.model_fields["kind"].default == value for kind in kinds)
    return {"kind" if is_kind else "path": value}


def _choices(groups: Mapping[str, tuple[type[Group], ...]]) -> dict[str, tuple[type[Group], ...]]:
    """The groups that are a choice between kinds."""
    return {name: kinds for name, kinds in groups.items() if len(kinds) > 1}


def _kind(kinds: Sequence[type[Group]], inner: Mapping[str, Any]) -> type[Group]:
    """The kind of a group with these options: the one that is named, or that a path is given for, or the first that has
    them all."""
    named = [kind for kind in kinds if kind.model_fields["kind"].default == inner.get("kind", ...)]
    placed = [kind for kind in kinds if "path" in inner and "path" in kind.model_fields]
    having = [
        kind for kind in kinds if "path" not in kind.model_fields and inner.keys() <= kind.model_fields.keys()
    ]
    return [*named, *placed, *having, kinds[0]][0]


def _foreign(kinds: Sequence[type[Group]], inner: Mapping[str, Any]) -> list[tuple[type[Group], set[str]]]:
    """Each other kind of a group with these options, and what it alone has."""
    chosen = _kind(kinds, inner)
    own = {*chosen.model_fields, *_NAMING}
    return [(kind, kind.model_fields.keys() - own) for kind in kinds if kind is not chosen]


def flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by their names without groups, as tables and labels have them."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        grouped = name in GROUPS and isinstance(value, Mapping)
        for option, entry in value.items() if grouped else [("kind", value)]:
            if option != "kind" or not grouped or "path" not in value:
                found[name if option in _NAMING else _FLAT.get((name, option), str(option))] = entry
    return found


def refusal(error: ValidationError, name: str, config: type[Config]) -> str:
    """What pydantic says against the options of a recommender, in one line."""
    kind, place, value, told = first_problem(error)
    if place and len(config.groups().get(place[0], ())) > 1:
        del place[1:2]  # the kind of the group
    where = ".".join(place)[:100]
    if kind == "extra_forbidden":
        known = config.all_options() if "." in where else config.names()
        hint = suggestion(where, known)
        return f"{name} has no option {shown(where)}; {hint}see `genrec recommenders {name}`"
    return f"option {where}={shown(value)} of {name}: {told}" if where else f"options of {name}: {told}"
