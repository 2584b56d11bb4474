"""A data set as `genrec.read` returns it: interactions, catalogue, what the reading did, and the splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.interactions import Interactions, Targets
from genrec.data.split import Split, before_test, split


@dataclass(frozen=True)
class ReadReport:
    """What the reading saw and did.

    `rows` counts the rows of the source; `dropped` maps a reason to the number of rows it cost;
    `num_listed_items` counts the items that the items file lists, taken or not (None: there is no such file);
    `dates` is `day-first` or `month-first` where the times were read so, and `orders` what made rows one order, `id` or
    `time` (None: nothing).
    """

    layout: str
    source: str
    rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    repeated_titles: int = 0
    decoded_entities: int = 0
    num_listed_items: int | None = None
    dates: str | None = None
    orders: str | None = None

    def drops(self) -> str:
        """What reading and filters dropped and why, in one line; '' if nothing."""
        reasons = [f"{reason}: {count:,}" for reason, count in self.dropped.items() if count]
        num_dropped = sum(self.dropped.values())
        return (
            f"{num_dropped:,} of {self.rows:,} rows of {self.source} were dropped ({', '.join(reasons)})"
            if reasons
            else ""
        )


@dataclass(frozen=True)
class Dataset:
    """Interactions with their catalogue. `train`, `validation` and `test` are the leave-one-out split.

    Shape: listed (num_items,), whether the file of items lists each (None: there is no such file); named (num_items,),
    whether its title is more than its id (None: as `catalogue.titled` says, for all).
    """

    name: str
    interactions: Interactions
    report: ReadReport
    synthetic: bool = False
    listed: BoolArray | None = None
    named: BoolArray | None = None

    @property
    def catalogue(self) -> Catalogue:
        return self.interactions.catalogue

    def split(self, protocol: str = "leave-one-out") -> Split:
        """See `genrec.data.split.split`."""
        return split(self.interactions, protocol)

    def before_test(self, protocol: str = "leave-one-out") -> Interactions:
        """See `genrec.data.split.before_test`."""
        return before_test(self.interactions, protocol)

    @cached_property
    def _leave_one_out(self) -> Split:
        return self.split()

    @property
    def train(self) -> Interactions:
        return self._leave_one_out.train

    @property
    def validation(self) -> Targets:
        return self._leave_one_out.validation

    @property
    def test(self) -> Targets:
        return self._leave_one_out.test

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over users, items, titles and all interactions in order: equal ones are the same data."""
        digest = hashlib.sha256()
        for names in (self.interactions.users.to_list(), self.catalogue.ids, self.catalogue.titles):
            digest.update("\x1f".join(map(str, names)).encode())
            digest.update(b"\x1e")
        histories = self.interactions.histories
        digest.update(np.ascontiguousarray(histories.offsets, dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(histories.items, dtype=np.int32).tobytes())
        return digest.hexdigest()

    @cached_property
    def details(self) -> dict[str, str]:
        """SHA-256 of what the fingerprint leaves out, by its name: `times`, `ratings`, `texts`, `headlines`, `orders`,
        `fields`.

        Each in the order of the interactions, or of the catalogue; what the data do not have has no key. Times, orders
        and ratings decide what a temporal split or a task asks, and the fields of items what some recommenders learn.
        """
        interactions, fields = self.interactions, self.catalogue.table.drop("item_id", "title")
        parts: dict[str, Iterable[bytes]] = {}
        if interactions.times is not None:
            parts["times"] = [np.ascontiguousarray(interactions.times, dtype=np.int64).tobytes()]
        if interactions.ratings is not None:
            parts["ratings"] = [np.ascontiguousarray(interactions.ratings, dtype=np.float32).tobytes()]
        if interactions.texts is not None:
            parts["texts"] = _in_bytes(interactions.texts)
        if interactions.headlines is not None:
            parts["headlines"] = _in_bytes(interactions.headlines)
        if interactions.orders is not None:
            parts["orders"] = [np.ascontiguousarray(interactions.order_starts, dtype=np.int64).tobytes()]
        if fields.width:
            parts["fields"] = (row.encode() for row in fields.write_ndjson().splitlines(keepends=True))
        return {name: _digest(values) for name, values in parts.items()}

    def summary(self) -> dict[str, Any]:
        """Counts, time range and the reading's report as plain values, for printing and JSON."""
        interactions, times = self.interactions, self.interactions.times
        lengths, listed = interactions.histories.lengths, self.report.num_listed_items
        return {
            "name": self.name,
            "synthetic": self.synthetic,
            "layout": self.report.layout,
            "source": self.report.source,
            "num_users": interactions.num_users,
            "num_items": len(np.unique(interactions.histories.items)),
            "num_listed_items": interactions.num_items if listed is None else listed,
            "num_interactions": interactions.num_interactions,
            "num_orders": None if interactions.orders is None else len(interactions.order_starts),
            "rows": self.report.rows,
            "dropped": dict(self.report.dropped),
            "first_time": None if times is None else int(times.min()),
            "last_time": None if times is None else int(times.max()),
            "shortest_history": int(lengths.min()),
            "median_history": float(np.median(lengths)),
            "longest_history": int(lengths.max()),
            "has_titles": self.catalogue.titled,
            "has_ratings": interactions.ratings is not None,
            "has_texts": interactions.texts is not None,
            "has_headlines": interactions.headlines is not None,
            "repeated_titles": self.report.repeated_titles,
            "decoded_entities": self.report.decoded_entities,
            "fields": [name for name in self.catalogue.table.columns if name not in ("item_id", "title")],
            "notes": list(self.report.notes),
            "fingerprint": self.fingerprint,
        }


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _in_bytes(texts: pl.Series) -> Iterator[bytes]:
    """Texts in slices, each with its end; none is another than an empty one."""
    for start in range(0, len(texts), 100_000):
        yield "".join(f"{text}\x1f" for text in texts[start : start + 100_000].fill_null("\x1d")).encode()
