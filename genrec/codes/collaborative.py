"""Collaborative codes: items that the same users took share the first words of their codes.

"Collaborative indexing" of Hua et al. 2023 (https://arxiv.org/abs/2305.06569): the graph of items, its edges weighted
by how many users took both, is cut into clusters and each of them again, until the groups are small. A cluster is a
word, and an item is the words of its clusters and one of its own. The words are tokens of their own, never text.

Shape suffixes: I items, G items of a group, C clusters.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from scipy.linalg import qr, svd
from scipy.sparse.linalg import ArpackError, eigsh

from genrec.codes.trie import Codes
from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.memory import check_fits
from genrec.data.streams import stream
from genrec.errors import ConfigError

Graph: TypeAlias = "scipy.sparse.csr_array[Any, tuple[int, int]]"


@dataclass(frozen=True)
class WordCodes:
    """Codes written with new words: code i is `words[codes[i][0]], words[codes[i][1]], ...`.

    With the ids that a tokenizer gave the words, `Codes(ids[codes.items], codes.offsets)` are tokens.
    """

    words: tuple[str, ...]
    codes: Codes

    def spelt(self, item: int) -> str:
        """The code of an item for people to read, as in "<c3> <c17> <i5>"."""
        return " ".join(self.words[place] for place in self.codes[item])


def collaborative_codes(
    train: Histories, num_items: int, num_clusters: int = 20, largest_leaf: int = 500, seed: int = 0
) -> WordCodes:
    """Codes from what the users of the training part took together; none is a prefix of another.

    An item that nobody took in training has only the word of its own, as those of a leaf have. A group that the graph
    does not tell apart is cut into even parts at random. Under a second for the 12,000 items of Amazon Beauty; the
    graph of all pairs that anybody took has to fit into memory.

    Args:
        train: histories of the training part, and of nothing else: held-out items would give themselves away.
        num_items: items of the catalogue.
        num_clusters: parts that a group is cut into.
        largest_leaf: items of a group that is cut no further. Also the number of words that clusters have between
            them: they are counted through level by level and begin anew.
        seed: of the order of items in a leaf, which must not follow that of the catalogue: it may tell the test items.

    Raises:
        ConfigError: fewer than two clusters, more than `largest_leaf`, or a graph past the memory.
    """
    if not 2 <= num_clusters <= largest_leaf:
        raise ConfigError(
            f"num_clusters is {num_clusters} with largest_leaf={largest_leaf}: cut into at least 2 clusters and at "
            "most as many as a leaf has items"
        )
    random = stream(seed, "clusters of items")
    graph = _co_occurrences(train, num_items)
    order = random.permutation(num_items)
    taken_I = np.bincount(train.items, minlength=num_items) > 0
    cluster_words: list[list[int]] = [[] for _ in range(num_items)]
    last_word = np.zeros(num_items, np.int64)
    num_cut, groups = 0, deque([order[taken_I[order]]])
    while groups:
        group_G = groups.popleft()
        if len(group_G) <= largest_leaf:
            last_word[group_G] = np.arange(len(group_G))
            continue
        cluster_G = _clusters(graph[group_G][:, group_G], num_clusters, random)
        for cluster in np.unique(cluster_G):
            part = group_G[cluster_G == cluster]
            for item in part.tolist():
                cluster_words[item].append(num_cut % largest_leaf)
            num_cut += 1
            groups.append(part)
    # At the root, which is itself a leaf where few items were taken.
    unseen = order[~taken_I[order]]
    num_at_root = int(taken_I.sum()) if not num_cut else 0
    last_word[unseen] = num_at_root + np.arange(len(unseen))
    num_cluster_words = min(num_cut, largest_leaf)
    words = [f"<c{number}>" for number in range(num_cluster_words)]
    words += [f"<i{number}>" for number in range(int(last_word.max(initial=-1)) + 1)]
    codes = [
        [*own, num_cluster_words + last] for own, last in zip(cluster_words, last_word.tolist(), strict=True)
    ]
    return WordCodes(tuple(words), Codes.from_lists(codes))


def _co_occurrences(train: Histories, num_items: int) -> Graph:
    """How many users took both of two items, each user once; (I, I) without a diagonal."""
    pairs = min((train.lengths.astype(float) ** 2).sum(), float(num_items) ** 2)
    check_fits(
        f"the graph of up to {pairs:,.0f} pairs of items that users took together",
        pairs * 12,  # a count and a place
        "take another code (title, sequential), or filter the data (--k-core)",
    )
    user = np.repeat(np.arange(len(train)), train.lengths)
    taken_UI = scipy.sparse.csr_array(
        (np.ones(len(user)), (user, train.items)), shape=(len(train), num_items)
    )
    taken_UI.data[:] = 1  # a pair that stands there several times was added up
    graph = scipy.sparse.csr_array(taken_UI.T @ taken_UI)
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def _clusters(graph_GG: Graph, num_clusters: int, random: np.random.Generator) -> IntArray:
    """The cluster of each item of a group, at least two of them in use; (G,)."""
    size = graph_GG.shape[0]
    try:
        cluster_G = _assigned(_embedding(graph_GG, num_clusters, random))
    except ArpackError:  # no edge at all, or eigenvalues that lie too close together to be found
        cluster_G = np.zeros(size, np.int64)
    if (cluster_G == cluster_G[0]).all():
        return np.arange(size) % num_clusters  # the items stand in a random order
    return cluster_G


def _embedding(graph_GG: Graph, num_clusters: int, random: np.random.Generator) -> FloatArray:
    """Spectral embedding of a graph by its normalised Laplacian; (G, C).

    The clusters come out as those of scikit-learn's `SpectralClustering` with `assign_labels="cluster_qr"`. That one
    inverts the Laplacian, which fills a sparse graph up (Beauty's first cut took 110 s on a core). Its smallest
    eigenvalues are the largest of the normalised graph, which products alone find (under a second).
    """
    degree_G = graph_GG.sum(axis=1)
    scale_G = 1 / np.sqrt(np.where(degree_G > 0, degree_G, 1))
    scale_GG = scipy.sparse.diags_array(scale_G)
    start_G = random.random(len(scale_G))  # of ARPACK, whose own would differ from call to call
    _, vectors_GC = eigsh(scale_GG @ graph_GG @ scale_GG, num_clusters, which="LA", v0=start_G, tol=1e-5)
    return np.asarray(vectors_GC * scale_G[:, None])


def _assigned(vectors_GC: FloatArray) -> IntArray:
    """The cluster of each row of an embedding; (G,).

    A pivoted QR finds a row that stands for each cluster, and the embedding is turned until these rows lie along the
    axes as well as they can; a row then belongs to its largest axis. Nothing is drawn by chance, unlike in k-means.
    Damle, Minden and Ying 2019, https://arxiv.org/abs/1609.08251.
    """
    _, _, pivot_G = qr(vectors_GC.T, mode="economic", pivoting=True)
    left_CC, _, right_CC = svd(vectors_GC[pivot_G[: vectors_GC.shape[1]]].T)
    return np.asarray(np.abs(vectors_GC @ (left_CC @ right_CC)).argmax(axis=1))
