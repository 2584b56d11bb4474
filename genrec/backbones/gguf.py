"""GGUF files, in which llama.cpp keeps a model: weights, configuration and tokenizer, mostly in four or eight bits.

transformers dequantises them (https://huggingface.co/docs/transformers/gguf). Three things are mended here: a model
that it has read keeps the mark of a quantised one, so that it cannot be saved; the frequencies that Llama 3 divides its
positions by are passed over; and its tokenizer lacks steps that a GGUF names without spelling them out
(`tokenizer.ggml.pre`; what each name means is in llama.cpp's src/llama-vocab.cpp).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers, pre_tokenizers
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from genrec.errors import BackendMissingError, ConfigError, one_line

_MAGIC = b"GGUF"
_FREQUENCIES = "rope_freqs.weight"
# Llama 3.1 and later, https://github.com/meta-llama/llama-models: a GGUF has what comes of them, and not these.
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}

# What `tokenizer.ggml.pre` asks for beside what transformers does by itself.
_AS_READ = {"gpt-2", "phi-2"}
_DIGITS = {"smollm", "starcoder", "refact", "codeshell"}  # each digit by itself, then as GPT-2 splits
_WHOLE_WORDS = {"llama-bpe", "llama3", "llama-v3", "tekken"}  # a word of the vocabulary needs no merges
_COMPOSED = {"qwen2"}  # letters with their accents, as one character


def gguf_file(name: str) -> Path | None:
    """The GGUF file that a checkpoint's name means: itself, or the only one in a folder without a configuration.

    Raises:
        ConfigError: there are several in the folder.
    """
    path = Path(name)
    if path.is_dir():
        files = [] if (path / "config.json").exists() else sorted(path.glob("*.gguf"))
        if len(files) > 1:
            some = ", ".join(file.name for file in files[:3])
            raise ConfigError(f"{name!r} holds {len(files)} GGUF files ({some}): name one of them")
        return files[0] if files else None
    if not path.is_file():
        return None
    if path.suffix == ".gguf":
        return path
    with path.open("rb") as file:
        return path if file.read(len(_MAGIC)) == _MAGIC else None


def gguf_reader(path: Path) -> Any:
    """What a GGUF file holds: `fields` and `tensors` as the package gguf reads them, without their bytes.

    Raises:
        BackendMissingError: the package is not there.
        ConfigError: the file is damaged, or one part of several.
    """
    about = path.stat()
    return _reader(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1)
def _reader(path: Path, size: int, changed: int) -> Any:
    """The reader of a file as it was then: reading a vocabulary takes it seconds."""
    try:
        from gguf import GGUFReader
    except ImportError:
        raise BackendMissingError(
            f"{str(path)!r} is a GGUF file, and the package that reads them is missing: pip install 'genrec[gguf]'"
        ) from None
    try:
        reader = GGUFReader(path)
    except Exception as error:  # a file that ends early makes it fail anywhere
        raise ConfigError(
            f"{str(path)!r} is no whole GGUF file ({one_line(error) or type(error).__name__}): fetch it again"
        ) from None
    parts = _value(reader, "split.count") or 1
    if parts > 1:
        raise ConfigError(
            f"{str(path)!r} is one of {parts} parts: join them with llama.cpp's llama-gguf-split --merge"
        )
    return reader


def _value(reader: Any, key: str) -> Any:
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def gguf_config(path: Path) -> Any:
    """The configuration that a GGUF file describes, with the name of the class of its model.

    Raises:
        BackendMissingError, ConfigError: as `gguf_reader`; or transformers would read it as another model.
    """
    reader = gguf_reader(path)
    with _as_told(path):
        config = AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name, trust_remote_code=False)
    kinds = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if config.is_encoder_decoder:
        kinds = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    config.architectures = [kinds[config.model_type]] if config.model_type in kinds else []
    config._name_or_path = str(path)
    vars(config).pop("_model_name_or_path", None)  # what the file is called in words
    architecture = _value(reader, "general.architecture")
    positions = _value(reader, f"{architecture}.context_length")
    if positions and hasattr(config, "max_position_embeddings"):  # that of GPT-2 is read into another field
        config.max_position_embeddings = int(positions)
    scaling = _value(reader, f"{architecture}.rope.scaling.type")
    if scaling not in (None, "none"):
        raise ConfigError(
            f"{str(path)!r} scales its positions ({scaling}), which transformers does not read from a GGUF file: give "
            "the checkpoint in safetensors"
        )
    window = _value(reader, f"{architecture}.attention.sliding_window")
    if window and window < config.max_position_embeddings and getattr(config, "sliding_window", 0) != window:
        raise ConfigError(
            f"{str(path)!r} attends through a window of {window:,}, which transformers does not read from a GGUF file "
            f"of this kind ({architecture}): give the checkpoint in safetensors"
        )
    frequencies = [tensor.data for tensor in reader.tensors if tensor.name == _FREQUENCIES]
    if frequencies:
        config.rope_parameters = _llama3_positions(path, config, np.asarray(frequencies[0], np.float64))
    return config


def _llama3_positions(path: Path, config: Any, divisors_F: np.ndarray) -> dict[str, Any]:
    """How Llama 3 turns its positions, if that gives these divisors of the frequencies (F, half a head's width)."""
    given = {**config.rope_parameters, **_LLAMA3, "rope_type": "llama3", "factor": float(divisors_F.max())}
    frequencies_F = float(given["rope_theta"]) ** -(np.arange(len(divisors_F)) / len(divisors_F))
    turns_F = _LLAMA3["original_max_position_embeddings"] * frequencies_F / (2 * math.pi)
    low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
    smooth_F = ((turns_F - low) / (high - low)).clip(0, 1)
    expected_F = 1 / ((1 - smooth_F) / given["factor"] + smooth_F)
    if not np.allclose(divisors_F, expected_F, rtol=1e-3):
        raise ConfigError(
            f"{str(path)!r} scales its positions in a way that is not Llama 3's ({_FREQUENCIES}): give the checkpoint "
            "in safetensors"
        )
    return given


def gguf_model(
    loader: Any, path: Path, config: Any, dtype: Any, **options: Any
) -> tuple[Any, dict[str, Any]]:
    """The model of a GGUF file, dequantised, and what transformers says of its weights.

    Args:
        loader: transformers' class that makes it.
        path: the file.
        config: what `gguf_config` made of it.
        dtype: of its weights.
        options: as `from_pretrained` takes them.
    """
    reader = gguf_reader(path)
    with (
        _as_told(path),
        redirect_stderr(StringIO()),
    ):  # a bar of its own, which no setting of transformers hides
        read, loading = loader.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            config=deepcopy(config),
            dtype=dtype,
            output_loading_info=True,
            trust_remote_code=False,
        )
    told = sum(int(tensor.n_elements) for tensor in reader.tensors if tensor.name != _FREQUENCIES)
    count = sum(weight.numel() for weight in read.parameters())
    if told > count:
        raise ConfigError(
            f"{str(path)!r} holds {told:,} weights, and transformers reads {count:,} of them: give the checkpoint in "
            "safetensors"
        )
    # What was read counts as quantised and is refused by save_pretrained. The same weights are none in a new model.
    model = type(read).from_pretrained(
        None, config=config, state_dict=read.state_dict(), dtype=dtype, trust_remote_code=False, **options
    )
    return model, loading


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a GGUF file, which cuts text as its model learnt it.

    Raises:
        BackendMissingError, ConfigError: as `gguf_reader`; or how it cuts text is not known here.
    """
    reader = gguf_reader(path)
    with _as_told(path):
        tokenizer = AutoTokenizer.from_pretrained(
            str(path.parent), gguf_file=path.name, trust_remote_code=False
        )
    architecture = _value(reader, "general.architecture")
    context = _value(reader, f"{architecture}.context_length")
    if context:
        tokenizer.model_max_length = int(context)
    kind = _value(reader, "tokenizer.ggml.model")
    backend = tokenizer.backend_tokenizer
    if kind == "gpt2":
        _restore(path, backend, _value(reader, "tokenizer.ggml.pre"))
    elif kind == "llama":
        blank = _value(reader, "tokenizer.ggml.add_space_prefix")
        begins = backend.encode("a", add_special_tokens=False).tokens[0].startswith("\u2581")
        if blank is not None and bool(blank) != begins:
            raise ConfigError(
                f"the tokenizer of {str(path)!r} {'begins' if blank else 'does not begin'} a text with a blank, and "
                "transformers reads it otherwise: give the checkpoint in safetensors"
            )
    return tokenizer


def _restore(path: Path, backend: Any, cut: str | None) -> None:
    """Give a byte-level tokenizer the steps that transformers leaves out for its way `cut` to cut text."""
    if cut in _DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif cut in _WHOLE_WORDS:
        backend.model.ignore_merges = True
    elif cut in _COMPOSED:
        backend.normalizer = normalizers.NFC()
    elif cut not in _AS_READ:
        known = ", ".join(sorted(_AS_READ | _DIGITS | _WHOLE_WORDS | _COMPOSED))
        raise ConfigError(
            f"the tokenizer of {str(path)!r} cuts text in a way that is not known here (tokenizer.ggml.pre is "
            f"{cut!r}; known are {known}): give the checkpoint in safetensors"
        )


@contextmanager
def _as_told(path: Path) -> Iterator[None]:
    """Inside it, an architecture that transformers knows no GGUF files of is told of by the file's name."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        if "not supported yet" not in str(error) and not isinstance(error, NotImplementedError):
            raise
        raise ConfigError(
            f"{str(path)!r} is of a kind that transformers does not read from a GGUF file ({one_line(error)}): give "
            "the checkpoint in safetensors"
        ) from None
