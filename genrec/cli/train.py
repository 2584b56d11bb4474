"""`genrec train`: from interactions and a recipe to a run folder."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli import run_folder
from genrec.cli.audit import warn
from genrec.cli.evaluate import print_evaluation
from genrec.cli.options import (
    DataSource,
    HeldOut,
)
from genrec.cli.reading import Reading, reads_data
from genrec.cli.recipe import Recipe, read_recipe
from genrec.cli.terminal import note, progress, stdout, stoppable
from genrec.data.files import all_or_nothing
from genrec.evaluation.peak_memory import peak_memory_mb

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.recommenders.base import Recommender


@reads_data
def train(
    what: Annotated[
        str,
        typer.Argument(metavar="RECOMMENDER_OR_RECIPE", help="See `genrec recommenders`, or a YAML file."),
    ],
    data: Annotated[
        str, typer.Option("--data", metavar="PATH", help="File or folder of interactions, or 'synthetic'.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder to make for this run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of the recommender, as in seed=1."),
    ] = None,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    protocol: HeldOut = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train a recommender on a log of interactions.

    The run folder keeps everything that is needed to measure, use and repeat the training. The test targets
    are left alone until `genrec evaluate`.
    """
    from genrec.evaluation.task_recommender import recommends

    recipe = read_recipe(what).with_overrides(overrides or [])
    if protocol is not None:
        recipe = replace(recipe, protocol=protocol)
    source = reading.source(data, recipe.data)
    run, dataset = train_run(out, recipe, source, resume=resume)
    model, next_step = run.load(), f"genrec evaluate {run.folder}"
    if recommends(model):
        measured = _measure_validation(run, model, dataset)
        print_evaluation(measured, f"{recipe.recommender}, validation")
    else:
        next_step += " --task all"
    stdout().print(f"trained in {run.folder}; next: {next_step}")


def train_run(
    folder: Path, recipe: Recipe, source: DataSource, *, resume: bool
) -> tuple[run_folder.Run, Dataset]:
    """Train by a recipe into a run folder; a run that is finished already is left as it is.

    Args:
        folder: made if needed.
        recipe: what to train; its `data` was merged into `source`.
        source: what to train on.
        resume: take up a run that was begun with the same recipe and data.

    Returns:
        The finished run, and the data set as read.

    Raises:
        GenrecError: see `run_folder.begin`, `genrec.create` and `genrec.read`.
    """
    import genrec
    from genrec.audit.data import quick_findings

    recommender = genrec.create(recipe.recommender, **recipe.config)
    dataset = source.read()
    parts = dataset.split(recipe.protocol)
    made = all_or_nothing(folder, names=run_folder.NAMES, keep=lambda error: _goes_on(error, folder))
    with made, run_folder.alone(folder):
        run = run_folder.begin(folder, recipe, recommender, source, dataset, resume=resume)
        if run.finished:
            note(f"{folder} is trained already")
            return run, dataset
        counts = dataset.summary()
        for line in dataset.report.notes:
            note(f"note: {line}")
        note(
            f"training {recipe.recommender} on {counts['name']}: {counts['num_users']:,} users, "
            f"{counts['num_items']:,} items, {parts.train.num_interactions:,} interactions in the training part"
        )
        warn(quick_findings(parts, run.config["config"]))
        start = time.perf_counter()
        with stoppable("go on with the same command and --resume"):
            recommender.fit(parts.train, parts.validation, run=folder, resume=resume)
            run.save_model(recommender)
    notes = recommender.notes()
    for line in notes:
        note(line)
    cost = {
        "seconds": time.perf_counter() - start,
        "resumed": resume,
        "peak_memory_mb": peak_memory_mb(),
        "notes": notes,
    }
    run.add_metrics("training", cost)
    return run, dataset


def _goes_on(error: BaseException, folder: Path) -> bool:
    """Whether a training that ended so has left something that --resume goes on from, or that is another's."""
    return (
        not isinstance(error, Exception)
        or isinstance(error, typer.Exit)
        or run_folder.in_use(folder)
        or any(folder.glob("**/checkpoint-*"))
    )


def _measure_validation(run: run_folder.Run, model: Recommender, dataset: Dataset) -> dict[str, Any]:
    """Metrics on a sample of the validation users, kept in the run."""
    from genrec.audit.run import measured_findings
    from genrec.evaluation.protocol import evaluate

    parts = dataset.split(run.protocol)
    targets = parts.validation
    sampled = targets.sample(model.config.validation_users)
    note(
        f"validation on {len(sampled):,} of {len(targets):,} users (validation_users), "
        f"{model.config.ranking_batch:,} at once (ranking_batch)"
    )
    with progress("measuring on validation") as tick:
        result = evaluate(model.rank, sampled, progress=tick).to_json()
    measured = {**result, "provenance": run.provenance("validation")}
    name = "validation" if len(sampled) == len(targets) else f"validation-{len(sampled)}-users"
    run.add_metrics(name, measured)
    warn(measured_findings("validation", result, parts.train, sampled))
    return measured
