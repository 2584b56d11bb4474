"""What `genrec bench` measures, one function a group of rows.

Each measures what the user would run, in this process: `genrec.read`, `fit`, `rank` and the metrics.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import genrec
from genrec.backbones.quiet import quiet
from genrec.backbones.tokenizer import TrainedTokenizer
from genrec.codes.title import title_codes
from genrec.codes.trie import Trie
from genrec.data.dataset import Dataset
from genrec.data.files import read_json_lines
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.data.split import Split
from genrec.data.streams import stream
from genrec.decoding.constraint import Constraint
from genrec.evaluation.metrics import per_user, ranks
from genrec.evaluation.peak_memory import peak_memory_mb
from genrec.evaluation.protocol import CUT_OFFS
from genrec.recommenders.base import Recommender
from genrec.runs.bench_peer import CommonWay, SameModel, random_llama
from genrec.runs.notes import note

BEAMS = (10, 50)
_FIRST_USERS = 256  # of the first, short training, which tells how many fill the time
_CHUNK = 128  # users ranked between two looks at the clock
_SIDE_BY_SIDE = 16  # users whose lists are made by our beam and by `generate` in turn


@dataclass(frozen=True)
class Row:
    """One measured figure. `peak_memory_mb`: most memory of the process meanwhile, the data included."""

    what: str
    figure: float
    unit: str
    peak_memory_mb: float


class _Watch:
    """Seconds and peak memory since it was made."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the peak so far
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    @property
    def peak_memory_mb(self) -> float:
        """In MiB; elsewhere than on Linux the peak of the process so far."""
        return peak_memory_mb()


def measure(
    read: Callable[[], Dataset],
    protocol: str,
    trained: Recommender | None,
    seconds: float,
    batch_size: int | None = None,
) -> tuple[Dataset, list[Row]]:
    """All rows.

    Args:
        read: reads the data set.
        protocol: how targets are held out.
        trained: the recommender whose ranking is measured; None: a compact `genrec` that has hardly learnt.
        seconds: what a row may take, about.
        batch_size: users ranked at once; None: as many as the recommender's options say, 128 at most, so that the clock
            is looked at often enough.

    Returns:
        The data set and its rows.
    """
    note("measuring: reading")
    watch = _Watch()
    data = read()
    parts = data.split(protocol)
    rows = [Row("read and split", watch.seconds, "s", watch.peak_memory_mb)]
    compact, learnt = training("genrec", parts, seconds)
    rows += [_trie(compact), *learnt]
    rows += training("sasrec", parts, seconds)[1]
    rows += ranking(trained or compact, parts.test, seconds, batch_size)
    rows += beside_generate(parts.test, seconds)
    return data, [*rows, _metrics(parts.test, seconds)]


def training(name: str, parts: Split, seconds: float) -> tuple[Recommender, list[Row]]:
    """Steps and targets per second of `fit` with its defaults (`genrec` by the compact backbone), on as many users as
    fill the time.

    The first step, slower than the rest, and the checkpoint at the end are counted in, as in every training.
    """
    note(f"measuring: training {name}")
    watch = _Watch()
    # Of a history, `genrec` learns every item from those before it, `sasrec` every item but the first.
    num_targets = parts.train.histories.lengths - (0 if name == "genrec" else 1)
    able = np.flatnonzero(parts.train.histories.lengths >= 2)
    shuffled = stream(0, "users of bench").permutation(able)
    num_users = _FIRST_USERS
    while True:
        epochs, users = max(1, num_users // len(able)), np.sort(shuffled[:num_users])
        model, log = _fitted(name, _taken(parts.train, users), epochs)
        runtime = float(log["train_runtime"])
        if runtime >= seconds / 2:
            break
        num_users = int(num_users * min(16.0, max(2.0, seconds / runtime)))
    learnt = epochs * int(num_targets[users].sum())
    return model, [
        Row(f"training {name}", log["step"] / runtime, "steps/s", watch.peak_memory_mb),
        Row(f"training {name}", learnt / runtime, "targets/s", watch.peak_memory_mb),
    ]


def _fitted(name: str, train: Interactions, epochs: int) -> tuple[Recommender, Mapping[str, Any]]:
    """A fitted recommender, and the last line of its log."""
    with tempfile.TemporaryDirectory() as folder:
        # With its default prior `genrec` would train another recommender before itself.
        tokens = {"backbone": "compact"} if name == "genrec" else {}
        model = genrec.create(name, epochs=epochs, evaluations=1, **tokens).fit(train, run=folder)
        entries = read_json_lines(Path(folder) / "log.jsonl", dict[str, Any])
    return model, next(entry for entry in reversed(entries) if "train_runtime" in entry)


def _taken(train: Interactions, users: np.ndarray) -> Interactions:
    return Interactions(train.catalogue, train.users[users.tolist()], train.histories.take(users))


def _trie(model: Any) -> Row:
    note("measuring: building the trie")
    watch = _Watch()
    Trie.build(model.codebook_.codes)
    return Row(f"trie of {len(model.codebook_.codes):,} items", watch.seconds, "s", watch.peak_memory_mb)


def ranking(model: Recommender, targets: Targets, seconds: float, batch_size: int | None = None) -> list[Row]:
    """Users per second of `rank`, seen items excluded; also by beams of several widths where the model has beams."""
    if "beams" not in model.config.names():
        return [_ranked(model, f"ranking by {model.name}", targets, seconds, batch_size)]
    given = model.config
    rows = [_ranked(model, "decoding, best first", targets, seconds, batch_size)]
    for beams in BEAMS:
        model.config = given.changed(search="beam", beams=beams)
        rows.append(_ranked(model, f"decoding, beam {beams}", targets, seconds, batch_size))
    model.config = given
    return rows


def beside_generate(targets: Targets, seconds: float) -> list[Row]:
    """A beam of ours and transformers' `generate` with a random compact model, the same histories and titles."""
    note("measuring: decoding beside generate")
    tokenizer = TrainedTokenizer.train(targets.catalogue.titles, 8000)
    end = tokenizer.vocab_size
    codes = title_codes(targets.catalogue.titles, tokenizer.encode, [end], "shortest")
    longest = min(10, int(targets.histories.lengths.max()))
    long_enough = np.flatnonzero(targets.histories.lengths >= longest)
    rows = stream(0, "histories beside generate").choice(long_enough, _SIDE_BY_SIDE)
    histories = [codes.take(targets.histories[row][-longest:]).items.astype(np.int64) for row in rows]
    beams, k = BEAMS[0], min(10, len(codes))
    with tempfile.TemporaryDirectory() as folder, quiet():
        model = random_llama(Path(folder), end + 1, end, layers=2, width=128, inner=256)
        ours = SameModel(Path(folder), codes, Trie.build(codes), "vocabulary")
        theirs = CommonWay(model, codes)
        ways: dict[str, Callable[[], Any]] = {
            "our beam": lambda: ours.search.search(
                ours.prefix(histories), Constraint(ours.tensors), k, beams
            ),
            "generate": lambda: theirs.lists(histories, k, beams, "vocabulary"),
        }
        measured: dict[str, list[float]] = {name: [] for name in ways}
        watch = _Watch()
        # In turns, so that other work on the machine hits both.
        while not measured["our beam"] or watch.seconds < seconds:
            for name, work in ways.items():
                turn = _Watch()
                work()
                measured[name].append(turn.seconds)
    memory = watch.peak_memory_mb
    times = float(np.median(np.array(measured["generate"]) / measured["our beam"]))
    return [
        *(
            Row(f"random model, {name} {beams}", len(histories) / float(np.median(turns)), "users/s", memory)
            for name, turns in measured.items()
        ),
        Row("random model, ours by generate's", times, "times", memory),
    ]


def _ranked(model: Recommender, what: str, targets: Targets, seconds: float, batch_size: int | None) -> Row:
    note(f"measuring: {what}")
    batch_size = batch_size or min(_CHUNK, model.config.ranking_batch)
    chunks = _endless_chunks(targets.histories, batch_size)
    model.rank(next(chunks).take(np.arange(1)))  # what is made on first use
    watch, num_users = _Watch(), 0
    while watch.seconds < seconds:
        chunk = next(chunks)
        model.rank(chunk, batch_size=batch_size)
        num_users += len(chunk)
    return Row(what, num_users / watch.seconds, "users/s", watch.peak_memory_mb)


def _endless_chunks(histories: Histories, size: int) -> Iterator[Histories]:
    """Users in an order that is always the same, over and over."""
    rng = stream(0, "order of ranking")
    while True:
        order = rng.permutation(len(histories))
        for start in range(0, len(order), size):
            yield histories.take(order[start : start + size])


def _metrics(targets: Targets, seconds: float) -> Row:
    """Microseconds that HR and NDCG at every cut-off and MRR take a user, over lists drawn at random."""
    note("measuring: metrics")
    rng, num_items, depth = stream(0, "lists to be measured"), len(targets.catalogue), max(CUT_OFFS) + 1
    items_B = np.resize(targets.items, 10_000)
    items_BK = rng.integers(num_items, size=(len(items_B), depth), dtype=np.int32)
    scores_BK = -np.sort(rng.random((len(items_B), depth), dtype=np.float32))
    lists = Rankings(items_BK, scores_BK, np.ones(len(items_B), bool))
    watch, rounds = _Watch(), 0
    while watch.seconds < min(seconds, 1.0):
        per_user(ranks(lists, items_B), CUT_OFFS)
        rounds += 1
    return Row("metrics of a user", watch.seconds * 1e6 / (rounds * len(items_B)), "µs", watch.peak_memory_mb)
