"""`genrec evaluate`: the protocol's table for a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from genrec.cli.options import Exact, Json, MovedData, Run, one_of
from genrec.cli.run_folder import open_run
from genrec.cli.terminal import print_facts, print_json, print_table, progress
from genrec.errors import ConfigError

_RATES = ("exact_rate", "invalid_rate", "duplicate_rate")


def evaluate(
    run: Run,
    split: Annotated[str, typer.Option("--split", metavar="test|validation", help="Which targets.")] = "test",
    users: Annotated[
        int | None,
        typer.Option("--users", metavar="N", help="Measure on a sample of N users, always the same."),
    ] = None,
    exact: Exact = False,
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Measure a run: rank the whole catalogue for each user and look where the target stands."""
    from genrec.data.ranking_file import write_rankings
    from genrec.evaluation import protocol

    one_of(split, ("test", "validation"), "the split")
    if users is not None and users < 1:
        raise ConfigError(f"--users is {users}; ask for at least 1 user")
    opened = open_run(run)
    model = opened.load()
    parts = opened.read_data(data).split(opened.protocol)
    targets = parts.test if split == "test" else parts.validation
    name = split + ("-exact" if exact else "")
    if users is not None and users < len(targets):
        targets = targets.sample(users)
        name += f"-{users}-users"
    with progress("measuring") as tick:
        result = protocol.evaluate(model.rank, targets, progress=tick, exact=exact)
    measured = {**result.to_json(), "provenance": opened.provenance(split)}
    write_rankings(opened.rankings_path(name), result.rankings, targets)
    opened.add_metrics(name, measured)
    if as_json:
        print_json(measured)
    else:
        print_evaluation(measured, f"{opened.config['recommender']} in {run}, {name}")


def print_evaluation(measured: Mapping[str, Any], title: str) -> None:
    """Print the protocol's table: each metric with its interval, and without the seen filter beside it."""
    unfiltered, about = measured["unfiltered"], measured["provenance"]
    rows = [
        (name, f"{measured[name]:.4f}", f"{low:.4f} – {high:.4f}", f"{unfiltered[name]:.4f}")
        for name, (low, high) in measured["intervals"].items()
    ]
    print_table(["metric", "seen excluded", "95 % interval", "seen allowed"], rows, title)
    facts = {
        "data": about["data"]
        + (" (SYNTHETIC: invented, says nothing about real people)" if about["synthetic"] else ""),
        "protocol": f"{about['protocol']}, all {measured['num_items']:,} items ranked",
        "users": int(measured["num_users"]),
        "interactions": about["num_interactions"],
        "seed": about["seed"],
        "beams": about["config"].get("beams"),
        **{name.replace("_", " "): f"{measured[name]:.2%}" for name in _RATES},
        "seconds": f"{measured['seconds']:.1f}",
        "peak memory": f"{measured['peak_memory_mb']:,.0f} MiB",
        "commit": about["commit"],
    }
    print_facts(facts)
