#!/usr/bin/env bash
# A model that is trained twice in mixed precision, first on one task and then on another, each by an Accelerator of
# its own (and so by two of transformers' Trainers with bf16=True).
#
# One would guess: each `Accelerator.prepare` makes the model compute in bfloat16; if it cannot, it says so.
# What happens: `prepare` marks the module that it returns. A second `prepare`, by a new Accelerator too, sees the mark
# and hands the module back as it is. Where the first wrapper was taken off in between, so that the model can be
# evaluated in full precision, the second training runs in float32, without a word; resumed in a new process, where
# there is no mark, it runs in bfloat16 again and ends with other weights.
#
# Versions: accelerate 1.15.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   prepared once: products in torch.bfloat16
#   unwrapped: products in torch.float32
#   prepared again by another Accelerator: products in torch.float32
#   prepared after the mark was removed: products in torch.bfloat16
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 accelerate==1.15.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from accelerate import Accelerator


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)
        self.layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))

    def forward(self, inputs):
        return self.layer(inputs)


seen = []
model = Model()


def products(when):
    model(torch.randn(2, 8))
    print(f"{when}: products in {seen[-1]}")
    return seen[-1]


first = Accelerator(mixed_precision="bf16", cpu=True)
model = first.prepare(model)
once = products("prepared once")
model = first.unwrap_model(model, keep_fp32_wrapper=False)
unwrapped = products("unwrapped")
model = Accelerator(mixed_precision="bf16", cpu=True).prepare(model)
again = products("prepared again by another Accelerator")
model._is_accelerate_prepared = False
model = Accelerator(mixed_precision="bf16", cpu=True).prepare(model)
unmarked = products("prepared after the mark was removed")
half, full = torch.bfloat16, torch.float32
assert (once, unwrapped, again, unmarked) == (half, full, full, half), "it changed"
PYTHON
