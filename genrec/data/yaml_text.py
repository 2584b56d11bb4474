"""YAML as recipes, prompts and runs are written in it: the core schema of version 1.2, and plain values only.

PyYAML finds the pieces of a text; what a piece means is decided here. Its own reading is that of version 1.1, where
`12:30:45` is the number 45045, `no` is false, `010` is 8 and `1e-3` is a text. Refused, since a recipe needs none of
it and each is a way to be misread: anchors (a few lines of them unfold to gigabytes), tags, directives, keys that are
no text, a key twice, several documents.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from genrec.errors import one_line, shown

MOST_DEEP = 30  # lists and mappings inside one another

_NULL = re.compile(r"(?:null|Null|NULL|~)?")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class YamlError(ValueError):
    """A text that is no YAML, or more than plain values; the message tells where, in one line."""


def parse_yaml(text: str, *, comments: bool = True) -> Any:
    """The value that a text stands for: None, bool, int, float, str, lists and mappings of these with keys of text.

    Args:
        text: one document; nothing at all is None.
        comments: False: refuse a `#` that would hide what stands behind it, as in a word of a command line.

    Raises:
        YamlError: see there.
    """
    try:
        return _value(text, comments)
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise _at(error.problem_mark or error.context_mark, problem) from None
    except yaml.YAMLError as error:
        raise YamlError(one_line(error)) from None


def dump_yaml(value: Any) -> str:
    """Plain values as a text that `parse_yaml` reads as the same, and a reader of version 1.1 as well."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what either version takes for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        # PyYAML leaves line breaks other than \n as they are between single quotes, and reads them as blanks.
        breaks = set("\r\x85\u2028\u2029") & set(data)
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if breaks else None)


_Dumper.add_representer(str, _Dumper.represent_str)


for _kind, _pattern in (("null", _NULL), ("bool", _BOOL), ("int", _INT), ("float", _FLOAT)):
    _whole = re.compile(f"^(?:{_pattern.pattern})$")
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _whole, None)


def _value(text: str, comments: bool) -> Any:
    """Build the value from the events of PyYAML's parser, which are a flat list however deep the text nests."""
    found: list[Any] = []  # the document
    open_: list[Any] = [found]  # lists and mappings that are not closed yet, outermost first
    keys: list[str | None] = [None]  # of each open mapping, the key whose value comes next
    end = 0  # of what was read so far
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        _refuse_more(event, found)
        if isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
            keys.pop()
        elif isinstance(event, yaml.CollectionStartEvent):
            started: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            _put(open_[-1], keys, started, mark)
            open_.append(started)
            keys.append(None)
            if len(open_) > MOST_DEEP:
                raise _at(mark, f"more than {MOST_DEEP} lists and mappings inside one another")
        elif isinstance(event, yaml.ScalarEvent):
            if isinstance(open_[-1], dict) and keys[-1] is None:
                if event.value in open_[-1]:
                    raise _at(mark, f"the key {shown(event.value)} stands there twice")
                keys[-1] = event.value
            else:
                _put(open_[-1], keys, event.value if event.style else _scalar(event), mark)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionEndEvent) and event.end_mark:
            end = event.end_mark.index
    rest = text[end:].strip()
    if not comments and rest.startswith("#"):
        raise YamlError(f"YAML takes {shown(rest)} for a comment: quote the text that it belongs to")
    return found[0] if found else None


def _refuse_more(event: Any, found: list[Any]) -> None:
    """Raise YamlError for what is more than plain values; `found` holds the document, once there is one."""
    if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
        raise _at(event.start_mark, "directives (%) are not read: leave them out")
    if isinstance(event, yaml.DocumentStartEvent) and found:
        raise _at(event.start_mark, "a second document (---): give one")
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _at(event.start_mark, "anchors (&) and aliases (*) are not read: write it out, or quote a text")
    if getattr(event, "tag", None):
        raise _at(event.start_mark, "tags (!) are not read: leave it out, or quote a text")


def _put(into: Any, keys: list[str | None], value: Any, mark: Any) -> None:
    """Add a value to the innermost open list or mapping."""
    if isinstance(into, list):
        into.append(value)
        return
    key = keys[-1]
    if key is None:
        raise _at(mark, "a key of a mapping is a list or mapping: keys are text")
    into[key] = value
    keys[-1] = None


def _scalar(event: Any) -> Any:
    """A plain scalar by the core schema of YAML 1.2 (chapter 10.3.2)."""
    text: str = event.value
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        if len(text) > 100:
            raise _at(event.start_mark, f"a number of {len(text):,} digits")
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".", "") if text[-1].isalpha() else text)  # YAML's .inf is Python's inf
    return text


def _at(mark: Any, problem: str) -> YamlError:
    where = "" if mark is None or not mark.line else f"line {mark.line + 1}: "
    return YamlError(where + one_line(problem))
