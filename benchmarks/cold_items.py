"""What `genrec` finds of items that nobody took in training: `python benchmarks/cold_items.py RUN [--split test]`.

The run, its prior and language model alone, each part of the prior, and `tfidf` of the same training part answer
the same questions. Targets that nobody took in training stand apart from the others; the last column is the share of
such items among the ten of all lists, beside their share of the targets. A run of `--cold-share` has many.
"""

from __future__ import annotations

import argparse
import os
from copy import copy
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
from genrec.evaluation.metrics import hit_rate, ndcg, ranks

import pages


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    pages.add_out(parser)
    options = parser.parse_args()
    run = genrec.open_run(options.run)
    asked, train = getattr(run.parts, options.split), run.parts.train
    untrained_I = np.bincount(train.histories.items, minlength=train.num_items) == 0
    cold_B = untrained_I[asked.items]
    lines = [
        pages.head(f"Items that nobody took in training, {run.data.name}", "torch", "numpy"),
        f"{options.split.capitalize()} questions, {run.recipe.protocol}, seed {run.recipe.options['seed']}: "
        f"{cold_B.sum():,} of {len(cold_B):,} targets ({cold_B.mean():.2%}) are of the "
        f"{untrained_I.sum():,} of {len(untrained_I):,} items that nobody took in training.\n",
        "| | never trained: HR@10 | NDCG@10 | others: HR@10 | NDCG@10 | all: HR@10 | NDCG@10 | share of lists |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, model in answering(run):
        found = model.rank(asked.histories, 11)
        ranks_B = ranks(found, asked.items)
        cells = [
            f"{values.mean():.4f}"
            for mask_B in (cold_B, ~cold_B, np.ones_like(cold_B))
            for values in (hit_rate(ranks_B[mask_B], 10), ndcg(ranks_B[mask_B], 10))
        ]
        share = untrained_I[found.items_BK[:, :10]].mean()
        lines.append(f"| {label} | {' | '.join(cells)} | {share:.2%} |")
        print(lines[-1], flush=True)
    pages.publish("\n".join(lines).replace("| 0.", "| .") + "\n", options.out)


def answering(run: Any) -> list[tuple[str, Any]]:
    """What is measured, with its label."""
    model, train = run.model, run.parts.train
    silent, alone = copy(model), copy(model)
    silent.experts_, alone.experts_ = model.experts_.silenced(), None
    parts = [(f"`{part.name}`, of the prior", part) for part in model.experts_.models]
    return [
        ("`tfidf`", genrec.create("tfidf").fit(train)),
        *parts,
        ("language model alone", alone),
        ("prior alone", silent),
        (f"`{model.name}`", model),
    ]


if __name__ == "__main__":
    main()
