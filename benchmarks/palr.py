"""What `palr` makes of its retriever's candidates, on the test split.

    python benchmarks/palr.py RUN [RUN ...] --data ../shared/data/amazon2014_beauty

For each run: the retriever alone and its ceiling (HR at the number of candidates), palr, the p-value of a paired test
of their HR@10 and NDCG@10 (10,000 sign flips over users), the share of the ten items that would lie outside the
candidates if decoding were held to the catalogue only, what another order of the candidates changes, and times. For
runs that rank by likelihoods also what they are without one of their scores, weighed anew on the validation split.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import genrec
import numpy as np
from genrec.data.interactions import Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import hit_rate, ndcg, ranks
from genrec.evaluation.significance import compare
from genrec.recommenders.palr.candidates import ceiling, retrieve
from genrec.recommenders.palr.choice import ChoiceModel, best_first
from genrec.recommenders.palr.recommender import Palr

from pages import add_out, head, publish


def main() -> None:
    """Measure every run and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--questions", type=int, default=10**9, help="test questions; all if not given")
    add_out(parser)
    options = parser.parse_args()
    data = genrec.read(options.data)
    asked = data.test.sample(options.questions)
    lines = [
        head(f"palr on {data.name}", "torch", used=", one thread"),
        f"{len(asked):,} test questions, seen items excluded.\n",
        "| run | candidates from | HR@50 | HR@10 alone | NDCG@10 alone | HR@10 | NDCG@10 | p (HR, NDCG) | outside | "
        "other order: HR@10, same items | ms a user: retriever, palr |\n" + "|---" * 11 + "|",
    ]
    parts = ["\n| run | without | HR@10 | NDCG@10 | weights |\n|---|---|---|---|---|"]
    for run in options.runs:
        model = genrec.load(run)
        if not isinstance(model, Palr):
            parser.error(f"{run} is a run of {model.name}, not of palr")
        name = Path(run).name
        lines.append(told(name, model, asked))
        print(lines[-1], flush=True)
        if model.config.ranking == "likelihood":
            parts += without(name, model, asked, data.validation)
            print("\n".join(parts), flush=True)
    publish("\n".join([*lines, *(parts if len(parts) > 1 else [])]) + "\n", options.out)


def told(run: str, model: Palr, asked: Targets) -> str:
    """A line of the table."""
    count, histories = model.config.num_candidates, asked.histories
    start = time.perf_counter()
    proposed = retrieve(model.retriever_, histories, count, catalogue=model.catalogue)
    retrieving = time.perf_counter() - start
    start = time.perf_counter()
    ranked = model.rank(histories, 10)
    ranking = time.perf_counter() - start
    alone_B, ranks_B = (ranks(found, asked.items) for found in (cut(proposed, 10), ranked))
    metrics = [(hit_rate(found_B, 10), ndcg(found_B, 10)) for found_B in (alone_B, ranks_B)]
    p_values = [compare(ours_B, its_B).p_value for its_B, ours_B in zip(*metrics, strict=True)]
    outside = outside_share(model, asked, proposed)
    order = "none is named"
    if model.config.ranking == "list" or "candidates" in model.config.tasks:
        model.config = model.config.changed(order="shuffled")
        other = model.rank(histories, 10)
        pairs = zip(ranked.items_BK, other.items_BK, strict=True)
        same = np.mean([len(np.intersect1d(one, two)) / 10 for one, two in pairs])
        order = f"{hit_rate(ranks(other, asked.items), 10).mean():.4f}, {same:.1%}"
    (hits_B, gains_B), (our_hits_B, our_gains_B) = metrics
    return (
        f"| {run} | {model.retriever_.name} | {ceiling(proposed, asked.items):.4f} | {hits_B.mean():.4f} | "
        f"{gains_B.mean():.4f} | {our_hits_B.mean():.4f} | {our_gains_B.mean():.4f} | "
        f"{p_values[0]:.4f}, {p_values[1]:.4f} | {outside:.1%} | {order} | "
        f"{1e3 * retrieving / len(asked):.1f}, {1e3 * (ranking - retrieving) / len(asked):.1f} |"
    )


def without(run: str, model: Palr, asked: Targets, validation: Targets) -> list[str]:
    """Lines of the second table: with all scores, and without each of them."""
    lines, histories = [], asked.histories
    proposed = retrieve(model.retriever_, histories, model.config.num_candidates, catalogue=model.catalogue)
    names = [score.name for score in model.scores]
    every = ChoiceModel(model.scores, np.ones(len(names)))
    pieces = np.split(np.arange(len(asked)), np.arange(256, len(asked), 256))
    scores_BCF = np.concatenate([every.table(histories.take(rows), proposed.take(rows)) for rows in pieces])
    for name in (None, *names):
        model.calibrate(validation, without=() if name is None else (name,))
        ordered = best_first(proposed.items_BK, scores_BCF, model.weights_)
        found_B = ranks(cut(Rankings(*ordered, proposed.exact_B), 10), asked.items)
        weights = zip(names, model.weights_.tolist(), strict=True)
        lines.append(
            f"| {run} | {name or 'nothing'} | {hit_rate(found_B, 10).mean():.4f} | {ndcg(found_B, 10).mean():.4f} | "
            + ", ".join(f"{score} {weight:.3g}" for score, weight in weights)
            + " |"
        )
    return lines


def cut(rankings: Rankings, k: int) -> Rankings:
    """The heads of lists."""
    return Rankings(rankings.items_BK[:, :k], rankings.scores_BK[:, :k], rankings.exact_B)


def outside_share(model: Palr, asked: Targets, proposed: Rankings) -> float:
    """How many of the ten likeliest unseen items of the catalogue are no candidates."""
    outside = []
    for start in range(0, len(asked), 64):
        rows = np.arange(start, min(start + 64, len(asked)))
        histories, items_BC = asked.histories.take(rows), proposed.items_BK[rows]
        questions = model._asked(model.config.asks_for_lists, histories, items_BC)
        found = model.ranker_.rank(questions, 10, histories, None, exact=False)
        for free, candidates in zip(found.items_BK.tolist(), items_BC, strict=True):
            outside.append(np.mean(~np.isin(free, candidates)))
    return float(np.mean(outside))


if __name__ == "__main__":
    main()
