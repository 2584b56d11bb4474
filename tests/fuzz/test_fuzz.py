"""Thousands of bad inputs: 0 tracebacks, 0 hangs, 0 silent acceptances, nothing of the user's changed.

`pytest tests/fuzz -m slow` tries inputs for GENREC_FUZZ_SECONDS (180 by default), shared out over the generators.
Each input is made from (GENREC_FUZZ_SEED, generator, number) alone; `GENREC_FUZZ_INPUT=runs/17` tries that one.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import inputs_commands  # noqa: F401 - enters its generators
import inputs_logs  # noqa: F401
import inputs_runs  # noqa: F401
import pytest
from driver import Driver
from inputs import GENERATORS, make
from material import Material
from oracles import Fault, judge, snapshot

SECONDS = float(os.environ.get("GENREC_FUZZ_SECONDS", "180"))
SEED = int(os.environ.get("GENREC_FUZZ_SEED", "0"))
ONE = os.environ.get("GENREC_FUZZ_INPUT", "")
LEAST_PER_SECOND = 0.5  # inputs; fewer mean that the run has looked at nothing
QUICK = 12  # inputs of each generator in the fast suite


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material.make(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("captured"))
    yield driver
    driver.close()


def attempt(
    name: str, number: int, folder: Path, material: Material, driver: Driver
) -> list[tuple[Fault, str]]:
    """Try one input; its faults, each with the words that tell how to see it again."""
    here = folder / f"{name}-{number}"
    here.mkdir(parents=True)
    given = make(SEED, name, number, here, material)
    before, shop = snapshot(here), snapshot(material.folder, quick=True)
    outcome = driver.run(given.words, here)
    faults = list(judge(given, outcome, before, snapshot(here)))
    if snapshot(material.folder, quick=True) != shop:
        faults.append(Fault("changed", "", "a file of another folder"))
    told = f"GENREC_FUZZ_SEED={SEED} GENREC_FUZZ_INPUT={name}/{number}: {given.about}"
    if not faults:
        shutil.rmtree(here)
    return [(fault, told) for fault in faults]


def report(found: list[tuple[Fault, str]]) -> str:
    """Faults by kind and place, the most frequent first, each with its first input."""
    together: dict[tuple[str, str], list[tuple[Fault, str]]] = defaultdict(list)
    for fault, told in found:
        together[fault.kind, fault.where].append((fault, told))
    lines = []
    for (kind, where), own in sorted(together.items(), key=lambda entry: -len(entry[1])):
        fault, told = own[0]
        lines.append(f"{len(own)} x {kind} {where}\n    {fault.seen!r}\n    {told}")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_bad_input_ends_in_one_line(name: str, tmp_path: Path, material: Material, driver: Driver) -> None:
    """As many inputs of a generator as fit into its share of the time."""
    numbers: Iterator[int] = iter(range(10**9))
    if ONE:
        if ONE.partition("/")[0] != name:
            pytest.skip(f"GENREC_FUZZ_INPUT={ONE} is of another generator")
        numbers = iter([int(ONE.partition("/")[2])])
    share, start, found, tried = SECONDS / len(GENERATORS), time.monotonic(), [], 0
    for number in numbers:
        found += attempt(name, number, tmp_path, material, driver)
        tried += 1
        if time.monotonic() - start > share:
            break
    print(f"{name}: {tried} inputs in {time.monotonic() - start:.0f} s, {len(found)} faults")
    if os.environ.get("GENREC_FUZZ_TALLY"):
        with Path(os.environ["GENREC_FUZZ_TALLY"]).open("a") as tally:
            for fault, told in found:
                tally.write(json.dumps([name, fault.kind, fault.where, fault.seen, told]) + "\n")
    assert not found, f"{len(found)} faults of {tried} inputs\n{report(found)}"
    assert ONE or tried >= LEAST_PER_SECOND * share, f"only {tried} inputs in {share:.0f} s"
