"""An earlier run that a training starts from, and what keeps the held-out items of today out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.data.split import has_cold_items
from genrec.errors import ConfigError, RunError
from genrec.runs.run import Run, open_run

if TYPE_CHECKING:
    from genrec.recommenders.start import Start


@dataclass(frozen=True)
class Earlier:
    """The run, and the share of the steps of a whole training that is taken from there."""

    run: Run
    budget: float

    @classmethod
    def of(cls, folder: str | Path, budget: float | None, protocol: str) -> Earlier:
        """The run in a folder, if it may be started from.

        Args:
            folder: of a finished run.
            budget: of the steps of a whole training; None: what the benchmark showed to do.
            protocol: how targets are held out today.

        Raises:
            ConfigError: no share, or today's held-out items would be others than those that the run has not seen.
            RunError: no finished run.
        """
        from genrec.recommenders.start import BUDGET

        budget = BUDGET if budget is None else budget
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
            raise ConfigError(
                f"budget is {budget!r}: give a share of a whole training's steps, above 0 and up to 1"
            )
        run = open_run(folder)
        if not run.finished:
            raise RunError(
                f"the training in {run.folder} has not finished: start from one that has, or train afresh"
            )
        if run.recipe.protocol != protocol:
            raise ConfigError(
                f"{run.folder} was trained with protocol={run.recipe.protocol} and may have learnt what {protocol} "
                "holds out today: give --protocol as it was, or train afresh"
            )
        if has_cold_items(protocol):
            raise ConfigError(
                f"with protocol={protocol} other items are held out as the log grows, and {run.folder} may have learnt "
                "them: train afresh"
            )
        return cls(run, float(budget))

    @property
    def about(self) -> dict[str, Any]:
        """What the new run keeps of it."""
        return {
            "run": os.path.realpath(self.run.folder),
            "identity": self.run.identity,
            "budget": self.budget,
        }

    def check_grown(self, num_interactions: int) -> None:
        """Raise RunError where there are fewer interactions today: others may be held out than were then."""
        before = self.run.about_data["counts"]["num_interactions"]
        if num_interactions < before:
            raise RunError(
                f"{self.run.folder} was trained on a log of {before:,} interactions, and this one has "
                f"{num_interactions:,}, so that the run may have learnt what is held out "
                "now: give the log as it has grown, or train afresh"
            )

    def start(self) -> Start:
        """The run's recommender, read now."""
        from genrec.recommenders.start import Start

        return Start(self.run.model, self.budget)
