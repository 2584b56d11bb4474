"""What each part of `genrec` adds: `python benchmarks/voices.py RUN [RUN ...] [--split test] [--out PAGE]`.

The runs are of one recipe and one data set, a seed each. Of every run its parts are measured on the same questions:
each model of the prior alone, the language model alone, and products of them, whose weights are fitted to the
validation items anew. The last columns compare a row with the first model of the prior: the mean difference of NDCG@10
over users, each of them averaged over the seeds, and the p-value of a paired permutation test.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
from genrec.data.interactions import FloatArray
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.evaluation.significance import compare
from genrec.recommenders.language.experts import Experts

import pages


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    pages.add_out(parser)
    options = parser.parse_args()
    ranks_of: dict[str, list[np.ndarray[Any, Any]]] = {}
    for folder in options.runs:
        for label, found_B in measured(folder, options.split).items():
            ranks_of.setdefault(label, []).append(found_B)
    data = genrec.open_run(options.runs[0]).data
    title = f"What each part of genrec adds, {data.summary()['name']}"
    page = [
        pages.head(title, "torch", "numpy"),
        f"{len(options.runs)} seed{'s' * (len(options.runs) > 1)}, {options.split} questions.\n",
    ]
    pages.publish("\n".join([*page, *table(ranks_of)]) + "\n", options.out)


def measured(folder: Path, split: str) -> dict[str, FloatArray]:
    """Ranks of the targets (B,) by each part of a run."""
    run = genrec.open_run(folder)
    model: Any = run.model
    parts = run.parts
    asked = getattr(parts, split)
    experts = model.experts_
    names = [one.name for one in experts.models]

    def by(rank: Callable[..., Any]) -> FloatArray:
        return ranks(rank(asked.histories, 10), asked.items)

    def product(models: Sequence[Any]) -> Any:
        other = copy(model)
        other._use_experts(Experts.of(models, experts.untrained_I), parts.validation)
        return other

    alone = copy(model)
    alone.experts_ = None
    found = {f"`{one.name}`": by(one.rank) for one in experts.models}
    found["language model"] = by(alone.rank)
    silent = copy(model)
    silent.experts_ = experts.silenced()
    found["prior: " + " × ".join(f"`{name}`" for name in names)] = by(silent.rank)
    for count in range(1, len(names)):
        label = " × ".join(f"`{name}`" for name in names[:count])
        found[f"{label} × language model"] = by(product(experts.models[:count]).rank)
    found["all: the product"] = by(model.rank)
    print(folder, *model.notes(), sep="\n", flush=True)
    return found


def table(ranks_of: dict[str, list[Any]]) -> list[str]:
    """A row each part."""
    lines = ["| part | HR@10 | NDCG@10 | less the first: NDCG@10 | p |", "|---|---|---|---|---|"]
    base_B = None
    for label, every in ranks_of.items():
        hits = [float(hit_rate(found, 10).mean()) for found in every]
        gains = [ndcg(found, 10) for found in every]
        mean_B = np.mean(gains, axis=0)
        figures = [_mean(hits), _mean([float(one.mean()) for one in gains])]
        if base_B is None:
            base_B, difference = mean_B, ["", ""]
        else:
            test = compare(mean_B, base_B)
            difference = [f"{(mean_B - base_B).mean():+.4f}", f"{test.p_value:.4f}"]
        lines.append(f"| {' | '.join([label, *figures, *difference])} |")
    return lines


def _mean(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}".lstrip("0")
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.4f}".replace(" 0.", " .")


if __name__ == "__main__":
    main()
