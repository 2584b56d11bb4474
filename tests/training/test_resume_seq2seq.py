"""An encoder–decoder's training that was stopped, in whichever phase, ends with the weights of one that was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from genrec.errors import RunError
from interruptible import assert_same_weights, fit, weights

MASKED: dict[str, Any] = {
    "name": "genrec-seq2seq",
    "epochs": 3,
    "batch_tokens": 150,
    "pretraining_epochs": 3,
    "reads_users": True,
    "word_vectors": "own",
}
TASKS: dict[str, Any] = {
    "name": "p5",
    "epochs": 2,
    "batch_tokens": 600,
    "vocab_size": 300,
    "families": ("sequential", "direct"),
    "times": {"next": 1, "confirm": 1, "direct-choose": 1},
}


def num_steps(run: Path) -> int:
    return max(json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines())


def test_stopped_in_each_phase(stop_after: Callable[[int], None], tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    expected = weights(fit(whole, **MASKED))
    before, after = num_steps(whole / "pretraining"), num_steps(whole)
    assert min(before, after) > 5
    run = tmp_path / "run"
    # In pretraining; right after it, before a checkpoint of what follows; and late in that.
    for count in (before // 2, before + 1, after - 1):
        stop_after(count)
        with pytest.raises(KeyboardInterrupt):
            fit(run, resume=True, **MASKED)
    assert any((run / "checkpoints").glob("checkpoint-*"))
    stop_after(0)
    resumed = fit(run, resume=True, **MASKED)
    assert_same_weights(resumed, expected)
    stop_after(1)
    assert_same_weights(fit(run, resume=True, **MASKED), expected)  # all is done: no step is taken
    with pytest.raises(RunError, match="resume it"):
        fit(run, **MASKED)
    with pytest.raises(RunError, match="other data or options"):
        fit(run, resume=True, **(MASKED | {"pretraining_epochs": 4}))


def test_pretraining_is_learnt_from(tmp_path: Path) -> None:
    """Weights end up others without it, and masked users are learnt too."""
    with_it, without = (fit(None, **(MASKED | {"pretraining_epochs": epochs})) for epochs in (3, 0))
    assert (
        weights(with_it)["lm.model.embed_tokens.weight"] - weights(without)["lm.model.embed_tokens.weight"]
    ).abs().max() > 1e-3


def test_tasks_stopped_twice(stop_after: Callable[[int], None], tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    expected = weights(fit(whole, **TASKS))
    assert num_steps(whole) > 5
    for count in (2, num_steps(whole) // 2):
        stop_after(count)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "run", resume=True, **TASKS)
    stop_after(0)
    assert_same_weights(fit(tmp_path / "run", resume=True, **TASKS), expected)
