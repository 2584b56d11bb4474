"""Where the checkpoint lies that adapters were trained on: they are saved alone, and it may be moved.

It is known by its weights: a fingerprint of their files tells it from any other, also from one with the same name.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from genrec.backbones.gguf import gguf_file
from genrec.errors import ConfigError

FOLDERS = "GENREC_CHECKPOINTS"  # folders that hold checkpoints, as in PATH
_EDGE_BYTES = 1 << 20
_ADVICE = f"put it back, or set {FOLDERS} to the folder that it is in"


def fingerprint(name: str) -> str | None:
    """SHA-256 of the size, the first and the last MiB of each file of weights; None: a checkpoint on the hub.

    The beginning of a file tells names and shapes of its weights, and two trainings do not end in the same MiB.
    """
    path = Path(name)
    if not path.exists():
        return None
    single = gguf_file(name)
    files = [single] if single is not None else sorted([*path.glob("*.safetensors"), *path.glob("*.bin")])
    found = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        found.update(size.to_bytes(8, "little"))
        with file.open("rb") as stream:
            found.update(stream.read(_EDGE_BYTES))
            stream.seek(max(size - _EDGE_BYTES, 0))
            found.update(stream.read())
    return found.hexdigest()


def find(name: str, known: str | None, folder: Path) -> str:
    """The checkpoint `name` with the fingerprint `known`: where it was, else by its last name in other folders.

    These are the ones of the environment variable GENREC_CHECKPOINTS, then `checkpoints` here, and here.

    Args:
        name: as it was given when the adapters were made: a path, or a name on the hub.
        known: its fingerprint then; None: of the hub, or nobody took it.
        folder: of the adapters, for messages.

    Raises:
        ConfigError: it is nowhere, or others lie in its place.
    """
    if known is None:
        return name
    last = Path(name).name
    others = [Path(one) for one in os.environ.get(FOLDERS, "").split(os.pathsep) if one]
    places = [Path(name), *(place / last for place in [*others, Path("checkpoints"), Path()])]
    there = [place for place in places if place.exists()]
    for place in there:
        if fingerprint(str(place)) == known:
            return str(place)
    if there:
        raise ConfigError(
            f"the adapters in {folder} belong to a checkpoint {last!r} with other weights than {there[0]} has: "
            f"{_ADVICE}"
        )
    raise ConfigError(
        f"the adapters in {folder} belong to the checkpoint {name!r}, which is not there: {_ADVICE}"
    )
