"""Catalogue against token objective, and packed against one-target examples, at equal time.

    python benchmarks/objectives.py dropout=0.3 vocab_size=4000 --data ../shared/data/ml-100k --steps 300 140 400 390

Every variant has the same backbone, tokenizer, codes, seeds and tokens in a step. A step does not take all of them
the same time, so each gets a number of steps of its own, over which its learning-rate schedule spans; the result tells
the processor seconds that came of it. On one thread that is wall time on an idle machine, and it does not depend on
what else runs on a busy one. Nobody validates: the last weights are measured on the test split.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import genrec
import torch
from genrec.data.files import write_json
from genrec.data.yaml_text import parse_yaml
from genrec.evaluation.protocol import evaluate

VARIANTS: dict[str, dict[str, str]] = {
    "catalogue, packed": {"objective": "catalogue", "examples": "packed"},
    "token, packed": {"objective": "token", "examples": "packed"},
    "catalogue, one target": {"objective": "catalogue", "examples": "prefixes"},
    "token, one target": {"objective": "token", "examples": "prefixes"},
}


def main() -> None:
    """Run all variants and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="options that all variants share")
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[300], help="one for all variants, or one for each"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("results"))
    options = parser.parse_intermixed_args()
    shared = {key: parse_yaml(value) for key, value in (word.split("=", 1) for word in options.overrides)}
    steps = options.steps * len(VARIANTS) if len(options.steps) == 1 else options.steps
    if len(steps) != len(VARIANTS):
        parser.error(f"{len(steps)} numbers of steps for {len(VARIANTS)} variants: give 1 or {len(VARIANTS)}")
    torch.set_num_threads(1)
    data = genrec.read(options.data)
    rows = []
    for seed in options.seeds:
        for (name, choice), num_steps in zip(VARIANTS.items(), steps, strict=True):
            row = one(data, {**shared, **choice, "seed": seed}, num_steps)
            rows.append({"variant": name, "seed": seed, **row})
            print(json.dumps(rows[-1]), flush=True)
    path = options.out / data.name / "objectives.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    summary = {
        name: {
            metric: {
                "mean": statistics.fmean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            }
            for metric in ("HR@10", "NDCG@10", "fit_cpu_seconds")
            if (values := [row[metric] for row in rows if row["variant"] == name])
        }
        for name in VARIANTS
    }
    result = {
        "steps": dict(zip(VARIANTS, steps, strict=True)),
        "shared_options": shared,
        "split": "test, leave-one-out, full ranking, seen items excluded",
        "summary": summary,
        "runs": rows,
        "data_fingerprint": data.fingerprint,
        "commit": commit,
        "hardware": f"{platform.machine()}, 1 thread, torch {torch.__version__}",
        "date": time.strftime("%Y-%m-%d"),
    }
    write_json(path, result, indent=1)


def one(data: genrec.Dataset, choice: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train one variant for so many steps and measure it on the test split."""
    model, seconds = fitted(data, {**choice, "max_steps": steps, "epochs": steps})
    measured = evaluate(model.rank, data.test, unfiltered=False).metrics
    return {
        "fit_cpu_seconds": round(seconds, 1),
        **{key: measured[key] for key in ("HR@10", "NDCG@10", "exact_rate")},
    }


def fitted(data: genrec.Dataset, choice: dict[str, Any]) -> tuple[Any, float]:
    """A model fitted without validation, and the processor seconds that this took."""
    start = time.process_time()
    model = genrec.create("genrec", evaluations=1, **choice).fit(data.train)
    return model, time.process_time() - start


if __name__ == "__main__":
    main()
