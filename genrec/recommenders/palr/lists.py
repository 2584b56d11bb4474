"""Prompts that ask for a list: freely, or from candidates.

A file has the templates `recommend` and `candidates`. Either names `{history}` and may name `{profile}` (a sentence, or
nothing) and `{count}` (items wanted); `candidates` names `{candidates}` too.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from genrec.data.yaml_text import YamlError, parse_yaml
from genrec.errors import ConfigError, one_line
from genrec.prompts.tasks import Field, Segment, parse

_MAY_NAME = {"history", "profile", "count"}


def load_list_prompts(name: str) -> dict[str, tuple[Segment, ...]]:
    """The two templates of a prompt file: one of the package's by name, or any file by its path.

    Raises:
        ConfigError: there is no such file, or its templates do not name what they must.
    """
    folder = files("genrec.prompts")
    source = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.lists.yaml"
    if not source.is_file():
        raise ConfigError(
            f"there is no prompt file {name!r}; choose palr, palr_short or give a .yaml file of your own"
        )
    try:
        content = parse_yaml(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, YamlError) as error:
        raise ConfigError(f"{name} is no YAML ({one_line(error)})") from None
    found = {}
    for task, must in (("recommend", {"history"}), ("candidates", {"history", "candidates"})):
        text = content.get(task) if isinstance(content, dict) else None
        if not isinstance(text, str):
            raise ConfigError(f"{name} needs two templates, `recommend` and `candidates`: {task} is no text")
        segments = parse(text)
        named = [segment.name for segment in segments if isinstance(segment, Field)]
        wrong = sorted((must - set(named)) | (set(named) - must - _MAY_NAME))
        if wrong or len(set(named)) < len(named):
            raise ConfigError(
                f"{task} of {name} names {', '.join(named) or 'nothing'}: it must name {', '.join(sorted(must))} and "
                "may name profile and count, each once"
            )
        found[task] = segments
    return found
