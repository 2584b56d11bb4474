"""What a checkpoint is, what can be done with it here, and what that takes: for `genrec backbone`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genrec.backbones.adapters import four_bit, linear_names, with_adapters
from genrec.backbones.checkpoint import (
    checkpoint_config,
    checkpoint_tokenizer,
    decoder_config,
    num_weights,
    opening,
    whole_name,
)
from genrec.backbones.gguf import gguf_file, gguf_reader
from genrec.backbones.hardware import device, device_bytes
from genrec.backbones.pretrained import PretrainedBackbone, context
from genrec.backbones.pretrained_prefix import PretrainedPrefixBackbone
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone
from genrec.backbones.quiet import quiet
from genrec.backbones.t5_and_bart import FAMILIES
from genrec.data.memory import machine_bytes
from genrec.errors import BackendMissingError, ConfigError
from genrec.training.footprint import place_bytes, weight_bytes

_MOST_POSITIONS = 10**9  # more of them mean that a configuration says nothing
_ROW = 64  # tokens of a row in the measurement


def look_at(name: str, seconds: float = 2.0) -> dict[str, Any]:
    """What is known of a checkpoint, computed from it and measured on this machine.

    Args:
        name: its folder, a GGUF file, or its name on the Hugging Face hub.
        seconds: of the measurement, about; half of it reads, half of it learns.

    Returns:
        Names and values. `can`: for each use, true or why not. `memory`: bytes for answering (weights, and keys and
        values of 1,000 tokens) and for learning (weights, gradients and Adam's moments of what learns, and what the
        layers keep of 1,000 tokens of a batch). `speed`: tokens a second, read, and with LoRA read and learnt from.

    Raises:
        ConfigError: there is none, or it neither writes nor is an encoder-decoder that is known here.
        BackendMissingError: it is a GGUF file, and the package that reads them is not there.
    """
    config = checkpoint_config(name)
    both = bool(config.is_encoder_decoder) and config.model_type in FAMILIES
    if not both:
        decoder_config(name)
    loader = AutoModelForSeq2SeqLM if both else AutoModelForCausalLM
    with opening(f"{name!r} cannot be described"):
        tokenizer = checkpoint_tokenizer(name)
        special = {kind: getattr(tokenizer, f"{kind}_token") for kind in ("bos", "eos", "pad", "unk")}
        positions = context(config)
        facts: dict[str, Any] = {
            "name": whole_name(name),
            "architecture": (config.architectures or [config.model_type])[0],
            "format": _format(name),
            "weights": num_weights(loader, config),
            "file_bytes": _file_bytes(name),
            "context": positions if positions < _MOST_POSITIONS else None,
            "window": getattr(config, "sliding_window", None),
            "vocabulary": len(tokenizer),
            "special_tokens": {kind: token for kind, token in special.items() if token is not None},
            "begins_with_bos": bool(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]),
            "chat_template": getattr(tokenizer, "chat_template", None) is not None,
        }
    backbone: PretrainedBackbone
    try:
        made = PretrainedSeq2SeqBackbone if both else PretrainedPrefixBackbone
        backbone = made(name, tuning="full")
    except ConfigError as error:
        return facts | {"head": None, "can": {"write items": str(error)}, "memory": None, "speed": None}
    model = backbone.lm
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    facts["head"] = "tied to the embeddings" if tied else "its own"
    return facts | _costs(backbone.eval().to(device()), facts["weights"], both, seconds)


def _format(name: str) -> str:
    file = gguf_file(name)
    if file is not None:
        kinds = Counter(tensor.tensor_type.name for tensor in gguf_reader(file).tensors)
        return f"GGUF, tensors in {', '.join(f'{kind} ({count})' for kind, count in kinds.most_common())}"
    if not Path(name).is_dir():
        return "of the hub"
    return "safetensors" if any(Path(name).glob("*.safetensors")) else "torch"


def _file_bytes(name: str) -> int | None:
    """Bytes of the files of weights; None: on the hub."""
    file = gguf_file(name)
    files = [file] if file is not None else [*Path(name).glob("*.safetensors"), *Path(name).glob("*.bin")]
    return sum(path.stat().st_size for path in files) if Path(name).exists() else None


def _costs(backbone: PretrainedBackbone, weights: int, both: bool, seconds: float) -> dict[str, Any]:
    """What can be done with a checkpoint, and the memory and time that it takes here."""
    model, names = backbone.lm, set(linear_names(backbone.lm))
    size = next(model.parameters()).element_size()
    usual = set(backbone._usual_targets(model)) <= names
    targets = backbone._usual_targets(model) if usual else ("all-linear",)
    per_1000 = 1000 * place_bytes(model)
    full = weight_bytes(model, 1) + per_1000
    can: dict[str, bool | str] = {"write items": True, "rank": True}
    can["prefix attention"] = not both
    can["encoder and decoder"] = both
    read = _rate(lambda count: _read(backbone, both, count), seconds / 2)
    try:
        lora = LoraConfig(r=8, lora_alpha=16, task_type=backbone._task)
        with quiet():
            backbone.lm, backbone.tuning = with_adapters(model, backbone.name, lora, targets), "lora"
        can["LoRA"] = (
            True if usual else f"yes, with lora_targets=all-linear, or some of {', '.join(sorted(names))}"
        )
    except ConfigError as error:
        can["LoRA"] = str(error)
    can["full tuning"] = True
    try:
        four_bit()
        can["QLoRA"] = True
    except BackendMissingError as error:
        can["QLoRA"] = str(error)
    learnt, adapted = None, None
    if backbone.tuning == "lora":
        adapted = weight_bytes(backbone.lm, 1) + per_1000
        learnt = _rate(lambda count: _learn(backbone.train(), both, count), seconds / 2)
    available = device_bytes(device())
    return {
        "can": can,
        "memory": {
            "answer": weights * size + 1000 * _kept_bytes(model.config, size),
            "lora": adapted,
            "full": full,
            "per_1000_tokens": per_1000,
            "here": machine_bytes() if available is None else available,
        },
        "speed": {"read": read, "lora": learnt, "threads": torch.get_num_threads(), "device": str(device())},
    }


def _kept_bytes(config: Any, size: int) -> int:
    """Bytes of the keys and values of a token in all layers."""
    config = config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return 2 * int(config.num_hidden_layers) * int(kept) * int(width) * size


def _tokens(backbone: PretrainedBackbone, count: int) -> torch.Tensor:
    vocabulary = len(backbone.vocabulary_vectors())
    length = min(_ROW, backbone.max_positions)
    rows = -(-count // length)
    return torch.arange(rows * length, device=device()).reshape(rows, length) % vocabulary


def _states(backbone: PretrainedBackbone, both: bool, tokens_BT: torch.Tensor) -> torch.Tensor:
    if both:
        states: torch.Tensor = backbone.lm(
            input_ids=tokens_BT, decoder_input_ids=tokens_BT[:, :1]
        ).encoder_last_hidden_state
        return states
    positions_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device).expand(tokens_BT.shape)
    return backbone.run(positions_BT, None, None, input_ids=tokens_BT)


def _read(backbone: PretrainedBackbone, both: bool, count: int) -> int:
    tokens_BT = _tokens(backbone, count)
    with torch.inference_mode():
        _states(backbone, both, tokens_BT)
    return tokens_BT.numel()


def _learn(backbone: PretrainedBackbone, both: bool, count: int) -> int:
    tokens_BT = _tokens(backbone, count)
    _states(backbone, both, tokens_BT).float().square().mean().backward()  # type: ignore[no-untyped-call]
    return tokens_BT.numel()


def _rate(step: Callable[[int], int], seconds: float) -> float:
    """Tokens a second of a step, which takes about so many and tells how many; the first one does not count."""
    count = step(1)
    begun, done = time.monotonic(), 0
    while (took := time.monotonic() - begun) < seconds or not done:
        done += step(count)
        if took < seconds / 4:
            count *= 2
        if device().type == "cuda":
            torch.cuda.synchronize()
    return done / (time.monotonic() - begun)
