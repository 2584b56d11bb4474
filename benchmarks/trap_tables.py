"""The tables inside README.md and docs/protocol.md, from results/traps.json, our results and the published ones."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from genrec.recommenders.options import flattened

from measured import TITLES, data_sets, measurements, number, percent, published, spread, table

_TITLES = TITLES | {"ml-latest-small": "MovieLens latest small"}
_COUNTING = ("popular", "itemknn")  # recommenders of ours in results/traps.json, beside rules
_MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, folder: Path) -> str:
    """The page with each table between `<!-- table: NAME -->` and `<!-- end -->` as the files in `folder` have it."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]](folder)}\n\n{found[3]}", text)


def _traps(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / "traps.json").read_text())[name])


def _named(name: str) -> str:
    return f"`{name}`" if name in _COUNTING else name


def _ours(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """All our results with the title of their data set."""
    return [
        (_TITLES.get(data, data), result)
        for data in data_sets(folder)
        for result in measurements(folder, data)
    ]


def headline(folder: Path) -> str:
    """HR@10 / NDCG@10 of all our recommenders, a column for each data set."""
    names = [data for data in data_sets(folder) if measurements(folder, data)]
    cells: dict[str, dict[str, str]] = {}
    for data in names:
        for result in measurements(folder, data):
            shown = " / ".join(number(result["mean"][metric]["mean"]) for metric in ("HR@10", "NDCG@10"))
            seeds = len(result["seeds"])
            alone = f" ({seeds} seed{'s' if seeds > 1 else ''})" if result["seeds"] != [None] else ""
            cells.setdefault(result["recommender"], {})[data] = shown + alone
    rows = [[f"`{name}`", *(found.get(data, "–") for data in names)] for name, found in sorted(cells.items())]
    return table(["HR@10 / NDCG@10", *(TITLES[data] for data in names)], rows)


def seen(folder: Path) -> str:
    rows = []
    for title, result in _ours(folder):
        out, allowed = (result[part]["HR@10"]["mean"] for part in ("mean", "mean_unfiltered"))
        share = statistics.fmean(run["test"]["unfiltered"]["seen_rate"] for run in result["per_seed"])
        change = f"{allowed / out - 1:+.0%}".replace("-", "−").replace("%", " %")
        rows.append(
            [title, f"`{result['recommender']}`", number(out), number(allowed), change, percent(share)]
        )
    return table(
        ["data", "recommender", "HR@10, seen out", "seen allowed", "change", "seen items in the lists then"],
        rows,
    )


def equal_times(folder: Path) -> str:
    rows = []
    for data, measured in _traps(folder, "equal_times").items():
        for order, values in measured["orders"].items():
            hits = [number(values[name]["HR@10"]) for name in _COUNTING]
            rows.append([_TITLES[data], order, percent(values["targets_changed"]), *hits])
    return table(["data", "equal times in", "other test targets", "`popular` HR@10", "`itemknn` HR@10"], rows)


def equal_scores(folder: Path) -> str:
    rows = []
    for data, measured in _traps(folder, "equal_scores_and_samples").items():
        for name, values in measured.items():
            hits = [number(values[way]["HR@10"]) for way in ("against", "in_favour")]
            rows.append([_TITLES[data], _named(name), *hits])
    return table(["data", "ranked by", "HR@10, ties against the target", "in its favour"], rows)


def samples(folder: Path) -> str:
    rows = []
    for data, measured in _traps(folder, "equal_scores_and_samples").items():
        full, sampled = (
            {name: value(values) for name, values in measured.items()}
            for value in (
                lambda values: values["against"]["HR@10"],
                lambda values: values["sampled_HR@10"]["mean"],
            )
        )
        for name, values in measured.items():
            places = [
                str(sorted(among.values(), reverse=True).index(among[name]) + 1) for among in (full, sampled)
            ]
            shown = [number(full[name]), spread(values["sampled_HR@10"], 2)]
            rows.append([_TITLES[data], _named(name), shown[0], places[0], shown[1], places[1]])
    return table(["data", "ranked by", "HR@10, all items", "place", "HR@10, 99 sampled items", "place"], rows)


def copied(folder: Path) -> str:
    rows = [
        [row.model, row.cells[2], row.cells[3], f"[{row.group['source']}]({row.group['url']})"]
        for row in published(folder / "published.yaml")
        if row.data == "amazon2014_beauty" and row.model.startswith("SASRec")
    ]
    for result in measurements(folder, "amazon2014_beauty"):
        if result["recommender"] == "sasrec":
            shown = [spread(result["mean"][name], len(result["seeds"])) for name in ("HR@10", "NDCG@10")]
            rows.append(["`sasrec`", *shown, "[ours](results.md#amazon-beauty-2014)"])
    return table(["on Beauty", "HR@10", "NDCG@10", "from"], rows)


def leaking_ids(folder: Path) -> str:
    rows = []
    for data, measured in _traps(folder, "leaking_ids").items():
        for numbers, values in measured.items():
            shown = [number(values[name]) for name in ("HR@1", "HR@10", "NDCG@10")]
            rows.append([_TITLES[data], numbers, *shown])
    return table(["data", "numbers", "HR@1", "HR@10", "NDCG@10"], rows)


def one_name(folder: Path) -> str:
    rows = []
    for data, measured in _traps(folder, "one_name").items():
        for cut, values in measured.items():
            counts = [f"{values[name]:,}" for name in ("num_users", "num_items", "num_interactions")]
            hits = [number(values[name]["HR@10"]) for name in _COUNTING]
            rows.append([_TITLES[data], cut, *counts, *hits])
    header = ["data", "cut", "users", "items", "interactions", "`popular` HR@10", "`itemknn` HR@10"]
    return table(header, rows)


def beams(folder: Path) -> str:
    rows = []
    for title, result in _ours(folder):
        config = flattened(yaml.safe_load(result["config"])["config"])
        if "beams" in config:
            exact = percent(result["mean"]["exact_rate"]["mean"])
            rows.append([title, f"`{result['recommender']}`", str(config["beams"]), exact])
    return table(["data", "recommender", "beams", "lists proven to be the model's own best 21"], rows)


def validation(folder: Path) -> str:
    rows = []
    for title, result in _ours(folder):
        best = [run["best_validation_NDCG@10"] for run in result["per_seed"]]
        if None not in best:
            test = number(result["mean"]["NDCG@10"]["mean"])
            rows.append([title, f"`{result['recommender']}`", number(statistics.fmean(best)), test])
    return table(["data", "recommender", "NDCG@10, validation", "NDCG@10, test"], rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "headline": headline,
    "seen": seen,
    "equal-times": equal_times,
    "equal-scores": equal_scores,
    "samples": samples,
    "copied": copied,
    "leaking-ids": leaking_ids,
    "one-name": one_name,
    "beams": beams,
    "validation": validation,
}
