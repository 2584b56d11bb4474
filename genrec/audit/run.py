"""What a run's numbers, lists, codes and questions give away.

Shapes: B users, K entries of a list, I items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genrec.audit.data import numbers_in, rule_ranks
from genrec.audit.findings import Finding
from genrec.audit.table import Row, impossible_cells
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.evaluation import numbers
from genrec.evaluation.baselines import following_ranks, in_history, popularity_ranks
from genrec.evaluation.metrics import hit_rate, per_user, target_ranks

TOO_GOOD = 3.0
"""HR@10 above this many times that of the better baseline (popularity, what followed the last item) wants a reason.
The best published numbers stay below 2: 1.6 on Amazon Beauty, 1.9 on MovieLens 1M."""

_RATES = {
    "invalid_rate": "are no items of the catalogue",
    "duplicate_rate": "repeat an item of their list",
    "seen_rate": "are in the history, though seen items were to be left out",
}


def measured_findings(
    where: str, metrics: Mapping[str, Any], train: Interactions, targets: Targets
) -> list[Finding]:
    """What can be said of one measurement in a moment, from its numbers and the data alone.

    Args:
        where: name of the measurement.
        metrics: as `Evaluation.to_json` gives them.
        train: the training part.
        targets: the questions that were measured.
    """
    return [
        *_rates(where, metrics),
        *_arithmetic(where, metrics),
        *_beside_baselines(where, metrics, train, targets),
    ]


def name_findings(measurements: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Validation numbers under the name of test, and how often the test part was opened.

    Args:
        measurements: metrics by name, as a run keeps them: `test`, `validation`, `test-1000-users`, ...
    """
    findings = []
    tests = [name for name in measurements if name.startswith("test")]
    for name in tests:
        metrics = measurements[name]
        split = metrics.get("provenance", {}).get("split", "test")
        twins = [
            other for other in measurements if other not in tests and _same(metrics, measurements[other])
        ]
        if split != "test" or twins:
            what = f"its metrics are those of {twins[0] if twins else split} to the last digit"
            advice = "measure the test part with `genrec evaluate`"
            findings.append(
                Finding("warning", "validation as test", name, what, float(metrics["HR@10"]), advice)
            )
    if len(tests) > 1:
        what = f"the test part was measured {len(tests)} times ({', '.join(tests)})"
        advice = "choose by validation, and report the measurement that you named before"
        findings.append(Finding("note", "test opened", "metrics", what, len(tests), advice))
    return findings


def training_findings(where: str, cost: Mapping[str, Any], known: Interactions) -> list[Finding]:
    """Whether a training saw more than it may know.

    Args:
        where: name of the training.
        cost: what was noted of it; `num_interactions` it learnt from.
        known: all that stands before the test targets.
    """
    more = int(cost.get("num_interactions", 0)) - known.num_interactions
    if more <= 0:
        return []
    what = (
        f"it learnt from {known.num_interactions + more:,} interactions, and only {known.num_interactions:,} stand "
        "before the test items"
    )
    return [Finding("leak", "training", where, what, more, "train again without the test items")]


def rule_findings(
    where: str, metrics: Mapping[str, Any], train: Interactions, targets: Targets
) -> list[Finding]:
    """Whether a bare rule on leaking item ids finds more than the model: what it is worth to write these ids.

    Args:
        where: name of the measurement.
        metrics: its numbers, on as many users as there are targets.
        train: the training part.
        targets: its questions.
    """
    numbers_I = numbers_in(targets.catalogue.ids)
    if numbers_I is None or "HR@10" not in metrics:
        return []
    hr, rule = float(metrics["HR@10"]), float(hit_rate(rule_ranks(numbers_I, targets), 10).mean())
    popular = float(hit_rate(popularity_ranks(train, targets), 10).mean())
    if rule <= max(hr, popular):
        return []
    what = (
        f"HR@10 {numbers.metric(hr)} is below {numbers.metric(rule)} of max(history)+1 to +10 on the item ids, which "
        "needs no learning"
    )
    advice = "results of others who wrote these ids cannot be compared with it"
    return [Finding("warning", "below the rule", where, what, hr - rule, advice)]


def list_findings(
    where: str, rankings: Rankings, metrics: Mapping[str, Any], targets: Targets
) -> list[Finding]:
    """Whether the kept lists give the kept numbers, and answer the test question and not the validation one.

    Args:
        where: name of the measurement.
        rankings: its B lists, seen items left out.
        metrics: its numbers.
        targets: its B questions.
    """
    values = per_user(target_ranks(rankings, targets), _cut_offs(metrics), targets.orders)
    found = {name: float(values_B.mean()) for name, values_B in values.items()}
    findings = []
    worst = max(found, key=lambda name: abs(found[name] - metrics[name]))
    apart = abs(found[worst] - metrics[worst])
    if apart > 1e-6:
        what = (
            f"{worst} is {numbers.metric(metrics[worst])} in metrics.json, and the lists give "
            f"{numbers.metric(found[worst])}"
        )
        findings.append(
            Finding("warning", "lists", where, what, apart, "measure again with `genrec evaluate`")
        )
    last_B = targets.histories.items[targets.histories.offsets[1:] - 1]
    share = float((rankings.items_BK == last_B[:, None]).any(axis=1).mean())
    if share:
        what = f"{numbers.share(share, 2)} of the lists hold the last item of their history"
        advice = "the lists answer an earlier question, as for validation: rank with the whole history"
        findings.append(Finding("warning", "lists", where, what, share, advice))
    return findings


def question_findings(written: Histories, words: Sequence[str], targets: Targets) -> list[Finding]:
    """Test items inside what is written for the test users, read back from it.

    Args:
        written: the items written in each of the B questions.
        words: the texts of the prompts around them; the same for all users.
        targets: the B test questions.
    """
    if targets.orders is not None:  # each item of an order is an answer
        written, targets = written.take(targets.orders.rows), targets.apart()
    findings = []
    told_B = in_history(written, targets.items) & ~in_history(targets.histories, targets.items)
    if told_B.any():
        share = float(told_B.mean())
        what = f"{numbers.share(share, 2)} of the written questions hold their own answer ({int(told_B.sum()):,} users)"
        findings.append(Finding("leak", "questions", "prompts", what, share, "write the history alone"))
    text = " ".join(_folded(part) for part in words)
    named = [
        row
        for row, title in enumerate(targets.catalogue.titles)
        if " " in _folded(title) and f" {_folded(title)} " in f" {text} "
    ]
    share = float(np.isin(targets.items, named).mean())
    if share:
        longest = max((targets.catalogue.titles[row] for row in named), key=len)
        what = f"their words name {longest!r}, and what they name answers {numbers.share(share, 2)} of the test users"
        findings.append(Finding("leak", "questions", "prompts", what, share, "take titles out of the words"))
    return findings


def _rates(where: str, metrics: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for name, means in _RATES.items():
        if rate := float(metrics.get(name, 0.0)):
            what = f"{numbers.share(rate, 2)} of the returned entries {means}"
            advice = "k asked is not k given, so HR@k and NDCG@k are those of shorter lists"
            findings.append(Finding("warning", name, where, what, rate, advice))
    open_rate = 1 - float(metrics.get("exact_rate", 1.0))
    if open_rate:
        what = f"{numbers.share(open_rate, 2)} of the lists are not proven to be the model's true top"
        advice = "measure with --exact, or take more beams"
        findings.append(Finding("note", "exact_rate", where, what, open_rate, advice))
    return findings


def _arithmetic(where: str, metrics: Mapping[str, Any]) -> list[Finding]:
    if "num_targets" in metrics:  # of orders, whose gains have other bounds
        return []
    hits, gains = (
        {int(key.removeprefix(name)): metrics[key] for key in metrics if key.startswith(name)}
        for name in ("HR@", "NDCG@")
    )
    advice = "the metrics were changed or not measured on one target a user: measure again"
    return [
        Finding(
            "warning",
            "impossible cell",
            where,
            f"{cell.metric}@{cell.k} is {cell.value:.6f}, and only {cell.low:.6f} to {cell.high:.6f} is possible",
            max(cell.value - cell.high, cell.low - cell.value),
            advice,
        )
        for cell in impossible_cells(Row(where, hits, gains, digits=9))
    ]


def _beside_baselines(
    where: str, metrics: Mapping[str, Any], train: Interactions, targets: Targets
) -> list[Finding]:
    """A model below what needs no learning, or far above it, at HR@10 or the next smaller cut-off there is."""
    if metrics["num_users"] != len(targets):
        what = f"measured on {metrics['num_users']:,} users, and this part of the data has {len(targets):,}"
        return [Finding("warning", "users", where, what, metrics["num_users"], "measure it again")]
    k = max((k for k in _cut_offs(metrics) if k <= 10), default=0)
    if not k:
        return []
    hr = float(metrics[f"HR@{k}"])
    popular = float(hit_rate(popularity_ranks(train, targets), k).mean())
    following = float(hit_rate(following_ranks(train, targets), k).mean())
    findings = []
    if hr < popular - 1e-9:
        what = f"HR@{k} {numbers.metric(hr)} is below that of popularity, {numbers.metric(popular)}"
        advice = "look into the training's log before reporting it"
        findings.append(Finding("warning", "below popularity", where, what, hr - popular, advice))
    best = max(popular, following)
    if hr > TOO_GOOD * best:
        what = (
            f"HR@{k} {numbers.metric(hr)} is more than {TOO_GOOD:g} times that of popularity "
            f"({numbers.metric(popular)}) and of what followed the last item ({numbers.metric(following)})"
        )
        advice = "look for test items in training, codes or prompts before believing it"
        findings.append(Finding("warning", "too good", where, what, hr / max(best, 1e-9), advice))
    return findings


def _cut_offs(metrics: Mapping[str, Any]) -> list[int]:
    return sorted(int(name.removeprefix("HR@")) for name in metrics if name.startswith("HR@"))


def _same(metrics: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two measurements have the same quality to the last digit, and found anything at all."""
    names = [name for name in metrics if name.startswith(("HR@", "NDCG@", "MRR"))]
    return any(metrics[name] for name in names) and all(metrics[name] == others.get(name) for name in names)


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
