"""Thousands of bad inputs: 0 tracebacks, 0 hangs, 0 silent acceptances, nothing of the user's changed.

`pytest tests/fuzz -m slow` tries inputs for GENREC_FUZZ_SECONDS (180 by default), shared out over the generators.
Each input is made from (GENREC_FUZZ_SEED, generator, number) alone; `GENREC_FUZZ_INPUT=runs/17` tries that one.
"""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from driver import Driver
from inputs import GENERATORS, make
from material import Material
from oracles import Fault, judge, snapshot

for module in sorted(Path(__file__).parent.glob("inputs_*.py")):  # each enters its generators
    importlib.import_module(module.stem)

SECONDS = float(os.environ.get("GENREC_FUZZ_SECONDS", "180"))
SEED = int(os.environ.get("GENREC_FUZZ_SEED", "0"))
ONE = os.environ.get("GENREC_FUZZ_INPUT", "")
LEAST = 20  # inputs of a generator, however slow the machine: fewer would have looked at nothing
QUICK = 2  # inputs of each generator in the fast suite
SMALL = ("genrec", "itemknn", "p5", "palr", "popular", "tfidf")  # recommenders of the fast suite's material

Found = list[tuple[Fault, str]]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("captured"))
    yield driver
    driver.close()


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material.make(tmp_path_factory.mktemp("material"))


def attempt(name: str, number: int, folder: Path, material: Material, driver: Driver) -> Found:
    """Try one input; its faults, each with the words that tell how to see it again."""
    here = folder / f"{name}-{number}"
    here.mkdir(parents=True)
    given = make(SEED, name, number, here, material)
    before, lent = snapshot(here), snapshot(material.folder, quick=True)
    outcome = driver.run(given.words, here, given.environment)
    faults = list(judge(given, outcome, before, snapshot(here)))
    if snapshot(material.folder, quick=True) != lent:
        faults.append(Fault("changed", "", "a file of another folder"))
    if not faults:
        shutil.rmtree(here)
    told = f"GENREC_FUZZ_SEED={SEED} GENREC_FUZZ_INPUT={name}/{number}: {given.about}"
    return [(fault, told) for fault in faults]


def report(found: Found) -> str:
    """Faults by kind and place, the most frequent first, each with its first input."""
    together: dict[tuple[str, str], Found] = defaultdict(list)
    for fault, told in found:
        together[fault.kind, fault.where].append((fault, told))
    lines = []
    for (kind, where), own in sorted(together.items(), key=lambda entry: -len(entry[1])):
        fault, told = own[0]
        lines.append(f"{len(own)} x {kind} {where}\n    {fault.seen!r}\n    {told}")
    return "\n".join(lines)


def test_the_first_inputs_of_every_generator(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, driver: Driver
) -> None:
    """A glance for the fast suite, at recommenders that are trained in a moment."""
    material = Material.make(tmp_path_factory.mktemp("small"), SMALL)
    found: Found = []
    for name in sorted(GENERATORS):
        for number in range(QUICK):
            found += attempt(name, number, tmp_path, material, driver)
    assert not found, report(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", [ONE.partition("/")[0]] if ONE else sorted(GENERATORS))
def test_bad_input_ends_in_one_line(name: str, tmp_path: Path, material: Material, driver: Driver) -> None:
    """As many inputs of a generator as fit into its share of the time, and at least `LEAST`."""
    only = ONE.partition("/")[2]
    share, start, tried = SECONDS / len(GENERATORS), time.monotonic(), 0
    found: Found = []
    for number in [int(only)] if ONE else count():
        found += attempt(name, number, tmp_path, material, driver)
        tried += 1
        if tried >= LEAST and time.monotonic() - start > share:
            break
    print(f"{name}: {tried} inputs in {time.monotonic() - start:.0f} s, {len(found)} faults")
    assert not found, f"{len(found)} faults of {tried} inputs\n{report(found)}"
    assert tried == 1 if ONE else tried >= LEAST
