"""What each trap of docs/protocol.md is worth, measured with recommenders that only count.

    python benchmarks/traps.py --data ../shared/data

Writes results/traps.json; `make results` fills the tables of docs/protocol.md from it.

Shapes: B users, I items, N sampled negatives. Ranks count from 1, seen items are left out.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import genrec
import numpy as np
from genrec.codes.numbered import random_numbers, sequential_numbers
from genrec.data.files import write_json
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.split import Split, leave_one_out
from genrec.data.streams import stream
from genrec.evaluation.baselines import next_numbers
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.evaluation.protocol import evaluate
from genrec.runs.environment import environment
from scipy import sparse

COUNTING = ("popular", "itemknn")
BLOCK = 500  # users whose scores of all items are held at once
NUM_NEGATIVES, DRAWS = 99, (0, 1, 2)  # negatives of a user, and the seeds that they are drawn with
Scorer = Callable[[Histories], FloatArray]  # histories -> scores (B, I)


def main() -> None:
    """Measure all traps and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("results/traps.json"))
    options = parser.parse_args()
    read = {name: genrec.read(options.data / name) for name in ("ml-100k", "ml-latest-small")}
    read |= {name: genrec.read(options.data / name) for name in ("amazon2014_beauty", "amazon2014_toys")}
    result = {
        "equal_times": {name: equal_times(read[name]) for name in ("ml-100k", "ml-latest-small")},
        "equal_scores_and_samples": {name: rankings(read[name]) for name in ("ml-100k", "amazon2014_beauty")},
        "leaking_ids": {name: leaking_ids(read[name]) for name in ("amazon2014_beauty", "amazon2014_toys")},
        "one_name": {name: one_name(options.data / name) for name in ("ml-100k", "ml-1m")},
        "num_negatives": NUM_NEGATIVES,
        "draws": len(DRAWS),
        "environment": environment()
        | {"command": shlex.join(["python", "benchmarks/traps.py", *sys.argv[1:]])},
    }
    write_json(options.out, result, indent=1)


def quality(ranks_B: IntArray) -> dict[str, float]:
    """HR@10 and NDCG@10 of some ranks."""
    return {"HR@10": float(hit_rate(ranks_B, 10).mean()), "NDCG@10": float(ndcg(ranks_B, 10).mean())}


def counted(split: Split) -> dict[str, dict[str, float]]:
    """The recommenders that only count, by the protocol."""
    measured = {}
    for name in COUNTING:
        model = genrec.create(name).fit(split.train)
        metrics = evaluate(model.rank, split.test, unfiltered=False).metrics
        measured[name] = {key: metrics[key] for key in ("HR@10", "NDCG@10")}
    return measured


def equal_times(data: genrec.Dataset) -> dict[str, Any]:
    """The same log with the interactions of one user and one time in another order."""
    interactions = data.interactions
    times, users = (
        interactions.times,
        np.repeat(np.arange(interactions.num_users), interactions.histories.lengths),
    )
    assert times is not None, f"{data.name} has no times"
    place = np.arange(len(times))
    by_time = np.argsort(times, kind="quicksort")  # of all users, as pandas' sort_values does unless told
    orders = {
        "order of rows": place,
        "reversed": np.lexsort((-place, times, users)),
        "unstable sort": by_time[np.argsort(users[by_time], kind="stable")],
    }
    ends, result = interactions.histories.offsets[1:], {}
    tied = (times[1:] == times[:-1]) & (users[1:] == users[:-1])
    for name, order in orders.items():
        assert (times[order] == times).all()
        histories = replace(interactions.histories, items=interactions.histories.items[order])
        changed = histories.items[ends - 1] != interactions.histories.items[ends - 1]
        split = leave_one_out(replace(interactions, histories=histories))
        result[name] = {"targets_changed": float(changed.mean()), **counted(split)}
    return {
        "num_users": interactions.num_users,
        "interactions_tied_with_the_one_before": float(tied.sum() / len(times)),
        "targets_tied_with_the_one_before": float(tied[ends - 2].mean()),
        "orders": result,
    }


def rankings(data: genrec.Dataset) -> dict[str, dict[str, Any]]:
    """Equal scores counted against and for the target, and its rank among a few sampled items."""
    split = data.split()
    train, numbers_I = split.train, np.array(data.catalogue.ids, np.int64)
    scorers = {name: scores_of(genrec.create(name).fit(train)) for name in COUNTING}
    scorers |= {
        "taken together with the last item": together(train),
        "highest number + 1 to + 10": after(numbers_I),
    }
    measured = {}
    for name, scorer in scorers.items():
        parts = list(compared(scorer, split.test))
        against_B, favour_B, sampled_SB = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        draws = [quality(sampled_B)["HR@10"] for sampled_B in sampled_SB]
        measured[name] = {
            "against": quality(against_B),
            "in_favour": quality(favour_B),
            "sampled_HR@10": {"mean": statistics.fmean(draws), "sd": statistics.stdev(draws)},
        }
    return measured


def compared(scorer: Scorer, targets: Targets) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Ranks of the targets, block by block: ties against and in favour of them (B,), and among samples (draws, B)."""
    generators = [stream(seed, "sampled negatives") for seed in DRAWS]
    for start in range(0, len(targets), BLOCK):
        block = targets.take(np.arange(start, min(start + BLOCK, len(targets))))
        scores_BI = scorer(block.histories)
        rows = np.arange(len(block))
        score_B = scores_BI[rows, block.items]
        other_BI = np.ones(scores_BI.shape, bool)
        other_BI[np.repeat(rows, block.histories.lengths), block.histories.items] = False
        other_BI[rows, block.items] = False
        not_worse_BI = scores_BI >= score_B[:, None]
        against_B = 1 + (not_worse_BI & other_BI).sum(axis=1)
        favour_B = 1 + ((scores_BI > score_B[:, None]) & other_BI).sum(axis=1)
        others = [np.flatnonzero(other_I) for other_I in other_BI]
        sampled_SB = np.empty((len(DRAWS), len(block)), np.int64)
        for draw, generator in enumerate(generators):
            negatives_BN = np.stack(
                [generator.choice(items, NUM_NEGATIVES, replace=False) for items in others]
            )
            sampled_SB[draw] = 1 + np.take_along_axis(not_worse_BI, negatives_BN, axis=1).sum(axis=1)
        yield against_B, favour_B, sampled_SB


def scores_of(model: genrec.Recommender) -> Scorer:
    """A recommender's scores of all items."""

    def scores(histories: Histories) -> FloatArray:
        ranked = model.rank(histories, k=len(model.catalogue), exclude_seen=False)
        scores_BI = np.empty(ranked.scores_BK.shape, np.float32)
        np.put_along_axis(scores_BI, ranked.items_BK, ranked.scores_BK, axis=1)
        return scores_BI

    return scores


def together(train: Interactions) -> Scorer:
    """How many users took an item and the last one of the history: small whole numbers, so mostly ties."""
    histories = train.histories
    parts = (np.ones(len(histories.items), np.float32), histories.items, histories.offsets)
    taken_UI = sparse.csr_array(parts, shape=(len(histories), train.num_items))
    counts_II = (taken_UI.T @ taken_UI).tocsr()
    return lambda histories: counts_II[histories.items[histories.offsets[1:] - 1]].toarray()


def after(numbers_I: IntArray) -> Scorer:
    """The rule of the next ten numbers; all other items share the lowest score."""

    def scores(histories: Histories) -> FloatArray:
        ranked = next_numbers(numbers_I, histories, 10)
        scores_BI = np.full((len(histories), len(numbers_I)), -np.inf, np.float32)
        row, place = np.nonzero(ranked.items_BK >= 0)
        scores_BI[row, ranked.items_BK[row, place]] = ranked.scores_BK[row, place]
        return scores_BI

    return scores


def leaking_ids(data: genrec.Dataset) -> dict[str, dict[str, float]]:
    """The rule of the next ten numbers on the published ids and on numbers that saw the training part alone."""
    split, num_items = data.split(), len(data.catalogue)
    numberings = {
        "published ids": np.array(data.catalogue.ids, np.int64),
        "first appearance in the training part": sequential_numbers(split.train.histories, num_items),
        "drawn at random": random_numbers(num_items),
        "order of the titles": np.argsort(np.argsort(np.array(data.catalogue.titles), kind="stable")),
    }
    measured = {}
    for name, numbers_I in numberings.items():
        ranks_B = ranks(next_numbers(numbers_I, split.test.histories, 10), split.test.items)
        measured[name] = {"HR@1": float(hit_rate(ranks_B, 1).mean()), **quality(ranks_B)}
    return measured


def one_name(folder: Path) -> dict[str, Any]:
    """A data set as it is, and with items and users of fewer than five interactions left out."""
    measured = {}
    for name, options in {"as published": {}, "5-core": {"k_core": 5}}.items():
        data = genrec.read(folder, **options)
        counts = data.summary()
        kept = {key: counts[key] for key in ("num_users", "num_items", "num_interactions")}
        measured[name] = kept | counted(data.split())
    return measured


if __name__ == "__main__":
    main()
