"""What an answer costs: `python benchmarks/answering.py --run NAME CHECKOUT RUN [--run ...] [--out FILE.md]`.

Runs are asked by the command line of the checkout that they are of, on one thread: for a list after one item, cold, and
for the lists of all users of their log. CPU time and memory are those of the whole process, its imports and the reading
of the data among them. The checkouts are asked by turns. `--shop FOLDER` writes the log and the items of an invented
shop to train on: 3,000 users, 800 products with names in two languages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from genrec.data.streams import stream

import pages

NUM_USERS, NUM_PRODUCTS = 3000, 800
THINGS = (
    "Garden hose",
    "Rain barrel",
    "Hand trowel",
    "Seed tray",
    "Gartenschere",
    "Regentonne",
    "Blumentopf",
    "Gießkanne",
)
BRANDS = ("Pike", "Rill", "Ohm", "Alder", "Brenner", "Kiesel", "Tarn", "Vale", "Wren", "Zander")


@dataclass
class Asked:
    """A run, who is asked for it, and the (CPU seconds, MiB) of each time."""

    name: str
    checkout: Path
    run: Path
    cold: list[tuple[float, float]]
    everybody: list[tuple[float, float]]
    num_users: int = 0

    def ask(self, *words: str) -> tuple[float, float]:
        """CPU seconds and MiB of `genrec recommend RUN ...` in a process of its own."""
        compiled = Path(tempfile.gettempdir()) / "compiled-for-answers"  # as installed packages are
        changed = {
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            "PYTHONPATH": str(self.checkout.absolute()),
            "PYTHONPYCACHEPREFIX": str(compiled),
        }
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-m", "genrec", "recommend", str(self.run.absolute()), *words]
        process = subprocess.Popen(
            command, cwd=tempfile.gettempdir(), env=env | changed, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} failed")
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    def ask_all(self) -> None:
        """Once for everybody."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "all.parquet"
            self.everybody.append(self.ask("--users", "all", "--out", str(out)))
            self.num_users = pl.read_parquet(out, columns=["user_id"])["user_id"].n_unique()


def write_shop(folder: Path) -> None:
    """`log.csv` and `products.csv`: who buys goes on to what stands nearby, most often of the same brand."""
    rng = stream(0, "log of the shop whose answers are timed")
    folder.mkdir(parents=True, exist_ok=True)
    names = [
        f"{THINGS[row // 10 % len(THINGS)]} {row // 80 + 1} {BRANDS[row % 10]}" for row in range(NUM_PRODUCTS)
    ]
    ids = [f"P{row:03d}" for row in range(NUM_PRODUCTS)]
    brands = [BRANDS[row % 10] for row in range(NUM_PRODUCTS)]
    pl.DataFrame({"item_id": ids, "title": names, "brand": brands}).write_csv(folder / "products.csv")
    lengths = rng.integers(4, 16, NUM_USERS)
    users = np.repeat(np.arange(NUM_USERS), lengths)
    first = np.repeat(rng.integers(0, NUM_PRODUCTS, NUM_USERS), lengths)
    steps = rng.choice([1, 10, -10, 80, 7], len(users), p=[0.2, 0.4, 0.1, 0.2, 0.1])
    walked = steps.cumsum() - np.repeat(steps.cumsum()[lengths.cumsum() - lengths], lengths)
    items = (first + walked) % NUM_PRODUCTS
    log = {
        "user_id": [f"C{user:04d}" for user in users],
        "item_id": [ids[item] for item in items],
        "timestamp": 1_700_000_000 + 3600 * np.arange(len(users)),
    }
    pl.DataFrame(log).write_csv(folder / "log.csv")


def page(asked: list[Asked]) -> str:
    """What was measured, as a page."""
    rows = []
    for one in asked:
        cold, cold_mb = (median(values) for values in zip(*one.cold, strict=True))
        total, total_mb = (median(values) for values in zip(*one.everybody, strict=True))
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=one.checkout,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        rows.append(
            f"| {one.name} | {commit} | {cold:.2f} | {cold_mb:,.0f} | {one.num_users:,} | {total:.1f} | "
            f"{total_mb:,.0f} | {one.num_users / total:,.0f} |"
        )
    lines = "\n".join(rows)
    return f"""{pages.head("What an answer costs", "torch", "polars")}
Medians of {len(asked[0].cold)} processes after one item and {len(asked[0].everybody)} for everybody, one thread
each, the checkouts by turns. CPU time is that of the whole process: imports, model, data, lists, file. How
the runs were trained stands in [performance](../docs/performance.md#cold-answers).

| run | commit | one history, CPU s | MiB | users | all users, CPU s | MiB | users a CPU second |
|---|---|---|---|---|---|---|---|
{lines}
"""


def main() -> None:
    """Ask and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", nargs=3, action="append", metavar=("NAME", "CHECKOUT", "RUN"), default=[])
    parser.add_argument("--shop", type=Path, help="write the invented shop to this folder, and end")
    parser.add_argument("--repeats", type=int, default=5, help="processes after one item")
    parser.add_argument("--all-repeats", type=int, default=1, help="processes for everybody")
    pages.add_out(parser)
    given = parser.parse_args()
    if given.shop is not None:
        write_shop(given.shop)
        return
    asked = [Asked(name, Path(checkout), Path(run), [], []) for name, checkout, run in given.run]
    for one in asked:  # what Python compiles once
        one.ask("--history", first_item(one.run))
    for _ in range(given.repeats):
        for one in asked:
            one.cold.append(one.ask("--history", first_item(one.run)))
    for _ in range(given.all_repeats):
        for one in asked:
            one.ask_all()
    pages.publish(page(asked), given.out)


def first_item(run: Path) -> str:
    """The id of the first item of a run."""
    found: str = pl.read_parquet(run / "model" / "items.parquet", columns=["item_id"])["item_id"][0]
    return found


if __name__ == "__main__":
    main()
