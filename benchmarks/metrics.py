"""Time to measure the lists of many users: `python benchmarks/metrics.py [--users N] [--out FILE.md]`.

The lists are invented: 20 random items out of 12,101 with falling scores, the target among them for a fifth of the
users, histories of 9 items on average. CPU times are the median of five measurements in a process that does nothing
else, on one thread. A second table has the time to choose the best 21 items, beside the full sort of the same answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import polars as pl
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, Histories, Targets
from genrec.data.ranking import Rankings, best_columns
from genrec.data.ranking_file import read_rankings, write_rankings
from genrec.data.streams import stream
from genrec.evaluation.protocol import evaluate_rankings

import pages

NUM_ITEMS, LENGTH = 12_101, 20
LIMIT_S = 2  # what a million users may take on one core


def generate(num_users: int, seed: int) -> tuple[Rankings, Targets]:
    """Random lists, histories and targets."""
    rng = stream(seed, "lists of the metrics benchmark")
    lengths = rng.geometric(1 / 9, num_users)
    histories = Histories(
        rng.integers(0, NUM_ITEMS, lengths.sum(), dtype=np.int32), np.concatenate([[0], np.cumsum(lengths)])
    )
    ids = [f"B{item:09d}" for item in range(NUM_ITEMS)]
    users = pl.Series([f"A{user:013d}" for user in range(num_users)])
    target_B = rng.integers(0, NUM_ITEMS, num_users, dtype=np.int32)
    items_BK = rng.integers(0, NUM_ITEMS, (num_users, LENGTH), dtype=np.int32)
    hit_B = np.flatnonzero(rng.random(num_users) < 0.2)
    items_BK[hit_B, rng.integers(0, LENGTH, len(hit_B))] = target_B[hit_B]
    scores_BK = -np.sort(rng.random((num_users, LENGTH), dtype=np.float32), axis=1)
    rankings = Rankings(items_BK, scores_BK, np.zeros(num_users, bool))
    return rankings, Targets(Catalogue.from_lists(ids, ids), users, histories, target_B)


def cpu_s(work: Callable[[], object], repeats: int = 5) -> float:
    """Median CPU time of `work` in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def full_sort(scores_BI: FloatArray, k: int) -> np.ndarray:
    """The best by sorting everything."""
    return np.argsort(-scores_BI, axis=1, kind="stable")[:, :k].astype(np.int32)


def choosing(num_items: int, rounded: bool) -> str:
    """A row of the table: 256 users, with scores that are all different or that are often equal."""
    scores_BI = stream(0, "scores of the metrics benchmark").standard_normal(
        (256, num_items), dtype=np.float32
    )
    scores_BI = scores_BI.round(1) if rounded else scores_BI
    assert np.array_equal(best_columns(scores_BI, LENGTH + 1), full_sort(scores_BI, LENGTH + 1))
    sort_s, best_s = (cpu_s(lambda way=way: way(scores_BI, LENGTH + 1)) for way in (full_sort, best_columns))
    kind = "often equal" if rounded else "different"
    return f"| {num_items:,} | {kind} | {1000 * sort_s:.0f} ms | {1000 * best_s:.0f} ms | {sort_s / best_s:.0f} × |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    pages.add_out(parser)
    given = parser.parse_args()
    rankings, targets = generate(given.users, given.seed)
    measured_s = cpu_s(lambda: evaluate_rankings(rankings, targets))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rankings.parquet"
        written_s = cpu_s(lambda: write_rankings(path, rankings, targets))
        read_s = cpu_s(lambda: read_rankings(path, targets))
        size_mb = path.stat().st_size / 1e6
    rows = [choosing(num_items, rounded) for num_items in (NUM_ITEMS, 100_000) for rounded in (False, True)]
    page = f"""{pages.head("Measuring lists", "numpy", "polars", used=", one used")}
{len(targets):,} users, {LENGTH} items each, {len(targets.histories.items):,} seen items.

| | CPU time |
|---|---|
| all metrics, seen excluded and as given, with rates and intervals (`evaluate_rankings`) | {measured_s:.2f} s |
| reading the lists from Parquet ({size_mb:.0f} MB), with all checks (`read_rankings`) | {read_s:.1f} s |
| writing them (`write_rankings`) | {written_s:.1f} s |
| peak memory, the invented data included | {pages.peak_gb():.1f} GB |

Promised: {LIMIT_S} s for the metrics of a million users; more fails.

Choosing the best {LENGTH + 1} of all scored items for 256 users, ties in catalogue order:

| items | scores | full stable sort | ours | faster |
|---|---|---|---|---|
{chr(10).join(rows)}
"""
    pages.publish(page, given.out)
    if measured_s > LIMIT_S:
        sys.exit(f"missed: {measured_s:.1f} s of {LIMIT_S}")


if __name__ == "__main__":
    main()
