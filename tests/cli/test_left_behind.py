"""A command that fails leaves nothing behind that is in the way of the next try."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import genrec
import polars as pl
import pytest
from genrec.errors import ConfigError
from genrec.recommenders.popular import Popular

Mistake = Callable[..., str]
SYNTHETIC = ("--data", "synthetic")


def fails(*args: object, **options: object) -> None:
    raise ConfigError("this cannot be done: do something else")


def interrupted(*args: object, **options: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["_fit", "_save"])
def test_train(cli, mistake: Mistake, tmp_path: Path, monkeypatch, method: str) -> None:
    words = ("train", "popular", *SYNTHETIC, "--out", tmp_path / "runs" / "one")
    with monkeypatch.context() as patch:
        patch.setattr(Popular, method, fails)
        assert "this cannot be done" in mistake(*words)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "runs" / "one").mkdir(parents=True)
        mistake(*words)
        assert list((tmp_path / "runs").rglob("*")) == [tmp_path / "runs" / "one"]  # it was there before
    cli(*words)


def test_a_mistyped_backbone_is_told_before_the_data_are_read(
    mistake: Mistake, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("genrec.runs.source.DataSource.read", lambda source: pytest.fail("read"))
    for name in ("genrec", "palr", "recsysllm"):
        words = ("train", name, *SYNTHETIC, "--out", tmp_path / "run", "backbone=./nowhere")
        assert "there is no folder or file './nowhere'" in mistake(*words)
        assert list(tmp_path.iterdir()) == []


def test_what_the_user_puts_into_the_folder_meanwhile_is_kept(
    mistake: Mistake, tmp_path: Path, monkeypatch
) -> None:
    def noted(*args: object, **options: object) -> None:
        (tmp_path / "run" / "note.txt").write_text("first try")
        fails()

    monkeypatch.setattr(Popular, "_fit", noted)
    mistake("train", "popular", *SYNTHETIC, "--out", tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["note.txt"]


def test_train_that_was_stopped_is_kept(cli, tmp_path: Path, monkeypatch) -> None:
    words = ("train", "popular", *SYNTHETIC, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", interrupted)
        cli(*words, code=130)
        patch.setattr(Popular, "_fit", fails)
        cli(*words, "--resume", code=2)
    assert (tmp_path / "run" / "data.json").is_file()
    cli(*words, "--resume")


def test_train_into_a_folder_of_the_users(mistake: Mistake, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "holds thesis.txt, which is no part of a run" in mistake(
        "train", "popular", *SYNTHETIC, "--out", tmp_path
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_recommend_to_all(cli, mistake: Mistake, popular_run: Path, tmp_path: Path, monkeypatch) -> None:
    words = ("recommend", popular_run, "--users", "all", "--out", tmp_path / "new" / "recs.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "rank", fails)
        assert "this cannot be done" in mistake(*words, "-k", 3)
    assert list(tmp_path.iterdir()) == []
    cli(*words, "-k", 4)
    assert pl.read_parquet(tmp_path / "new" / "recs.parquet").height == 4000


def test_the_invented_data(cli, mistake: Mistake, tmp_path: Path, monkeypatch) -> None:
    words = ("data", "synthetic", "--users", 20, "--out", tmp_path / "films")
    with monkeypatch.context() as patch:
        patch.setattr("genrec.data.synthetic.write_text", fails)  # of the last file
        mistake(*words)
    assert list(tmp_path.iterdir()) == []
    cli(*words)


def test_demo(cli, mistake: Mistake, tmp_path: Path, monkeypatch) -> None:
    words = ("demo", "--recipe", "popular", "--out", tmp_path / "demo")
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", fails)
        mistake(*words)
    assert list(tmp_path.iterdir()) == []
    cli(*words)


def test_bench(cli, mistake: Mistake, tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "bench.md"
    monkeypatch.setattr("genrec.runs.bench.measure", fails)
    assert "this cannot be done" in mistake("bench", "--seconds", 0.01, "--out", page)
    assert list(tmp_path.iterdir()) == []


def test_save(tmp_path: Path, monkeypatch) -> None:
    data = genrec.synthetic(20)
    model = genrec.create("popular").fit(data.train)
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_save", fails)
        with pytest.raises(ConfigError):
            model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    assert genrec.load(model.save(tmp_path / "model")).name == "popular"


def test_nobody_trains_where_another_does(cli, mistake: Mistake, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "popular", *SYNTHETIC, "--out", run)
    program = "import sys\nfrom pathlib import Path\nfrom genrec.runs.folder import alone\n"
    program += "with alone(Path(sys.argv[1])):\n    print('there', flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        (run / "recipe.yaml").write_text("the other's, which has hardly begun\n")
        for way in ((), ("--resume",)):
            assert "another process trains in" in mistake(*words, *way)
        assert [path.read_text() for path in run.iterdir()] == ["the other's, which has hardly begun\n"]
        other.kill()
    cli(*words)
