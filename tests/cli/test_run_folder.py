"""The files of a run belong together: one of another run, an edited or a damaged one is told by every command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import genrec
import pytest
from genrec.errors import RunError

Mistake = Callable[..., str]


@pytest.fixture
def run(popular_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(popular_run, tmp_path / "run"))


def test_a_run_may_be_moved_and_renamed(cli, run: Path) -> None:
    moved = run.rename(run.with_name("elsewhere"))
    cli("evaluate", moved)
    assert genrec.load(moved).name == "popular"


@pytest.mark.parametrize("name", ["config.yaml", "recipe.yaml", "environment.json"])
def test_an_edited_file_is_told_and_a_changed_recipe_can_be_trained_elsewhere(
    cli, mistake: Mistake, run: Path, name: str
) -> None:
    path = run / name
    path.write_text(path.read_text().replace("popular", "itemknn") + "\n")
    for words in (
        ("evaluate", run),
        ("recommend", run, "--user", "user0001"),
        ("compare", run),
        ("audit", run),
        ("train", "popular", "--data", "synthetic", "--out", run, "--resume"),
    ):
        told = mistake(*words)
        assert f"{name} was changed since it was written" in told
        assert "genrec train RECIPE.yaml --out NEW" in told
    if name == "recipe.yaml":
        cli("train", path, "--data", "synthetic", "--out", run.with_name("new"))
        assert genrec.load(run.with_name("new")).name == "itemknn"


def test_a_file_of_another_run_is_told(mistake: Mistake, run: Path, knn_run: Path) -> None:
    def exchanged(name: str) -> str:
        broken = run.with_name("broken")
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(run, broken)
        if (knn_run / name).is_dir():
            shutil.rmtree(broken / name)
            shutil.copytree(knn_run / name, broken / name)
        else:
            shutil.copy(knn_run / name, broken / name)
        return mistake("evaluate", broken)

    assert "model/recommender.json is of another run" in exchanged("model")
    assert "metrics.json is of another run" in exchanged("metrics.json")
    assert "config.yaml was changed" in exchanged("config.yaml")
    assert "changed since it was written" in exchanged("data.json")
    assert "items.parquet" not in exchanged("model/recommender.json")


def test_load_knows_whose_model_it_is(run: Path, knn_run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "model")
    shutil.copytree(knn_run / "model", run / "model")
    with pytest.raises(RunError, match="is of another run"):
        genrec.load(run)
    shutil.copytree(run / "model", tmp_path / "alone")
    assert genrec.load(tmp_path / "alone").name == "itemknn"  # a model is used anywhere


def test_edited_metrics_are_neither_read_nor_added_to(mistake: Mistake, run: Path) -> None:
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["validation"] = {**metrics.get("validation", {}), "HR@10": 1.0}
    path.write_text(json.dumps(metrics))
    told = mistake("evaluate", run)
    assert "metrics.json was changed since it was written" in told
    assert "remove it and run `genrec evaluate` again" in told
    assert json.loads(path.read_text()) == metrics


FILES = (
    "data.json",
    "config.yaml",
    "environment.json",
    "recipe.yaml",
    "metrics.json",
    "model/recommender.json",
)
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "another encoding": lambda content: content.decode().encode("utf-16"),
    "a list": lambda content: b"[1, 2]",
    "null": lambda content: b"null",
    "nested": lambda content: b"[" * 100_000,
    "twice": lambda content: content.replace(b"{", b'{"seal": 1, "seal": 2, ', 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_damaged_file_is_named(
    mistake: Mistake, run: Path, unsealed: Callable[[Path], Path], damage: str, sealed: bool
) -> None:
    if not sealed:
        unsealed(run)
    for name in FILES:
        if not sealed and name == "recipe.yaml":  # nobody reads it
            continue
        path = run / name
        content = path.read_bytes()
        path.write_bytes(DAMAGE[damage](content))
        if path.read_bytes() != content:
            assert str(path) in mistake("evaluate", run)
        path.write_bytes(content)


def test_a_link_that_leads_nowhere_is_named_before_a_training(mistake: Mistake, run: Path) -> None:
    described = run / "data.json"
    described.unlink()
    described.symlink_to(described)
    for words in ([], ["--resume"]):
        told = mistake("train", "popular", "--data", "synthetic", "--out", run, *words)
        assert f"{run} is not a run" in told
        assert "data.json is missing" in told
    assert described.is_symlink()
