#!/usr/bin/env bash
# LoRA on every linear layer of a mixture of experts (Mixtral).
#
# One would guess: `target_modules="all-linear"` means the modules of class `Linear`, the four of each attention; and
# what peft takes for a target, it can train with the usual `lora_dropout`.
# What happens: transformers 5 keeps all experts of a layer as one parameter each way, which no `Linear` module names;
# "all-linear" takes the experts and the router all the same, through a wrapper for bare parameters, and that wrapper
# refuses any dropout. So the one setting that works for every dense checkpoint is a ValueError here, which does not
# name the setting; without dropout the adapters cover the experts, too.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   modules of class Linear in a layer: k_proj, o_proj, q_proj, v_proj
#   all-linear, lora_dropout=0: adapters on base_layer, experts, gate, k_proj, o_proj, q_proj, v_proj
#   all-linear, lora_dropout=0.05: ValueError: lora.ParamWrapper does not work with lora_dropout != 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, MixtralConfig

config = MixtralConfig(
    vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
    num_key_value_heads=2, num_local_experts=2,
)


def adapted(dropout):
    model = AutoModelForCausalLM.from_config(config)
    lora = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=dropout)
    names = [name for name, _ in get_peft_model(model, lora).named_modules() if name.endswith("lora_A")]
    return ", ".join(sorted({name.split(".")[-2] for name in names}))


linear = [name for name, module in AutoModelForCausalLM.from_config(config).named_modules() if type(module).__name__ == "Linear"]
print("modules of class Linear in a layer:", ", ".join(sorted(name.split(".")[-1] for name in linear if "layers" in name)))
found = adapted(0.0)
print("all-linear, lora_dropout=0: adapters on", found)
try:
    refused = adapted(0.05)
except ValueError as error:
    refused = f"ValueError: {error}"
print("all-linear, lora_dropout=0.05:", refused)
assert "experts" in found and "ParamWrapper" in refused, "it changed"
PYTHON
