"""Prompts of several tasks: templates with named fields, kept as data files in our own wording.

A prompt folder has one YAML file a family: `family`, and under `prompts` a list whose entries have an `id`, a `group`
(what kind of question it is), a `source` and either a `target` or two `answers`, of which the first says that it is
so. What is `held_out` is never learnt from, and asked only to see how the model takes a wording that is new to it.
Which families and groups there are, and what each may name, is the tasks' own (`genrec.tasks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from genrec.data.yaml_text import YamlError, parse_yaml
from genrec.errors import ConfigError, first_problem, one_line, shown
from genrec.prompts.template import Template, field_names, parse

NEVER_LEARNT = "new"
"""The family about items that nobody took yet; all its prompts are held out."""


@dataclass(frozen=True)
class Group:
    """What the prompts of a group ask for, and what they may tell.

    `answer`: the fields that the target is made of or, where it is one of two words (`judged`), that decide between
    them. `about`: what a source must name, alternatives parted by a bar. `hints`: what else it may name; anything more
    would give the answer away or has no value. `drawn`: what the source names and no data have to.
    """

    answer: frozenset[str]
    about: tuple[str, ...]
    hints: frozenset[str]
    judged: bool = False
    drawn: frozenset[str] = frozenset()

    @property
    def may_name(self) -> frozenset[str]:
        return self.hints.union(*(names.split("|") for names in self.about))


Groups = Mapping[str, Mapping[str, Group]]  # by family


@dataclass(frozen=True)
class TaskPrompt:
    """One way to put a question. `target` is empty where the answer is the first (yes) or second of `answers`."""

    id: str
    family: str
    group: str
    asks: Group
    source: Template
    target: Template
    answers: tuple[str, str] | None
    held_out: bool

    @property
    def fields(self) -> frozenset[str]:
        """What the source names: what must be given to ask the question."""
        return frozenset(field_names(self.source))

    @property
    def needs(self) -> frozenset[str]:
        """What data must have to train on the prompt: its fields and those of the answer."""
        return (self.fields | self.asks.answer) - self.asks.drawn


def usable(
    prompts: Iterable[TaskPrompt], available: Collection[str]
) -> tuple[list[TaskPrompt], dict[str, str]]:
    """Part prompts into those that the data can fill and those that they cannot.

    Args:
        prompts: of any families.
        available: the fields that the data have.

    Returns:
        The prompts that are kept, in their order, and why each other one is not, by its id.
    """
    kept, dropped = [], {}
    for prompt in prompts:
        missing = sorted(prompt.needs.difference(available))
        if missing:
            dropped[prompt.id] = f"needs {' and '.join(missing)}, which the data do not have"
        else:
            kept.append(prompt)
    return kept, dropped


def load_task_prompts(name: str | Path, groups: Groups) -> dict[str, list[TaskPrompt]]:
    """The prompts of a folder by family: one of the package's by name, or any folder by its path.

    Args:
        name: of the folder.
        groups: of each family that there is, in the order in which families are listed.

    Raises:
        ConfigError: there is no such folder, or one of its files is no family of prompts.
    """
    return parse_task_prompts(task_prompt_files(name), groups)


def task_prompt_files(name: str | Path) -> dict[str, bytes]:
    """The files of a prompt folder, named as `load_task_prompts` takes it, by their names.

    Raises:
        ConfigError: there is no such folder.
    """
    return {path.name: path.read_bytes() for path in _files(name)}


def parse_task_prompts(contents: Mapping[str, bytes], groups: Groups) -> dict[str, list[TaskPrompt]]:
    """The prompts of `task_prompt_files` by family; `groups` as in `load_task_prompts`.

    Raises:
        ConfigError: one of the files is no family of prompts.
    """
    found: dict[str, list[TaskPrompt]] = {}
    file_of_id: dict[str, str] = {}
    for name, content in contents.items():
        try:
            family, prompts = _family(content.decode("utf-8"), groups)
            if family in found:
                raise ConfigError(f"the family {family!r} has a file already: put its prompts together")
            for prompt in prompts:
                if prompt.id in file_of_id:
                    where = file_of_id[prompt.id]
                    raise ConfigError(
                        f"the id {prompt.id!r} is taken by a prompt of {where}: give it another"
                    )
                file_of_id[prompt.id] = name
        except (ConfigError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}: {error}") from None
        found[family] = prompts
    return {family: found[family] for family in groups if family in found}


class _Entry(BaseModel):
    """A prompt as it stands in a file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    group: str
    source: str
    target: str | None = None
    answers: list[str] | None = None
    held_out: bool = False


class _File(BaseModel):
    """A prompt file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    family: str
    prompts: list[_Entry]


def _files(name: str | Path) -> list[Traversable]:
    """The YAML files of a prompt folder."""
    packaged = files("genrec.prompts")
    known = sorted(entry.name for entry in packaged.iterdir() if entry.is_dir() and entry.name[0] != "_")
    folder: Traversable = packaged / str(name) if str(name) in known else Path(name)
    entries = folder.iterdir() if folder.is_dir() else ()
    paths = [path for path in entries if path.name.endswith(".yaml") and path.name[0] != "."]
    if not paths:
        raise ConfigError(
            f"there is no folder {str(name)!r} with .yaml files of prompts; choose {', '.join(known)} or a folder of "
            "your own"
        )
    return sorted(paths, key=lambda path: path.name)


def _family(content: str, groups: Groups) -> tuple[str, list[TaskPrompt]]:
    """The family of a file, and its prompts."""
    try:
        file = _File.model_validate(parse_yaml(content))
    except YamlError as error:
        raise ConfigError(f"is no YAML ({one_line(error)})") from None
    except ValidationError as error:
        problem = first_problem(error)
        where = ".".join(problem.place) or "the file"
        # An unquoted true is no text to YAML, which the value shows.
        raise ConfigError(f"{where}={shown(problem.value)}: {problem.what}") from None
    if file.family not in groups:
        raise ConfigError(f"there is no family {file.family!r}; choose one of {', '.join(groups)}")
    known = {
        name for of in groups.values() for group in of.values() for name in group.answer | group.may_name
    }
    prompts = [_prompt(file.family, groups[file.family], entry, known) for entry in file.prompts]
    held_out = [prompt.held_out for prompt in prompts]
    if not any(held_out):
        raise ConfigError("no prompt is held out: mark one of them with held_out: true")
    if all(held_out) != (file.family == NEVER_LEARNT):
        what = "are never learnt: mark all" if file.family == NEVER_LEARNT else "are all held out: leave some"
        raise ConfigError(f"the prompts of {file.family!r} {what}")
    return file.family, prompts


def _prompt(family: str, groups: Mapping[str, Group], entry: _Entry, known: Collection[str]) -> TaskPrompt:
    """An entry that says all that its group asks for, and no more."""
    if entry.group not in groups:
        raise ConfigError(f"{entry.id}: {family!r} has no group {entry.group!r}, only {', '.join(groups)}")
    asks = groups[entry.group]
    try:
        source, target = parse(entry.source, known), parse(entry.target or "", known)
        _check(asks, field_names(source), field_names(target), entry.answers)
    except ConfigError as error:
        raise ConfigError(f"{entry.id}: {error}") from None
    answers = None if entry.answers is None else (entry.answers[0], entry.answers[1])
    return TaskPrompt(entry.id, family, entry.group, asks, source, target, answers, entry.held_out)


def _check(group: Group, source: Sequence[str], target: Sequence[str], answers: Sequence[str] | None) -> None:
    for names in group.about:
        if not set(names.split("|")) & set(source):
            raise ConfigError(f"the source of such a prompt names {{{'} or {'.join(names.split('|'))}}}")
    if excess := sorted(set(source) - group.may_name):
        raise ConfigError(f"the source of such a prompt does not name {{{excess[0]}}}")
    if group.judged:
        if target or answers is None or len(set(answers)) != 2 or not all(answers):
            raise ConfigError("such a prompt has two different `answers` and no target")
    elif answers is not None or sorted(target) != sorted(group.answer):
        fields = " and ".join(f"{{{name}}}" for name in sorted(group.answer))
        raise ConfigError(f"such a prompt has a target with {fields}, each once, and no `answers`")
