"""TF-IDF: what reads like the history, by the words of titles and attributes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field
from safetensors.numpy import save_file

from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.errors import CatalogueError
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.itemknn import history_matrix, share_of_largest
from genrec.recommenders.options import Config


class TfidfConfig(Config):
    """Options of `tfidf`.

    BM25's two constants are the usual ones; `decay` is one compromise between the validation parts of ML-100K and
    Amazon Beauty. The cosine is better where texts are long (Beauty), BM25 where they are short (films).
    """

    weighting: Literal["bm25", "tfidf"] = Field(
        "bm25", description="of words: bm25, better for short texts (films), or tfidf's cosine, for long ones"
    )
    saturation: float = Field(
        1.2, ge=0, le=1000, description="BM25's k1: 0 counts a word once, however often it is said"
    )
    length_penalty: float = Field(
        0.75, ge=0, le=1, description="BM25's b: 0 treats short and long texts alike"
    )
    decay: float = Field(
        0.7, gt=0, le=1, description="weight of an item of a history against the next one; 1: all alike"
    )


@register("tfidf")
class Tfidf(Recommender):
    """texts of the items -> weights of their words -> every item held against the history's text, last item most.

    An item's text is its title and all its fields that are a string or a list of strings (brand, categories,
    genres). Its score is the mean over the history, weighted by `decay`, of what each item asks for: as the words of
    a BM25 query (Robertson & Zaragoza 2009, https://doi.org/10.1561/1500000019), or by the cosine of TF-IDF vectors
    (Salton & Buckley 1988, https://doi.org/10.1016/0306-4573(88)90021-0). Words that stand in at least half of the
    items count nothing. An item that shares no word with the history comes last, by popularity.

    Only popularity is learnt from interactions, so a new item can be recommended by its text alone. Scoring costs
    the occurrences of a history's words over the catalogue: comfortable up to some 100k items.
    """

    Config = TfidfConfig
    pipeline: ClassVar[str] = (
        "titles and attributes -> weights of their words -> items that read like the history, last item most"
    )
    paper: ClassVar[str] = "Robertson & Zaragoza 2009 (BM25), https://doi.org/10.1561/1500000019"
    sequential: ClassVar[bool] = False

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        self._index()
        self.popularity_I_: FloatArray = share_of_largest(
            np.bincount(train.histories.items, minlength=train.num_items)
        )

    def _index(self) -> None:
        """Weigh the words of the catalogue's texts, as they ask (queries) and as they answer (answers)."""
        check_titled(self.catalogue, self.name, "use itemknn")
        counts_IW = word_counts(self.catalogue)
        if self.config.weighting == "bm25":
            self.queries_IW_ = _binary(counts_IW)
            self.answers_WI_ = _bm25(counts_IW, self.config.saturation, self.config.length_penalty).T.tocsr()
        else:
            self.queries_IW_ = unit_tfidf(counts_IW)
            self.answers_WI_ = self.queries_IW_.T.tocsr()

    def _score(self, histories: Histories) -> FloatArray:
        weights = np.power(self.config.decay, histories.ages)
        totals = np.bincount(histories.rows, weights, len(histories))
        mean_BI = history_matrix(
            histories,
            (weights / np.repeat(totals, histories.lengths)).astype(np.float32),
            len(self.catalogue),
        )
        scores_BI = (mean_BI @ self.queries_IW_ @ self.answers_WI_).toarray()
        return np.where(
            scores_BI > 0, scores_BI, self.popularity_I_ - 1
        )  # below every item with a shared word

    def _save(self, folder: Path) -> None:
        state = {"popularity": self.popularity_I_}  # the rest follows from the catalogue
        write_atomically(folder / "tfidf.safetensors", lambda path: save_file(state, path))

    def _load(self, folder: Path) -> None:
        self.popularity_I_ = read_safetensors(folder / "tfidf.safetensors", ["popularity"])["popularity"]
        self._index()

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self._index()
        self.popularity_I_ = np.pad(self.popularity_I_, (0, len(self.catalogue) - len(trained)))


def check_titled(catalogue: Catalogue, who: str, otherwise: str) -> None:
    """Raise where there are no texts to compare.

    Args:
        catalogue: the items.
        who: compares them.
        otherwise: what to do about items without titles.

    Raises:
        CatalogueError: the items have only ids.
    """
    if not catalogue.titled:
        raise CatalogueError(
            f"{who} compares the texts of items, and these {len(catalogue)} items have only ids: "
            f"read the data with titles, or {otherwise}"
        )


def word_counts(catalogue: Catalogue) -> Any:
    """How often each word stands in an item's text; sparse (num_items, words), case and punctuation aside."""
    texts = [""] * len(catalogue)
    for name in catalogue.text_fields:
        column = catalogue.table[name]
        if column.dtype != pl.String:
            column = column.list.join(" ", ignore_nulls=True)
        texts = [f"{text} {more}" for text, more in zip(texts, column.fill_null(""), strict=True)]
    number_of: dict[str, int] = {}
    rows = [
        [number_of.setdefault(word, len(number_of)) for word in re.findall(r"\w+", text.casefold())]
        for text in texts
    ]
    words = Histories.from_lists(rows)
    return history_matrix(words, np.ones(len(words.items), np.float32), len(number_of))


def _binary(counts_IW: Any) -> Any:
    ones_IW = counts_IW.copy()
    ones_IW.data[:] = 1.0
    return ones_IW


def _rarity(counts_IW: Any) -> FloatArray:
    """Robertson & Spärck Jones' weight of each word, at least 0; (words,) float32."""
    num_items, num_words = counts_IW.shape
    holders_W: IntArray = np.bincount(counts_IW.indices, minlength=num_words)
    rarity_W: FloatArray = np.log((num_items - holders_W + 0.5) / (holders_W + 0.5)).astype(np.float32)
    return np.maximum(rarity_W, 0)


def _bm25(counts_IW: Any, saturation: float, length_penalty: float) -> Any:
    """BM25's weight of each word in each item; sparse (num_items, words)."""
    words_I = counts_IW.sum(axis=1)
    relative_I = words_I / max(words_I.mean(), 1.0)
    damping_I = saturation * (1 - length_penalty + length_penalty * relative_I)
    weights_IW = counts_IW.copy()
    count = counts_IW.data
    damping = np.repeat(damping_I, np.diff(counts_IW.indptr))
    weights_IW.data = _rarity(counts_IW)[counts_IW.indices] * count * (saturation + 1) / (count + damping)
    return _without_zeros(weights_IW)


def unit_tfidf(counts_IW: Any) -> Any:
    """(1 + log count) * rarity, each item's vector of length 1; sparse (num_items, words)."""
    weights_IW = counts_IW.copy()
    weights_IW.data = (1 + np.log(counts_IW.data)) * _rarity(counts_IW)[counts_IW.indices]
    norm_I = np.sqrt(weights_IW.multiply(weights_IW).sum(axis=1))
    weights_IW.data /= np.repeat(np.where(norm_I > 0, norm_I, 1), np.diff(weights_IW.indptr))
    return _without_zeros(weights_IW)


def _without_zeros(weights_IW: Any) -> Any:
    weights_IW.data = weights_IW.data.astype(np.float32)
    weights_IW.eliminate_zeros()
    return weights_IW
