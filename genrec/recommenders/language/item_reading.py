"""Reading items and writing names: architecture, training and questions of models that read item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrec.backbones.item_encoder import Sizes
from genrec.backbones.item_reader import ItemReader
from genrec.backbones.item_vectors import Bags
from genrec.data.interactions import Histories, IntArray
from genrec.decoding.cache import FixedStates
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Items
from genrec.training.objectives import CodeLoss, ItemCodeLoss
from genrec.training.sequences import ItemSteps, newest_states


def item_bags(codebook: Codebook, titles: Sequence[str] | None = None) -> Bags:
    """What each item is read as: the tokens of its name, and the nodes on its code's path, numbered after them.

    Args:
        codebook: of these items.
        titles: of the items; None: those of the training. Where codes are not of titles, they are read themselves.
    """
    trie, num_tokens = codebook.trie, codebook.tokenizer.vocab_size
    tokens: Histories = codebook.codes
    if codebook.trained is not None and codebook.numbers is None:
        names = list(codebook.trained.names if titles is None else titles)
        tokens = Histories.from_lists(codebook.tokenizer.encode(names))
    nodes = trie.paths.only(trie.paths.items > 0)
    return Bags.joined([Bags.of(tokens, num_tokens), Bags.of(nodes, trie.num_nodes)])


class ItemReading:
    """Models that read items, from scratch."""

    loss: type[CodeLoss] = ItemCodeLoss

    def check(self, checkpoint: str) -> None:
        raise AssertionError("no checkpoint reads items")

    def new(self, config: Any, codebook: Codebook, num_users: int) -> ItemReader:
        options: Items = config.backbone
        sizes = Sizes(
            options.depth,
            options.width,
            options.num_heads,
            options.dropout,
            config.max_items,
            num_frequencies=min(2, config.max_items // 2),  # there are no more
        )
        bags = item_bags(codebook)
        return ItemReader(bags, codebook.tokenizer.vocab_size, options.encoder, sizes)

    def load(self, folder: Path, config: Any, codebook: Codebook) -> ItemReader:
        return ItemReader.load(folder, item_bags(codebook))


def item_steps(histories: Histories, config: Any, budget: float = 1.0) -> ItemSteps:
    """The batches of a training on these histories, as the options of a recommender say; `budget`: the share taken."""
    options: Items = config.backbone
    return ItemSteps(
        histories,
        max_items=config.max_items,
        batch_size=options.batch_size,
        num_epochs=config.training.epochs,
        seed=config.seed,
        min_steps=options.min_steps,
        max_steps=config.training.max_steps,
        budget=budget,
    )


def nodes_of_before(
    codebook: Codebook, ids: Sequence[str], old: Codebook, old_ids: Sequence[str]
) -> IntArray:
    """The node of an earlier trie that each node (N,) of this one goes on from, -1 for none; tokens are the same.

    A node is the same where the same tokens lead to it. An item's last node, at which it is alone, goes on from the
    last one that the item had, as under another title.
    """
    before, trie = old.trie, codebook.trie
    pairs = zip(before.parent_N.tolist(), before.token_N.tolist(), strict=True)
    node_there = {pair: node for node, pair in enumerate(pairs)}
    found = [0]
    for parent, token in zip(trie.parent_N[1:].tolist(), trie.token_N[1:].tolist(), strict=True):
        found.append(node_there.get((found[parent], token), -1) if found[parent] >= 0 else -1)
    old_of_new_N = np.array(found, np.int64)
    row_there, used = {item: row for row, item in enumerate(old_ids)}, set(found)
    for row, item in enumerate(ids):
        if item in row_there:
            last, last_there = int(trie.paths[row].max()), int(before.paths[row_there[item]].max())
            if old_of_new_N[last] < 0 and last_there not in used:
                old_of_new_N[last] = last_there
    return old_of_new_N


def item_states(reader: ItemReader, history: IntArray, count: int) -> Tensor:
    """The states (count, D) from which the tokens of a name are predicted after a history: all the same."""
    states_1D = ItemQuestions(reader, Histories.from_lists([history])).states_BD
    return states_1D.expand(count, -1)


@dataclass(frozen=True)
class ItemQuestions:
    """Histories that are read item by item: each is a state, all of them read at once."""

    reader: ItemReader
    histories: Histories

    @property
    def lengths(self) -> list[int]:
        """Tokens of each question: none."""
        return [0] * len(self.histories)

    @cached_property
    @torch.inference_mode()
    def states_BD(self) -> Tensor:
        """The state of each; of an empty history that of nobody."""
        reader, known = self.reader, np.flatnonzero(self.histories.lengths)
        states_BD = reader.nobody_D.detach().repeat(len(self.histories), 1)
        if len(known):
            histories, max_items = self.histories.take(known), reader.sizes.max_items
            states_BD[torch.from_numpy(known)] = newest_states(reader.network, histories, max_items)
        return states_BD

    def prefix(self, rows: IntArray) -> FixedStates:
        """The states of some of them."""
        return FixedStates(self.states_BD[torch.from_numpy(np.asarray(rows, np.int64))])
