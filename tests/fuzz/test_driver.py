"""The machine that looks for faults sees them: without that, a run that finds nothing says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Driver, Outcome
from inputs import Input
from oracles import judge, snapshot


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("captured"))
    yield driver
    driver.close()


def kinds(given: Input, outcome: Outcome, folder: Path, before: dict[str, str] | None = None) -> list[str]:
    """Kinds of the faults that the judges find."""
    now = snapshot(folder)
    return [fault.kind for fault in judge(given, outcome, now if before is None else before, now)]


def test_a_process_that_is_lost_is_told_and_replaced(tmp_path: Path) -> None:
    strict = Driver(tmp_path / "captured", limit_s=2, limit_mb=200)
    for how, kind in (("abort", "SIGABRT"), ("leave", "exit 3"), ("sleep", "hang"), ("eat", "memory")):
        given = Input(["@misbehave", how], how)
        assert kinds(given, strict.run(given.words, tmp_path), tmp_path) == [kind]
    assert strict.run(["@misbehave", "not"], tmp_path).code == 0
    strict.close()


def test_an_exception_is_told_with_its_place(driver: Driver, tmp_path: Path) -> None:
    given = Input(["@misbehave", "raise"], "raise")
    (fault,) = judge(given, driver.run(given.words, tmp_path), {}, {})
    assert (fault.kind, fault.seen) == ("traceback", "KeyError: 'raise'")


def test_the_report_of_a_command_is_read_and_goes(driver: Driver, tmp_path: Path) -> None:
    report = driver.captured / "genrec-report-x.txt"
    report.write_text(
        'Traceback\n  File "/a/genrec/cli/main.py", line 7, in main\n    code = 1\nKeyError: 5\n\n{}\n'
    )
    outcome = driver.run(["@misbehave", "not"], tmp_path)
    (fault,) = judge(Input([], ""), outcome, {}, {})
    assert (fault.kind, fault.where, fault.seen) == ("traceback", "cli/main.py:7", "KeyError: 5")
    assert not report.exists()


def test_a_mistake_and_an_answer_are_no_faults(tmp_path: Path) -> None:
    told = Outcome(2, err="a note\ngenrec: error: there is no file nothing.csv\n")
    assert kinds(Input([], "no file", "refused", ("nothing.csv",)), told, tmp_path) == []
    assert kinds(Input([], "good", "answered"), Outcome(0, "42"), tmp_path) == []


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("genrec: error: one\ngenrec: error: two\n", "not one line"),
        ("genrec: error: one\nmore\n", "not one line"),
        ("something went wrong\n", "not one line"),
        ("genrec: error: \n", "empty line"),
        (f"genrec: error: {'x' * 1000}\n", "long line"),
        ("genrec: error: \x1b[2J\n", "control characters"),
        ("genrec: error: no such thing\n", "does not say where"),
        ("Traceback (most recent call last):\n", "traceback"),
    ],
)
def test_a_line_that_helps_nobody_is_told(err: str, kind: str, tmp_path: Path) -> None:
    given = Input([], "", "refused", ("a.csv", "such a") if kind == "does not say where" else ())
    assert kinds(given, Outcome(2, err=err), tmp_path) == [kind]


def test_what_comes_of_an_input_is_held_against_what_should(tmp_path: Path) -> None:
    assert kinds(Input([], "", "refused"), Outcome(0), tmp_path) == ["accepted"]
    assert kinds(Input([], "", "answered"), Outcome(2, err="genrec: error: no\n"), tmp_path) == ["refused"]
    assert kinds(Input([], ""), Outcome(1), tmp_path) == ["exit code"]
    assert kinds(Input([], "", exits=(1,)), Outcome(1), tmp_path) == []

    def wrong(out: str) -> None:
        raise AssertionError(out)

    assert kinds(Input([], "", answer=wrong), Outcome(0, "42"), tmp_path) == ["answer"]


def test_files_that_change_come_or_go_are_told(tmp_path: Path) -> None:
    for name in ("kept.txt", "changed.txt", "gone.txt"):
        (tmp_path / name).write_text("years of work")
    (tmp_path / "link").symlink_to("kept.txt")
    before = snapshot(tmp_path)
    (tmp_path / "changed.txt").write_text("years of play")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "new.tmp").touch()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("changed.txt")
    given, failed = Input([], ""), Outcome(2, err="genrec: error: no\n")
    assert kinds(given, failed, tmp_path, before) == ["changed", "removed", "changed", "left behind"]
    allowed = Input([], "", writes=("changed.txt", "gone.txt", "link"), makes=("*",))
    assert kinds(allowed, Outcome(0), tmp_path, before) == []
    assert kinds(allowed, failed, tmp_path, before) == ["changed", "removed", "changed", "left behind"]
    assert kinds(Input([], "", makes=("*",)), Outcome(0), tmp_path, before) == [
        "changed",
        "removed",
        "changed",
    ]
