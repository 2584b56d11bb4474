#!/usr/bin/env bash
# The best checkpoint of a transformer of RecTools that is trained with a `Trainer` of one's own.
#
# One would guess: the `ModelCheckpoint` that was given to the trainer knows the best file after `fit`, and a model that
# stopped early, or watches a validation loss, has the best weights.
# What happens: `fit` trains with a deep copy of the trainer, so the callback that was given has seen nothing and its
# path is empty. The copy is `model.fit_trainer`. The model keeps the weights of the last epoch; the best ones have to be
# asked for: `model.load_weights_from_checkpoint(model.fit_trainer.checkpoint_callback.best_model_path)`.
#
# Versions: rectools 0.19.0, pytorch-lightning 2.5.2, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   best file of the callback that was given: ''
#   best file of model.fit_trainer: epoch=17-step=18.ckpt of 30 epochs
#   the model has these weights: False
#   after load_weights_from_checkpoint: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 "rectools[torch]==0.19.0" pytorch-lightning==2.5.2
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PYTHON'
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.utils import leave_one_out_mask

seed_everything(0)
given = ModelCheckpoint("checkpoints", monitor="val_loss", mode="min")
trainer = Trainer(
    max_epochs=30, accelerator="cpu", callbacks=[given], logger=False, enable_progress_bar=False,
    enable_model_summary=False, num_sanity_val_steps=0,
)
model = SASRecModel(
    n_blocks=1, n_heads=1, n_factors=16, session_max_len=5, lr=0.03, get_val_mask_func=leave_one_out_mask,
    get_trainer_func=lambda: trainer,
)
start, day = pd.Timestamp("2020-01-01"), pd.Timedelta(days=1)
rows = [(user, (user * 7 + place * place) % 11, 1.0, start + place * day) for user in range(20) for place in range(5)]
log = pd.DataFrame(rows, columns=[Columns.User, Columns.Item, Columns.Weight, Columns.Datetime])
model.fit(Dataset.construct(log))
path = model.fit_trainer.checkpoint_callback.best_model_path
best = torch.load(path, weights_only=False)["state_dict"]


def has_them():
    return all(torch.equal(weights, best[name]) for name, weights in model.lightning_model.state_dict().items())


before = has_them()
model.load_weights_from_checkpoint(path)
print("best file of the callback that was given:", repr(given.best_model_path))
print("best file of model.fit_trainer:", path.rsplit("/", 1)[-1], "of 30 epochs")
print("the model has these weights:", before)
print("after load_weights_from_checkpoint:", has_them())
assert not given.best_model_path and not before and has_them(), "it changed"
PYTHON
