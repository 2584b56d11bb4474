"""A run: the folder that a training leaves behind, enough to measure, use and repeat it.

recipe.yaml        the recipe as given
config.yaml        the recipe with every option spelled out: `genrec train RUN/config.yaml` repeats the run
environment.json   versions, commit, machine, time and command
data.json          source, options, fingerprint, details and counts of the data; written last when a run begins
log.jsonl, checkpoints/   what the recommender writes while it learns
model/             the finished recommender; renamed into place, so that it is there as a whole or not at all
refit/             of `--refit`: the same again, with a `model/` that has learnt from the validation items too
metrics.json       cost of the training and the metrics of each split that was measured
rankings-NAME.parquet   the lists behind the metrics called NAME, seen items excluded; see genrec.data.ranking_file

`data.json`, `metrics.json` and the model are sealed (genrec.data.seal): files that were changed or belong to
another run are refused.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

import genrec
from genrec.data.files import (
    put_folder,
    read_json,
    read_json_lines,
    read_text,
    read_yaml,
    restore_folder,
)
from genrec.data.seal import Sealed, bind, check_files, check_run, measured, read_sealed, write_sealed
from genrec.errors import ConfigError, RunError
from genrec.runs.notes import note, warn
from genrec.runs.recipe import Recipe
from genrec.runs.source import SYNTHETIC, DataSource

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Interactions
    from genrec.data.ranking import Rankings
    from genrec.data.split import Split
    from genrec.evaluation.protocol import Progress
    from genrec.recommenders.base import Recommender
    from genrec.recommenders.today import Today


# What a model was trained on, beside its numbers.
WITHOUT_VALIDATION, WITH_VALIDATION = "training part", "training and validation"
LATEST = "latest"  # the link to the newest of dated runs, see genrec.runs.dated
SEALED = ("recipe.yaml", "config.yaml", "environment.json")  # by `data.json`
_ADVICE = (
    "restore what the training wrote, from a copy; a recipe that was changed is trained into another folder, with "
    "`genrec train RECIPE.yaml --out NEW`"
)


class _Config(BaseModel):
    """What we read of `config.yaml`."""

    recommender: str
    config: dict[str, Any]
    data: dict[str, Any] = {}
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


class _Start(BaseModel):
    run: str
    identity: str | None
    budget: float


class _Data(BaseModel):
    """What we read of `data.json`."""

    source: _Source
    fingerprint: str
    details: dict[str, str] | None = None  # of a dataset; None: it was begun before they were noted
    counts: _Counts
    start: _Start | None = None  # the earlier run that it started from


class _Environment(BaseModel):
    """What we read of `environment.json`."""

    commit: str | None


@dataclass(frozen=True)
class Run:
    """A run folder that was begun, as `open_run` and `genrec.train` give it.

    Attributes:
        folder: the run folder.
        recipe: its recipe with every option spelled out.
        about_data: contents of `data.json`: `source`, `fingerprint`, `details`, `counts` and `start`.
        identity: what its files are sealed with; None: it was begun before there were seals.
        moved_to: where its data lie now; None: where `data.json` says.
        items_at: file of today's items; None: as `data.json` says.
        dataset: its data where they were read already.
    """

    folder: Path
    recipe: Recipe
    about_data: dict[str, Any]
    identity: str | None
    moved_to: str | None = None
    items_at: str | None = None
    dataset: Dataset | None = None

    @property
    def finished(self) -> bool:
        """Whether there is a model."""
        return (self.folder / "model").exists()  # it was renamed into place as a whole

    @cached_property
    def model(self) -> Recommender:
        """The trained recommender, loaded once.

        Raises:
            RunError: the training has not finished, or the files of the model are damaged.
        """
        if not self.finished:
            raise RunError(
                f"the training in {self.folder} has not finished: repeat its command with --resume first"
            )
        return genrec.load(self.folder)

    @property
    def refit_folder(self) -> Path:
        """Where the model lies, or is to lie, that was trained on the validation items as well."""
        return self.folder / "refit"

    @property
    def refitted(self) -> Recommender | None:
        """The recommender trained again on training and validation items, loaded once; None: there is none.

        Raises:
            RunError: its files are damaged, or of another run.
        """
        return self._refitted if (self.refit_folder / "model").exists() else None

    @cached_property
    def _refitted(self) -> Recommender:
        about = self.refit_folder / "model" / "recommender.json"
        advice = "move the folder `refit` away, and repeat the training's command with --refit and --resume"
        check_run(about, read_sealed(about, dict[str, Any], advice=advice)[1], self.identity, advice=advice)
        return genrec.load(self.refit_folder)

    @cached_property
    def data(self) -> Dataset:
        """The run's data, read once.

        Raises:
            RunError: they are gone, or they are not the data that the run was trained on.
        """
        if self.dataset is not None:
            return self.dataset
        source = DataSource.of_run(self.about_data["source"])
        if self.moved_to is not None:
            source = source.moved(self.moved_to)
        self._check_there(source)
        dataset = source.read()
        if dataset.fingerprint != self.about_data["fingerprint"]:
            raise RunError(
                f"{source.path} has {counted(dataset.summary())}, and {self.folder} was trained on other "
                f"data, with {counted(self.about_data['counts'])}: give that with --data PATH, or train again"
            )
        # The model keeps the fields of its items; all else decides what is asked.
        other = [name for name in changed(self.about_data, dataset.details) if name != "fields"]
        if other:
            raise RunError(
                f"{source.path} has the interactions that {self.folder} was trained on, with other {other[0]}: give "
                "the data as they were with --data PATH, or train again"
            )
        return dataset

    @cached_property
    def today(self) -> Today:
        """The recommender with today's items, and the histories of today's users, whatever it was trained on.

        The log is read where it lies now, as the run's was, and known by its ids; see `Recommender.with_data`. Without
        items of today, those of the run count, as they were edited. What is new, gone or unknown is told.

        Raises:
            RunError: the training has not finished, or there are no data where they should be.
            DataError, CatalogueError: data that cannot be read, or values that do not fit the fields of the catalogue.
        """
        from genrec.recommenders.today import beside

        model = self.model  # a run that has not finished is refused before its data are read
        source = DataSource.of_run(self.about_data["source"]).of_today(self.moved_to, self.items_at)
        self._check_there(source)
        with_items = self.items_at is not None or self.moved_to is not None
        unrated = self.items_at is not None or bool(source.options.get("unrated"))
        dataset = source.read_today(with_items=with_items)
        found = beside(model, dataset, items=with_items, unrated=unrated)
        for line in found.notes:
            note(line)
        return found

    def _check_there(self, source: DataSource) -> None:
        if source.path != SYNTHETIC and not Path(source.path).exists():
            raise RunError(f"the data of {self.folder} are no longer at {source.path}: give --data PATH")

    @cached_property
    def parts(self) -> Split:
        """The run's data, split by its protocol."""
        return self.data.split(self.recipe.protocol)

    def evaluate(
        self,
        split: str = "test",
        *,
        users: int | None = None,
        exact: bool = False,
        keep_lists: bool = True,
        floor: bool = True,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Measure the lists for a split, as `genrec evaluate` does; the numbers are kept in the run.

        Args:
            split: `test` or `validation`.
            users: size of the sample that is measured, always the same one; None: all.
            exact: search on until every list is proved to be the model's true top.
            keep_lists: keep the lists as well, for `genrec.compare`.
            floor: measure `transitions` on the same questions as well, where that takes less than a minute, and warn if
                the run is below it; where items are held out of the training, `tfidf` too.
            batch_size: users ranked at once; None: what the run's option `ranking_batch` says.
            progress: called with (users done, users in all).

        Returns:
            Metrics, `intervals`, `unfiltered`, `by_training_count`, `cold` (targets that nobody took in training) and
            `warm`, `floor`, `text_floor` and `provenance`, as they stand in `metrics.json`: see
            `genrec.evaluation.protocol.Evaluation`. Of a run with a refit, the same of that under `refit` (test only).

        Raises:
            ConfigError: no such split, a sample of nobody, a recommender that was trained on other tasks only or that
                cannot prove its lists.
            RunError: the training has not finished, or the data are gone or others.
        """
        from genrec.audit.run import measured_findings
        from genrec.data.ranking_file import write_rankings
        from genrec.data.split import has_cold_items
        from genrec.evaluation import protocol
        from genrec.evaluation.metrics import by_training_count, cold_and_warm
        from genrec.runs.floor import FLOOR, TEXT_FLOOR, measured_floor, warn_below_floor
        from genrec.runs.measure import asked, check_asked

        check_asked(split, users)
        trained = self.model.as_trained  # a run that has not finished is refused before its data are read
        name, targets = asked(self.parts, split, users, "exact" if exact else "")
        cold = has_cold_items(self.recipe.protocol)
        options: dict[str, Any] = {"exact": exact, "batch_size": batch_size, "progress": progress}

        def measured_with(model: Recommender, train: Interactions) -> tuple[dict[str, Any], Rankings]:
            result = protocol.evaluate(model.rank, targets, **options)
            taken, num_items = train.histories.items, len(targets.catalogue)
            counts = by_training_count(result.target_ranks, targets.apart().items, taken, num_items)
            names = {"floor": FLOOR} | ({"text_floor": TEXT_FLOOR} if cold else {})
            beside = {
                key: measured_floor(train, targets, which)
                for key, which in names.items()
                if floor and model.name != which
            }
            more = {key: found for key, found in beside.items() if found is not None}
            apart = {"by_training_count": counts, **cold_and_warm(counts)}
            return {**result.to_json(), **apart, **more}, result.rankings

        metrics, rankings = measured_with(trained, self.parts.train)
        metrics["provenance"] = self.provenance(split)
        findings = measured_findings(name, metrics, self.parts.train, targets)
        again = self.refitted if split == "test" else None  # which has learnt what validation asks for
        if again is not None:
            known = self.data.before_test(self.recipe.protocol)
            metrics["refit"] = {**measured_with(again, known)[0], "trained_on": WITH_VALIDATION}
            findings += measured_findings(f"{name}, refit", metrics["refit"], known, targets)
        if keep_lists:
            write_rankings(self.rankings_path(name), rankings, targets)
        self.add_metrics(name, metrics)
        warn(findings)
        for where, found in ((name, metrics), (f"{name}, refit", metrics.get("refit", {}))):
            if "floor" in found:
                warn_below_floor(where, found)
        return metrics

    def evaluate_tasks(
        self,
        tasks: str | Sequence[str] = "all",
        split: str = "test",
        *,
        users: int | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Measure tasks, as `genrec evaluate --task` does; the run keeps each task's numbers at once.

        Args:
            tasks: names of tasks, or `all`: those that the data have something for and the recommender was trained on.
            split, users, batch_size, progress: see `evaluate`.

        Returns:
            `tasks`: task to rows, as `evaluate_tasks` of `genrec.tasks.measure` gives them, and for `sequential` HR
            and NDCG over the whole catalogue, seen items left out. `dropped`: prompts that the data could not fill, and
            why. `provenance`.

        Raises:
            ConfigError: no such task, or one that the recommender was not trained on; or see `evaluate`.
            DataError: the data do not have what a task that was named needs.
            BackendMissingError: a library of the extra `text` is not installed.
        """
        from genrec.runs.measure_tasks import measure_tasks

        return measure_tasks(self, tasks, split, users, batch_size=batch_size, progress=progress)

    def recommend_to_all(
        self,
        out: str | Path,
        k: int = 10,
        *,
        only: Mapping[str, Any] | Sequence[str] = (),
        exclude: Sequence[str] = (),
        max_per: Mapping[str, int] | None = None,
        repeat: str = "never",
        exact: bool = False,
        force: bool = False,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Write the best items of every user to a Parquet file; a stopped call goes on where it was.

        Args:
            out: columns user_id, rank, item_id, title, score, probability; `out` + `.parts` is used on the way.
            k: items wanted for each user.
            only: fields and values that an item must match, or conditions as in `["price<20"]`, all of them.
            exclude: ids or titles never to recommend.
            max_per: at most so many items of one value of a field, as in `{"brand": 2}`.
            repeat: whether lists hold what the user has taken: `never`, `allow`, or `only` such items.
            exact: search on until every list is proved to be the model's true top.
            force: replace a file that is there.
            batch_size: users ranked at once; None: what the run's option `ranking_batch` says.
            progress: called with (users done, users in all).

        Returns:
            Rows written.

        Raises:
            ConfigError: the file exists, is no Parquet file by its name, or has parts of another question beside it; or
                see `Recommender.rank`.
            UnknownItemError: an excluded item is not in the catalogue.
            RunError: the training has not finished, or the data are gone or others.
        """
        from genrec.runs.lists import recommend_to_all

        options: dict[str, Any] = {"batch_size": batch_size, "max_per": max_per, "exact": exact}
        more: dict[str, Any] = {"repeat": repeat, "force": force, "progress": progress}
        return recommend_to_all(self, Path(out), k, only, exclude, **options, **more)

    def save_model(self, recommender: Recommender, folder: Path | None = None) -> None:
        """Put a fitted recommender under `model/`, as a whole; of `folder`, or of the run."""
        folder = folder or self.folder
        partial = folder / "model.partial"
        shutil.rmtree(partial, ignore_errors=True)  # left by a save that was killed
        recommender.save(partial)
        bind(partial / "recommender.json", self.identity)
        put_folder(partial, folder / "model")

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

    @property
    def log(self) -> list[dict[str, Any]]:
        """Rows of the training log; empty for a recommender that keeps none."""
        path = self.folder / "log.jsonl"
        return read_json_lines(path, dict[str, Any]) if path.exists() else []

    @property
    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` holds so far: `training` and each measurement by its name, as in `test-500-users`.

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

        leak = leaky_code(self.recipe.options)
        environment = read_json(self.folder / "environment.json", _Environment, advice=_ADVICE)
        counts = self.about_data["counts"]
        start = self.about_data.get("start")
        return {
            "run": str(self.folder),
            "recommender": self.recipe.recommender,
            "data": counts["name"],
            "synthetic": counts["synthetic"],
            "num_interactions": counts["num_interactions"],
            "protocol": self.recipe.protocol,
            "split": split,
            "trained_on": WITHOUT_VALIDATION,
            "seed": self.recipe.config.get("seed"),
            "config": self.recipe.config,
            "fingerprint": self.about_data["fingerprint"],
            "commit": environment.commit,
            "leak": None if leak is None else leak.what,
            **({} if start is None else {"start": start}),
        }


def looks_like_run(path: Path) -> bool:
    """Whether this is a run folder, or what is left of one, and no data set that happens to have a `data.json`."""
    return sum((path / name).exists() for name in ("data.json", *SEALED)) >= 2


def open_run(folder: str | Path, data: str | Path | None = None, items: str | Path | None = None) -> Run:
    """Open a run that was begun; its model and data are read when they are first asked for.

    Args:
        folder: that `genrec train` or `genrec.train` wrote.
        data: where the run's data lie now, if they were moved, or today's.
        items: file of today's items.

    Raises:
        RunError: no such folder, or not a run.
    """
    folder = Path(folder)
    restore_folder(folder)
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}: make one with `genrec train`")
    for name in ("data.json", "config.yaml"):
        if not (folder / name).exists():
            if (folder / LATEST / name).exists():
                raise RunError(f"{folder} holds dated runs: give one of them, or {folder / LATEST}")
            raise RunError(
                f"{folder} is not a run, or one that had hardly begun: {name} is missing; choose a folder that "
                "`genrec train` wrote"
            )
    about_data, seal = read_sealed(folder / "data.json", _Data, advice=_ADVICE)
    if seal is not None:
        check_files(folder, seal.files, advice=_ADVICE)
    config = read_yaml(folder / "config.yaml", _Config, advice=_ADVICE)
    recipe = Recipe(text=read_text(folder / "config.yaml", advice=_ADVICE), **config.model_dump())
    if "learning_rate" in recipe.config:  # of a version without groups of options
        with suppress(ConfigError):  # of a recommender that is not installed
            recipe = recipe.with_options({})
    restore_folder(folder / "model")
    identity = None if seal is None else seal.run
    moved_to, items_at = (None if path is None else str(path) for path in (data, items))
    return Run(folder, recipe, about_data.model_dump(), identity, moved_to, items_at)


def changed(about_data: Mapping[str, Any], details: Mapping[str, str]) -> list[str]:
    """What of the data is another than a run's `data.json` says, by its name, though the fingerprint is the same."""
    told = about_data.get("details")
    if told is None:
        return []
    return [name for name in {**told, **details} if told.get(name) != details.get(name)]


def counted(counts: Mapping[str, Any]) -> str:
    """Users, items and interactions in words."""
    names = ("users", "items", "interactions")
    return ", ".join(f"{counts['num_' + name]:,} {name}" for name in names)
