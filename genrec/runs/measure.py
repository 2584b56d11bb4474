"""Measuring lists: those of a run's recommender, or lists that another program made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.errors import one_of
from genrec.runs.environment import environment
from genrec.runs.notes import note, warn
from genrec.runs.source import DataSource

if TYPE_CHECKING:
    from genrec.data.interactions import Targets
    from genrec.data.split import Split
    from genrec.runs.run import Run

SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Questions:
    """The questions of a split, or a sample of them.

    Attributes:
        parts: what they were taken from.
        split: `test` or `validation`.
        targets: the questions.
        sample: end of measurements' names, as in `-500-users`; empty where all questions are asked.
    """

    parts: Split
    split: str
    targets: Targets
    sample: str

    @classmethod
    def of(cls, parts: Split, split: str, users: int | None) -> Questions:
        """Those of a split; `users`: size of the sample, None: all."""
        check_asked(split, users)
        targets = parts.test if split == "test" else parts.validation
        if users is None or users >= len(targets):
            return cls(parts, split, targets, "")
        return cls(parts, split, targets.sample(users), f"-{users}-users")

    @property
    def all_targets(self) -> Targets:
        """The questions of the split, sampled or not."""
        return self.parts.test if self.split == "test" else self.parts.validation

    @classmethod
    def of_run(cls, run: Run, split: str, users: int | None) -> Questions:
        """Those of a finished run.

        Raises:
            ConfigError: no such split, or a sample of nobody.
            RunError: the training has not finished, or the data are gone or others.
        """
        check_asked(split, users)
        _ = run.model  # a run that has not finished is told before its data are read
        return cls.of(run.parts, split, users)

    def name(self, what: str = "") -> str:
        """What a measurement is called among the run's, as in `test`, `test-exact` or `test-tasks-500-users`."""
        return self.split + (f"-{what}" if what else "") + self.sample


def check_asked(split: str, users: int | None) -> None:
    """Nothing, if there are such questions.

    Raises:
        ConfigError: no such split, or a sample of nobody.
    """
    from genrec.recommenders.asked import as_count

    one_of(split, SPLITS, "the split")
    if users is not None:
        as_count(users, "users", "user")


def measure_lists(
    run: Run,
    questions: Questions,
    *,
    exact: bool = False,
    keep_lists: bool = True,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The protocol's numbers, kept in the run; with the lists behind them if `keep_lists`. See `Run.evaluate`."""
    from genrec.audit.run import measured_findings
    from genrec.data.ranking_file import write_rankings
    from genrec.evaluation import protocol

    name, targets = questions.name("exact" if exact else ""), questions.targets
    options: dict[str, Any] = {"exact": exact, "batch_size": batch_size}
    result = protocol.evaluate(run.model.rank, targets, progress=progress, **options)
    measured = {**result.to_json(), "provenance": run.provenance(questions.split)}
    if keep_lists:
        write_rankings(run.rankings_path(name), result.rankings, targets)
    run.add_metrics(name, measured)
    warn(measured_findings(name, measured, questions.parts.train, targets))
    return measured


def measure_file(
    path: str | Path, source: DataSource, protocol_name: str, split: str, users: int | None
) -> dict[str, Any]:
    """Measure lists in a Parquet file: metrics, `intervals`, `unfiltered` and `provenance`.

    Args:
        path: columns user_id, rank, item_id, score.
        source: the data that hold the targets.
        protocol_name: how targets are held out.
        split: `test` or `validation`.
        users: size of the sample that is measured; None: all.

    Raises:
        ConfigError: no such split, or a sample of nobody.
        DataError, CatalogueError: a file that cannot be read.
    """
    from genrec.audit.run import measured_findings
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation import protocol

    check_asked(split, users)
    dataset = source.read()
    everybody = Questions.of(dataset.split(protocol_name), split, None)
    questions = Questions.of(everybody.parts, split, users)
    rankings, targets = read_rankings(Path(path), everybody.targets), questions.targets
    if questions.sample:
        rankings = rankings.take(everybody.targets.users.is_in(targets.users).arg_true().to_numpy())
    result = protocol.evaluate_rankings(rankings, targets).to_json()
    if result["depth"] < max(protocol.CUT_OFFS):
        note(
            f"the shortest list has {result['depth']} items once seen ones are dropped: deeper cut-offs are left out"
        )
    if result["num_without_list"]:
        note(f"{result['num_without_list']:,} of {len(targets):,} users have no list, which counts as a miss")
    judged = {**result, "seen_rate": 0.0}  # seen items were dropped, and the table tells how many
    warn(measured_findings(Path(path).name, judged, questions.parts.train, targets))
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
