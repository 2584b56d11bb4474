"""`genrec evaluate`: the protocol's table for a run, or for lists that another program made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.options import BatchSize, Exact, HeldOut, Json
from genrec.cli.tables import print_evaluation, print_tasks
from genrec.cli.terminal import print_json, progress
from genrec.errors import ConfigError
from genrec.runs.measure import asked, measure_file
from genrec.runs.run import open_run


@reads_data
def evaluate(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Folder that `genrec train` wrote.")
    ] = None,
    rankings: Annotated[
        Path | None,
        typer.Option(
            "--rankings", metavar="FILE", help="Measure this Parquet file of lists in place of a run."
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", metavar="test|validation", help="Which targets.")] = "test",
    users: Annotated[
        int | None,
        typer.Option("--users", metavar="N", help="Measure on a sample of N users, always the same."),
    ] = None,
    exact: Exact = False,
    batch_size: BatchSize = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="all|NAME[,NAME]",
            help="Measure tasks, beside simple answers to the same questions.",
        ),
    ] = None,
    floor: Annotated[
        bool | None,
        typer.Option(
            "--floor/--no-floor",
            help="Measure `transitions`, which trains nothing, on the same users; [default: on]",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="Data behind --rankings; or where a run's data lie now."),
    ] = None,
    data_options: DataOptions = NONE_GIVEN,
    protocol: HeldOut = None,
    as_json: Json = False,
) -> None:
    """Measure a run: rank the whole catalogue for each user and look where the target stands.

    With --rankings FILE --data PATH: measure lists that any program made (columns user_id, rank, item_id, score).
    The options from --items to --protocol say how those data are read and held out; a run knows that.
    """
    if exact and task is not None:
        raise ConfigError("--exact is about lists, and --task asks for more than lists: give one of them")
    if rankings is None:
        if run is None:
            raise ConfigError("there is nothing to measure: give a RUN, or --rankings FILE and --data PATH")
        for name in [*data_options, *(["protocol"] if protocol is not None else [])]:
            raise ConfigError(f"--{name.replace('_', '-')} goes with --rankings: {run} knows its own")
        opened = open_run(run, data)
        with progress("measuring") as tick:
            options: dict[str, Any] = {"users": users, "batch_size": batch_size, "progress": tick}
            if task is None:
                what = "exact" if exact else ""
                found = opened.evaluate(split, exact=exact, floor=floor is not False, **options)
            else:
                tasks = task if task == "all" else task.split(",")
                what, found = "tasks", opened.evaluate_tasks(tasks, split, **options)
        name = asked(opened.parts, split, users, what)[0]
        title = f"{opened.recipe.recommender} in {run}, {name}"
        _print(found, title, as_json)
        return
    if run is not None:
        raise ConfigError(f"both {run} and --rankings {rankings} are given: measure one at a time")
    if data is None:
        raise ConfigError("--rankings needs --data PATH, which holds the targets of the lists")
    for given, what in (
        (batch_size is not None, "--batch-size is about ranking"),
        (exact, "--exact is about searching"),
        (task is not None, "--task is about asking a recommender"),
        (floor is not None, "--floor and --no-floor are about runs"),
    ):
        if given:
            raise ConfigError(f"{what}, and the lists of --rankings are there: leave it out")
    found = measure_file(rankings, data_options.source(data), protocol or "leave-one-out", split, users)
    _print(found, f"{rankings}, {split}", as_json)


def _print(found: Mapping[str, Any], title: str, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        (print_tasks if "tasks" in found else print_evaluation)(found, title)
