"""What a checkpoint is, looked at before its weights are loaded, and how it is loaded. None of its code ever runs.

Checkpoints may bring Python files of their own, which `auto_map` in their configuration names; transformers runs them
if `trust_remote_code` is set and prompts the user if it is not given. We load data only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from genrec.backbones.gguf import gguf_config, gguf_file, gguf_model, gguf_tokenizer
from genrec.backbones.hub import check_on_hub
from genrec.backbones.quiet import quiet
from genrec.data.memory import check_fits
from genrec.errors import ConfigError, GenrecError, one_line

# Layers are made one by one, before weights are missed. The deepest models have some hundred.
_SIZES = dict.fromkeys(("num_hidden_layers", "decoder_layers", "num_decoder_layers"), 1000) | {
    "max_position_embeddings": 2**31
}


@contextmanager
def opening(failure: str) -> Iterator[None]:
    """Inside it whatever a library raises over the files of a checkpoint becomes ConfigError, in one line.

    Values of the wrong kind in them end in errors of any type: that of transformers for a field of a configuration is
    no ValueError, and a list in the place of a text is asked for a method.
    """
    try:
        with quiet():
            yield
    except GenrecError:
        raise
    except Exception as error:
        clear = isinstance(error, (ImportError, OSError, ValueError, RuntimeError))
        reason = one_line(error) if clear else f"{type(error).__name__}: {one_line(error)}"
        if "ignore_mismatched_sizes" in reason:  # transformers points at a table that it has printed
            reason = "its weights have other shapes than its config.json says"
        raise ConfigError(f"{failure}: {reason}") from None


def refuse_code(name: str, file: Literal["config.json", "tokenizer_config.json"]) -> None:
    """Raise ConfigError where a file of a checkpoint, a folder or a name on the hub, names code of its own.

    To be called within `opening`: the file may be missing or damaged.
    """
    read_config = file == "config.json"
    folder = str(Path(name).parent) if Path(name).is_file() else name
    about = PreTrainedConfig.get_config_dict(folder)[0] if read_config else get_tokenizer_config(folder)
    if about.get("auto_map"):
        raise ConfigError(
            f"{name!r} brings code of its own (auto_map in its {file}), which is never run here: give another "
            "checkpoint, or, where transformers knows this kind by itself, a copy without auto_map"
        )


def checkpoint_config(name: str) -> Any:
    """The configuration of a checkpoint.

    Args:
        name: its folder, a GGUF file or a folder with one, or its name on the Hugging Face hub.

    Raises:
        ConfigError: there is no checkpoint `name`, or it has code of its own.
        BackendMissingError: it is a GGUF file, and the package that reads them is not there.
    """
    path, file = Path(name), gguf_file(name)
    if path.is_file() and file is None:
        raise ConfigError(
            f"{name!r} is no GGUF file: give one, the folder of a checkpoint, or a name on the hub"
        )
    if not path.exists() and (
        name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf"
    ):
        raise ConfigError(
            f"there is no folder or file {name!r}: give the folder of a checkpoint, a GGUF file, or a name on the hub"
        )
    if path.is_dir() and file is None and not (path / "config.json").exists():
        raise ConfigError(
            f"there is no model in the folder {name!r}: a checkpoint has a config.json, or is a GGUF file"
        )
    with opening(f"there is no checkpoint {name!r} that transformers can load"):
        if file is None:
            if not path.is_dir():
                check_on_hub(name)
            refuse_code(name, "config.json")
            config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        else:
            config = gguf_config(file)
        kinds = config.architectures or []
        if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
            raise ConfigError(f"the architectures of {name!r} are {kinds!r}: they have to be a list of names")
        for field, most in _SIZES.items():
            value = getattr(config, field, 1)
            if isinstance(value, int) and not 1 <= value <= most:
                raise ConfigError(f"{field} of {name!r} is {value:,}: it has to be 1 to {most:,}")
        return config


def decoder_config(name: str) -> Any:
    """The configuration of a decoder-only checkpoint.

    Raises:
        ConfigError: there is no checkpoint `name`, or it is not a decoder-only language model.
    """
    config = checkpoint_config(name)
    architectures = config.architectures or []
    decoder = any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in architectures)
    if config.is_encoder_decoder or not decoder:
        kind = ", ".join(architectures) or config.model_type
        raise ConfigError(
            f"{name!r} is not a decoder-only language model ({kind}): give one that ends in ForCausalLM"
        )
    return config


def checkpoint_model(loader: Any, name: str, config: Any, **options: Any) -> Any:
    """The model of a checkpoint, with all of its weights. To be called within `opening`.

    Args:
        loader: transformers' class that makes it.
        name: as in `checkpoint_config`, which has to have taken it.
        config: what that gave.
        options: as `from_pretrained` takes them.

    Raises:
        ConfigError: it does not fit into memory, or some of its weights are missing.
    """
    if options.get("quantization_config") is None:
        count, size = num_weights(loader, config), torch.empty((), dtype=options["dtype"]).element_size()
        check_fits(f"{name!r} with its {count:,} weights", count * size, "choose a smaller checkpoint")
    file = gguf_file(name)
    if file is not None:
        model, loading = gguf_model(loader, file, config, **options)
    else:
        model, loading = loader.from_pretrained(
            name, config=config, output_loading_info=True, trust_remote_code=False, **options
        )
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise ConfigError(
            f"{name!r} lacks weights of a {type(model).__name__} ({missing}): give a checkpoint that has all of them"
        )
    return model


def num_weights(loader: Any, config: Any) -> int:
    """How many weights a checkpoint has, from its configuration alone; tied ones count once."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(weight.numel() for weight in loader.from_config(config).parameters())


def checkpoint_tokenizer(name: str) -> Any:
    """The tokenizer of a checkpoint, named as in `checkpoint_config`. To be called within `opening`."""
    refuse_code(name, "tokenizer_config.json")
    file = gguf_file(name)
    if file is not None:
        return gguf_tokenizer(file)
    return AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def whole_name(name: str) -> str:
    """A checkpoint's name that stands wherever the program runs: of a folder or file, the whole path."""
    return str(Path(name).resolve()) if Path(name).exists() else name
