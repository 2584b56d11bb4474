"""Random checkpoints of several families, a few kilobytes each, with a tokenizer made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TITLES = [
    *(f"Comet Harbour {part}" for part in range(1, 7)),
    *(f"Silent Orchard {part}" for part in range(1, 5)),
    "Paper Tigers",
    "Paper Tigers, Again",
    "Zażółć",
    "Home",
    "Home",
]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
POSITIONS = 96
FAMILIES = {
    "llama": ("Llama", SIZES | {"num_key_value_heads": 1}),
    "qwen2": ("Qwen2", SIZES | {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "gpt_neox": ("GPTNeoX", SIZES),
    "falcon": ("Falcon", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}),
    "gpt2": ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 2}),
    "mistral": ("Mistral", SIZES | {"num_key_value_heads": 1, "sliding_window": 8}),
    "gemma3": ("Gemma3Text", SIZES | {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8}),
    "llama4": (
        "Llama4Text",
        SIZES
        | {"num_key_value_heads": 1, "head_dim": 16, "intermediate_size_mlp": 48, "attention_chunk_size": 8}
        | {"num_local_experts": 2, "moe_layers": [], "attn_temperature_tuning": False},
    ),
    "opt": ("OPT", SIZES | {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "mixtral": ("Mixtral", SIZES | {"num_key_value_heads": 1, "num_local_experts": 2}),
    # Not ours to take: heads with more than a product, and models that are no decoders.
    "gemma2": ("Gemma2", SIZES | {"num_key_value_heads": 1, "head_dim": 16}),
    "cohere": ("Cohere", SIZES | {"num_key_value_heads": 1, "logit_scale": 0.5}),
    "phi": ("Phi", SIZES),
    "bert": ("Bert", SIZES),
    "t5": ("T5", {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 32}),
    "bart": ("Bart", {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1}),
}
NO_DECODERS = {
    "Bert": "ForMaskedLM",
    "T5": "ForConditionalGeneration",
    "Bart": "ForConditionalGeneration",
}


def write(family: str, folder: Path) -> Path:
    """Write a random checkpoint of `family` with its tokenizer to `folder`."""
    return write_as(*FAMILIES[family], folder)


def write_as(name: str, sizes: dict[str, Any], folder: Path) -> Path:
    """Write a random checkpoint of the class that transformers calls so."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    special = {f"{token}_token_id": None for token in ("bos", "eos", "pad")}
    config = getattr(transformers, f"{name}Config")(
        **{"vocab_size": len(tokenizer), "max_position_embeddings": POSITIONS} | special | sizes
    )
    torch.manual_seed(0)
    if name in NO_DECODERS:
        model = getattr(transformers, name + NO_DECODERS[name])(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        torch.nn.init.normal_(head.bias)
    model.save_pretrained(folder)
    return folder


def _tokenizer() -> transformers.PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TITLES, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
