"""Title codes: an item is written with the tokens of its title, in full or as far as needed to single it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from genrec.codes.trie import Codes
from genrec.errors import CatalogueError

Encode = Callable[[list[str]], list[list[int]]]
Length = Literal["full", "shortest"]


def title_codes(
    titles: Sequence[str],
    encode: Encode,
    end: Sequence[int],
    length: Length = "full",
    *,
    always_close: bool = True,
) -> Codes:
    """Codes from titles; every code is unique and none is a prefix of another.

    A repeated title gets a running number, as in "Hamlet (2)"; the first keeps its plain title. With
    `length="shortest"` a code stops at the first token that no other title shares at this place. A code closes with
    `end`, so a title that begins another one stays apart from it.

    Args:
        titles: one an item; may repeat, be prefixes of each other or hold any character.
        encode: texts to lists of token ids.
        end: token ids that close a code, at least one. The first of them is left out of the titles themselves, so
            that a line break or "<end>" inside a title closes nothing.
        length: whether a code writes the whole title or its shortest distinguishing beginning.
        always_close: close every code; False: only those that another one begins with. The trie then tells where
            the others end, and rows get shorter by a token an item.

    Returns:
        Codes of len(titles) rows.

    Raises:
        CatalogueError: a repeated title that `encode` cannot tell apart by a number.
    """

    tokens = told_apart(titles, without(end, encode))
    if length == "shortest":
        tokens = [row[:kept] for row, kept in zip(tokens, shortest_lengths(tokens), strict=True)]
    closed = [True] * len(tokens) if always_close else begins_another(tokens)
    return Codes.from_lists(
        [[*row, *end] if close else row for row, close in zip(tokens, closed, strict=True)]
    )


def without(end: Sequence[int], encode: Encode) -> Encode:
    """`encode` less the first token of `end`, so that nothing inside a title closes it."""
    return lambda texts: [[token for token in row if token != end[0]] for row in encode(texts)]


def begins_another(tokens: Sequence[list[int]]) -> list[bool]:
    """For each of the distinct token lists, whether another one begins with it."""
    order = sorted(range(len(tokens)), key=lambda row: tokens[row])
    begins = [False] * len(tokens)
    for row, after in pairwise(order):  # all that begin with a list stand right behind it
        begins[row] = tokens[after][: len(tokens[row])] == tokens[row]
    return begins


def told_apart(
    titles: Sequence[str], encode: Encode, others: Iterable[Sequence[int]] = ()
) -> list[list[int]]:
    """Token lists of the titles, those of repeated ones extended by a running number until all differ.

    Args:
        titles: one an item.
        encode: texts to lists of token ids.
        others: token lists that are taken already.

    Raises:
        CatalogueError: the numbers do not change what `encode` gives, so a repeated title stays repeated.
    """
    tokens = encode([title or "untitled" for title in titles])
    taken = dict.fromkeys(map(tuple, others), 1)
    most = len(titles) + len(taken) + 1
    for row, title in enumerate(titles):
        key = tuple(tokens[row])
        if key not in taken:
            taken[key] = 1
            continue
        first = key
        while key in taken:
            taken[first] += 1
            if taken[first] > most:  # that many different numbers cannot all be taken
                raise CatalogueError(
                    f"the title {title!r} (item {row}) is repeated and the tokenizer writes no numbers to tell it "
                    "apart: make the titles differ, or choose a tokenizer that knows digits"
                )
            tokens[row] = encode([f"{title or 'untitled'} ({taken[first]})"])[0]
            key = tuple(tokens[row])
        taken[key] = 1
    return tokens


def shortest_lengths(tokens: Sequence[list[int]]) -> np.ndarray:
    """For each token list, how many tokens single it out: one more than it shares with its nearest neighbour.

    A list that begins another one keeps its full length. Shape: (len(tokens),) int64.
    """
    order = sorted(range(len(tokens)), key=lambda row: tokens[row])
    lengths = np.ones(len(tokens), np.int64)
    for above, below in pairwise(order):
        a, b = tokens[above], tokens[below]
        shared = 0
        for left, right in zip(a, b, strict=False):
            if left != right:
                break
            shared += 1
        for row, length in ((above, len(a)), (below, len(b))):
            lengths[row] = max(lengths[row], min(shared + 1, length))
    return lengths
