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
    Exit.MISTAKE: "a user's mistake: one line says what was found, what is allowed and what to do",
    Exit.FAULT: "a fault of genrec: one line names the file with the full report",
    Exit.STOPPED: "stopped with Ctrl-C",
}
