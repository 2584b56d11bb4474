"""Random T5 and BART checkpoints, and sources and answers for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

VOCABULARY, WIDTH, POSITIONS, START = 40, 16, 64, 3
NUM_WORDS = 5
T5_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": 6,  # heads need not add up to the width
    "d_ff": 24,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "decoder_start_token_id": START,
}
BART_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": POSITIONS,
    "init_std": 0.3,
    "scale_embedding": True,
    "attention_dropout": 0.1,
    "activation_dropout": 0.1,
    "pad_token_id": 1,
    "decoder_start_token_id": START,
}
FAMILIES = ["t5", "t5-gated", "bart"]


def make(family: str) -> Any:
    """A random model; that of version 1.1 has a head of its own."""
    torch.manual_seed(0)
    if family == "bart":
        return BartForConditionalGeneration(BartConfig(**BART_SIZES))
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = T5ForConditionalGeneration(T5Config(**T5_SIZES, **(gated if family == "t5-gated" else {})))
    for stack in (model.encoder, model.decoder):
        nn.init.normal_(stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight)
    if family == "t5-gated":
        model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, WIDTH))
    return model


LENGTHS = torch.tensor([7, 3, 25])
Batch = dict[str, Tensor]


def make_sources() -> Batch:
    """Three sources as a batch of training has them, of which one is longer than T5's distances reach."""
    generator = torch.Generator().manual_seed(5)
    shape = (3, int(LENGTHS.max()))
    tokens_BT = torch.randint(VOCABULARY, shape, generator=generator)
    return {
        "source_tokens": tokens_BT,
        "source_nodes": torch.zeros_like(tokens_BT),
        "source_positions": torch.arange(shape[1]).expand(shape),
        "source_words": torch.zeros_like(tokens_BT),
        "source_reach": LENGTHS[:, None].expand(shape),
    }


def make_answers(*lengths: int) -> Batch:
    """Answers of these lengths side by side in each of three rows, each after its start token at position 0."""
    generator = torch.Generator().manual_seed(6)
    tokens_BL = torch.randint(VOCABULARY, (3, sum(lengths)), generator=generator)
    positions = torch.cat([torch.arange(length) for length in lengths])
    tokens_BL[:, positions == 0] = START
    number = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    return {
        "tokens": tokens_BL,
        "nodes": torch.zeros_like(tokens_BL),
        "positions": positions.expand(3, -1),
        "sees": number.expand(3, -1),
        "reach": LENGTHS[:, None].expand_as(tokens_BL),
    }


def part(batch: Batch, rows: slice, sources: slice, answers: slice) -> Batch:
    """Some rows of a batch, and of them some tokens of the sources and of the answers."""
    return {
        name: values[rows, sources if name.startswith("source") else answers]
        for name, values in batch.items()
    }


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
