"""The door of the command line: it knows the commands and turns every mistake of a user into one line.

Each command is one file beside this one. They import what they need when they run, so that `genrec --help`
answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

import genrec
from genrec.cli import (
    ask,
    audit,
    backbone,
    bench,
    compare,
    data,
    demo,
    evaluate,
    items,
    recommend,
    recommenders,
    train,
)
from genrec.cli.command import Command
from genrec.cli.exits import Exit
from genrec.cli.fault import refused_by_system, report_fault
from genrec.cli.terminal import error_line, notes_shown
from genrec.errors import ConfigError, GenrecError

# The system takes the memory back; to look through every module of torch for garbage first takes a second.
atexit.register(gc.freeze)

app = typer.Typer(
    name="genrec", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)
app.add_typer(data.app, name="data")
app.command("train", cls=Command)(train.train)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("compare", cls=Command)(compare.compare)
app.command("audit", cls=Command)(audit.audit)
app.command("bench", cls=Command)(bench.bench)
app.command("ask", cls=Command)(ask.ask)
app.command("recommend", cls=Command)(recommend.recommend)
app.add_typer(items.app, name="items")
app.command("recommenders", cls=Command)(recommenders.recommenders)
app.add_typer(backbone.app, name="backbone")
app.command("demo", cls=Command)(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"genrec {genrec.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn from an interaction log, recommend by writing the next item's name."""


def _check_text(words: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come as lone surrogates, which neither polars nor JSON files take.

    Raises:
        ConfigError: a word has some.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{word!r} is not UTF-8 text: rename the file, or type it in UTF-8") from None


def _check_environment() -> None:
    """Polars panics, past every `except Exception`, where it is to have no thread; other values it passes over.

    Raises:
        ConfigError: POLARS_MAX_THREADS is 0.
    """
    if os.environ.get("POLARS_MAX_THREADS") == "0":
        raise ConfigError("POLARS_MAX_THREADS is 0: set it to a number of threads from 1 on, or unset it")


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; every error ends in one line on stderr.

    Args:
        args: the words after `genrec`; None: those of this process.

    Returns:
        The exit code: see `genrec.cli.exits`.
    """
    words = list(sys.argv[1:] if args is None else args)
    # A closed stream is None, and the next file that is opened would get its number.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a title that the terminal has no letters for
    try:
        _check_text(words)
        _check_environment()
        with notes_shown():
            code = typer.main.get_command(app).main(
                words or ["--help"], prog_name="genrec", standalone_mode=False
            )
        sys.stdout.flush()
        return int(code or Exit.DONE)
    except (BrokenPipeError, SystemExit):  # the latter is typer's way to end where the reader went away
        # What is still buffered would fail again when the interpreter closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FOUND
    except GenrecError as error:
        error_line(str(error))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)  # the command that was called in a way it does not know
        see = f" (see `{context.command_path} --help`)" if context is not None else ""
        error_line(error.format_message().rstrip(".") + see)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        error_line(f"{where}{error.strerror or error}")
    except (typer.Abort, KeyboardInterrupt):
        return Exit.STOPPED
    except BaseException as error:  # polars' panics are no Exception
        told = refused_by_system(error)
        if told is not None:
            error_line(told)
            return Exit.MISTAKE
        error_line(report_fault(error, words))
        return Exit.FAULT
    return Exit.MISTAKE
