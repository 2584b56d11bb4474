"""Reports of unexpected exceptions: a file to attach to a bug report."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence

import genrec
from genrec.runs.environment import environment

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)  # in the name of a variable
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as Rust spells it: polars, safetensors
_TORCH_WRITER = "inline_container.cc"
_SHORTEST_SECRET = 4  # a shorter value would black out half the report


def refused_by_system(error: BaseException) -> str | None:
    """One line, where a library tells in an exception of its own that the system did not read or write; else None."""
    told = _OS_ERROR.search(str(error))
    if told is not None:
        library = type(error).__module__.partition(".")[0]
        return f"{os.strerror(int(told[1]))}, says {library}: make room, or choose another folder"
    if _TORCH_WRITER in str(error):  # which has no more words for it
        return "torch could not write a file to its end: is there room on the disk? --resume goes on with a training"
    return None


def report_fault(error: BaseException, words: Sequence[str]) -> str:
    """Write what happened to a new file in the temporary folder, without secrets.

    Args:
        error: what was raised.
        words: the command line after `genrec`.

    Returns:
        One line: what it was, and where the report is.
    """
    first = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    what = _without_secrets(what)
    if len(what) > 200:
        what = what[:199] + "…"
    try:
        text = (
            f"genrec {genrec.__version__}: {' '.join(words)}\n\n{''.join(traceback.format_exception(error))}\n"
            f"{json.dumps(_surroundings(), indent=2)}\n"
        )
        descriptor, path = tempfile.mkstemp(prefix="genrec-report-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_without_secrets(text))
    except OSError as unwritable:
        return f"a fault of genrec ({what}); its report could not be written ({unwritable.strerror})"
    return f"a fault of genrec ({what}): please report it with {path}"


def _surroundings() -> dict[str, object]:
    try:
        return {name: value for name, value in environment().items() if name != "command"}
    except Exception as error:  # whatever broke the command may break this, too
        return {"python": sys.version, "surroundings": repr(error)}


def _without_secrets(text: str) -> str:
    """`text` without values of environment variables that are named as secrets, nor passwords in addresses."""
    secrets = {value for name, value in os.environ.items() if _SECRET.search(name)}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return re.sub(r"://[^/\s@]+@", "://…@", text)
