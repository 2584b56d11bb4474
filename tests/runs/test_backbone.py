"""What `genrec backbone` tells of a checkpoint: counted from it, and measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from genrec.data import memory
from genrec.errors import ConfigError
from genrec.runs.backbone import look_at
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones"))

from checkpoints import write
from seq2seq_checkpoints import make


def look(folder: Path, family: str) -> dict[str, Any]:
    return look_at(str(write(family, folder / family)), seconds=0.02)


def test_a_decoder_is_counted_and_measured(tmp_path: Path) -> None:
    found = look(tmp_path, "llama")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "llama", trust_remote_code=False)
    weights = sum(weight.numel() for weight in model.parameters())
    assert found["architecture"] == "LlamaForCausalLM"
    assert found["weights"] == weights
    assert found["file_bytes"] == (tmp_path / "llama/model.safetensors").stat().st_size
    assert (found["context"], found["window"], found["head"]) == (96, None, "its own")
    assert found["special_tokens"] == {"bos": "<s>", "eos": "</s>"}
    assert found["chat_template"] is False
    assert found["can"] == {
        "write items": True,
        "rank": True,
        "prefix attention": True,
        "encoder and decoder": False,
        "LoRA": True,
        "full tuning": True,
        "QLoRA": found["can"]["QLoRA"],
    }
    told = found["memory"]
    # 2 layers, one head of keys and one of values, 16 wide, 4 bytes a number
    assert told["answer"] == 4 * weights + 1000 * 2 * 2 * 16 * 4
    assert told["full"] == 16 * weights + told["per_1000_tokens"]
    assert 4 * weights < told["lora"] - told["per_1000_tokens"] < 8 * weights
    assert found["speed"]["read"] > found["speed"]["lora"] > 0


def test_other_kinds_say_what_is_different(tmp_path: Path) -> None:
    assert look(tmp_path, "qwen2")["head"] == "tied to the embeddings"
    assert look(tmp_path, "mistral")["window"] == 8
    assert look(tmp_path, "gpt2")["can"]["LoRA"].startswith(
        "yes, with lora_targets=all-linear, or some of c_attn"
    )
    write("t5", tmp_path / "both")
    make("t5").save_pretrained(tmp_path / "both")  # one that says with which token an answer starts
    both = look_at(str(tmp_path / "both"), seconds=0.02)
    assert both["can"]["encoder and decoder"] is True
    assert both["can"]["prefix attention"] is False
    assert both["speed"]["lora"] > 0


def test_what_cannot_write_says_why_and_is_not_measured(tmp_path: Path) -> None:
    found = look(tmp_path, "cohere")
    assert list(found["can"]) == ["write items"]
    assert "is more than a product with its output embeddings" in found["can"]["write items"]
    assert found["speed"] is found["memory"] is None


def test_an_encoder_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a decoder-only language model \(BertForMaskedLM\)"):
        look(tmp_path, "bert")


def test_what_does_not_fit_is_told_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_ALWAYS_THERE", 0)
    monkeypatch.setattr(memory, "machine_bytes", lambda: 50_000)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    told = look(tmp_path, "llama")["can"]["write items"]
    assert "weights needs about" in told
    assert "and this machine has 50.0 kB: choose a smaller checkpoint" in told
