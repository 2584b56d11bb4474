"""How a command ends: every exit code of `genrec`, and what it means."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """An exit code; 70 is `EX_SOFTWARE` of sysexits.h, 130 what shells give to what Ctrl-C ended."""

    DONE = 0
    FOUND = 1
    MISTAKE = 2
    FAULT = 70
    STOPPED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.FOUND: "`genrec audit` found something, or the reader of the output went away",
    Exit.MISTAKE: "a mistake in what was given, told in one line: what was found, what is allowed, what to do",
    Exit.FAULT: "a fault of genrec, told in one line with the file that has the full report",
    Exit.STOPPED: "stopped with Ctrl-C",
}
