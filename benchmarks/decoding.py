"""Our search beside the common way: `python benchmarks/decoding.py [--cases TEXT] [--repeats N] [--out FILE.md]`.

The common way is transformers' own `generate` with `prefix_allowed_tokens_fn` over a dictionary trie, as GENRE, LC-Rec,
OpenP5 and MiniOneRec have it. Both sides get the same checkpoint, catalogue, histories, number of beams and thread, in
turns in one process, and give the best 10 items. The peer's batch is the faster of 1 and 4 users; ours is 32, or 8
of the large model or long histories.

The checkpoints are random: a compact Llama (2 layers of 128) and one of 100M parameters (12 layers of 768). Their
output vectors are scaled until choices are as uneven as a trained model's, since with even ones no beam finds anything.
Catalogues are the titles of Amazon Beauty and a million invented codes of 4 to 9 tokens. `vocabulary`: a token's
probability is relative to the whole vocabulary, as `generate` has it; `children`: to those that the trie allows,
`generate(renormalize_logits=True)`. Times are CPU times of one thread, medians; memory is the most that either side
held above what stood there before, without its trie.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import torch
from genrec.backbones.quiet import quiet
from genrec.backbones.tokenizer import TrainedTokenizer
from genrec.codes.title import title_codes
from genrec.codes.trie import Codes, Trie
from genrec.data.streams import stream
from genrec.decoding.beam import Normalise
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.frontier import Found
from genrec.runs.bench_peer import CommonWay, SameModel, random_llama

import pages

K, END = 10, 1
LEAST, LEAST_MEDIAN, MOST_CONSTRAINT = 4, 10, 0.02  # promised: times faster in each case and in the median
SIZES = {
    "compact": {"layers": 2, "width": 128, "inner": 256, "vocab_size": 10_002},
    "llama-100m": {"layers": 12, "width": 768, "inner": 2048, "vocab_size": 32_000},
}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    backbone: str
    catalogue: str
    history: int
    beams: int
    normalise: Normalise

    def __str__(self) -> str:
        return f"{self.backbone} {self.catalogue} {self.history} {self.beams} {self.normalise}"


CASES = [
    *(Case(*case, "children") for case in product(SIZES, ("beauty", "million"), (10,), (10, 50))),
    *(Case(*case, "vocabulary") for case in product(SIZES, ("beauty", "million"), (10, 200), (10, 50))),
]


def beauty() -> Codes:
    """The titles of Amazon Beauty, each as far as needed to single it out, closed."""
    titles = genrec.read("../shared/data/amazon2014_beauty").catalogue.titles
    tokenizer = TrainedTokenizer.train(titles, 8000)
    codes = title_codes(titles, tokenizer.encode, [tokenizer.vocab_size], "shortest")
    tokens = np.where(codes.items == tokenizer.vocab_size, END, codes.items + 2)
    return Codes(tokens.astype(np.int32), codes.offsets)


def million(num_items: int = 1_000_000) -> Codes:
    """Invented codes: 1 to 6 tokens drawn unevenly out of 8,000, two that make the code unique, and the end."""
    rng = stream(0, "codes of the decoding benchmark")
    lengths = rng.integers(4, 10, num_items)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = (2 + 8000 * rng.random(offsets[-1]) ** 3).astype(np.int32)
    tokens[offsets[1:] - 3] = 8002 + np.arange(num_items) // 1000
    tokens[offsets[1:] - 2] = 9002 + np.arange(num_items) % 1000
    tokens[offsets[1:] - 1] = END
    return Codes(tokens, offsets)


class Ours(SameModel):
    """Our search, as a beam or until the list is proved."""

    def lists(self, histories: list[np.ndarray], beams: int, exact: bool) -> Found:
        """The best K of each history."""
        prefix = self.prefix(histories)
        if exact:
            return self.search.search_exact(prefix, lambda rows: Constraint(self.tensors), K, beams)
        return self.search.search(prefix, Constraint(self.tensors), K, beams)


class Watch:
    """CPU time and extra memory of a piece of work, and the time spent in some functions of it."""

    def __init__(self) -> None:
        self.inside = 0.0

    def time(self, owner: Any, name: str) -> None:
        """Count the time in this function."""
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.inside += time.perf_counter() - start
            return result

        setattr(owner, name, timed)

    @staticmethod
    def memory() -> tuple[int, int]:
        """Bytes resident now, and at the most since the last reset."""
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return tuple(1024 * int(status[name].split()[0]) for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]

    def run(self, work: Callable[[], Any]) -> tuple[Any, float, float, float]:
        """Result, CPU seconds, bytes above what stood there, and the share of the counted functions."""
        ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, so that what stands there is in use
        Path("/proc/self/clear_refs").write_text("5")
        before, self.inside = self.memory()[0], 0.0
        start, wall = time.process_time(), time.perf_counter()
        result = work()
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
        return result, seconds, self.memory()[1] - before, self.inside / wall


def run_case(case: Case, repeats: int) -> dict[str, Any]:
    """Both sides in turns on one case."""
    torch.set_num_threads(1)
    codes = beauty() if case.catalogue == "beauty" else million()
    trie = Trie.build(codes)
    rng = stream(0, "histories of the decoding benchmark")
    long = case.history > 50
    num_ours = 32 if case.backbone == "compact" and not long else 8
    items = rng.integers(0, len(codes), (repeats, num_ours, case.history))
    histories = [[codes.take(row).items.astype(np.int64) for row in rows] for rows in items]
    with tempfile.TemporaryDirectory() as name, quiet():
        model = random_llama(Path(name), end=END, **SIZES[case.backbone])
        ours, peer = Ours(Path(name), codes, trie, case.normalise), CommonWay(model, codes)

        def peer_lists(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            return peer.lists(rows, K, case.beams, case.normalise)

        watch = Watch()
        watch.time(Constraint, "allows")
        watch.time(TrieTensors, "edges")
        num_peer = 1
        warm = histories[0][0][: 10 * 8]
        ours.lists([warm], case.beams, case.normalise == "children")
        peer_lists([warm])
        if (
            not long
        ):  # where histories are long, one user at a time is the faster way, and memory allows no more
            one, four = (watch.run(partial(peer_lists, histories[0][:n]))[1] / n for n in (1, 4))
            num_peer = 4 if four < one else 1
        ways = ("beam", "exact") if case.normalise == "children" else ("beam",)
        seconds: dict[str, list[float]] = {way: [] for way in ("peer", *ways)}
        memory: dict[str, float] = {}
        share, same, worse, better, proved, differences = [], [], [], [], [], [0.0]
        for rows in histories:
            work = partial(peer_lists, rows[:num_peer])
            (item_BK, score_BK), time_s, memory["peer"], _ = watch.run(work)
            seconds["peer"].append(time_s / num_peer)
            for way in ways:
                found, time_s, memory[way], inside = watch.run(
                    partial(ours.lists, rows, case.beams, way == "exact")
                )
                seconds[way].append(time_s / num_ours)
                if way == "exact":  # a proved list is nowhere below another
                    assert (found.score_Bk[:num_peer].numpy() >= score_BK - 1e-4).all()
                    continue
                share.append(inside)
                proved += found.exact_B.tolist()
                for row in range(num_peer):
                    mine = dict(zip(found.item_Bk[row].tolist(), found.score_Bk[row].tolist(), strict=True))
                    theirs = dict(zip(item_BK[row].tolist(), score_BK[row].tolist(), strict=True))
                    differences += [abs(mine[item] - theirs[item]) for item in mine.keys() & theirs.keys()]
                    gap_K = found.score_Bk[row].numpy() - score_BK[row]
                    same.append(mine.keys() == theirs.keys())
                    worse.append(bool((gap_K < -1e-4).any()))
                    better.append(bool((gap_K > 1e-4).any()) and not worse[-1])
    return {
        **asdict(case),
        "users_per_s": {way: 1 / statistics.median(values) for way, values in seconds.items()},
        "times": {
            way: statistics.median(a / b for a, b in zip(seconds["peer"], seconds[way], strict=True))
            for way in ways
        },
        "memory_mb": {way: value / 1e6 for way, value in memory.items()},
        "constraint": statistics.median(share),
        "peer_batch": num_peer,
        "lists": len(same),
        "same": statistics.mean(same),
        "better": statistics.mean(better),
        "worse": statistics.mean(worse),
        "proved": statistics.mean(proved),
        "score_difference": max(differences),
    }


def page(results: list[dict[str, Any]], repeats: int) -> str:
    """The table."""
    rows = []
    for result in results:
        speed, times, memory = result["users_per_s"], result["times"], result["memory_mb"]
        exact = f"{speed['exact']:.3g} | **{times['exact']:.1f}**" if "exact" in speed else "– | –"
        rows.append(
            f"| {result['backbone']}, {result['catalogue']}, {result['history']} items, {result['normalise']} | "
            f"{result['beams']} | {speed['peer']:.3g} ({result['peer_batch']}) | {speed['beam']:.3g} | "
            f"**{times['beam']:.1f}** | {exact} | {100 * result['constraint']:.2f} % | "
            f"{memory['peer']:,.0f} / {memory['beam']:,.0f} | "
            f"{100 * result['same']:.0f} / {100 * result['better']:.0f} / {100 * result['worse']:.0f} % | "
            f"{100 * result['proved']:.0f} % |"
        )
    medians = {
        way: statistics.median(r["times"][way] for r in results if way in r["times"])
        for way in ("beam", "exact")
        if any(way in r["times"] for r in results)
    }
    title = "Decoding beside generate with prefix_allowed_tokens_fn"
    columns = (
        "backbone, catalogue, history, probabilities | beams | peer (its batch) | our beam | times | ours, exact | "
        "times | constraint | extra MB, peer / ours | lists same / better / worse | beam proved"
    )
    difference = max(result["score_difference"] for result in results)
    return f"""{pages.head(title, "torch", "transformers", used=", one used")}
The peer is transformers' `generate` over a dictionary trie. Users a second of CPU time, medians of {repeats} turns;
`times`: how many times as fast as the peer, medians of the paired ratios.

| {columns} |
{"|---" * 11}|
{chr(10).join(rows)}

- Same: our beam's 10 items are the peer's. Better or worse: scores place by place, beyond 1e-4; a beam that finishes
  forced tokens at once has room for more. Exact lists (`children` only) were checked to score nowhere below.
- Scores of the items that both lists hold differ by {difference:.1e} at the most.
- Constraint: the share of our beam's time that goes into listing children and asking which of them are allowed.
- Our batch is 32 users (8 of the large model or long histories); memory is of the whole batch of either side.
- Promised: {LEAST} times as fast in every case, {LEAST_MEDIAN} in the median, and at most
  {100 * MOST_CONSTRAINT:.0f} % for the constraint; less fails.

Median of all cases: {"; ".join(f"{times:.1f} times, {way}" for way, times in medians.items())}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--cases", default="", help="only cases whose names hold this text")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="file of finished cases, so that a stopped run goes on")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    pages.add_out(parser)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(run_case(CASES[given.one], given.repeats)))
        return
    kept = given.keep.read_text().splitlines() if given.keep and given.keep.exists() else []
    results = {str(Case(*list(result.values())[:5])): result for result in map(json.loads, kept)}
    for number, case in enumerate(CASES):
        if given.cases not in str(case) or str(case) in results:
            continue
        command = [sys.executable, __file__, "--one", str(number), "--repeats", str(given.repeats)]
        start = time.time()
        line = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
        results[str(case)] = json.loads(line)
        print(case, results[str(case)]["times"], f"{time.time() - start:.0f} s", file=sys.stderr)
        if given.keep:
            with given.keep.open("a") as file:
                file.write(line + "\n")
    done = [results[str(case)] for case in CASES if str(case) in results]
    pages.publish(page(done, given.repeats), given.out)
    missed = [
        f"{result['backbone']} {result['catalogue']} {result['history']} {result['beams']}: {what}"
        for result in done
        for what, holds in (
            (f"{result['times']['beam']:.1f} times", result["times"]["beam"] >= LEAST),
            (f"constraint {100 * result['constraint']:.1f} %", result["constraint"] <= MOST_CONSTRAINT),
        )
        if not holds
    ]
    median = statistics.median(result["times"]["beam"] for result in done)
    if missed or median < LEAST_MEDIAN:
        sys.exit(f"missed: median {median:.1f} of {LEAST_MEDIAN}; " + "; ".join(missed))


if __name__ == "__main__":
    main()
