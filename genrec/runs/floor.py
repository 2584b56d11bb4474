"""The floor: what `transitions`, which trains nothing, finds on the questions that a run was measured on.

Where items are held out of the training, `tfidf` stands beside it, which finds them by their words alone. Beside the
validation figure of a training stand all that only count: `popular`, `itemknn` and `transitions`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genrec.evaluation import numbers
from genrec.runs.notes import note, warn

if TYPE_CHECKING:
    from genrec.data.catalogue import Catalogue
    from genrec.data.interactions import Interactions, Targets
    from genrec.evaluation.protocol import Evaluation, Progress
    from genrec.runs.run import Run

FLOOR, TEXT_FLOOR = "transitions", "tfidf"
MOST_INTERACTIONS = 5_000_000  # that are counted beside a run, and
MOST_SCORES = 10**9  # scores of single items: about half a minute with text
CHEAP = ("popular", "itemknn", FLOOR)
MOST_SHARE = 0.1  # of the time of a training that these take beside it unless they are asked for
MOST_PAIRS = 2 * 10**8  # of items of the same histories, which itemknn counts before it can be stopped
LEAST_SECONDS = 0.5  # less is not enough for anything


def floor_options(catalogue: Catalogue) -> dict[str, str]:
    """Options of the floor on these items: with text where they have titles."""
    return {"text": "tfidf"} if catalogue.titled else {}


def measured_floor(train: Interactions, targets: Targets, name: str = FLOOR) -> dict[str, Any] | None:
    """What the floor finds: `recommender`, `options`, HR, NDCG, MRR, their `intervals`, `cold` and `warm`.

    Args:
        train: the training part, which it counts.
        targets: the questions.
        name: `transitions`, or `tfidf`.

    Returns:
        None: it takes too long, or there are no texts for `tfidf`.
    """
    from genrec.evaluation.metrics import by_training_count, cold_and_warm

    if name == TEXT_FLOOR and not targets.catalogue.titled:
        return None

    scores = len(targets) * len(targets.catalogue)
    if train.num_interactions > MOST_INTERACTIONS or scores > MOST_SCORES:
        note(
            f"no floor beside these numbers: {len(targets):,} users, {len(targets.catalogue):,} items and "
            f"{train.num_interactions:,} interactions are more than is measured on the side; train {FLOOR} to have it"
        )
        return None
    quality, found = _fitted_and_asked(name, train, targets)
    taken, num_items = train.histories.items, len(targets.catalogue)
    counts = by_training_count(found.target_ranks, targets.apart().items, taken, num_items)
    intervals = found.to_json()["intervals"]
    return {
        "recommender": name,
        **quality,
        "intervals": intervals,
        **cold_and_warm(counts),
    }


def _fitted_and_asked(
    name: str, train: Interactions, targets: Targets, progress: Progress | None = None
) -> tuple[dict[str, Any], Evaluation]:
    """`options` and quality of a recommender that only counts, and all that was measured."""
    import genrec
    from genrec.evaluation import protocol

    options = floor_options(targets.catalogue) if name == FLOOR else {}
    model = genrec.create(name, **options).fit(train)
    found = protocol.evaluate(model.rank, targets, unfiltered=False, progress=progress)
    return {"options": options, **{metric: found.metrics[metric] for metric in found.intervals}}, found


def num_pairs(train: Interactions) -> int:
    """Pairs of items of the same histories, which `itemknn` counts."""
    import numpy as np

    return int(np.square(train.histories.lengths.astype(np.int64)).sum())


class _TooLongError(Exception):
    """The time for the floors is up."""


def cheap_floors(run: Run, name: str, targets: Targets, *, always: bool | None = None) -> dict[str, Any]:
    """What recommenders that only count find on the questions of a measurement: beside its numbers in the run.

    Args:
        run: measured already.
        name: of the measurement, as in `validation`.
        targets: its questions.
        always: True: however long it takes; None: stop when a tenth of the time of the training is up; False: none.

    Returns:
        Name to options, HR, NDCG, MRR and seconds; nothing of those that were left out, which a note tells.
    """
    measured, found = run.metrics[name], dict[str, Any]()
    cost = float(run.metrics.get("training", {}).get("seconds", 0.0))
    asked = [cheap for cheap in CHEAP if cheap != run.recipe.recommender]
    if always is False or (always is None and cost * MOST_SHARE < LEAST_SECONDS):
        return {}
    began = time.perf_counter()

    def tick(*_: int) -> None:
        if always is None and time.perf_counter() - began > cost * MOST_SHARE:
            raise _TooLongError

    train = run.parts.train
    pairs = num_pairs(train)
    for cheap in asked:
        try:
            tick()
            if always is None and pairs > MOST_PAIRS and cheap == "itemknn":
                raise _TooLongError
            first = time.perf_counter()
            quality, _ = _fitted_and_asked(cheap, train, targets, tick)
        except _TooLongError:
            note(
                f"no {cheap} beside these numbers: it would take more than {numbers.share(MOST_SHARE, 0)} of the "
                f"{cost:,.0f} s of the training; --floors has it measured"
            )
            continue
        found[cheap] = {**quality, "seconds": time.perf_counter() - first}
    run.add_metrics(name, {**measured, "floors": found})
    if found:
        best = max(found, key=lambda cheap: found[cheap]["NDCG@10"])
        warn_below_floor(name, {**measured, "floor": {"recommender": best, **found[best]}})
    return found


def warn_below_floor(where: str, metrics: Mapping[str, Any]) -> None:
    """Warn where a measurement has a floor beside it and lies below it.

    Args:
        where: name of the measurement.
        metrics: its numbers, with those of the floor under `floor`.
    """
    from genrec.audit.findings import Finding

    own, floor = metrics["NDCG@10"], metrics["floor"]["NDCG@10"]
    if own < floor:
        what = (
            f"NDCG@10 {numbers.metric(own)} is below the floor, {numbers.metric(floor)} of {told(metrics['floor'])}, "
            "which trains nothing"
        )
        advice = "train longer, or use the floor"
        warn([Finding("warning", "below the floor", where, what, own - floor, advice)])


def floor_line(floor: Mapping[str, Any]) -> str:
    """The floor and its numbers in one line."""
    return f"{numbers.quality(floor)} by {told(floor)}, without training"


def told(floor: Mapping[str, Any]) -> str:
    """The floor by its name and options."""
    return " ".join([floor["recommender"], *(f"{name}={value}" for name, value in floor["options"].items())])
