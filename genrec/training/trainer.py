"""The training loop: transformers' Trainer around our batches, our losses and validation by real ranking.

What it adds
- one map-style data set of *steps* (see `mixture.Mixture`), so skipping to where a run stopped costs nothing;
- validation by the lists that the model gives its users, or by the loss of other answers, and the best checkpoint kept;
- a log of JSON lines and a progress bar with rate and time left;
- resuming from the newest whole checkpoint: a step's batch depends on (seed, step) alone and the checkpoint holds the
  state of the random generators, so the weights end up the same as without the interruption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks

from genrec.backbones.dropout import seed_dropout
from genrec.backbones.hardware import torch_threads
from genrec.backbones.quiet import quiet
from genrec.errors import BackendMissingError, ConfigError, RunError, one_line
from genrec.training.callbacks import Diverged, JsonLog, ProgressBar, Seams
from genrec.training.checkpoints import (
    Sealing,
    best_checkpoint,
    check_same_training,
    learnt,
    load_learnt,
    newest_checkpoint,
    remove_newer,
    state_of,
)
from genrec.training.footprint import check_step_fits
from genrec.training.mixture import Batch, Batches
from genrec.training.objectives import Loss
from genrec.training.replicas import Ahead, Gradients, Replicas

Validate = Callable[[], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; the names follow transformers' TrainingArguments where it has the same option."""

    learning_rate: float
    weight_decay: float
    coupled_decay: bool = False  # weight decay as part of the gradient (Adam) and not beside it (AdamW)
    adam_beta2: float = 0.98
    max_grad_norm: float = 1.0  # gradients are scaled down to it; 0: never
    warmup_steps: int
    lr_scheduler_type: str
    gradient_accumulation_steps: int
    bf16: bool
    seed: int
    evaluations: int  # validations over the whole training
    patience: int  # validations without a better NDCG@10 before it stops; 0: never
    report_to: tuple[str, ...]
    best: Literal["NDCG@10", "loss"] = "NDCG@10"  # of the validations: the highest, or the lowest loss
    replicas: int = 1  # of the model that share a batch, each on a thread of its own; CPU only


class _Trainer(Trainer):  # type: ignore[misc]
    """A Trainer with our loss and validation; checkpoints hold only the weights that are learnt."""

    control: Any
    learner: nn.Module  # the model as it was given, not wrapped
    loss: Loss
    validate: Validate | None
    num_replicas: int
    num_threads: int  # of torch, outside the steps
    replicas: Replicas | None = None
    gradients: Gradients  # of the learner, where it has no replicas
    batches: Ahead
    seeded_step: int = -1  # the update that dropout was last seeded for

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        """Steps in their order: they are shuffled already, each epoch on its own."""
        return SequentialSampler(self.train_dataset)

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Gradients of one batch; dropout depends on seed, update and replica, so that nothing of it is to be saved."""
        if self.num_replicas > 1 and self.replicas is None:
            # Here and not sooner: by now the model carries its mixed precision, and its replicas with it.
            self.replicas = Replicas(model, self.loss, self.num_replicas)
        if self.seeded_step != self.state.global_step:
            self.seeded_step = self.state.global_step
            if self.replicas is None:
                seed_dropout(self.learner, self.args.seed, self.state.global_step, 0)
            else:
                self.replicas.seed(self.args.seed, self.state.global_step)
        if self.replicas is None:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            self.gradients.add_up()
            return loss
        loss = self.replicas.backward(inputs, 1 / self.current_gradient_accumulation_steps)
        self.batches.make_next(self.replicas.pool)  # while this thread updates the weights
        return loss

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        return self.loss(model, inputs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validation by ranking."""
        assert self.validate is not None
        self.learner.eval()
        with torch_threads(self.num_threads):
            metrics = {f"eval_{name}": value for name, value in self.validate().items()}
        self.learner.train()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(
            learnt(self.learner), folder / "model.safetensors", metadata={"format": "pt"}
        )

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Weights that are not learnt are missing from checkpoints on purpose; an unknown one would be a mistake."""
        assert not load_result.unexpected_keys, load_result.unexpected_keys


def train(
    model: nn.Module,
    loss: Loss,
    steps: Batches,
    options: TrainingOptions,
    folder: Path,
    *,
    validate: Validate | None,
    resume: bool,
) -> None:
    """Train `model` in place; it ends with the weights of the best validation, where there is one.

    Args:
        model: what learns.
        loss: of the model on a batch.
        steps: the batches, one a step.
        options: how to train.
        folder: gets `checkpoints/` and `log.jsonl`.
        validate: metrics of the current model, among them `options.best`; None: no validation, and the last weights are
            kept.
        resume: go on from the newest whole checkpoint; from the start where there is none.

    Raises:
        RunError: the folder holds checkpoints and `resume` is not set, or they are of another training.
        ConfigError: there is no step to take, one does not fit into memory, the loss or a weight is no number any more,
            or `report_to` names a tracker that transformers does not know.
        BackendMissingError: it names one that is not installed.
    """
    if not len(steps):
        raise ConfigError(
            "the data hold nothing to learn from: give a user with two items at least, or texts for the tasks to learn"
        )
    checkpoints = folder / "checkpoints"
    if not resume and any(checkpoints.glob("checkpoint-*")):
        raise RunError(f"{folder} holds checkpoints of a training: resume it, or choose another folder")
    check_step_fits(model, loss, steps[0], options.replicas)
    num_updates = -(-len(steps) // options.gradient_accumulation_steps)
    every = -(-num_updates // options.evaluations)
    newest = newest_checkpoint(checkpoints)
    if newest is not None:
        state = state_of(newest)
        check_same_training(model, newest, num_updates)
        # The Trainer would take one step more before it saw that an earlier run had come to its end.
        if state.stopped:
            load_learnt(model, best_checkpoint(newest, state))
            model.eval()
            return
    remove_newer(checkpoints, newest)
    folder.mkdir(parents=True, exist_ok=True)
    early_stopping = [EarlyStoppingCallback(options.patience)] if validate and options.patience else []
    trackers = _trackers(options.report_to)
    bar = ProgressBar()
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=1,  # one step's batch is one row of the data set
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        num_train_epochs=1,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        adam_beta2=options.adam_beta2,
        max_grad_norm=options.max_grad_norm,
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.lr_scheduler_type,
        bf16=options.bf16,
        seed=options.seed,
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps" if validate else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,  # the best and the last; with 1 the last one would go when the training ends
        load_best_model_at_end=validate is not None,
        metric_for_best_model=options.best,
        greater_is_better=options.best != "loss",
        logging_steps=max(1, min(50, num_updates // 20)),
        logging_nan_inf_filter=False,  # it would put the mean so far in place of a loss that is no number
        restore_callback_states_from_checkpoint=True,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    batches = Ahead(steps)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=batches,
        # Never read: `evaluate` ranks, but the Trainer asks for one.
        eval_dataset=batches if validate else None,
        data_collator=lambda batches: batches[0],
        callbacks=[
            Seams(),
            Sealing(),
            JsonLog(folder / "log.jsonl"),
            Diverged(),
            bar,
            *early_stopping,
            *trackers,
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.learner, trainer.loss, trainer.validate = model, loss, validate
    trainer.gradients, trainer.batches = Gradients([(weight,) for weight in model.parameters()]), batches
    trainer.num_replicas, trainer.num_threads = options.replicas, torch.get_num_threads()
    if options.coupled_decay:
        trainer.optimizer = torch.optim.Adam(
            model.parameters(),
            lr=options.learning_rate,
            betas=(0.9, options.adam_beta2),
            weight_decay=options.weight_decay,
            fused=True,
        )
    try:
        # Replicas share the threads out among them: two that each start more stand in each other's way.
        with quiet(), torch_threads(max(1, trainer.num_threads // options.replicas)):
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    finally:
        bar.bar.stop()
        if trainer.replicas is not None:
            trainer.replicas.close()
        # Mixed precision is the training's: accelerate leaves it on `forward`, which answers go through as well.
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        # What it puts back is bound to this very module, and would run this one for every shallow copy too.
        vars(model).pop("forward", None)
    if not all(bool(weight.isfinite().all()) for weight in learnt(model).values()):
        raise ConfigError(
            f"the training ended with weights that are no numbers: lower learning_rate={options.learning_rate:g}"
        )
    model.eval()


def _trackers(names: tuple[str, ...]) -> list[TrainerCallback]:
    try:
        return [tracker() for tracker in get_reporting_integration_callbacks(list(names))]
    except ValueError as error:
        raise ConfigError(f"report_to={','.join(names)}: {error}") from None
    except (RuntimeError, ImportError) as error:
        raise BackendMissingError(f"report_to={','.join(names)}: {one_line(error)}") from None
