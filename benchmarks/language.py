"""What a language model's language is worth: `python benchmarks/language.py DATA --checkpoint FOLDER [--users 100]`.

Matched arms learn from the same few users, in rows of whole titles, by the same loss, with as many steps: a pretrained
checkpoint and the same architecture from random weights, both tuned in full, the checkpoint by LoRA, and the compact
model. The learning rate of each arm is chosen with seed 0, by the mean negative log-likelihood (in nats, over the
whole catalogue) of what validation users took next; other seeds take it over. The test is asked of the chosen, once.
Beside them: the checkpoint as it is, without and with calibration, and what only counts, fitted to the same users.

A tenth of the items is held out of the training (leave-one-out+cold=0.1), so that those stand apart that can be known
by their names alone. What is measured is kept in `--runs` and not measured again, so all of it can be interrupted.
`--page PAGE` publishes what is there.

`--memory` asks the checkpoint what it knows of MovieLens without any history: the year of a film, and the sequel.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import torch
from genrec.data.files import write_atomically, write_json
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.split import Split
from genrec.data.streams import stream
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.evaluation.significance import compare
from safetensors.numpy import load_file, save_file

import pages

ROOT = Path(__file__).parent.parent
PROTOCOL = "leave-one-out+cold=0.1"
CHOICE_USERS = 200  # of validation, by whom rates are chosen
# Small batches, as there are few users.
READ = {"max_items": 10, "epochs": 4, "batch_tokens": 512, "warmup_steps": 0.1, "weight_decay": 0.0}
FULL = {"tuning": "full", **READ}
# Each arm with its rates: a step of three to either side of what is usual.
ARMS: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "pretrained": (FULL, (1e-5, 3e-5, 1e-4)),
    "random": (FULL, (1e-4, 3e-4, 1e-3)),
    "lora": (READ, (1e-4, 3e-4, 1e-3)),
    "compact": ({"backbone": "compact", **READ, "prior": []}, (7e-4, 2e-3, 6e-3)),
}
AS_IT_IS: dict[str, dict[str, Any]] = {"untuned": {}, "calibrated": {"pmi": 1.0}}
FLOORS: dict[str, dict[str, Any]] = {"popular": {}, "transitions": {"text": "tfidf"}, "tfidf": {}}
TOLD = {
    "pretrained": "the checkpoint, tuned in full",
    "random": "the same architecture from random weights",
    "lora": "the checkpoint, tuned by LoRA",
    "compact": "the compact model",
    "untuned": "the checkpoint as it is",
    "calibrated": "the same, calibrated (`pmi=1`)",
    "popular": "`popular`, in nats with one more of each",
    "transitions": "`transitions text=tfidf`",
    "tfidf": "`tfidf`",
}


@dataclass(frozen=True)
class Bench:
    """The data that all arms share, and where what they found is kept.

    `train`: the few users; `cold_I`: items that nobody of the whole training part took.
    """

    home: Path
    checkpoint: Path
    train: Interactions
    parts: Split
    cold_I: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def of(cls, name: str, users: int, runs: Path, checkpoint: Path) -> Bench:
        data = genrec.read(ROOT.parent / "shared/data" / name)
        parts = data.split(PROTOCOL)
        train = parts.train
        cold_I = np.bincount(train.histories.items, minlength=train.num_items) == 0
        if users:
            order = stream(0, "users of a small training").permutation(train.num_users)
            order = order[train.histories.lengths[order] > 1]
            rows = np.sort(order[:users])
            train = Interactions(train.catalogue, train.users.gather(rows), train.histories.take(rows))
        home = runs / f"{name}-{train.num_users if users else 'all'}"
        home.mkdir(parents=True, exist_ok=True)
        return cls(home, checkpoint, train, parts, cold_I)

    def model(self, arm: str, rate: float, seed: int) -> Any:
        options = {**ARMS[arm][0], "learning_rate": rate, "seed": seed}
        if arm == "random":
            options["backbone"] = str(self.fresh(seed))
        return genrec.create("genrec", **{"backbone": str(self.checkpoint), **options})

    def fresh(self, seed: int) -> Path:
        """A folder of the checkpoint's architecture with random weights, and its tokenizer."""
        from transformers import AutoConfig, AutoModelForCausalLM

        folder = self.home.parent / f"fresh-{seed}"
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True)
            for path in self.checkpoint.glob("*token*"):
                shutil.copy(path, folder)
            torch.manual_seed(seed)
            AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(self.checkpoint)).save_pretrained(
                folder
            )
        return folder


def main() -> None:
    """Measure what is not there yet, or publish what is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", choices=["ml-latest-small", "ml-100k", "amazon2018_gift_cards"])
    parser.add_argument("--checkpoint", type=Path, default=Path("smollm2-135m"))
    parser.add_argument("--users", type=int, default=100, help="that are learned from; 0: all")
    parser.add_argument("--arms", nargs="+", choices=sorted(TOLD), default=list(TOLD))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/language"))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--page", type=Path, help="publish all that is measured")
    options = parser.parse_args()
    if options.memory:
        remembered(options.checkpoint, options.runs / "memory.json")
    elif options.data is not None:
        bench = Bench.of(options.data, options.users, options.runs, options.checkpoint)
        for arm in options.arms:
            if arm in ARMS:
                trained(bench, arm, options.seeds)
            else:
                as_it_is(bench, arm)
    if options.page is not None:
        pages.publish(page(options.runs), options.page)


def trained(bench: Bench, arm: str, seeds: list[int]) -> None:
    """Choose the rate of an arm, and ask the test of each seed with it."""
    best = bench.home / f"{arm}.model"  # with the best rate so far, until the test was asked
    rates = ARMS[arm][1]
    figures: dict[float, float] = {}
    for rate in rates:
        path = bench.home / f"{arm}-rate-{rate:g}.safetensors"
        if not path.exists():
            model, seconds = fitted(bench, arm, rate, 0)
            found = asked(model, chosen_by(bench), "validation")
            if not figures or mean_loss(found) < min(figures.values()):
                shutil.rmtree(best, ignore_errors=True)
                model.save(best)
            keep(path, found, seconds)
        figures[rate] = mean_loss(load_file(path))
        print(bench.home.name, arm, f"rate {rate:g}: {figures[rate]:.4f} nats on validation", flush=True)
    rate = min(figures, key=lambda one: figures[one])
    for seed in seeds:
        path = bench.home / f"{arm}-{seed}.safetensors"
        if path.exists():
            continue
        if seed == 0 and best.exists():
            model = genrec.load(best)
            seconds = float(load_file(bench.home / f"{arm}-rate-{rate:g}.safetensors")["seconds"][0])
        else:
            model, seconds = fitted(bench, arm, rate, seed)
        keep(path, {**asked(model, bench.parts.test, "test"), "rate": np.array([rate])}, seconds)
        print(bench.home.name, arm, f"seed {seed} is measured", flush=True)
    if 0 in seeds:
        shutil.rmtree(best, ignore_errors=True)


def as_it_is(bench: Bench, arm: str) -> None:
    """What is not trained: one run, which no seed changes."""
    path = bench.home / f"{arm}-0.safetensors"
    if path.exists():
        return
    start = time.process_time()
    if arm in FLOORS:
        model = genrec.create(arm, **FLOORS[arm])
    else:
        read = {"max_items": READ["max_items"], "max_steps": 0}
        model = genrec.create("genrec", backbone=str(bench.checkpoint), **read, **AS_IT_IS[arm])
    model.fit(bench.train)
    found = asked(model, bench.parts.test, "test")
    if arm == "popular":  # as a distribution, with one more of each
        count_I = 1.0 + np.bincount(bench.train.histories.items, minlength=bench.train.num_items)
        found["loss"] = -np.log(count_I / count_I.sum())[found["items"]]
    keep(path, found, time.process_time() - start)
    print(bench.home.name, arm, "is measured", flush=True)


def fitted(bench: Bench, arm: str, rate: float, seed: int) -> tuple[Any, float]:
    model, start = bench.model(arm, rate, seed), time.process_time()
    model.fit(bench.train)
    return model, time.process_time() - start


def chosen_by(bench: Bench) -> Targets:
    return bench.parts.validation.sample(CHOICE_USERS, 0, "users that rates are chosen by")


def asked(model: Any, questions: Targets, split: str) -> dict[str, Any]:
    """Ranks of the targets, and their negative log-likelihoods where the model has some."""
    found: dict[str, Any] = {"items": questions.items}
    if model.probabilistic and not getattr(model.config, "pmi", 0):  # what is calibrated has no probabilities
        found["loss"] = np.array(
            [
                -sum(np.log(max(one.probability, 1e-30)) for one in model._why(history.tolist(), int(item)))
                for history, item in zip(questions.histories, questions.items, strict=True)
            ]
        )
    if split == "test":
        found["ranks"] = ranks(model.rank(questions.histories, 10), questions.items)
    return found


def keep(path: Path, found: dict[str, Any], seconds: float) -> None:
    arrays = {**found, "seconds": np.array([seconds])}
    write_atomically(path, lambda part: save_file(arrays, part, {"commit": pages.commit()}))


def mean_loss(found: Mapping[str, Any]) -> float:
    return float(found["loss"].mean())


YEAR = re.compile(r"^(.*) \((\d{4})\)$")
SECOND = re.compile(r"^(.*?)(?: 2| II)$")
FILMS = 2000


@torch.inference_mode()
def remembered(checkpoint: Path, out: Path) -> None:
    """What is known of MovieLens without any history: the year of a film by its title, the second film by the first."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = genrec.read(ROOT.parent / "shared/data/ml-latest-small")
    films = [found.groups() for title in data.catalogue.titles if (found := YEAR.match(title))]
    rows = stream(0, "films whose years are asked for").permutation(len(films))[:FILMS]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    digits_10 = torch.tensor(
        [tokenizer(str(digit), add_special_tokens=False).input_ids[0] for digit in range(10)]
    )
    years, told = np.array([int(films[row][1]) for row in rows]), list[int]()
    for row in rows:
        # As the catalogue spells it, up to the year.
        tokens = tokenizer(f"{films[row][0]} (", return_tensors="pt", add_special_tokens=False).input_ids
        year = 0
        for _ in range(4):
            digit = int(model(tokens).logits[0, -1, digits_10].argmax())
            tokens, year = torch.cat([tokens, digits_10[digit].view(1, 1)], dim=1), 10 * year + digit
        told.append(year)
    usual = np.bincount([int(year) for _, year in films]).argmax()
    years_B, told_B = years, np.array(told)
    place = {title: row for row, title in enumerate(data.catalogue.titles)}
    named = {found.group(1): title for title in place if (found := YEAR.match(title))}
    pairs = [
        (place[named[found.group(1)]], place[title])
        for name, title in named.items()
        if (found := SECOND.match(name)) and found.group(1) in named
    ]
    histories = Histories.from_lists([[first] for first, _ in pairs])
    seconds_B = np.array([second for _, second in pairs])
    models = {arm: genrec.create(arm, **FLOORS[arm]) for arm in FLOORS}
    for arm, options in AS_IT_IS.items():
        models[arm] = genrec.create("genrec", backbone=str(checkpoint), max_steps=0, **options)
    sequels = {
        arm: float(hit_rate(ranks(one.fit(data.train).rank(histories, 10), seconds_B), 10).mean())
        for arm, one in models.items()
    }
    write_json(
        out,
        {
            "films": len(rows),
            "year": float((told_B == years_B).mean()),
            "year or one beside": float((abs(told_B - years_B) <= 1).mean()),
            "commonest year": float((years_B == usual).mean()),
            "pairs": len(pairs),
            "sequels": sequels,
        },
    )


def memory_table(found: Mapping[str, Any]) -> Iterator[str]:
    """What `remembered` found, in words."""
    yield (
        f"Of {found['films']:,} films of ml-latest-small the checkpoint names the year after the title alone for "
        f"{found['year']:.1%}, or one beside it for {found['year or one beside']:.1%}; the commonest year is that of "
        f"{found['commonest year']:.1%}. Given a film alone, its second part is among ten of the catalogue for "
        f"{found['pairs']} pairs (`Name (year)`, `Name 2 (year)` or `Name II (year)`):\n"
    )
    yield "| | HR@10 |"
    yield "|---|---|"
    for arm, rate in found["sequels"].items():
        yield f"| {TOLD[arm]} | {rate:.4f} |".replace("| 0.", "| .")


def page(runs: Path) -> str:
    """All data and numbers of users."""
    lines = [pages.head("What language is worth", "torch", "transformers"), __doc__.split("\n\n", 1)[1]]
    for home in sorted(one for one in runs.iterdir() if any(one.glob("*-[0-9].safetensors"))):
        name, _, users = home.name.rpartition("-")
        lines += [f"## {name}, {users} users\n", *table(home, name), ""]
    if (runs / "memory.json").exists():
        lines += [
            "## What the checkpoint remembers\n",
            *memory_table(json.loads((runs / "memory.json").read_text())),
        ]
    return "\n".join(lines)


def table(home: Path, name: str) -> Iterator[str]:
    """A row an arm: means over seeds, and the difference to random weights, users averaged over seeds."""
    train = genrec.read(ROOT.parent / "shared/data" / name).split(PROTOCOL).train
    cold_I = np.bincount(train.histories.items, minlength=train.num_items) == 0
    runs = {arm: [load_file(path) for path in sorted(home.glob(f"{arm}-[0-9].safetensors"))] for arm in TOLD}
    cold_B = next(cold_I[found[0]["items"]] for found in runs.values() if found)
    yield f"{len(cold_B):,} test questions, {cold_B.sum():,} of them of items that nobody took in training.\n"
    yield (
        "| | seeds | rate | CPU s | HR@10 / NDCG@10 | of the others | of cold items | nats | of cold items "
        "| nats less random weights | p |"
    )
    yield "|---" * 11 + "|"
    for arm, found in runs.items():
        if not found:
            continue
        cells = [
            str(len(found)) if arm in ARMS else "",
            f"{found[0]['rate'][0]:g}" if "rate" in found[0] else "",
        ]
        cells.append(f"{np.mean([one['seconds'][0] for one in found]):,.0f}")
        for mask_B in (np.ones_like(cold_B), ~cold_B, cold_B):
            values = [
                (hit_rate(one["ranks"][mask_B], 10).mean(), ndcg(one["ranks"][mask_B], 10).mean())
                for one in found
            ]
            cells.append(" / ".join(f"{value:.4f}".lstrip("0") for value in np.mean(values, axis=0)))
        if "loss" in found[0]:
            cells += [
                f"{np.mean([one['loss'][mask_B].mean() for one in found]):.3f}"
                for mask_B in (cold_B | True, cold_B)
            ]
        else:
            cells += ["", ""]
        if arm != "random" and "loss" in found[0] and runs["random"]:
            pair = [np.mean([one["loss"] for one in some], axis=0) for some in (found, runs["random"])]
            test = compare(*pair)
            cells += [
                f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})",
                f"{test.p_value:.4f}".lstrip("0"),
            ]
        else:
            cells += ["", ""]
        yield f"| {TOLD[arm]} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
