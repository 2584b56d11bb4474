"""Which kinds of decoders can be backbones, and why others cannot: the table of docs/backbones.md, row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from checkpoints import SIZES, TITLES, write_as
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.errors import ConfigError
from genrec.recommenders.base import create
from genrec.testing import ring

SMALL = SIZES | {"num_key_value_heads": 1, "head_dim": 16}
WINDOW = SMALL | {"sliding_window": 8}
TWO_KINDS = WINDOW | {"layer_types": ["full_attention", "sliding_attention"]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = SMALL | {
    "num_key_value_heads": 2,
    **{"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
    **{"head_dim": 8, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    **{"moe_intermediate_size": 16},
}
LOADS: dict[str, dict[str, Any]] = {
    "Apertus": SMALL,
    "Arcee": SMALL,
    "BioGpt": SIZES,
    "Cwm": TWO_KINDS | {"bos_token_id": 0, "eos_token_id": 1},
    "DeepseekV2": LATENT,
    "DeepseekV3": LATENT,
    "DiffLlama": SMALL | {"num_key_value_heads": 2},
    "Ernie4_5": SMALL,
    "Exaone4": TWO_KINDS,
    "Falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    "Gemma": SMALL,
    "Gemma3Text": TWO_KINDS,
    "Glm": SMALL,
    "Glm4": SMALL,
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "GPTBigCode": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "GPTNeoX": SIZES,
    "Helium": SMALL,
    "InternLM3": SMALL,
    "Llama": SMALL,
    "Ministral": TWO_KINDS,
    "Mistral": WINDOW,
    "Mixtral": WINDOW | {"num_local_experts": 2},
    "Nemotron": SMALL,
    "Olmo": SMALL,
    "Olmo2": SMALL,
    "Olmo3": TWO_KINDS,
    "Olmoe": SMALL | EXPERTS,
    "OPT": SIZES | {"ffn_dim": 48, "word_embed_proj_dim": 16},
    "Persimmon": SIZES,
    "Phi3": WINDOW,
    "Qwen2": WINDOW | {"use_sliding_window": True, "max_window_layers": 1},
    "Qwen2Moe": SMALL | EXPERTS | {"shared_expert_intermediate_size": 16},
    "Qwen3": WINDOW | {"use_sliding_window": True, "max_window_layers": 1},
    "Qwen3Moe": SMALL | EXPERTS,
    "SeedOss": SMALL,
    "SmolLM3": SMALL,
    "StableLm": SMALL,
    "Starcoder2": WINDOW,
}
HEAD = "the output head of .* is more than a product"
NO_SDPA = "computes them without scaled_dot_product_attention"
STATES = "do not take masks and positions as a search needs them"
RECURRENT = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "Bert": (SIZES, "not a decoder-only language model|" + STATES),
    "Bloom": ({"hidden_size": 32, "n_layer": 2, "n_head": 2}, NO_SDPA),
    "CodeGen": ({"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8}, NO_SDPA),
    "Cohere": (SMALL | {"logit_scale": 0.5}, HEAD),
    "Cohere2": (TWO_KINDS | {"logit_scale": 0.5}, HEAD),
    "CTRL": ({"n_embd": 32, "n_layer": 2, "n_head": 2, "dff": 48}, HEAD),
    "FalconMamba": (RECURRENT, NO_SDPA),
    "Gemma2": (TWO_KINDS, NO_SDPA),
    "GPTJ": ({"n_embd": 32, "n_layer": 2, "n_head": 2, "rotary_dim": 8}, NO_SDPA),
    "GPTNeo": (
        {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
        NO_SDPA,
    ),
    "GptOss": (TWO_KINDS | {"num_local_experts": 2, "num_experts_per_tok": 2}, NO_SDPA),
    "Granite": (SMALL | {"logits_scaling": 8.0}, HEAD),
    "Lfm2": (SMALL | {"layer_types": ["conv", "full_attention"]}, r"kinds of layers: conv\)"),
    "Llama4Text": (SMALL | {"intermediate_size_mlp": 48, "num_local_experts": 2, "moe_layers": []}, STATES),
    "Mamba": (RECURRENT, NO_SDPA),
    "Mpt": ({"d_model": 32, "n_layers": 2, "n_heads": 2}, NO_SDPA),
    "NanoChat": (SMALL, HEAD),
    "Phi": (SIZES, HEAD),
    "Qwen3Next": (
        SMALL | EXPERTS | {"layer_types": ["linear_attention", "full_attention"]}
        | {"shared_expert_intermediate_size": 16},
        r"kinds of layers: linear_attention\)",
    ),
    "XGLM": ({"d_model": 32, "num_layers": 2, "attention_heads": 2, "ffn_dim": 48}, NO_SDPA),
}  # fmt: skip
QUICK = {"Falcon", "OPT", "Phi3", "Qwen2", "Mamba", "Lfm2", "Llama4Text", "GPTJ"}  # one of each way


def slow_but_some(names: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in names]


@torch.no_grad()
@pytest.mark.parametrize("kind", slow_but_some(LOADS))
def test_a_text_and_beams_after_it_have_the_states_of_the_models_own_attention(
    kind: str, tmp_path: Path
) -> None:
    """Its own is eager, written without ours. The text is longer than the windows, of 8 tokens, and so is a beam."""
    folder = write_as(kind, LOADS[kind], tmp_path)
    backbone = PretrainedBackbone(str(folder), tuning="full").eval()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    history, beams = torch.arange(20, 31), [torch.arange(40, 50), torch.arange(60, 63)]
    cache = backbone.new_cache()
    backbone.hidden(history[None], history[None] * 0, torch.arange(11)[None], cache=cache)
    tokens, number = torch.cat(beams), torch.tensor([0] * 10 + [1] * 3)
    step = torch.cat([torch.arange(len(beam)) for beam in beams])
    own_TT = (number == number[:, None]) & (step <= step[:, None])
    mask_TK = torch.cat([torch.ones((13, 11), dtype=torch.bool), own_TT], dim=1)
    states_TD = backbone.hidden(tokens[None], tokens[None] * 0, 11 + step[None], mask_TK[None], cache)[0]
    for row, beam in enumerate(beams):
        logits_TV = theirs(torch.cat([history, beam])[None]).logits[0, 11:]
        found_TV = states_TD[number == row] @ backbone.vocabulary_vectors().T
        torch.testing.assert_close(found_TV, logits_TV, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", slow_but_some(REFUSED))
def test_others_are_refused_in_one_line_with_the_reason(kind: str, tmp_path: Path) -> None:
    sizes, reason = REFUSED[kind]
    folder = write_as(kind, sizes, tmp_path)
    with pytest.raises(ConfigError, match=reason) as caught:
        PretrainedBackbone(str(folder), tuning="full")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(folder))


def test_positions_that_count_the_columns_of_a_row_are_refused(tmp_path: Path) -> None:
    folder = write_as("Falcon", LOADS["Falcon"] | {"alibi": True}, tmp_path)
    with pytest.raises(ConfigError, match=STATES):
        PretrainedBackbone(str(folder), tuning="full")


def test_rows_end_where_all_frequencies_of_a_model_would_change(tmp_path: Path) -> None:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 8,
        "long_factor": [4.0] * 8,
    }
    sizes = LOADS["Phi3"] | {"rope_parameters": rope | {"original_max_position_embeddings": 40}}
    folder = write_as("Phi3", sizes | {"original_max_position_embeddings": 40}, tmp_path)
    assert PretrainedBackbone(str(folder), tuning="full").max_positions == 40


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOADS)
def test_it_is_trained_and_what_is_searched_is_what_was_trained(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"tuning": "full", "epochs": 2, "batch_tokens": 600, "learning_rate": 5e-3}
    options |= {"warmup_steps": 1, "evaluations": 1, "bf16": False}
    model = create("genrec", backbone=str(write_as(kind, LOADS[kind], tmp_path)), **options).fit(ring(TITLES))
    for history in ([], ["i3"], [f"i{row}" for row in range(10)]):
        (ranking,) = model.recommend([history], k=len(TITLES), exclude_seen=False, exact=True)
        for item in ranking.items:
            chances = [chance for _, chance, *_ in model.why(history, item.item_id)]
            assert np.log(chances).sum() == pytest.approx(np.log(item.probability), abs=1e-5)


def test_the_page_tells_of_these_kinds_and_no_others() -> None:
    page = (Path(__file__).parents[2] / "docs/backbones.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (loads|refused)", page, re.MULTILINE))
    assert told == dict.fromkeys(LOADS, "loads") | dict.fromkeys(REFUSED, "refused")
