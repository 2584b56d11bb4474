"""What is written for an item, and in which order: names for `words.py`, made of texts and the training part alone.

A name is a few words that several items share, and then the title, so the trie branches by those words first. What is
written is also what an item is read as.

Shape suffixes: I items, W words, G items of a group, D width of a text's vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from genrec.codes.collaborative import collaborative_codes
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import IntArray, Interactions
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

KEYWORDS = 3
TEXT_WIDTH = 64
PARTS, LEVELS = 32, 3  # that a group of texts is cut into, and how often it is cut
Groups = list[list[int]]  # of each item the clusters that it is in, from the widest to the narrowest


def categories(train: Interactions, seed: int) -> list[str]:
    """Categories or genres as they stand, mostly from wide to narrow."""
    return _joined(_lists(train.catalogue), train.catalogue.titles)


def categories_last(train: Interactions, seed: int) -> list[str]:
    """The same behind the title: read all the same, but hardly ever written."""
    return _joined(train.catalogue.titles, _lists(train.catalogue))


def keywords(train: Interactions, seed: int) -> list[str]:
    """Of the words that another item has as well the most telling ones, the rarest first."""
    weights_IW, words = _words(train.catalogue)
    told = []
    for first, end in zip(weights_IW.indptr, weights_IW.indptr[1:], strict=False):
        best = np.argsort(-weights_IW.data[first:end], kind="stable")[:KEYWORDS]
        told.append(" ".join(words[weights_IW.indices[first:end][best]]))
    return _joined(told, train.catalogue.titles)


def clusters(train: Interactions, seed: int) -> list[str]:
    """Clusters of what the same users took in training, by invented words."""
    told = [" ".join(map(_invented, row)) for row in _taken_together(train, seed)]
    return _joined(told, train.catalogue.titles)


def named_clusters(train: Interactions, seed: int) -> list[str]:
    """The same clusters, by their most telling words."""
    return _joined(_named(_taken_together(train, seed), train.catalogue), train.catalogue.titles)


def hierarchy(train: Interactions, seed: int) -> list[str]:
    """Clusters of texts within clusters, by their most telling words.

    After the hierarchical semantics indexing of GRAM (Lee et al. 2025, https://arxiv.org/abs/2506.01673), with the main
    directions of TF-IDF in place of the vectors of a large language model, and the title behind.
    """
    weights_IW, _ = _words(train.catalogue)
    vectors_ID = TruncatedSVD(TEXT_WIDTH, random_state=seed).fit_transform(weights_IW)
    vectors_ID /= np.maximum(np.linalg.norm(vectors_ID, axis=1, keepdims=True), 1e-9)
    groups: Groups = [[] for _ in range(len(vectors_ID))]
    number, wide = 0, [np.arange(len(vectors_ID))]
    for _ in range(LEVELS):
        narrow: list[IntArray] = []
        for items_G in wide:
            found_G = MiniBatchKMeans(PARTS, random_state=seed, n_init=3).fit_predict(vectors_ID[items_G])
            for cluster in np.unique(found_G):
                part = items_G[found_G == cluster]
                for item in part.tolist():
                    groups[item].append(number)
                number += 1
                if len(part) > PARTS:
                    narrow.append(part)
        wide = narrow
    return _joined(_named(groups, train.catalogue), train.catalogue.titles)


ORDERS: dict[str, Callable[[Interactions, int], list[str]]] = {
    "categories": categories,
    "categories-last": categories_last,
    "keywords": keywords,
    "clusters": clusters,
    "named-clusters": named_clusters,
    "hierarchy": hierarchy,
}


def _joined(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return [f"{one} {other}".strip() for one, other in zip(first, second, strict=True)]


def _lists(catalogue: Catalogue) -> list[str]:
    """The values of the fields that are lists, of each item."""
    table = catalogue.table
    fields = [name for name, dtype in table.schema.items() if dtype == pl.List(pl.String)]
    columns = [table[name].list.join(" ", ignore_nulls=True).fill_null("") for name in fields]
    return [" ".join(parts) for parts in zip(*columns, strict=True)]


def _words(catalogue: Catalogue) -> tuple[Any, Any]:
    """TF-IDF (I, W) of the words of titles and fields that several items have, and the words (W,)."""
    table = catalogue.table
    fields = [name for name in catalogue.text_fields if table[name].dtype == pl.String]
    texts = [table[name].fill_null("").to_list() for name in fields] + [_lists(catalogue)]
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", min_df=2, max_df=0.5, sublinear_tf=True)
    weights_IW = vectorizer.fit_transform([" ".join(parts) for parts in zip(*texts, strict=True)]).tocsr()
    return weights_IW, vectorizer.get_feature_names_out()


def _taken_together(train: Interactions, seed: int) -> Groups:
    """The clusters of collaborative codes; an item that nobody took in training is in none."""
    coded = collaborative_codes(train.histories, len(train.catalogue), largest_leaf=100, seed=seed)
    numbers: dict[tuple[int, ...], int] = {}
    return [
        [numbers.setdefault(tuple(row[:end]), len(numbers)) for end in range(1, len(row))]
        for row in (code.tolist() for code in coded.codes)
    ]


def _invented(number: int) -> str:
    """A word of letters that stands in no title."""
    letters = ""
    while number or not letters:
        number, letter = divmod(number, 26)
        letters += chr(ord("a") + letter)
    return f"qx{letters}"


def _named(groups: Groups, catalogue: Catalogue) -> list[str]:
    """The words of each item's clusters: the most telling one of each, on no two of a way, of no two in one place."""
    weights_IW, words = _words(catalogue)
    items_of: dict[tuple[int, ...], list[int]] = {}
    for item, row in enumerate(groups):
        for end in range(1, len(row) + 1):
            items_of.setdefault(tuple(row[:end]), []).append(item)
    name_of: dict[tuple[int, ...], str] = {}
    taken: dict[tuple[int, ...], set[str]] = {}
    for way, items in sorted(items_of.items(), key=lambda pair: (len(pair[0]), -len(pair[1]), pair[0])):
        beside = taken.setdefault(way[:-1], {name_of[way[:end]] for end in range(1, len(way))})
        mean_W = np.asarray(weights_IW[items].mean(axis=0)).ravel()
        best = (words[place] for place in np.argsort(-mean_W, kind="stable"))
        name_of[way] = next(word for word in best if word not in beside)
        beside.add(name_of[way])
    return [" ".join(name_of[tuple(row[:end])] for end in range(1, len(row) + 1)) for row in groups]
