"""Adapters over the weights of a checkpoint, and weights in four bits beneath them.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685. QLoRA: Dettmers et al. 2023, https://arxiv.org/abs/2305.14314.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available

from genrec.errors import BackendMissingError, ConfigError, one_line


def with_adapters(model: Any, name: str, lora: LoraConfig, targets: tuple[str, ...]) -> PeftModel:
    """The model with fresh LoRA adapters on the layers whose names end in `targets`; ("all-linear",): on every one.

    Raises:
        ConfigError: no layer is called so, one is the output head, or peft has no adapters for one that is.
    """
    all_linear, names = targets == ("all-linear",), linear_names(model)
    endings = tuple(f".{target}" for target in targets)
    chosen = [
        (part, layer) for part, layer in model.named_modules() if all_linear or f".{part}".endswith(endings)
    ]
    head = model.get_output_embeddings()
    if meant := [part for part, layer in chosen if layer is head and not all_linear]:
        # A search multiplies with the vectors of a few tokens, as they are in the checkpoint.
        raise ConfigError(
            f"the output head of {name!r} ({meant[0]}) takes no adapters: lora_targets has to name other layers, as "
            f"{', '.join(names)}"
        )
    kinds = {type(layer).__name__ for _, layer in chosen}
    if not kinds:
        raise ConfigError(
            f"no linear layer of {name!r} is called {' or '.join(targets)}: set lora_targets to endings of its "
            f"layers' names ({', '.join(names)}), or to all-linear"
        )
    lora.target_modules = "all-linear" if all_linear else set(targets)
    lora.fan_in_fan_out = "Conv1D" in kinds  # GPT-2's layers keep their weights the other way round
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        mend = f"set lora_targets to some of {', '.join(names)}"
        if lora.lora_dropout and "lora_dropout" in str(error):  # experts that are one array
            mend = f"set lora_dropout=0, or {mend.removeprefix('set ')}"
        raise ConfigError(
            f"{name!r} cannot have adapters on {' and '.join(targets)} ({one_line(error)}): {mend}"
        ) from None


def linear_names(model: Any) -> list[str]:
    """Endings of the names of the linear layers that LoRA can take, each once."""
    kinds = ("Linear", "Conv1D")  # GPT-2 calls its linear layers Conv1D
    names = {name for name, layer in model.named_modules() if type(layer).__name__ in kinds}
    return sorted({name.rsplit(".", 1)[-1] for name in names} - {"lm_head", "embed_out"})


def four_bit() -> BitsAndBytesConfig:
    """How QLoRA loads weights.

    Raises:
        BackendMissingError: bitsandbytes or a GPU is not there.
    """
    if not is_bitsandbytes_available():
        raise BackendMissingError(
            "qlora needs bitsandbytes: pip install 'genrec[qlora]', or choose tuning=lora"
        )
    if not torch.cuda.is_available():
        raise BackendMissingError("qlora needs a CUDA GPU and none is there: choose tuning=lora")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
