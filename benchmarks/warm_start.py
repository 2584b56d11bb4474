"""Nightly trainings: `python benchmarks/warm_start.py ../shared/data/ml-100k bsarec [KEY=VALUE]... [--budgets .1 .3]`.

The log is cut at five times. At each, a recommender is trained afresh; from what the one of the cut before has learnt,
with a share of the steps; and, as it was left at the first cut, asked without any training. Each row of shares is a
chain: its recommender at the fifth cut has been trained afresh once, at the first. All answer the same questions, the
last interaction of each user up to the cut (test) and the last but one (validation).
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import polars as pl
from genrec.data.interactions import Histories
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.recommenders.base import Recommender
from genrec.recommenders.start import Start
from genrec.recommenders.today import beside
from genrec.runs.recipe import read_recipe

import pages

CUTS = (0.6, 0.7, 0.8, 0.9, 1.0)


def main() -> None:
    """Train, measure and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--budgets", type=float, nargs="+", default=[0.3])
    pages.add_out(parser)
    options = parser.parse_args()
    recipe = read_recipe(options.recipe).with_overrides(options.overrides)
    dataset = genrec.read(options.data)
    ways = ["afresh", *(f"{budget:g} of the steps" for budget in options.budgets), "not trained again"]
    known: dict[str, Recommender] = {}
    rows: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    sizes = []
    for share in CUTS:
        today = cut(dataset, share)
        sizes.append(
            f"{len(today.test):,} users, {today.train.num_items:,} items, {today.train.num_interactions:,} to learn"
        )
        for way, budget in zip(ways, (None, *options.budgets, None), strict=True):
            began, first = time.process_time(), not known or way not in known
            if way != ways[0] and first:
                model, seconds = known[ways[0]], 0.0
            elif way == ways[-1]:
                model, seconds = known[way], 0.0
            else:
                start = None if budget is None else Start(known[way], budget)
                model = genrec.create(recipe.recommender, **recipe.config)
                model.fit(today.train, today.validation, start=start)
                seconds = time.process_time() - began
            known[way] = model
            rows[way].append((seconds, *quality(model, today, "validation"), *quality(model, today, "test")))
            print(f"{share:g} {way}: {rows[way][-1]}", flush=True)
    publish(options, dataset, rows, sizes)


def cut(dataset: Any, share: float) -> Any:
    """The data set as it was when it had this share of its interactions."""
    log = dataset.interactions
    frame = pl.DataFrame(
        {
            "user_id": log.users.gather(log.histories.rows),
            "item_id": np.array(dataset.catalogue.ids)[log.histories.items],
            "timestamp": log.times,
        }
    )
    until = frame["timestamp"].quantile(share, "lower")
    return genrec.read(
        frame.filter(pl.col("timestamp") <= until), items=dataset.catalogue.table, min_history=3
    )


def quality(model: Recommender, today: Any, split: str) -> tuple[float, float]:
    """HR@10 and NDCG@10 of today's questions; a model of another day knows items by their ids."""
    asked = getattr(today, split)
    model = beside(model, today).model
    row_I = np.array([model.catalogue.get(item) for item in today.catalogue.ids], np.int32)
    histories = Histories(row_I[asked.histories.items], asked.histories.offsets)
    ranks_B = ranks(model.rank(histories, 11), row_I[asked.items])
    return float(hit_rate(ranks_B, 10).mean()), float(ndcg(ranks_B, 10).mean())


def publish(options: Any, dataset: Any, rows: Any, sizes: list[str]) -> None:
    """The page."""
    lines = [
        pages.head(f"Nightly trainings of {options.recipe}, {dataset.name}", "torch", "numpy"),
        "Seed 0. "
        + "; ".join(f"{share:.0%} of the log: {size}" for share, size in zip(CUTS, sizes, strict=True))
        + ".\n",
    ]
    for place, split in ((1, "validation"), (3, "test")):
        head = [
            f"{split}: HR@10 / NDCG@10",
            *(f"{share:.0%}" for share in CUTS),
            "mean of the last four",
            "CPU s each",
        ]
        lines += [f"| {' | '.join(head)} |", "|---|" + "---|" * (len(head) - 1)]
        for way, found in rows.items():
            numbers = np.array(found)[:, [place, place + 1]]
            cells = [f"{hits:.4f} / {gain:.4f}" for hits, gain in (*numbers, numbers[1:].mean(axis=0))]
            seconds = np.mean([one[0] for one in found[1:]])
            lines.append(f"| {way} | {' | '.join(cells)} | {seconds:.0f} |")
        lines.append("")
    pages.publish(re.sub(r"(?<=[|/] )0(?=\.)", "", "\n".join(lines)), options.out)


if __name__ == "__main__":
    main()
