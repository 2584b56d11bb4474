#!/usr/bin/env bash
# A model after `get_peft_model` refused its LoRA settings, and is asked again with settings that fit.
#
# One would guess: a call that raises leaves the model as it was, so that one can try the next settings.
# What happens: the layers that were wrapped before the refusal stay wrapped. The second call succeeds, and every weight of
# the model is trainable: what was meant as LoRA is a full tuning, and adapters alone are no longer what is saved. Only a
# model that is loaded anew is safe to ask again.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   fresh model        : 896 of 19,616 weights are trainable
#   first call         : ValueError: lora.ParamWrapper does not work with lora_dropout != 0.
#   its linear layers  : base_layer, default, k_proj, lm_head, o_proj, q_proj, v_proj
#   second call on it  : 20,512 of 20,512 weights are trainable
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


def adapted(model, targets):
    adapters = get_peft_model(model, LoraConfig(target_modules=targets, task_type="CAUSAL_LM", lora_dropout=0.05))
    return adapters.get_nb_trainable_parameters()


attention = ["q_proj", "v_proj"]
fresh = adapted(AutoModelForCausalLM.from_config(config), attention)
print("fresh model        : {:,} of {:,} weights are trainable".format(*fresh))
model = AutoModelForCausalLM.from_config(config)
try:
    adapted(model, "all-linear")
except ValueError as error:
    print("first call         : ValueError:", error)
layers = {name.split(".")[-1] for name, module in model.named_modules() if type(module).__name__ == "Linear"}
print("its linear layers  :", ", ".join(sorted(layers)))
again = adapted(model, attention)
print("second call on it  : {:,} of {:,} weights are trainable".format(*again))
assert fresh[0] < fresh[1] and again[0] == again[1], "it changed"
PYTHON
