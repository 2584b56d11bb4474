"""Seals: hashes by which a run recognises its own files, unchanged.

A sealed JSON file has a key `seal`: sizes and SHA-256 of other files that belong to it, the run that it belongs to, and
the SHA-256 of all the rest of the file itself. `data.json` of a run seals its recipe, configuration and environment,
`metrics.json` its lists, `recommender.json` of a model all files beside it, and `seal.json` those of a checkpoint. So a
file that was truncated, edited or taken from another run is refused before it is used. A file without a seal was
written by an older version and is not checked.

A seal protects against accidents, not against forgery: anybody can write one.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from genrec.data.files import ADVICE, naming_damage, read_json, shaped, write_json
from genrec.errors import RunError

T = TypeVar("T")

_KEY = "seal"


class Sealed(BaseModel):
    """What is known of a file."""

    bytes: int
    sha256: str


class Seal(BaseModel):
    """What is known of the files that belong together.

    Attributes:
        run: identity of the run that they belong to; None: they were saved outside of any.
        files: by their path in the folder of the file that holds the seal.
        sha256: of all the rest of the file that holds the seal.
    """

    run: str | None
    files: dict[str, Sealed]
    sha256: str


def new_run() -> str:
    """The identity of a new run."""
    return secrets.token_hex(16)


def write_sealed(
    path: Path, values: Mapping[str, Any], *, run: str | None, files: Mapping[str, Sealed] | None = None
) -> None:
    """Write plain values as JSON with a seal.

    Args:
        path: the file, written whole or not at all.
        values: without the key `seal`.
        run: whose file it is.
        files: what `measured` found of files in the same folder.
    """
    seal = {"run": run, "files": {name: vars(file) for name, file in (files or {}).items()}}
    write_json(path, {**values, _KEY: {**seal, "sha256": _sum(values, seal)}})


def read_sealed(
    path: Path, shape: type[T], *, advice: str = ADVICE, not_finite: bool = False
) -> tuple[T, Seal | None]:
    """The value of a JSON file and its seal, where it has one; see `files.read_json`.

    Raises:
        RunError: it is missing or damaged, of another shape, or it was changed since it was sealed.
        OSError: it cannot be read.
    """
    values = read_json(path, dict[str, Any], advice=advice, not_finite=not_finite)
    with naming_damage(path, advice):
        seal = shaped(values.pop(_KEY), Seal) if _KEY in values else None
        if seal is not None and seal.sha256 != _sum(values, seal.model_dump(exclude={"sha256"})):
            raise _changed(path, "other values", advice)
        return shaped(values, shape), seal


def measured(folder: Path, names: Iterable[str]) -> dict[str, Sealed]:
    """Sizes and SHA-256 of files of a folder, by name."""
    return {
        name: Sealed(bytes=(folder / name).stat().st_size, sha256=_digest(folder / name)) for name in names
    }


def check_files(folder: Path, files: Mapping[str, Sealed], *, advice: str = ADVICE) -> None:
    """Compare the files of a folder with what is known of them.

    Raises:
        RunError: one is missing, of another size or of another content.
        OSError: one cannot be read.
    """
    for name, known in files.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"{path} is missing: {advice}")
        size = path.stat().st_size
        if size != known.bytes:
            raise _changed(path, f"{size:,} bytes, and {known.bytes:,} were written", advice)
        if _digest(path) != known.sha256:
            raise _changed(path, "as many bytes, but others", advice)


def check_run(path: Path, seal: Seal | None, run: str | None, *, advice: str = ADVICE) -> None:
    """Make sure that a file belongs to a run; None: to none, or to one of before there were seals.

    Raises:
        RunError: it does not.
    """
    if (None if seal is None else seal.run) != run:
        raise RunError(f"{path} is of another run than the folder that it lies in: {advice}")


def run_of(folder: Path) -> str | None:
    """The identity of the run in a folder; None: it holds none, or one of before there were seals."""
    try:
        seal = read_sealed(folder / "data.json", dict[str, Any])[1]
    except RunError:  # none, damaged, or somebody else's file of that name
        return None
    return None if seal is None else seal.run


def bind(path: Path, run: str | None) -> None:
    """Let a sealed file, and with it the files that it seals, belong to a run."""
    values, seal = read_sealed(path, dict[str, Any])
    write_sealed(path, values, run=run, files=None if seal is None else seal.files)


def files_below(folder: Path, sealing: str) -> Iterator[str]:
    """Paths in a folder of the files that its file `sealing` is to seal, in order.

    Of a folder inside that has a file of that name itself, that file alone: it seals the others. Hidden files, as
    desktops leave them, are left out.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            if path.name != sealing:
                yield path.name
        elif (path / sealing).exists():
            yield f"{path.name}/{sealing}"
        else:
            yield from (f"{path.name}/{name}" for name in files_below(path, sealing))


def check_below(path: Path, seal: Seal, *, advice: str = ADVICE) -> None:
    """Compare all that lies beside a sealed file with what it seals.

    Raises:
        RunError: a file is missing, of another size or content, or there is one more.
        OSError: one cannot be read.
    """
    check_files(path.parent, seal.files, advice=advice)
    more = sorted(set(files_below(path.parent, path.name)) - set(seal.files))
    if more:
        raise RunError(f"{path.parent / more[0]} was not saved with what lies there: move it away")


def remove_sealed(path: Path) -> None:
    """Remove a sealed file and what it seals, here and in the folders inside, and these once empty; others stay."""
    try:
        seal = read_sealed(path, dict[str, Any])[1]
    except RunError:
        seal = None
    path.unlink(missing_ok=True)
    for name in seal.files if seal is not None else ():
        if Path(name).name == path.name:
            remove_sealed(path.parent / name)
        else:
            (path.parent / name).unlink(missing_ok=True)
        with suppress(OSError):  # what is not empty stays
            for folder in (path.parent / name).relative_to(path.parent).parents[:-1]:
                (path.parent / folder).rmdir()


def _sum(values: Mapping[str, Any], seal: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, however they are laid out in a file."""
    return hashlib.sha256(json.dumps([values, seal], sort_keys=True).encode()).hexdigest()


def _changed(path: Path, how: str, advice: str) -> RunError:
    return RunError(f"{path} was changed since it was written ({how}): {advice}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
