"""What masked item prediction gives before the next item is learnt, with all users and with a few of them.

    python benchmarks/pretraining.py --data ../shared/data/amazon2014_beauty --shares 0.01 0.1 --epochs 100 20

Cao and Liò (2024, https://arxiv.org/abs/2407.21191) claim a large gain of it, and that a few users will do. For each
share of the users `genrec-seq2seq` learns from their training histories, with `pretraining_epochs` and without, and the
best of its checkpoints on validation questions answers a sample of all users' test questions: most of these users it
has never seen. Each share has its own number of epochs, for small ones end soon. Times are processor seconds of one
thread, validation included.
"""

from __future__ import annotations

import argparse
import statistics
import time

import genrec
import numpy as np
from genrec.data.split import some_users
from genrec.data.yaml_text import parse_yaml
from genrec.evaluation.protocol import evaluate

from pages import add_out, head, publish

METRICS = ("HR@10", "NDCG@10")


def main() -> None:
    """Train every variant and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="options that all variants share")
    parser.add_argument("--data", required=True)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0], help="of the users")
    parser.add_argument("--epochs", type=int, nargs="+", default=[100, 20, 15], help="one for each share")
    parser.add_argument("--examples", nargs="+", default=["packed", "prefixes"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--questions", type=int, default=2000, help="test questions that are asked")
    add_out(parser)
    options = parser.parse_intermixed_args()
    if len(options.epochs) != len(options.shares):
        parser.error(
            f"{len(options.epochs)} numbers of epochs for {len(options.shares)} shares: give as many"
        )
    shared = dict(word.split("=", 1) for word in options.overrides)
    shared = {key: parse_yaml(value) for key, value in shared.items()}
    data = genrec.read(options.data)
    lines = [
        head(f"Masked item prediction on {data.name}", "torch", used=", one thread"),
        f"{options.questions:,} test questions of all users. Mean over seeds {options.seeds}; in brackets each seed's "
        "NDCG@10.\n",
        "| users | examples | epochs masked + next | HR@10 | NDCG@10 | s |\n|---:|---|---:|---:|---|---:|",
    ]
    for share, epochs in zip(options.shares, options.epochs, strict=True):
        for examples in options.examples:
            for before in (0, epochs):
                choice = {**shared, "examples": examples, "epochs": epochs, "pretraining_epochs": before}
                rows = [
                    one(data, share, {**choice, "seed": seed}, options.questions) for seed in options.seeds
                ]
                lines.append(told(share, examples, f"{before} + {epochs}", rows))
                print(lines[-1], flush=True)
    publish("\n".join(lines) + "\n", options.out)


def one(
    data: genrec.Dataset, share: float, choice: dict[str, object], num_questions: int
) -> dict[str, float]:
    """Learn from that share of the users and answer test questions."""
    train = some_users(data.train, share, int(str(choice["seed"])))
    start = time.process_time()
    model = genrec.create("genrec-seq2seq", threads=1, **choice).fit(train, data.validation)
    seconds = time.process_time() - start
    found = evaluate(model.rank, data.test.sample(num_questions), unfiltered=False).metrics
    return {name: found[name] for name in METRICS} | {
        "seconds": seconds,
        "users": np.count_nonzero(train.histories.lengths),
    }


def told(share: float, examples: str, epochs: str, rows: list[dict[str, float]]) -> str:
    """A line of the table."""
    means = {name: statistics.fmean(row[name] for row in rows) for name in (*METRICS, "seconds")}
    each = ", ".join(f"{row['NDCG@10']:.4f}"[1:] for row in rows)
    return (
        f"| {share:.0%}: {int(rows[0]['users']):,} | {examples} | {epochs} | {means['HR@10']:.4f} | "
        f"{means['NDCG@10']:.4f} ({each}) | {means['seconds']:.0f} |"
    )


if __name__ == "__main__":
    main()
