"""What the commands show: tables, notes, progress and the one line of an error.

Answers go to stdout, everything else to stderr, so that stdout can be piped. On a terminal tables are drawn
and coloured; in a pipe they are plain columns that nothing cuts off.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

from genrec.cli.exits import Exit

LONGEST_LINE = 500  # characters of an error's message
# Control characters but the line feed, marks of direction, separators that end lines, and halves of characters.
_UNSEEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Sink:
    """A stream on which no name can do anything: what is not to be seen is spelled out.

    Made anew each time, as tests and pipes change the stream underneath. Only a terminal needs rich, whose import takes
    as long as some answers.
    """

    stream: TextIO

    @property
    def is_terminal(self) -> bool:
        """Whether it is one, or is to be taken for one."""
        told = os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE")  # which rich looks at
        return (self.stream.isatty() or bool(told)) and self.console().is_terminal

    def console(self) -> Console:
        """The stream for what rich draws."""
        from rich.console import Console

        return Console(file=self.stream, highlight=False, markup=False, soft_wrap=True)

    def print(self, text: str = "", *, style: str | None = None, end: str = "\n") -> None:
        """Print a text, in a style where there are any."""
        if self.is_terminal:
            self.console().print(printable(text), style=style, end=end)
        else:
            print(printable(text), end=end, file=self.stream)


def stdout() -> Sink:
    """Where the answers go."""
    return Sink(sys.stdout)


def stderr() -> Sink:
    """Where notes, progress and errors go."""
    return Sink(sys.stderr)


def printable(text: str) -> str:
    """`text` with what steers a terminal, breaks lines unseen or turns the direction of writing spelled out."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def note(text: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    stderr().print(text, style="dim")


def error_line(message: str) -> None:
    """Print the one line of an error on stderr."""
    err = stderr()
    err.print("genrec: error: ", style="bold red", end="")
    err.print(message_line(message))


def message_line(message: str) -> str:
    """A message as one line of at most `LONGEST_LINE` characters that does nothing to a terminal.

    Messages repeat what they are about, and a cell of a broken file may hold anything: control characters are
    spelled out, and of a longer message the middle is left out, since what to do stands at its end.
    """
    plain = printable(_line(message))
    if len(plain) <= LONGEST_LINE:
        return plain
    head = LONGEST_LINE * 3 // 5
    return f"{plain[:head]} … {plain[head + 3 - LONGEST_LINE :]}"


def print_json(value: Any) -> None:
    """Print plain values as JSON on stdout."""
    print(
        _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, indent=2, ensure_ascii=False))
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print rows under their column names; columns that hold only numbers stand to the right."""
    out = stdout()
    cells = [["" if value is None else printable(_line(str(value))) for value in row] for row in rows]
    title = printable(_line(title))
    numeric = [
        all(
            isinstance(row[place], int | float) or _is_number(cells[at][place]) for at, row in enumerate(rows)
        )
        for place in range(len(columns))
    ]
    if out.is_terminal:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(
            title=title or None,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            show_header=any(columns),
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for name, right in zip(columns, numeric, strict=True):
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*row)
        out.console().print(table, soft_wrap=False)  # what is drawn has to fit
        return
    from rich.cells import cell_len

    lines = [list(columns), *cells] if any(columns) else cells
    widths = [max(cell_len(line[place]) for line in lines) for place in range(len(columns))] if lines else []
    if title:
        print(title)
    for line in lines:
        padded = [
            " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, object], title: str = "") -> None:
    """Print names and values below one another, leaving out what is None."""
    print_table(
        ["", ""], [(name, _spelled(value)) for name, value in facts.items() if value is not None], title
    )


class _Notes(logging.Handler):
    """Writes as notes what the package says while it works."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


@contextmanager
def notes_shown() -> Iterator[None]:
    """Show what the logger `genrec` is told, on stderr."""
    logger = logging.getLogger("genrec")
    before = logger.level, logger.propagate
    handler = _Notes()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr from the first tick on, on a terminal only; yields what takes (done, in all)."""
    err = stderr()
    if not err.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err.console(),
        transient=True,
    )
    task = bar.add_task(what, start=False, total=None)

    def tick(done: int, total: int) -> None:
        bar.start()
        bar.start_task(task)
        bar.update(task, completed=done, total=total)

    try:
        yield tick
    finally:
        bar.stop()


@contextmanager
def stoppable(how_to_go_on: str) -> Iterator[None]:
    """Let Ctrl-C end the work inside with a line that tells how to go on, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        stderr().print(f"\ngenrec: stopped; {how_to_go_on}")
        raise typer.Exit(Exit.STOPPED) from None


def _line(text: str) -> str:
    """`text` on one line."""
    return " ".join(text.splitlines())


def _is_number(text: str) -> bool:
    return (
        text in ("", "–")
        or text.replace(",", "")
        .replace(".", "", 1)
        .removeprefix("< ")
        .lstrip("+-")
        .removesuffix("%")
        .isdigit()
    )


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
