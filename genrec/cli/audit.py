"""`genrec audit`: look for what makes numbers unbelievable, in data, a run or a printed table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.exits import Exit
from genrec.cli.options import (
    HeldOut,
    Json,
    MovedData,
)
from genrec.cli.reading import Reading, reads_data
from genrec.cli.run_folder import Run, looks_like_run, open_run
from genrec.cli.terminal import note, print_json, stdout
from genrec.errors import ConfigError

if TYPE_CHECKING:
    from genrec.audit.findings import Audit, Finding
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Targets
    from genrec.data.split import Split
    from genrec.recommenders.language.generative import GenerativeRecommender

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
    reading: Reading = Reading(),  # noqa: B008 - frozen
    protocol: HeldOut = None,
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Look for leaks, impossible cells and other faults; exit code 1 when there are any.

    Data: ids that give the test items away, repeats, time travel. A run: codes, prompts and lists that hold the
    answer, numbers below or far above what needs no learning. A table: cells that arithmetic forbids.
    """
    given = {**reading.given(), "protocol": protocol}
    path = Path(what)
    if looks_like_run(path):
        _refuse(given, "a run knows its data and its split")
        found = audit_run(open_run(path), data)
    elif _is_table(path):
        _refuse({**given, "data": data}, "a table of metrics stands for itself")
        from genrec.audit.table import audit_table

        found = audit_table(path)
    else:
        _refuse({"data": data}, "it is for runs whose data were moved")
        found = audit_dataset(reading.source(what).read(), protocol or "leave-one-out")
    if as_json:
        print_json(found.to_json())
    else:
        print_audit(found)
    raise typer.Exit(Exit.FOUND if found.faults else Exit.DONE)


def print_audit(audit: Audit) -> None:
    """Print a line for each finding, faults first, and what was looked at."""
    console = stdout()
    width = max(map(len, _STYLES))
    for finding in sorted(audit.findings, key=lambda finding: list(_STYLES).index(finding.severity)):
        console.print(finding.severity.ljust(width + 2), style=_STYLES[finding.severity], end="")
        console.print(finding.line)
    console.print(audit.conclusion)


def warn(findings: Iterable[Finding]) -> None:
    """Tell of findings that are more than notes, a line each on stderr."""
    for finding in findings:
        if finding.severity != "note":
            note(f"{finding.severity}: {finding.line}")


def audit_dataset(dataset: Dataset, protocol: str) -> Audit:
    """Audit data, with the numbers that genrec would write in place of titles held against the same rule."""
    from genrec.audit.data import audit_data
    from genrec.codes.numbered import random_numbers, sequential_numbers

    num_items = len(dataset.catalogue)
    numberings = {
        "code=sequential": sequential_numbers(dataset.split(protocol).train.histories, num_items),
        "code=random": random_numbers(num_items),
    }
    return audit_data(dataset, protocol, numberings)


def audit_run(run: Run, moved_to: str | None) -> Audit:
    """Audit a finished run: its measurements, lists, codes and the questions that it writes for the test users.

    Raises:
        RunError: the training has not finished, or the data are gone.
        DataError, CatalogueError: kept lists that cannot be read.
    """
    from genrec.audit.findings import Audit, leaky_code
    from genrec.audit.run import (
        list_findings,
        measured_findings,
        name_findings,
        rule_findings,
    )
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation.task_recommender import recommends
    from genrec.recommenders.language.generative import GenerativeRecommender

    model = run.load()
    split = run.read_data(moved_to).split(run.protocol)
    measured = {
        name: (metrics, targets)
        for name, metrics in run.metrics().items()
        if (targets := _asked(name, split)) is not None
    }
    leak = leaky_code(run.config["config"])
    findings = [] if leak is None else [leak]
    findings += name_findings({name: metrics for name, (metrics, _) in measured.items()})
    checked = [f"metrics of {', '.join(measured) or 'nothing, as nothing was measured'}"]
    for name, (metrics, targets) in measured.items():
        findings += measured_findings(name, metrics, split.train, targets)
        if metrics["num_users"] != len(targets):
            continue
        findings += rule_findings(name, metrics, split.train, targets)
        lists = run.rankings_path(name)
        if lists.exists():
            run.check_rankings(name)
            findings += list_findings(name, read_rankings(lists, targets), metrics, targets)
            checked.append(f"lists of {name}")
    if isinstance(model, GenerativeRecommender):
        findings += _code_findings(model, split)
        written = "codes"
        if recommends(model):
            findings += _question_findings(model, split)
            written += f", and the questions of {len(split.test):,} test users"
        checked.append(written)
    return Audit(run.folder.name, ", ".join(checked), tuple(findings))


def _code_findings(model: GenerativeRecommender, split: Split) -> list[Finding]:
    """Test items in the codes."""
    from genrec.audit.data import number_finding, numbers_in, popular_hit_rate

    catalogue = split.test.catalogue
    numbers_I = numbers_in(catalogue.titles) if model.numbers_ is None else model.numbers_
    if numbers_I is None:
        return []
    advice = "train again with titles, or with code=sequential"
    numbers_I = numbers_I[: len(catalogue)]  # items that were added to the model are nobody's target
    return [number_finding("codes", numbers_I, split, popular_hit_rate(split), advice)]


def _question_findings(model: GenerativeRecommender, split: Split) -> list[Finding]:
    """Test items in the questions of the test users."""
    import numpy as np

    from genrec.audit.run import question_findings
    from genrec.data.interactions import Histories

    trie = model.trie_
    item_N = np.where(trie.num_children_N == 0, trie.item_of_leaf_I[trie.first_leaf_N], -1)
    questions = model.questions(split.test.histories)
    written = []
    for start in range(0, len(split.test), 256):
        rows = np.arange(start, min(start + 256, len(split.test)))
        for node_T in questions.prefix(rows).nodes_BT.numpy(force=True):
            item_T = item_N[node_T]  # padding is at the root, where no item ends
            written.append(item_T[item_T >= 0])
    return question_findings(Histories.from_lists(written), model.prompt_texts(), split.test)


def _asked(name: str, split: Split) -> Targets | None:
    """The questions behind the name of a measurement, as in `test-exact-1000-users`; None: it is none."""
    found = re.fullmatch(r"(test|validation)(?:-exact)?(?:-(\d+)-users)?", name)
    if found is None:
        return None
    targets = split.test if found[1] == "test" else split.validation
    return targets.sample(int(found[2])) if found[2] else targets


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
