#!/usr/bin/env bash
# A causal mask of our own for a checkpoint with sliding-window attention (Mistral; Gemma and others likewise).
#
# One would guess: the window is a property of the model's layers, so a 4-D mask that says "everything before you" is
# narrowed to the window, as the 2-D padding mask is: both forward passes agree.
# What happens: a 4-D mask is used in every layer as it is. Beyond the window the logits are those of another model,
# without an error or a warning: who reads prompts with a 2-D mask (or none) and decodes with a 4-D one, as tree or
# beam decoding in one row does, trains one model and asks another. Masks that hold the window agree to the last bit.
#
# Versions: transformers 5.23.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   a window of 4, 12 tokens; largest difference of logits to a pass without a mask
#   2-D mask            inside the window 0.00, beyond it 0.00
#   4-D causal mask     inside the window 0.00, beyond it 0.17
#   4-D, window put in  inside the window 0.00, beyond it 0.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from transformers import AutoModelForCausalLM, MistralConfig

torch.manual_seed(0)
config = MistralConfig(
    vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, sliding_window=4, max_position_embeddings=64,
)
model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
tokens = torch.arange(12)[None]
distance = torch.arange(12)[:, None] - torch.arange(12)[None]
lowest = torch.finfo(torch.float32).min
masks = {
    "2-D mask": torch.ones_like(tokens),
    "4-D causal mask": torch.zeros(12, 12).masked_fill(distance < 0, lowest)[None, None],
    "4-D, window put in": torch.zeros(12, 12).masked_fill((distance < 0) | (distance >= 4), lowest)[None, None],
}
print("a window of 4, 12 tokens; largest difference of logits to a pass without a mask")
beyond = {}
with torch.no_grad():
    plain = model(tokens).logits
    for name, mask in masks.items():
        off = (model(tokens, attention_mask=mask).logits - plain).abs().amax(-1)[0]
        beyond[name] = off[4:].max().item()
        print(f"{name:19} inside the window {off[:4].max():.2f}, beyond it {beyond[name]:.2f}")
assert beyond["4-D causal mask"] > 0.01 and max(beyond["2-D mask"], beyond["4-D, window put in"]) < 1e-5, "it changed"
PYTHON
