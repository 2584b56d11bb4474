"""GGUF files of random checkpoints, written by the package gguf, as llama.cpp's converter lays them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
TEXTS = [f"Alien {year}\n\n{year % 7} (part {year % 30})\n" for year in range(1950, 2030)]
FAMILIES = {
    "llama": "Llama",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "phi3": "Phi3",
    "gemma3": "Gemma3Text",
    "gpt2": "GPT2",
}
ARCHITECTURES = {"gemma3_text": "gemma3"}
KINDS = {name: getattr(gguf.GGMLQuantizationType, name) for name in ("F32", "F16", "Q8_0", "Q4_0", "Q4_1")}


def tokenizer(cut: str) -> transformers.PreTrainedTokenizerFast:
    """A byte-level tokenizer that cuts text as `tokenizer.ggml.pre` means by `cut`."""
    made = Tokenizer(models.BPE(ignore_merges=cut == "llama-bpe"))
    if cut == "smollm":
        first = pre_tokenizers.Digits(individual_digits=True)
        steps = [first, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    elif cut == "gpt-2":
        steps = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        regex = PRETOKENIZE_REGEX if cut == "qwen2" else PRETOKENIZE_REGEX.replace(r"\p{N}|", r"\p{N}{1,3}|")
        first = pre_tokenizers.Split(Regex(regex), "isolated")
        steps = [first, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    if cut == "qwen2":
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<e>", "<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    if cut == "llama-bpe":  # a word that no merges lead to
        spelt = json.loads(made.to_str())
        spelt["model"]["vocab"]["Quartz"] = len(spelt["model"]["vocab"])
        made = Tokenizer.from_str(json.dumps(spelt))
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="<e>", pad_token="<e>"
    )
    words.chat_template = "{% for turn in messages %}{{ turn['content'] }}\n{% endfor %}"
    return words


def write_pair(
    folder: Path, family: str = "llama", kind: str = "F32", cut: str = "smollm", **sizes: Any
) -> tuple[str, str]:
    """A random checkpoint in safetensors, whose weights are what `kind` can hold, and the same as a GGUF file."""
    words = tokenizer(cut)
    config = getattr(transformers, f"{FAMILIES[family]}Config")(
        **SIZES | {"vocab_size": len(words), "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0} | sizes
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:  # norms and biases, which are ones and noughts at first
            torch.nn.init.normal_(weight, mean=float("norm" in name and family != "gemma3"), std=0.1)
        else:
            weight.data = torch.from_numpy(_held(weight.detach().numpy(), kind)[1].copy())
    words.save_pretrained(folder / "safetensors")
    model.save_pretrained(folder / "safetensors")
    path = folder / f"{family}.gguf"
    write_gguf(path, model, words, kind, cut)
    return str(folder / "safetensors"), str(path)


def write_gguf(
    path: Path, model: Any, words: Any, kind: str = "F32", cut: str = "smollm", **extra: Any
) -> None:
    """The GGUF file of a decoder with a byte-level tokenizer; `extra`: metadata besides, as texts or whole numbers."""
    config, family = model.config, model.config.model_type
    architecture = ARCHITECTURES.get(family, family)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"random {family}")
    _add_sizes(writer, config)
    for key, value in extra.items():
        name = key.replace("__", ".").replace("ARCH", architecture)
        (writer.add_uint32 if isinstance(value, int) else writer.add_string)(name, value)
    _add_tokenizer(writer, words, cut)
    _add_weights(writer, model, kind)


def _held(array: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What a file of this kind holds of an array, and what is read from it."""
    held = gguf.quants.quantize(np.ascontiguousarray(array), KINDS[kind])
    return held, gguf.quants.dequantize(held, KINDS[kind]).astype(np.float32)


def _add_sizes(writer: Any, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_vocab_size(config.vocab_size)
    if writer.arch == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    rope = config.rope_parameters
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if writer.arch == "gemma3":
        writer.add_key_length(config.head_dim)
        writer.add_sliding_window(config.sliding_window)
    if writer.arch == "llama":
        writer.add_rope_dimension_count(config.head_dim)


def _add_weights(writer: Any, model: Any, kind: str) -> None:
    """Write the weights, and close the file."""
    config, architecture = model.config, writer.arch
    names = gguf.get_tensor_name_map(
        next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        config.num_hidden_layers,
    )
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = weight.float().numpy()
        heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": config.num_key_value_heads}
        for end, count in heads.items():
            if architecture == "llama" and name.endswith(end):  # it turns pairs that stand side by side
                array = array.reshape(count, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if architecture == "gemma3" and name.endswith("norm.weight"):
            array = array + 1
        if architecture == "gpt2" and ".c_" in name:
            array = array.T
        held = "F32" if array.ndim == 1 else kind
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight", ".bias")),
            _held(array, held)[0],
            raw_dtype=KINDS[held],
        )
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "llama3":
        inverse_F = model.model.rotary_emb.inv_freq.double().numpy()
        usual_F = rope["rope_theta"] ** -(np.arange(len(inverse_F)) / len(inverse_F))
        writer.add_tensor("rope_freqs.weight", (usual_F / inverse_F).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any, words: Any, cut: str) -> None:
    model = json.loads(words.backend_tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    special = {"<e>", "<s>"}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in special else normal for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(words.chat_template)


def write_pieces(path: Path, blank: bool) -> None:
    """A Llama's GGUF file with a vocabulary of SentencePiece; `blank`: what it says of a blank before a text."""
    letters = [f"\u2581{word}" for word in ("alien", "a", "comet")] + [
        "\u2581",
        *"abcdefghijklmnopqrstuvwxyz0123456789",
    ]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    config = transformers.LlamaConfig(**SIZES | {"vocab_size": len(tokens)})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    writer = gguf.GGUFWriter(path, "llama")
    _add_sizes(writer, config)
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    types += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(letters)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(row) for row in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(blank)
    _add_weights(writer, model, "F32")
