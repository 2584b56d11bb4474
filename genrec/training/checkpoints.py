"""Checkpoints of a training: written, sealed, and found again when it goes on."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors.torch import save_file
from torch import Tensor, nn

from genrec.data.files import read_json, read_safetensors, safetensors_shapes, write_json
from genrec.data.seal import check_below, check_run, files_below, measured, read_sealed, run_of, write_sealed
from genrec.data.streams import DRAWS
from genrec.errors import RunError

_SEAL = "seal.json"
_WEIGHTS = "model.safetensors"
_OPTIMIZER = "optimizer.safetensors"
_STATE = "state.json"
_ADVICE = "move it away, and --resume goes on from the one before it"


class State(BaseModel):
    """Where a training stands."""

    num_updates: int  # that it takes, if nothing ends it sooner
    step: int = 0  # updates that were taken
    best_step: int | None = None  # those before the best validation; None: there was none
    best: float | None = None  # what that one measured
    failures: int = 0  # validations since then
    stopped: bool = False  # it has come to its end
    draws: int = DRAWS  # how its batches are drawn

    def judge(self, value: float, lower_is_better: bool) -> None:
        """Compare a validation with the best one so far."""
        worst = math.inf if lower_is_better else -math.inf
        best = worst if self.best is None else self.best
        if value < best if lower_is_better else value > best:
            self.best_step, self.best, self.failures = self.step, value, 0
        else:
            self.failures += 1


def save_checkpoint(folder: Path, state: State, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write a checkpoint below `folder`, seal it, and remove those that are no longer needed."""
    checkpoint = folder / f"checkpoint-{state.step}"
    checkpoint.mkdir(parents=True)
    weights = {name: weight.data for name, weight in trainable(model).items()}
    save_file(weights, checkpoint / _WEIGHTS, metadata={"format": "pt"})
    moments = {
        f"{number}.{name}": value.contiguous()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    save_file(moments, checkpoint / _OPTIMIZER)
    write_json(checkpoint / _STATE, state.model_dump())
    # Last, and after a look at what was written: a checkpoint whose writer was killed has no seal.
    files = measured(checkpoint, files_below(checkpoint, _SEAL))
    write_sealed(checkpoint / _SEAL, {}, run=run_of(folder.parent), files=files)
    remove_others(folder, checkpoint)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` to go on from; None: there is none.

    It is whole, and so is the best one so far, whose weights the training may end with. Damaged ones are passed over:
    who goes on from an older one takes the same steps again.

    Raises:
        RunError: one is of another run or version.
    """
    for path in folder.glob("checkpoint-*/trainer_state.json"):  # transformers' Trainer wrote it
        raise _of_another_version(path.parent)
    run, found = run_of(folder.parent), []
    for path in folder.glob("checkpoint-*"):
        state = _whole(path, run)
        if state is None:
            continue
        best = best_checkpoint(path, state)
        if best == path or _whole(best, run) is not None:
            found.append((state.step, path))
    return max(found)[1] if found else None


def best_checkpoint(checkpoint: Path, state: State) -> Path:
    """The checkpoint with the best validation that `checkpoint`, whose `state` is given, knows of; else itself."""
    step = state.step if state.best_step is None else state.best_step
    return checkpoint.with_name(f"checkpoint-{step}")


def remove_others(folder: Path, newest: Path | None) -> None:
    """Remove all checkpoints but two: `newest`, and the best that it knows of or, if it is that, the one before."""
    there = {path: path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")}
    kept: list[Path] = []
    if newest is not None:
        state = state_of(newest)
        before = [path for path, step in there.items() if step.isdecimal() and int(step) < state.step]
        before.sort(key=lambda path: -int(there[path]))
        kept = list(dict.fromkeys([newest, best_checkpoint(newest, state), *before]))[:2]
    for path in there:
        if path not in kept:
            shutil.rmtree(path)


def state_of(checkpoint: Path) -> State:
    """Where a checkpoint stands.

    Raises:
        RunError: its `state.json` is damaged.
    """
    return read_json(checkpoint / _STATE, State, advice=_ADVICE)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def load_trainable(model: nn.Module, checkpoint: Path) -> None:
    """Take the weights of a checkpoint that `check_same_training` let through."""
    loaded = read_safetensors(checkpoint / _WEIGHTS, framework="pt", advice=_ADVICE)
    with (
        torch.no_grad()
    ):  # not by `data`, which hides the change from whoever keeps what follows from a weight
        for name, weight in trainable(model).items():
            weight.copy_(loaded[name])


def load_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Path) -> None:
    """Take the moments of a checkpoint; what else an optimizer has, the learning rate too, follows from the options."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in read_safetensors(checkpoint / _OPTIMIZER, framework="pt", advice=_ADVICE).items():
        number, name = key.split(".", 1)
        moments.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def check_same_training(model: nn.Module, checkpoint: Path, num_updates: int) -> None:
    """Compare a checkpoint with the training that is to go on.

    Raises:
        RunError: it was begun by a version that draws other batches, or with other data or options, as far as its
            shapes tell.
    """
    state = state_of(checkpoint)
    if state.draws != DRAWS:
        raise _of_another_version(checkpoint)
    found = safetensors_shapes(checkpoint / _WEIGHTS, advice=_ADVICE)
    expected = {name: tuple(weight.shape) for name, weight in trainable(model).items()}
    if found != expected or state.num_updates != num_updates:
        raise RunError(
            f"{checkpoint} was begun with other data or options: give those, or train in another folder"
        )


def _of_another_version(checkpoint: Path) -> RunError:
    return RunError(
        f"{checkpoint} was begun by another version of genrec, which draws other batches from the same seed: train "
        "in another folder, or go on with the version that began it (commit in environment.json)"
    )


def _whole(checkpoint: Path, run: str | None) -> State | None:
    """The state of a checkpoint that is as it was written; None for any other, and where its writer was killed."""
    try:
        seal = read_sealed(checkpoint / _SEAL, dict[str, Any])[1]
    except RunError:
        return None
    check_run(checkpoint / _SEAL, seal, run, advice="move that checkpoint away")
    if seal is None:
        return None
    try:
        check_below(checkpoint / _SEAL, seal)
        return state_of(checkpoint)
    except RunError:
        return None
