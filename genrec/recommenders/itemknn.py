"""Item-kNN: what was taken by the same users as the items of the history."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from safetensors.numpy import save_file
from scipy import sparse

from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.memory import check_fits
from genrec.data.ranking import Rankings
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.options import Config
from genrec.recommenders.reached import rank_reached


class ItemKNNConfig(Config):
    """Options of `itemknn`.

    The defaults are one compromise, chosen on the validation parts of ML-100K and Amazon Beauty together.
    """

    num_neighbours: int = Field(
        500, ge=1, le=100_000, description="most similar items that are kept for each item"
    )
    shrink: float = Field(
        15.0, ge=0, le=1e6, description="users added to the cosine's denominator: pulls rare pairs towards 0"
    )
    decay: float = Field(
        0.6, gt=0, le=1, description="weight of an item of a history against the next one; 1: all alike"
    )


BLOCK_PAIRS = 2**24  # pairs of items whose similarity may be held at once


@register("itemknn")
class ItemKNN(Recommender):
    """interactions -> shrunk cosine of each pair of items -> nearest neighbours -> sum over the history.

    Similarities are counted over users, whatever the order of their items; order enters only through `decay`,
    by which the last items of a history count most (else a long history drowns what the user does now).
    Items that no neighbour list reaches come last, by popularity. Fitting costs the sum of squared history
    lengths: comfortable up to some 100k items and histories of some hundreds. Sarwar et al. 2001,
    https://doi.org/10.1145/371920.372071; Deshpande & Karypis 2004.
    """

    Config = ItemKNNConfig
    pipeline: ClassVar[str] = (
        "interactions -> shrunk cosine of items -> nearest neighbours -> sum over the history, last item most"
    )
    paper: ClassVar[str] = "Deshpande & Karypis 2004, https://doi.org/10.1145/963770.963776"
    tiny: ClassVar[dict[str, Any]] = {"num_neighbours": 10, "shrink": 1.0}
    sequential: ClassVar[bool] = False

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        self.neighbours_II_ = co_consumed(train, self.config.num_neighbours, self.config.shrink)
        self.popularity_I_: FloatArray = share_of_largest(
            np.bincount(train.histories.items, minlength=train.num_items)
        )

    def _rank(self, histories: Histories, k: int, **options: Any) -> Rankings:
        return rank_reached(self._reached(histories), histories, k, super()._rank, **options)

    def _reached(self, histories: Histories) -> Any:
        """Scores of the items that have a neighbour in the history; sparse (B, num_items)."""
        weights = np.power(self.config.decay, histories.ages, dtype=np.float32)
        return history_matrix(histories, weights, len(self.catalogue)) @ self.neighbours_II_

    def _score(self, histories: Histories) -> FloatArray:
        scores_BI = self._reached(histories).toarray()
        return np.where(scores_BI > 0, scores_BI, self.popularity_I_ - 1)  # below every item with a neighbour

    def _save(self, folder: Path) -> None:
        near = self.neighbours_II_
        arrays = (self.popularity_I_, near.indptr.astype(np.int64), near.indices.astype(np.int32), near.data)
        state = dict(zip(_ARRAYS, arrays, strict=True))
        write_atomically(folder / "itemknn.safetensors", lambda path: save_file(state, path))

    def _load(self, folder: Path) -> None:
        state = read_safetensors(folder / "itemknn.safetensors", _ARRAYS)
        self.popularity_I_ = state["popularity"]
        size = len(self.popularity_I_)
        parts = (state["similarities"], state["neighbours"], state["offsets"])
        self.neighbours_II_ = sparse.csr_array(parts, shape=(size, size))

    def _catalogue_changed(self, trained: Catalogue) -> None:
        size = len(self.catalogue)
        self.neighbours_II_ = self.neighbours_II_.copy()
        self.neighbours_II_.resize(size, size)
        self.popularity_I_ = np.pad(self.popularity_I_, (0, size - len(trained)))


_ARRAYS = ("popularity", "offsets", "neighbours", "similarities")


def co_consumed(train: Interactions, num_neighbours: int, shrink: float) -> Any:
    """Nearest neighbours of each item by the shrunk cosine over users; sparse (num_items, num_items) float32.

    Raises:
        ConfigError: they do not fit into memory.
    """
    pairs = min((train.histories.lengths.astype(float) ** 2).sum(), train.num_items * float(num_neighbours))
    check_fits(
        f"a list of {num_neighbours:,} neighbours for each of {train.num_items:,} items",
        pairs * 3 * 12,  # a place and a similarity, in blocks, side by side, and as a matrix
        "lower num_neighbours, or filter the data (--k-core)",
    )
    matrix_UI = history_matrix(train.histories, np.ones(train.num_interactions, np.float32), train.num_items)
    matrix_UI.data[:] = 1.0  # taking an item twice says no more than taking it once
    return _cosine_neighbours(matrix_UI, num_neighbours, shrink)


def history_matrix(histories: Histories, values: FloatArray, num_items: int) -> Any:
    """Histories as sparse rows (B, num_items); the values of a repeated item add up."""
    shape = (len(histories), num_items)
    # A copy, since adding up reorders the arrays in place and they belong to the caller.
    matrix_BI = sparse.csr_array((values, histories.items, histories.offsets), shape=shape, copy=True)
    matrix_BI.sum_duplicates()
    return matrix_BI


def share_of_largest(counts_I: IntArray) -> FloatArray:
    """Counts as shares of the largest, from 0 to just below 1."""
    share_I: FloatArray = (counts_I / (counts_I.max() + 1)).astype(np.float32)
    return share_I


def _cosine_neighbours(matrix_UI: Any, num_neighbours: int, shrink: float) -> Any:
    """The largest similarities of each row, without the item itself; sparse (I, I).

    Similarity of items i and j: users of both / (sqrt(users of i * users of j) + shrink). Rows are worked in
    blocks, so that at most BLOCK_PAIRS pairs are held at once. Of equal similarities the lower row stays.
    """
    num_items = matrix_UI.shape[1]
    norm_I = np.sqrt(matrix_UI.sum(axis=0), dtype=np.float32)
    matrix_IU = matrix_UI.T.tocsr()
    block = max(1, BLOCK_PAIRS // num_items)
    rows, cols, values = [], [], []
    for start in range(0, num_items, block):
        pairs = (matrix_IU[start : start + block] @ matrix_UI).tocoo()
        row, col = pairs.coords[0] + start, pairs.coords[1]
        value = pairs.data / (norm_I[row] * norm_I[col] + shrink)
        other = row != col
        row, col, value = row[other], col[other], value[other]
        order = np.lexsort((col, -value, row))
        row, col, value = row[order], col[order], value[order]
        kept = np.arange(len(row)) - np.searchsorted(row, row) < num_neighbours
        rows.append(row[kept])
        cols.append(col[kept])
        values.append(value[kept].astype(np.float32))
    parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.csr_array(parts, shape=(num_items, num_items))
