"""How quickly lists are written with a prior: `python benchmarks/prior.py [--batch 256] [--repeats 3]`.

The trie is that of Amazon Beauty's titles; the item model's states and vectors are drawn, as uneven as a trained
model's (some 8 bits of entropy), and so are the histories, one token an item, and the weights of the language models,
whose choices are about as uneven as those of the item model. Lists of 10 with their proofs, seen items left out, CPU
time of one thread, the making of the prior included. `nothing`: no language model, all of its logits are 0.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import torch
from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.codes.trie import Trie
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.decoding.prior import Prior
from genrec.decoding.ranker import TrieRanker
from torch import Tensor

from decoding import beauty

K, USERS, WIDTH, SPREAD = 10, 1024, 64, 3.0


class Nothing(CompactBackbone):
    """A language model that says nothing, at no cost."""

    def hidden(self, tokens_BT: Tensor, *others: Any, **named: Any) -> Tensor:
        return torch.zeros(*tokens_BT.shape, 1)

    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        return torch.zeros(*tokens_E.shape, 1)


class Asked:
    """Histories as questions: the first token of each item's code stands for it."""

    def __init__(self, trie: Trie, histories: Histories) -> None:
        self.histories, self.lengths = histories, histories.lengths.tolist()
        self.token_I = trie.codes.items[trie.codes.offsets[:-1]]

    def prefix(self, rows: IntArray) -> Prefix:
        tokens = [torch.from_numpy(self.token_I[self.histories[row]]).long() for row in rows]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)
        length_B = torch.tensor([len(row) for row in tokens])
        positions_BT = torch.arange(tokens_BT.shape[1]).expand_as(tokens_BT)
        return Prefix(tokens_BT, torch.zeros_like(tokens_BT), positions_BT, length_B, length_B)


def language_model(depth: int, width: int, trie: Trie) -> Backbone:
    """A compact backbone whose logits deviate by about 1."""
    torch.manual_seed(0)
    model = CompactBackbone(10_002, depth=depth, width=width, dropout=0.0, num_nodes=trie.num_nodes).eval()
    assert model.node_vectors is not None
    for table in (model.lm.model.embed_tokens, model.node_vectors):
        table.weight.data /= 0.02 * (2 * width) ** 0.5
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256, help="users ranked at once")
    parser.add_argument("--repeats", type=int, default=3, help="the quickest of so many counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trie = Trie.build(beauty())
    rng = stream(0, "questions of the benchmark of priors")
    lengths = np.clip(rng.geometric(1 / 6, USERS) + 3, 4, 50)
    histories = Histories.from_lists([rng.integers(0, trie.num_items, length) for length in lengths])
    states_BD, vectors_ID = (
        torch.from_numpy(rng.standard_normal((count, WIDTH)).astype(np.float32))
        for count in (USERS, trie.num_items)
    )
    states_BD *= SPREAD / WIDTH**0.5
    chance_BI = (states_BD @ vectors_ID.T).softmax(1)
    entropy = -(chance_BI * chance_BI.log2()).sum(1).mean()
    print(
        f"{trie.num_items:,} items, entropy of the item model {entropy:.1f} bits, {options.batch} users at once"
    )
    models = {"nothing": Nothing(2, depth=1, width=32)}
    models |= {
        f"{depth} x {width}": language_model(depth, width, trie) for depth, width in ((1, 64), (1, 128))
    }
    for name, model in models.items():
        ranker, seconds, proved = TrieRanker(model, trie, "children", width=50, best_first=True), [], []
        for _ in range(options.repeats):
            start = time.process_time()
            for first in range(0, USERS, options.batch):
                users = np.arange(first, min(first + options.batch, USERS))

                def prior(rows: IntArray, users: IntArray = users, ranker: TrieRanker = ranker) -> Prior:
                    return Prior.of_states(
                        ranker.tensors, states_BD[torch.from_numpy(users[rows])], vectors_ID
                    )

                seen = histories.take(users)
                found = ranker.rank(Asked(trie, seen), K, seen, None, exact=False, prior=prior)
                proved.append(found.exact_B.mean())
            seconds.append(time.process_time() - start)
        print(f"{name:10}{USERS / min(seconds):8,.0f} lists a second, {np.mean(proved):.1%} proved")


if __name__ == "__main__":
    main()
