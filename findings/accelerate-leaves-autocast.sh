#!/usr/bin/env bash
# A model after a training in mixed precision with accelerate (and so with transformers' Trainer, bf16=True).
#
# One would guess: `Accelerator.prepare` returns a wrapped model, and the model that one had before computes in full
# precision as ever; `unwrap_model` gives it back at the latest.
# What happens: `prepare` puts a `forward` that autocasts onto the module itself and returns that same object. What one
# still holds, and what `unwrap_model` returns by default, goes on multiplying in bfloat16, with float32 outputs that
# tell nothing. Only `unwrap_model(model, keep_fp32_wrapper=False)` takes it off. Code that scores one part of a model
# through `forward` and another around it gets two different models until it is loaded anew.
#
# Versions: accelerate 1.15.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   prepare returns the same object: True
#   after prepare: off by 0.0061, outputs of torch.float32
#   after unwrap_model(model): off by 0.0061
#   after unwrap_model(model, keep_fp32_wrapper=False): off by 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 accelerate==1.15.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from accelerate import Accelerator

torch.manual_seed(0)
model, inputs = torch.nn.Sequential(torch.nn.Linear(8, 8)), torch.randn(2, 8)
before = model(inputs)
accelerator = Accelerator(mixed_precision="bf16", cpu=True)
prepared = accelerator.prepare(model)
print("prepare returns the same object:", prepared is model)


def off(called):
    return (called(inputs) - before).abs().max().item()


patched = off(model)
print(f"after prepare: off by {patched:.2g}, outputs of {model(inputs).dtype}")
by_default = off(accelerator.unwrap_model(prepared))
print(f"after unwrap_model(model): off by {by_default:.2g}")
taken_off = off(accelerator.unwrap_model(prepared, keep_fp32_wrapper=False))
print(f"after unwrap_model(model, keep_fp32_wrapper=False): off by {taken_off:.2g}")
assert prepared is model and patched > 1e-4 and by_default == patched and taken_off == 0, "it changed"
PYTHON
