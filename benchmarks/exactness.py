"""What a proof costs: `python benchmarks/exactness.py RUN [RUN ...] [--users N] [--out FILE.md]`.

For trained `genrec` runs: the lists of 10 by beams of several widths, how many of them are proved to be the model's
true top 10 and how much of the true top 10 they hold; the search best first, as it is by default and with `exact=True`;
and the brute force that scores every item (histories are run once and shared, items in batches of 256). Times are CPU
times of one thread, in turns on the same users, medians of five.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import genrec
import numpy as np
import torch
from genrec.backbones.children import child_logits
from genrec.data.ranking import Rankings
from genrec.data.streams import stream
from genrec.training.decoder_rows import collate
from torch.nn.utils.rnn import pad_sequence

import pages

K, TURNS, BEAMS = 10, 5, (10, 20, 50, 100)
LEAST_FASTER = 20  # than the brute force, promised at 12,000 items


@torch.inference_mode()
def brute_force(model: Any, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best K items of one history that are not in it, and their scores, by scoring every item."""
    row = model.rows_.question(history)
    batch = collate([row])
    backbone, trie = model.backbone_, model.codebook_.trie
    token_N = torch.from_numpy(trie.token_N)
    first_child, parent_N = torch.from_numpy(trie.first_child_N1), torch.from_numpy(trie.parent_N)
    shared = backbone.new_cache()
    last_1D = backbone.hidden(batch["tokens"], batch["nodes"], batch["positions"], cache=shared)[:, -1]
    num_keys = batch["tokens"].shape[1]
    scores = []
    for items in np.array_split(np.arange(len(trie.codes)), -(-len(trie.codes) // 256)):
        paths = [torch.from_numpy(trie.paths[item]).long() for item in items]
        path_NL, token_NL = (
            pad_sequence(paths, True),
            pad_sequence([torch.from_numpy(trie.codes[item]).long() for item in items], True),
        )
        cache = backbone.new_cache()
        for number, layer in enumerate(shared.layers):
            shape = (len(items), -1, -1, -1)
            cache.update(layer.keys.expand(shape), layer.values.expand(shape), number)
        length = path_NL.shape[1]
        causal_LL = torch.ones((length, length), dtype=torch.bool).tril()
        mask_NLK = torch.cat([torch.ones((length, num_keys), dtype=torch.bool), causal_LL], 1)
        position_NL = (row.end + torch.arange(length)).expand(path_NL.shape)
        hidden_NLD = backbone.hidden(
            token_NL, path_NL, position_NL, mask_NLK.expand(len(items), -1, -1), cache
        )
        before_NLD = torch.cat([last_1D.expand(len(items), 1, -1), hidden_NLD[:, :-1]], 1)
        real_NL = path_NL > 0
        node_G, hidden_GD = path_NL[real_NL], before_NLD[real_NL]
        above_G = parent_N[node_G].long()
        log_p_G = torch.zeros(len(node_G))
        for part in child_logits(backbone, hidden_GD, above_G, token_N, first_child):
            taken_N = (node_G - first_child[above_G])[part.group_N]
            log_p_G[part.group_N] = part.logits_NC.log_softmax(1).gather(1, taken_N[:, None]).squeeze(1)
        scores.append(torch.zeros(path_NL.shape).masked_scatter_(real_NL, log_p_G).sum(1))
    score_I = torch.cat(scores)
    score_I[torch.from_numpy(history).long()] = -torch.inf
    best = score_I.topk(K)
    return best.indices.numpy(), best.values.numpy()


def cpu_s(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of some work and its CPU time."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def measure(folder: Path, moved_to: str | None, num_users: int, num_brute: int) -> tuple[str, list[str]]:
    """Rows of the table for one run, and what it missed."""
    torch.set_num_threads(1)
    run = genrec.open_run(folder, moved_to)
    model: Any = run.model
    data, targets = run.data, run.parts.test
    rng = stream(0, "questions of the exactness benchmark")
    rows = np.sort(rng.permutation(len(targets))[:num_users])
    histories = targets.histories.take(rows)

    def ask(search: str, beams: int, exact: bool) -> tuple[Rankings, float]:
        model.config = model.config.changed(search=search, beams=beams)
        return cpu_s(lambda: model.rank(histories, K, exact=exact))

    ways = {f"beam {beams}": ("beam", beams, False) for beams in BEAMS}
    ways |= {"best first (default)": ("best-first", 50, False), "`exact=True`": ("best-first", 50, True)}
    ask("best-first", 50, False)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    lists: dict[str, Rankings] = {}
    for _ in range(TURNS):
        for way, options in ways.items():
            lists[way], time_s = ask(*options)
            seconds[way].append(time_s)
    true_BK = lists["`exact=True`"].items_BK
    brute_s = []
    for row in range(num_brute):
        (items, scores), time_s = cpu_s(partial(brute_force, model, histories[row]))
        brute_s.append(time_s)
        np.testing.assert_allclose(lists["`exact=True`"].scores_BK[row], scores, atol=1e-4)
        assert set(items) == set(true_BK[row]) or scores[-1] - scores[-2] > -1e-4, row
    speed_brute = 1 / statistics.median(brute_s)
    title = f"{folder.name} ({data.name}, {len(model.catalogue):,} items)"
    table = []
    for way in ways:
        held = np.mean(
            [len(set(mine) & set(best)) / K for mine, best in zip(lists[way].items_BK, true_BK, strict=True)]
        )
        ratio = statistics.median(a / b for a, b in zip(seconds["beam 50"], seconds[way], strict=True))
        speed = num_users / statistics.median(seconds[way])
        table.append(
            f"| {title} | {way} | {100 * lists[way].exact_B.mean():.1f} % | {100 * held:.1f} % | {speed:.0f} | "
            f"{ratio:.2f} | {speed / speed_brute:,.0f} |"
        )
    ratio = statistics.median(a / b for a, b in zip(seconds["beam 50"], seconds["`exact=True`"], strict=True))
    faster = num_users / statistics.median(seconds["`exact=True`"]) / speed_brute
    missed = [f"{title}: exact=True runs at {ratio:.2f} of a beam of 50"] if ratio < 1 else []
    if len(model.catalogue) >= 12_000 and faster < LEAST_FASTER:
        missed.append(f"{title}: {faster:.0f} times the brute force of {LEAST_FASTER}")
    return "\n".join(table), missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--data", nargs="+", help="where the runs' data lie now, if moved")
    parser.add_argument("--users", type=int, default=512)
    parser.add_argument("--brute", type=int, default=5, help="users whose items are all scored")
    pages.add_out(parser)
    given = parser.parse_args()
    moved = given.data or [None] * len(given.runs)
    measured = [
        measure(run, data, given.users, given.brute) for run, data in zip(given.runs, moved, strict=True)
    ]
    page = f"""{pages.head("Proved lists", "torch", "transformers", used=", one used")}
Lists of {K} for {given.users} test users of trained runs; seen items excluded. Users a second of CPU time, medians of
{TURNS} turns. The brute force scored all items for {given.brute} users and found the lists of `exact=True`.

| run | search | proved | of the true top {K} | users/s | times a beam of 50 | times the brute force |
|---|---|---|---|---|---|---|
{chr(10).join(rows for rows, _ in measured)}

Peak memory {pages.peak_gb():.1f} GB. Promised: `exact=True` no slower than a beam of 50, and {LEAST_FASTER} times as
fast as the brute force at 12,000 items; less fails.
"""
    pages.publish(page, given.out)
    if missed := [line for _, lines in measured for line in lines]:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
