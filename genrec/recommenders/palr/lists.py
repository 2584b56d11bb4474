"""Prompts that ask for a list: freely, or from candidates.

A file has the templates `recommend` and `candidates`. Either names `{history}` and may name `{profile}` (a sentence, or
nothing) and `{count}` (items wanted); `candidates` names `{candidates}` too.
"""

from __future__ import annotations

from genrec.errors import ConfigError
from genrec.prompts.template import Template, field_names, parse, read_prompt_file

_MAY_NAME = {"history", "profile", "count"}


def load_list_prompts(name: str) -> dict[str, Template]:
    """The two templates of a prompt file: one of the package's by name, or any file by its path.

    Raises:
        ConfigError: there is no such file, or its templates do not name what they must.
    """
    content = read_prompt_file(name, ".lists.yaml")
    found = {}
    for task, must in (("recommend", {"history"}), ("candidates", {"history", "candidates"})):
        text = content.get(task) if isinstance(content, dict) else None
        if not isinstance(text, str):
            raise ConfigError(f"{name} needs two templates, `recommend` and `candidates`: {task} is no text")
        found[task] = parse(text)
        named = field_names(found[task])
        wrong = sorted((must - set(named)) | (set(named) - must - _MAY_NAME))
        if wrong or len(set(named)) < len(named):
            raise ConfigError(
                f"{task} of {name} names {', '.join(named) or 'nothing'}: it must name {', '.join(sorted(must))} and "
                "may name profile and count, each once"
            )
    return found
