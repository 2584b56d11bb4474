#!/usr/bin/env bash
# A forward hook on the decoder of a causal language model, to read or change the states that its output head gets.
#
# One would guess: `model.base_model` is what `...ForCausalLM` calls, whatever the family, so a hook on it fires once a
# forward pass.
# What happens: so it is for Llama, GPT-2 and GPT-NeoX. `OPTForCausalLM` calls `model.model.decoder` and steps over its
# base model: the hook never fires, and nothing says so. The same holds for whatever wraps or patches `base_model`.
#
# Versions: transformers 5.23.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   LlamaForCausalLM    LlamaModel    called 1 time(s)
#   GPT2LMHeadModel     GPT2Model     called 1 time(s)
#   GPTNeoXForCausalLM  GPTNeoXModel  called 1 time(s)
#   OPTForCausalLM      OPTModel      called 0 time(s)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, OPTConfig

ids = {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, **ids}
calls = []
for config in (
    LlamaConfig(intermediate_size=64, **small),
    GPT2Config(n_embd=32, n_layer=1, n_head=4, **ids),
    GPTNeoXConfig(intermediate_size=64, **small),
    OPTConfig(ffn_dim=64, word_embed_proj_dim=32, **small),
):
    model, seen = AutoModelForCausalLM.from_config(config), []
    model.base_model.register_forward_hook(lambda *_, seen=seen: seen.append(1))
    model(torch.tensor([[3, 4, 5]]))
    calls.append(len(seen))
    print(f"{type(model).__name__:19} {type(model.base_model).__name__:13} called {len(seen)} time(s)")
assert calls == [1, 1, 1, 0], "it changed"
PYTHON
