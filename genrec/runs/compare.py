"""Comparing runs and rankings files: opened, checked to be comparable, grouped by seeds and analysed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.errors import ConfigError, RunError
from genrec.runs.environment import environment
from genrec.runs.measure import asked, check_asked
from genrec.runs.run import WITHOUT_VALIDATION, Run, counted, open_run

if TYPE_CHECKING:
    from genrec.data.interactions import Targets
    from genrec.data.ranking import Rankings
    from genrec.evaluation.comparison import Analysis, Group
    from genrec.pages.comparison import Origin
    from genrec.runs.next_steps import Step

_NOT_THE_METHOD = ("seed", "threads", "report_to")  # options that make no other recommender
_COSTS = ("seconds", "users_per_s", "peak_memory_mb")
_VALIDATION = "eval_NDCG@10"  # what the training log calls it


@dataclass(frozen=True)
class Comparison:
    """Several recommenders beside one another, as `genrec compare` prints and writes them.

    Attributes:
        analysis: metrics, differences and what chance could have done.
        targets: the questions of all lists.
        origins: where each run's lists come from, group by group.
        about: the data, the questions and this program.
        moved_to: where the data of the runs lie now, if they were moved.
    """

    analysis: Analysis
    targets: Targets
    origins: list[Origin]
    about: dict[str, Any]
    moved_to: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        analysis, targets = self.analysis, self.targets
        examples = [
            {
                "user_id": str(targets.users[example.row]),
                "target": targets.catalogue.ids[targets.items[example.row]],
                "found_by": [analysis.names[place] for place in example.found_by],
            }
            for example in analysis.examples
        ]
        runs = [asdict(origin) for origin in self.origins]
        return {**self.about, **analysis.to_json(), "examples": examples, "runs": runs}

    def write(self, path: str | Path) -> Path:
        """Write the comparison as an HTML page and return its path.

        Raises:
            ConfigError: a path that is no NAME.html, or a file that is no page of genrec.
        """
        from genrec.pages.comparison import write_comparison

        check_page(Path(path))
        steps = self._next_steps(Path(path).parent)
        return write_comparison(path, self.analysis, self.targets, self.origins, self.about, steps)

    def _next_steps(self, folder: Path) -> list[Step]:
        """What to do next with the best recommender that is a run."""
        from genrec.runs.next_steps import steps_of_run

        runs = {one.name: Path(one.path) for one in reversed(self.origins) if one.is_run}
        best = next(runs[name] for name in self.analysis.names if name in runs)
        moved = () if self.moved_to is None else ("--data", self.moved_to)
        return steps_of_run(best, folder, user=str(self.targets.users[0]), moved=moved)


def check_page(path: Path) -> None:
    """Nothing, if a comparison can be written there.

    Raises:
        ConfigError: it is no HTML file, or neither free nor a page of genrec.
    """
    from genrec.pages.page import check_free

    if path.suffix not in (".html", ".htm"):
        raise ConfigError(f"--out writes an HTML page: give NAME.html, not {path}")
    check_free(path)


@dataclass(frozen=True)
class _Entry:
    """One thing that was given; `run` is None for a rankings file."""

    path: Path
    run: Run | None

    @property
    def seed(self) -> int | None:
        return None if self.run is None else self.run.recipe.options.get("seed")

    @property
    def method(self) -> dict[str, Any]:
        """The options that make this recommender what it is."""
        config = {} if self.run is None else self.run.recipe.options
        return {name: value for name, value in config.items() if name not in _NOT_THE_METHOD}

    @property
    def key(self) -> str:
        """Equal for runs that differ in the seed alone."""
        if self.run is None:
            return str(self.path)
        return json.dumps([self.run.recipe.recommender, self.method], sort_keys=True)


def compare(
    runs: Sequence[str | Path | Run],
    split: str = "test",
    *,
    users: int | None = None,
    data: str | Path | None = None,
) -> Comparison:
    """Compare evaluated runs, as `genrec compare` does: which is better, and could chance have made the difference?

    Runs that differ in the seed alone are one recommender with several seeds. Nothing is trained or ranked:
    `Run.evaluate` keeps the lists in the run.

    Args:
        runs: run folders and rankings files `NAME.parquet`, at least one run.
        split: `test` or `validation`.
        users: size of the sample that was measured; None: all.
        data: where the data of the runs lie now, if they were moved.

    Raises:
        ConfigError: a path that is neither, no run at all, or something given twice.
        RunError: a run that cannot be compared with the first one, or was not evaluated.
        DataError, CatalogueError: a rankings file that cannot be read.
    """
    from genrec.evaluation.comparison import analyse

    check_asked(split, users)
    entries = _entries(runs)
    opened = [entry.run for entry in entries if entry.run is not None]
    if not opened:
        alone = (
            f"{entries[0].path} alone does not tell which data it is about" if entries else "nothing is given"
        )
        raise ConfigError(f"{alone}: give at least one run, whose data are read")
    _check_comparable(opened)
    first = opened[0] if data is None else replace(opened[0], moved_to=str(data))
    name, targets = asked(first.parts, split, users)
    if name != split:
        targets = _sample(opened, name, targets, asked(first.parts, split)[1])
    together: dict[str, list[_Entry]] = {}
    for entry in entries:
        together.setdefault(entry.key, []).append(entry)
    groups, origins = [], []
    for label, own in zip(_labels(together), together.values(), strict=True):
        own.sort(key=lambda entry: entry.seed or 0)
        group, found = _group(label, own, name, targets)
        groups.append(group)
        origins += found
    analysis = analyse(groups, targets, first.parts.train.histories)
    counts, now = first.data.summary(), environment()
    about = {
        "data": counts["name"],
        **{key: counts[key] for key in ("synthetic", "num_users", "num_interactions", "fingerprint")},
        "num_items": len(targets.catalogue),
        "protocol": first.recipe.protocol,
        "split": name,
        "num_targets": len(targets),
        "trained_on": WITHOUT_VALIDATION,  # a refit's lists are not kept
        "floor": _floor(opened, name),
        **{key: now[key] for key in ("genrec", "commit", "time", "command")},
    }
    return Comparison(analysis, targets, origins, about, None if data is None else str(data))


def _floor(runs: Sequence[Run], name: str) -> Mapping[str, Any] | None:
    """What the floor finds on the same questions, as the first run has it that was measured beside it."""
    found = (run.metrics.get(name, {}).get("floor") for run in runs)
    return next((floor for floor in found if floor is not None), None)


def _sample(runs: Sequence[Run], name: str, sample: Targets, everybody: Targets) -> Targets:
    """The users whose lists the runs hold: an earlier version may have sampled others."""
    from genrec.data.ranking_file import sampled

    measured = [run for run in runs if run.rankings_path(name).exists()]
    samples = []
    for run in measured:
        run.check_rankings(name, advice=f"run `{_evaluate(run.folder, name)}` again")
        samples.append(sampled(run.rankings_path(name), everybody, len(sample)))
        if not samples[-1].users.equals(samples[0].users):
            raise RunError(
                f"{run.folder} and {measured[0].folder} were measured on other samples of {len(sample):,} users, by "
                f"other versions: run `{_evaluate(run.folder, name)}` and the same of the others again"
            )
    return samples[-1] if samples else sample


def _entries(given_runs: Sequence[str | Path | Run]) -> list[_Entry]:
    entries = []
    for one in given_runs:
        path = one.folder if isinstance(one, Run) else Path(one)
        if isinstance(one, Run):
            entries.append(_Entry(path, one))
        elif path.suffix == ".parquet" and not path.is_dir():
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
    from genrec.data.split import way

    first = runs[0]
    for run in runs[1:]:
        own, before = run.recipe.protocol, first.recipe.protocol
        if run.about_data["fingerprint"] != first.about_data["fingerprint"]:
            raise RunError(
                f"{run.folder} was trained on other data than {first.folder}: {_data(run)} against {_data(first)}; "
                "train both on the same data with the same options"
            )
        if own != before:
            raise RunError(
                f"{run.folder} holds targets out by {own} and {first.folder} by {before}: "
                "train both with the same --protocol"
            )
        orders = [(of.about_data["details"] or {}).get("orders") for of in (first, run)]
        if orders[0] != orders[1]:
            raise RunError(
                f"{run.folder} was trained on the interactions of {first.folder} in other orders, which hold out other "
                "targets: train both with the same --orders"
            )
        times = [(of.about_data["details"] or {}).get("times") for of in (first, run)]
        if way(own) == "temporal" and None not in times and times[0] != times[1]:
            raise RunError(
                f"{run.folder} was trained on the interactions of {first.folder} with other times, which hold out "
                "other targets: train both on the same data"
            )


def _data(run: Run) -> str:
    counts = run.about_data["counts"]
    return f"{counts['name']} with {counted(counts)} (fingerprint {run.about_data['fingerprint'][:12]})"


def _labels(together: Mapping[str, Sequence[_Entry]]) -> list[str]:
    """A name for each group: the recommender's, with the options that tell it from others, and a mark if it leaks."""
    from genrec.audit.findings import leaky_code

    firsts = [own[0] for own in together.values()]
    names = [entry.path.stem if entry.run is None else entry.run.recipe.recommender for entry in firsts]
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
        lists, metrics = read_rankings(path, targets), entry.run.metrics
        measured = metrics.get(name, {})
        _check_fresh(lists, targets, measured, path)
        curve = [(row["step"], row[_VALIDATION]) for row in entry.run.log if _VALIDATION in row]
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
                [(float(step), float(found)) for step, found in curve if isfinite(found)],
            )
        )
    return Group(label, tuple(entry.seed for entry in entries), tuple(rankings)), origins


def _costs(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(told[name]) for name in _COSTS if name in told}


def _check_fresh(lists: Rankings, targets: Targets, measured: Mapping[str, Any], path: Path) -> None:
    """The lists are those behind the run's own numbers."""
    from genrec.evaluation.metrics import best_ranks, hit_rate, target_ranks

    found = float(hit_rate(best_ranks(target_ranks(lists, targets), targets.orders), 10).mean())
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
