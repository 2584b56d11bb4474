"""What `genrec compare` was given: runs and rankings files, opened, checked to be comparable, and grouped by seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.cli.run_folder import Run, open_run
from genrec.data.files import read_json_lines
from genrec.errors import ConfigError, RunError

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Histories, Targets
    from genrec.data.ranking import Rankings
    from genrec.evaluation.comparison import Group
    from genrec.pages.comparison import Origin

_NOT_THE_METHOD = ("seed", "threads", "report_to")  # options that make no other recommender
_COSTS = ("seconds", "users_per_s", "peak_memory_mb")
_VALIDATION = "eval_NDCG@10"  # what the training log calls it


@dataclass(frozen=True)
class Compared:
    """Lists of several recommenders for the same targets.

    Attributes:
        dataset: that all runs were trained on.
        protocol: that split it.
        measured: name of the measurement, as in `metrics.json` of the runs.
        targets: the questions of all lists.
        train: histories of the training part.
        groups: recommenders, as given.
        origins: where each run's lists come from, group by group.
    """

    dataset: Dataset
    protocol: str
    measured: str
    targets: Targets
    train: Histories
    groups: list[Group]
    origins: list[Origin]


@dataclass(frozen=True)
class _Entry:
    """One thing that was given; `run` is None for a rankings file."""

    path: Path
    run: Run | None

    @property
    def seed(self) -> int | None:
        return None if self.run is None else self.run.config["config"].get("seed")

    @property
    def method(self) -> dict[str, Any]:
        """The options that make this recommender what it is."""
        config = {} if self.run is None else self.run.config["config"]
        return {name: value for name, value in config.items() if name not in _NOT_THE_METHOD}

    @property
    def key(self) -> str:
        """Equal for runs that differ in the seed alone."""
        if self.run is None:
            return str(self.path)
        return json.dumps([self.run.config["recommender"], self.method], sort_keys=True)


def open_compared(paths: Sequence[Path], split: str, users: int | None, moved_to: str | None) -> Compared:
    """Open runs and rankings files.

    Args:
        paths: run folders and `NAME.parquet` files, at least one run.
        split: `test` or `validation`.
        users: size of the sample that was measured; None: all.
        moved_to: where the data of the runs lie now, if not where the first run says.

    Raises:
        ConfigError: a path that is neither, no run at all, or something given twice.
        RunError: a run that cannot be compared with the first one, or was not evaluated.
        DataError, CatalogueError: a rankings file that cannot be read.
    """
    entries = _entries(paths)
    runs = [entry.run for entry in entries if entry.run is not None]
    if not runs:
        raise ConfigError(
            f"{paths[0]} alone does not tell which data it is about: give at least one run, whose data are read"
        )
    _check_comparable(runs)
    dataset = runs[0].read_data(moved_to)
    parts = dataset.split(runs[0].protocol)
    targets, name = parts.test if split == "test" else parts.validation, split
    if users is not None and users < len(targets):
        targets, name = targets.sample(users), f"{split}-{users}-users"
    together: dict[str, list[_Entry]] = {}
    for entry in entries:
        together.setdefault(entry.key, []).append(entry)
    groups, origins = [], []
    for label, own in zip(_labels(together), together.values(), strict=True):
        group, found = _group(label, sorted(own, key=lambda entry: entry.seed or 0), name, targets)
        groups.append(group)
        origins += found
    return Compared(dataset, runs[0].protocol, name, targets, parts.train.histories, groups, origins)


def _entries(paths: Sequence[Path]) -> list[_Entry]:
    entries = []
    for path in paths:
        if path.suffix == ".parquet" and not path.is_dir():
            entries.append(_Entry(path, None))
        elif path.exists() and not path.is_dir():
            raise ConfigError(
                f"{path} is neither a run folder nor a rankings file NAME.parquet: give one of them"
            )
        else:
            entries.append(_Entry(path, open_run(path)))
    given: dict[tuple[str, int | None], Path] = {}
    for entry in entries:
        before = given.setdefault((entry.key, entry.seed), entry.path)
        if before is not entry.path:
            seed = "" if entry.seed is None else f" with the same seed {entry.seed}"
            raise ConfigError(f"{before} and {entry.path} are the same recommender{seed}: give one of them")
    return entries


def _check_comparable(runs: Sequence[Run]) -> None:
    """The same data and protocol everywhere, or the difference is told."""
    first = runs[0]
    for run in runs[1:]:
        if run.data["fingerprint"] != first.data["fingerprint"]:
            raise RunError(
                f"{run.folder} was trained on other data than {first.folder}: {_data(run)} against {_data(first)}; "
                "train both on the same data with the same options"
            )
        if run.protocol != first.protocol:
            raise RunError(
                f"{run.folder} holds targets out by {run.protocol} and {first.folder} by {first.protocol}: "
                "train both with the same --protocol"
            )
        times = [(of.data["details"] or {}).get("times") for of in (first, run)]
        if run.protocol == "temporal" and None not in times and times[0] != times[1]:
            raise RunError(
                f"{run.folder} was trained on the interactions of {first.folder} with other times, which hold out "
                "other targets: train both on the same data"
            )


def _data(run: Run) -> str:
    counts = run.data["counts"]
    numbers = ", ".join(f"{counts['num_' + name]:,} {name}" for name in ("users", "items", "interactions"))
    return f"{counts['name']} with {numbers} (fingerprint {run.data['fingerprint'][:12]})"


def _labels(together: Mapping[str, Sequence[_Entry]]) -> list[str]:
    """A name for each group: the recommender's, with the options that tell it from others, and a mark if it leaks."""
    from genrec.audit.findings import leaky_code

    firsts = [own[0] for own in together.values()]
    names = [
        entry.path.stem if entry.run is None else str(entry.run.config["recommender"]) for entry in firsts
    ]
    labels: list[str] = []
    for entry, name in zip(firsts, names, strict=True):
        namesakes = [other for other, its in zip(firsts, names, strict=True) if its == name]
        if len(namesakes) > 1 and entry.run is None:
            labels.append(str(entry.path))
            continue
        methods = [other.method for other in namesakes if other.run is not None]
        telling = [key for key in entry.method if any(own.get(key) != entry.method[key] for own in methods)]
        words = [name, *(f"{key}={_plain(entry.method[key])}" for key in telling)]
        labels.append(" ".join([*words, "(leaky codes)"] if leaky_code(entry.method) else words))
    return labels


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list | dict | None) else str(value)


def _group(label: str, entries: Sequence[_Entry], name: str, targets: Targets) -> tuple[Group, list[Origin]]:
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation.comparison import Group
    from genrec.pages.comparison import Origin

    rankings, origins = [], []
    for entry in entries:
        if entry.run is None:
            rankings.append(read_rankings(entry.path, targets))
            origins.append(Origin(label, str(entry.path)))
            continue
        path = entry.run.rankings_path(name)
        if not path.exists():
            raise RunError(f"{entry.path} has no {path.name}: run `{_evaluate(entry.path, name)}` first")
        entry.run.check_rankings(name, advice=f"run `{_evaluate(entry.path, name)}` again")
        lists, metrics = read_rankings(path, targets), entry.run.metrics()
        measured = metrics.get(name, {})
        _check_fresh(lists, targets, measured, path)
        rankings.append(lists)
        origins.append(
            Origin(
                label,
                str(entry.path),
                entry.seed,
                entry.run.provenance(name)["commit"],
                entry.method,
                _costs(metrics.get("training", {})),
                _costs(measured),
                _curve(entry.run.folder / "log.jsonl"),
            )
        )
    return Group(label, tuple(entry.seed for entry in entries), tuple(rankings)), origins


def _costs(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(told[name]) for name in _COSTS if name in told}


def _check_fresh(lists: Rankings, targets: Targets, measured: Mapping[str, Any], path: Path) -> None:
    """The lists are those behind the run's own numbers."""
    from genrec.evaluation.metrics import hit_rate, ranks

    found = float(hit_rate(ranks(lists, targets.items), 10).mean())
    told = measured.get("HR@10", found)
    if abs(found - told) > 1e-6:
        raise RunError(
            f"the lists of {path} give HR@10 {found:.4f} and metrics.json beside it says {told:.4f}: one of them is "
            f"older; run `{_evaluate(path.parent, path.stem.removeprefix('rankings-'))}` again"
        )


def _evaluate(folder: Path, name: str) -> str:
    """The command that makes the lists called `name`."""
    split, _, sample = name.partition("-")
    users = f" --users {sample.removesuffix('-users')}" if sample else ""
    return f"genrec evaluate {folder} --split {split}{users}"


def _curve(path: Path) -> list[tuple[float, float]]:
    """(step, NDCG@10 on validation) of a training log; empty where there is none."""
    if not path.exists():
        return []
    rows = read_json_lines(path, dict[str, Any])
    points = [(float(row["step"]), float(row[_VALIDATION])) for row in rows if _VALIDATION in row]
    return [point for point in points if isfinite(point[1])]
