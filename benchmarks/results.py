"""Make docs/results.md from results/, and fill the tables of README.md and docs/protocol.md: `make results`."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import yaml
from genrec.audit.findings import leaky_code
from genrec.data.files import write_text
from genrec.recommenders.options import flattened
from genrec.tasks.recommender import PROMPT_KINDS

from measured import (
    CELLS,
    NAMES,
    OTHERS,
    Published,
    commits,
    data_sets,
    duration,
    measurements,
    number,
    percent,
    published,
    set_options,
    spread,
    table,
    task_cell,
)
from trap_tables import filled

ROOT = Path(__file__).resolve().parents[1]

INTRODUCTION = """\
# Results

This page is generated from [`results/`](../results/) by `make results` (`python benchmarks/results.py`); edit the
files there, not the page. [protocol.md](protocol.md) describes what is measured and why,
[experiments.md](experiments.md) what led to the options.

**Ours.** Leave-one-out by time, test targets, the whole catalogue ranked, seen items excluded (and allowed, in the last
metric columns), ties counted against the model. Mean ± standard deviation over seeds; `popular`, `itemknn` and
`transitions` (`transitions-text` is that with `text=tfidf`) are deterministic and have one run. "Exact lists" is the
share of lists proven to be the model's own top k. "Trained on" tells the state of the training data at the test: the
training part, or training and validation items once validation had chosen ([`--refit`](evaluate.md#refit)). Training is
wall time of one run with the given number of threads (of a refit, of the second training alone), while other work may
have shared the machine. Options and checkpoints were chosen on the validation targets, the
defaults of `itemknn` on those of MovieLens 100K and Beauty together, those of `transitions` on those of all four.
Choices made after test figures had been seen are marked in [experiments.md](experiments.md), above all that
`recsysllm-tokens` has no pre-training; the test part was opened twice for `transitions`. Repeat a row with `python
benchmarks/seeds.py RECOMMENDER OPTIONS --data PATH`.

**Tasks** of multi-task recommenders are listed with baselines for the same questions, fitted on the same training part;
texts (BLEU, ROUGE) in percent. "new" prompts describe an item by its attributes only.

**Published.** As printed, with what is known of the protocol:

| mark | meaning |
|---|---|
| seen out | whether items of the history were excluded from the ranking |
| ids leak | whether the items' codes reveal the test item ([leaking ids](protocol.md#leaking-ids)) |
| seeds | runs behind the number, if the source states them |
| ? | not stated in the source |
| ~~.0536~~ ✗ | impossible given the other numbers of its row, with the possible range (`genrec audit`) |

Rows with other marks than ours, another version of the data or copied numbers are not comparable with ours; they are
listed for reference. All of them rank the whole catalogue unless the remark says otherwise.
"""


def main() -> None:
    """Write the pages."""
    folder, docs = ROOT / "results", ROOT / "docs"
    pages = {docs / "results.md": results_page(folder)}
    for path in (ROOT / "README.md", docs / "protocol.md"):
        pages[path] = filled(path.read_text(encoding="utf-8"), folder)
    for path, text in pages.items():
        write_text(path, text)


def results_page(folder: Path) -> str:
    """docs/results.md as it follows from the files in `folder`."""
    rows = published(folder / "published.yaml")
    return "\n".join([INTRODUCTION, *(_data_set(folder, data, rows) for data in data_sets(folder))])


def _data_set(folder: Path, data: str, rows: list[Published]) -> str:
    found = measurements(folder, data)
    tasks = [json.loads(path.read_text()) for path in sorted((folder / data / "tasks").glob("*.json"))]
    parts = [f"## {NAMES.get(data, data)}", *(_ours(found, data) if found or not tasks else [])]
    for result in tasks:
        parts += _tasks(result, data)
    for name, told in OTHERS.items():
        if (folder / data / name).exists():
            parts.append(f"Also measured: [`{name}`](../results/{data}/{name}), {told}.")
    of_data = [row for row in rows if row.data == data]
    if of_data:
        header = ["published", *CELLS, "seen out", "ids leak", "seeds", "source", "remark"]
        parts.append(table(header, [_published_row(row) for row in of_data]))
    return "\n\n".join(parts) + "\n"


def _ours(found: list[dict[str, Any]], data: str) -> list[str]:
    """Counts, table, options and machines of what we measured on a data set."""
    if not found:
        return ["We have not measured anything on it yet."]
    counts = found[0]["data"]["counts"]
    about = (
        f"`{data}`: {counts['num_users']:,} users, {counts['num_items']:,} items, "
        f"{counts['num_interactions']:,} interactions; fingerprint `{counts['fingerprint'][:12]}`."
    )
    header = [
        "ours",
        *CELLS,
        "seen allowed: HR@10",
        "NDCG@10",
        "trained on",
        "seeds",
        "exact lists",
        "training",
        "commit",
    ]
    machines = {
        f"{machine['cpu']}, {machine['num_cores']} cores, threads a run: {machine['num_threads']}"
        for machine in (result["environment"] for result in found)
    }
    chosen = "\n".join(f"- {_chosen(result, data)}" for result in found)
    return [
        about,
        table(header, [row for result in found for row in _our_rows(result, data)]),
        f"Options other than the defaults, and the validation figure by which the checkpoint was chosen:\n\n{chosen}",
        f"Machine: {'; '.join(sorted(machines))}.",
    ]


def _tasks(result: dict[str, Any], data: str) -> list[str]:
    """A table of each task that a recommender of several was asked: itself, and the simple answers."""
    name, num_seeds = result["recommender"], len(result["seeds"])
    seconds = statistics.fmean(run["train_seconds"] for run in result["per_seed"])
    parts = [
        f"**Tasks**, [`{name}`](../results/{data}/tasks/{name}.json), {num_seeds} "
        f"seed{'s' if num_seeds > 1 else ''}, {duration(seconds)} of training each, commit {commits(result)}; options: "
        f"`{' '.join(f'{key}={value}' for key, value in set_options(result).items())}`."
    ]
    for task, rows in result["tasks"].items():
        metrics = list(
            dict.fromkeys(key for row in rows.values() for key in row if not key.startswith("num_"))
        )
        first = next(iter(rows.values()))
        asked = f"{task} ({first['num_questions']['mean']:,.0f} questions)"
        lines = [
            [
                f"`{name}`, {who} prompts" if who in PROMPT_KINDS else who,
                *(task_cell(key, row[key], num_seeds) if key in row else "–" for key in metrics),
            ]
            for who, row in rows.items()
        ]
        parts.append(table([asked, *metrics], lines))
    return parts


def _link(result: dict[str, Any], data: str) -> str:
    link = f"[`{result['recommender']}`](../results/{data}/{result['recommender']}.json)"
    return (
        f"{link} (leaky codes)" if leaky_code(flattened(yaml.safe_load(result["config"])["config"])) else link
    )


def _our_rows(result: dict[str, Any], data: str) -> list[list[str]]:
    """The row of a recommender, and the one of its refit, if that was measured."""
    num_seeds = len(result["seeds"])
    measured = [
        {"trained_on": "training part", **result},
        *([result["refit"]] if result.get("refit") else []),
    ]
    return [
        [
            _link(result, data),
            *(spread(of["mean"][name], num_seeds) for name in CELLS),
            *(spread(of["mean_unfiltered"][name], num_seeds) for name in ("HR@10", "NDCG@10")),
            of["trained_on"],
            "–" if result["seeds"] == [None] else str(num_seeds),
            percent(of["mean"]["exact_rate"]["mean"]),
            duration(statistics.fmean(run[seconds] for run in result["per_seed"])),
            commits(result),
        ]
        for of, seconds in zip(measured, ("train_seconds", "refit_seconds"), strict=False)
    ]


def _chosen(result: dict[str, Any], data: str) -> str:
    options = " ".join(f"{name}={value}" for name, value in set_options(result).items())
    text = f"{_link(result, data)}: {f'`{options}`' if options else 'none'}"
    best = [run["best_validation_NDCG@10"] for run in result["per_seed"]]
    return text if None in best else f"{text}; NDCG@10 {number(statistics.fmean(best))} on validation"


def _published_row(row: Published) -> list[str]:
    impossible, group = row.impossible, row.group
    cells = [
        f"~~{text}~~ ✗" if name in impossible else text.replace("-", "–")
        for name, text in zip(CELLS, row.cells, strict=True)
    ]
    remarks = [
        f"{name} can only be {number(low)} to {number(high)}" for name, (low, high) in impossible.items()
    ]
    remarks += ["sampled ranking"] if group["ranking"] == "sampled" else []
    copied = {"no": [], "unknown": ["own run or copied: ?"]}
    remarks += copied.get(group["copied_from"], [f"copied from {group['copied_from']}"])
    remarks += [row.remark] if row.remark else []
    year = "" if group["year"] == "unknown" else f" {group['year']}"
    return [
        row.model,
        *cells,
        *(group[mark].replace("unknown", "?") for mark in ("seen_excluded", "ids_leak", "seeds")),
        f"[{group['source']}{year}]({group['url']}), {group['where']}",
        "; ".join(remarks),
    ]


if __name__ == "__main__":
    main()
