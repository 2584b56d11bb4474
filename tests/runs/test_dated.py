"""Dated runs beside each other: which are kept, what `latest` leads to, and that nothing else is touched."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import genrec
import pytest
from genrec.cli.main import main
from genrec.errors import ConfigError, RunError
from genrec.recommenders.popular import Popular
from genrec.runs.dated import dated_runs, next_dated, remove_old
from genrec.runs.folder import alone

WORDS = ("train", "popular", "validation_users=20", "--data", "synthetic")


def night(out: Path, **more: object) -> genrec.Run:
    return genrec.train("popular", "synthetic", out, keep=2, validation_users=20, **more)  # type: ignore[arg-type]


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_newest_stay_and_latest_leads_to_the_last(tmp_path: Path) -> None:
    out = tmp_path / "shop"
    first, second = night(out), night(out)
    (out / "2020-01-01-000000").mkdir()  # by its name alone no run
    (out / "notes").mkdir()
    elsewhere = genrec.train("popular", "synthetic", tmp_path / "mine", validation_users=20).folder
    (out / "2021-01-01-000000").symlink_to(elsewhere)
    assert os.readlink(out / "latest") == second.folder.name
    assert first.folder < second.folder
    third = night(out)
    assert dated_runs(out) == [second.folder, third.folder]
    others = {"latest", "notes", "2020-01-01-000000", "2021-01-01-000000"}
    assert {path.name for path in out.iterdir()} == others | {second.folder.name, third.folder.name}
    assert genrec.load(out / "latest").name == "popular"
    assert genrec.open_run(out / "latest").metrics["validation-20-users"]["provenance"]["run"] == str(
        third.folder
    )
    assert genrec.open_run(elsewhere).finished
    with pytest.raises(RunError, match=rf"holds dated runs: give one of them, or {out}/latest"):
        genrec.open_run(out)


def test_latest_is_switched_when_all_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = night(tmp_path / "shop").folder
    with monkeypatch.context() as patch:
        patch.setattr(genrec.Run, "evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            night(tmp_path / "shop")
    assert (tmp_path / "shop" / "latest").resolve() == first
    *_, stopped = dated_runs(tmp_path / "shop")
    assert stopped != first
    assert night(tmp_path / "shop", resume=True).folder == stopped
    assert (tmp_path / "shop" / "latest").resolve() == stopped
    assert night(tmp_path / "shop", resume=True).folder > stopped  # nothing to go on with: the next one


def test_a_training_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ConfigError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", fails)
        with pytest.raises(ConfigError):
            night(tmp_path / "shop")
        assert not (tmp_path / "shop").exists()
    first = night(tmp_path / "shop").folder
    monkeypatch.setattr(Popular, "_fit", fails)
    with pytest.raises(ConfigError):
        night(tmp_path / "shop")
    assert {path.name for path in (tmp_path / "shop").iterdir()} == {first.name, "latest"}


def test_what_was_stopped_goes_once_it_is_older_than_the_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            night(tmp_path)
    (stopped,) = dated_runs(tmp_path)
    runs = [night(tmp_path).folder for _ in range(2)]
    assert dated_runs(tmp_path) == runs
    assert not stopped.exists()


def test_a_run_that_is_trained_or_answers_is_not_removed(tmp_path: Path) -> None:
    runs = [night(tmp_path).folder for _ in range(2)]
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(runs[0].name)
    assert remove_old(tmp_path, 1) == []
    (tmp_path / "latest").unlink()
    with alone(runs[0]):
        assert remove_old(tmp_path, 1) == []
    assert remove_old(tmp_path, 1) == runs[:1]


def test_the_next_is_later_than_all_even_where_the_clock_was_put_back(tmp_path: Path) -> None:
    run = night(tmp_path).folder
    ahead = run.rename(tmp_path / (datetime.now(UTC) + timedelta(days=400)).strftime("%Y-%m-%d-%H%M%S"))
    assert next_dated(tmp_path, resume=False) > ahead
    (tmp_path / "2026-1-1-1").symlink_to(ahead)
    ahead.rename(tmp_path / "2026-1-1-10000")  # read as a moment, but not written so
    assert dated_runs(tmp_path) == []


def test_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    run = genrec.train("popular", "synthetic", tmp_path / "run", validation_users=20).folder
    with pytest.raises(RunError, match="is a run, and --keep puts runs beside each other"):
        night(run)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "latest").write_text("mine")
    with pytest.raises(RunError, match="latest is no link"):
        night(tmp_path / "shop")
    with pytest.raises(ConfigError, match="give one of them"):
        night(tmp_path / "other", force=True)
    with pytest.raises(ConfigError, match="keep is 0"):
        genrec.train("popular", "synthetic", tmp_path / "other", keep=0)
    assert not (tmp_path / "other").exists()


def test_a_second_one_is_refused_in_each_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, shop = tmp_path / "run", tmp_path / "shop"
    assert main([*WORDS, "--out", str(run)]) == 0
    shop.mkdir()
    for out, ways in (
        (run, ((), ("--resume",), ("--force",), ("--force", "--resume"))),
        (shop, (("--keep", "2"),)),
    ):
        with alone(out):
            for way in ways:
                assert main([*WORDS, "--out", str(out), *way]) == 2
                assert "another process trains in" in capsys.readouterr().err
    assert list(shop.iterdir()) == []
    assert main([*WORDS, "--out", str(run), "--force"]) == 0
    assert main([*WORDS, "--out", str(shop), "--keep", "2"]) == 0
    assert "latest" in {path.name for path in shop.iterdir()}


def test_who_waited_at_a_folder_that_was_replaced_does_not_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    lock = fcntl.flock

    def replaced(*how: int) -> None:  # between opening it and its lock
        run.rename(tmp_path / "aside")
        run.mkdir()
        lock(*how)

    monkeypatch.setattr(fcntl, "flock", replaced)
    with pytest.raises(RunError, match="another process trains"), alone(run):
        pass
