"""Invented data, small enough to read, whose right answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions, Targets

# Series with a shared beginning; a title that begins another, one that repeats, commas, other letters.
TITLES = [
    *(f"Comet Harbour {part}" for part in (1, 2, 3, 4, 5, 6)),
    *(f"Silent Orchard {part}" for part in (1, 2, 3, 4, 5, 6)),
    "Paper Tigers",
    "Paper Tigers, Again",
    "Paper Tigers, At Last: the End of It (1994)",
    "Zażółć",
    "Home",
    "Home",
    *(f"The Long Winter (199{year})" for year in range(6)),
]

# A generative recommender that trains in a second; `TINY | {...}` for what a test needs otherwise.
TINY: dict[str, Any] = {
    "backbone": "compact",
    "depth": 1,
    "width": 16,
    "vocab_size": 400,  # enough for every word, so that titles begin differently
    "dropout": 0.0,
    "epochs": 4,
    "batch_tokens": 300,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "evaluations": 1,
    "beams": 20,
    "bf16": False,
}


def catalogue(titles: Sequence[str] | int, ids: Sequence[str] | None = None, **fields: Any) -> Catalogue:
    """Items i0, i1, … unless `ids` says otherwise; `titles` may be how many "Item 0", "Item 1", … there are."""
    if isinstance(titles, int):
        titles = [f"Item {row}" for row in range(titles)]
    return Catalogue.from_lists(ids or [f"i{row}" for row in range(len(titles))], titles, **fields)


def interactions(
    lists: Sequence[Sequence[int]] | Histories, items: Catalogue | Sequence[str] | int, **parts: Any
) -> Interactions:
    """Users u0, u1, … with these histories of rows; `items`: a catalogue, or what `catalogue` takes as titles.

    `parts` are times, ratings, texts, headlines and orders as `Interactions` has them, lists among them.
    """
    made = items if isinstance(items, Catalogue) else catalogue(items)
    histories = lists if isinstance(lists, Histories) else Histories.from_lists(lists)
    kinds: dict[str, Callable[[Any], Any]] = {
        "times": np.asarray,
        "ratings": lambda values: np.asarray(values, np.float32),
        "texts": pl.Series,
        "headlines": pl.Series,
        "orders": np.asarray,
    }
    columns = {name: kinds[name](values) for name, values in parts.items()}
    return Interactions(made, _users(len(histories)), histories, **columns)


def targets(
    lists: Sequence[Sequence[int]] | Histories,
    answers: Sequence[int],
    items: Catalogue | Sequence[str] | int,
) -> Targets:
    """Questions of users u0, u1, …: what comes after these histories, and the rows that did come."""
    asked = interactions(lists, items)
    return Targets(asked.catalogue, asked.users, asked.histories, np.asarray(answers, np.int32))


def walks(num_users: int, num_items: int, length: int | Callable[[int], int] = 6) -> list[list[int]]:
    """Histories that go round the items, user u from row u on; `length` may be a function of u."""
    return [
        [(user + step) % num_items for step in range(length(user) if callable(length) else length)]
        for user in range(num_users)
    ]


def ring(
    titles: Sequence[str] | int = tuple(TITLES),
    num_users: int | None = None,
    length: int | Callable[[int], int] = 6,
    ids: Sequence[str] | None = None,
    **fields: Any,
) -> Interactions:
    """`walks` over items of these titles, a user an item by default: what comes next is the next row."""
    items = catalogue(titles, ids, **fields)
    return interactions(walks(num_users or len(items), len(items), length), items)


def next_of(data: Interactions) -> Targets:
    """For each user of a ring, the item that comes next."""
    answers = [(int(items[-1]) + 1) % data.num_items for items in data.histories]
    return Targets(data.catalogue, data.users, data.histories, np.asarray(answers, np.int32))


# Even items are good strings and get 5 stars, odd ones poor pedals and get 1; that is all there is to know.
GOOD = ("These strings sound bright and last.", "Very good", 5)
POOR = ("This pedal hums and broke soon.", "Rather poor", 1)


def reviewed(num_users: int = 16, num_items: int = 8, length: int = 5) -> Interactions:
    """A ring of strings and pedals, each taken with stars, a text and a headline: `GOOD` or `POOR`."""
    titles = [f"{'Pedal' if item % 2 else 'Strings'} number {item}" for item in range(num_items)]
    lists = walks(num_users, num_items, length)
    said = [POOR if item % 2 else GOOD for items in lists for item in items]
    texts, headlines, ratings = zip(*said, strict=True)
    return interactions(lists, titles, ratings=ratings, texts=texts, headlines=headlines)


def _users(count: int) -> pl.Series:
    return pl.Series([f"u{user}" for user in range(count)], dtype=pl.String)
