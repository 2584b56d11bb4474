"""The trie of a large catalogue: `python benchmarks/trie.py [--items N ...] [--longest L] [--out FILE.md]`.

The codes are invented: 4 to 20 tokens out of 8,000, drawn unevenly (the 20 commonest are a third of all), so that
many begin alike as titles do, each closed by its own number. `--longest` makes one of them that long, as a catalogue
with one endless title has it. All times are CPU times of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from itertools import compress

import numpy as np
import torch
from genrec.codes.insertion import insert
from genrec.codes.trie import Codes, Trie
from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories
from genrec.data.streams import stream
from genrec.decoding.constraint import Constraint, TrieTensors

import measured
import pages

VOCABULARY = 8000
USERS, BEAMS = 16, 50
ADDED = 1000  # items
FEW = 8.0  # children a node, on average, at a "level with few children"
LIMITS = {  # what is promised for a million items
    "build [s]": 10.0,
    "arrays [MB]": 64.0,
    f"add {ADDED:,} items [ms]": 50.0,
    "step [µs]": 100.0,
    "filter / steps": 1.0,
}

DESCRIPTION = f"""A step: the edges out of the nodes of {USERS} x {BEAMS} beams ({USERS} at the root), scores added up,
the exact best {BEAMS} of each user, the nodes that they lead to. The beams are drawn from those nodes of a level that
leave a choice. A filter is put together once a request and asked at every step about every edge. What is promised of
steps and filters is measured at the levels with at most {FEW:g} children a node: the slowest step, and all that the
dearest filter costs in proportion to all steps.
"""


def generate(num_items: int, longest: int, seed: int) -> Codes:
    """Codes of 4-20 tokens: an uneven beginning, then the item's number in two tokens that make it unique."""
    rng = stream(seed, "codes of the trie benchmark")
    lengths = rng.integers(4, 21, num_items)
    lengths[0] = max(longest, lengths[0])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.empty(offsets[-1], np.int32)
    for start in range(0, len(tokens), 1_000_000):
        part = tokens[start : start + 1_000_000]
        part[:] = VOCABULARY * rng.random(len(part)) ** 6
    tokens[offsets[1:] - 2] = VOCABULARY + np.arange(num_items) // 1000
    tokens[offsets[1:] - 1] = 20 * VOCABULARY + np.arange(num_items) % 1000
    return Codes(tokens, offsets)


def cpu_s(call: Callable[[], object], times: int) -> float:
    """CPU seconds of a call: the median of 9 rounds of so many calls each."""
    rounds = []
    for _ in range(9):
        start = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - start) / times)
    return statistics.median(rounds)


def filters(num_items: int, seed: int) -> Iterator[tuple[str, Histories | None, BoolArray | None]]:
    """Names, seen items and masks of requests."""
    rng = stream(seed, "filters")
    for count in (10, 50, 200):
        seen = Histories.from_lists([rng.integers(num_items, size=count) for _ in range(USERS)])
        yield f"seen, {count} items a user", seen, None
    for name, count in (("only", 1000), ("only", 10_000), ("exclude", 1000), ("only", num_items // 2)):
        chosen = np.zeros(num_items, bool)
        chosen[rng.choice(num_items, min(count, num_items // 2), replace=False)] = True
        yield f"{name} {count:,} items", None, chosen if name == "only" else ~chosen


def beams_of(trie: Trie, seed: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Depth, users and nodes of the beams at each step: the root, then nodes of a level that leave a choice."""
    rng = stream(seed, "beams")
    user_F = torch.arange(USERS)
    yield 0, user_F, torch.zeros_like(user_F)
    user_F = user_F.repeat_interleave(BEAMS)
    for depth, level in enumerate(trie.levels[1:], start=1):
        nodes = level.start + np.flatnonzero(trie.num_children_N[level] > 1)
        if len(nodes) >= BEAMS:
            yield depth, user_F, torch.from_numpy(rng.choice(nodes, len(user_F)))


def step(
    tensors: TrieTensors,
    user_F: torch.Tensor,
    node_F: torch.Tensor,
    score_F: torch.Tensor,
    log_p_E: torch.Tensor,
) -> object:
    """One step without filters: scores, beams of origin and nodes of the new beams."""
    edges = tensors.edges(user_F, node_F, USERS)
    score_Bk, edge_Bk = edges.best(log_p_E + score_F.index_select(0, edges.beam_E), BEAMS)
    chosen = edge_Bk.flatten()
    return score_Bk, edges.beam_E.index_select(0, chosen), edges.child_E.index_select(0, chosen)


@torch.inference_mode()
def measure_steps(trie: Trie, seed: int) -> tuple[list[list[str]], list[list[str]], float, float]:
    """Rows of the tables of steps and filters; the slowest narrow step, µs, and the dearest filter."""
    tensors = TrieTensors.of(trie, "cpu")
    step_rows, steps, asked, is_narrow = [], [], [], []
    for depth, user_F, node_F in beams_of(trie, seed):
        edges = tensors.edges(user_F, node_F, USERS)
        score_F, log_p_E = torch.randn(len(node_F)), torch.randn(len(edges.child_E))
        steps.append(1e6 * cpu_s(partial(step, tensors, user_F, node_F, score_F, log_p_E), 200))
        asked.append((user_F.index_select(0, edges.beam_E), edges.child_E))
        children = len(log_p_E) / len(node_F)
        is_narrow.append(children <= FEW)
        step_rows.append([str(depth), f"{children:,.1f}", f"{edges.most:,}", f"{steps[-1]:,.0f}"])

    filter_rows, shares = [], []
    for name, seen, allowed in filters(trie.num_items, seed):
        build_us = 1e6 * cpu_s(partial(Constraint, tensors, seen=seen, allowed=allowed), 20)
        ask = Constraint(tensors, seen=seen, allowed=allowed).allows
        asks = [1e6 * cpu_s(partial(ask, *edges), 100) for edges in asked]
        shares.append((build_us + sum(compress(asks, is_narrow))) / sum(compress(steps, is_narrow)))
        levels = " · ".join(f"{ask_us:,.0f}" for ask_us in asks)
        filter_rows.append([name, f"{build_us:,.0f}", levels, f"{shares[-1]:.2f}"])
    return step_rows, filter_rows, max(compress(steps, is_narrow)), max(shares)


def measure(num_items: int, longest: int, seed: int) -> tuple[str, dict[str, float]]:
    """The section of the page on a catalogue of this size, and its figures by the names of `LIMITS`."""
    every = generate(num_items + ADDED, longest, seed)
    codes = Codes(every.items[: every.offsets[num_items]], every.offsets[: num_items + 1])
    codes_gb = pages.peak_gb()
    start = time.process_time()
    trie = Trie.build(codes)
    built_s = time.process_time() - start
    built_gb = pages.peak_gb()
    start = time.process_time()
    assert len(trie.paths.items) == len(codes.items)
    paths_s = time.process_time() - start
    arrays = [getattr(trie, field.name) for field in fields(Trie) if field.name != "codes"]
    step_rows, filter_rows, step_us, ratio = measure_steps(trie, seed)
    adds = []
    for _ in range(5):
        fresh = replace(trie)  # forgets what was computed and kept
        start = time.process_time()
        grown, _ = insert(fresh, every)
        adds.append(1000 * (time.process_time() - start))
    again = Trie.build(every)
    assert all(np.array_equal(getattr(grown, f.name), getattr(again, f.name)) for f in fields(Trie)[1:])
    figures = dict(
        zip(
            LIMITS,
            (built_s, sum(a.nbytes for a in arrays) / 1e6, statistics.median(adds), step_us, ratio),
            strict=True,
        )
    )
    others = {"nodes": f"{trie.num_nodes:,}", "`Trie.paths` [s]": f"{paths_s:.2f}"}
    others["peak memory before and after building [GB]"] = f"{codes_gb:.2f}, {built_gb:.2f}"
    others["peak memory at the end [GB]"] = f"{pages.peak_gb():.2f}"
    table = [[name, f"{value:.3g}", f"{LIMITS[name]:g}"] for name, value in figures.items()]
    table += [[name, value, ""] for name, value in others.items()]
    return (
        f"## {num_items:,} items\n\n{len(codes.items):,} tokens, the longest code {codes.lengths.max():,}.\n\n"
        + measured.table(["", "measured", "promised for a million"], table)
        + "\n\n"
        + measured.table(["level", "children a node", "edges of the user with most", "step [µs]"], step_rows)
        + "\n\n"
        + measured.table(
            ["filter", "put together [µs]", "asked, level by level [µs]", "filter / steps"], filter_rows
        ),
        figures,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[1_000_000], help="sizes, ascending")
    parser.add_argument("--longest", type=int, default=20, help="tokens of the longest code")
    parser.add_argument("--seed", type=int, default=0)
    pages.add_out(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sections, missed = [], []
    for num_items in given.items:
        section, figures = measure(num_items, given.longest, given.seed)
        sections.append(section)
        if num_items <= 1_000_000:
            missed += [
                f"{name} {figures[name]:.3g} of {LIMITS[name]:g}"
                for name in LIMITS
                if figures[name] > LIMITS[name]
            ]
    page = f"""{pages.head("The trie of a large catalogue", "numpy", "torch", used=", one used")}
{DESCRIPTION}
"""
    pages.publish(page + "\n\n".join(sections) + "\n", given.out)
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
