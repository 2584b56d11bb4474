"""Numbers: an item is written as a number, for comparison with systems that know no titles.

Numbers by first appearance over whole sequences leak the test item (the next new item is the highest number so far
plus one), so the two numberings here never look at anything but the training part.
"""

from __future__ import annotations

import numpy as np

from genrec.data.interactions import Histories, IntArray


def random_numbers(num_items: int, seed: int = 0) -> IntArray:
    """A random permutation of 0..num_items-1."""
    return np.random.default_rng(seed).permutation(num_items)


def sequential_numbers(train: Histories, num_items: int, seed: int = 0) -> IntArray:
    """Numbers in order of first appearance in the *training* histories, then the items never seen, shuffled.

    Neighbours in a history get near numbers, which share leading digits ("sequential indexing" of
    https://arxiv.org/abs/2305.06569, without its leak).
    """
    items, first = np.unique(train.items, return_index=True)
    seen = items[np.argsort(first)]
    unseen = np.setdiff1d(np.arange(num_items), seen)
    np.random.default_rng(seed).shuffle(unseen)
    numbers = np.empty(num_items, np.int64)
    numbers[np.concatenate([seen, unseen])] = np.arange(num_items)
    return numbers


def number_titles(numbers: IntArray) -> list[str]:
    """Names "item 1", "item 2", ...: numbers as text, for a tokenizer to split as it does any text."""
    return [f"item {number + 1}" for number in numbers.tolist()]
