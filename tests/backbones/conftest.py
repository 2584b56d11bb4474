"""Lets the tests of this folder import the modules beside them, and share random T5 and BART checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone

sys.path.insert(0, str(Path(__file__).parent))

from checkpoints import write
from seq2seq_checkpoints import NUM_WORDS, make


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a random decoder's checkpoint of a family, written once."""
    folder = tmp_path_factory.mktemp("decoders")

    def written(family: str) -> str:
        path = folder / family
        return str(path if path.exists() else write(family, path))

    return written


@pytest.fixture(scope="session")
def seq2seq_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a random checkpoint of a family, written once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def written(family: str) -> str:
        if not (folder / family).exists():
            make(family).save_pretrained(folder / family)
        return str(folder / family)

    return written


@pytest.fixture(scope="session")
def seq2seq(seq2seq_checkpoint: Callable[[str], str]) -> Callable[..., PretrainedSeq2SeqBackbone]:
    """A backbone over that checkpoint, with words, ready to answer."""

    def loaded(family: str, **options: Any) -> PretrainedSeq2SeqBackbone:
        torch.manual_seed(1)
        options = {"tuning": "full", "num_words": NUM_WORDS} | options
        return PretrainedSeq2SeqBackbone(seq2seq_checkpoint(family), **options).eval()

    return loaded
