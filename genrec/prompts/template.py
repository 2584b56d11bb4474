"""Templates: text with named fields, kept as data files in our own wording.

A template is a sequence of segments. A `Text` goes through the tokenizer, and so do most fields; a `Field` of
`REFERENCES` stands for users and items, which are written by their codes and never spelt out.

Three kinds of files hold templates. A file of paraphrases (here) has a list under `paraphrases`; each entry has
`before` (what stands before the history) and `after` (between the history and the answer). Items stand one a line, so
a title may hold commas. With `chat: true` it is put to a checkpoint as its chat template has it. Files of lists and
folders of tasks are read where they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from genrec.data.yaml_text import YamlError, parse_yaml
from genrec.errors import ConfigError, one_line, shown

REFERENCES = frozenset({"user", "item", "history", "candidates"})


@dataclass(frozen=True)
class Text:
    """Words of the prompt itself."""

    text: str


@dataclass(frozen=True)
class Field:
    """A place for a value."""

    name: str


@dataclass(frozen=True)
class Markup(Text):
    """What a chat template puts around words: tokens of its checkpoint that no text can spell, so its text is empty."""

    text: str = ""
    tokens: tuple[int, ...] = ()


Segment = Text | Field
Template = tuple[Segment, ...]

HISTORY = Field("history")


def parse(template: str, known: Collection[str] | None = None) -> Template:
    """The segments of a template such as "What does {user} take after {history} ?", its fields all of `known`.

    Raises:
        ConfigError: a field that there is not, or a brace that belongs to none.
    """
    parts = re.split(r"\{([^{}]*)\}", template)  # text and names in turn
    segments: list[Segment] = []
    for place, part in enumerate(parts):
        if place % 2:
            if known is not None and part not in known:
                raise ConfigError(f"there is no field {{{part}}}; choose one of {', '.join(sorted(known))}")
            segments.append(Field(part))
        elif "{" in part or "}" in part:
            raise ConfigError(f"{template!r} has a brace that opens or closes no field: write {{name}}")
        elif part:
            segments.append(Text(part))
    return tuple(segments)


def join(segments: Iterable[Segment]) -> str:
    """The template that `parse` takes apart into `segments`."""
    return "".join(
        segment.text if isinstance(segment, Text) else f"{{{segment.name}}}" for segment in segments
    )


def field_names(segments: Iterable[Segment]) -> list[str]:
    """The fields of a template, in their order."""
    return [segment.name for segment in segments if isinstance(segment, Field)]


def own_texts(segments: Iterable[Segment]) -> list[str]:
    """The words of a template itself."""
    return [segment.text for segment in segments if isinstance(segment, Text)]


def read_prompt_file(name: str, suffix: str = ".yaml") -> Any:
    """What a YAML file of prompts holds: one of the package's by name, or any file by its path.

    Args:
        name: of the file without `suffix`, or a path that ends with .yaml or .yml.
        suffix: of the package's files of that kind.

    Raises:
        ConfigError: there is no such file, or it is no YAML.
    """
    folder = files("genrec.prompts")
    source = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}{suffix}"
    if not source.is_file():
        stems = [entry.name.removesuffix(suffix) for entry in folder.iterdir() if entry.name.endswith(suffix)]
        known = ", ".join(sorted(stem for stem in stems if "." not in stem))
        raise ConfigError(f"there is no prompt file {name!r}; choose one of {known} or give a .yaml file")
    try:
        return parse_yaml(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, YamlError) as error:
        raise ConfigError(f"the prompt file {name!r} is no YAML ({one_line(error)})") from None


def load_paraphrases(name: str) -> list[Template]:
    """The templates of a file of paraphrases, each with the field `history` once. Evaluation asks with the first.

    Raises:
        ConfigError: there is no such file, or it is no file of paraphrases.
    """
    content = read_prompt_file(name)
    try:
        around = [(entry["before"], entry["after"]) for entry in content["paraphrases"]]
    except (TypeError, KeyError):
        around = []
    if not around or not all(isinstance(text, str) for pair in around for text in pair):
        raise ConfigError(
            f"the prompt file {name!r} needs a list `paraphrases` whose entries have the texts `before` and `after`"
        )
    # Braces are plain text here, so nothing is parsed.
    return [
        tuple(part for part in (Text(before), HISTORY, Text(after)) if part != Text(""))
        for before, after in around
    ]


def wants_chat(name: str) -> bool:
    """Whether a file of paraphrases asks in the words of a chat template, where a checkpoint has one.

    Raises:
        ConfigError: there is no such file, or `chat` is neither true nor false.
    """
    content = read_prompt_file(name)
    wish = content.get("chat", False) if isinstance(content, dict) else False
    if not isinstance(wish, bool):
        raise ConfigError(f"chat of the prompt file {name!r} is {shown(wish)}: give true or false")
    return wish
