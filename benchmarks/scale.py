"""Memory of a training of 25 million interactions: `python benchmarks/scale.py [--interactions N] [--out FILE.md]`.

Invented ratings in the layout and size of MovieLens 25M (see prepare.py) are written to a temporary folder. For each
case a fresh process reads and splits them, plans the whole training, takes a few steps and validates once, as
`fit` does it. Needs Linux, which tells anonymous memory (what a process holds) from file-backed (code of libraries
and mapped arrays: the kernel takes their pages back when memory is short, and still counts them as resident).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pages

LIMIT_GB = 3.0  # resident beyond the model, what the project promises for 25 million interactions
CASES: dict[str, dict[str, Any]] = {
    "genrec, packed": {"name": "genrec"},
    "genrec, prefixes": {"name": "genrec", "examples": "prefixes", "epochs": 2},
    "sasrec": {"name": "sasrec"},
}
_MEASURED = {"VmHWM": "peak_gb", "RssAnon": "anonymous_gb", "RssFile": "file_gb"}


class Watch:
    """The most memory that this process held in a phase, in 10^9 bytes: in all, anonymous and file-backed."""

    def __init__(self) -> None:
        self._most: dict[str, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            with self._lock:
                self._look()
            time.sleep(0.02)

    def _look(self) -> None:
        for line in Path("/proc/self/status").read_text().splitlines():
            kind, _, size = line.partition(":")
            if kind in _MEASURED:
                name = _MEASURED[kind]
                self._most[name] = max(self._most.get(name, 0.0), int(size.split()[0]) * 1024 / 1e9)

    def phase(self) -> dict[str, float]:
        """What was reached since the last call; the next phase starts with what is held now."""
        with self._lock:
            self._look()
            most, self._most = self._most, {}
            Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        return most


def measure(folder: Path, case: str, num_steps: int) -> dict[str, Any]:
    """Read, split, plan, train `num_steps` and validate in this process."""
    import genrec
    from genrec.training.mixture import Mixture
    from genrec.training.sequences import ItemSteps

    watch, start = Watch(), time.perf_counter()
    data = genrec.read(folder)
    train, validation = data.train, data.validation
    reading = {"seconds": time.perf_counter() - start, **watch.phase()}
    options = dict(CASES[case])
    model = genrec.create(options.pop("name"), evaluations=1, **options)
    planned: list[float] = []

    def first_steps(steps: Any) -> int:
        planned.append(time.perf_counter())
        return num_steps

    Mixture.__len__ = ItemSteps.__len__ = first_steps  # type: ignore[method-assign]
    start = time.perf_counter()
    model.fit(train, validation)
    training = {"seconds": time.perf_counter() - start, **watch.phase(), "planned_s": planned[0] - start}
    network = model.backbone_ if hasattr(model, "backbone_") else model.network_
    num_weights = sum(weight.numel() for weight in network.parameters())
    return {
        "reading": reading,
        "training": training,
        "model_gb": 16 * num_weights / 1e9,
        "num_interactions": data.interactions.num_interactions,
    }


def run(folder: Path, case: str, num_steps: int) -> dict[str, Any]:
    """`measure` in a process of its own, on two threads."""
    threads = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, __file__, "--measure", case, "--data", str(folder), "--steps", str(num_steps)]
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def beyond_gb(measured: dict[str, Any]) -> float:
    """Most memory resident at once, from the first line read to the last step, less the model."""
    reading, training = (measured[part]["peak_gb"] for part in ("reading", "training"))
    return float(max(reading, training - measured["model_gb"]))  # there is no model yet while data are read


def report(found: dict[str, dict[str, Any]], num_steps: int) -> str:
    """The results as a page."""
    rows = "\n".join(
        f"| {case} | {part} | {measured[part]['seconds']:.0f} | {measured[part]['peak_gb']:.2f} | "
        f"{measured[part]['anonymous_gb']:.2f} | {measured[part]['file_gb']:.2f} |"
        for case, measured in found.items()
        for part in ("reading", "training")
    )
    beyond = "\n".join(
        f"| {case} | {measured['model_gb']:.2f} | {beyond_gb(measured):.2f} | {measured['training']['planned_s']:.0f} |"
        for case, measured in found.items()
    )
    num_interactions = next(iter(found.values()))["num_interactions"]
    return f"""{pages.head("Memory of a training of 25 million interactions", "torch", "polars", "numpy")}
Generated ratings in the layout of MovieLens 25M, {num_interactions:,} interactions after reading. Each case is a
fresh process that reads and splits them, plans all epochs (prefixes: 2), takes {num_steps} steps and validates once.

| case | part | s | peak resident, GB | most anonymous | most file-backed |
|---|---|---:|---:|---:|---:|
{rows}

Anonymous memory is what a process holds. File-backed pages are code of libraries and mapped arrays; the kernel takes
them back when memory is short, yet they count as resident. The two need not peak together. Part of what the reading
held is given back only as the training begins, and counts there too. Other work on the machine lengthens the seconds,
not the memory.

| case | model, GB | peak beyond the model, GB | planning, s |
|---|---:|---:|---:|
{beyond}

The model is its weights, their gradients and Adam's two moments, 16 bytes a weight. The peak is that of the whole
process, reading included. Promised at 25 million interactions: at most {LIMIT_GB:g} GB beyond the model.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--interactions", type=int, default=25_000_000)
    parser.add_argument("--users", type=int, default=162_000)
    parser.add_argument("--items", type=int, default=62_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--data", type=Path, help="measure these data in place of generated ones")
    parser.add_argument("--measure", choices=CASES, help="measure one case in this process and print JSON")
    pages.add_out(parser)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.data, given.measure, given.steps)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = given.data
        if folder is None:
            from prepare import generate

            folder = Path(name)
            generate(folder, given.interactions, given.users, given.items, seed=0)
        found = {case: run(folder, case, given.steps) for case in CASES}
    pages.publish(report(found, given.steps), given.out)
    missed = {case: beyond_gb(measured) for case, measured in found.items() if beyond_gb(measured) > LIMIT_GB}
    if missed:
        sys.exit("missed: " + ", ".join(f"{case} {gb:.2f} GB of {LIMIT_GB:g}" for case, gb in missed.items()))


if __name__ == "__main__":
    main()
