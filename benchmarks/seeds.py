"""Train and measure a recipe with several seeds, and keep the result as one JSON file.

    python benchmarks/seeds.py genrec-best --data ../shared/data/ml-100k --seeds 0 1 2 --jobs 2

Each seed is one `genrec train` and one `genrec evaluate --split test` on a single thread; `--jobs` of them run side by
side, which uses small machines better than threads do. `{seed}` in a value stands for the seed, so that a run can be
built on another run of its own seed. The file holds every seed's metrics, their mean and standard
deviation, the configuration, the data's fingerprint, times, commit and hardware. A seed that is finished already is
not trained again, and of one that was stopped and taken up `train_seconds` tells the last part only. Other seeds that
the file holds already stay in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from genrec.data.files import write_json
from genrec.recommenders.options import flattened

METRICS = ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR")
THREADS = 1  # of each process
RATES = ("exact_rate", "invalid_rate", "duplicate_rate", "seconds", "peak_memory_mb")


def main() -> None:
    """Run all seeds and write the result."""
    parser = command_line(__doc__)
    parser.add_argument(
        "--refit",
        action="store_true",
        help="measure each seed trained on training and validation items as well",
    )
    options = parser.parse_intermixed_args()
    path = result_path(options)
    runs = with_others(path, every_seed(options, one_seed))
    write(path, options.name or options.recipe, options.data, runs)


def command_line(about: str) -> argparse.ArgumentParser:
    """What to train, on what, and where the result goes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--name", help="of the result; the recipe's if not given")
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--no-seed", action="store_true", help="one run of a recommender that draws nothing")
    return parser


def every_seed(options: argparse.Namespace, one: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """What `one(options, seed)` gives of each seed, some of them side by side."""
    seeds = [None] if options.no_seed else options.seeds
    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(lambda seed: one(options, seed), seeds))


def result_path(options: argparse.Namespace, *folders: str) -> Path:
    """Where the result goes: in the data set's folder, or in one inside of it."""
    folder: Path = options.results.joinpath(Path(options.data).name, *folders)
    return folder / f"{options.name or options.recipe}.json"


def with_others(path: Path, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These runs and those of other seeds that the file holds already, in the order of the seeds.

    Raises:
        SystemExit: those were of other data or options. Options that one of them does not know are not compared.
    """
    if not path.exists():
        return runs
    told = json.loads(path.read_text())
    run_now = {run["seed"] for run in runs}
    of_all = {key: told[key] for key in ("config", "data", "environment")}
    others = [run | of_all for run in told["per_seed"] if run["seed"] not in run_now]
    if others:
        one, other = (options_of(run) for run in (others[0], runs[0]))
        differing = [key for key in one.keys() & other.keys() if one[key] != other[key]]
        if differing:
            raise SystemExit(
                f"{path} holds seeds with other {', '.join(sorted(differing))}: move it away and repeat this command "
                "(what is trained is kept), or choose another --name"
            )
    return sorted([*others, *runs], key=lambda run: run["seed"])


def options_of(run: dict[str, Any]) -> dict[str, Any]:
    """What the seeds of one file have to share."""
    config = yaml.safe_load(run["config"])
    options = {key: value for key, value in flattened(config["config"]).items() if key != "seed"}
    return options | {"recommender": config["recommender"], "data": run["data"]["fingerprint"]}


def trained(options: argparse.Namespace, seed: int | None, *more: str) -> Path:
    """The run of a seed, trained with `more` words; one that is finished already is not trained again."""
    name = options.name or options.recipe
    run: Path = options.runs / Path(options.data).name / (name if seed is None else f"{name}-seed{seed}")
    train = ["train", options.recipe, "--data", options.data, "--out", str(run)]
    train += ["--resume"] if run.exists() else []
    overrides = [value.replace("{seed}", str(seed)) for value in options.overrides]
    genrec(*train, *more, *overrides, *([] if seed is None else [f"seed={seed}"]))
    return run


def one_seed(options: argparse.Namespace, seed: int | None) -> dict[str, Any]:
    """Train and evaluate one seed; what is done already is kept."""
    run = trained(options, seed, *(["--refit"] if options.refit else []))
    metrics_path = run / "metrics.json"
    before = json.loads(metrics_path.read_text()).get("test")
    if before is None or (options.refit and "refit" not in before):
        genrec("evaluate", str(run), "--split", "test", "--json")
    metrics = json.loads(metrics_path.read_text())
    test = {key: value for key, value in metrics["test"].items() if key != "provenance"}
    more = {"refit_seconds": metrics["refit"]["seconds"]} if "refit" in test else {}
    return {"seed": seed, "test": test, **training(run), **more}


def training(run: Path) -> dict[str, Any]:
    """How a run was trained."""
    logs = [path for path in sorted(run.rglob("log.jsonl")) if "refit" not in path.parts]
    entries = {path.parent: [*map(json.loads, path.read_text().splitlines())] for path in logs}
    log = entries.get(run, [])
    loops = [
        entry["train_runtime"] for part in entries.values() for entry in part if "train_runtime" in entry
    ]
    data = json.loads((run / "data.json").read_text())
    validations = [entry["eval_NDCG@10"] for entry in log if "eval_NDCG@10" in entry]
    return {
        "best_validation_NDCG@10": max(validations, default=None),
        # The time of all its loops, those of its parts too; who only counts has no log.
        "train_seconds": sum(loops) or json.loads((run / "metrics.json").read_text())["training"]["seconds"],
        "data": {key: value for key, value in data.items() if key != "seal"},
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

    tests = [run["test"] for run in runs]
    refits = [test["refit"] for test in tests if "refit" in test]
    result = {
        "recommender": name,
        "split": "test",
        "seeds": [run["seed"] for run in runs],
        "trained_on": "training part",
        **means_of(tests),
        # Of all seeds or none, so that both are of the same.
        "refit": {"trained_on": refits[0]["trained_on"], **means_of(refits)}
        if len(refits) == len(runs)
        else None,
        **repeatable(data, runs),
    }
    save(path, result)
    means = {metric: round(result["mean"][metric]["mean"], 4) for metric in METRICS}
    print(f"{path}: {means}")


def means_of(tests: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over what was measured with each seed."""
    unfiltered = [test["unfiltered"] for test in tests]
    return {
        "mean": {metric: spread([test[metric] for test in tests]) for metric in (*METRICS, *RATES)},
        "mean_unfiltered": {metric: spread([test[metric] for test in unfiltered]) for metric in METRICS},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Mean and standard deviation over seeds."""
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else 0.0}


def repeatable(data: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Every seed, and what is needed to repeat them."""
    first = runs[0]
    # Where the files lay on this machine helps nobody; the path as given and the fingerprint do.
    source = {**first["data"], "source": {**first["data"]["source"], "path": data}}
    environment = {key: value for key, value in first["environment"].items() if key != "command"}
    commits = [commit for run in runs for commit in str(run["environment"]["commit"]).split(", ")]
    environment["commit"] = ", ".join(dict.fromkeys(commits))
    environment["num_threads"] = environment["num_threads"] or THREADS  # None: torch was not needed
    return {
        "per_seed": [
            {key: run[key] for key in run if key not in ("data", "environment", "config")} for run in runs
        ],
        "config": as_given(first["config"], data),
        "data": source,
        "environment": environment,
        "written": time.strftime("%Y-%m-%d"),
    }


def as_given(config: str, data: str) -> str:
    """A run's configuration with the path of its data as it was given, not as it is on this machine."""
    told = yaml.safe_load(config)
    if "path" not in (told.get("data") or {}):  # of a version that did not name it
        return config
    told["data"]["path"] = data
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def save(path: Path, result: dict[str, Any]) -> None:
    """Write a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result, indent=1)


if __name__ == "__main__":
    main()
