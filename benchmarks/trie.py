"""Time to build a large trie: `python benchmarks/trie.py [--items N] [--longest L] [--out FILE.md]`.

The codes are invented: 4 to 20 tokens out of 8,000, drawn unevenly (the 20 commonest are a third of all), so that
many begin alike as titles do, each closed by its own number. `--longest` makes one of them that long, as a catalogue
with one endless title has it. CPU time and peak memory are those of a process that does nothing else, on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from genrec.codes.trie import Codes, Trie

import pages

VOCABULARY = 8000
LIMIT_S = 60  # what a million codes may take on one core


def generate(num_items: int, longest: int, seed: int) -> Codes:
    """Codes of 4-20 tokens: an uneven beginning, then the item's number in two tokens that make it unique."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 21, num_items)
    lengths[0] = max(longest, lengths[0])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = (VOCABULARY * rng.random(offsets[-1]) ** 6).astype(np.int32)
    tokens[offsets[1:] - 2] = VOCABULARY + np.arange(num_items) // 1000
    tokens[offsets[1:] - 1] = 2 * VOCABULARY + np.arange(num_items) % 1000
    return Codes(tokens, offsets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--longest", type=int, default=20, help="tokens of the longest code")
    parser.add_argument("--seed", type=int, default=0)
    pages.add_out(parser)
    given = parser.parse_args()
    codes = generate(given.items, given.longest, given.seed)
    start = time.process_time()
    trie = Trie.build(codes)
    built_s = time.process_time() - start
    assert len(trie.paths.items) == len(codes.items)
    paths_s = time.process_time() - start - built_s
    page = f"""{pages.head("Building a trie", "numpy", used=", one used")}
{len(codes):,} codes, {len(codes.items):,} tokens, the longest {codes.lengths.max():,}; {trie.num_nodes:,} nodes.

| | CPU time |
|---|---|
| `Trie.build` | {built_s:.1f} s |
| `Trie.paths` | {paths_s:.1f} s |
| peak memory, the codes included | {pages.peak_gb():.1f} GB |

Promised: seconds for a million codes; more than {LIMIT_S} s fails.
"""
    pages.publish(page, given.out)
    if built_s > LIMIT_S:
        sys.exit(f"missed: {built_s:.0f} s of {LIMIT_S}")


if __name__ == "__main__":
    main()
