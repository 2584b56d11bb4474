"""Counting the transitions of a large log: `python benchmarks/transitions.py [--interactions N] [--out FILE.md]`.

Histories are invented: lengths as uneven as those of people, items drawn by a power law of their rank, once steep and
once flat; the flatter, the more pairs differ. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.streams import stream
from genrec.recommenders.transitions import Transitions
from genrec.testing import interactions

import measured
import pages

USERS, ITEMS = 160_000, 60_000
STEEPNESS = (1.0, 0.7)  # exponents of the power law
ASKED = 2000  # users ranked
HEADER = ["exponent", "pairs kept", "fit [s]", "2,000 lists of 21 [s]", "peak memory before [GB]", "after"]


def generate(num_interactions: int, steepness: float) -> Interactions:
    """Histories of at least 20 items."""
    rng = stream(0, "log of the transitions benchmark")
    weights_I = 1.0 / np.arange(1, ITEMS + 1) ** steepness
    lengths = 20 + rng.multinomial(num_interactions - 20 * USERS, rng.dirichlet(np.ones(USERS)))
    drawn = rng.choice(ITEMS, num_interactions, p=weights_I / weights_I.sum())
    items = rng.permutation(ITEMS).astype(np.int32)[drawn]
    histories = Histories(items, np.concatenate([[0], np.cumsum(lengths)]))
    ids = [str(row) for row in range(ITEMS)]
    return interactions(histories, Catalogue.from_lists(ids, ids))


def measure(num_interactions: int, steepness: float) -> str:
    """A row of the page."""
    train = generate(num_interactions, steepness)
    before, start = pages.peak_gb(), time.process_time()
    model = Transitions().fit(train)
    fitted = time.process_time()
    after = pages.peak_gb()
    model.rank(train.histories.take(np.arange(ASKED)), 21)
    ranked = time.process_time()
    cells = [f"{steepness}", f"{model.edges_II_.nnz:,}", f"{fitted - start:.1f}", f"{ranked - fitted:.1f}"]
    return "|".join([*cells, f"{before:.2f}", f"{after:.2f}"])


def main() -> None:
    """Measure each case in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=int, default=25_000_000)
    parser.add_argument("--only", type=float, help="measure this exponent and print its row")
    pages.add_out(parser)
    options = parser.parse_args()
    if options.only is not None:
        print(measure(options.interactions, options.only))
        return
    rows = []
    for steepness in STEEPNESS:
        words = ["--interactions", str(options.interactions), "--only", str(steepness)]
        told = subprocess.run(
            [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
        )
        rows.append(told.stdout.strip().split("|"))
    title = pages.head("Counting transitions", "numpy", "scipy", used=", one used")
    about = f"{options.interactions:,} invented interactions of {USERS:,} users with {ITEMS:,} items."
    pages.publish(f"{title}\n{about}\n\n{measured.table(HEADER, rows)}\n", options.out)


if __name__ == "__main__":
    main()
