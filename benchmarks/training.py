"""What a training step costs: `python benchmarks/training.py --data FOLDER [--out FILE.md]`.

Packed histories against one example a target, the catalogue objective against no head and against the softmax over a
whole vocabulary, one thread against two, and where a step's time goes; `genrec` with its default options. Everything
is measured in processes of its own (`--measure`), ratios in pairs of blocks of steps that take turns. Times are those
of the processor on one thread, so that what else runs on the machine hardly matters; only the two threads are timed
by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import genrec
import torch
from genrec.backbones.compact import CompactBackbone
from genrec.training import trainer
from genrec.training.histories import history_mixture
from genrec.training.mixture import Batch, Mixture
from genrec.training.objectives import CodeLoss
from genrec.training.replicas import Ahead, Gradients, Replicas

import pages

PACKED_GAIN, HEAD_COST, CPU_USE, GROUP = 8.0, 1.25, 0.85, 0.05  # promised
PAIRS, BLOCK = 5, 4  # pairs of blocks, and steps in a block
STEPS = 60  # of the whole loop, to time it
VOCABULARIES = (32_000, 128_000)
# Groups of operators by words in their names, the first that fits.
GROUPS: dict[str, tuple[str, ...]] = {
    "attention": ("scaled_dot_product",),
    "matrix products": ("::mm", "::addmm", "::bmm", "::baddbmm", "::linear", "::matmul"),
    "softmax over children": ("softmax", "nll_loss", "cross_entropy"),
    "making the batch": ("making the batch",),
    "optimiser": ("adam", "Optimizer", "norm_", "linalg_vector_norm"),
    "dropout's random numbers": ("random_", "bernoulli"),
    "look-ups and their gradients": ("index", "embedding", "scatter", "gather", "unique", "sort", "repeat"),
    "copies and conversions": ("copy", "::to", "cat", "contiguous", "clone"),
    "filling with noughts": ("fill_", "zero_", "zeros", "empty"),
    "arithmetic (norms, residuals, rotations, masks)": ("",),
}


class Bench:
    """A model of the default options on one log, and blocks of its steps."""

    def __init__(self, folder: str, vocab_size: int | None = None) -> None:
        """Prepare; with `vocab_size` the backbone has that many tokens, of which the titles use theirs."""
        data = genrec.read(folder)
        self.train = data.train
        self.model: Any = genrec.create("genrec", evaluations=1, max_steps=1, threads=1).fit(data.train)
        self.backbone = self.model.backbone_
        if vocab_size is not None:
            arguments = {**self.backbone.arguments, "vocab_size": vocab_size}
            self.backbone = CompactBackbone(**arguments)
        self.backbone.train()
        self.mixed = self.model.config.training.bf16 and not genrec.backbones.hardware.full_precision()
        self.gradients = Gradients([(weight,) for weight in self.backbone.parameters()])

    def steps(self, way: Any) -> Mixture:
        """Batches of the default size."""
        config = self.model.config
        return history_mixture(
            self.train.histories,
            self.model.rows_,
            way=way,
            batch_tokens=config.training.batch_tokens,
            num_epochs=1,
            seed=0,
        )

    def loss(self, objective: str) -> CodeLoss:
        dtype = torch.bfloat16 if self.mixed else torch.float32
        return CodeLoss(self.model.codebook_.trie, objective, torch.device("cpu"), dtype)

    def run(self, steps: Mixture, numbers: range, loss: Callable[[Any, Batch], torch.Tensor]) -> float:
        """Processor seconds of forward and backward; batches are made before."""
        batches = [steps[number % len(steps)] for number in numbers]

        def hidden(batch: Batch) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
                return self.backbone(batch).float()

        model = _Wrapped(self.backbone, hidden)
        start = time.process_time()
        for batch in batches:
            self.backbone.zero_grad()
            loss(model, batch).backward()  # type: ignore[no-untyped-call]
            self.gradients.add_up()
        return time.process_time() - start


class _Wrapped(torch.nn.Module):
    """The backbone under mixed precision, as the training loop wraps it."""

    def __init__(self, backbone: torch.nn.Module, hidden: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.module, self.forward = backbone, hidden


def no_head(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The sum of all hidden states."""
    return model(batch).sum()


def blocks() -> list[range]:
    """The steps of each pair; the first pair is for warming up."""
    return [range(first * BLOCK, (first + 1) * BLOCK) for first in range(PAIRS + 1)]


def packed(folder: str) -> dict[str, Any]:
    """Targets a second, packed and one example a target, in pairs."""
    bench = Bench(folder)
    ways = {way: bench.steps(way) for way in ("packed", "prefixes")}
    loss = bench.loss("catalogue")
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for numbers in blocks():
        for way, steps in ways.items():
            targets = sum(loss.num_items(steps[number]) for number in numbers)
            rates[way].append(targets / bench.run(steps, numbers, loss))
    ratios = [one / other for one, other in zip(rates["packed"], rates["prefixes"], strict=True)]
    result = {way: statistics.median(values[1:]) for way, values in rates.items()}
    return {**result, "ratio": statistics.median(ratios[1:]), "gb": pages.peak_gb()}


def head(folder: str) -> dict[str, Any]:
    """The catalogue objective over no head, in pairs."""
    bench = Bench(folder)
    steps, loss = bench.steps("packed"), bench.loss("catalogue")
    ratios = []
    numbers = range(BLOCK)  # always the same: what a product of a new shape costs once is no part of a step
    for _ in range(PAIRS + 1):
        without = bench.run(steps, numbers, no_head)
        ratios.append(bench.run(steps, numbers, loss) / without)
    return {"ratio": statistics.median(ratios[1:]), "gb": pages.peak_gb()}


def objective(folder: str, name: str, vocab_size: int) -> dict[str, Any]:
    """Milliseconds of a step with one objective, and the memory of a process that does nothing else."""
    bench = Bench(folder, vocab_size)
    steps = bench.steps("packed")
    loss = no_head if name == "none" else bench.loss(name)
    times = [bench.run(steps, range(first, first + 1), loss) for first in range(PAIRS + 2)]
    return {"ms": 1e3 * statistics.median(times[2:]), "gb": pages.peak_gb()}


def speed(folder: str, threads: int) -> dict[str, Any]:
    """Milliseconds of a step of the whole loop and the share of two cores it keeps busy, the first third left out."""
    moments: list[tuple[float, float]] = []
    step = trainer.Learner.backward

    def timed(*args: Any, **kwargs: Any) -> torch.Tensor:
        moments.append((time.perf_counter(), time.process_time()))
        return step(*args, **kwargs)

    trainer.Learner.backward = timed  # type: ignore[method-assign]
    shares: list[float] = []  # processor seconds of each replica in each step
    one = Replicas._one

    def timed_one(*args: Any) -> torch.Tensor:
        start = time.thread_time()
        loss = one(*args)
        shares.append(time.thread_time() - start)
        return loss

    Replicas._one = timed_one  # type: ignore[method-assign]
    data = genrec.read(folder)
    genrec.create("genrec", evaluations=1, max_steps=STEPS, threads=threads).fit(data.train)
    first = STEPS // 3
    late = moments[first:]
    wall = [after[0] - before[0] for before, after in pairwise(late)]
    processor_s = late[-1][1] - late[0][1]
    # Were all cores free, a step would last as long as what is done alone and the longest share.
    steps = [shares[step * threads : (step + 1) * threads] for step in range(first, STEPS - 1)]
    alone_s = processor_s - sum(map(sum, steps)) if threads > 1 else processor_s
    shortest_s = alone_s + sum(max(step, default=0.0) for step in steps)
    return {
        "ms": 1e3 * statistics.median(wall),
        "processor_ms": 1e3 * processor_s / len(wall),
        "busy": processor_s / sum(wall) / threads,
        "possible": processor_s / shortest_s / threads,
        "load": os.getloadavg()[0],
        "gb": pages.peak_gb(),
    }


def profile(folder: str) -> dict[str, Any]:
    """Share of a step's time by group of operators, of 25 steps of the whole loop."""
    count, step = [0], trainer.Learner.backward
    profiler = torch.profiler.profile()

    def profiled(*args: Any, **kwargs: Any) -> torch.Tensor:
        count[0] += 1
        if count[0] == 40:
            profiler.start()
        elif count[0] == 65:
            profiler.stop()
        return step(*args, **kwargs)

    def marked(*args: Any) -> Batch:
        with torch.profiler.record_function("making the batch"):
            return make(*args)

    make = Ahead.__getitem__
    Ahead.__getitem__ = marked  # type: ignore[method-assign]
    trainer.Learner.backward = profiled  # type: ignore[method-assign]
    genrec.create("genrec", evaluations=1, max_steps=70, threads=1).fit(genrec.read(folder).train)
    shares = dict.fromkeys(GROUPS, 0.0)
    for event in profiler.key_averages():
        group = next(name for name, words in GROUPS.items() if any(word in event.key for word in words))
        shares[group] += event.self_cpu_time_total
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def fresh(measure: str, data: str, keep: Path | None, turn: int = 0) -> dict[str, Any]:
    """One measurement in a process of its own, or what the file of finished ones says of it."""
    key = f"{measure} {data} {turn}"
    kept = dict(map(json.loads, keep.read_text().splitlines())) if keep and keep.exists() else {}
    if key in kept:
        return dict(kept[key])
    command = [sys.executable, __file__, "--data", data, "--measure", measure]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    print(measure, data, result, file=sys.stderr)
    if keep:
        with keep.open("a") as file:
            file.write(json.dumps([key, result]) + "\n")
    return result


def measured(measure: str, data: str) -> dict[str, Any]:
    """The measurement of that name: its function and what it is given, parted by colons."""
    name, *given = measure.split(":")
    if name == "objective":
        return objective(data, given[0], int(given[1]))
    if name == "speed":
        return speed(data, int(given[0]))
    return {"packed": packed, "head": head, "profile": profile}[name](data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--data", nargs="+", required=True, help="for packed against prefixes; for all else")
    parser.add_argument("--measure", help="one measurement, as JSON")
    parser.add_argument("--turns", type=int, default=5, help="runs of one thread and of two")
    parser.add_argument(
        "--keep", type=Path, help="file of finished measurements, so that a stopped run goes on"
    )
    pages.add_out(parser)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measured(given.measure, given.data[0])))
        return
    long, wide, keep = given.data[0], given.data[-1], given.keep
    ways = fresh("packed", long, keep)
    heads = {folder: fresh("head", folder, keep) for folder in dict.fromkeys((long, wide))}
    sizes = [
        ("no head", "none", 8000),
        ("catalogue", "catalogue", 8000),
        *((f"catalogue, {size:,} tokens", "catalogue", size) for size in VOCABULARIES),
        *((f"softmax over {size:,} tokens", "token", size) for size in VOCABULARIES),
    ]
    objectives = {name: fresh(f"objective:{kind}:{size}", wide, keep) for name, kind, size in sizes}
    # In turns, so that what else runs on the machine meets both.
    turns = [
        (fresh("speed:1", wide, keep, turn), fresh("speed:2", wide, keep, turn))
        for turn in range(given.turns)
    ]
    one, two = (
        {key: statistics.median(turn[place][key] for turn in turns) for key in turns[0][0]}
        for place in (0, 1)
    )
    gain = statistics.median(first["ms"] / second["ms"] for first, second in turns)
    shares = fresh("profile", wide, keep)
    misses = [
        *([f"packed {ways['ratio']:.1f} of {PACKED_GAIN:.0f}"] if ways["ratio"] < PACKED_GAIN else []),
        *(
            f"head {heads[x]['ratio']:.2f} of {HEAD_COST} on {x}"
            for x in heads
            if heads[x]["ratio"] > HEAD_COST
        ),
        *([f"busy cores {two['busy']:.0%} of {CPU_USE:.0%}"] if two["busy"] < CPU_USE else []),
    ]
    names = {folder: folder.rstrip("/").split("/")[-1] for folder in heads}
    rows = "\n".join(f"| {name} | {row['ms']:.0f} | {row['gb']:.2f} |" for name, row in objectives.items())
    groups = "\n".join(
        f"| {name} | {share:.1%} |" for name, share in sorted(shares.items(), key=lambda pair: -pair[1])
    )
    cost = "\n".join(
        f"| {names[folder]} | {row['ratio']:.2f} | {row['gb']:.2f} |" for folder, row in heads.items()
    )
    threads = "\n".join(
        f"| {count} | {row['ms']:.0f} | {row['processor_ms']:.0f} | {row['busy']:.0%} | {row['possible']:.0%} | "
        f"{row['load']:.1f} | {row['gb']:.2f} |"
        for count, row in ((1, one), (2, two))
    )
    pages.publish(
        f"""{pages.head("Training steps", "torch", "transformers")}
`genrec` with its default options (compact, depth 2, width 128, 4,000 tokens in a batch). Processor time of one
thread, medians of {PAIRS} pairs of {BLOCK} steps, unless told otherwise; peak memory is of a whole process, reading
and planning included.

## Packed histories against one example a target

| {names[long]} | targets a second |
|---|---|
| packed | {ways["packed"]:,.0f} |
| one example a target | {ways["prefixes"]:,.0f} |
| ratio of the pairs | {ways["ratio"]:.1f} |

Promised: {PACKED_GAIN:.0f}. Forward and backward; peak memory {ways["gb"]:.2f} GB.

## The catalogue objective against no head

| | ratio of the pairs | peak GB |
|---|---|---|
{cost}

Promised: {HEAD_COST}. No head: the sum of the hidden states is the loss.

Each in a fresh process on {names[wide]}; medians of {PAIRS} steps:

| | ms a step | peak GB |
|---|---|---|
{rows}

## Threads

The whole loop, optimiser and batches included, by the clock; medians of {given.turns} runs that take turns.

| threads | ms a step | of processor time | busy share of the cores | were they free | load of the machine | peak GB |
|---|---|---|---|---|---|---|
{threads}

Two threads are {gain:.2f} times as fast as one. Promised: {CPU_USE:.0%} busy; a load beyond the threads means that
others had the cores too. "Were they free" is reckoned from processor times: what is done alone and the longest share
of each step follow each other, whatever else ran.

## Where a step's time goes

{names[wide]}, one thread, 25 steps of the whole loop under torch's profiler:

| operators | share |
|---|---|
{groups}
""",
        given.out,
    )
    if misses:
        sys.exit("missed: " + "; ".join(misses))


if __name__ == "__main__":
    main()
