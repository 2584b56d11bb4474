"""genrec beside libraries that people use, on Amazon Beauty: `python benchmarks/peers.py FOLDER STEP [--out PAGE]`.

    python3.11 -m venv cornac && cornac/bin/pip install cornac==3.0.1 torch==2.13.0 transformers==5.24.0 polars
    python3.11 -m venv rectools && rectools/bin/pip install "rectools[torch]==0.19.0" torch==2.13.0 polars
    python benchmarks/peers.py FOLDER prepare
    python benchmarks/peers.py FOLDER genrec
    cornac/bin/python benchmarks/peer_cornac.py FOLDER --setting paischer --encoder all-MiniLM-L6-v2 --set ...
    rectools/bin/python benchmarks/peer_rectools.py FOLDER --set ...
    python benchmarks/peers.py FOLDER page --out PAGE

`prepare` writes the histories of the test questions, item texts and an order of the users into FOLDER, without the test
items. Each of the three in the middle trains (ours here, theirs in environments of their own, as their pins clash) and
leaves lists of items that their users have not seen, and what they took. `page` measures all lists that are there on
the same test questions. CPU times of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import polars as pl
import torch
from genrec.data.dataset import Dataset
from genrec.data.interactions import Targets
from genrec.data.ranking_file import read_rankings, write_rankings
from genrec.data.streams import stream
from genrec.evaluation.protocol import evaluate_rankings

import measured
import pages

BEAUTY = Path(__file__).parent.parent.parent / "shared/data/amazon2014_beauty"
LIST, TIMED, WARM_UP = 21, 1000, 100
NAMES = {
    "transitions": "`transitions text=tfidf`, nothing trained",
    "genrec": "`genrec`, its defaults",
    "rectools-sasrec": "RecTools SASRec",
    "tiger-paischer": "Cornac TIGER, PAISCHER",
    "tiger-grid": "Cornac TIGER, GRID",
}
OURS: dict[str, dict[str, Any]] = {"transitions": {"text": "tfidf"}, "genrec": {"threads": 1}}


def prepare(data: Dataset, folder: Path) -> None:
    """What the peers read; the test items stay here."""
    asked, table = data.test, data.catalogue.table
    histories, users, ids = asked.histories, asked.users.cast(pl.String), table["item_id"]
    folder.mkdir(parents=True, exist_ok=True)
    log = {
        "user_id": users.gather(histories.rows),
        "item_id": ids.gather(histories.items),
        "place": histories.lengths[histories.rows] - 1 - histories.ages,
        "part": np.where(histories.ages == 0, "validation", "train"),
    }
    pl.DataFrame(log).write_parquet(folder / "log.parquet")
    texts = [text(row) for row in table.iter_rows(named=True)]
    pl.DataFrame({"item_id": ids, "text": texts}).write_parquet(folder / "items.parquet")
    order_B = stream(0, "users of the benchmark of peers").permutation(len(asked))
    pl.DataFrame({"user_id": users.gather(order_B)}).write_parquet(folder / "asked.parquet")


def text(item: dict[str, Any]) -> str:
    """An item as Cornac's own reader of Amazon data words it, but for the price, which is not among our data."""
    parts = [f"Title: {item['title']}"]
    if item["brand"]:
        parts.append(f"Brand: {item['brand']}")
    if item["categories"]:
        parts.append("Categories: " + ", ".join(dict.fromkeys(item["categories"])))
    return " ".join(parts)


def ours(data: Dataset, folder: Path, fitted: Path | None) -> None:
    """Recommenders of ours, trained and asked here; `genrec` may be there already."""
    some = data.test.histories.take(np.arange(TIMED))
    for name, options in OURS.items():
        start = time.process_time()
        if name == "genrec" and fitted:
            model = genrec.load(fitted)
        else:
            model = genrec.create(name, **options).fit(data.train, data.validation)
        trained = None if fitted and name == "genrec" else time.process_time() - start
        model.rank(some.take(np.arange(WARM_UP)), 10)
        start = time.process_time()
        model.rank(some, 10)
        each = (time.process_time() - start) / len(some)
        write_rankings(folder / f"{name}.parquet", model.rank(data.test.histories, LIST), data.test)
        about = {"seconds": {"training": trained, "a list": each}, "changed": {}}
        (folder / f"{name}.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def page(data: Dataset, folder: Path) -> str:
    """All lists that are there, measured on the same questions: those of the users whom every system was asked for."""
    found = {
        name: json.loads(path.read_text()) for name in NAMES if (path := folder / f"{name}.json").exists()
    }
    files = {name: folder / f"{name}.parquet" for name in found}
    asked = {name: pl.read_parquet(path)["user_id"].unique() for name, path in files.items()}
    users = data.test.users.cast(pl.String)
    shared_B = np.ones(len(users), bool)
    for some in asked.values():
        if len(some) < len(users) - 100:  # a sample; who is missing elsewhere has no list and is missed
            shared_B &= users.is_in(some.implode()).to_numpy()
    return "\n\n".join(
        [
            f"{len(users):,} test questions, {int(shared_B.sum()):,} of them asked of all. Seen items are left out; "
            "95 % bootstrap intervals over users.",
            costs(found),
            quality(data.test, files, np.flatnonzero(shared_B)),
            *(facts(NAMES[name], about) for name, about in found.items() if "versions" in about),
        ]
    )


def costs(found: dict[str, dict[str, Any]]) -> str:
    """CPU seconds and what they bought."""
    rows = []
    for name, about in found.items():
        seconds = dict(about["seconds"])
        each, trained, chosen = seconds.pop("a list"), seconds.pop("training"), seconds.pop("validation", 0.0)
        rows.append(
            [
                NAMES[name],
                f"{sum(seconds.values()):,.0f}",
                "see below" if trained is None else f"{trained:,.0f}",
                f"{chosen:,.0f}" if "validation" in about else "in training",
                f"{about['epochs']:.2f}" if "epochs" in about else "all",
                f"{1 / each:,.1f}",
            ]
        )
    header = [
        "",
        "CPU s of preparation",
        "of training",
        "of validation",
        "epochs",
        "lists of 10 a CPU second",
    ]
    return measured.table(header, rows)


def quality(test: Targets, files: dict[str, Path], shared: Any) -> str:
    """HR@10 and NDCG@10 on the shared questions, and on all where lists of all are there."""
    rows = []
    for name, path in files.items():
        rankings = read_rankings(path, test)
        some = evaluate_rankings(rankings.take(shared), test.take(shared), ks=(10,))
        row = [NAMES[name]]
        for metric in ("HR@10", "NDCG@10"):
            low, high = (measured.number(value) for value in some.intervals[metric])
            row.append(f"{measured.number(some.metrics[metric])} ({low} to {high})")
        everybody = evaluate_rankings(rankings, test, ks=(10,))
        complete = everybody.metrics["num_without_list"] < 100
        row.append(
            " / ".join(measured.number(everybody.metrics[metric]) for metric in ("HR@10", "NDCG@10"))
            if complete
            else "–"
        )
        rows.append(row)
    return measured.table(["", "HR@10, asked of all", "NDCG@10", "all users"], rows)


def facts(name: str, about: dict[str, Any]) -> str:
    """Versions, what differs from the published setting, and the way of its validation figure."""
    versions = ", ".join(f"{library} {number}" for library, number in about["versions"].items())
    changed = ", ".join(f"`{option}={value}`" for option, value in about["changed"].items())
    figure = next(key for key in about["validation"][0] if key not in ("steps", "seconds"))
    way = ", ".join(f"{one[figure]:.4f} after {one['steps']:,}" for one in about["validation"])
    return (
        f"**{name}**: {versions}; {about['parameters']:,} parameters, {about['steps']:,} steps. Other than its own "
        f"setting: {changed}. Validation {figure}: {way} steps."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("step", choices=["prepare", "genrec", "page"])
    parser.add_argument("--fitted", type=Path, help="a finished recommender in place of training genrec")
    parser.add_argument("--note", type=Path, help="Markdown that the page ends with")
    pages.add_out(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = genrec.read(BEAUTY)
    if given.step == "prepare":
        prepare(data, given.folder)
    elif given.step == "genrec":
        ours(data, given.folder, given.fitted)
    else:
        head = pages.head("genrec beside Cornac and RecTools", "torch", "numpy", used=", one used")
        note = "\n" + given.note.read_text(encoding="utf-8") if given.note else ""
        pages.publish(f"{head}\n{page(data, given.folder)}\n{note}", given.out)


if __name__ == "__main__":
    main()
