"""What in a data set tells a recommender its test items, and what its numbers cannot mean.

Shapes: B users, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from genrec.audit.findings import Audit, Finding, Severity, leaky_code
from genrec.audit.reviews import review_findings
from genrec.data.dataset import Dataset
from genrec.data.interactions import IntArray, Interactions, Targets
from genrec.data.split import Split, way
from genrec.evaluation import numbers
from genrec.evaluation.baselines import distinct_pairs, in_history, next_numbers, popularity_ranks
from genrec.evaluation.metrics import best_ranks, hit_rate, target_ranks
from genrec.evaluation.significance import bootstrap_interval

# A target that is in its history cannot be found with seen items left out. Up to this share it is a note.
_REPEATED_TARGETS = 0.01
# Numbers were given along whole histories where at least this share of the items that only held-out interactions
# brought in have the number after the item before them; fewer items than that say nothing.
_CONSECUTIVE, _FEWEST_NEW = 0.5, 20


def audit_data(
    dataset: Dataset, protocol: str = "leave-one-out", numberings: Mapping[str, IntArray] | None = None
) -> Audit:
    """Look for test items that ids or order give away, and for facts that bound what a measurement can mean.

    Args:
        dataset: as read; its order of users matters where they have no numbers (numbering by first appearance).
        protocol: the split to audit.
        numberings: numbers (I,) that could be written for the items in place of the ids, by name, to prove that they
            are safe: they are held against the same rule.

    Raises:
        ConfigError, DataError: see `genrec.data.split.split`.
    """
    split = dataset.split(protocol)
    popular = popular_hit_rate(split)
    ids = numbers_in(dataset.catalogue.ids)
    safe, findings = [], []
    for name, numbers_I in (numberings or {}).items():
        found = number_finding(name, numbers_I, split, popular)
        safe += [f"{name} {numbers.metric(found.value)}"] if found.severity == "note" else []
        findings.append(found)
    if ids is not None:
        findings.insert(0, number_finding("item ids", ids, split, popular, _advice(dataset, safe)))
        findings.insert(1, _first_appearance(dataset.interactions, split, ids))
    findings += [*_catalogue_order(dataset, split, popular), *repeated_targets(split)]
    findings += [
        *_repeats(dataset),
        _time_travel(dataset.interactions, split),
        *_same_time(dataset.interactions, split),
        _unseen(split),
        *_titles(dataset),
        *review_findings(dataset.interactions, split),
    ]
    checked = (
        f"{'ids and ' if ids is not None else ''}catalogue order, repeats, times, unseen items and titles over "
        f"{len(split.test):,} test users ({protocol})"
    )
    return Audit(dataset.name, checked, tuple(findings))


def quick_findings(split: Split, config: Mapping[str, Any]) -> list[Finding]:
    """What a training should warn of, in a moment: codes or titles that leak, and targets in their history.

    Args:
        split: of the data to train on.
        config: the options of the recommender.
    """
    numbers_I = numbers_in(split.test.catalogue.titles) if config.get("code") == "title" else None
    findings = repeated_targets(split)
    if (found := leaky_code(config)) is not None:
        findings.insert(0, found)
    if numbers_I is not None:
        advice = "give the items' titles with --items, or write code=sequential"
        findings.insert(0, number_finding("titles", numbers_I, split, popular_hit_rate(split), advice))
    return [finding for finding in findings if finding.severity != "note"]


def rule_ranks(numbers_I: IntArray, targets: Targets) -> IntArray:
    """Ranks (B,) of the targets by the rule of the next ten numbers; see `next_numbers`."""
    return best_ranks(target_ranks(next_numbers(numbers_I, targets.histories, 10), targets), targets.orders)


def popular_hit_rate(split: Split) -> float:
    """HR@10 of popularity on the test targets."""
    return float(hit_rate(popularity_ranks(split.train, split.test), 10).mean())


def numbers_in(names: Sequence[str]) -> IntArray | None:
    """The numbers that names spell, as in `17` or `item_17`; None unless all do, alike but for the number. (I,)"""
    series = pl.Series(names, dtype=pl.String)
    words, digits = series.str.extract(r"^(\D*)\d+$"), series.str.extract(r"^\D*(\d{1,18})$")
    numbers = digits.cast(pl.Int64)
    if not len(names) or numbers.null_count() or words.n_unique() > 1 or numbers.is_duplicated().any():
        return None
    return numbers.to_numpy()


def number_finding(
    where: str, numbers_I: IntArray, split: Split, popular: float, advice: str = ""
) -> Finding:
    """Whether the rule of the next ten numbers beats popularity (HR@10, by more than chance).

    Where the first of the ten makes most of the hits, the numbers were given along the histories, test items
    included. Hits spread over all ten come from something that time and numbers share, such as release dates.
    """
    ranks_B = rule_ranks(numbers_I, split.test)
    hr_1, hr_10 = (float(hit_rate(ranks_B, k).mean()) for k in (1, 10))
    what = (
        f"max(history)+1 to +10 alone finds HR@10 {numbers.metric(hr_10)} (HR@1 {numbers.metric(hr_1)}), popularity "
        f"{numbers.metric(popular)}"
    )
    if bootstrap_interval(hit_rate(ranks_B, 10))[0] <= popular:
        return Finding("note", "numbers", where, what, hr_10)
    if hr_1 >= hr_10 / 2:
        what += ": they were given with the test items in view"
        return Finding("leak", "numbers", where, what, hr_10, advice)
    what += ": they follow the order in which items are taken"
    return Finding("warning", "numbers", where, what, hr_10, advice)


def repeated_targets(split: Split) -> list[Finding]:
    """Test targets that their user took before, so that training and history hold the same pair."""
    asked = split.test.apart()
    share = float(in_history(asked.histories, asked.items).mean())
    if not share:
        return []
    what = (
        f"{numbers.share(share, 2)} of the test targets are in their own history, where leaving out seen items hides "
        "them"
    )
    advice = "read the column 'seen allowed' too, or drop repeated pairs before splitting"
    severity: Severity = "note" if share < _REPEATED_TARGETS else "warning"
    return [Finding(severity, "repeated targets", "test part", what, share, advice)]


def _advice(dataset: Dataset, safe: Sequence[str]) -> str:
    proof = f" ({', '.join(safe)} by the same rule)" if safe else ""
    if not dataset.catalogue.titled:
        return f"these items have no titles, so code=title writes the ids: give --items, or renumber{proof}"
    return f"never write these ids: titles (code=title) and numbers from the training part are safe{proof}"


def _first_appearance(interactions: Interactions, split: Split, ids: IntArray) -> Finding:
    """Whether item ids count up along the histories, also where only a held-out interaction brings an item in."""
    users = interactions.users.cast(pl.String).cast(pl.Int64, strict=False)
    rows = np.arange(len(users)) if users.null_count() else np.argsort(users.to_numpy(), kind="stable")
    histories = interactions.histories.take(rows)
    item, first = np.unique(histories.items, return_index=True)
    in_order = np.argsort(first)
    item, first = item[in_order], first[in_order]
    place = np.empty(len(item), np.int64)
    place[np.argsort(ids[item])] = np.arange(len(item))
    user = np.searchsorted(histories.offsets, first, side="right") - 1
    held_out = first - histories.offsets[user] >= split.train.histories.lengths[rows][user]
    right_after = np.concatenate([[False], np.diff(place) == 1])
    num_new, share = int(held_out.sum()), float(right_after[held_out].mean()) if held_out.any() else 0.0
    alike = float(np.corrcoef(place, np.arange(len(place)))[0, 1]) if len(place) > 1 else 0.0
    what = (
        f"rank correlation {alike:.3f} with the order of first appearance; of {num_new:,} items that only held-out "
        f"interactions bring in, {numbers.share(share)} have the number after the item before them"
    )
    if num_new < _FEWEST_NEW or share < _CONSECUTIVE:
        return Finding("note", "first appearance", "item ids", what, share)
    advice = "number from the training part, as code=sequential does"
    return Finding("leak", "first appearance", "item ids", what, share, advice)


def _catalogue_order(dataset: Dataset, split: Split, popular: float) -> list[Finding]:
    """The order of the items' rows, which code that numbers rows would write."""
    rows_I = np.arange(len(dataset.catalogue))
    advice = "do not write row numbers: sort the catalogue by title, or number from the training part"
    found = number_finding("catalogue order", rows_I, split, popular, advice)
    if dataset.catalogue.titled and dataset.catalogue.table["title"].is_sorted():
        what = (
            "the items stand by title, which says nothing of who took what (HR@10 by rows "
            f"{numbers.metric(found.value)})"
        )
        return [Finding("note", "numbers", "catalogue order", what, found.value)]
    return [found]


def _repeats(dataset: Dataset) -> list[Finding]:
    """Interactions of a user with an item they took before."""
    interactions = dataset.interactions
    num_interactions = interactions.num_interactions
    num_repeats = num_interactions - len(distinct_pairs(interactions.histories, interactions.num_items))
    num_dropped = dataset.report.dropped.get("duplicate", 0)
    if not num_repeats and not num_dropped:
        return []
    share = num_repeats / num_interactions
    what = (
        f"{num_repeats:,} ({numbers.share(share, 2)}) repeat a user and an item, and {num_dropped:,} equal rows were "
        "dropped"
    )
    return [Finding("note", "repeats", "interactions", what, share)]


def _time_travel(interactions: Interactions, split: Split) -> Finding:
    """How much of the training part happened after a user's test target."""
    if interactions.times is None or split.train.times is None:
        what = "there are only orders, so training interactions after a test target cannot be counted"
        return Finding("note", "time travel", "times", what, 0.0)
    train = np.sort(split.train.times)
    target_times_B = interactions.times[_target_places(interactions, split)]
    later_B = len(train) - np.searchsorted(train, target_times_B, side="right")
    share, old = float(later_B.mean() / max(len(train), 1)), float((later_B > 0).mean())
    what = (
        f"{numbers.share(old)} of the test targets are older than the last training interaction; "
        f"{numbers.share(share)} of the training part lies after an average one"
    )
    if way(split.protocol) == "leave-one-out":
        advice = "any leave-one-out split has this: report --protocol temporal beside it" if share else ""
        return Finding("note", "time travel", "times", what, share, advice)
    return Finding("leak" if share else "note", "time travel", "times", what, share)


def _target_places(interactions: Interactions, split: Split) -> IntArray:
    """Where the test targets stand in the flat interactions, of an order its first line; (B,)."""
    asked = np.flatnonzero(interactions.users.is_in(split.test.users.to_list()).to_numpy())
    return interactions.histories.offsets[asked] + split.test.histories.lengths


def _same_time(interactions: Interactions, split: Split) -> list[Finding]:
    """How many test targets have the time of the item before them, as the lines of one order have."""
    if interactions.times is None or interactions.orders is not None:
        return []
    places = _target_places(interactions, split)
    share = float((interactions.times[places] == interactions.times[places - 1]).mean())
    if not share:
        return []
    what = f"{numbers.share(share)} of the test targets have the time of the item before them"
    advice = (
        "if these are orders, give their column or --orders time, or the rest of the same order is asked for"
    )
    return [Finding("note", "same time", "times", what, share, advice)]


def _unseen(split: Split) -> Finding:
    """Test targets that no training interaction shows."""
    known_I = np.zeros(len(split.test.catalogue), bool)
    known_I[split.train.histories.items] = True
    share = float((~known_I[split.test.apart().items]).mean())
    what = f"{numbers.share(share, 2)} of the test targets are unseen in training"
    if share:
        what += f": who knows items by interactions alone stays below HR {numbers.metric(1 - share)}"
    return Finding("note", "unseen items", "test part", what, share)


def _titles(dataset: Dataset) -> list[Finding]:
    """Titles that several items share."""
    titles = dataset.catalogue.table["title"]
    num_repeated = len(titles) - titles.n_unique()
    if not num_repeated:
        return []
    what = (
        f"{num_repeated:,} of {len(titles):,} repeat an earlier one: title codes number them, matching answers by "
        "title would mix them"
    )
    return [Finding("note", "repeated titles", "titles", what, num_repeated / len(titles))]
