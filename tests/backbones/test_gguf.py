"""GGUF files are the checkpoints that they were made from: the same tokens, states and runs."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gguf", exc_type=ImportError)

from checkpoints import TITLES
from genrec.backbones import gguf as ours
from genrec.backbones.checkpoint import checkpoint_config, checkpoint_tokenizer
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.tokenizer import PretrainedTokenizer
from genrec.data.interactions import Histories
from genrec.errors import BackendMissingError, ConfigError
from genrec.recommenders.base import create, load
from genrec.recommenders.palr.chat import LocalChat
from genrec.testing import ring
from ggufs import TEXTS, tokenizer, write_gguf, write_pair, write_pieces
from transformers import AutoModelForCausalLM, AutoTokenizer

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
STRINGS = [
    *TEXTS,
    *("\n\n9", "Quartz 1999", "Zażółć e\u0301te\u0301 1\u00bd", "  3  ", "don't 42's", "١٢٣"),
    *("".join(random.Random(seed).choices("ab 1290\n'é.", k=12)) for seed in range(60)),
]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(2, 42)[None]).logits


@pytest.mark.parametrize(
    ("family", "kind", "cut", "sizes"),
    [
        *(("llama", kind, "smollm", {"tie_word_embeddings": True}) for kind in ("F32", "F16", "Q8_0")),
        ("llama", "Q4_0", "llama-bpe", {"rope_parameters": LLAMA3}),
        ("llama", "Q4_1", "gpt-2", {}),
        ("qwen2", "F32", "qwen2", {}),
        ("qwen3", "F32", "qwen2", {"head_dim": 128}),
        ("phi3", "F32", "smollm", {}),
        ("gemma3", "F32", "smollm", {"num_hidden_layers": 7, "head_dim": 16, "sliding_window": 8}),
        ("gpt2", "F32", "gpt-2", {}),
    ],
)
def test_tokens_and_logits_are_those_of_the_original(
    tmp_path: Path, family: str, kind: str, cut: str, sizes: dict[str, Any]
) -> None:
    folder, file = write_pair(tmp_path, family, kind, cut, **sizes)
    assert PretrainedTokenizer(file).encode(STRINGS) == PretrainedTokenizer(folder).encode(STRINGS)
    read, original = PretrainedBackbone(file, tuning="full"), PretrainedBackbone(folder, tuning="full")
    assert torch.equal(logits(read.lm.eval()), logits(original.lm.eval()))
    assert read.max_positions == original.max_positions == 128


@pytest.mark.parametrize("cut", ["smollm", "llama-bpe", "qwen2"])
def test_the_steps_that_are_put_back_matter(tmp_path: Path, cut: str) -> None:
    folder, file = write_pair(tmp_path, cut=cut)
    name = Path(file).name
    plain = AutoTokenizer.from_pretrained(tmp_path, gguf_file=name, trust_remote_code=False)
    original = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    assert plain(STRINGS)["input_ids"] != original(STRINGS)["input_ids"]


def test_a_folder_with_nothing_but_a_gguf_file_is_that_file(tmp_path: Path) -> None:
    _, file = write_pair(tmp_path)
    assert checkpoint_config(str(tmp_path)).architectures == ["LlamaForCausalLM"]
    assert checkpoint_tokenizer(str(tmp_path)).model_max_length == 128
    Path(file).rename(tmp_path / "no-ending")
    assert checkpoint_config(str(tmp_path / "no-ending")).model_type == "llama"


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_what_was_tuned_is_saved_and_loaded(
    tmp_path: Path, tuning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file = write_pair(tmp_path, kind="Q8_0")
    monkeypatch.chdir(tmp_path)
    backbone = PretrainedBackbone(Path(file).name, tuning=tuning)
    for weight in backbone.lm.parameters():
        if weight.requires_grad:
            weight.data += 0.01
    backbone.save(tmp_path / "saved")
    monkeypatch.chdir("/")
    loaded = PretrainedBackbone.load(tmp_path / "saved")
    assert torch.equal(logits(loaded.lm.eval()), logits(backbone.lm.eval()))
    if tuning == "full":  # any library takes it
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", trust_remote_code=False)
        assert torch.equal(logits(plain), logits(backbone.lm))


def test_a_recommender_learns_from_a_gguf_file_and_is_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, file = write_pair(tmp_path, kind="Q4_0")
    data = ring(TITLES)
    options = {"epochs": 1, "batch_tokens": 600, "evaluations": 1, "bf16": False, "beams": 4}
    capfd.readouterr()
    model = create("genrec", backbone=file, **options).fit(data)
    assert "de-quantizing" not in capfd.readouterr().err
    model.save(tmp_path / "saved")
    Path(file).rename(tmp_path / "elsewhere.gguf")
    with pytest.raises(ConfigError, match=r"belong to the checkpoint '.*llama.gguf', which is not there"):
        load(tmp_path / "saved")
    Path(tmp_path / "elsewhere.gguf").rename(file)
    histories = Histories.from_lists([[3], [1, 2]])
    found, again = model.rank(histories, 5), load(tmp_path / "saved").rank(histories, 5)
    np.testing.assert_array_equal(found.items_BK, again.items_BK)
    np.testing.assert_allclose(found.scores_BK, again.scores_BK, atol=1e-5)


def test_a_gguf_file_chats_as_its_original_does(tmp_path: Path) -> None:
    folder, file = write_pair(tmp_path)
    said = LocalChat(file, max_new_tokens=6).answer("Alien 1979")
    assert said == LocalChat(folder, max_new_tokens=6).answer("Alien 1979") != ""


def cut_short(file: Path, keep: float) -> None:
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])


def again(file: Path, cut: str = "smollm", **extra: Any) -> None:
    """The file of the same checkpoint with other metadata."""
    model = AutoModelForCausalLM.from_pretrained(file.parent / "safetensors", trust_remote_code=False)
    write_gguf(file, model, tokenizer("smollm"), cut=cut, **extra)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *(
            (lambda file, keep=keep: cut_short(file, keep), "no whole GGUF file")
            for keep in (0, 0.001, 0.1, 0.9)
        ),
        (lambda file: file.write_text("no weights"), "no whole GGUF file"),
        (
            lambda file: file.with_name("b.gguf").write_bytes(b""),
            r"holds 2 GGUF files \(b.gguf, llama.gguf\)",
        ),
        (lambda file: file.unlink(), "there is no model in the folder"),
        (lambda file: again(file, split__count=3), "is one of 3 parts"),
        (lambda file: again(file, ARCH__rope__scaling__type="yarn"), r"scales its positions \(yarn\)"),
        (lambda file: again(file, ARCH__attention__sliding_window=8), "attends through a window of 8,"),
    ],
)
def test_a_file_that_would_be_read_wrongly_is_told_in_one_line(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    _, file = write_pair(tmp_path / "model")
    damage(Path(file))
    with pytest.raises(ConfigError, match=message) as caught:
        checkpoint_config(str(tmp_path / "model"))
    assert "\n" not in str(caught.value)


def test_bytes_that_changed_are_read_or_told_in_one_line(tmp_path: Path) -> None:
    _, file = write_pair(tmp_path)
    whole, path, told = Path(file).read_bytes(), tmp_path / "changed.gguf", list[str]()
    for seed in range(60):
        draws, content = random.Random(seed), bytearray(whole)
        for _ in range(draws.choice((1, 3, 20))):
            content[draws.randrange(draws.choice((32, 400, 3000)))] = draws.choice(
                (0, 255, draws.randrange(256))
            )
        path.write_bytes(content)
        try:
            checkpoint_config(str(path))
            PretrainedTokenizer(str(path))
        except ConfigError as error:
            told.append(str(error))
    assert len(told) > 30
    assert not any("\n" in message for message in told)


def test_a_kind_of_model_that_transformers_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ggufs.ARCHITECTURES", {"llama": "bert"})
    monkeypatch.setattr("gguf.TensorNameMap.get_name", lambda names, name, **options: name)
    _, file = write_pair(tmp_path)
    with pytest.raises(ConfigError, match=r"a kind that transformers does not read .*bert.*in safetensors"):
        checkpoint_config(file)


def test_weights_that_are_not_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, file = write_pair(tmp_path, attention_bias=True)  # a Llama's GGUF says nothing of biases
    with pytest.raises(ConfigError, match=r"holds .* weights, and transformers reads .* of them"):
        PretrainedBackbone(file, tuning="full")


def test_a_text_cut_in_an_unknown_way_is_refused(tmp_path: Path) -> None:
    _, file = write_pair(tmp_path)
    again(Path(file), cut="viking")
    with pytest.raises(ConfigError, match=r"tokenizer.ggml.pre is 'viking'; known are codeshell, gpt-2"):
        PretrainedTokenizer(file)


def test_a_vocabulary_of_pieces_says_whether_a_text_begins_with_a_blank(tmp_path: Path) -> None:
    write_pieces(tmp_path / "yes.gguf", blank=True)
    tokenizer = PretrainedTokenizer(str(tmp_path / "yes.gguf"))
    (row,) = tokenizer.encode(["alien 42\nż"])
    assert tokenizer.decode(row) == "alien 42\nż"
    assert tokenizer.tokenizer.convert_ids_to_tokens(row)[0] == "\u2581a"
    write_pieces(tmp_path / "no.gguf", blank=False)
    with pytest.raises(
        ConfigError, match="does not begin a text with a blank, and transformers reads it otherwise"
    ):
        PretrainedTokenizer(str(tmp_path / "no.gguf"))


def test_other_positions_than_those_of_llama_3_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file = write_pair(tmp_path, rope_parameters=LLAMA3)
    assert checkpoint_config(file).rope_parameters == LLAMA3
    monkeypatch.setitem(ours._LLAMA3, "high_freq_factor", 8.0)
    with pytest.raises(ConfigError, match="is not Llama 3's"):
        checkpoint_config(file)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, file = write_pair(tmp_path)
    monkeypatch.setitem(sys.modules, "gguf", None)
    for read in (checkpoint_config, PretrainedTokenizer):
        with pytest.raises(BackendMissingError, match=r"pip install 'genrec\[gguf\]'"):
            read(file)


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Heat")
    for name, message in (("notes.txt", "is no GGUF file"), ("missing.gguf", "there is no folder or file")):
        with pytest.raises(ConfigError, match=message):
            checkpoint_config(str(tmp_path / name))
