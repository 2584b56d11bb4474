"""What it costs to serve a recommender as its catalogue and its users grow.

    python benchmarks/serving.py [recsysllm p5 ...] [--sizes 1000 10000 100000 1000000] [--out FILE.md]

Invented data: titles of three words and a number, users who go through the catalogue from one item to the next. One
side grows while the other stays at 1,000. Each case is a process of its own on one thread: it takes a few training
steps, saves the run, loads it again and asks for the ten best unseen items of histories of ten. A model that has
learnt so little finds many items about equally likely, which makes the search longer than it is for a trained one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import polars as pl
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.streams import stream

import pages

SMALL = 1_000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
LENGTH = 10  # items of a history
STEPS = 100
WORDS = 3_000
OPTIONS: dict[str, dict[str, Any]] = {
    "recsysllm": {"families": ("sequential", "direct")},
    "p5": {"families": ("sequential", "direct")},
}


def invented(num_items: int, num_users: int) -> Interactions:
    """Users who start anywhere and go on to the next item."""
    rng = stream(0, "walks of the serving benchmark")
    words = [f"{chr(97 + number % 26)}{number:x}o" for number in range(WORDS)]
    drawn = rng.integers(WORDS, size=(num_items, 3))
    titles = [" ".join(words[word] for word in three) + f" {row}" for row, three in enumerate(drawn.tolist())]
    start_U = rng.integers(num_items, size=num_users)
    items_UT = (start_U[:, None] + np.arange(LENGTH)) % num_items
    offsets = np.arange(num_users + 1) * LENGTH
    catalogue = Catalogue.from_lists([f"i{row}" for row in range(num_items)], titles)
    users = pl.Series([f"u{row}" for row in range(num_users)])
    return Interactions(catalogue, users, Histories(items_UT.ravel().astype(np.int32), offsets))


def measure(name: str, num_items: int, num_users: int) -> dict[str, float]:
    """Train a little, save, load and ask in this process."""
    data = invented(num_items, num_users)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        model = genrec.create(name, max_steps=STEPS, evaluations=1, threads=1, **OPTIONS.get(name, {}))
        start = time.perf_counter()
        model.fit(data).save(run)
        fitting, trained_gb = time.perf_counter() - start, pages.peak_gb()
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        command = [sys.executable, __file__, "--ask", str(run)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    asked: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"fitting_s": fitting, "trained_gb": trained_gb, "disk_mb": size / 1e6, **asked}


def ask(run: Path) -> dict[str, float]:
    """Load a run and ask it, in a process that holds nothing else."""
    start = time.perf_counter()
    model = genrec.load(run)
    loading = time.perf_counter() - start
    num_items = len(model.catalogue)
    rng = stream(0, "questions of the serving benchmark")
    starts = rng.integers(num_items, size=256)
    histories = Histories.from_lists([(first + np.arange(LENGTH)) % num_items for first in starts.tolist()])
    model.rank(histories.take(np.arange(64)), 10)  # warm
    start = time.perf_counter()
    model.rank(histories, 10)
    together = (time.perf_counter() - start) / len(histories)
    alone = []
    for row in range(32):
        start = time.perf_counter()
        model.rank(histories.take(np.array([row])), 10)
        alone.append(time.perf_counter() - start)
    return {
        "loading_s": loading,
        "together_ms": 1e3 * together,
        "alone_ms": 1e3 * float(np.median(alone)),
        "serving_gb": pages.peak_gb(),
    }


def main() -> None:
    """Measure every size on either side and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["recsysllm"])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--case", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    pages.add_out(parser)
    options = parser.parse_args()
    if options.ask is not None:
        print(json.dumps(ask(options.ask)))
        return
    if options.case is not None:
        print(json.dumps(measure(options.names[0], *options.case)))
        return
    lines = [
        pages.head("Serving as catalogue and users grow", "torch", used=", one thread"),
        f"{STEPS} training steps of batches of the default size; ten best unseen items, histories of {LENGTH}; median "
        "of 32 users one by one, mean of 256 together. Memory (serving, training) is the peak of the process.\n",
        "| | items | users | run on disk, MB | loading, s | serving, GB | training, GB | a user alone, ms "
        "| a user of many, ms |\n|" + "---|" * 9,
    ]
    sizes = sorted(options.sizes)
    cases = [(size, SMALL) for size in sizes] + [(SMALL, size) for size in sizes if size > SMALL]
    for name in options.names:
        for num_items, num_users in cases:
            command = [sys.executable, __file__, name, "--case", str(num_items), str(num_users)]
            threads = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
            done = subprocess.run(
                command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            lines.append(
                f"| `{name}` | {num_items:,} | {num_users:,} | {found['disk_mb']:,.0f} | {found['loading_s']:.1f} | "
                f"{found['serving_gb']:.2f} | {found['trained_gb']:.2f} | {found['alone_ms']:.0f} | "
                f"{found['together_ms']:.1f} |"
            )
            print(lines[-1], flush=True)
    pages.publish("\n".join(lines) + "\n", options.out)


if __name__ == "__main__":
    main()
