"""Loading, adapting and saving T5 and BART checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import write
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone
from genrec.errors import BackendMissingError, ConfigError
from seq2seq_checkpoints import FAMILIES, NUM_WORDS, assert_close, make, make_answers, make_sources


def changed(model: PretrainedSeq2SeqBackbone) -> PretrainedSeq2SeqBackbone:
    """As after a step of training."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn_like(weight)
    return model


@torch.no_grad()
@pytest.mark.parametrize("num_words", [0, NUM_WORDS])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone],
    tmp_path: Path,
    family: str,
    tuning: str,
    num_words: int,
) -> None:
    model = changed(seq2seq(family, tuning=tuning, num_words=num_words))
    batch = make_sources() | make_answers(4)
    batch["source_words"] = batch["source_positions"] % NUM_WORDS
    expected = model(batch)
    assert (expected - seq2seq(family, tuning=tuning, num_words=num_words)(batch)).abs().max() > 1e-2
    model.save(tmp_path)
    again = PretrainedSeq2SeqBackbone.load(tmp_path).eval()
    assert_close(again(batch), expected)
    assert {name: weight.requires_grad for name, weight in again.named_parameters()} == {
        name: weight.requires_grad for name, weight in model.named_parameters()
    }
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".json", ".md"}
    assert (tmp_path / "model.safetensors").exists() == (tuning == "full")


@pytest.mark.parametrize(("family", "ending"), [("t5", ("q", "v")), ("bart", ("q_proj", "v_proj"))])
def test_the_usual_adapters(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str, ending: tuple[str, str]
) -> None:
    model = seq2seq(family, tuning="lora", num_words=0)
    layers = {name.split(".lora_")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert {layer.rsplit(".", 1)[-1] for layer in layers} == set(ending)
    assert len(layers) == 2 * (2 + 3 + 3)  # of the encoder, and twice of the decoder


def broken(family: str, folder: Path) -> str:
    """A checkpoint with something wrong with it."""
    model = make("bart" if family == "bias" else "t5")
    if family == "bias":
        model.final_logits_bias[0, 7] = 0.01
    elif family == "unknown start":
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    model.save_pretrained(folder)
    if family == "half":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"num_decoder_layers": 4}))
    return str(folder)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("bias", "output head of .* is more than a product"),
        ("unknown start", "set decoder_start_token_id in its config.json"),
        ("half", r"lacks weights of a T5ForConditionalGeneration \(decoder\.block\.3.*give a checkpoint"),
    ],
)
def test_broken_checkpoints_are_refused(tmp_path: Path, family: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        PretrainedSeq2SeqBackbone(broken(family, tmp_path), tuning="full")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_models_of_another_kind_are_refused(tmp_path: Path, family: str) -> None:
    folder = str(write(family, tmp_path))
    with pytest.raises(
        ConfigError, match=r"not an encoder-decoder that is known .*google/flan-t5-small.*bart"
    ):
        PretrainedSeq2SeqBackbone(folder)
    with pytest.raises(ConfigError, match="there is no folder"):
        PretrainedSeq2SeqBackbone(folder + "/missing")


def test_options_are_checked_as_for_decoders(
    seq2seq_checkpoint: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"is called q_proj: set lora_targets .*\(k, o, q, v, wi, wo\)"):
        PretrainedSeq2SeqBackbone(seq2seq_checkpoint("t5"), lora_targets=("q_proj",))
    monkeypatch.setattr("genrec.backbones.adapters.is_bitsandbytes_available", lambda: False)
    with pytest.raises(BackendMissingError, match="qlora needs bitsandbytes"):
        PretrainedSeq2SeqBackbone(seq2seq_checkpoint("bart"), tuning="qlora")
    with pytest.raises(ConfigError, match=r"not a decoder-only language model .T5ForConditionalGeneration"):
        PretrainedBackbone(seq2seq_checkpoint("t5"))


def test_nothing_is_printed(
    seq2seq_checkpoint: Callable[[str], str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = seq2seq_checkpoint("t5-gated")
    for tuning in ("full", "lora"):
        capfd.readouterr()
        PretrainedSeq2SeqBackbone(folder, tuning=tuning).save(tmp_path / tuning)  # type: ignore[arg-type]
        PretrainedSeq2SeqBackbone.load(tmp_path / tuning)
        assert capfd.readouterr() == ("", "")
