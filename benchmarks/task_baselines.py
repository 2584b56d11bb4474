"""What simple answers to tasks are worth: `python benchmarks/task_baselines.py DATA ... [--out FILE.md]`.

A table for each task that the data have something for, on the test questions of the leave-one-out split. Nothing is
drawn by chance but the negatives of `direct`, which are fixed.
"""

from __future__ import annotations

import argparse

import genrec
from genrec.data.dataset import Dataset
from genrec.tasks.measure import Rows, evaluate_tasks

import pages


def table(task: str, rows: Rows) -> str:
    """One task's rows; the counts, which all of them share, in the heading."""
    first = next(iter(rows.values()))
    counts = {name: int(value) for name, value in first.items() if name.startswith("num_")}
    metrics = [name for name in first if name not in counts]
    told = ", ".join(f"{value:,} {name.removeprefix('num_')}" for name, value in counts.items())
    lines = [
        f"| {name} | " + " | ".join(f"{row[metric]:.4f}" for metric in metrics) + " |"
        for name, row in rows.items()
    ]
    header = f"| {task} ({told}) | {' | '.join(metrics)} |\n|---{'|---:' * len(metrics)}|"
    return "\n".join([header, *lines])


def section(data: Dataset) -> str:
    """All tasks of a data set."""
    split = data.split()
    figures = evaluate_tasks(None, data.interactions, split, split.test)
    tables = [table(task, rows) for task, rows in figures.items()]
    title = f"## {data.name} ({data.fingerprint[:16]})"
    return "\n\n".join([title, *tables])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("data", nargs="+", help="folders of interactions")
    pages.add_out(parser)
    given = parser.parse_args()
    head = pages.head("Simple answers to tasks", "numpy", "scikit-learn", "sacrebleu", "rouge-score")
    units = (
        "BLEU and ROUGE are in percent; `copies` are test reviews left out because their user wrote the same text\n"
        "in a training review. Settings left open are chosen on validation.\n"
    )
    page = "\n".join([head, units, *(section(genrec.read(path)) + "\n" for path in given.data)])
    pages.publish(page, given.out)


if __name__ == "__main__":
    main()
