"""Lets the tests of this folder import the modules beside them; random T5 and BART checkpoints with a tokenizer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones"))
sys.path.insert(0, str(Path(__file__).parent))

from checkpoints import _tokenizer
from seq2seq_checkpoints import BART_SIZES, T5_SIZES


@pytest.fixture(scope="session")
def seq2seq_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a random checkpoint of a family, "t5" or "bart", written once."""

    def written(family: str) -> str:
        folder = tmp_path_factory.getbasetemp() / f"seq2seq-{family}"
        if not folder.exists():
            tokenizer = _tokenizer()
            tokenizer.save_pretrained(folder)
            sizes = {"vocab_size": len(tokenizer)}
            torch.manual_seed(0)
            model = (
                T5ForConditionalGeneration(T5Config(**T5_SIZES | sizes))
                if family == "t5"
                else BartForConditionalGeneration(
                    BartConfig(**BART_SIZES | sizes | {"max_position_embeddings": 200})
                )
            )
            model.save_pretrained(folder)
        return str(folder)

    return written
