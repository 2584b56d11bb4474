"""`genrec data`: look at a data set, fetch a public one, or write the invented one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genrec.cli.command import Command
from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.options import Json
from genrec.cli.path_or_command import PathOrCommand
from genrec.cli.terminal import note, print_facts, print_json, print_table, stderr, stdout, stoppable
from genrec.cli.wizard import propose_columns
from genrec.errors import ConfigError

app = typer.Typer(
    cls=PathOrCommand,
    help="Look at a data set (`genrec data PATH`, or `data show`), fetch a public one, or write the invented one.",
)


@app.command(cls=Command)
@reads_data
def show(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="File or folder of interactions, or 'synthetic'.")
    ],
    data_options: DataOptions = NONE_GIVEN,
    wizard: Annotated[
        bool,
        typer.Option("--wizard", help="Propose which column is which, and the command to train with them."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a data set and tell what is in it, and what was dropped and why."""
    if wizard:
        if as_json:
            raise ConfigError("--wizard prints for people: leave --json out")
        propose_columns(path, data_options)
        return
    source = data_options.source(path)
    summary = source.read(tell=False).summary()
    if as_json:
        print_json(summary)
        return
    facts = {
        "users": summary["num_users"],
        "items": f"{summary['num_items']:,} taken, {summary['num_listed_items']:,} listed",
        "interactions": summary["num_interactions"],
        "orders": summary["num_orders"],
        "time": _time_range(summary["first_time"], summary["last_time"]),
        "history": (
            f"{summary['shortest_history']:,} to {summary['longest_history']:,} interactions a user, "
            f"median {summary['median_history']:g}"
        ),
        "titles": _titles(summary),
        "ratings": summary["has_ratings"],
        "texts": summary["has_texts"],
        "headlines": summary["has_headlines"],
        "fields": ", ".join(summary["fields"]) or None,
        "layout": summary["layout"],
        "rows read": summary["rows"],
        **{f"dropped, {reason}": count for reason, count in summary["dropped"].items()},
        "fingerprint": summary["fingerprint"][:16],
    }
    print_facts(facts, summary["name"])
    for line in summary["notes"]:
        stdout().print(f"note: {line}")


@app.command(cls=Command)
def get(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Left out: list the names.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The data come into DIR/NAME.")] = Path(
        "data"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier download put there.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the names.")] = False,
) -> None:
    """Download a public data set from its publisher; a stopped download goes on where it was."""
    from genrec.data import download, sources

    if name is None or listing:
        print_table(
            ["name", "what it is"], [(known.name, known.about) for known in sources.sources().values()]
        )
        return
    with stoppable("go on with the same command"):
        folder = download.get(name, out, force=force, progress=stderr().is_terminal)
    stdout().print(f"downloaded to {folder}; next: genrec data {folder}")


@app.command(cls=Command)
def synthetic(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write the CSV files to.")],
    users: Annotated[int, typer.Option("--users", metavar="N", help="Users to invent.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal data.")] = 0,
) -> None:
    """Write the invented data set as CSV files, as an example of the layout for your own."""
    from genrec.data.synthetic import synthetic as invent
    from genrec.data.synthetic import write

    dataset = invent(users, seed)
    folder = write(dataset, out)
    for line in dataset.report.notes:
        note(line)
    stdout().print(f"wrote {folder}; next: genrec data {folder}")


def _time_range(first: int | None, last: int | None) -> str:
    from genrec.data.readers.times import COUNTS, iso_day

    if first is None or last is None:
        return "none, only an order"
    if max(abs(first), abs(last)) < COUNTS:
        return f"an order of numbers, {first:,} to {last:,}, no dates"
    return f"{iso_day(first)} to {iso_day(last)}"


def _titles(summary: dict[str, Any]) -> str:
    if not summary["has_titles"]:
        return "none, items are known by their ids"
    return (
        f"{summary['repeated_titles']:,} repeated, {summary['decoded_entities']:,} with HTML entities decoded"
    )
