"""`genrec train auto`: which recommender for these data, fitted within some minutes and chosen on validation.

What only counts comes first, then what is trained, each with as many steps as the time allows, then the lists of the
best two together. Each is a run of its own in a hidden folder beside the place, so that a choice that was stopped goes
on; the one that is chosen becomes the run, and keeps the figures of the others.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrec.data.files import all_or_nothing, put_folder, read_json_lines
from genrec.errors import ConfigError, DataError, RunError
from genrec.evaluation import numbers
from genrec.runs.floor import CHEAP, FLOOR, TEXT_FLOOR, floor_options, num_pairs
from genrec.runs.folder import alone, begin
from genrec.runs.measure import asked
from genrec.runs.notes import note
from genrec.runs.recipe import Recipe
from genrec.runs.run import Run, open_run
from genrec.runs.source import DataSource

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Interactions
    from genrec.evaluation.protocol import Progress

MINUTES = 30.0
MOST_USERS = 5000  # of validation, whom all are measured on; fewer where there are very many items
MOST_SCORES = 10**9
PAIRS_A_SECOND = 10**7  # of items of the same histories, which itemknn counts
LEAST_SHARE = 0.1  # of a whole training; with less it is left out
TIMED_STEPS = 8
# What is trained, with the part of the time that is left when its turn comes.
TRAINED: dict[str, tuple[str, dict[str, Any], float]] = {
    "bsarec": ("bsarec", {"evaluations": 10, "validation_users": 2000}, 0.35),
    "genrec-best": ("genrec", {}, 0.85),
}


@dataclass(frozen=True)
class _Choice:
    """What the candidates share: where they lie, their data, and when the time is up."""

    workshop: Path
    source: DataSource
    dataset: Dataset
    protocol: str
    until: float
    users: int

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()


def auto_run(
    folder: Path,
    source: DataSource,
    protocol: str,
    *,
    minutes: float | None,
    resume: bool,
    progress: Progress | None,
) -> Run:
    """Fit what may be good for the data, choose on validation, and leave the chosen run in a folder.

    Args:
        folder: made if needed; empty.
        source: of the data.
        protocol: how targets are held out.
        minutes: about so long; None: 30.
        resume: go on with a choice that was stopped.
        progress: called with (users done, users in all) while validation is measured.

    Returns:
        The chosen run. Its metrics have under `auto` the `candidates`, the one that was `chosen` and `why`.

    Raises:
        ConfigError: no minutes, or nothing can be fitted on these data.
        RunError: the folder holds something, or a choice was begun there; or on other data.
    """
    minutes = MINUTES if minutes is None else minutes
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < math.inf:
        raise ConfigError(f"minutes is {minutes!r}: give a number above 0")
    workshop = folder.with_name(f".{folder.name}.auto")
    if resume and (folder / "model").exists() and "auto" in open_run(folder).metrics:
        note(f"{folder} is chosen already")
        shutil.rmtree(workshop, ignore_errors=True)
        return open_run(folder)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: choose a folder for --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"{folder} holds something: choose another --out, or give --force to replace a run")
    if workshop.exists() and not resume:
        raise RunError(f"a choice for {folder} has not finished: go on with --resume, or remove {workshop}")
    dataset = source.read()
    users = min(MOST_USERS, max(1, MOST_SCORES // max(1, len(dataset.catalogue))))
    choice = _Choice(workshop, source, dataset, protocol, time.monotonic() + 60 * minutes, users)
    with all_or_nothing(folder, names=()), alone(folder), _kept_for_resume(workshop):
        workshop.mkdir(parents=True, exist_ok=True)
        runs = _candidates(choice, progress)
        if not runs:
            raise ConfigError("nothing could be fitted on these data: see the notes above")
        if len(runs) > 1:
            runs["union"] = _union(choice, dict(list(_best_first(runs, choice).items())[:2]))
            _measured(choice, runs["union"], progress)
        chosen = next(iter(_best_first(runs, choice)))
        about = {"minutes": minutes, **_told(choice, runs, chosen)}
        if chosen == "union":
            _keep_lengths(choice, runs)
        runs[chosen].add_metrics("auto", about)
        put_folder(runs[chosen].folder, folder)
        shutil.rmtree(workshop)
    return replace(open_run(folder), dataset=dataset)


@contextmanager
def _kept_for_resume(workshop: Path) -> Iterator[None]:
    """Where the block fails before anything was fitted, remove the workshop: there is nothing to go on from."""
    try:
        yield
    except Exception:
        if not any(workshop.glob("*/model")):
            shutil.rmtree(workshop, ignore_errors=True)
        raise


def _candidates(choice: _Choice, progress: Progress | None) -> dict[str, Run]:
    """The runs that could be fitted in the time, measured."""
    titled, runs = choice.dataset.catalogue.titled, dict[str, Run]()
    train = choice.dataset.split(choice.protocol).train
    for name in (*CHEAP, *([TEXT_FLOOR] if titled else ()), *TRAINED):
        folder = choice.workshop / name
        if (
            folder / "data.json"
        ).exists():  # begun before it was stopped, with the steps that were planned then
            recipe = open_run(folder).recipe
        else:
            try:
                planned = _planned(choice, name, train)
            except (ConfigError, DataError) as error:
                note(f"{name} is left out: {error}")
                continue
            if isinstance(planned, str):
                note(f"{name} is left out: {planned}")
                continue
            recipe = Recipe(*planned, protocol=choice.protocol)
        try:
            run = _trained(choice, folder, recipe, tell=not runs)
        except (ConfigError, DataError) as error:
            note(f"{name} is left out: {error}")
            continue
        _measured(choice, run, progress)
        runs[name] = run
    return runs


def _planned(choice: _Choice, name: str, train: Interactions) -> str | tuple[str, str, dict[str, Any]]:
    """Recommender, text and options of a candidate; or why there is no time for it."""
    text = f"# by genrec train auto\nrecommender: {name}\n"
    if choice.left <= 0 and name != CHEAP[0]:
        return "the time is up; --minutes gives more"
    if name not in TRAINED:
        pairs = num_pairs(train)
        if name == "itemknn" and pairs > PAIRS_A_SECOND * choice.left / 4:
            return f"it counts {pairs:,} pairs of items, more than the time allows; --minutes gives more"
        return name, text, floor_options(choice.dataset.catalogue) if name == FLOOR else {}
    recommender, options, part = TRAINED[name]
    note(f"timing {TIMED_STEPS} steps of {name}")
    whole = _seconds(recommender, options, train)
    if whole > part * choice.left:  # the first steps of a process are slow, and so is any in a busy moment
        whole = min(whole, _seconds(recommender, options, train))
    share = min(1.0, part * choice.left / max(whole, 1e-9))
    if share < LEAST_SHARE:
        need = LEAST_SHARE * whole / part / 60
        return f"a tenth of its usual steps would need about {need:,.0f} minutes; --minutes gives more"
    if share < 1:
        note(
            f"{name} gets {numbers.share(share, 0)} of its usual steps, for which there is time; --minutes gives more"
        )
    config = _with_lengths(
        recommender, options, lambda epochs, least: (max(1, round(share * epochs)), round(share * least))
    )
    return recommender, f"# by genrec train auto\nrecommender: {recommender}\n", config


def _seconds(recommender: str, options: Mapping[str, Any], train: Interactions) -> float:
    """What a whole training would take, by a few steps on a part of the users."""
    import genrec
    from genrec.data.interactions import Interactions
    from genrec.training.sequences import ItemSteps

    def num_steps(of: Any, batch_size: int, epochs: int, min_steps: int) -> int:
        plan = {"max_items": of.max_items, "batch_size": batch_size, "seed": of.seed, "min_steps": min_steps}
        return len(ItemSteps(train.histories, num_epochs=epochs, **plan))

    config = genrec.create(recommender, **options).config
    reader = config.backbone if recommender == "genrec" else config.training
    rows = np.sort(np.flatnonzero(train.histories.lengths > 1)[: reader.batch_size])
    some = Interactions(train.catalogue, train.users.gather(rows), train.histories.take(rows))
    quick = _with_lengths(recommender, options, lambda *_: (1, TIMED_STEPS))
    with tempfile.TemporaryDirectory() as scratch:
        model = genrec.create(recommender, **quick).fit(some, run=scratch)
        rates = {path.parent.relative_to(scratch): _rate(path) for path in Path(scratch).rglob("log.jsonl")}
        parts = {Path(): (config, reader.batch_size, config.training.epochs, reader.min_steps)}
        experts = vars(model).get("experts_")
        for place, expert in enumerate(() if experts is None else experts.models):
            if (home := Path("prior", str(place))) in rates:
                usual = _expert(options, expert.name).training
                parts[home] = (expert.config, usual.batch_size, usual.epochs, usual.min_steps)
    return sum(num_steps(*parts[home]) / rate for home, rate in rates.items())


def _expert(options: Mapping[str, Any], name: str) -> Any:
    """The options of a part of the prior of `genrec`, as it is fitted with its own."""
    from genrec.recommenders.base import recommender_class
    from genrec.recommenders.language.config import PRIOR

    config = recommender_class(name).Config
    own = options.get("prior_options", {}).get(name, {})
    return config(**config.merged(PRIOR.get(name, {}), own))


def _rate(path: Path) -> float:
    """Steps a second of a training, from its log."""
    rows = read_json_lines(path, dict[str, Any])
    return float(next(row["train_steps_per_second"] for row in rows if "train_runtime" in row))


def _with_lengths(
    recommender: str, options: Mapping[str, Any], of: Callable[[int, int], tuple[int, int]]
) -> dict[str, Any]:
    """Options with other lengths of all trainings; `of` makes epochs and least steps of the usual ones."""
    import genrec

    def lengths(epochs: int, min_steps: int) -> dict[str, int]:
        return dict(zip(("epochs", "min_steps"), of(epochs, min_steps), strict=True))

    config = genrec.create(recommender, **options).config
    least = config.backbone.min_steps if recommender == "genrec" else config.training.min_steps
    found = {**options, **lengths(config.training.epochs, least)}
    if recommender == "genrec" and "bsarec" in config.expected_by:
        usual, own = _expert(options, "bsarec").training, options.get("prior_options", {})
        bsarec = {**own.get("bsarec", {}), **lengths(usual.epochs, usual.min_steps)}
        found["prior_options"] = {**own, "bsarec": bsarec}
    return found


def _trained(choice: _Choice, folder: Path, recipe: Recipe, *, tell: bool) -> Run:
    from genrec.runs.train import train_run

    return train_run(folder, recipe, choice.source, resume=True, dataset=choice.dataset, tell=tell)


def _name(choice: _Choice, run: Run) -> str:
    return asked(run.parts, "validation", choice.users)[0]


def _measured(choice: _Choice, run: Run, progress: Progress | None) -> None:
    if _name(choice, run) not in run.metrics:
        options: dict[str, Any] = {"keep_lists": False, "floor": False, "progress": progress}
        run.evaluate("validation", users=choice.users, **options)


def _best_first(runs: Mapping[str, Run], choice: _Choice) -> dict[str, dict[str, Any]]:
    """The figures of each, best NDCG@10 first; of equal ones the one that was fitted first."""
    found = {name: run.metrics[_name(choice, run)] for name, run in runs.items()}
    return dict(sorted(found.items(), key=lambda one: -one[1]["NDCG@10"]))


def _union(choice: _Choice, best: Mapping[str, Any]) -> Run:
    """A run of the union of two others, of which nothing is fitted again."""
    from genrec.recommenders.union import Union

    folder, members = choice.workshop / "union", [open_run(choice.workshop / name) for name in best]
    names = [run.recipe.recommender for run in members]
    if (folder / "model").exists() and open_run(folder).recipe.options["members"] == names:
        return replace(open_run(folder), dataset=choice.dataset)
    if folder.exists():  # of other members, or half written
        shutil.rmtree(folder)
    union = Union.of([run.model for run in members])
    config = union.config.model_dump(mode="json")
    recipe = Recipe("union", "# by genrec train auto\nrecommender: union\n", config, protocol=choice.protocol)
    source = choice.source.settled(choice.dataset)
    recipe = replace(recipe, data=source.absolute().as_recipe())
    run = begin(folder, recipe, source, choice.dataset, resume=False)
    run.save_model(union)
    costs = [run.metrics["training"] for run in members]
    notes = [line for cost in costs for line in cost["notes"]]
    cost = {"seconds": sum(cost["seconds"] for cost in costs), "resumed": False, "notes": notes}
    run.add_metrics("training", cost | {"peak_memory_mb": max(cost["peak_memory_mb"] for cost in costs)})
    return run


def _keep_lengths(choice: _Choice, runs: Mapping[str, Run]) -> None:
    """Leave with the union how long validation chose to train its members, for a refit."""
    from genrec.training.length import plan_lengths

    union = runs["union"]
    for name, run in runs.items():
        if run.recipe.recommender in union.recipe.options["members"]:
            plan_lengths(choice.workshop / name, union.folder / run.recipe.recommender)


def _told(choice: _Choice, runs: Mapping[str, Run], chosen: str) -> dict[str, Any]:
    """The table, and in a sentence what to use and why."""
    figures = _best_first(runs, choice)
    seconds = {name: run.metrics["training"]["seconds"] for name, run in runs.items()}
    rows = [
        {
            "name": name,
            "HR@10": found["HR@10"],
            "NDCG@10": found["NDCG@10"],
            "interval": found["intervals"]["NDCG@10"],
            "seconds": seconds[name],
            "config": runs[name].recipe.config,
        }
        for name, found in figures.items()
    ]
    best, low = figures[chosen]["NDCG@10"], figures[chosen]["intervals"]["NDCG@10"][0]
    counted = [name for name in figures if name not in TRAINED and name != "union"]
    learnt = [name for name in figures if name in TRAINED]
    if chosen == "union":
        one, other = runs["union"].recipe.options["members"]
        why = f"the lists of {one} and {other} together find more than either alone"
        why += "" if learnt else "; nothing was trained in the time"
    elif chosen in TRAINED and counted:
        before = figures[counted[0]]["NDCG@10"]
        more = f"{numbers.share(best / before - 1, 0)} more than" if before else "where nothing is found by"
        why = f"{more} {counted[0]}, the best of what only counts"
    elif learnt:
        why = (
            f"what was trained stays below it ({learnt[0]}: {numbers.metric(figures[learnt[0]]['NDCG@10'])})"
        )
    else:
        why = "the best of what only counts; nothing was trained in the time"
    close = [
        name for name in figures if figures[name]["NDCG@10"] >= low and seconds[name] < seconds[chosen] / 2
    ]
    if close:
        quick = min(close, key=lambda name: seconds[name])
        why += (
            f"; {quick} ({numbers.metric(figures[quick]['NDCG@10'])}, {seconds[quick]:,.1f} s) lies within its 95% "
            "interval, where time is dear"
        )
    counts = choice.dataset.summary()
    data = f"{counts['num_users']:,} users, {counts['num_items']:,} items, {counts['num_interactions']:,} interactions"
    return {
        "candidates": rows,
        "chosen": chosen,
        "why": f"use {chosen} for these data ({data}): NDCG@10 {numbers.metric(best)} on validation, {why}",
    }
