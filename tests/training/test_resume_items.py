"""A training with experts that was stopped, inside any of its parts, ends with the weights of one that was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from genrec.errors import RunError
from genrec.training.trainer import Learner
from interruptible import fit

# Dropout, validation and several windows an epoch in both parts.
OPTIONS: dict[str, Any] = {
    "backbone": "items",
    "batch_tokens": 4000,  # what has no meaning here
    "batch_size": 4,
    "min_steps": 0,
    "epochs": 4,
    "evaluations": 4,
    "max_items": 3,
    "prior": ("bsarec", "transitions"),
    "prior_options": {
        "bsarec": {
            "width": 8,
            "depth": 1,
            "max_items": 4,
            "epochs": 3,
            "batch_size": 4,
            "evaluations": 3,
            "features": ("title",),
            "own_dropout": 0.3,
            "sampled_items": 3,
            "bf16": False,
        }
    },
}


def state(model: Any) -> dict[str, torch.Tensor]:
    """All weights, and those that the parts are weighed by."""
    found = {f"reader {name}": weight for name, weight in model.backbone_.state_dict().items()}
    network = model.experts_.models[0].network_
    found |= {f"bsarec {name}": weight for name, weight in network.state_dict().items()}
    experts = model.experts_
    weights = [*experts.weights.values(), experts.prior_weight, experts.words_weight]
    return {name: weight.clone() for name, weight in found.items()} | {"weights": torch.tensor(weights)}


def assert_same(model: Any, expected: dict[str, torch.Tensor]) -> None:
    found = state(model)
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        assert weight.equal(expected[name]), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor], int]:
    """Run folder, weights and number of batches of a training that nothing happened to."""
    run, calls = tmp_path_factory.mktemp("undisturbed"), list[int]()
    with pytest.MonkeyPatch.context() as patch:
        backward = Learner.backward

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            return backward(*args, **kwargs)

        patch.setattr(Learner, "backward", counted)
        model = fit(run, **OPTIONS)
    return run, state(model), len(calls)


def test_each_part_has_a_folder_in_the_run(undisturbed: tuple[Path, dict[str, torch.Tensor], int]) -> None:
    run, _, _ = undisturbed
    assert (run / "prior" / "0" / "log.jsonl").exists()
    assert (run / "log.jsonl").exists()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_stopped_in_an_expert_or_in_the_language_model(
    undisturbed: tuple[Path, dict[str, torch.Tensor], int],
    stop_after: Callable[[int], None],
    tmp_path: Path,
    share: float,
) -> None:
    _, expected, num_batches = undisturbed
    for resume in (False, True):  # stopped twice
        stop_after(2 if resume else max(2, round(share * num_batches)))
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, resume=resume, **OPTIONS)
    assert (tmp_path / "log.jsonl").exists() == (share >= 0.5)
    stop_after(0)
    assert_same(fit(tmp_path, resume=True, **OPTIONS), expected)


def test_resuming_what_is_finished_trains_nothing(
    undisturbed: tuple[Path, dict[str, torch.Tensor], int], stop_after: Callable[[int], None]
) -> None:
    run, expected, _ = undisturbed
    stop_after(1)
    assert_same(fit(run, resume=True, **OPTIONS), expected)


def test_a_run_is_not_mixed_with_other_options_of_an_expert(
    undisturbed: tuple[Path, dict[str, torch.Tensor], int], stop_after: Callable[[int], None]
) -> None:
    run, _, _ = undisturbed
    stop_after(1)
    others = {"bsarec": OPTIONS["prior_options"]["bsarec"] | {"width": 16}}
    with pytest.raises(RunError, match="other data or options"):
        fit(run, resume=True, **OPTIONS | {"prior_options": others})
