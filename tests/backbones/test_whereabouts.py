"""Adapters find the checkpoint that they were trained on, by its name and its weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoints import write
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.whereabouts import FOLDERS, fingerprint
from genrec.errors import ConfigError
from safetensors.torch import load_file, save_file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Adapters over the checkpoint in `models/llama`."""
    PretrainedBackbone(str(write("llama", tmp_path / "models/llama"))).save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_checkpoint_that_was_moved_is_found(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = PretrainedBackbone.load(saved).vocabulary_vectors()
    (tmp_path / "models").rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match=rf"which is not there: put it back, or set {FOLDERS}"):
        PretrainedBackbone.load(saved)
    monkeypatch.setenv(FOLDERS, f"{tmp_path / 'nowhere'}:{tmp_path / 'moved'}")
    assert torch.equal(PretrainedBackbone.load(saved).vocabulary_vectors(), expected)
    monkeypatch.delenv(FOLDERS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved").rename(tmp_path / "checkpoints")
    found = PretrainedBackbone.load(saved)
    assert found.name == str(tmp_path / "checkpoints/llama")


def test_other_weights_in_its_place_are_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "models/llama/model.safetensors"
    weights = load_file(path)
    last = sorted(weights)[-1]
    weights[last] = weights[last] + 1
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="belong to a checkpoint 'llama' with other weights than") as caught:
        PretrainedBackbone.load(saved)
    assert "\n" not in str(caught.value)


def test_adapters_of_before_are_read_from_where_their_checkpoint_was(saved: Path) -> None:
    about = json.loads((saved / "pretrained.json").read_text())
    assert len(about.pop("fingerprint")) == 64
    (saved / "pretrained.json").write_text(json.dumps(about))
    assert PretrainedBackbone.load(saved).name == about["name"]


def test_a_name_on_the_hub_has_no_fingerprint() -> None:
    assert fingerprint("someone/model") is None
