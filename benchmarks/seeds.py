"""Train and measure a recipe with several seeds, and keep the result as one JSON file.

    python benchmarks/seeds.py genrec-best --data ../shared/data/ml-100k --seeds 0 1 2 --jobs 2

Each seed is one `genrec train` and one `genrec evaluate --split test` on a single thread; `--jobs` of them run side by
side, which uses small machines better than threads do. The file holds every seed's metrics, their mean and standard
deviation, the configuration, the data's fingerprint, times, commit and hardware. A seed that is finished already is
not trained again, and of one that was stopped and taken up `train_seconds` tells the last part only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

METRICS = ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR")
THREADS = 1  # of each process
RATES = ("exact_rate", "invalid_rate", "duplicate_rate", "seconds", "peak_memory_mb")


def main() -> None:
    """Run all seeds and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--name", help="of the result; the recipe's if not given")
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--no-seed", action="store_true", help="one run of a recommender that draws nothing")
    options = parser.parse_intermixed_args()
    if options.no_seed:
        options.seeds = [None]
    name = options.name or options.recipe
    data_name = Path(options.data).name
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = list(pool.map(lambda seed: one_seed(options, data_name, name, seed), options.seeds))
    write(options.results / data_name / f"{name}.json", name, options.data, runs)


def one_seed(options: argparse.Namespace, data_name: str, name: str, seed: int | None) -> dict[str, Any]:
    """Train and evaluate one seed; what is done already is kept."""
    run = options.runs / data_name / (name if seed is None else f"{name}-seed{seed}")
    train = ["train", options.recipe, "--data", options.data, "--out", str(run)]
    train += ["--resume"] if run.exists() else []
    genrec(*train, *options.overrides, *([] if seed is None else [f"seed={seed}"]))
    metrics_path = run / "metrics.json"
    if "test" not in json.loads(metrics_path.read_text()):
        genrec("evaluate", str(run), "--split", "test", "--json")
    measured = json.loads(metrics_path.read_text())
    log_path = run / "log.jsonl"
    log = [json.loads(line) for line in log_path.read_text().splitlines()] if log_path.exists() else []
    validations = [entry["eval_NDCG@10"] for entry in log if "eval_NDCG@10" in entry]
    return {
        "seed": seed,
        "test": {key: value for key, value in measured["test"].items() if key != "provenance"},
        "best_validation_NDCG@10": max(validations, default=None),
        # The loop's own time where there is a loop; who only counts has no log.
        "train_seconds": next(
            (entry["train_runtime"] for entry in log if "train_runtime" in entry),
            measured["training"]["seconds"],
        ),
        "data": json.loads((run / "data.json").read_text()),
        "environment": json.loads((run / "environment.json").read_text()),
        "config": (run / "config.yaml").read_text(),
    }


def genrec(*arguments: str) -> None:
    """One command of genrec in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "POLARS_MAX_THREADS": str(THREADS)}
    print("genrec", *arguments, file=sys.stderr, flush=True)
    subprocess.run(
        [sys.executable, "-m", "genrec", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
    )


def write(path: Path, name: str, data: str, runs: list[dict[str, Any]]) -> None:
    """One JSON file with every seed, the means and what is needed to repeat them."""

    def over_seeds(metric: str, part: str | None = None) -> dict[str, float]:
        values = [(run["test"][part] if part else run["test"])[metric] for run in runs]
        return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else 0.0}

    first = runs[0]
    # Where the files lay on this machine helps nobody; the path as given and the fingerprint do.
    source = {**first["data"], "source": {**first["data"]["source"], "path": data}}
    environment = {key: value for key, value in first["environment"].items() if key != "command"}
    environment["commit"] = ", ".join(dict.fromkeys(str(run["environment"]["commit"]) for run in runs))
    environment["num_threads"] = environment["num_threads"] or THREADS  # None: torch was not needed
    result = {
        "recommender": name,
        "split": "test",
        "seeds": [run["seed"] for run in runs],
        "mean": {metric: over_seeds(metric) for metric in (*METRICS, *RATES)},
        "mean_unfiltered": {metric: over_seeds(metric, "unfiltered") for metric in METRICS},
        "per_seed": [
            {key: run[key] for key in run if key not in ("data", "environment", "config")} for run in runs
        ],
        "config": first["config"],
        "data": source,
        "environment": environment,
        "written": time.strftime("%Y-%m-%d"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)
    means = {metric: round(result["mean"][metric]["mean"], 4) for metric in METRICS}
    print(f"{path}: {means}")


if __name__ == "__main__":
    main()
