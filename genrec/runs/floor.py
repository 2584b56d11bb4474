"""The floor: what `transitions`, which trains nothing, finds on the questions that a run was measured on.

Where items are held out of the training, `tfidf` stands beside it, which finds them by their words alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genrec.runs.notes import note, warn

if TYPE_CHECKING:
    from genrec.data.catalogue import Catalogue
    from genrec.data.interactions import Interactions, Targets

FLOOR, TEXT_FLOOR = "transitions", "tfidf"
MOST_INTERACTIONS = 5_000_000  # that are counted beside a run, and
MOST_SCORES = 10**9  # scores of single items: about half a minute with text


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
    import genrec
    from genrec.evaluation import protocol
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
    options = floor_options(targets.catalogue) if name == FLOOR else {}
    model = genrec.create(name, **options).fit(train)
    found = protocol.evaluate(model.rank, targets, unfiltered=False)
    quality = {name: found.metrics[name] for name in found.intervals}
    taken, num_items = train.histories.items, len(targets.catalogue)
    counts = by_training_count(found.target_ranks, targets.apart().items, taken, num_items)
    intervals = found.to_json()["intervals"]
    return {
        "recommender": name,
        "options": options,
        **quality,
        "intervals": intervals,
        **cold_and_warm(counts),
    }


def warn_below_floor(where: str, metrics: Mapping[str, Any]) -> None:
    """Warn where a measurement has a floor beside it and lies below it.

    Args:
        where: name of the measurement.
        metrics: its numbers, with those of the floor under `floor`.
    """
    from genrec.audit.findings import Finding

    own, floor = metrics["NDCG@10"], metrics["floor"]["NDCG@10"]
    if own < floor:
        what = f"NDCG@10 {own:.4f} is below the floor, {floor:.4f} of {told(metrics['floor'])}, which trains nothing"
        advice = "train longer, or use the floor"
        warn([Finding("warning", "below the floor", where, what, own - floor, advice)])


def floor_line(floor: Mapping[str, Any]) -> str:
    """The floor and its numbers in one line."""
    return f"HR@10 {floor['HR@10']:.4f}, NDCG@10 {floor['NDCG@10']:.4f} by {told(floor)}, without training"


def told(floor: Mapping[str, Any]) -> str:
    """The floor by its name and options."""
    return " ".join([floor["recommender"], *(f"{name}={value}" for name, value in floor["options"].items())])
