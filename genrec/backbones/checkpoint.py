"""Checks of a checkpoint before its weights are loaded. None of its code ever runs.

Checkpoints may bring Python files of their own, which `auto_map` in their configuration names; transformers runs them
if `trust_remote_code` is set and prompts the user if it is not given. We load data only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from genrec.backbones.quiet import quiet
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
    about = PreTrainedConfig.get_config_dict(name)[0] if read_config else get_tokenizer_config(name)
    if about.get("auto_map"):
        raise ConfigError(
            f"{name!r} brings code of its own (auto_map in its {file}), which is never run here: give another "
            "checkpoint, or, where transformers knows this kind by itself, a copy without auto_map"
        )


def checkpoint_config(name: str) -> Any:
    """The configuration of a checkpoint.

    Raises:
        ConfigError: there is no checkpoint `name`, or it has code of its own.
    """
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ConfigError(f"there is no folder {name!r}: give that of a checkpoint, or a name on the hub")
    with opening(f"there is no checkpoint {name!r} that transformers can load"):
        refuse_code(name, "config.json")
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
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
