"""The door: help, version, typos, and how mistakes and stops come out."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import genrec
import polars as pl
import pytest
import typer
from genrec.cli import recommenders as command
from genrec.cli import terminal
from genrec.cli.exits import MEANINGS, Exit
from genrec.cli.fault import report_fault
from genrec.cli.main import app
from genrec.errors import DataError
from safetensors import SafetensorError


def test_help_names_every_command(cli) -> None:
    for words in ((), ("--help",)):
        shown = cli(*words).out
        for name in ("data", "train", "evaluate", "recommend", "recommenders", "demo"):
            assert name in shown


def test_version(cli) -> None:
    assert cli("--version").out == f"genrec {genrec.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom genrec.cli.main import main\nmain(['--help'])\nmain(['train', '--help'])\n"
        "heavy = {'torch', 'transformers', 'polars', 'numpy', 'scipy', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "genrec", "evalute"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == "genrec: error: No such command 'evalute'. Did you mean 'evaluate'? (see `genrec --help`)\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("evalute", "x"), "evaluate"),
        (("recommend", "x", "--histroy", "y"), "--history"),
        (("train", "popular", "--data", "synthetic"), "--out"),
        (("evaluate", "x", "--users", "many"), "--users"),
    ],
)
def test_a_typo_gets_the_nearest_word(mistake: Callable[..., str], words: tuple[str, ...], told: str) -> None:
    assert told in mistake(*words)


def test_an_error_of_the_library_is_one_line(mistake, monkeypatch) -> None:
    def fail() -> None:
        raise DataError("line 3 of x.csv has 2 fields,\nand 4 are needed")

    monkeypatch.setattr(command, "packaged_recipes", fail)
    assert mistake("recommenders") == "line 3 of x.csv has 2 fields, and 4 are needed"


def test_a_word_that_is_no_text_is_refused(mistake, tmp_path: Path) -> None:
    told = mistake("data", "synthetic", "--out", tmp_path / "caf\udce9")
    assert "caf\\udce9' is not UTF-8" in told
    assert not list(tmp_path.iterdir())


def test_polars_without_threads_is_refused_before_it_panics(shop: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "genrec", "data", shop / "sales.csv"],
        env=os.environ | {"POLARS_MAX_THREADS": "0"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == Exit.MISTAKE
    (line,) = ended.stderr.splitlines()
    assert "POLARS_MAX_THREADS is 0: set it to" in line


def test_an_error_of_the_system_names_the_file(mistake, monkeypatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr(command, "packaged_recipes", fail)
    assert mistake("recommenders") == "/some/where: Permission denied"


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("3 lists for 4 users\nand more"),
        KeyError("counts"),
        MemoryError(),
        RecursionError("maximum recursion depth exceeded"),
        pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_of_ours_is_one_line_with_the_file_of_the_report(
    cli, monkeypatch, tmp_path: Path, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command, "packaged_recipes", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GENREC_CHAT_KEY", "sk-very-secret")
    (line,) = cli("recommenders", "--json", code=70).err.splitlines()
    assert line.startswith(f"genrec: error: a fault of genrec ({type(error).__name__}")
    assert "and more" not in line
    (report,) = tmp_path.iterdir()
    assert line.endswith(f"please report it with {report}")
    told = report.read_text()
    assert told.startswith(f"genrec {genrec.__version__}: recommenders --json\n")
    assert "Traceback (most recent call last)" in told
    assert "in fail" in told
    assert '"polars"' in told
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_report_has_no_secrets(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GENREC_CHAT_KEY", "sk-very-secret")
    error = ValueError("401 for sk-very-secret at https://ada:hunter2@example.org/v1")
    line = report_fault(error, ["train", "cache=https://ada:hunter2@example.org", "sk-very-secret"])
    (report,) = tmp_path.iterdir()
    for text in (line, report.read_text()):
        assert "sk-very-secret" not in text
        assert "hunter2" not in text
        assert "example.org" in text


def test_a_report_that_cannot_be_written_is_no_second_fault(cli, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "packaged_recipes", lambda: 1 / 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    (line,) = cli("recommenders", code=70).err.splitlines()
    assert "ZeroDivisionError: division by zero" in line
    assert "could not be written (No such file or directory)" in line


def test_a_long_error_keeps_its_beginning_and_what_to_do(mistake, monkeypatch) -> None:
    def fail() -> None:
        raise DataError(f"the title {'very ' * 20_000}long is too long: give shorter ones")

    monkeypatch.setattr(command, "packaged_recipes", fail)
    line = mistake("recommenders")
    assert line.startswith("the title very very")
    assert line.endswith("long is too long: give shorter ones")
    assert 400 < len(line) <= 500


def test_names_do_nothing_to_the_terminal(cli, mistake, shop: Path, monkeypatch) -> None:
    hostile = "red\x1b[31m\x07 \u202eback\u2028next\x9b2J\x00"
    line = mistake("train", hostile, "--data", "synthetic", "--out", "x")
    assert not set("\x1b\x07\u202e\u2028\x9b\x00") & set(line)
    assert r"\x1b[31m" in line

    def fail() -> None:
        raise DataError(hostile)

    monkeypatch.setattr(command, "packaged_recipes", fail)
    line = mistake("recommenders")
    assert line == r"red\x1b[31m\x07 \u202eback next\x9b2J\x00"


def test_tables_and_json_show_names_spelled_out(capsys) -> None:
    hostile = "red\x1b[31m \u202eback\u2028\nnext\x9b2J\ud800"
    terminal.print_table(["title"], [[hostile]], title=hostile)
    terminal.note(hostile)
    terminal.print_json({"title": hostile})
    shown = capsys.readouterr()
    assert not set("\x1b\u202e\u2028\x9b\ud800") & set(shown.out + shown.err)
    assert len(shown.out.splitlines()) == 3 + 3
    assert json.loads(shown.out[shown.out.index("{") :]) == {"title": hostile}


def commands() -> dict[str, Any]:
    """All commands by the words that call them."""
    root = typer.main.get_command(app)
    found = {(name,): inner for name, inner in root.commands.items() if name != "data"}
    return found | {("data", name): inner for name, inner in root.commands["data"].commands.items()}


def options() -> list[Any]:
    """Words of a command and an option of it that is no list, for all of them."""
    return [
        pytest.param(words, option, id=" ".join([*words, option.opts[-1]]))
        for words, inner in commands().items()
        for option in inner.params
        if option.param_type_name == "option" and not option.multiple and not option.is_eager
    ]


def test_the_options_are_found() -> None:
    assert len(options()) > 60


@pytest.mark.parametrize(("words", "option"), options())
def test_an_option_that_is_no_list_is_given_once(mistake, words: tuple[str, ...], option: Any) -> None:
    flags = [*option.opts, *option.secondary_opts]
    value = [] if option.is_flag else ["3"]
    told = mistake(*words, flags[0], *value, flags[-1], *value)
    assert told == f"{'/'.join(option.opts)} is given 2 times: give it once"


def test_every_exit_code_says_what_it_means() -> None:
    assert set(MEANINGS) == set(Exit)


def test_ctrl_c_ends_with_130(cli, monkeypatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "packaged_recipes", stop)
    assert "Traceback" not in cli("recommenders", code=130).err


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = [sys.executable, "-m", "genrec", "data", "get"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("--version", 0), ("evalute", 2)])
def test_closed_streams_change_no_exit_code(closed: str, words: str, code: int) -> None:
    command = f'"$0" -m genrec {words} {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "fault" not in done.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
            "No space left on device, says polars",
        ),
        (SafetensorError("I/O error: File too large (os error 27)"), "File too large, says safetensors"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"), "is there room"),
    ],
)
def test_what_the_system_refused_a_library_is_no_fault_of_ours(
    mistake: Callable[..., str], monkeypatch, error: Exception, told: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command, "packaged_recipes", fail)
    assert told in mistake("recommenders")
