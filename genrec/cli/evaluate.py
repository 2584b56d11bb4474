"""`genrec evaluate`: the protocol's table for a run, or for lists that another program made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.audit import warn
from genrec.cli.environment import environment
from genrec.cli.options import (
    DataSource,
    Exact,
    HeldOut,
    Json,
    one_of,
)
from genrec.cli.reading import Reading, reads_data
from genrec.cli.run_folder import Run, open_run
from genrec.cli.terminal import note, print_facts, print_json, print_table, progress
from genrec.errors import ConfigError

if TYPE_CHECKING:
    from genrec.data.interactions import Targets
    from genrec.data.split import Split

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
    if rankings is None:
        if run is None:
            raise ConfigError("there is nothing to measure: give a RUN, or --rankings FILE and --data PATH")
        for name in [*reading.given(), *(["protocol"] if protocol is not None else [])]:
            raise ConfigError(f"--{name.replace('_', '-')} goes with --rankings: {run} knows its own")
        measured, title = _measure_run(open_run(run), split, users, exact, data)
    else:
        if run is not None:
            raise ConfigError(f"both {run} and --rankings {rankings} are given: measure one at a time")
        if data is None:
            raise ConfigError("--rankings needs --data PATH, which holds the targets of the lists")
        if exact:
            raise ConfigError(
                "--exact is about searching, and the lists of --rankings are there: leave it out"
            )
        measured, title = _measure_file(
            rankings, reading.source(data), protocol or "leave-one-out", split, users
        )
    if as_json:
        print_json(measured)
    else:
        print_evaluation(measured, title)


def _measure_run(
    run: Run, split: str, users: int | None, exact: bool, moved_to: str | None
) -> tuple[dict[str, Any], str]:
    """What is printed of a run, and its title; the metrics and the lists behind them are kept in the run."""
    from genrec.data.ranking_file import write_rankings
    from genrec.evaluation import protocol
    from genrec.evaluation.audit_run import measured_findings

    model = run.load()
    parts = run.read_data(moved_to).split(run.protocol)
    targets = _targets(parts, split)
    name = split + ("-exact" if exact else "")
    if users is not None and users < len(targets):
        targets = targets.sample(users)
        name += f"-{users}-users"
    with progress("measuring") as tick:
        result = protocol.evaluate(model.rank, targets, progress=tick, exact=exact)
    measured = {**result.to_json(), "provenance": run.provenance(split)}
    write_rankings(run.rankings_path(name), result.rankings, targets)
    run.add_metrics(name, measured)
    warn(measured_findings(name, measured, parts.train, targets))
    return measured, f"{run.config['recommender']} in {run.folder}, {name}"


def _measure_file(
    path: Path, source: DataSource, protocol_name: str, split: str, users: int | None
) -> tuple[dict[str, Any], str]:
    """What is printed of lists in a file, and its title."""
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation import protocol
    from genrec.evaluation.audit_run import measured_findings

    dataset = source.read()
    parts = dataset.split(protocol_name)
    targets = _targets(parts, split)
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
    return {**result, "provenance": provenance}, f"{path}, {split}"


def _targets(parts: Split, split: str) -> Targets:
    return parts.test if split == "test" else parts.validation


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
        "data": about["data"]
        + (" (SYNTHETIC: invented, says nothing about real people)" if about["synthetic"] else ""),
        "LEAK": about.get("leak"),
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
