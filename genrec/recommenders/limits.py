"""Lists with at most so many items of one value of a field: two of a brand, one of a series.

Shape suffixes: B users, D places that were looked at, k places of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, IntArray
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, shown
from genrec.recommenders.asked import as_count

_FURTHER = 4  # times as many places as are wanted are looked at, and so on


@dataclass(frozen=True)
class Limits:
    """How many items of one value a list may hold.

    Attributes:
        num_items: of the catalogue.
        values: the values of each item, as numbers of which `number % len(most)` is the field.
        most: items of one value of each field.
    """

    num_items: int
    values: Histories
    most: list[int]

    @classmethod
    def of(cls, max_per: Any, catalogue: Catalogue) -> Self:
        """The limits that `max_per` of `Recommender.rank` stands for.

        Raises:
            ConfigError: no mapping, a field that the items do not have, or no whole number of at least 1.
        """
        if not isinstance(max_per, Mapping):
            raise ConfigError(f'max_per is {shown(max_per)}; give fields and numbers, as in {{"brand": 2}}')
        most = [as_count(count, f"max_per of {name}", "item") for name, count in max_per.items()]
        rows, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for number, name in enumerate(max_per):
            one = pl.DataFrame({"row": np.arange(len(catalogue)), "value": catalogue.field(name)})
            if isinstance(one.schema["value"], pl.List):
                one = one.explode("value")
            one = one.with_columns(pl.col("value").cast(pl.String)).drop_nulls().filter(pl.col("value") != "")
            one = one.unique()
            rows.append(one["row"].to_numpy())
            values.append(one["value"].rank("dense").to_numpy().astype(np.int64) * len(most) + number)
        row_N, value_N = np.concatenate(rows), np.concatenate(values)
        order_N = np.argsort(row_N, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(row_N, minlength=len(catalogue)))])
        return cls(len(catalogue), Histories(value_N[order_N], offsets), most)

    def best(self, rank: Callable[[IntArray, int], Rankings], rows: IntArray, k: int) -> Rankings:
        """The first `k` items of each ranking that the limits let into the list, from the head on; (B, k).

        What an item takes from its values is not given back, so no deeper look changes the head of a list. Looked at
        are four times as many places as are wanted; of the lists that these do not fill, four times as many again, to
        the end of the ranking. So no list is short where the catalogue could fill it.

        Args:
            rank: the rankings of some of the B histories by their rows, so many places deep.
            rows: of the histories, (B,).
            k: items wanted, at most `num_items`.
        """
        items_Bk = np.full((len(rows), k), -1, np.int32)
        scores_Bk, exact_B = np.full((len(rows), k), -np.inf, np.float32), np.zeros(len(rows), bool)
        open_lists, depth = np.arange(len(rows)), k
        while len(open_lists):
            depth = min(depth * _FURTHER, self.num_items)
            found = rank(rows[open_lists], depth)
            places = self._places(found.items_BK, k)
            for row, place, kept in zip(range(len(places)), open_lists.tolist(), places, strict=True):
                items_Bk[place, : len(kept)] = found.items_BK[row, kept]
                scores_Bk[place, : len(kept)] = found.scores_BK[row, kept]
            exact_B[open_lists] = found.exact_B
            ended_B = np.isneginf(found.scores_BK[:, -1]) | (depth == self.num_items)
            open_lists = open_lists[~ended_B & (items_Bk[open_lists, -1] < 0)]
        return Rankings(items_Bk, scores_Bk, exact_B)

    def _places(self, items_BD: IntArray, k: int) -> list[list[int]]:
        """The places of each ranking whose items are in the list, at most `k`; -1 is no item."""
        taken = self.values.take(np.maximum(items_BD, 0).ravel())
        values, offsets, most = taken.items.tolist(), taken.offsets.tolist(), self.most
        found, number = [], 0
        for items in items_BD.tolist():
            left, kept = dict[int, int](), list[int]()
            for place, item in enumerate(items):
                own = values[offsets[number + place] : offsets[number + place + 1]]
                if item < 0 or any(not left.get(value, 1) for value in own):
                    continue
                for value in own:
                    left[value] = left.get(value, most[value % len(most)]) - 1
                kept.append(place)
                if len(kept) == k:
                    break
            number += len(items)
            found.append(kept)
        return found
