"""Where a training reports while it runs: a file of JSON lines, a progress bar, and trackers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genrec.data.files import read_json_lines, write_text
from genrec.errors import BackendMissingError, ConfigError
from genrec.training.checkpoints import State

if TYPE_CHECKING:
    from genrec.training.trainer import TrainingOptions

_SHOWN = {"loss": "loss", "eval_NDCG@10": "validation NDCG@10", "eval_loss": "validation loss"}


class _Entry(BaseModel):
    """A line of the log: the step, and whatever was logged at it."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")
    step: int


class TrainingLog:
    """Takes what a training measures, and shows its steps per second, time left and latest figures."""

    def __init__(
        self, path: Path, state: State, options: TrainingOptions, *, last: int, silent: bool
    ) -> None:
        """Open the log.

        Args:
            path: the file; lines of steps that a resumed training will take again go, and one that was cut off.
            state: where the training stands.
            options: its options; `report_to` names the trackers.
            last: the update that it ends with at the latest.
            silent: let another process of the training report.

        Raises:
            ConfigError: accelerate knows no such tracker.
            BackendMissingError: a tracker is not installed.
        """
        self._path = None if silent else path
        self._trackers = (
            _trackers(options, path.parent / "checkpoints") if options.report_to and not silent else []
        )
        self._latest: dict[str, str] = {}
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=Console(stderr=True),
            disable=silent,
        )
        self._task = self._bar.add_task("", total=last, completed=state.step, rate="", latest="")
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                advice = "move it away, and the training begins a new one"
                entries = read_json_lines(self._path, _Entry, advice=advice, may_be_cut=True)
                kept = [entry.model_dump_json() for entry in entries if entry.step <= state.step]
                write_text(self._path, "".join(line + "\n" for line in kept))
        self._bar.start()

    def advance(self, step: int) -> None:
        """Show that a step was taken."""
        speed = self._bar.tasks[self._task].speed
        self._bar.update(self._task, completed=step, rate="" if speed is None else f"{speed:.1f}/s")

    def write(self, step: int, **values: float) -> None:
        """Keep and report what was measured at a step; names of validations begin with `eval_`."""
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        self._latest |= {name: f"{_SHOWN[name]} {values[name]:.4f}" for name in _SHOWN if name in values}
        self._bar.update(self._task, latest="  ".join(self._latest.values()))
        for tracker in self._trackers:
            tracker.log({_tracked(name): value for name, value in values.items()}, step=step)

    def close(self) -> None:
        """End the bar and the trackers' runs."""
        self._bar.stop()
        for tracker in self._trackers:
            tracker.finish()


def _tracked(name: str) -> str:
    """The name that a tracker gets: in a group, and without the @ that MLflow refuses."""
    group, name = ("eval", name.removeprefix("eval_")) if name.startswith("eval_") else ("train", name)
    return f"{group}/{name.replace('@', '_')}"


def _trackers(options: TrainingOptions, folder: Path) -> list[Any]:
    """accelerate's trackers of `report_to`, their runs begun."""
    # Here, as few trainings have any, and what only answers none.
    from accelerate import Accelerator
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import LoggerType

    for name in options.report_to:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            raise ConfigError(f"report_to={name}: there is no such tracker, only {known}")
        if name in map(str, LoggerType) and name not in get_available_trackers():
            raise BackendMissingError(f"report_to={name}: it is not installed; `pip install {name}`")
    accelerator = Accelerator(log_with=list(options.report_to), project_dir=folder)
    told = {
        name: value if isinstance(value, (int, float)) else str(value)
        for name, value in vars(options).items()
    }
    accelerator.init_trackers(os.environ.get("WANDB_PROJECT", "genrec"), told)
    return list(accelerator.trackers)
