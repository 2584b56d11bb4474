"""The training loop: batches of ours, losses of ours, validation by real ranking, and resuming to the bit.

The batch of a step and the random numbers of an update follow from the seed and their own numbers alone (see
`mixture.Mixture`), so a checkpoint is the weights, the optimizer's moments and where the training stands, and a
training that was stopped ends with the same weights as one that was not. accelerate starts the processes of a
distributed training and holds the trackers; `docs/decisions/own-loop.md` says why the loop is not transformers'.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genrec.backbones.dropout import mixed, seed_dropout
from genrec.backbones.hardware import device, torch_threads
from genrec.errors import ConfigError, RunError
from genrec.training.checkpoints import (
    State,
    best_checkpoint,
    check_same_training,
    load_optimizer,
    load_trainable,
    newest_checkpoint,
    remove_others,
    save_checkpoint,
    state_of,
    trainable,
)
from genrec.training.footprint import check_step_fits
from genrec.training.length import last_update
from genrec.training.log import TrainingLog
from genrec.training.mixture import Batch, Batches
from genrec.training.objectives import Loss
from genrec.training.processes import Processes
from genrec.training.replicas import Ahead, Gradients, Replicas

Validate = Callable[[], dict[str, float]]
_LOGGER = logging.getLogger("genrec")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; the names follow transformers' TrainingArguments where it has the same option."""

    learning_rate: float
    weight_decay: float
    coupled_decay: bool = False  # weight decay as part of the gradient (Adam) and not beside it (AdamW)
    adam_beta2: float = 0.98
    max_grad_norm: float = 1.0  # gradients are scaled down to it; 0: never
    warmup_steps: float  # updates; below 1 a share of all
    lr_scheduler_type: str
    gradient_accumulation_steps: int
    bf16: bool
    seed: int
    evaluations: int  # validations over the whole training
    patience: int  # validations without a better NDCG@10 before it stops; 0: never
    report_to: tuple[str, ...]
    best: Literal["NDCG@10", "loss"] = "NDCG@10"  # of the validations: the highest, or the lowest loss
    replicas: int = 1  # of the model that share a batch, each on a thread of its own; CPU only


class MixedPrecision(nn.Module):
    """A model whose products run in bfloat16; what it gives is float32 again."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any) -> Tensor:
        with torch.autocast(device().type, torch.bfloat16):
            output: Tensor = self.module(*inputs)
        return output.float()


class Learner:
    """Gradients of a model: in mixed precision, and from threads and processes that share each batch."""

    def __init__(
        self, model: nn.Module, loss: Loss, steps: Batches, options: TrainingOptions, processes: Processes
    ) -> None:
        self.model = MixedPrecision(model) if options.bf16 else model
        self.loss, self.batches, self.options, self.processes = loss, Ahead(steps), options, processes
        self.weights = list(trainable(model).values())
        self.gradients = Gradients([(weight,) for weight in self.weights])
        self.replicas = Replicas(self.model, loss, options.replicas) if options.replicas > 1 else None

    def learn(self, update: int) -> Tensor:
        """Leave the gradients of an update's mean loss with the weights; that loss."""
        seed, rank, size = self.options.seed, self.processes.rank, self.options.gradient_accumulation_steps
        # Random numbers follow from the update's number, so that no checkpoint has to hold the state of a generator.
        torch.manual_seed(mixed(seed, update, rank))  # of torch's own dropout: in checkpoints, and on a GPU
        if self.replicas is None:
            seed_dropout(self.model, seed, update, rank)
        else:
            self.replicas.seed(seed, update, first=rank * self.options.replicas)
        steps = range(update * size, min((update + 1) * size, len(self.batches)))
        losses = [self.backward(self.batches[step], len(steps)) for step in steps]
        return self.processes.add_up(torch.stack(losses).sum(), self.weights)

    def backward(self, batch: Batch, num_batches: int) -> Tensor:
        """Add the gradients of one of the `num_batches` batches of an update; its part in the update's loss."""
        batch = {name: value.to(device()) for name, value in batch.items()}
        rows, share = self.processes.part(batch, self.loss)
        if not share:  # a small batch has no rows for every process
            return torch.zeros((), device=device())
        if self.replicas is not None:
            loss = self.replicas.backward(rows, share / num_batches)
            self.batches.make_next(self.replicas.pool)  # while this thread updates the weights
            return loss
        self.model.train()
        loss = self.loss(self.model, rows) * share / num_batches
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients.add_up()
        return loss.detach()

    def close(self) -> None:
        """End the threads."""
        if self.replicas is not None:
            self.replicas.close()


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
        model: what is trained.
        loss: of the model on a batch.
        steps: the batches, one a step.
        options: how to train.
        folder: gets `checkpoints/` and `log.jsonl`; see `genrec.training.length` for what may be planned there.
        validate: metrics of the current model, among them `options.best`; None: no validation, and the last weights are
            kept.
        resume: go on from the newest whole checkpoint; from the start where there is none.

    Raises:
        RunError: the folder holds checkpoints and `resume` is not set, or they are of another training.
        ConfigError: there is no step to take, one does not fit into memory, the loss or a weight is no number any more,
            or `report_to` names a tracker that accelerate does not know.
        BackendMissingError: it names one that is not installed.
    """
    if not len(steps):
        raise ConfigError(
            "the data hold nothing to learn from: give a user with two items at least, or texts for the tasks to learn"
        )
    processes = Processes()
    folder = processes.agreed(folder)  # each may have made a temporary one of its own
    checkpoints = folder / "checkpoints"
    if not resume and any(checkpoints.glob("checkpoint-*")):
        raise RunError(f"{folder} holds checkpoints of a training: resume it, or choose another folder")
    check_step_fits(model, loss, steps[0], options.replicas)
    state = State(num_updates=-(-len(steps) // options.gradient_accumulation_steps))
    newest = newest_checkpoint(checkpoints)
    if newest is not None:
        check_same_training(model, newest, state.num_updates)
        state = state_of(newest)
    processes.wait()
    if not state.stopped:
        if processes.rank == 0:
            remove_others(checkpoints, newest)
        threads = torch.get_num_threads()
        last = last_update(folder, state.num_updates)
        if processes.rank == 0:
            _warn_of_warmup(options, state.num_updates)
        log = TrainingLog(folder / "log.jsonl", state, options, last=last, silent=processes.rank > 0)
        # Replicas share the threads out among them: two that each start more stand in each other's way.
        with (
            closing(log),
            torch_threads(max(1, threads // options.replicas)),
            closing(Learner(model, loss, steps, options, processes)) as learner,
        ):
            _loop(model, learner, state, last, checkpoints, log, validate, threads)
        processes.wait()
    load_trainable(model, best_checkpoint(checkpoints / f"checkpoint-{state.step}", state))
    processes.wait()  # the folder may go when the first process is through
    if not all(bool(weight.isfinite().all()) for weight in trainable(model).values()):
        raise ConfigError(
            f"the training ended with weights that are no numbers: lower learning_rate={options.learning_rate:g}"
        )
    model.eval()


def _warn_of_warmup(options: TrainingOptions, num_updates: int) -> None:
    """Say where the learning rate still rises when the training ends."""
    if options.lr_scheduler_type != "constant" and num_warmup(options, num_updates) >= num_updates:
        _LOGGER.warning(
            "the learning rate does not get to %g: it rises over warmup_steps=%g updates, and the training has %d; a "
            "share of them, as in warmup_steps=0.1, suits any length",
            options.learning_rate,
            options.warmup_steps,
            num_updates,
        )


def _loop(
    model: nn.Module,
    learner: Learner,
    state: State,
    last: int,
    checkpoints: Path,
    log: TrainingLog,
    validate: Validate | None,
    threads: int,
) -> None:
    """Take updates from `state` on, with checkpoints, to update `last` or until validations get no better."""
    options, processes = learner.options, learner.processes
    optimizer = new_optimizer(model, options)
    if state.step:
        load_trainable(model, checkpoints / f"checkpoint-{state.step}")
        load_optimizer(optimizer, checkpoints / f"checkpoint-{state.step}")
    log_every = max(1, min(50, state.num_updates // 20))
    check_every = -(-state.num_updates // options.evaluations)
    nothing = torch.zeros((), device=device())
    total, began, first, logged = nothing, time.monotonic(), state.step, state.step
    while not state.stopped:
        total = total + learner.learn(state.step)
        norm = nn.utils.get_total_norm([weight.grad for weight in learner.weights if weight.grad is not None])
        if options.max_grad_norm:
            nn.utils.clip_grads_with_norm_(learner.weights, options.max_grad_norm, norm)
        for group in optimizer.param_groups:
            group["lr"] = rate(options, state.step, state.num_updates)
        optimizer.step()
        optimizer.zero_grad()
        state.step += 1
        log.advance(state.step)
        checks = state.step % check_every == 0 or state.step == last
        if checks or state.step % log_every == 0:  # checkpoints do not hold the sum of losses
            mean, total, logged = float(total) / (state.step - logged), nothing, state.step
            log.write(state.step, loss=mean, grad_norm=float(norm), learning_rate=group["lr"])
            if not math.isfinite(mean):
                raise ConfigError(
                    f"the loss is {mean} after {state.step:,} updates: lower "
                    f"learning_rate={options.learning_rate:g}, or raise warmup_steps"
                )
        if checks and validate is not None:
            model.eval()
            with torch_threads(threads):
                metrics = processes.agreed(validate())
            log.write(state.step, **{f"eval_{name}": value for name, value in metrics.items()})
            state.judge(metrics[options.best], lower_is_better=options.best == "loss")
        if checks:
            state.stopped = state.step == last or 0 < options.patience <= state.failures
            if processes.rank == 0:
                save_checkpoint(checkpoints, state, model, optimizer)
    seconds = time.monotonic() - began
    log.write(state.step, train_runtime=seconds, train_steps_per_second=(state.step - first) / seconds)


_NOT_DECAYED = re.compile(r"bias|layernorm|rmsnorm|(^|\.)norm(\.|$)|_norm(\.|$)")


def new_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam with `coupled_decay`; else AdamW, whose decay leaves biases and the weights of norms alone."""
    betas, decay = (0.9, options.adam_beta2), options.weight_decay
    if options.coupled_decay:
        return torch.optim.Adam(model.parameters(), betas=betas, weight_decay=decay, fused=True)
    norms = {
        id(weight)
        for part in model.modules()
        if isinstance(part, nn.LayerNorm)
        for weight in part.parameters()
    }
    weights: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, weight in trainable(model).items():
        weights[id(weight) not in norms and not _NOT_DECAYED.search(name.lower())].append(weight)
    groups = [{"params": some, "weight_decay": decay * decayed} for decayed, some in weights.items()]
    return torch.optim.AdamW(groups, betas=betas, fused=True)


def num_warmup(options: TrainingOptions, num_updates: int) -> int:
    """Updates over which the learning rate rises, counted as transformers does."""
    given = options.warmup_steps
    return math.ceil(given * num_updates) if given < 1 else int(given)


def rate(options: TrainingOptions, update: int, num_updates: int) -> float:
    """The learning rate of an update, from 0: transformers' schedules, as functions of its number."""
    kind, most = options.lr_scheduler_type, options.learning_rate
    warmup = num_warmup(options, num_updates)
    left = max(1, num_updates - warmup)  # updates after the warm-up
    if kind == "constant":
        return most
    if update < warmup:
        return most * (update / warmup)
    if kind == "linear":
        return most * ((num_updates - update) / left)
    if kind == "cosine":
        return most * (0.5 * (1.0 + math.cos(math.pi * ((update - warmup) / left))))
    if kind == "inverse_sqrt":
        scale = warmup or 10_000
        return most * (1.0 / math.sqrt((update + scale - warmup) / scale))
    return most  # constant_with_warmup
