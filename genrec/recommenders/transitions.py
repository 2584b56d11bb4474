"""Transitions: what came soon after the last items of a history in other histories, and what reads like them.

Shapes: B users, U some of them, I items, N interactions, W words.
"""

from __future__ import annotations

from math import lcm
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from safetensors.numpy import save_file
from scipy import sparse

from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.memory import check_fits
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.itemknn import history_matrix, share_of_largest
from genrec.recommenders.options import Config, MaxItems
from genrec.recommenders.tfidf import check_titled, unit_tfidf, word_counts


class TransitionsConfig(Config):
    """Options of `transitions`.

    The defaults are one compromise, chosen on the validation parts of Beauty, Toys, ML-100K and ML-1M together
    (docs/baselines.md).
    """

    gap: int = Field(5, ge=1, le=100, description="places between two items of a history that still count")
    reverse: float = Field(
        0.25, ge=0, le=1, description="weight of a pair against the order of its history; 0: forwards only"
    )
    max_items: MaxItems = 10
    decay: float = Field(
        0.6, gt=0, le=1, description="weight of an item of a history against the next one; 1: all alike"
    )
    text: Literal["none", "tfidf"] = Field(
        "none", description="tfidf adds the cosine of titles and attributes, which also finds new items"
    )
    text_weight: float = Field(
        2.0, gt=0, le=1000, description="of the cosine (text=tfidf) beside the transitions"
    )
    text_power: float = Field(
        1.0,
        gt=0,
        le=1,
        description="of the summed cosines (text=tfidf): the lower, the more the first words count",
    )


BLOCK_PAIRS = 2**24  # pairs of items that are counted at once
_USERS_AT_ONCE = 32  # whose words are compared


@register("transitions")
class Transitions(Recommender):
    """pairs of items close in a history -> logarithm of their counts, and shared words -> sum over the last items.

    The floor of sequential recommendation: nothing is trained and nothing drawn, and many trained models are below it
    (docs/baselines.md). Two items that are d places apart count 1 / d, for d up to `gap`, and `reverse` times that
    against their order. An edge is log(1 + count). A score is the sum over the last `max_items` items of the history,
    weighted by `decay`, of their edges to the item; `text=tfidf` adds `text_weight` times the sum of the cosines of
    their texts, as in the recommender `tfidf`, raised to `text_power`. The idea is that of TGH (Han et al. 2026,
    https://arxiv.org/abs/2605.07125), which walks a few steps along such a graph and ranks what it reaches by its
    features.

    Items that no edge or word reaches come last, by popularity, and so do all items for an empty history. A new item
    has no edges: it is found by its text at once, and without `text=tfidf` it has the lowest score.
    """

    Config = TransitionsConfig
    pipeline: ClassVar[str] = (
        "last items of the history -> counts of what came soon after them, and shared words -> recency-weighted sum"
    )
    paper: ClassVar[str] = "after Han et al. 2026 (TGH), https://arxiv.org/abs/2605.07125"
    tiny: ClassVar[dict[str, Any]] = {"text": "tfidf", "text_weight": 0.1}

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        self._index()
        taken_I = np.bincount(train.histories.items, minlength=train.num_items)
        edges_II = close_pairs(train.histories, train.num_items, self.config.gap, self.config.reverse)
        np.log1p(edges_II.data, out=edges_II.data)
        self.edges_II_ = edges_II
        self.popularity_I_: FloatArray = share_of_largest(taken_I)

    def _index(self) -> None:
        """Weigh the words of the catalogue's texts, if they are asked for."""
        if self.config.text == "tfidf":
            check_titled(self.catalogue, f"{self.name} with text=tfidf", "leave out text=tfidf")
            self.words_IW_ = unit_tfidf(word_counts(self.catalogue))

    def _score(self, histories: Histories) -> FloatArray:
        parts = self._scores(histories)
        scores_BI = parts["transitions"]
        if "text" in parts:
            scores_BI = scores_BI + self.config.text_weight * parts["text"]
        return np.where(scores_BI > 0, scores_BI, self.popularity_I_ - 1)  # below all that was reached

    def _scores(self, histories: Histories) -> dict[str, FloatArray]:
        age = histories.ages
        weights = np.where(age < self.config.max_items, np.power(self.config.decay, age, dtype=np.float32), 0)
        weights_BI = history_matrix(histories, weights, len(self.catalogue))
        weights_BI.eliminate_zeros()
        parts = {"transitions": (weights_BI @ self.edges_II_).toarray()}
        if self.config.text == "tfidf":
            cosines_BI = self._cosines(weights_BI @ self.words_IW_)
            parts["text"] = np.power(cosines_BI, np.float32(self.config.text_power), out=cosines_BI)
        return parts

    def _cosines(self, weights_BW: Any) -> FloatArray:
        """The products (B, I) of weighted words with those of the items.

        Most items share a word with a history, so these are dense: a few users' at a time, all their words side by side
        in the cache, they take a quarter of the time of a product of sparse matrices.
        """
        scores_BI = np.empty((weights_BW.shape[0], len(self.catalogue)), np.float32)
        for start in range(0, len(scores_BI), _USERS_AT_ONCE):
            some_WU = weights_BW[start : start + _USERS_AT_ONCE].T.toarray(order="C")
            scores_BI[start : start + _USERS_AT_ONCE] = (self.words_IW_ @ some_WU).T
        return scores_BI

    def _save(self, folder: Path) -> None:
        edges = self.edges_II_
        arrays = (
            self.popularity_I_,
            edges.indptr.astype(np.int64),
            edges.indices.astype(np.int32),
            edges.data,
        )
        state = dict(zip(_ARRAYS, arrays, strict=True))  # the words follow from the catalogue
        write_atomically(folder / "transitions.safetensors", lambda path: save_file(state, path))

    def _load(self, folder: Path) -> None:
        state = read_safetensors(folder / "transitions.safetensors", _ARRAYS)
        self.popularity_I_ = state["popularity"]
        size = len(self.popularity_I_)
        parts = (state["weights"], state["ends"], state["offsets"])
        self.edges_II_ = sparse.csr_array(parts, shape=(size, size))
        self._index()

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self._index()
        size = len(self.catalogue)
        self.edges_II_ = self.edges_II_.copy()
        self.edges_II_.resize(size, size)
        self.popularity_I_ = np.pad(self.popularity_I_, (0, size - len(trained)))


_ARRAYS = ("popularity", "offsets", "ends", "weights")


def close_pairs(histories: Histories, num_items: int, gap: int, reverse: float) -> Any:
    """Pairs of different items at most `gap` places apart, each counting 1 / distance; sparse (I, I) float32.

    Row and column are start and end of the pair in its history; the other way round it counts `reverse` / distance.

    Raises:
        ConfigError: they do not fit into memory.
    """
    pairs = min(len(histories.items) * float(gap) * (2 if reverse else 1), float(num_items) ** 2)
    check_fits(
        f"{pairs:,.0f} pairs of items at most {gap} places apart",
        pairs * 2 * 8,  # an end and a count each, before and after a block is added
        "lower gap, set reverse=0, or filter the data (--k-core)",
    )
    # Counted in a unit in which 1, 1/2, 1/3, ... are whole, so that no order of adding changes a sum and makes or
    # breaks a tie; for wide gaps it would be too large for float32.
    unit = lcm(*range(1, gap + 1)) if gap <= 10 else 1
    counts_II = sparse.csr_array((num_items, num_items), dtype=np.float32)
    items, user_N = histories.items, np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    block = max(1, BLOCK_PAIRS // (2 * gap))
    for start in range(0, len(items), block):
        starts, ends, values = [], [], []
        for distance in range(1, gap + 1):
            stop = max(start, min(start + block, len(items) - distance))
            one, other = (slice(place, stop + place - start) for place in (start, start + distance))
            kept = (user_N[one] == user_N[other]) & (items[one] != items[other])
            starts.append(items[one][kept])
            ends.append(items[other][kept])
            values.append(np.full(len(ends[-1]), unit / distance, np.float32))
        row, column, value = np.concatenate(starts), np.concatenate(ends), np.concatenate(values)
        counts_II = counts_II + _summed(value, row, column, num_items)
        if reverse:
            counts_II = counts_II + _summed(np.float32(reverse) * value, column, row, num_items)
    counts_II.data /= np.float32(unit)
    return counts_II


def _summed(value: FloatArray, row: IntArray, column: IntArray, num_items: int) -> Any:
    """A sparse matrix (I, I) in which the values of a repeated place add up."""
    return sparse.coo_array((value, (row, column)), shape=(num_items, num_items)).tocsr()
