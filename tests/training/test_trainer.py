"""What the loop is made of, beside the libraries that it follows, and what it reports to trackers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import interruptible
import pytest
import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from genrec.backbones.compact import CompactBackbone
from genrec.training.checkpoints import best_checkpoint, newest_checkpoint, state_of
from genrec.training.mixture import Batch
from genrec.training.trainer import TrainingOptions, new_optimizer, rate, train
from interruptible import fit, weights
from safetensors.torch import load_file
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
    get_scheduler,
)

OPTIONS = TrainingOptions(
    learning_rate=0.003,
    weight_decay=0.1,
    warmup_steps=7,
    lr_scheduler_type="linear",
    gradient_accumulation_steps=1,
    bf16=False,
    seed=0,
    evaluations=2,
    patience=0,
    report_to=(),
)


@pytest.mark.parametrize("warmup_steps", [0, 7, 60, 0.11])
@pytest.mark.parametrize("kind", ["linear", "cosine", "inverse_sqrt", "constant", "constant_with_warmup"])
def test_learning_rates_are_those_of_transformers(kind: str, warmup_steps: float, tmp_path: Path) -> None:
    options = replace(OPTIONS, lr_scheduler_type=kind, warmup_steps=warmup_steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=options.learning_rate)
    theirs = TrainingArguments(str(tmp_path), warmup_steps=warmup_steps, use_cpu=True)
    num_warmup = theirs.get_warmup_steps(50)
    schedule = get_scheduler(kind, optimizer, num_warmup_steps=num_warmup, num_training_steps=50)
    for update in range(50):
        assert rate(options, update, 50) == schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CompactBackbone(20, depth=1, width=16, num_nodes=5),
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)),
        lambda: T5ForConditionalGeneration(T5Config(vocab_size=20, d_model=8, d_ff=8, d_kv=4, num_layers=1)),
        lambda: nn.ModuleDict({"normal": nn.Linear(2, 2), "norm": nn.Linear(2, 2), "last": nn.LayerNorm(2)}),
    ],
    ids=["compact", "gpt2", "t5", "names"],
)
def test_weights_decay_that_decay_in_the_trainer_of_transformers(make: Callable[[], nn.Module]) -> None:
    model = make()
    list(model.parameters())[-1].requires_grad = False
    decaying = Trainer.get_decay_parameter_names(None, model)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    expected = {weight: 0.1 if name in decaying else 0.0 for name, weight in trained.items()}
    groups = new_optimizer(model, OPTIONS).param_groups
    assert {weight: group["weight_decay"] for group in groups for weight in group["params"]} == expected
    assert {0.0, 0.1} <= set(expected.values())
    assert all((group["betas"], group["eps"]) == ((0.9, 0.98), 1e-8) for group in groups)


class Line(nn.Module):
    """A slope, and whether each of its forward passes ran in mixed precision."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1, 1))
        self.mixed: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mixed.append(torch.is_autocast_enabled("cpu"))
        return x @ self.slope


class Square:
    """A loss that insists on float32."""

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        output: torch.Tensor = model(batch["items"].float())
        assert output.dtype == torch.float32
        return output.square().sum()

    def num_items(self, batch: Batch) -> int:
        return 1

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        return 0


@pytest.mark.parametrize("replicas", [1, 2])
def test_mixed_precision_holds_in_each_training_of_a_model_and_not_after(
    tmp_path: Path, replicas: int
) -> None:
    """A second training goes on from a first one where there is a pre-training."""
    model, steps = Line(), [{"items": torch.ones((2, 1), dtype=torch.int64)}] * 3
    options = replace(OPTIONS, bf16=True, replicas=replicas)
    for name in ("first", "second"):
        train(model, Square(), steps, options, tmp_path / name, validate=None, resume=False)
        assert model.mixed == [True] * 3
        model(torch.ones(1, 1))
        assert not model.mixed.pop()
        model.mixed.clear()


class Notes(GeneralTracker):  # type: ignore[misc]
    """A tracker that keeps what it is given."""

    name = "notes"
    requires_logging_directory = False
    taken: list[Any]

    def __init__(self, run_name: str) -> None:
        super().__init__()
        type(self).taken = [run_name]

    @property
    def tracker(self) -> list[Any]:
        return self.taken

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.taken.append(values)

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        self.taken.append((step, values))

    def finish(self) -> None:
        self.taken.append("finished")


def test_trackers_get_options_and_the_whole_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "notes", Notes)
    fit(tmp_path, report_to=("notes",))
    project, options, *entries, end = Notes.taken
    assert (project, options["warmup_steps"], options["lr_scheduler_type"], end) == (
        "genrec",
        3,
        "linear",
        "finished",
    )
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [step for step, _ in entries] == [line["step"] for line in log]
    assert {"train/loss", "train/grad_norm", "train/learning_rate"} == set(entries[0][1])
    validations = [values["eval/NDCG_10"] for _, values in entries if "eval/NDCG_10" in values]
    assert validations == [line["eval_NDCG@10"] for line in log if "eval_NDCG@10" in line] != []


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """And what they began, one ends: weights are the same but for rounding, as is the log."""
    options = {"dropout": 0.0, "gradient_accumulation_steps": 2}
    expected = weights(fit(tmp_path / "one", **options))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [f"{name}={value}" for name, value in options.items()]
    subprocess.run(
        [*launch, interruptible.__file__, str(tmp_path / "two"), *arguments],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    newest = newest_checkpoint(tmp_path / "two/checkpoints")
    assert newest is not None
    for name, weight in load_file(best_checkpoint(newest, state_of(newest)) / "model.safetensors").items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-4)
    shutil.rmtree(newest)
    for name, weight in weights(fit(tmp_path / "two", resume=True, **options)).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-4)
    one, two = ((tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == len(two) > 10
    for line, other in zip(one[:-1], two[:-1], strict=True):
        assert json.loads(other) == pytest.approx(json.loads(line), rel=1e-4)


@pytest.mark.parametrize(("warmup_steps", "warns"), [(1000, True), (0.5, False), (2, False)])
def test_a_warm_up_that_outlasts_the_training_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, warmup_steps: float, warns: bool
) -> None:
    fit(tmp_path, warmup_steps=warmup_steps)
    told = [record.getMessage() for record in caplog.records if "warmup_steps" in record.getMessage()]
    assert len(told) == warns
    if warns:
        assert "does not get to 0.0" in told[0]
        assert "rises over warmup_steps=1000 updates, and the training has" in told[0]
