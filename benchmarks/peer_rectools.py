"""Lists of RecTools' SASRec, for `benchmarks/peers.py`, to be started with the Python of an environment of its own.

Reads the folder that peers.py wrote, trains within a budget of CPU seconds, writes `rectools-sasrec.parquet` (as
docs/evaluate.md describes lists of other programs) and `rectools-sasrec.json`: versions, options, what was reached and
what it took. Nothing of genrec is imported, and the test items are not in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import pandas as pd
import polars as pl
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers import utils

LIST = 21
# As in RecTools' public benchmark, https://github.com/blondered/bert4rec_repro:
PATIENCE = 50  # epochs
VALIDATED = 2048  # users


class Watch(Callback):
    """Recall@10 of the validation items after each epoch, the best state, and an end when the seconds are over."""

    def __init__(self, seconds: float, facts: dict[str, Any]) -> None:
        self.allowed, self.facts = seconds, facts
        self.best: dict[str, torch.Tensor] = {}
        self.start = time.process_time()
        facts.update(steps=0, epochs=0, validation=[], validating=0.0)

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        return self  # `fit` trains with a copy of the trainer

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.facts["steps"] += 1
        if time.process_time() - self.start - self.facts["validating"] > self.allowed:
            trainer.should_stop = True

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.began, self.hits, self.asked = time.process_time(), 0, 0

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: Any,
        outputs: dict[str, torch.Tensor],
        batch: dict[str, torch.Tensor],
        *_: Any,
    ) -> None:
        logits = outputs["logits"].scatter(1, batch["x"], -torch.inf)  # seen items, and the padding
        self.hits += int((logits.topk(10).indices == batch["y"]).sum())
        self.asked += len(logits)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        recall = self.hits / self.asked
        best = max((one["Recall@10"] for one in self.facts["validation"]), default=-1.0)
        took = time.process_time() - self.began
        self.facts["validation"].append({"steps": self.facts["steps"], "Recall@10": recall, "seconds": took})
        self.facts["validating"] += took
        print(self.facts["validation"][-1], f"{time.process_time() - self.start:.0f} s", flush=True)
        if recall > best:
            self.best = {name: one.clone() for name, one in module.torch_model.state_dict().items()}
        last = [one["Recall@10"] for one in self.facts["validation"][-PATIENCE:]]
        if len(last) == PATIENCE and max(last) < max(best, recall):
            trainer.should_stop = True


def frame(log: pl.DataFrame) -> pd.DataFrame:
    """A log as RecTools reads it; the places of a history are its times."""
    return pd.DataFrame(
        {
            Columns.User: log["user_id"].to_numpy(),
            Columns.Item: log["item_id"].to_numpy(),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(log["place"].to_numpy(), unit="D"),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(",")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1800, help="of CPU, for the training")
    parser.add_argument("--users", type=int, default=1000, help="for whom the time of a list is taken")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=JSON", help="other options than the defaults"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    seed_everything(0, verbose=False)
    changed = {name: json.loads(value) for name, _, value in (one.partition("=") for one in given.set)}
    name = given.folder / "rectools-sasrec"
    facts: dict[str, Any] = {}
    watch = Watch(given.seconds, facts)
    trainer = Trainer(
        max_epochs=200, accelerator="cpu", callbacks=[watch], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, deterministic=True,
    )  # fmt: skip
    log, asked = (pl.read_parquet(given.folder / f"{one}.parquet") for one in ("log", "asked"))
    judged = asked["user_id"].tail(VALIDATED).to_list()
    model = SASRecModel(
        **changed,
        get_val_mask_func=utils.leave_one_out_mask,
        get_val_mask_func_kwargs={"val_users": judged},
        get_trainer_func=lambda: trainer,
    )
    # Nobody's validation item is trained on: those of the others are left out.
    kept = (pl.col("part") == "train") | pl.col("user_id").is_in(judged)
    watch.start = time.process_time()
    model.fit(Dataset.construct(frame(log.filter(kept))))
    trained = time.process_time() - watch.start
    model.torch_model.load_state_dict(watch.best)
    data, users = Dataset.construct(frame(log)), asked["user_id"].to_numpy()
    start = time.process_time()
    model.recommend(users[: given.users], data, k=10, filter_viewed=True)
    each = (time.process_time() - start) / given.users
    found = model.recommend(users, data, k=LIST, filter_viewed=True)
    table = pl.DataFrame(
        {
            "user_id": found[Columns.User].to_list(),
            "rank": found[Columns.Rank].to_list(),
            "item_id": found[Columns.Item].to_list(),
            "score": found[Columns.Score].to_list(),
        }
    )
    table.write_parquet(name.with_suffix(".parquet"))
    facts["seconds"] = {
        "training": trained - facts["validating"],
        "validation": facts.pop("validating"),
        "a list": each,
    }
    facts["epochs"] = facts["steps"] / len(model.data_preparator.get_dataloader_train())
    about = {
        "versions": {one: version(one) for one in ("rectools", "torch", "pytorch-lightning", "numpy")},
        "changed": changed,
        "parameters": sum(one.numel() for one in model.torch_model.parameters()),
        **facts,
    }
    name.with_suffix(".json").write_text(json.dumps(about, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
