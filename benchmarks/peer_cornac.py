"""Lists of Cornac's TIGER, for `benchmarks/peers.py`, to be started with the Python of an environment of its own.

Reads the folder that peers.py wrote, trains within a budget of CPU seconds, writes `NAME.parquet` (as docs/evaluate.md
describes lists of other programs) and `NAME.json`: versions, options, what was reached and what it took. Nothing of
genrec is imported, and the test items are not in the folder.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import polars as pl
import torch
from cornac.data import FeatureModality
from cornac.eval_methods import NextItemEvaluation
from cornac.models import TIGER
from cornac.models.tiger import GRID_CONFIG, PAISCHER_CONFIG, recom_tiger
from transformers import AutoModel, AutoTokenizer

SETTINGS = {"paischer": PAISCHER_CONFIG, "grid": GRID_CONFIG}
BATCH, LIST, NEVER, WARM = 64, 21, -1e9, 0.05


def vectors(folder: Path, encoder: Path) -> tuple[np.ndarray, float]:
    """A vector of each item's text (mean of the states, of length 1), and the CPU seconds that they took."""
    kept = folder / "vectors.npz"
    if kept.exists():
        with np.load(kept) as found:
            return found["vectors"], float(found["seconds"])
    start = time.process_time()
    text = pl.read_parquet(folder / "items.parquet")["text"]
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()
    order = text.str.len_chars().arg_sort().to_list()  # of like length together: little padding
    vectors = np.zeros((len(text), model.config.hidden_size), np.float32)
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        asked = tokenizer(
            text.gather(rows).to_list(), padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        with torch.inference_mode():
            states, mask = model(**asked).last_hidden_state, asked["attention_mask"][..., None]
            vectors[rows] = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    seconds = time.process_time() - start
    np.savez(kept, vectors=vectors, seconds=seconds)
    return vectors, seconds


class Budgeted(TIGER):
    """TIGER that stops its steps when its CPU seconds are over, and says what it reached."""

    def begin(self, seconds: float) -> None:
        """Count from now."""
        self.start, self.allowed = time.process_time(), seconds
        self.steps, self.samples, self.scores = 0, 0, []
        self.tokenized = 0.0

    def left(self) -> float:
        """CPU seconds."""
        return self.allowed - (time.process_time() - self.start)

    def batches(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Cornac's batches, until the seconds are over."""
        for batch in original(*args, **options):
            if self.left() <= 0:
                return
            self.steps, self.samples = self.steps + 1, self.samples + len(batch[1])
            yield batch

    def _tokenize(self, *args: Any) -> Any:
        start = time.process_time()
        codes = super()._tokenize(*args)
        self.tokenized = time.process_time() - start
        self.start += self.tokenized  # preparation, told apart
        return codes

    def _make_lr_scheduler(self, torch_: Any, optimiser: torch.optim.Optimizer) -> Any:
        """The setting's cosine, over the seconds in place of 200,000 steps, of which the first 5 % warm up as well."""
        if self.lr_schedule != "cosine":
            return None

        def share(_: int) -> float:
            done = min(1.0, 1 - self.left() / self.allowed)
            return (
                max(done, 1e-3) / WARM
                if done < WARM
                else (1 + math.cos(math.pi * (done - WARM) / (1 - WARM))) / 2
            )

        return torch.optim.lr_scheduler.LambdaLR(optimiser, share)

    def _validate(self, *args: Any) -> float:
        start = time.process_time()
        score = super()._validate(*args)
        took = time.process_time() - start
        self.allowed += took  # the choice is told apart as well
        self.scores.append({"steps": self.steps, "NDCG@10": score, "seconds": took})
        print(self.scores[-1], flush=True)
        return score


original = recom_tiger.session_seq_iter


def evaluation(folder: Path, features: np.ndarray) -> NextItemEvaluation:
    """The split as Cornac reads it: a user is a session."""
    log, items = (pl.read_parquet(folder / f"{name}.parquet") for name in ("log", "items"))
    rows = log.select("user_id", session="user_id", item="item_id", place="place")
    train = rows.filter(log["part"] == "train").rows()
    # A session of all items at the end gives those that nobody took in training a row too.
    everything = [("all items", "all items", item, at) for at, item in enumerate(items["item_id"])]
    return NextItemEvaluation.from_splits(
        train_data=train,
        val_data=rows.rows(),
        test_data=[*rows.rows(), *everything],
        fmt="USIT",
        mode="last",
        item_feature=FeatureModality(features=features, ids=items["item_id"].to_list()),
    )


def lists(model: TIGER, method: NextItemEvaluation, folder: Path, users: int) -> tuple[pl.DataFrame, float]:
    """Lists of `users` of those asked, seen items left out, and the CPU seconds of one."""
    log = pl.read_parquet(folder / "log.parquet")
    asked = pl.read_parquet(folder / "asked.parquet")["user_id"].head(users)
    history = dict(log.group_by("user_id", maintain_order=True).agg("item_id").rows())
    row_of, id_of = method.global_iid_map, {row: item for item, row in method.global_iid_map.items()}
    found, start = [], time.process_time()
    for user in asked:
        seen = [row_of[item] for item in history[user]]
        scores = model.score(0, seen)
        scores[seen] = NEVER
        best = np.argsort(-scores, kind="stable")[:LIST]
        best = best[scores[best] > NEVER]
        found += [(user, at + 1, id_of[int(row)], float(scores[row])) for at, row in enumerate(best)]
    seconds = (time.process_time() - start) / len(asked)
    return pl.DataFrame(found, schema=["user_id", "rank", "item_id", "score"], orient="row"), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(",")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--setting", choices=SETTINGS, required=True)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--seconds", type=float, default=1800, help="of CPU, for the steps")
    parser.add_argument("--users", type=int, default=1000, help="lists")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=JSON", help="other options than the setting's"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    features, encoded = vectors(given.folder, given.encoder)
    changed = {name: json.loads(value) for name, _, value in (one.partition("=") for one in given.set)}
    options = {**SETTINGS[given.setting], **changed, "seed": 0, "device": "cpu", "verbose": True}
    method, model = evaluation(given.folder, features), Budgeted(**options)
    name = given.folder / f"tiger-{given.setting}"
    model.begin(given.seconds)
    recom_tiger.session_seq_iter = model.batches
    model.fit(method.train_set, method.val_set)
    trained = time.process_time() - model.start
    model.n_beams = 50  # as in the table of Cornac's README
    table, each = lists(model, method, given.folder, given.users)
    table.write_parquet(name.with_suffix(".parquet"))
    about = {
        "versions": {library: version(library) for library in ("cornac", "torch", "transformers", "numpy")},
        "options": {key: value for key, value in options.items() if key != "verbose"},
        "changed": changed,
        "parameters": sum(one.numel() for one in model.model.parameters()),
        "seconds": {
            "encoding of texts": encoded,
            "semantic ids": model.tokenized,
            "training": trained - sum(one["seconds"] for one in model.scores),
            "validation": sum(one["seconds"] for one in model.scores),
            "a list": each,
        },
        "steps": model.steps,
        "epochs": model.samples / sum(len(one) - 1 for one in method.train_set.sessions.values()),
        "validation": model.scores,
    }
    name.with_suffix(".json").write_text(json.dumps(about, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
