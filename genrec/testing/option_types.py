"""The types of options, taken apart for tests of their bounds."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic.fields import FieldInfo


def plain_types(
    annotation: Any, metadata: Sequence[Any], inside: bool = True
) -> Iterator[tuple[Any, list[Any]]]:
    """The plain types that a value may have, each with what its annotations say; `inside`: those in tuples too."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        for info in arguments[1:]:
            metadata = [*metadata, *(info.metadata if isinstance(info, FieldInfo) else [info])]
        yield from plain_types(arguments[0], metadata, inside)
    elif origin in (typing.Union, types.UnionType):
        for inner in arguments:
            yield from plain_types(inner, metadata, inside)
    elif origin in (tuple, dict):
        yield origin, list(metadata)
        for inner in arguments if inside else ():
            yield from plain_types(inner, []) if inner is not ... else ()
    else:
        yield annotation, list(metadata)
