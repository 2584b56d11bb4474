"""Checkpoints of a training: sealed as they are written, and found again when it goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor, nn
from transformers import TrainerCallback

from genrec.data.files import read_json, read_safetensors, safetensors_shapes
from genrec.data.seal import check_below, check_run, files_below, measured, read_sealed, run_of, write_sealed
from genrec.data.streams import DRAWS
from genrec.errors import RunError

_SEAL = "seal.json"
_WEIGHTS = "model.safetensors"
_ADVICE = "move it away, and --resume goes on from the one before it"


class Sealing(TrainerCallback):  # type: ignore[misc]
    """Seals each checkpoint once it is whole."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note sizes and SHA-256 of its files, the run that it belongs to, and how its batches are drawn."""
        checkpoints = Path(args.output_dir)
        folder = checkpoints / f"checkpoint-{state.global_step}"
        files = measured(folder, files_below(folder, _SEAL))
        write_sealed(folder / _SEAL, {"draws": DRAWS}, run=run_of(checkpoints.parent), files=files)


class _ControlArguments(BaseModel):
    should_training_stop: bool


class _Control(BaseModel):
    args: _ControlArguments


class _Callbacks(BaseModel):
    TrainerControl: _Control


class _Drawn(BaseModel):
    """What we read of a seal: which plan its training draws by; 0: it is of before `genrec.data.streams`."""

    draws: int = 0


class State(BaseModel):
    """What we read of the Trainer's `trainer_state.json`."""

    global_step: int
    max_steps: int
    best_global_step: int | None
    stateful_callbacks: _Callbacks

    @property
    def stopped(self) -> bool:
        """Whether the training had come to its end."""
        return self.stateful_callbacks.TrainerControl.args.should_training_stop


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` to go on from; None: there is none.

    It is whole, and so is the best one so far, whose weights the training may end with. Damaged ones are passed over:
    who goes on from an older one takes the same steps again.

    Raises:
        RunError: one is of another run.
    """
    run, found = run_of(folder.parent), []
    for path in folder.glob("checkpoint-*"):
        state = _whole(path, run)
        if state is None:
            continue
        best = best_checkpoint(path, state)
        if best == path or _whole(best, run) is not None:
            found.append((state.global_step, path))
    return max(found)[1] if found else None


def best_checkpoint(checkpoint: Path, state: State) -> Path:
    """The checkpoint with the best validation that `checkpoint`, whose `state` is given, knows of."""
    step = state.global_step if state.best_global_step is None else state.best_global_step
    return checkpoint.with_name(f"checkpoint-{step}")


def remove_newer(folder: Path, newest: Path | None) -> None:
    """Remove what was passed over for `newest`: a training keeps its checkpoints by their numbers."""
    kept = set() if newest is None else {newest, best_checkpoint(newest, state_of(newest))}
    for path in folder.glob("checkpoint-*"):
        if path not in kept:
            shutil.rmtree(path)


def state_of(checkpoint: Path) -> State:
    """Where a checkpoint stands.

    Raises:
        RunError: its `trainer_state.json` is damaged.
    """
    return read_json(checkpoint / "trainer_state.json", State, advice=_ADVICE, not_finite=True)


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are learnt, by name."""
    return {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}


def load_learnt(model: nn.Module, checkpoint: Path) -> None:
    """Take the weights of a checkpoint that `check_same_training` let through."""
    loaded = read_safetensors(checkpoint / _WEIGHTS, framework="pt", advice=_ADVICE)
    for name, weight in learnt(model).items():
        weight.copy_(loaded[name])


def check_same_training(model: nn.Module, checkpoint: Path, num_updates: int) -> None:
    """Compare a checkpoint with the training that is to go on.

    Raises:
        RunError: it was begun by a version that draws other batches, or with other data or options, as far as its
            shapes tell.
    """
    draws = read_sealed(checkpoint / _SEAL, _Drawn)[0].draws if (checkpoint / _SEAL).exists() else 0
    if draws != DRAWS:
        raise RunError(
            f"{checkpoint} was begun by another version of genrec, which draws other batches from the same seed: train "
            "in another folder, or go on with the version that began it (commit in environment.json)"
        )
    found = safetensors_shapes(checkpoint / _WEIGHTS, advice=_ADVICE)
    expected = {name: tuple(weight.shape) for name, weight in learnt(model).items()}
    if found != expected or state_of(checkpoint).max_steps != num_updates:
        raise RunError(
            f"{checkpoint} was begun with other data or options: give those, or train in another folder"
        )


def _whole(checkpoint: Path, run: str | None) -> State | None:
    """The state of a checkpoint that is as it was written; None for any other.

    Without a seal it is one of before there were seals, or one whose writer was killed: the Trainer writes the state
    last. A run that has an identity has its checkpoints sealed, so that it is the latter.
    """
    try:
        if (checkpoint / _SEAL).exists():
            seal = read_sealed(checkpoint / _SEAL, dict[str, Any])[1]
        elif run is not None:
            return None
        else:
            return state_of(checkpoint)
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
