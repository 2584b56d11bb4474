"""Training by a recipe into a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.data.files import all_or_nothing, put_folder
from genrec.data.split import spelt
from genrec.errors import ConfigError
from genrec.evaluation.peak_memory import peak_memory_mb
from genrec.runs.auto import auto_run
from genrec.runs.dated import next_dated, remove_old, switch
from genrec.runs.earlier import Earlier
from genrec.runs.floor import cheap_floors
from genrec.runs.folder import NAMES, alone, begin, in_use, next_to
from genrec.runs.measure import asked
from genrec.runs.notes import note, warn
from genrec.runs.recipe import AUTO, Recipe, read_recipe
from genrec.runs.refit import check_refit, refit_run
from genrec.runs.run import Run
from genrec.runs.source import DataSource

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.evaluation.protocol import Progress


def train(
    recipe: str | Path | Recipe,
    data: str | Path | DataSource | None,
    out: str | Path,
    *,
    read: Mapping[str, Any] | None = None,
    protocol: str | None = None,
    cold_share: float | None = None,
    resume: bool = False,
    refit: bool = False,
    force: bool = False,
    keep: int | None = None,
    from_run: str | Path | None = None,
    budget: float | None = None,
    floors: bool | None = None,
    minutes: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Train by a recipe into a run folder and measure it on validation, as `genrec train` does.

    The test targets are left alone until `Run.evaluate`. A training that was stopped goes on with `resume`.

    Args:
        recipe: name of a recommender or of a recipe of the package, path of a YAML file, or the `recipe` of a run; or
            `auto`, which fits several and chooses on validation (`run.metrics["auto"]` has the table and tells why).
        data: file or folder of interactions, or `synthetic`; None: as the recipe says.
        out: the run folder to make.
        read: how the data are read, as `genrec.read` takes it; what is left out is the recipe's.
        protocol: how targets are held out, `leave-one-out` or `temporal`; None: as the recipe says.
        cold_share: share of the items whose interactions are all held out of the training part, so that only their
            words are known, as with the protocol `leave-one-out+cold=0.1`; None: as the protocol says.
        resume: go on with a run that was begun in `out` with the same recipe and data; one that is finished is measured
            again.
        refit: train a second time, on training and validation items, as validation has chosen; the test is measured
            with both. A run that has finished gets it with `resume`.
        force: train again where a run is, which answers until the new model is whole and takes its place.
        keep: make `out` a folder of runs, each named by its moment, with a link `latest` that is switched to this one
            when it is whole; so many of the newest stay, and older ones are removed. Nothing else in `out` is touched.
        from_run: start from what an earlier run has learnt, of the same recommender on a log that has grown since:
            items are known by their ids and words by their text.
        budget: with `from_run`, the share of the steps of a whole training that is taken; None: 0.3.
        floors: measure `popular`, `itemknn` and `transitions` on the validation questions as well; None: as far as that
            takes less than a tenth of the training's time.
        minutes: with `auto`, how long to fit and measure, about; None: 30. `refit` comes on top.
        progress: called with (users done, users in all) while validation is measured.
        options: of the recommender, before the recipe's.

    Returns:
        The finished run.

    Raises:
        ConfigError: no such recipe, protocol or share, or an option that the recommender does not have, or one that
            rules `refit` out; or `keep` is no whole number of at least 1, or given with `force`; or the recommender
            cannot start from that run, or `refit` is given with it; or an option that `auto` does not take.
        RunError: `out` holds something, or was begun differently, or another process trains there.
        DataError, CatalogueError: data that cannot be read.
    """
    from genrec.recommenders.asked import as_count

    ways: dict[str, Any] = {"resume": resume, "refit": refit, "progress": progress}
    make: Callable[..., Run]
    if recipe == AUTO:
        for name, value in {**options, "from_run": from_run, "budget": budget, "floors": floors}.items():
            if value is not None:
                raise ConfigError(f"auto chooses the recommender and its options: leave {name} out")
        held_out, recipe_data = spelt(protocol or "leave-one-out", cold_share), dict[str, Any]()
        make, ways = _whole_choice, ways | {"protocol": held_out, "minutes": minutes}
    else:
        if minutes is not None:
            raise ConfigError("minutes (--minutes) is of auto, which chooses a recommender: leave it out")
        recipe = recipe if isinstance(recipe, Recipe) else read_recipe(str(recipe))
        held_out, recipe_data = spelt(protocol or recipe.protocol, cold_share), recipe.data
        recipe = replace(recipe.with_options(options), protocol=held_out)
        earlier = None if from_run is None else Earlier.of(from_run, budget, held_out)
        if earlier is None and budget is not None:
            raise ConfigError(
                "budget (--budget) is of a training that starts from an earlier run: name one (--from)"
            )
        if earlier is not None and refit:
            raise ConfigError(
                "--refit trains afresh, and --from starts from an earlier run: give one of them"
            )
        make, ways = _whole_run, ways | {"recipe": recipe, "earlier": earlier, "floors": floors}
    if not isinstance(data, DataSource):
        given = dict(read or {})
        items = given.pop("items", None)
        path = None if data is None else str(data)
        data = DataSource.of_recipe(recipe_data, path, None if items is None else str(items), given)
    place = Path(out)
    if keep is not None:
        keep = as_count(keep, "keep", "run")
        if force:
            raise ConfigError(
                "--keep trains beside the runs that are there, and --force replaces one: give one of them"
            )
        with all_or_nothing(place, names=()), alone(place):
            folder = next_dated(place, resume=resume)
            run = make(folder, folder, data, **ways)
            switch(folder)
            for old in remove_old(place, keep):
                note(f"removed {old}, as the newest {keep:,} are kept")
        return run
    if force and place.is_dir() and any(place.iterdir()):
        with alone(place):  # nobody else replaces it, goes on with it or edits it meanwhile
            return make(next_to(place), place, data, **ways)
    return make(place, place, data, **ways)


def _whole_choice(
    folder: Path,
    place: Path,
    data: DataSource,
    *,
    protocol: str,
    minutes: float | None,
    resume: bool,
    refit: bool,
    progress: Progress | None,
) -> Run:
    """Choose a recommender in a folder, and let its run take the place where it is to be."""
    run = auto_run(folder, data, protocol, minutes=minutes, resume=resume, progress=progress)
    if folder != place:
        put_folder(folder, place)
        run = replace(run, folder=place)
    for name, metrics in run.metrics.items():
        if "provenance" in metrics:  # of where it was measured
            run.add_metrics(name, {**metrics, "provenance": run.provenance("validation")})
    if refit:
        refit_run(run)
    return run


def _whole_run(
    folder: Path,
    place: Path,
    data: DataSource,
    *,
    recipe: Recipe,
    resume: bool,
    refit: bool,
    earlier: Earlier | None,
    floors: bool | None,
    progress: Progress | None,
) -> Run:
    """Train in a folder, let it take the place where it is to be, and measure it there."""
    from genrec.tasks.recommender import recommends

    run = train_run(folder, recipe, data, resume=resume, refit=refit, earlier=earlier)
    if folder != place:
        put_folder(folder, place)
        run = replace(run, folder=place)
    if recommends(run.model):
        config = run.model.config
        name, sampled = asked(run.parts, "validation", config.validation_users)
        note(
            f"validation on {len(sampled):,} of {len(run.parts.validation):,} users (validation_users), "
            f"{config.ranking_batch:,} at once (ranking_batch)"
        )
        run.evaluate(
            "validation", users=config.validation_users, keep_lists=False, floor=False, progress=progress
        )
        cheap_floors(run, name, sampled, always=floors)
    if refit:
        refit_run(run)
    return run


def train_run(
    folder: Path,
    recipe: Recipe,
    source: DataSource,
    *,
    resume: bool,
    refit: bool = False,
    earlier: Earlier | None = None,
    dataset: Dataset | None = None,
    tell: bool = True,
) -> Run:
    """`train` without measuring; a run that is finished already is left as it is.

    Args:
        folder: made if needed.
        recipe: what to train; its `data` was merged into `source`.
        source: what to train on.
        resume: take up a run that was begun with the same recipe and data.
        refit: refuse what cannot be trained again on the validation items.
        earlier: the run to start from; None: afresh.
        dataset: that was read from `source`; None: read now.
        tell: what is noted and found of the data.
    """
    import genrec
    from genrec.audit.data import quick_findings

    recommender = genrec.create(recipe.recommender, **recipe.config)
    recommender.check()
    config, data = recommender.config.model_dump(mode="json"), source.absolute().as_recipe()
    resolved = replace(recipe, config=config, data=data)
    if refit:
        check_refit(recommender, resolved)
    dataset = source.read() if dataset is None else dataset
    source = source.settled(dataset)
    resolved = replace(resolved, data=source.absolute().as_recipe())
    with all_or_nothing(folder, names=NAMES, keep=lambda error: _goes_on(error, folder)), alone(folder):
        if earlier is not None:
            earlier.check_grown(dataset.interactions.num_interactions)
        run = begin(
            folder, resolved, source, dataset, resume=resume, start=None if earlier is None else earlier.about
        )
        if run.finished:
            note(f"{folder} is trained already")
            return run
        for line in dataset.report.notes if tell else ():
            note(f"note: {line}")
        train, counts = run.parts.train, run.about_data["counts"]
        note(
            f"training {recipe.recommender} on {counts['name']}: {counts['num_users']:,} users, "
            f"{counts['num_items']:,} items, {train.num_interactions:,} interactions in the training part"
        )
        if tell:
            warn(quick_findings(run.parts, resolved.options))
        start = time.perf_counter()
        begun = None
        if earlier is not None:
            begun, ids = earlier.start(), set(dataset.catalogue.ids)
            known = len(ids.intersection(begun.model.catalogue.ids))
            note(
                f"starting from {earlier.run.folder}, which knows {known:,} of the {len(ids):,} items, with "
                f"{earlier.budget:.3g} of the steps"
            )
        recommender.fit(train, run.parts.validation, run=folder, resume=resume, start=begun)
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
    return run


def _goes_on(error: BaseException, folder: Path) -> bool:
    """Whether a training that ended so has left something that --resume goes on from, or that is another's."""
    return not isinstance(error, Exception) or in_use(folder) or any(folder.glob("**/checkpoint-*"))
