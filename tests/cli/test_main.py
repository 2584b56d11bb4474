"""The door: help, version, typos, and how mistakes and stops come out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import genrec
import pytest
from genrec.cli import recommenders as command
from genrec.errors import DataError


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
    assert done.stderr == "genrec: error: No such command 'evalute'. Did you mean 'evaluate'?\n"


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


def test_an_error_of_the_system_names_the_file(mistake, monkeypatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr(command, "packaged_recipes", fail)
    assert mistake("recommenders") == "/some/where: Permission denied"


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
