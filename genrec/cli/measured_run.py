"""A run that is being measured: its recommender, the questions, and the numbers that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genrec.cli.audit import warn
from genrec.cli.run_folder import Run
from genrec.cli.terminal import progress

if TYPE_CHECKING:
    from genrec.data.interactions import Interactions, Targets
    from genrec.data.split import Split
    from genrec.recommenders.base import Recommender


@dataclass(frozen=True)
class MeasuredRun:
    """A finished run, loaded, with the questions of a split or a sample of them.

    Attributes:
        run: where the numbers are kept.
        model: its recommender.
        interactions: all of its data.
        parts: their split by the run's protocol.
        split: `test` or `validation`.
        targets: the questions.
        sample: end of measurements' names, as in `-500-users`; empty where all questions are asked.
        batch_size: users ranked at once; None: as many as the run's options say.
    """

    run: Run
    model: Recommender
    interactions: Interactions
    parts: Split
    split: str
    targets: Targets
    sample: str
    batch_size: int | None = None

    @classmethod
    def open(
        cls,
        run: Run,
        split: str,
        users: int | None,
        moved_to: str | None,
        batch_size: int | None = None,
    ) -> MeasuredRun:
        """Load a run and read its data.

        Args:
            run: to be measured.
            split: `test` or `validation`.
            users: size of the sample; None: all.
            moved_to: where the data lie now, if not where the run says.
            batch_size: users ranked at once; None: as many as the run's options say.

        Raises:
            RunError: the training has not finished, or the data are gone.
        """
        model, dataset = run.load(), run.read_data(moved_to)
        parts = dataset.split(run.protocol)
        targets, sample = targets_of(parts, split), ""
        if users is not None and users < len(targets):
            targets, sample = targets.sample(users), f"-{users}-users"
        return cls(run, model, dataset.interactions, parts, split, targets, sample, batch_size)

    def name(self, what: str = "") -> str:
        """What a measurement is called among the run's, as in `test`, `test-exact` or `test-tasks-500-users`."""
        return self.split + (f"-{what}" if what else "") + self.sample

    def title(self, name: str) -> str:
        """What stands above the numbers called `name`."""
        return f"{self.run.config['recommender']} in {self.run.folder}, {name}"

    def measure_lists(self, *, exact: bool = False) -> dict[str, Any]:
        """The protocol's numbers, kept in the run with the lists behind them: `to_json` of an `Evaluation`.

        Raises:
            ConfigError: the recommender has learnt other tasks only, or cannot prove its lists.
        """
        from genrec.audit.run import measured_findings
        from genrec.data.ranking_file import write_rankings
        from genrec.evaluation import protocol

        name = self.name("exact" if exact else "")
        with progress("measuring") as tick:
            result = protocol.evaluate(
                self.model.rank, self.targets, progress=tick, exact=exact, batch_size=self.batch_size
            )
        measured = {**result.to_json(), "provenance": self.run.provenance(self.split)}
        write_rankings(self.run.rankings_path(name), result.rankings, self.targets)
        self.run.add_metrics(name, measured)
        warn(measured_findings(name, measured, self.parts.train, self.targets))
        return measured


def targets_of(parts: Split, split: str) -> Targets:
    """The questions of `test` or `validation`."""
    return parts.test if split == "test" else parts.validation


def data_facts(about: Mapping[str, Any]) -> dict[str, object]:
    """The data of a measurement, from its provenance, and why it cannot be believed, if so."""
    synthetic = " (SYNTHETIC: invented, says nothing about real people)" if about["synthetic"] else ""
    return {"data": about["data"] + synthetic, "LEAK": about.get("leak")}
