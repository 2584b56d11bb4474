"""Train a recipe of several tasks with several seeds, and keep what its answers are worth as one JSON file.

    python benchmarks/tasks.py p5 families=[rating] --data ../shared/data/ml-100k --name p5-rating --jobs 2

Each seed is one `genrec train` and one `genrec evaluate --task`, as `benchmarks/seeds.py` runs them. The file, in the
folder `tasks` of the data set's results, holds for each task and for each that answered (prompts seen and unseen, and
the simple answers) the mean and standard deviation over seeds of each metric, and every seed's own.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import seeds


def main() -> None:
    """Run all seeds and write the result."""
    parser = seeds.command_line(__doc__)
    parser.add_argument("--tasks", default="all", help="names of tasks parted by commas")
    options = parser.parse_intermixed_args()
    path = seeds.result_path(options, "tasks")
    runs = seeds.with_others(path, seeds.every_seed(options, one_seed))
    result = {
        "recommender": options.name or options.recipe,
        "split": "test",
        "seeds": [run["seed"] for run in runs],
        "tasks": over_seeds([run["tasks"] for run in runs]),
        **seeds.repeatable(options.data, runs),
    }
    seeds.save(path, result)
    print(f"{path}: {', '.join(result['tasks'])}")


def one_seed(options: argparse.Namespace, seed: int | None) -> dict[str, Any]:
    """Train and ask one seed; what is done already is kept."""
    run = seeds.trained(options, seed)
    metrics_path = run / "metrics.json"
    if "test-tasks" not in json.loads(metrics_path.read_text()):
        seeds.genrec("evaluate", str(run), "--task", options.tasks, "--json")
    measured = json.loads(metrics_path.read_text())["test-tasks"]
    return {"seed": seed, "tasks": measured["tasks"], "dropped": measured["dropped"], **seeds.training(run)}


def over_seeds(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Task, who answered and metric of all seeds to their mean and spread."""
    return {
        task: {
            name: {metric: seeds.spread([tasks[task][name][metric] for tasks in figures]) for metric in row}
            for name, row in rows.items()
        }
        for task, rows in figures[0].items()
    }


if __name__ == "__main__":
    main()
