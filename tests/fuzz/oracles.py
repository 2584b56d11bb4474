"""What must hold whatever is put in: the judges of an outcome."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from driver import Outcome
from inputs import Input

LONGEST_LINE = 600
_PREFIX = "genrec: error: "
_FRAME = re.compile(r'File "([^"]*/genrec/(?!tests)[^"]+)", line (\d+)')

Snapshot = Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """A broken promise: its kind, where in the code (if known), and what was seen."""

    kind: str
    where: str
    seen: str


def snapshot(folder: Path, *, quick: bool = False) -> dict[str, str]:
    """Each path below `folder`, with its hash, or `quick` with its size and time, which a careless write changes."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, folder)] = _state(path) if quick else _content(Path(path))
    return found


def _state(path: str) -> str:
    told = os.lstat(path)
    return f"{told.st_size} bytes of {told.st_mtime_ns}"


def _content(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "device or pipe"
    if not os.access(path, os.R_OK):
        return f"unreadable, {path.stat().st_size} bytes"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def judge(given: Input, outcome: Outcome, before: Snapshot, after: Snapshot) -> Iterator[Fault]:
    """Every promise that an outcome broke."""
    if outcome.ended:
        yield Fault(outcome.ended, _place(outcome.trace), outcome.trace[:500] or outcome.err[-500:])
        return
    if outcome.trace or "Traceback (most recent call last)" in outcome.err + outcome.out:
        trace = outcome.trace or outcome.err
        yield Fault("traceback", _place(trace), _raised(trace))
        yield from _changes(given, before, after, well=False)
        return
    well = outcome.code in (0, *given.exits)
    if outcome.code == 2:
        yield from _line(given, outcome)
    elif not well:
        yield Fault("exit code", str(outcome.code), outcome.err[-300:])
    if well and given.expected == "refused":
        yield Fault("accepted", "", outcome.out[:200])
    if outcome.code == 2 and given.expected == "answered":
        yield Fault("refused", "", outcome.err[-400:])
    yield from _changes(given, before, after, well)
    if outcome.code == 0 and given.answer is not None:
        try:
            given.answer(outcome.out)
        except AssertionError as error:
            yield Fault("answer", "", str(error)[:400])


def _line(given: Input, outcome: Outcome) -> Iterator[Fault]:
    """One line that says what is wrong, as the last on stderr."""
    lines = outcome.err.split("\n")
    told = [line for line in lines if line.startswith(_PREFIX)]
    if len(told) != 1 or [line for line in lines if line][-1:] != told:
        yield Fault("not one line", "", outcome.err[-400:])
        return
    message = told[0].removeprefix(_PREFIX)
    if len(message) > LONGEST_LINE:
        yield Fault("long line", "", f"{len(message)} characters: {message[:200]}")
    if not message.strip():
        yield Fault("empty line", "", outcome.err[-200:])
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in message):
        yield Fault("control characters", "", repr(message[:300]))
    if given.told and not any(piece in message for piece in given.told):
        yield Fault("does not say where", "", f"none of {given.told} in: {message[:300]}")


def _changes(given: Input, before: Snapshot, after: Snapshot, well: bool) -> Iterator[Fault]:
    """Nothing that was there is changed or gone, and nothing is left behind, save what was asked for."""
    for path in sorted({*before, *after}):
        allowed = given.touches
        if well:
            allowed += given.writes + (given.makes if path not in before else ())
        if before.get(path) == after.get(path) or any(fnmatch(path, pattern) for pattern in allowed):
            continue
        kind = "left behind" if path not in before else "removed" if path not in after else "changed"
        yield Fault(kind, "", path)


def _raised(trace: str) -> str:
    """What was raised: the line below the last frame of a traceback."""
    below = re.split(r'\n  File "[^\n]*(?:\n    [^\n]*)*', trace)[-1].strip()
    return (below.splitlines() or [""])[0][:300]


def _place(trace: str) -> str:
    """Our own last line of a traceback, or the first of a dump of stacks."""
    frames = _FRAME.findall(trace)
    if not frames:
        return ""
    file, line = frames[-1] if "most recent call first" not in trace else frames[0]
    return f"{file.rpartition('/genrec/')[2]}:{line}"
