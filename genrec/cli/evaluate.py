"""`genrec evaluate`: the protocol's table for a run, or for lists that another program made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from genrec.cli.audit import warn
from genrec.cli.environment import environment
from genrec.cli.measured_run import MeasuredRun, data_facts, targets_of
from genrec.cli.options import BatchSize, DataSource, Exact, HeldOut, Json, one_of
from genrec.cli.reading import Reading, reads_data
from genrec.cli.run_folder import open_run
from genrec.cli.task_tables import measure_tasks, print_tasks
from genrec.cli.terminal import note, print_facts, print_json, print_table
from genrec.errors import ConfigError

_RATES = ("exact_rate", "invalid_rate", "duplicate_rate", "seen_rate")


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
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="Data behind --rankings; or where a run's data lie now."),
    ] = None,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    protocol: HeldOut = None,
    as_json: Json = False,
) -> None:
    """Measure a run: rank the whole catalogue for each user and look where the target stands.

    With --rankings FILE --data PATH: measure lists that any program made (columns user_id, rank, item_id, score).
    The options from --items to --protocol say how those data are read and held out; a run knows that.
    """
    one_of(split, ("test", "validation"), "the split")
    if users is not None and users < 1:
        raise ConfigError(f"--users is {users}; ask for at least 1 user")
    if exact and task is not None:
        raise ConfigError("--exact is about lists, and --task asks for more than lists: give one of them")
    if rankings is None:
        if run is None:
            raise ConfigError("there is nothing to measure: give a RUN, or --rankings FILE and --data PATH")
        for name in [*reading.given(), *(["protocol"] if protocol is not None else [])]:
            raise ConfigError(f"--{name.replace('_', '-')} goes with --rankings: {run} knows its own")
        measured_run = MeasuredRun.open(open_run(run), split, users, data, batch_size)
        _evaluate_run(measured_run, exact, task, as_json)
        return
    if run is not None:
        raise ConfigError(f"both {run} and --rankings {rankings} are given: measure one at a time")
    if data is None:
        raise ConfigError("--rankings needs --data PATH, which holds the targets of the lists")
    if batch_size is not None:
        raise ConfigError(
            "--batch-size is about ranking, and the lists of --rankings are there: leave it out"
        )
    if exact:
        raise ConfigError("--exact is about searching, and the lists of --rankings are there: leave it out")
    if task is not None:
        raise ConfigError(
            "--task is about asking a recommender, and --rankings has lists alone: leave it out"
        )
    measured = _measure_file(rankings, reading.source(data), protocol or "leave-one-out", split, users)
    if as_json:
        print_json(measured)
    else:
        print_evaluation(measured, f"{rankings}, {split}")


def _evaluate_run(measured: MeasuredRun, exact: bool, task: str | None, as_json: bool) -> None:
    """Measure a run's lists, or the tasks that are named, and print what was found."""
    if task is None:
        name, found = measured.name("exact" if exact else ""), measured.measure_lists(exact=exact)
    else:
        name, found = measured.name("tasks"), measure_tasks(measured, task)
    if as_json:
        print_json(found)
    else:
        show = print_evaluation if task is None else print_tasks
        show(found, measured.title(name))


def _measure_file(
    path: Path, source: DataSource, protocol_name: str, split: str, users: int | None
) -> dict[str, Any]:
    """What is printed of lists in a file."""
    from genrec.audit.run import measured_findings
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation import protocol

    dataset = source.read()
    parts = dataset.split(protocol_name)
    targets = targets_of(parts, split)
    rankings = read_rankings(path, targets)
    if users is not None and users < len(targets):
        sample = targets.sample(users)
        rankings, targets = rankings.take(targets.users.is_in(sample.users).arg_true().to_numpy()), sample
    result = protocol.evaluate_rankings(rankings, targets).to_json()
    if result["depth"] < max(protocol.CUT_OFFS):
        note(
            f"the shortest list has {result['depth']} items once seen ones are dropped: deeper cut-offs are left out"
        )
    if result["num_without_list"]:
        note(f"{result['num_without_list']:,} of {len(targets):,} users have no list, which counts as a miss")
    judged = {**result, "seen_rate": 0.0}  # seen items were dropped, and the table tells how many
    warn(measured_findings(path.name, judged, parts.train, targets))
    provenance = {
        "rankings": str(path),
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "num_interactions": dataset.interactions.num_interactions,
        "protocol": protocol_name,
        "split": split,
        "fingerprint": dataset.fingerprint,
        "commit": environment()["commit"],
    }
    return {**result, "provenance": provenance}


def print_evaluation(measured: Mapping[str, Any], title: str) -> None:
    """Print the protocol's table: each metric with its interval, and without the seen filter beside it."""
    unfiltered, about = measured["unfiltered"], measured["provenance"]
    rows = [
        (name, f"{measured[name]:.4f}", f"{low:.4f} – {high:.4f}", f"{unfiltered[name]:.4f}")
        for name, (low, high) in measured["intervals"].items()
    ]
    as_given = "list as given" if "rankings" in about else "seen allowed"
    print_table(["metric", "seen excluded", "95 % interval", as_given], rows, title)
    facts = {
        **data_facts(about),
        "protocol": f"{about['protocol']}, all {measured['num_items']:,} items ranked",
        "users": int(measured["num_users"]),
        "users without a list": measured.get("num_without_list"),
        "interactions": about["num_interactions"],
        "seed": about.get("seed"),
        "beams": about.get("config", {}).get("beams"),
        **{name.replace("_", " "): f"{measured[name]:.2%}" for name in _RATES if name in measured},
    }
    if "seconds" in measured:
        facts["seconds"] = f"{measured['seconds']:.1f}"
        facts["peak memory"] = f"{measured['peak_memory_mb']:,.0f} MiB"
    print_facts({**facts, "commit": about["commit"]})
