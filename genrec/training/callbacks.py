"""What the training loop tells while it runs, and what it carries over from one checkpoint to the next run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from genrec.data.files import read_json_lines, write_text
from genrec.errors import ConfigError


class Seams(TrainerCallback):  # type: ignore[misc]
    """What the Trainer does not carry over from one checkpoint to the next run."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Find the best checkpoint again after the folder was moved: its path is kept, not its step."""
        best = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
        if best.is_dir():
            state.best_model_checkpoint = str(best)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log at each checkpoint: the losses since the last entry are not kept."""
        control.should_log |= control.should_save


class _Entry(BaseModel):
    """A line of the log: the step, and whatever was logged at it."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")
    step: int


class Diverged(TrainerCallback):  # type: ignore[misc]
    """Ends a training whose loss is no number any more: nothing is learnt from there on."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ConfigError(
                f"the loss is {loss} after {state.global_step:,} updates: lower learning_rate={args.learning_rate:g}, "
                "or raise warmup_steps"
            )


class JsonLog(TrainerCallback):  # type: ignore[misc]
    """Appends every log entry to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop entries of steps that a resumed run will take again, and a line that was cut off."""
        if not self.path.exists():
            return
        advice = "move it away, and the training begins a new one"
        entries = read_json_lines(self.path, _Entry, advice=advice, may_be_cut=True)
        kept = [entry.model_dump_json() for entry in entries if entry.step <= state.global_step]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")


class ProgressBar(TrainerCallback):  # type: ignore[misc]
    """A bar with steps per second, time left and the latest loss and validation."""

    def __init__(self) -> None:
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=Console(stderr=True),
        )
        self.latest: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.task = self.bar.add_task(
            "", total=state.max_steps, completed=state.global_step, rate="", latest=""
        )
        self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        speed = self.bar.tasks[self.task].speed
        self.bar.update(
            self.task, completed=state.global_step, rate="" if speed is None else f"{speed:.1f}/s"
        )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        for key, name in (
            ("loss", "loss"),
            ("eval_NDCG@10", "validation NDCG@10"),
            ("eval_loss", "validation loss"),
        ):
            if logs and key in logs:
                self.latest[name] = f"{name} {logs[key]:.4f}"
        self.bar.update(self.task, latest="  ".join(self.latest.values()))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.stop()
