"""What a checkpoint is, before anything of it is loaded. None of its code ever runs.

Checkpoints may bring Python files of their own, which `auto_map` in their configuration names; transformers runs them
when it is asked to, and asks the user when it is not told. Ours are data only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from genrec.backbones.quiet import one_line
from genrec.errors import ConfigError


def refuse_code(name: str, file: Literal["config.json", "tokenizer_config.json"]) -> None:
    """Raise ConfigError where a file of a checkpoint, a folder or a name on the hub, names code of its own.

    Raises:
        OSError, ValueError: there is no configuration `name`, or it is damaged.
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
    try:
        refuse_code(name, "config.json")
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"there is no checkpoint {name!r} that transformers can load: {one_line(error)}"
        ) from None


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
