"""A real pretrained Llama, small enough for tests: llama2.c's files as a Hugging Face checkpoint.

The format: https://github.com/karpathy/llama2.c, `export.py` (version 0) and `tokenizer.py`.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def convert(source: Path, folder: Path) -> Path:
    """Write `stories260K.bin` and `tok512.bin` of `source` to `folder` as transformers reads them."""
    _model(source / "stories260K.bin").save_pretrained(folder)
    _tokenizer(source / "tok512.bin").save_pretrained(folder)
    return folder


def _model(path: Path) -> LlamaForCausalLM:
    content = path.read_bytes()
    width, inner, layers, heads, kv_heads, vocab, positions = struct.unpack("7i", content[:28])
    floats = torch.from_numpy(np.frombuffer(content, np.float32, offset=28).copy())
    head = width // heads
    taken = 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal taken
        taken += int(np.prod(shape))
        return floats[taken - int(np.prod(shape)) : taken].view(shape)

    def halves(weight: torch.Tensor) -> torch.Tensor:
        """llama2.c turns neighbours of a head together, transformers the first half with the second."""
        return weight.view(-1, head // 2, 2, width).transpose(1, 2).reshape(-1, width)

    state = {"model.embed_tokens.weight": take(vocab, width)}
    parts = {
        "input_layernorm": take(layers, width),
        "self_attn.q_proj": take(layers, heads * head, width),
        "self_attn.k_proj": take(layers, kv_heads * head, width),
        "self_attn.v_proj": take(layers, kv_heads * head, width),
        "self_attn.o_proj": take(layers, width, width),
        "post_attention_layernorm": take(layers, width),
        "mlp.gate_proj": take(layers, inner, width),
        "mlp.down_proj": take(layers, width, inner),
        "mlp.up_proj": take(layers, inner, width),
    }
    for name, weights in parts.items():
        for layer in range(layers):
            weight = weights[layer]
            turned = name.endswith(("q_proj", "k_proj"))
            state[f"model.layers.{layer}.{name}.weight"] = halves(weight) if turned else weight
    state["model.norm.weight"] = take(width)
    assert taken + positions * head == len(floats)  # the rest are tables of sines and cosines
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            max_position_embeddings=positions,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
        )
    )
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    return model


def _tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """Its pieces stand in the order in which they were merged."""
    content = path.read_bytes()
    pieces: list[str] = []
    place = 4
    while place < len(content):
        _, length = struct.unpack("fi", content[place : place + 8])
        pieces.append(content[place + 8 : place + 8 + length].decode().replace(" ", "▁"))
        place += 8 + length
    pieces[1:3] = ["<s>", "</s>"]
    vocab = {piece: row for row, piece in enumerate(pieces)}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in pieces[259:]
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
