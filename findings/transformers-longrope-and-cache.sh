#!/usr/bin/env bash
# A history read once and continued from the KV cache, by a checkpoint with longrope positions (Phi-3 128k and kin).
#
# One would guess: as with any rotary embedding, tokens read in two calls with a cache get the logits of one call over all
# of them, up to rounding.
# What happens: longrope takes its short or its long frequencies for a whole call, by the largest position in it. A call
# that passes the original length rotates its own keys by the long ones, while the cached keys of earlier calls keep the
# short ones: two calls and one pass disagree as soon as the length is crossed between them. Below it they agree.
#
# Versions: transformers 5.23.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   original length 8; one pass beside a cache of the first half
#    8 tokens: logits differ by 0
#   10 tokens: logits differ by 0.0008
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - 2> "$folder/notes" <<'PYTHON'
import torch
from transformers import AutoModelForCausalLM, Phi3Config

torch.manual_seed(0)
rope = {
    "rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "rope_theta": 10000.0,
    "original_max_position_embeddings": 8,
}
config = Phi3Config(
    vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=32, original_max_position_embeddings=8, rope_parameters=rope,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
model = AutoModelForCausalLM.from_config(config).eval()


@torch.no_grad()
def off(length):
    tokens, half = torch.arange(3, 3 + length)[None], length // 2
    whole = model(tokens).logits[:, half:]
    cache = model(tokens[:, :half], use_cache=True).past_key_values
    return (model(tokens[:, half:], past_key_values=cache).logits - whole).abs().max().item()


print("original length 8; one pass beside a cache of the first half")
for length in (8, 10):
    print(f"{length:2} tokens: logits differ by {off(length):.1g}")
assert off(8) < 1e-5 < off(10), "it changed"
PYTHON
