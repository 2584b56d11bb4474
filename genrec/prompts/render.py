"""Prompts: the words around a history, kept as data files in our own wording.

A prompt file is YAML with a list under `paraphrases`; each has `before` (what stands before the history) and `after`
(between the history and the answer). Items stand one a line, so a title may hold commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from genrec.codes.title import Encode
from genrec.data.interactions import IntArray
from genrec.data.yaml_text import parse_yaml
from genrec.errors import ConfigError


@dataclass(frozen=True)
class Prompt:
    """The words before and after a history."""

    before: str
    after: str


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as token ids; (T,) each."""

    before: IntArray
    after: IntArray


def load_prompts(name: str) -> list[Prompt]:
    """The paraphrases of a prompt file: one of the package's by name, or any file by its path.

    Raises:
        ConfigError: there is no such file, or it is not a prompt file.
    """
    folder = files("genrec.prompts")
    source = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not source.is_file():
        known = sorted(
            entry.name.removesuffix(".yaml")
            for entry in folder.iterdir()
            if entry.name.endswith(".yaml") and not entry.name.endswith(".lists.yaml")
        )
        raise ConfigError(
            f"there is no prompt file {name!r}; choose one of {', '.join(known)} or give a .yaml file"
        )
    try:
        content = parse_yaml(source.read_text(encoding="utf-8"))
        prompts = [Prompt(entry["before"], entry["after"]) for entry in content["paraphrases"]]
    except (TypeError, KeyError, ValueError):
        prompts = []
    if (
        not all(isinstance(text, str) for prompt in prompts for text in (prompt.before, prompt.after))
        or not prompts
    ):
        raise ConfigError(
            f"the prompt file {name!r} needs a list `paraphrases` whose entries have the texts `before` and `after`"
        )
    return prompts


def tokenise(prompts: list[Prompt], encode: Encode, begin: list[int]) -> list[PromptTokens]:
    """Prompts as token ids; `begin` (a beginning-of-text token, if any) opens each."""
    before = encode([prompt.before for prompt in prompts])
    after = encode([prompt.after for prompt in prompts])
    return [
        PromptTokens(np.array([*begin, *left], np.int32), np.array(right, np.int32))
        for left, right in zip(before, after, strict=True)
    ]
