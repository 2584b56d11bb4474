"""The run folder: all that a training leaves behind, enough to repeat it.

recipe.yaml        the recipe as given
config.yaml        the recipe with every option spelled out: `genrec train RUN/config.yaml` repeats the run
environment.json   versions, commit, machine, time and command
data.json          source, options, fingerprint, details and counts of the data; written last when a run begins
log.jsonl, checkpoints/   what the recommender writes while it learns
model/             the finished recommender; renamed into place, so that it is there as a whole or not at all
metrics.json       cost of the training and the metrics of each split that was measured
rankings-NAME.parquet   the lists behind the metrics called NAME, seen items excluded; see genrec.data.ranking_file

`data.json`, `metrics.json` and the model are sealed (genrec.data.seal): files that were changed or belong to
another run are refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

import genrec
from genrec.cli.environment import environment
from genrec.cli.options import DataSource
from genrec.cli.recipe import Recipe
from genrec.data.files import read_json, read_yaml, write_json, write_text
from genrec.data.seal import (
    Sealed,
    bind,
    check_files,
    check_run,
    measured,
    new_run,
    read_sealed,
    write_sealed,
)
from genrec.data.yaml_text import dump_yaml
from genrec.errors import RunError

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.recommenders.base import Recommender


_SEALED = ("recipe.yaml", "config.yaml", "environment.json")  # by `data.json`
# What a run has until its model is there; anything else in the folder is somebody else's.
NAMES = (*_SEALED, "data.json", "log.jsonl", "checkpoints", "pretraining", "retriever", "model.partial")
_ADVICE = (
    "restore what the training wrote, from a copy; a recipe that was changed is trained into another folder, with "
    "`genrec train RECIPE.yaml --out NEW`"
)


class _Config(BaseModel):
    """What we read of `config.yaml`."""

    recommender: str
    config: dict[str, Any]
    protocol: str


class _Source(BaseModel):
    path: str
    items: str | None
    options: dict[str, Any]


class _Counts(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    synthetic: bool
    num_users: int
    num_items: int
    num_interactions: int


class _Data(BaseModel):
    """What we read of `data.json`."""

    source: _Source
    fingerprint: str
    details: dict[str, str] | None = None  # of a dataset; None: it was begun before they were noted
    counts: _Counts


class _Environment(BaseModel):
    """What we read of `environment.json`."""

    commit: str | None


@dataclass(frozen=True)
class Run:
    """A run folder that was begun. `config` and `data` are the contents of `config.yaml` and `data.json`."""

    folder: Path
    config: dict[str, Any]
    data: dict[str, Any]
    identity: str | None  # what its files are sealed with; None: it was begun before there were seals

    @property
    def finished(self) -> bool:
        return (self.folder / "model").exists()  # it was renamed into place as a whole

    @property
    def protocol(self) -> str:
        return str(self.config["protocol"])

    def read_data(self, moved_to: str | None = None) -> Dataset:
        """Read the run's data again.

        Args:
            moved_to: where they lie now, if not where `data.json` says.

        Raises:
            RunError: they are gone, or they are not the data that the run was trained on.
        """
        source = DataSource(**self.data["source"])
        if moved_to is not None:
            source = source.moved(moved_to)
        elif source.path != "synthetic" and not Path(source.path).exists():
            raise RunError(f"the data of {self.folder} are no longer at {source.path}: give --data PATH")
        dataset = source.read()
        if dataset.fingerprint != self.data["fingerprint"]:
            raise RunError(
                f"{source.path} has {_counted(dataset.summary())}, and {self.folder} was trained on other "
                f"data, with {_counted(self.data['counts'])}: give that with --data PATH, or train again"
            )
        # The model keeps the fields of its items; all else decides what is asked.
        changed = [name for name in _changed(self.data, dataset.details) if name != "fields"]
        if changed:
            raise RunError(
                f"{source.path} has the interactions that {self.folder} was trained on, with other {changed[0]}: give "
                "the data as they were with --data PATH, or train again"
            )
        return dataset

    def load(self) -> Recommender:
        """The trained recommender.

        Raises:
            RunError: the training has not finished, or the files of the model are damaged.
        """
        if not self.finished:
            raise RunError(
                f"the training in {self.folder} has not finished: repeat its command with --resume first"
            )
        return genrec.load(self.folder)

    def save_model(self, recommender: Recommender) -> None:
        """Put the fitted recommender under `model/`, as a whole."""
        partial = self.folder / "model.partial"
        shutil.rmtree(partial, ignore_errors=True)  # left by a save that was killed
        recommender.save(partial)
        bind(partial / "recommender.json", self.identity)
        os.replace(partial, self.folder / "model")

    def model_identity(self) -> str:
        """Changes whenever another model is put under `model/`."""
        about = self.folder / "model" / "recommender.json"
        seal = read_sealed(about, dict[str, Any])[1]
        if seal is not None:
            return seal.sha256
        state = [
            (path.name, path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(about.parent.iterdir())
        ]
        return hashlib.sha256(repr(state).encode()).hexdigest()

    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds so far.

        Raises:
            RunError: it is damaged, was edited, or is of another run.
        """
        return self._metrics()[0]

    def _metrics(self) -> tuple[dict[str, Any], dict[str, Sealed]]:
        """What `metrics.json` holds so far, and what is known of the lists behind it."""
        path = self.folder / "metrics.json"
        if not path.exists():
            return {}, {}
        advice = "remove it and run `genrec evaluate` again"
        values, seal = read_sealed(path, dict[str, dict[str, Any]], advice=advice, not_finite=True)
        check_run(path, seal, self.identity, advice=advice)
        return values, {} if seal is None else seal.files

    def add_metrics(self, name: str, values: Mapping[str, Any]) -> None:
        """Put `values` into `metrics.json` under `training` or the name of a split, whose lists are written already."""
        metrics, lists = self._metrics()
        path = self.rankings_path(name)
        if path.exists():
            lists = {**lists, **measured(self.folder, [path.name])}
        values_by_name = {**metrics, name: dict(values)}
        write_sealed(self.folder / "metrics.json", values_by_name, run=self.identity, files=lists)

    def rankings_path(self, name: str) -> Path:
        """Where the lists behind the metrics called `name` lie, or are to lie."""
        return self.folder / f"rankings-{name}.parquet"

    def check_rankings(self, name: str, *, advice: str = "run `genrec evaluate` again") -> None:
        """Make sure that the lists behind the metrics called `name` are those that were measured.

        Raises:
            RunError: they are damaged, or were exchanged.
        """
        path = self.rankings_path(name)
        lists = self._metrics()[1]
        check_files(self.folder, {path.name: lists[path.name]} if path.name in lists else {}, advice=advice)

    def provenance(self, split: str) -> dict[str, Any]:
        """What stands beside every number of this run; `leak` tells why none of them can be believed, if so."""
        from genrec.audit.findings import leaky_code

        leak = leaky_code(self.config["config"])
        environment = read_json(self.folder / "environment.json", _Environment, advice=_ADVICE)
        return {
            "run": str(self.folder),
            "recommender": self.config["recommender"],
            "data": self.data["counts"]["name"],
            "synthetic": self.data["counts"]["synthetic"],
            "num_interactions": self.data["counts"]["num_interactions"],
            "protocol": self.protocol,
            "split": split,
            "seed": self.config["config"].get("seed"),
            "config": self.config["config"],
            "fingerprint": self.data["fingerprint"],
            "commit": environment.commit,
            "leak": None if leak is None else leak.what,
        }


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
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:  # some network file systems know no locks
            free = True
        yield free
    finally:
        os.close(descriptor)


def looks_like_run(path: Path) -> bool:
    """Whether this is a run folder, or what is left of one, and no data set that happens to have a `data.json`."""
    return sum((path / name).exists() for name in ("data.json", *_SEALED)) >= 2


def open_run(folder: Path) -> Run:
    """A run that was begun.

    Raises:
        RunError: no such folder, or not a run.
    """
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}: make one with `genrec train`")
    for name in ("data.json", "config.yaml"):
        if not (folder / name).exists():
            raise RunError(
                f"{folder} is not a run, or one that had hardly begun: {name} is missing; choose a folder that "
                "`genrec train` wrote"
            )
    data, seal = read_sealed(folder / "data.json", _Data, advice=_ADVICE)
    if seal is not None:
        check_files(folder, seal.files, advice=_ADVICE)
    config = read_yaml(folder / "config.yaml", _Config, advice=_ADVICE)
    return Run(folder, config.model_dump(), data.model_dump(), None if seal is None else seal.run)


def begin(
    folder: Path,
    recipe: Recipe,
    recommender: Recommender,
    source: DataSource,
    dataset: Dataset,
    *,
    resume: bool,
) -> Run:
    """Make a new run folder, or with `resume` take up one that was begun with the same recipe and data.

    Raises:
        RunError: the folder holds something, or `resume` and it was begun differently.
    """
    config = {
        "recommender": recipe.recommender,
        "config": recommender.config.model_dump(mode="json"),
        "data": source.options,
        "protocol": recipe.protocol,
    }
    data = {
        "source": asdict(source.absolute()),
        "protocol": recipe.protocol,
        "fingerprint": dataset.fingerprint,
        "details": dataset.details,
        "counts": dataset.summary(),
    }
    if (folder / "data.json").exists():
        run = open_run(folder)
        if not resume:
            if run.finished:
                raise RunError(f"{folder} holds a finished run: choose another --out, or move it away")
            raise RunError(
                f"{folder} holds a run that has not finished: go on with --resume, or choose another --out"
            )
        _check_same(run, config, data)
        return run
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: choose a folder for --out")
    # A run that was killed while it began has these files at most, and is begun again.
    strangers = {entry.name for entry in folder.glob("*")} - {*_SEALED}
    strangers = {name for name in strangers if not (name.startswith(".") and name.endswith(".tmp"))}
    if strangers:
        raise RunError(
            f"{folder} is not empty and not a run (it holds {min(strangers)}): choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "recipe.yaml", recipe.text)
    write_text(folder / "config.yaml", dump_yaml(config))
    write_json(folder / "environment.json", environment())
    identity = new_run()
    write_sealed(folder / "data.json", data, run=identity, files=measured(folder, _SEALED))
    return Run(folder, config, data, identity)


def _check_same(run: Run, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    before, now = dict(_flat(run.config)), dict(_flat({key: config[key] for key in run.config}))
    added = [name for name in config["config"] if name not in run.config["config"]]
    if added and config["recommender"] == run.config["recommender"]:
        raise RunError(
            f"{run.folder} was begun by a version of genrec that had no option {added[0]}: choose another --out, or go "
            "on with that version"
        )
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            raise RunError(
                f"{run.folder} was begun with {key}={before.get(key)} and this command says {now.get(key)}: "
                "repeat the first command with --resume, or choose another --out"
            )
    if run.data["fingerprint"] != data["fingerprint"]:
        raise RunError(
            f"{run.folder} was begun on {_counted(run.data['counts'])}, and these data have "
            f"{_counted(data['counts'])} or another order: give the same --data and options, or another --out"
        )
    changed = _changed(run.data, data["details"])
    if changed:
        raise RunError(
            f"{run.folder} was begun on the same interactions with other {changed[0]}"
            f"{' of items' if changed[0] == 'fields' else ''}: give the same --data and options, or another --out"
        )


def _changed(before: Mapping[str, Any], details: Mapping[str, str]) -> list[str]:
    """What of the data is another than a run's `data.json` says, by its name, though the fingerprint is the same."""
    told = before.get("details")
    if told is None:
        return []
    return [name for name in {**told, **details} if told.get(name) != details.get(name)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _counted(counts: Mapping[str, Any]) -> str:
    names = ("users", "items", "interactions")
    return ", ".join(f"{counts['num_' + name]:,} {name}" for name in names)
