"""The report: one HTML file that needs nothing else, which tells a person what was measured and shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from genrec.data.readers.times import iso_day
from genrec.evaluation import numbers
from genrec.evaluation.significance import Verdict
from genrec.pages.charts import Bar, Form, Line, bar_panel, line_chart
from genrec.pages.page import next_steps, scrolling, section, write_page
from genrec.pages.users import Nobody, ShownUser, users_section
from genrec.pages.verdict import verdict_list

_PANELS = {
    "HR@10": "HR@10: what came next is among the first ten",
    "NDCG@10": "NDCG@10: and how near the top it stands",
    "HR@5": "HR@5: among the first five",
    "MRR": "MRR: the mean of 1 / rank",
}
_PROTOCOL = (
    "{what} of each user was kept aside and has to be found again among all items of the catalogue; items "
    "the user had before are left out of the lists, and ties count against the recommender. The thin lines "
    "are 95% intervals: another draw of users could move the number that far. All axes are the same and start at 0."
)
_SMALL_NUMBERS = (
    "The best of a row is bold. The small number below it is the same metric where items seen before may be "
    "recommended again."
)
_COUNTS = {"num_users": "users", "num_items": "items", "num_interactions": "interactions"}
_COSTS: dict[str, tuple[str, Form]] = {
    "exact_rate": ("certified exact lists", numbers.share),
    "invalid_rate": ("entries that do not exist", numbers.share),
    "duplicate_rate": ("repeated entries", numbers.share),
    "seen_rate": ("entries seen before", numbers.share),
    "seconds": ("time for all users", numbers.duration),
    "users_per_s": ("users per second", numbers.count),
    "peak_memory_mb": ("peak memory, MiB", numbers.count),
}


def write_report(
    path: str | Path,
    *,
    title: str,
    data_summary: Mapping[str, Any],
    evaluations: Mapping[str, Mapping[str, Any]],
    curve: Sequence[Mapping[str, Any]] = (),
    users: Sequence[ShownUser | Nobody] = (),
    verdicts: Mapping[str, Verdict] | None = None,
    notes: Sequence[str] = (),
    steps: Sequence[tuple[str, Sequence[str]]] = (),
    synthetic: bool,
) -> Path:
    """Write the report to `path` (folders are made, an older report is replaced) and return the path.

    Args:
        path: the HTML file.
        title: headline.
        data_summary: `Dataset.summary()`.
        evaluations: recommender to `Evaluation.to_json()`; the first one is the one the report is about.
        curve: rows of the training log; `loss` and `eval_NDCG@...` are drawn over `step`.
        users: hit, near miss and miss, with their lists.
        verdicts: another recommender to what the paired test says of the first one beside it.
        notes: further remarks, one paragraph each.
        steps: what to do next: what each is for, and its commands.
        synthetic: the data are invented, which the page then says loudly.
    """
    sections = [
        _header(title, data_summary),
        users_section(next(iter(evaluations), ""), users),
        _quality(evaluations, verdicts or {}),
        _curve(curve),
        _table(evaluations),
        _notes(notes),
        next_steps(steps),
    ]
    return write_page(path, title, sections, synthetic=synthetic)


def _header(title: str, summary: Mapping[str, Any]) -> str:
    figures = "".join(
        f"<div><dt>{label}</dt><dd>{numbers.count(summary[name])}</dd></div>"
        for name, label in _COUNTS.items()
        if name in summary
    )
    rows = "".join(
        f"<tr><td>{escape(_words(name))}</td><td>{escape(_plain(name, value))}</td></tr>"
        for name, value in summary.items()
        if name not in _COUNTS and value not in (None, "", [], {})
    )
    about = f"<details><summary>About the data</summary><table>{rows}</table></details>" if rows else ""
    return f'<header><h1>{escape(title)}</h1><dl class="figures">{figures}</dl>{about}</header>'


def _quality(evaluations: Mapping[str, Mapping[str, Any]], verdicts: Mapping[str, Verdict]) -> str:
    """The headline number in words, the verdict beside the others, and bars with intervals."""
    if not evaluations:
        return ""
    name, own = next(iter(evaluations.items()))
    sentence, kept, asked = "", "One item", "the item that they took next"
    if "num_targets" in own:
        kept, asked = "The last order", "an item of their next order"
    if "HR@10" in own:
        others = [
            f"{escape(other)} for {numbers.share(metrics['HR@10'])}"
            for other, metrics in evaluations.items()
            if other != name and "HR@10" in metrics
        ]
        own_share = f"<b>{numbers.share(own['HR@10'])}</b> of {own['num_users']:,} users"
        sentence = (
            f'<p class="lead">For {own_share}, {escape(name)} puts {asked} among its '
            f"first ten out of {own['num_items']:,}{' (' + ', '.join(others) + ')' if others else ''}.</p>"
        )
    shown = {
        label: [_bar(name, metrics, metric) for name, metrics in evaluations.items()]
        for metric, label in _PANELS.items()
        if all(metric in metrics for metrics in evaluations.values())
    }
    highest = max((max(bar.value, bar.high) for bars in shown.values() for bar in bars), default=0.0)
    panels = "".join(bar_panel(label, bars, highest=highest) for label, bars in shown.items())
    protocol = _PROTOCOL.format(what=kept)
    tested = verdict_list(name, verdicts, int(own["num_users"])) if verdicts else ""
    floor = "" if own.get("floor", {}).get("recommender") in verdicts else _floor(own)
    return (
        f'<section><h2>What it finds</h2>{sentence}{tested}{floor}{_trained_on(own)}<p class="soft">{protocol}</p>'
        f'<div class="panels">{panels}</div></section>'
    )


def _floor(own: Mapping[str, Any]) -> str:
    """What is found on the same questions without training, where that was measured."""
    floor = own.get("floor")
    if floor is None:
        return ""
    below = "below" if own["NDCG@10"] < floor["NDCG@10"] else "not below"
    return (
        f"<p>The floor, counts of what follows what ({escape(floor['recommender'])}), needs no training and has "
        f"{numbers.quality(floor)}: by NDCG@10 this recommender is <b>{below}</b> it.</p>"
    )


def _trained_on(own: Mapping[str, Any]) -> str:
    """What the training data were, and the numbers of the model that has learnt from the validation items as well."""
    trained_on = own.get("provenance", {}).get("trained_on")
    if trained_on is None:
        return ""
    told, again = f"Trained on: {escape(trained_on)}.", own.get("refit")
    if again is not None:
        told += f" Trained again on {escape(again['trained_on'])}, it has {numbers.quality(again)}."
    return f"<p>{told}</p>"


def _bar(name: str, metrics: Mapping[str, Any], metric: str) -> Bar:
    value = float(metrics[metric])
    low, high = metrics.get("intervals", {}).get(metric, (value, value))
    return Bar(name, value, float(low), float(high))


def _table(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    """Every metric of every recommender; below each, what it is with seen items allowed."""
    if not evaluations:
        return ""
    own = next(iter(evaluations))
    head = "".join(f"<th{_own(name == own)}>{escape(name)}</th>" for name in evaluations)
    rows = []
    metrics = [
        name for name in evaluations[own] if name == "MRR" or name.startswith(("HR@", "NDCG@", "Recall@"))
    ]
    for metric in metrics:
        best = max(float(found.get(metric, 0)) for found in evaluations.values())
        cells = "".join(
            f"<td{_own(name == own)}>{_quality_cell(found, metric, best)}</td>"
            for name, found in evaluations.items()
        )
        rows.append(f"<tr><td>{escape(metric)}</td>{cells}</tr>")
    for metric, (label, form) in _COSTS.items():
        cells = "".join(
            f"<td{_own(name == own)}>{form(found[metric]) if metric in found else '–'}</td>"
            for name, found in evaluations.items()
        )
        rows.append(f"<tr><td>{label}</td>{cells}</tr>")
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return section("All numbers", _SMALL_NUMBERS, scrolling("All numbers", table))


def _quality_cell(found: Mapping[str, Any], metric: str, best: float) -> str:
    if metric not in found:
        return "–"
    value = float(found[metric])
    shown = f'<span class="best">{numbers.metric(value)}</span>' if value == best else numbers.metric(value)
    unfiltered = (found.get("unfiltered") or {}).get(metric)
    return shown if unfiltered is None else f"{shown}<small>{numbers.metric(float(unfiltered))}</small>"


def _own(is_own: bool) -> str:
    return ' class="own"' if is_own else ""


def _curve(curve: Sequence[Mapping[str, Any]]) -> str:
    validation = next((name for row in curve for name in row if name.lower().startswith("eval_ndcg")), "")
    losses, gains = _points(curve, "loss"), _points(curve, validation)
    charts = []
    if losses:
        charts.append(line_chart("Training loss", [Line(losses)]))
    if gains:
        label = f"{validation.removeprefix('eval_')} on validation"
        charts.append(line_chart(label, [Line(gains)], from_zero=True, mark_highest=True))
    if not charts:
        return ""
    return f'<section><h2>How it learnt</h2><div class="panels">{"".join(charts)}</div></section>'


def _points(curve: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """(step, value) of the rows that have both; values that are no number are left out."""
    found = [(float(row["step"]), float(row[name])) for row in curve if "step" in row and name in row]
    return sorted(point for point in found if isfinite(point[1]))


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    rows = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section><h2>Notes</h2><ul class="notes">{rows}</ul></section>'


def _words(name: str) -> str:
    return name.removeprefix("num_").replace("_", " ")


def _plain(name: str, value: Any) -> str:
    """A value of the summary as text."""
    if name in ("first_time", "last_time"):
        return iso_day(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain('', entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
