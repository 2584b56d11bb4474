"""A second model of a run: fitted on training and validation items, once validation has chosen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genrec.data.files import all_or_nothing
from genrec.errors import ConfigError
from genrec.evaluation.peak_memory import peak_memory_mb
from genrec.recommenders.base import Recommender
from genrec.runs.folder import alone
from genrec.runs.notes import note
from genrec.runs.recipe import Recipe
from genrec.runs.run import Run, looks_like_run


def check_refit(recommender: Recommender, recipe: Recipe) -> None:
    """Refuse what `refit_run` cannot do, before anything is trained.

    Args:
        recommender: not fitted yet.
        recipe: its recipe with every option spelled out.

    Raises:
        ConfigError: no list of it would be measured, or an option names a run, whose model has not seen the validation
            items.
    """
    if "sequential" not in recipe.options.get("families", ["sequential"]):
        raise ConfigError(
            f"this {recommender.name} learns no lists, and --refit adds a column to the table of lists: leave it out"
        )
    for name, value in recipe.options.items():
        for word in _words(value):
            if looks_like_run(Path(word)):
                raise ConfigError(
                    f"{name}={word} is a run, whose model was trained without the validation items: name a recommender "
                    "for --refit, or leave that out"
                )


def _words(value: Any) -> Iterator[str]:
    """All texts in an option."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _words(inner)


def refit_run(run: Run) -> None:
    """Fit the run's recommender again on all that stands before the test targets, into `refit/`.

    The model under `model/` stays as it is, and what validation chose for it is carried over: the length of each
    training, and weights. A refit that was stopped goes on; one that is there is left as it is.

    Raises:
        RunError: the training has not finished, the data are gone, or checkpoints that tell its length.
    """
    from genrec.training.length import plan_lengths

    home = run.refit_folder
    if (home / "model").exists():
        note(f"{home} is trained already")
        return
    chosen, data = run.model, run.data.before_test(run.recipe.protocol)
    note(f"training {chosen.name} again on {data.num_interactions:,} interactions, validation items included")
    start, resumed = time.perf_counter(), home.exists()
    with alone(run.folder), all_or_nothing(home, keep=lambda error: _goes_on(error, home)):
        plan_lengths(run.folder, home)
        again = chosen.refit(data, run=home, resume=True)
        run.save_model(again, home)
    cost = {
        "seconds": time.perf_counter() - start,
        "resumed": resumed,
        "peak_memory_mb": peak_memory_mb(),
        "num_interactions": data.num_interactions,
    }
    run.add_metrics("refit", cost)


def _goes_on(error: BaseException, home: Path) -> bool:
    """Whether a refit that ended so has left something that --resume goes on from."""
    return not isinstance(error, Exception) or any(home.glob("**/checkpoint-*"))
