"""What inputs are made from: two small shops, a finished run of every recommender on each, and stopped runs."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import chat_server
import genrec.training.trainer as trainer
from genrec.cli.main import main
from genrec.recommenders.base import recommenders

_PARTS = ("strings", "tuner", "strap", "case")
_SMALL = {
    "epochs": 1,
    "width": 16,
    "max_steps": 3,
    "batch_tokens": 600,
    "pretraining_epochs": 1,
    "warmup_steps": 1,
}
HISTORY = ("--history", "i1", "--history", "i4")
ASKED = "p5"  # who answers every task
STOPPABLE = "genrec"  # whose training is stopped in the middle
WEIGHTS = "model/backbone/model.safetensors"
LONGER = {"epochs": 6, "max_steps": 6, "evaluations": 6}  # options of that training


@dataclass(frozen=True)
class Material:
    """Everything lies below `folder`, which no input may change.

    Attributes:
        shop: `sales.csv` and `goods.csv`, 16 users with 6 reviews each of 12 items.
        other_shop: the same with other names and histories.
        runs: a finished, evaluated run of every recommender on the shop, by name.
        other_runs: the same on the other shop, with another seed.
        stopped: a run that was stopped in the middle of its training.
        lists: the items that each run of `runs` recommends after `HISTORY`.
        weights: those that the stopped run ends at when it goes on, as a file.
        answers: what a chat model said of the shop's users, as kept.
    """

    folder: Path
    shop: Path
    other_shop: Path
    runs: dict[str, Path]
    other_runs: dict[str, Path]
    stopped: Path
    lists: dict[str, Any]
    weights: bytes
    answers: Path

    @classmethod
    def make(cls, folder: Path, names: tuple[str, ...] | None = None) -> Material:
        """Write the shops, train on them and evaluate; `names`: these recommenders alone."""
        names = names or tuple(recommenders())
        shop, other_shop = write_shop(folder / "shop"), write_shop(folder / "other_shop", other=True)
        runs = {name: _train(folder / name, name, shop, 0) for name in names}
        other_runs = {name: _train(folder / f"{name}-other", name, other_shop, 1) for name in names}
        stopped = _stopped(folder / "stopped", shop)
        _genrec(*train_words(STOPPABLE, shop, folder / "whole", **LONGER))
        weights = (folder / "whole" / WEIGHTS).read_bytes()
        lists = {name: _list(run) for name, run in runs.items()}
        return cls(
            folder, shop, other_shop, runs, other_runs, stopped, lists, weights, _answers(folder, shop)
        )


def write_shop(folder: Path, *, other: bool = False) -> Path:
    """Reviews and their items as `sales.csv` and `goods.csv`."""
    folder.mkdir(parents=True)
    shift, mark = (5, "x") if other else (0, "")
    rows = ["user_id,item_id,timestamp,rating,text,headline"]
    for user, step in itertools.product(range(16), range(6)):
        item, part = (3 * user + 7 * step + shift) % 12, _PARTS[(user + step + shift) % 4]
        stars = 1 + (item + user + shift) % 5
        text = f"My {part} came at step {step}. It got {stars} from {user}."
        when = 1_600_000_000 + 100 * step
        rows.append(f"u{mark}{user},i{mark}{item},{when},{stars},{text},{stars} for {part}")
    (folder / "sales.csv").write_text("\n".join(rows) + "\n")
    goods = ["item_id,title,genres,price,brand"]
    for item in range(12):
        part = _PARTS[item % 4]
        goods.append(f"i{mark}{item},{part} {mark}number {item},{part}|music,{item}.50,maker {item % 3}")
    (folder / "goods.csv").write_text("\n".join(goods) + "\n")
    return folder


def data_words(shop: Path) -> list[str]:
    """The options that read a shop."""
    return ["--data", str(shop / "sales.csv"), "--items", str(shop / "goods.csv")]


def train_words(name: str, shop: Path, out: Path, seed: int = 0, **others: Any) -> list[str]:
    """The words after `genrec` that train a recommender on a shop in about a second."""
    options = small_options(name) | others
    if "seed" in recommenders()[name].Config.model_fields:
        options["seed"] = seed
    words = [f"{key}={_spelled(value)}" for key, value in options.items()]
    return ["train", name, *words, *data_words(shop), "--out", str(out)]


def small_options(name: str) -> dict[str, Any]:
    """Options that train a recommender in a moment; it learns next to nothing, and all tasks that it can learn."""
    cls = recommenders()[name]
    small = {key: value for key, value in _SMALL.items() if key in cls.Config.names()}
    return {key: value for key, value in cls.tiny.items() if key not in ("times", "families")} | small


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _genrec(*words: str, code: int = 0) -> str:
    """What a command writes on stdout, while nothing of it is shown."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        found = main(list(words))
    assert found == code, err.getvalue()
    return out.getvalue()


def _train(run: Path, name: str, shop: Path, seed: int) -> Path:
    _genrec(*train_words(name, shop, run, seed))
    _genrec("evaluate", str(run))
    for name in ("checkpoints", "pretraining"):  # nothing reads them once a run is finished
        shutil.rmtree(run / name, ignore_errors=True)
    return run


def _list(run: Path) -> Any:
    """The items that a run recommends."""
    return json.loads(_genrec("recommend", str(run), *HISTORY, "-k", "3", "--json"))["items"]


def _stopped(run: Path, shop: Path) -> Path:
    """A training that got Ctrl-C in its fourth batch, after a checkpoint."""
    with _stopping_after(4):
        _genrec(*train_words(STOPPABLE, shop, run, **LONGER), code=130)
    assert list(run.glob("checkpoints/*")), "there was no checkpoint yet"
    return run


def _answers(folder: Path, shop: Path) -> Path:
    """Answers of a chat model, kept by a training."""
    kept = folder / "answers"
    variables = {"GENREC_CHAT_URL": f"{chat_server.address()}/good/v1", "GENREC_CHAT_MODEL": "small-talker"}
    with mock.patch.dict(os.environ, variables):
        _genrec(
            *train_words("palr", shop, folder / "chatty", profile="chat", packed=False, chat_cache=str(kept))
        )
    return kept


@contextmanager
def _stopping_after(batches: int) -> Iterator[None]:
    """Ctrl-C in the middle of a batch."""
    compute = trainer.Learner.backward
    count = itertools.count(1)

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(count) == batches:
            raise KeyboardInterrupt
        return compute(*args, **kwargs)

    trainer.Learner.backward = stopping  # type: ignore[method-assign]
    try:
        yield
    finally:
        trainer.Learner.backward = compute  # type: ignore[method-assign]
