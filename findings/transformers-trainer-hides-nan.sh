#!/usr/bin/env bash
# The log of a training with transformers' Trainer whose loss becomes NaN.
#
# One would guess: the log says `nan` from the step on where the training diverged.
# What happens: by default (`logging_nan_inf_filter=True`) a loss that is no number is counted as the mean of those since
# the last line of the log, which is 0 where every step is logged: the curve falls to its best value ever while the
# weights are NaN; the gradient's norm beside it is NaN for who looks. `logging_nan_inf_filter=False` tells the truth.
#
# Versions: transformers 5.23.0, accelerate 1.15.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   default                      : losses [1.0, 1.0, 0.0, 0.0, 0.0], weight nan
#   logging_nan_inf_filter=False : losses [1.0, 1.0, nan, nan, nan], weight nan
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 accelerate==1.15.0
"$folder/venv/bin/python" -W ignore - "$folder/runs" 2> "$folder/notes" <<'PYTHON'
import contextlib
import math
import sys

import torch
from transformers import Trainer, TrainingArguments


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, step):
        bad = (step >= 2).any()  # from the third step on
        return {"loss": (self.weight * 0).sum() + (torch.tensor(float("nan")) * self.weight.sum() if bad else 1.0)}


def trained(**options):
    model = Model()
    arguments = TrainingArguments(
        output_dir=sys.argv[1], per_device_train_batch_size=1, num_train_epochs=1, logging_steps=1, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True, **options,
    )
    steps = [{"step": torch.tensor(step)} for step in range(5)]
    trainer = Trainer(model=model, args=arguments, train_dataset=steps)
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(steps)
    with contextlib.redirect_stdout(None):  # its own log
        trainer.train()
    return [round(entry["loss"], 2) for entry in trainer.state.log_history if "loss" in entry], model.weight.item()


hidden, weight = trained()
shown, _ = trained(logging_nan_inf_filter=False)
print(f"default                      : losses {hidden}, weight {weight}")
print(f"logging_nan_inf_filter=False : losses {shown}, weight {weight}")
assert math.isnan(weight) and not any(map(math.isnan, hidden)) and any(map(math.isnan, shown)), "it changed"
PYTHON
