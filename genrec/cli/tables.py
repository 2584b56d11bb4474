"""The tables of numbers: the protocol's metrics, and those of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genrec.cli.terminal import print_facts, print_table, stdout
from genrec.evaluation import numbers

_RATES = ("exact_rate", "invalid_rate", "duplicate_rate", "seen_rate")
_PERCENT = ("BLEU", "ROUGE")


def print_evaluation(measured: Mapping[str, Any], title: str) -> None:
    """Print the protocol's table: each metric with its interval, and without the seen filter beside it.

    Of a run with a refit, its metrics stand in a further column.
    """
    from genrec.recommenders.options import flattened
    from genrec.runs.floor import floor_line

    unfiltered, about = measured["unfiltered"], measured["provenance"]
    rows = [
        [name, numbers.metric(measured[name]), numbers.interval(low, high), numbers.metric(unfiltered[name])]
        for name, (low, high) in measured["intervals"].items()
    ]
    header = [
        "metric",
        "seen excluded",
        "95% interval",
        "list as given" if "rankings" in about else "seen allowed",
    ]
    floor, again, trained_on = measured.get("floor"), measured.get("refit"), about.get("trained_on")
    if again is not None:
        header.append("refit")
        rows = [[*row, numbers.metric(again[row[0]])] for row in rows]
        trained_on = f"{trained_on}; refit: {again['trained_on']}"
    print_table(header, rows, title)
    facts = {
        "trained on": trained_on,
        "floor": None if floor is None else floor_line(floor),
        **{f"{name}, beside": numbers.quality(one) for name, one in measured.get("floors", {}).items()},
        "floor of the refit": floor_line(again["floor"]) if again is not None and "floor" in again else None,
        **_apart(measured),
        **data_facts(about),
        "protocol": f"{about['protocol']}, all {measured['num_items']:,} items ranked",
        "targets": _targets(measured),
        "users": int(measured["num_users"]),
        "users without a list": measured.get("num_without_list"),
        "interactions": about["num_interactions"],
        "seed": about.get("seed"),
        "beams": flattened(about.get("config", {})).get("beams"),
        **{name.replace("_", " "): numbers.share(measured[name], 2) for name in _RATES if name in measured},
    }
    if "seconds" in measured:
        facts["seconds"] = f"{measured['seconds']:,.1f}"
        facts["peak memory"] = f"{numbers.count(measured['peak_memory_mb'])} MiB"
    print_facts({**facts, "commit": about["commit"]})


def print_choice(about: Mapping[str, Any]) -> None:
    """Print what `genrec train auto` has fitted, best first, and in a sentence what to use."""
    rows = [
        [
            one["name"] + (" *" if one["name"] == about["chosen"] else ""),
            numbers.metric(one["HR@10"]),
            numbers.metric(one["NDCG@10"]),
            f"{one['seconds']:,.1f}",
        ]
        for one in about["candidates"]
    ]
    print_table(["", "HR@10", "NDCG@10", "seconds"], rows, "auto, validation (* chosen)")
    stdout().print(about["why"])


def _targets(measured: Mapping[str, Any]) -> str:
    """What is asked for: one item a user, or all of an order."""
    if "num_targets" not in measured:
        return "the next item"
    num_targets, num_users = measured["num_targets"], measured["num_users"]
    return (
        f"the next order: {num_targets:,} items, {num_targets / num_users:.1f} a user; HR: any of them found"
    )


def _apart(measured: Mapping[str, Any]) -> dict[str, str]:
    """Targets that nobody took in training, if there are any, and all others, each with what the floors find."""
    from genrec.runs.floor import told

    if not measured.get("cold", {}).get("num_users"):
        return {}
    found = {}
    for label, name in (("targets never trained", "cold"), ("other targets", "warm")):
        who = "targets" if "num_targets" in measured else "users"
        rows = {f"{measured[name]['num_users']:,} {who}": measured[name]}
        floors = [measured[key] for key in ("floor", "text_floor") if name in measured.get(key, {})]
        rows |= {told(floor): floor[name] for floor in floors}
        found[label] = "; ".join(
            f"{who}: {numbers.quality(row)}" for who, row in rows.items() if row["num_users"]
        )
    return found


def print_tasks(found: Mapping[str, Any], title: str) -> None:
    """Print a table for each task: who answered, and each metric."""
    from genrec.tasks.recommender import PROMPT_KINDS

    about = found["provenance"]
    who = {asking: f"{about['recommender']}, {asking} prompts" for asking in PROMPT_KINDS}
    for task, rows in found["tasks"].items():
        first = next(iter(rows.values()))
        told = f"{task}: {int(first['num_questions']):,} questions"
        if "num_copies" in first:
            told += f", {int(first['num_copies']):,} more left out whose text stands in training"
        names = list(dict.fromkeys(name for row in rows.values() for name in row if "num_" not in name))
        if any(name.startswith(_PERCENT) for name in names):
            told += "; in percent"
        table = [[who.get(name, name), *_cells(row, names)] for name, row in rows.items()]
        print_table(["answered by", *names], table, told)
        stdout().print()
    facts = {"measured": title, **data_facts(about), "protocol": about["protocol"]}
    print_facts({**facts, "seed": about["seed"], "commit": about["commit"]})


def _cells(row: Mapping[str, float], names: Sequence[str]) -> list[str]:
    digits = {name: 2 if name.startswith(_PERCENT) else 4 for name in names}
    return [f"{row[name]:.{digits[name]}f}" if name in row else "" for name in names]


def data_facts(about: Mapping[str, Any]) -> dict[str, object]:
    """The data of a measurement, from its provenance, and why it cannot be believed, if so."""
    synthetic = " (SYNTHETIC: invented, says nothing about real people)" if about["synthetic"] else ""
    return {"data": about["data"] + synthetic, "LEAK": about.get("leak")}
