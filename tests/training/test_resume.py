"""A training that was stopped, however and wherever, ends with the weights of one that was not."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interruptible
import pytest
import torch
from genrec.data.seal import files_below, measured, write_sealed
from genrec.data.streams import DRAWS
from genrec.errors import RunError
from genrec.training.checkpoints import best_checkpoint, newest_checkpoint, state_of
from interruptible import assert_same_weights, fit, weights


def entries(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def assert_log_is_whole(run: Path, undisturbed: Path) -> None:
    """The same steps with the same losses and metrics, each once and in order."""

    def comparable(path: Path) -> list[tuple[Any, ...]]:
        return [
            (entry["step"], *(entry.get(key) for key in ("loss", "learning_rate", "eval_NDCG@10")))
            for entry in entries(path)
            if "train_runtime" not in entry
        ]

    found = comparable(run)
    assert found == [pytest.approx(entry, abs=1e-6) for entry in comparable(undisturbed)]
    assert len({(entry[0], entry[1] is None) for entry in found}) == len(found)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., tuple[Path, dict[str, torch.Tensor]]]:
    """Run folder and last weights of a training that nothing happened to."""
    known: dict[str, tuple[Path, dict[str, torch.Tensor]]] = {}

    def run_once(**options: Any) -> tuple[Path, dict[str, torch.Tensor]]:
        key = json.dumps(options, sort_keys=True)
        if key not in known:
            run = tmp_path_factory.mktemp("undisturbed")
            known[key] = run, weights(fit(run, **options))
        return known[key]

    return run_once


def num_steps(run: Path) -> int:
    return max(entry["step"] for entry in entries(run))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 2, "threads": 2},
        {"validate": False},
        {"node_vectors": False, "objective": "token", "examples": "prefixes", "prompt": "next_item"},
    ],
    ids=["best", "accumulated", "replicas", "unvalidated", "one-target"],
)
def test_ctrl_c_twice(
    undisturbed: Callable[..., Any],
    stop_after: Callable[[int], None],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    options = {"batch_tokens": 400, "epochs": 3, **options} if "prompt" in options else options
    whole, expected = undisturbed(**options)
    batches = num_steps(whole) * options.get("gradient_accumulation_steps", 1)
    for count in (batches // 3, batches // 3):
        stop_after(count)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, resume=True, **options)
        assert 0 < num_steps(tmp_path) < num_steps(whole)
    stop_after(0)
    assert_same_weights(fit(tmp_path, resume=True, **options), expected)
    assert_log_is_whole(tmp_path, whole)


def test_stopped_before_the_first_checkpoint(
    undisturbed: Callable[..., Any], stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    whole, expected = undisturbed()
    stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    assert newest_checkpoint(tmp_path / "checkpoints") is None
    stop_after(0)
    assert_same_weights(fit(tmp_path, resume=True), expected)
    assert_log_is_whole(tmp_path, whole)


@pytest.fixture
def stopped(
    undisturbed: Callable[..., Any],
    stop_after: Callable[[int], None],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run that was stopped after three quarters; trained once, and copied for each test."""
    original = tmp_path_factory.getbasetemp() / "stopped"
    if not original.exists():
        stop_after(num_steps(undisturbed()[0]) * 3 // 4)
        with pytest.raises(KeyboardInterrupt):
            fit(original)
        stop_after(0)
    return Path(shutil.copytree(original, tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("optimizer.safetensors", b""),
        ("optimizer.safetensors", None),
        ("seal.json", b"half"),
        ("model.safetensors", b"half"),
        ("state.json", b'{"num_updates": 3, "st'),
        ("state.json", None),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    undisturbed: Callable[..., Any], stopped: Path, name: str, damage: bytes | None
) -> None:
    whole, expected = undisturbed()
    newest = newest_checkpoint(stopped / "checkpoints")
    assert newest is not None
    path = newest / name
    path.unlink() if damage is None else path.write_bytes(damage)
    assert newest_checkpoint(stopped / "checkpoints") not in (None, newest)
    with (stopped / "log.jsonl").open("a") as file:
        file.write('{"step": 99, "lo')  # of a writer that was killed
    assert_same_weights(fit(stopped, resume=True), expected)
    assert_log_is_whole(stopped, whole)


def test_without_the_best_checkpoint_the_training_begins_again(
    undisturbed: Callable[..., Any], tmp_path: Path
) -> None:
    whole, expected = undisturbed()
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    best = best_checkpoint(newest, state_of(newest))
    (best / "model.safetensors").write_bytes(b"half")
    assert_same_weights(fit(run, resume=True), expected)
    assert_log_is_whole(run, whole)


def test_a_checkpoint_of_another_run_is_told(undisturbed: Callable[..., Any], tmp_path: Path) -> None:
    whole, _ = undisturbed()
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    write_sealed(run / "data.json", {}, run="another")
    with pytest.raises(RunError, match=r"checkpoint-\d+/seal\.json is of another run"):
        fit(run, resume=True)
    assert newest_checkpoint(whole / "checkpoints") is not None


@pytest.mark.parametrize("by_the_trainer", [True, False], ids=["before our loop", "other draws"])
def test_a_training_of_another_version_is_not_gone_on_with(
    undisturbed: Callable[..., Any], tmp_path: Path, by_the_trainer: bool
) -> None:
    whole, _ = undisturbed()
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for path in run.glob("checkpoints/checkpoint-*"):
        state = json.loads((path / "state.json").read_text())
        (path / "state.json").write_text(json.dumps(state | {"draws": DRAWS + 1}))
        if by_the_trainer:
            (path / "state.json").rename(path / "trainer_state.json")
        write_sealed(path / "seal.json", {}, run=None, files=measured(path, files_below(path, "seal.json")))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(RunError, match=r"checkpoint-\d+ was begun by another version of genrec, which draws"):
        fit(run, resume=True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_resuming_what_is_finished_changes_nothing(
    undisturbed: Callable[..., Any], stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    whole, expected = undisturbed()
    moved = tmp_path / "moved"
    shutil.copytree(whole, moved)  # the best checkpoint is found in the new place too
    stop_after(1)  # not one batch more
    assert_same_weights(fit(moved, resume=True), expected)
    assert entries(moved) == entries(whole)


def test_a_moved_run_still_ends_with_its_best_weights(
    undisturbed: Callable[..., Any],
    stop_after: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The best validation lies before the stop, and no later one is better."""
    scores = {count: 0.5 if count == 1 else 0.1 for count in range(1, 7)}

    def validation_by_count() -> Callable[..., Any]:
        count = itertools.count(1)
        return lambda *_: lambda: {"NDCG@10": scores[next(count)]}

    monkeypatch.setattr("genrec.recommenders.language.generative.ranking_validation", validation_by_count())
    whole = tmp_path / "whole"
    expected = weights(fit(whole))
    assert num_steps(whole) > 6
    monkeypatch.setattr("genrec.recommenders.language.generative.ranking_validation", validation_by_count())
    stop_after(num_steps(whole) // 2)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    stop_after(0)
    scores[1] = 0.1
    monkeypatch.setattr("genrec.recommenders.language.generative.ranking_validation", validation_by_count())
    assert_same_weights(fit(tmp_path / "new", resume=True), expected)


def test_patience_survives(
    stop_after: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validations 1 to 6 fall; with a patience of 3 the fourth is the last, wherever the run was stopped."""
    calls: list[float] = []

    def falling(*_: Any) -> Callable[[], dict[str, float]]:
        def validate() -> dict[str, float]:
            calls.append(0.0)
            return {"NDCG@10": 0.5 - 0.01 * len(calls)}

        return validate

    monkeypatch.setattr("genrec.recommenders.language.generative.ranking_validation", falling)
    whole, run = tmp_path / "whole", tmp_path / "run"
    expected = weights(fit(whole, patience=3))
    assert len(calls) == 4
    last = num_steps(whole)
    assert [entry["step"] for entry in entries(whole) if "eval_NDCG@10" in entry][-1] == last
    calls.clear()
    stop_after(last * 5 // 8)
    with pytest.raises(KeyboardInterrupt):
        fit(run, patience=3)
    assert len(calls) == 2
    stop_after(0)
    assert_same_weights(fit(run, resume=True, patience=3), expected)
    assert len(calls) == 4
    assert_same_weights(fit(run, resume=True, patience=3), expected)  # and it stays stopped
    assert len(calls) == 4
    assert num_steps(run) == last


def test_a_training_is_not_overwritten_nor_mixed_with_another(undisturbed: Callable[..., Any]) -> None:
    whole, _ = undisturbed()
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    with pytest.raises(RunError, match="resume it, or choose another folder"):
        fit(whole)
    for options in ({"width": 32}, {"epochs": 7}, {"node_vectors": False}):
        with pytest.raises(RunError, match="other data or options"):
            fit(whole, resume=True, **options)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def killed_after(seconds: float, run: Path, **options: Any) -> None:
    """Run the training in a process of its own and kill it that long after its first log entry."""
    arguments = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    process = subprocess.Popen(
        [sys.executable, interruptible.__file__, str(run), *arguments],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    written = (run / "log.jsonl").stat().st_size if (run / "log.jsonl").exists() else 0
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (run / "log.jsonl").exists() and (run / "log.jsonl").stat().st_size != written:
            time.sleep(seconds)
            break
        time.sleep(0.005)
    process.kill()
    assert process.wait() in (-9, 0)


def test_killed(undisturbed: Callable[..., Any], tmp_path: Path) -> None:
    options = {"epochs": 12, "evaluations": 24}
    whole, expected = undisturbed(**options)
    killed_after(0.1, tmp_path, **options)
    assert num_steps(tmp_path) < num_steps(whole)
    assert_same_weights(fit(tmp_path, resume=True, **options), expected)
    assert_log_is_whole(tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(undisturbed: Callable[..., Any], tmp_path: Path, seed: int) -> None:
    options = {"epochs": 12, "evaluations": 24, "gradient_accumulation_steps": 2}
    whole, expected = undisturbed(**options)
    moments = random.Random(seed)
    for _ in range(4):
        killed_after(moments.uniform(0, 0.3), tmp_path, **options)
    assert_same_weights(fit(tmp_path, resume=True, **options), expected)
    assert_log_is_whole(tmp_path, whole)
