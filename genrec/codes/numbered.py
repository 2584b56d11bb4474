"""Numbers: an item is written as a number, for comparison with systems that know no titles.

Numbers by first appearance over whole sequences leak the test item (the next new item is the highest number so far
plus one), so the two numberings that genrec makes look at nothing but the training part. Those that data come with can
be written too, to reproduce what others measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.errors import DataError


def random_numbers(num_items: int, seed: int = 0) -> IntArray:
    """A random permutation of 0..num_items-1."""
    return stream(seed, "random numbers of items").permutation(num_items)


def sequential_numbers(train: Histories, num_items: int, seed: int = 0) -> IntArray:
    """Numbers in order of first appearance in the *training* histories, then the items never seen, shuffled.

    Neighbours in a history get near numbers, which share leading digits ("sequential indexing" of
    https://arxiv.org/abs/2305.06569, without its leak).
    """
    items, first = np.unique(train.items, return_index=True)
    seen = items[np.argsort(first)]
    unseen = np.setdiff1d(np.arange(num_items), seen)
    stream(seed, "numbers of unseen items").shuffle(unseen)
    numbers = np.empty(num_items, np.int64)
    numbers[np.concatenate([seen, unseen])] = np.arange(num_items)
    return numbers


def original_numbers(catalogue_ids: Sequence[str]) -> IntArray:
    """The order of the data's own integer ids, as published systems wrote them. LEAKS; only to reproduce their numbers.

    The ids of the usual Amazon, Yelp and LastFM cuts count along whole histories, so they tell the test items
    (https://github.com/jeykigung/P5/pull/3). `genrec audit` and every output of a run that writes them say so.

    Args:
        catalogue_ids: raw ids, one an item.

    Returns:
        The place 0..num_items-1 of each id among all of them; (num_items,).

    Raises:
        DataError: an id that is not a whole number, or two that are the same number.
    """
    wrong = next((name for name in catalogue_ids if not re.fullmatch("[0-9]{1,18}", name)), None)
    if wrong is not None:
        raise DataError(
            f"the item id {wrong!r} is not a whole number, and code=original writes ids as numbers: take another code"
        )
    _, places = np.unique(np.array(catalogue_ids, dtype=np.int64), return_inverse=True)
    if len(np.unique(places)) < len(catalogue_ids):
        raise DataError("two item ids are the same number, as 7 and 07 are: take another code than original")
    return places


def number_titles(numbers: IntArray) -> list[str]:
    """Names "item 1", "item 2", ...: numbers as text, for a tokenizer to split as it does any text."""
    return [f"item {number + 1}" for number in numbers.tolist()]
