"""A training that nothing validates ends where validation chose for the one before it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interruptible
import pytest
from genrec.errors import RunError
from genrec.training.checkpoints import newest_checkpoint, state_of
from genrec.training.length import last_update, plan_lengths
from interruptible import assert_same_weights, weights


def fit(run: Path, **options: Any) -> Any:
    return interruptible.fit(run, backbone="compact", **options)


@pytest.fixture
def validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose second validation of six is the best."""
    scores = itertools.chain([0.2, 0.5], itertools.repeat(0.1))
    validate = lambda *_: lambda: {"NDCG@10": next(scores)}  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("genrec.recommenders.language.generative.ranking_validation", validate)
        fit(tmp_path / "run")
    return tmp_path / "run"


def steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def test_it_ends_at_the_share_of_the_best_validation(validated: Path) -> None:
    again = validated / "refit"
    plan_lengths(validated, again)
    first = state_of(newest_checkpoint(validated / "checkpoints"))
    assert first.best_step is not None
    assert first.best_step < first.num_updates
    found = fit(again, validate=False)
    assert steps(again)[-1] == first.best_step
    state = state_of(newest_checkpoint(again / "checkpoints"))
    assert (state.step, state.stopped, state.best_step) == (first.best_step, True, None)
    # The same steps as those before the best validation, on the same data.
    assert_same_weights(found, weights(fit(validated, resume=True)))


def test_of_more_data_it_takes_as_large_a_share(tmp_path: Path) -> None:
    (tmp_path / "length.json").write_text('{"share": 0.4}')
    assert [last_update(tmp_path, count) for count in (1, 10, 11, 1000)] == [1, 4, 4, 400]
    assert last_update(tmp_path / "elsewhere", 10) == 10
    (tmp_path / "length.json").write_text('{"share": 1.4}')
    with pytest.raises(RunError, match=r"length\.json"):
        last_update(tmp_path, 10)


def test_stopped_on_the_way_it_ends_with_the_same_weights(
    validated: Path, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    options: dict[str, Any] = {"validate": False, "evaluations": 12}
    for name in ("whole", "stopped"):
        plan_lengths(validated, tmp_path / name)
    expected = weights(fit(tmp_path / "whole", **options))
    stop_after(steps(tmp_path / "whole")[-1] * 2 // 3)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "stopped", **options)
    assert newest_checkpoint(tmp_path / "stopped" / "checkpoints") is not None
    stop_after(0)
    assert_same_weights(fit(tmp_path / "stopped", resume=True, **options), expected)
    assert steps(tmp_path / "stopped")[-1] == steps(tmp_path / "whole")[-1]


def test_parts_have_a_length_of_their_own_and_a_training_without_validation_none(
    validated: Path, tmp_path: Path
) -> None:
    shutil.copytree(validated, validated / "prior" / "0")
    fit(validated / "pretraining", validate=False)
    plan_lengths(validated, tmp_path / "again")
    found = sorted(
        str(path.relative_to(tmp_path / "again")) for path in tmp_path.glob("again/**/length.json")
    )
    assert found == ["length.json", "prior/0/length.json"]


def test_without_its_last_checkpoint_the_length_is_not_guessed(validated: Path, tmp_path: Path) -> None:
    newest = newest_checkpoint(validated / "checkpoints")
    assert newest is not None
    shutil.rmtree(newest)
    with pytest.raises(RunError, match="does not hold the last checkpoint, which tells how long"):
        plan_lengths(validated, tmp_path / "again")
    assert not (tmp_path / "again").exists()
