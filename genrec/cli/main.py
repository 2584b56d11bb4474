"""The door of the command line: it knows the commands and turns every mistake of a user into one line.

Each command is one file beside this one. They import what they need when they run, so that `genrec --help`
answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import genrec
from genrec.cli import ask, audit, bench, compare, data, demo, evaluate, recommend, recommenders, train
from genrec.cli.terminal import error_line
from genrec.errors import ConfigError, GenrecError

app = typer.Typer(
    name="genrec", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("audit")(audit.audit)
app.command("bench")(bench.bench)
app.command("ask")(ask.ask)
app.command("recommend")(recommend.recommend)
app.command("recommenders")(recommenders.recommenders)
app.command("demo")(demo.demo)


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


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: the words after `genrec`; None: those of this process.

    Returns:
        0: done. 2: the user's mistake, told in one line on stderr. 130: stopped with Ctrl-C. 1: an audit
        found something, or the reader of our output went away.
    """
    words = list(sys.argv[1:] if args is None else args)
    try:
        _check_text(words)
        code = typer.main.get_command(app).main(
            words or ["--help"], prog_name="genrec", standalone_mode=False
        )
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GenrecError as error:
        return error_line(str(error))
    except typer.TyperException as error:
        return error_line(error.format_message())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return error_line(f"{where}{error.strerror or error}")
