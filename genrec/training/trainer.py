"""The training loop: transformers' Trainer around our batches, our loss and validation by real decoding.

What it adds
- one map-style data set of *steps* (see `examples.Steps`), so skipping to where a run stopped costs nothing;
- validation that decodes lists for a sample of users and keeps the checkpoint with the best NDCG@10;
- a log of JSON lines and a progress bar with rate and time left;
- resuming from the newest whole checkpoint: a step's batch depends on (seed, step) alone and the checkpoint holds the
  state of the random generators, so the weights end up the same as without the interruption.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging as transformers_logging

from genrec.backbones.base import Backbone
from genrec.codes.trie import Trie
from genrec.training.examples import Batch, Steps
from genrec.training.objectives import catalogue_loss, token_loss

Validate = Callable[[], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; the names follow transformers' TrainingArguments where it has the same option."""

    objective: str
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    lr_scheduler_type: str
    gradient_accumulation_steps: int
    bf16: bool
    seed: int
    evaluations: int  # validations over the whole training
    patience: int  # validations without a better NDCG@10 before it stops; 0: never
    report_to: tuple[str, ...]


class _CodeTrainer(Trainer):  # type: ignore[misc]
    """A Trainer for backbones; checkpoints hold only the weights that are learnt."""

    control: Any
    backbone: Backbone
    objective: str
    validate: Validate | None
    parent_N: Tensor
    token_N: Tensor
    first_child_N1: Tensor

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Mean loss of an item: what its learnt tokens cost together."""
        hidden_BTD = model(inputs["tokens"], inputs["nodes"], inputs["positions"])
        rows_N, places_N = torch.nonzero(inputs["learnt"], as_tuple=True)
        hidden_ND = hidden_BTD[rows_N, places_N - 1]
        target_N = inputs["nodes"][rows_N, places_N]
        num_items = (self.first_child_N1[target_N + 1] == self.first_child_N1[target_N]).sum().clamp_min(1)
        if self.objective == "token":
            loss = token_loss(self.backbone, hidden_ND, inputs["tokens"][rows_N, places_N])
        else:
            loss = catalogue_loss(
                self.backbone, hidden_ND, self.parent_N[target_N], target_N, self.token_N, self.first_child_N1
            )
        return loss / num_items

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validation by decoding."""
        assert self.validate is not None
        self.backbone.eval()
        metrics = {f"eval_{name}": value for name, value in self.validate().items()}
        self.backbone.train()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        learnt = {
            name: weight.data for name, weight in self.backbone.named_parameters() if weight.requires_grad
        }
        safetensors.torch.save_file(learnt, folder / "model.safetensors", metadata={"format": "pt"})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Weights that are not learnt are missing from checkpoints on purpose; an unknown one would be a mistake."""
        assert not load_result.unexpected_keys, load_result.unexpected_keys


class _JsonLog(TrainerCallback):  # type: ignore[misc]
    """Appends every log entry to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop entries of steps that a resumed run will take again."""
        if not self.path.exists():
            return
        lines = [line for line in self.path.read_text().splitlines() if line]
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(line + "\n" for line in kept))
        temporary.replace(self.path)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")


class _ProgressBar(TrainerCallback):  # type: ignore[misc]
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
            self.task, completed=state.global_step, rate="" if speed is None else f"{speed:.1f} steps/s"
        )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        for key, name in (("loss", "loss"), ("eval_NDCG@10", "validation NDCG@10")):
            if logs and key in logs:
                self.latest[name] = f"{name} {logs[key]:.4f}"
        self.bar.update(self.task, latest="  ".join(self.latest.values()))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.stop()


def train(
    backbone: Backbone,
    trie: Trie,
    steps: Steps,
    options: TrainingOptions,
    folder: Path,
    *,
    validate: Validate | None,
    resume: bool,
) -> None:
    """Train `backbone` in place; it ends with the weights of the best validation, where there is one.

    Args:
        backbone: the model.
        trie: of the codes it learns to write.
        steps: the batches.
        options: how to train.
        folder: gets `checkpoints/` and `log.jsonl`; emptied of both unless `resume`.
        validate: metrics of the current model, among them NDCG@10; None: no validation, the last weights are kept.
        resume: go on from the newest whole checkpoint; from the start where there is none.
    """
    checkpoints = folder / "checkpoints"
    newest = newest_checkpoint(checkpoints) if resume else None
    if newest is None:
        shutil.rmtree(checkpoints, ignore_errors=True)
        (folder / "log.jsonl").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    num_updates = -(-len(steps) // options.gradient_accumulation_steps)
    every = -(-num_updates // options.evaluations)
    early_stopping = [EarlyStoppingCallback(options.patience)] if validate and options.patience else []
    bar = _ProgressBar()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=1,  # one step's batch is one row of the data set
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        num_train_epochs=1,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        adam_beta2=0.98,
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.lr_scheduler_type,
        bf16=options.bf16,
        seed=options.seed,
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps" if validate else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,  # the best one is kept beside the last
        load_best_model_at_end=validate is not None,
        metric_for_best_model="NDCG@10",
        greater_is_better=True,
        logging_steps=max(1, min(50, num_updates // 20)),
        restore_callback_states_from_checkpoint=True,
        report_to=list(options.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = _CodeTrainer(
        model=backbone,
        args=arguments,
        train_dataset=steps,
        eval_dataset=steps
        if validate
        else None,  # never read: `evaluate` decodes, but the Trainer asks for one
        data_collator=lambda batches: batches[0],
        callbacks=[_JsonLog(folder / "log.jsonl"), bar, *early_stopping],
    )
    trainer.remove_callback(PrinterCallback)
    device = trainer.args.device
    trainer.backbone, trainer.objective, trainer.validate = backbone, options.objective, validate
    trainer.parent_N = torch.as_tensor(trie.parent_N, dtype=torch.int64, device=device)
    trainer.token_N = torch.as_tensor(trie.token_N, dtype=torch.int64, device=device)
    trainer.first_child_N1 = torch.as_tensor(trie.first_child_N1, dtype=torch.int64, device=device)
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    finally:
        bar.bar.stop()
        transformers_logging.set_verbosity(verbosity)
    backbone.eval()


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end: the Trainer writes trainer_state.json last."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            whole.append((json.loads((path / "trainer_state.json").read_text())["global_step"], path))
        except (OSError, ValueError, KeyError):
            continue
    return max(whole)[1] if whole else None
