"""`genrec bench`: how fast this machine is with these data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.options import BatchSize, HeldOut, Json, MovedData
from genrec.cli.terminal import print_json, print_table, stdout, stoppable
from genrec.data.files import write_text
from genrec.errors import ConfigError
from genrec.runs.environment import environment
from genrec.runs.run import looks_like_run, open_run
from genrec.runs.source import SYNTHETIC

if TYPE_CHECKING:
    from genrec.runs.bench import Row

_TITLE = "genrec bench"  # a page's first words, by which it is known as ours
_COLUMNS = ("what", "figure", "unit", "peak memory, MB")


@reads_data
def bench(
    what: Annotated[
        str, typer.Argument(metavar="[DATA|RUN]", help="Interactions, or a run folder to decode with.")
    ] = SYNTHETIC,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="What a row may take, about.")
    ] = 5.0,
    data_options: DataOptions = NONE_GIVEN,
    protocol: HeldOut = None,
    data: MovedData = None,
    batch_size: BatchSize = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.md", help="Write the table as a page, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure reading, training, decoding and metrics on this machine, within minutes.

    Without DATA the invented data set is measured, so that machines can be compared. Nothing that is trained is kept.
    """
    from genrec.runs.bench import measure

    if not seconds > 0:
        raise ConfigError(f"--seconds is {seconds:g}; give a row more than 0, for example 5")
    if out is not None:
        _check_out(out)
    if looks_like_run(Path(what)):
        for name in [*data_options, *(["protocol"] if protocol is not None else [])]:
            raise ConfigError(f"--{name.replace('_', '-')} goes with DATA: {what} knows its own")
        run = open_run(what, data)
        trained, held_out, read = run.model, run.recipe.protocol, lambda: run.data
    else:
        if data is not None:
            raise ConfigError("--data is for runs whose data were moved: give the data in place of the run")
        trained, held_out, read = None, protocol or "leave-one-out", data_options.source(what).read
    with stoppable("nothing was kept; the same command measures again"):
        dataset, rows = measure(read, held_out, trained, seconds, batch_size)
    names = ("num_users", "num_items", "num_interactions")
    counts = {name: getattr(dataset.interactions, name) for name in names}
    about = {"data": dataset.name, **counts, "environment": environment()}
    if out is not None:
        _write(out, about, rows)
    if as_json:
        print_json({**about, "rows": [vars(row) for row in rows]})
        return
    print_table(_COLUMNS, _cells(rows), _line(about))
    if out is not None:
        stdout().print(f"page: {out}")


def _cells(rows: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    return [(row.what, _spelled(row.figure), row.unit, f"{row.peak_memory_mb:,.0f}") for row in rows]


def _spelled(figure: float) -> str:
    """Three digits or more, as many as say something."""
    digits = next((digits for digits, least in ((0, 100), (1, 10), (2, 1)) if figure >= least), 4)
    return f"{figure:,.{digits}f}"


def _line(about: Mapping[str, Any]) -> str:
    """What was measured, and on what."""
    machine = about["environment"]
    return (
        f"{about['data']}: {about['num_users']:,} users, {about['num_items']:,} items, "
        f"{about['num_interactions']:,} interactions; {machine['cpu']}, {machine['num_cores']} cores, "
        f"{machine['num_threads']} threads"
    )


def _check_out(out: Path) -> None:
    """`out` is free, or a page that this command wrote.

    Raises:
        ConfigError: it is not.
    """
    if out.suffix != ".md":
        raise ConfigError(f"--out writes a Markdown page: give NAME.md, not {out}")
    if out.exists() and not out.read_text(encoding="utf-8", errors="replace").startswith(f"# {_TITLE}"):
        raise ConfigError(
            f"{out} exists and is no page of genrec bench: choose another --out, or move it away"
        )
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {out.parent} to write {out.name} to: make it first")


def _write(out: Path, about: Mapping[str, Any], rows: Sequence[Row]) -> None:
    machine = about["environment"]
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    table = "\n".join(
        f"| {' | '.join(cells)} |" for cells in [_COLUMNS, ("---", "---:", "---", "---:"), *_cells(rows)]
    )
    page = (
        f"# {_TITLE}, {machine['time'][:10]}\n\n{_line(about)}\n\n`{machine['command']}` · genrec {machine['genrec']}, "
        f"Python {machine['python']}, {libraries}\n\n{table}\n"
    )
    write_text(out, page)
