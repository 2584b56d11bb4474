"""What the words are worth: `python benchmarks/words.py DATA [--rows ROW ...] [--seeds 0 1 2]`, then `--page PAGE`.

With `--epochs N` trainings are that short, to look around, and the test split stays shut.

A row is a recommender, and with a seed a run: fitted, and measured on validation and test once. It is kept in
`--runs`, and a run that is there is not done again. Options are those of `results/DATA/genrec-best.json`. What is in
finished runs need not be trained: `--finished RUN ...` takes the `bsarec` and the language model of runs of
`genrec-best`, or `bsarec` with the same options.

`--page` puts all runs of all data together. The last columns compare a row with the first of its kind: the mean
difference of NDCG@10 over users, each of them averaged over the seeds that both have, and the p-value of a paired
permutation test.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import polars as pl
import yaml
from genrec.data.catalogue import Catalogue
from genrec.data.dataset import Dataset
from genrec.data.files import write_atomically
from genrec.data.interactions import IntArray
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.evaluation.significance import compare
from genrec.recommenders.base import recommender_class
from safetensors.numpy import load_file, save_file

import pages
from word_orders import ORDERS

ROOT = Path(__file__).parent.parent
WORDS, FULL, OWN = "bsarec", "bsarec-full", "bsarec-own"
ITEMS = {  # options of `bsarec` beside those of the prior of genrec-best
    WORDS: {},
    OWN: {"features": [], "own_dropout": 0.0},
    FULL: {"training": {"sampled_items": 0}},
}
TITLE, TAUGHT = "title", "taught"
WRITERS: dict[str, dict[str, Any]] = {  # options of `genrec` with prior=[]
    TITLE: {},
    TAUGHT: {},  # by a finished `bsarec`
    "title-full": {"code": {"length": "full"}},
    "random": {"code": {"kind": "random"}},
    **{order: {} for order in ORDERS},
}
TOLD = {
    WORDS: "`bsarec`, own vectors and words",
    OWN: "`bsarec`, own vectors alone (`features=[]`)",
    FULL: "`bsarec`, softmax over all items (`sampled_items=0`)",
    TITLE: "title, as far as it singles an item out",
    TAUGHT: "the same, taught by `bsarec` (`taught_by`)",
    "title-full": "the whole title",
    "random": "random numbers (`code=random`)",
    "categories": "categories, then the title",
    "categories-last": "title, then categories: the same words are read, not written",
    "keywords": "three keywords, then the title",
    "clusters": "clusters of co-taken items by invented words, then the title",
    "named-clusters": "the same clusters by telling words, then the title",
    "hierarchy": "clusters of texts by telling words, then the title",
}
NAMES = {
    "amazon2014_beauty": "Amazon Beauty",
    "amazon2014_toys": "Amazon Toys",
    "ml-1m": "MovieLens 1M",
    "ml-100k": "MovieLens 100K",
}
HEADER = ["row", "seeds", "CPU seconds", "HR@10", "NDCG@10", "less the first", "p"]


def main() -> None:
    """Measure what is not there yet, or publish what is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", choices=sorted(NAMES))
    parser.add_argument("--rows", nargs="+", choices=sorted(TOLD), default=list(TOLD))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="of a short training")
    parser.add_argument("--finished", nargs="+", type=Path, default=[])
    parser.add_argument("--teacher", type=Path, help=f"a run of bsarec of the seed, for the row {TAUGHT}")
    parser.add_argument("--runs", type=Path, default=Path("runs/words"))
    parser.add_argument("--page", type=Path, help="publish all that is measured")
    options = parser.parse_args()
    if options.data is not None:
        data = genrec.read(ROOT.parent / "shared/data" / options.data)
        short = {} if options.epochs is None else {"epochs": options.epochs, "min_steps": 0}
        home = options.runs / (f"{options.data}-{options.epochs}" if short else options.data)
        home.mkdir(parents=True, exist_ok=True)
        for folder in options.finished:
            take_over(home, folder)
        for seed in options.seeds:
            for row in options.rows:
                if not (path := home / f"{row}-{seed}.safetensors").exists():
                    train_and_measure(path, row, options.data, data, {**short, "seed": seed}, options.teacher)
    if options.page is not None:
        pages.publish(page(options.runs), options.page)


def train_and_measure(
    path: Path, row: str, name: str, data: Dataset, changed: dict[str, Any], teacher: Path | None
) -> None:
    """A run from its fitting on; `changed`: options of all rows."""
    told = json.loads((ROOT / "results" / name / "genrec-best.json").read_text())
    writer = yaml.safe_load(told["config"])["config"]
    items = writer.pop("prior_options")["bsarec"]
    train = data.train
    model: Any
    if row in ITEMS:
        known = recommender_class("bsarec").Config
        model = genrec.create("bsarec", **known.merged(known.merged(items, changed), ITEMS[row]))
    else:
        known = recommender_class("genrec").Config
        own = {"prior": [], **WRITERS[row], **({"taught_by": str(teacher)} if row == TAUGHT else {})}
        model = genrec.create("genrec", **known.merged(known.merged(writer, changed), own))
    if row in ORDERS:
        table = train.catalogue.table.with_columns(pl.Series("title", ORDERS[row](train, changed["seed"])))
        train = replace(train, catalogue=Catalogue(table))
    start = time.process_time()
    model.fit(train, data.validation)
    keep(path, model, data, time.process_time() - start, short="epochs" in changed)


def take_over(home: Path, folder: Path) -> None:
    """A finished run, or its parts."""
    run = genrec.open_run(folder)
    model: Any = run.model
    parts = {WORDS: model}
    if model.name == "genrec":
        alone = copy(model)
        alone.experts_ = None
        parts = {WORDS: model.experts_.models[0], TITLE: alone}
    for row, part in parts.items():
        if not (path := home / f"{row}-{model.config.seed}.safetensors").exists():
            keep(path, part, run.data, float("nan"))


def keep(path: Path, model: Any, data: Dataset, seconds: float, *, short: bool = False) -> None:
    """Measure a fitted model and keep the ranks of the targets."""
    asked = {"validation": data.validation, **({} if short else {"test": data.test})}
    found = {split: ranks(model.rank(those.histories, 10), those.items) for split, those in asked.items()}
    # Only validation is told as long as rows are chosen.
    print(path, f"{seconds:.0f} s, validation {figures(found['validation'])}", flush=True)
    arrays = {**found, "seconds": np.array([seconds])}
    write_atomically(path, lambda part: save_file(arrays, part, {"commit": pages.commit()}))


def figures(ranks_B: IntArray) -> str:
    """HR@10 / NDCG@10."""
    return f"{hit_rate(ranks_B, 10).mean():.4f} / {ndcg(ranks_B, 10).mean():.4f}".replace("0.", ".")


def page(runs: Path) -> str:
    """All data."""
    lines = [pages.head("What the words are worth", "torch", "numpy"), "\n\n".join(__doc__.split("\n\n")[1:])]
    for name, title in NAMES.items():
        for home in sorted(runs.glob(f"{name}*")):
            epochs = home.name.removeprefix(name).lstrip("-")
            short = f": validation, after trainings of {epochs} epochs" if epochs else ": test"
            lines += [f"## {title}{short}\n", *table(home)]
    return "\n".join(lines)


def table(home: Path) -> Iterator[str]:
    """The rows of one data set: item models, then writers."""
    for kind, rows in (("item model alone", ITEMS), ("language model alone, writing", WRITERS)):
        found = {row: measured(home, row) for row in rows}
        first = next(iter(rows))
        if not any(found.values()):
            continue
        yield f"| {' | '.join([kind, *HEADER[1:]])} |"
        yield "|---" * len(HEADER) + "|"
        for row, by_seed in found.items():
            if by_seed:
                yield f"| {TOLD[row]} | {' | '.join(cells(by_seed, {} if row == first else found[first]))} |"
        yield ""


def measured(home: Path, row: str) -> dict[int, dict[str, Any]]:
    """The runs of a row by their seeds."""
    paths = sorted(home.glob(f"{row}-[0-9].safetensors"))
    return {int(path.stem[-1]): load_file(path) for path in paths}


def cells(runs: Mapping[int, Mapping[str, Any]], others: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """What the page says of a row beside the first one of its kind."""
    split = "test" if all("test" in run for run in runs.values()) else "validation"
    difference = ["", ""]
    if both := sorted(runs.keys() & others.keys()):
        mean_B, other_B = (
            np.mean([ndcg(some[seed][split], 10) for seed in both], axis=0) for some in (runs, others)
        )
        test = compare(mean_B, other_B)
        difference = [f"{test.difference:+.4f}".replace("0.", ".", 1), f"{test.p_value:.4f}".lstrip("0")]
    seconds = [run["seconds"][0] for run in runs.values() if np.isfinite(run["seconds"][0])]
    return [
        str(len(runs)),
        f"{np.mean(seconds):.0f}" if seconds else "",
        _mean([hit_rate(run[split], 10).mean() for run in runs.values()]),
        _mean([ndcg(run[split], 10).mean() for run in runs.values()]),
        *difference,
    ]


def _mean(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.4f}".lstrip("0")
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.4f}".replace(" 0.", " .")


if __name__ == "__main__":
    main()
