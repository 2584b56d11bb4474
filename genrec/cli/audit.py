"""`genrec audit`: look for what makes numbers unbelievable, in data, a run or a printed table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.exits import Exit
from genrec.cli.options import HeldOut, Json, MovedData
from genrec.cli.terminal import print_json, stdout
from genrec.errors import ConfigError
from genrec.runs.audit import audit_dataset, audit_run
from genrec.runs.run import looks_like_run, open_run

if TYPE_CHECKING:
    from genrec.audit.findings import Audit

_STYLES = {"leak": "bold red", "warning": "yellow", "note": "dim"}


@reads_data
def audit(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATA|RUN|TABLE.csv",
            help="Interactions ('synthetic' too), a run folder, or a CSV of metrics.",
        ),
    ],
    data_options: DataOptions = NONE_GIVEN,
    protocol: HeldOut = None,
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Look for leaks, impossible cells and other faults; exit code 1 when there are any.

    Data: ids that give the test items away, repeats, time travel. A run: codes, prompts and lists that hold the
    answer, numbers below or far above what needs no learning. A table: cells that arithmetic forbids.
    """
    given = {**data_options, "protocol": protocol}
    path = Path(what)
    if looks_like_run(path):
        _refuse(given, "a run knows its data and its split")
        found = audit_run(open_run(path, data))
    elif _is_table(path):
        _refuse({**given, "data": data}, "a table of metrics stands for itself")
        from genrec.audit.table import audit_table

        found = audit_table(path)
    else:
        _refuse({"data": data}, "it is for runs whose data were moved")
        found = audit_dataset(data_options.source(what).read(), protocol or "leave-one-out")
    if as_json:
        print_json(found.to_json())
    else:
        print_audit(found)
    raise typer.Exit(Exit.FOUND if found.faults else Exit.DONE)


def print_audit(audit: Audit) -> None:
    """Print a line for each finding, faults first, and what was looked at."""
    out = stdout()
    width = max(map(len, _STYLES))
    for finding in sorted(audit.findings, key=lambda finding: list(_STYLES).index(finding.severity)):
        out.print(finding.severity.ljust(width + 2), style=_STYLES[finding.severity], end="")
        out.print(finding.line)
    out.print(audit.conclusion)


def _is_table(path: Path) -> bool:
    """A CSV file whose header has a metric at a cut-off."""
    from genrec.audit.table import is_metric
    from genrec.data.readers.source import first_line

    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    return any(is_metric(column.strip('"')) for column in first_line(path).split(","))


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Options that have no meaning here must not be given."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} has no meaning here, as {why}: leave it out")
