"""Time from a ratings file to a split: `python benchmarks/prepare.py [--interactions N] [--out FILE.md]`.

Invented ratings in the layout and, by default, the size of MovieLens 25M are written to a temporary folder. A
fresh process then reads them and makes the leave-one-out split; wall time and peak memory are its own. Users
rate in sittings, with several ratings at the same second, as MovieLens' users do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from genrec.data.streams import stream

import pages

LIMIT_S, LIMIT_GB = 60, 4.0  # what the project promises for 25 million interactions on 2 cores

MEASURED = """
import json, resource, sys, time
from pages import peak_gb
start = time.perf_counter()
import genrec
imported = time.perf_counter()
data = genrec.read(sys.argv[1])
read = time.perf_counter()
split = data.split()
done = time.perf_counter()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "import_s": imported - start, "read_s": read - imported, "split_s": done - read, "wall_s": done - start,
    "cpu_s": used.ru_utime + used.ru_stime, "peak_gb": peak_gb(),
    "num_users": data.interactions.num_users, "num_items": data.interactions.num_items,
    "num_interactions": data.interactions.num_interactions, "num_train": split.train.num_interactions,
    "num_test": len(split.test),
}))
"""


def generate(folder: Path, num_interactions: int, num_users: int, num_items: int, seed: int) -> None:
    """Write `ratings.csv` and `movies.csv`: histories of 20 or more, uneven popularity, ids with gaps."""
    rng = stream(seed, "log of the prepare benchmark")
    share = rng.lognormal(sigma=1.2, size=num_users)
    lengths = 20 + np.floor(share / share.sum() * (num_interactions - 20 * num_users)).astype(int)
    lengths[0] += num_interactions - lengths.sum()
    users = np.repeat(np.arange(1, num_users + 1), lengths)
    ids = np.sort(rng.choice(np.arange(1, 4 * num_items), num_items, replace=False))
    popularity = rng.permutation(1 / np.arange(1, num_items + 1) ** 0.9).cumsum()
    items = ids[np.searchsorted(popularity, rng.random(num_interactions) * popularity[-1])]
    steps = rng.choice([0, 0, 1, 4, 30, 90_000], num_interactions, p=[0.2, 0.2, 0.2, 0.2, 0.19, 0.01])
    times = rng.integers(800_000_000, 1_500_000_000, num_users)[users - 1] + steps.cumsum() % 80_000_000
    ratings = rng.integers(1, 11, num_interactions) / 2
    by_item = np.lexsort((items, users))  # MovieLens sorts its files by user and film, not by time
    table = {"userId": users, "movieId": items, "rating": ratings, "timestamp": times}
    pl.DataFrame(table)[by_item].write_csv(folder / "ratings.csv")
    titles = [f"Film {number:06d} ({1950 + number % 70})" for number in rng.permutation(num_items)]
    movies = {"movieId": ids, "title": titles, "genres": ["Drama|Comedy"] * num_items}
    pl.DataFrame(movies).write_csv(folder / "movies.csv")


def measure(folder: Path) -> dict[str, float]:
    """Read and split in a process of its own, on two threads."""
    threads = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", MEASURED, str(folder)]
    load = os.getloadavg()[0]
    here = Path(__file__).parent  # where the process finds pages.py
    run = subprocess.run(
        command, cwd=here, env=os.environ | threads, capture_output=True, text=True, check=True
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured | {"load_before": load}


def report(measured: dict[str, float], file_mb: float) -> str:
    """The result as a page."""
    rows = "\n".join(
        f"| {name} | {value:,.2f} |" for name, value in measured.items() if isinstance(value, float)
    )
    counts = ", ".join(f"{value:,} {name[4:]}" for name, value in measured.items() if isinstance(value, int))
    return f"""{pages.head("From a ratings file to a split", "polars", "numpy")}
Generated ratings in the layout of MovieLens 25M: {file_mb:,.0f} MB of CSV, {counts}.

| measured in a fresh process | |
|---|---|
{rows}

`cpu_s` adds up both cores; `load_before` is the load average of the machine before the process was started, so that
above 1 other work shared the cores. Promised at 25 million interactions on 2 cores: at most {LIMIT_S} s and
{LIMIT_GB:g} GB.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--interactions", type=int, default=25_000_000)
    parser.add_argument("--users", type=int, default=162_000)
    parser.add_argument("--items", type=int, default=62_000)
    parser.add_argument("--seed", type=int, default=0)
    pages.add_out(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, given.interactions, given.users, given.items, given.seed)
        measured = measure(folder)
        file_mb = (folder / "ratings.csv").stat().st_size / 1e6
    page = report(measured, file_mb)
    pages.publish(page, given.out)
    missed = measured["wall_s"] > LIMIT_S or measured["peak_gb"] > LIMIT_GB
    if missed and given.interactions <= 25_000_000:
        sys.exit(
            f"missed: {measured['wall_s']:.0f} s of {LIMIT_S}, {measured['peak_gb']:.1f} GB of {LIMIT_GB:g}"
        )


if __name__ == "__main__":
    main()
