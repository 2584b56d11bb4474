"""Begin a run folder, or take one up, with nobody else in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.data.files import write_json, write_text
from genrec.data.seal import measured, new_run, write_sealed
from genrec.data.yaml_text import dump_yaml
from genrec.errors import RunError
from genrec.runs.environment import environment
from genrec.runs.recipe import KEYS, Recipe
from genrec.runs.run import SEALED, Run, changed, counted, open_run
from genrec.runs.source import DataSource

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset

# What a run has until its model is there; anything else in the folder is somebody else's.
NAMES = (
    *SEALED,
    "data.json",
    "log.jsonl",
    "checkpoints",
    "pretraining",
    "retriever",
    "prior",
    "model.partial",
)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else train in a folder, which is made if needed, until the block or the process ends.

    Raises:
        RunError: another process trains there.
    """
    with suppress(FileExistsError):  # a file: `begin` tells
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder) as free:
        if not free:
            raise RunError(
                f"another process trains in {folder}: let it end or stop it first, or choose another --out"
            )
        yield


def in_use(folder: Path) -> bool:
    """Whether another process trains in a folder."""
    if not folder.exists():
        return False
    with _locked(folder) as free:
        return not free


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process, however that ends; False: another holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    free = True
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # any other than this one: some network file systems know no locks
            free = not isinstance(error, BlockingIOError)
        # Who has just put another folder in its place held the lock of this one until then.
        yield free and folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat())
    finally:
        os.close(descriptor)


def begin(
    folder: Path,
    recipe: Recipe,
    source: DataSource,
    dataset: Dataset,
    *,
    resume: bool,
    start: dict[str, Any] | None = None,
) -> Run:
    """Make a new run folder, or with `resume` take up one that was begun with the same recipe and data.

    Args:
        folder: made if needed.
        recipe: with every option of the recommender and of reading spelled out.
        source: of the data.
        dataset: read from it.
        resume: take up a run that was begun.
        start: of the earlier run that it starts from; None: afresh.

    Raises:
        RunError: the folder holds something that is worth keeping, or `resume` and it was begun differently.
    """
    data = {
        "source": asdict(source.absolute()),
        "protocol": recipe.protocol,
        "fingerprint": dataset.fingerprint,
        "details": dataset.details,
        "counts": dataset.summary(),
        **({} if start is None else {"start": start}),
    }
    if os.path.lexists(folder / "data.json"):  # a link that leads nowhere, too, which opening it tells
        run = replace(open_run(folder), dataset=dataset)
        if resume:
            _check_same(run, recipe, data)
            return run
        if run.finished:
            raise RunError(
                f"{folder} holds a finished run: choose another --out, or give --force to replace it"
            )
        if any(folder.glob("**/checkpoint-*")):
            raise RunError(
                f"{folder} holds a run that has not finished: go on with --resume, or choose another --out"
            )
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: choose a folder for --out")
    # A run that was stopped before there was anything to go on from has these at most, and is begun again.
    strangers = {entry.name for entry in folder.glob("*")} - {*SEALED}
    if (folder / "data.json").exists():
        strangers -= {"data.json", *NAMES}
    strangers = {name for name in strangers if not (name.startswith(".") and name.endswith(".tmp"))}
    if strangers:
        raise RunError(
            f"{folder} holds {min(strangers)}, which is no part of a run that can be begun: choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    write_text(folder / "recipe.yaml", recipe.text)
    write_text(folder / "config.yaml", dump_yaml({key: getattr(recipe, key) for key in KEYS}))
    write_json(folder / "environment.json", environment())
    write_sealed(folder / "data.json", data, run=new_run(), files=measured(folder, SEALED))
    return replace(open_run(folder), dataset=dataset)


def next_to(place: Path) -> Path:
    """Where a training goes that is to replace the run at `place`: a hidden folder beside it.

    What a training that was stopped left there is gone on from; a finished one is from a process that was killed before
    the exchange, and goes.

    Raises:
        RunError: `place` holds no run, or something beside it that would be lost.
    """
    place = Path(os.path.abspath(place))
    of_a_run = {*NAMES, "data.json", "metrics.json", "model", "refit"}
    if (place / "data.json").exists():
        of_a_run |= {
            str(name) for name in open_run(place).recipe.options.get("members", ())
        }  # of a union, trained
    strangers = [
        entry.name
        for entry in place.iterdir()
        if entry.name not in of_a_run
        and not entry.match("rankings-*.parquet")
        and not entry.name.startswith(".")
    ]
    if strangers or not (place / "data.json").exists():
        what = f"holds {min(strangers)}, which is no part of a run" if strangers else "is no run"
        raise RunError(f"{place} {what}, so that --force does not replace it: choose another --out")
    folder = place.with_name(f".{place.name}.next")
    if (folder / "model").exists() and not in_use(folder):
        shutil.rmtree(folder)
    return folder


def _clear(folder: Path) -> None:
    """Remove what a run that has only begun left; what lies beside it stays."""
    for name in ("data.json", *NAMES):  # what makes it a run goes first
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_same(run: Run, recipe: Recipe, data: Mapping[str, Any]) -> None:
    asked, given = run.recipe.options, recipe.options
    added = [name for name in given if name not in asked]
    alike = recipe.recommender == run.recipe.recommender and given.get("backbone") == asked.get("backbone")
    if added and alike:
        raise RunError(
            f"{run.folder} was begun by a version of genrec that had no option {added[0]}: choose another --out, or go "
            "on with that version"
        )
    before, now = (
        dict(_flat({"recommender": of.recommender, "config": of.options, "protocol": of.protocol}))
        for of in (run.recipe, recipe)
    )
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            raise RunError(
                f"{run.folder} was begun with {key}={before.get(key)} and this command says {now.get(key)}: "
                "repeat the first command with --resume, or choose another --out"
            )
    if run.about_data.get("start") != data.get("start"):
        was, is_now = (_begun(of.get("start")) for of in (run.about_data, data))
        told = "from another run in that place" if was == is_now else is_now
        raise RunError(
            f"{run.folder} was begun {was} and this command begins {told}: repeat the first command with --resume, or "
            "choose another --out"
        )
    if run.about_data["fingerprint"] != data["fingerprint"]:
        raise RunError(
            f"{run.folder} was begun on {counted(run.about_data['counts'])}, and these data have "
            f"{counted(data['counts'])} or another order: give the same --data and options, or another --out"
        )
    other = changed(run.about_data, data["details"])
    if other:
        raise RunError(
            f"{run.folder} was begun on the same interactions with other {other[0]}"
            f"{' of items' if other[0] == 'fields' else ''}: give the same --data and options, or another --out"
        )


def _begun(start: Mapping[str, Any] | None) -> str:
    """How a training begins, in words."""
    return "afresh" if start is None else f"from {start['run']} with {start['budget']:.3g} of the steps"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
