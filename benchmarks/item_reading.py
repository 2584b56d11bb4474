"""Lists a second of models that read items: `python benchmarks/item_reading.py --run FOLDER | --items N`.

`--run`: a finished recommender of Amazon Beauty that reads items and writes with a prior, its parts alone, and the
recipe genrec-tokens, trained here for `--epochs` (fewer than the recipe's 18 leave it unsure, and a search through what
is unsure is slow), asked in turns in one process for lists of 10 with seen items left out. `--items`: an invented
catalogue of so many; bsarec by words with a sampled softmax, and `genrec` with this prior, each after a few steps. A
model that finds everything about equally likely is the worst case of the search: `--mass` makes the item model as sure
as a trained one is (on Beauty its ten best items have .22 of all mass). CPU times of one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import torch
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.streams import stream
from genrec.recommenders.sasrec import ItemLoss
from genrec.runs.recipe import read_recipe
from genrec.testing import interactions
from genrec.training.sequences import ItemSteps

import measured
import pages

K, WORDS, USERS, STEPS = 10, 5000, 200_000, 4
BEAUTY = Path(__file__).parent.parent.parent / "shared/data/amazon2014_beauty"


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came of it."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def table(models: Mapping[str, Any], asked: Histories, repeats: int) -> str:
    """Lists a second of each, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in models}
    proved = {}
    for turn in range(repeats + 1):
        for name, rank in models.items():
            time_s, found = seconds(partial(rank, asked, K))
            proved[name] = found.exact_B.mean()
            if turn:  # the first is for warming up
                taken[name].append(time_s)
    first = next(iter(taken.values()))
    rows = [
        [
            name,
            f"{len(asked) / statistics.median(times):,.0f}",
            f"{1000 * statistics.median(times) / len(asked):.2f}",
            f"{statistics.median(a / b for a, b in zip(first, times, strict=True)):.2f}",
            measured.percent(proved[name]),
        ]
        for name, times in taken.items()
    ]
    return measured.table(["", "lists a CPU second", "ms a user", "times the first", "proved exact"], rows)


def language_alone(model: Any, *asked: Any) -> Any:
    """Rank without the prior."""
    experts, model.experts_ = model.experts_, None
    try:
        return model.rank(*asked)
    finally:
        model.experts_ = experts


def beauty(run: Path, epochs: int, users: int, repeats: int) -> str:
    """The run and its parts beside the token-reading build."""
    data = genrec.read(BEAUTY)
    recipe = read_recipe("genrec-tokens").with_overrides(["threads=1", f"epochs={epochs}", "evaluations=1"])
    tokens = genrec.create("genrec", **recipe.config).fit(data.train)
    product: Any = genrec.load(run)
    rng = stream(0, "users of the benchmark of item reading")
    asked = data.test.histories.take(rng.choice(len(data.test), users, replace=False))
    models = {"reads tokens, no prior": tokens.rank, "reads items, with its prior": product.rank}
    models["its language model alone"] = partial(language_alone, product)
    models |= {f"its {part.name} alone": part.rank for part in product.experts_.models}
    return table(models, asked, repeats)


def invented(num_items: int) -> Interactions:
    """Titles of 3 to 9 words by a power law; short histories of items close to each other."""
    rng = stream(0, "catalogue of the benchmark of item reading")
    chance_W = 1 / np.arange(1, WORDS + 1)
    lengths = rng.integers(3, 10, num_items)
    words = rng.choice(WORDS, lengths.sum(), p=chance_W / chance_W.sum())
    rows = np.split(words, lengths.cumsum()[:-1])
    titles = [" ".join(f"w{word}" for word in row) for row in rows]
    counts = rng.integers(3, 12, USERS)
    start = np.repeat(rng.integers(0, num_items, USERS), counts)
    items = (start + rng.integers(0, 50, counts.sum())) % num_items
    histories = Histories(items.astype(np.int32), np.concatenate([[0], counts.cumsum()]))
    return interactions(histories, Catalogue.from_lists([str(row) for row in range(num_items)], titles))


def steps_ms(model: Any, train: Interactions) -> str:
    """A step of the sampled softmax and its parts."""
    network, loss = model.network_.train(), ItemLoss(torch.float32, 2048)
    steps = ItemSteps(train.histories, max_items=50, batch_size=128, num_epochs=1, seed=0)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    parts = []
    for step in range(STEPS):
        batch = steps[step]
        adam.zero_grad(set_to_none=True)
        one, _ = seconds(lambda batch=batch: loss(network, batch).backward())
        parts.append((one, seconds(adam.step)[0]))
    network.eval()
    gradient, update = (1000 * statistics.median(part) for part in zip(*parts[1:], strict=True))
    return f"A step of 128 histories: loss and gradients {gradient:,.0f} ms, Adam over all vectors {update:,.0f} ms."


def sharpen(model: Any, asked: Histories, mass: float) -> None:
    """Lengthen the item model's vectors until its ten best items have this mass together, as a trained one's have.

    The prior and the language model get the weights that they had on Beauty.
    """
    words = model.experts_.models[0].network_.vectors.words
    fresh, low, high = words.detach().clone(), 1.0, 4096.0
    for _ in range(12):
        factor = (low * high) ** 0.5
        with torch.no_grad():
            words.copy_(factor * fresh)
        logits_BI = torch.from_numpy(model.experts_.logits(asked, True))
        found = float(logits_BI.softmax(dim=1).topk(K).values.sum(dim=1).mean())
        low, high = (factor, high) if found < mass else (low, factor)
    model.experts_ = replace(model.experts_, prior_weight=0.82, words_weight=0.144)


def million(num_items: int, users: int, repeats: int, mass: float | None) -> str:
    """The invented catalogue."""
    train = invented(num_items)
    ItemSteps.__len__ = lambda _: STEPS  # type: ignore[method-assign]
    prior = {
        "bsarec": {"features": ["title"], "width": 128, "sampled_items": 2048, "epochs": 1, "batch_size": 128}
    }
    held_before = pages.peak_gb()
    model: Any
    fit_s, model = seconds(
        lambda: genrec.create("genrec", prior=["bsarec"], prior_options=prior, threads=1, epochs=1).fit(train)
    )
    fitted = pages.peak_gb()
    (item_model,) = model.experts_.models
    asked = train.histories.take(np.arange(users))
    if mass is not None:
        sharpen(model, train.histories.take(np.arange(users, users + 16)), mass)
    text = table({"bsarec": item_model.rank, "genrec with this prior": model.rank}, asked, repeats)
    nodes = model.codebook_.trie.num_nodes
    memory = (
        f"Peak memory {held_before:.1f} GB before the fits, {fitted:.1f} GB after them, {pages.peak_gb():.1f} GB "
        f"with the lists; {nodes:,} trie nodes. The fits of {STEPS} steps each took {fit_s:,.0f} CPU seconds."
    )
    return f"{text}\n\n{memory} {steps_ms(item_model, train)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="a finished recommender of Amazon Beauty")
    what.add_argument("--items", type=int, help="items of an invented catalogue")
    parser.add_argument("--mass", type=float, help="of --items: that of the ten best items of the item model")
    parser.add_argument("--epochs", type=int, default=18, help="of the recipe genrec-tokens")
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    pages.add_out(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.run:
        found = beauty(given.run, given.epochs, given.users, given.repeats)
    else:
        found = million(given.items, given.users, given.repeats, given.mass)
    about = f"{given.users:,} users, medians of {given.repeats} turns; {K} items each, seen ones left out."
    head = pages.head(
        "Lists a second of models that read items", "torch", "numpy", "scipy", used=", one used"
    )
    pages.publish(f"{head}\n{about}\n\n{found}\n", given.out)


if __name__ == "__main__":
    main()
