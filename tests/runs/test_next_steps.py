"""Commands to copy: with the program as it was called, and quoted for a shell."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from genrec.runs.next_steps import command, program, steps_of_run


def test_the_program_is_called_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one" / "genrec", tmp_path / "other" / "genrec"
    for path in (one, other):
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(one.parent))
    for called, expected in (
        (one, ["genrec"]),
        (other, [str(other)]),
        (tmp_path / "genrec" / "__main__.py", ["python", "-m", "genrec"]),
        (tmp_path / "my_script.py", ["genrec"]),
    ):
        monkeypatch.setattr(sys, "argv", [str(called), "demo"])
        assert program() == expected
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(one), "demo"])
    assert program() == [str(one)]


def test_words_are_quoted(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    user = "it's; rm -rf"
    written = command("recommend", run, "--user", user)
    assert shlex.split(written)[1:] == ["recommend", str(run), "--user", user]


def test_a_run_can_be_asked_where_its_data_lie_now(tmp_path: Path) -> None:
    steps = steps_of_run(
        tmp_path / "run", tmp_path, user="7", history=["a", "b"], moved=["--data", "new place"]
    )
    assert len(steps) == 4
    for step in steps:
        (written,) = step.commands
        assert shlex.split(written)[-2:] == ["--data", "new place"]
    assert "--history a --history b" in steps[1].commands[0]
    assert len(steps_of_run(tmp_path, tmp_path)) == 2
