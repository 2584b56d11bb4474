"""Candidates: what a retriever proposes to `palr`, and the lists that `palr` learns to choose from.

Shapes: B histories, I items, K or N entries of a list, P proposals, D draws of a kind, V values of attributes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.flat import Draw, any_of, distinct, places, rows_of
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, DataError
from genrec.recommenders.base import Recommender
from genrec.recommenders.itemknn import co_consumed
from genrec.recommenders.language.experts import scores_of
from genrec.recommenders.palr.affinity import SHRINK

NUM_NEIGHBOURS = 50  # co-consumed items of each item that negatives are drawn from
NUM_RECENT = 20  # last items of a history that negatives are similar to
BLOCK_LISTS = 4096  # lists drawn at once


def retrieve(
    retriever: Recommender,
    histories: Histories,
    k: int,
    *,
    exclude_seen: bool = True,
    catalogue: Catalogue | None = None,
    allowed: BoolArray | None = None,
) -> Rankings:
    """The best `k` candidates of a fitted retriever for each history, best first.

    Args:
        retriever: any fitted recommender.
        histories: B lists of rows of `catalogue`.
        k: candidates wanted; all that there are where fewer may be recommended (the rest is -1).
        exclude_seen: no item of the history is a candidate.
        catalogue: whose rows histories, `allowed` and the answer count in; None: the retriever's own. The same items
            in another order are matched by their ids.
        allowed: mask (num_items,) or (B, num_items) of the items that may be candidates; None: all.

    Raises:
        NotFittedError: the retriever was not fitted.
        ConfigError: k below 1, the retriever was fitted on other items, or it returns too few candidates or rows
            that are no items.
    """
    there_I = _matched(retriever, retriever.catalogue if catalogue is None else catalogue)
    back_I = np.argsort(there_I)
    asked = Histories(there_I[histories.items], histories.offsets, histories.users)
    allowed_there = None if allowed is None else allowed[..., back_I]
    found = retriever.rank(asked, k, exclude_seen=exclude_seen, allowed=allowed_there)
    _check_candidates(retriever, found, asked, k, exclude_seen, allowed_there)
    items_BK = np.where(found.items_BK < 0, -1, back_I[found.items_BK]).astype(np.int32)
    return Rankings(items_BK, found.scores_BK, found.exact_B)


def part_scores(
    retriever: Recommender, histories: Histories, candidates_BC: IntArray, catalogue: Catalogue
) -> dict[str, FloatArray]:
    """The scores that a retriever adds up, by name, (B, C), of its candidates.

    Args:
        retriever: one with a score for every item.
        histories, candidates_BC: rows of `catalogue`; -1 where there are fewer, with any score.
        catalogue: as in `retrieve`.
    """
    there_I = _matched(retriever, catalogue)
    asked = Histories(there_I[histories.items], histories.offsets, histories.users)
    rows_BC = there_I[np.maximum(candidates_BC, 0)]
    return {
        name: np.take_along_axis(scores_BI, rows_BC, axis=1)
        for name, scores_BI in scores_of(retriever, asked).items()
    }


def _matched(retriever: Recommender, catalogue: Catalogue) -> IntArray:
    """The retriever's row of each item of `catalogue`, (I,) int32."""
    known = retriever.catalogue
    if known is catalogue or known.ids == catalogue.ids:
        return np.arange(len(known), dtype=np.int32)
    strange = [item_id for item_id in known.ids if catalogue.get(item_id) is None]
    lacking = [item_id for item_id in catalogue.ids if known.get(item_id) is None]
    if strange or lacking:
        example = f"knows {strange[0]!r}" if strange else f"does not know {lacking[0]!r}"
        raise ConfigError(
            f"the retriever {retriever.name} was fitted on another catalogue: {len(strange)} of its {len(known)} "
            f"items are not among these {len(catalogue)} and {len(lacking)} of these it lacks (it {example}): fit it "
            "on the same data"
        )
    return np.array([known.get(item_id) for item_id in catalogue.ids], np.int32)


def _check_candidates(
    retriever: Recommender,
    found: Rankings,
    histories: Histories,
    k: int,
    exclude_seen: bool,
    allowed: BoolArray | None,
) -> None:
    """Raise unless each list holds `k` items of the retriever's catalogue, or all that may be returned."""
    num_items = len(retriever.catalogue)
    if found.items_BK.max(initial=-1) >= num_items:
        raise ConfigError(
            f"the retriever {retriever.name} proposes row {found.items_BK.max()} of a catalogue of {num_items} items: "
            "it was changed since it was fitted; fit it again"
        )
    allowed_I = ~retriever.removed_ if allowed is None else allowed & ~retriever.removed_
    allowed_BI = np.broadcast_to(allowed_I, (len(histories), num_items))
    free_B = np.count_nonzero(allowed_BI, axis=1)
    if exclude_seen:
        row, item = np.divmod(np.unique(rows_of(histories) * num_items + histories.items), num_items)
        free_B -= np.bincount(row[allowed_BI[row, item]], minlength=len(histories))
    num_found_B = np.count_nonzero(found.items_BK >= 0, axis=1)
    short = np.flatnonzero(num_found_B < np.minimum(free_B, k))
    if len(short):
        first = short[0]
        raise ConfigError(
            f"the retriever {retriever.name} returns {num_found_B[first]} candidates for history {first}, though {k} "
            f"were asked for and {free_B[first]} items may be recommended ({len(short)} such histories): choose "
            "another retriever, or a smaller k"
        )


def ceiling(rankings: Rankings, targets_items: IntArray) -> float:
    """Share of the B users whose target is among their candidates: HR@K, which no choice from them can pass.

    Args:
        rankings: candidates of B users.
        targets_items: the item that each of them did take; (B,).

    Raises:
        DataError: no users, or another number of targets than of lists.
    """
    if not len(rankings) or len(rankings) != len(targets_items):
        raise DataError(
            f"{len(rankings)} candidate lists and {len(targets_items)} targets: give one target a list"
        )
    return float((rankings.items_BK == np.asarray(targets_items)[:, None]).any(axis=1).mean())


def filled_up(
    ranked_BC: IntArray, scores_BC: FloatArray, proposed_BK: IntArray, k: int
) -> tuple[Rankings, BoolArray]:
    """Lists of `k` items: those that were ranked, then the retriever's others in its order, marked in the mask (B, k).

    Args:
        ranked_BC: best first; -1 where there are fewer.
        scores_BC: their scores; those of the others go on falling below.
        proposed_BK: what the retriever proposed, all of the ranked among it.
        k: items wanted; the lists hold fewer where fewer were proposed.
    """
    shape = (len(ranked_BC), k)
    items_Bk, scores_Bk = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    filled_Bk = np.zeros(shape, bool)
    for row, (ranked, scores, proposed) in enumerate(zip(ranked_BC, scores_BC, proposed_BK, strict=True)):
        ranked, scores = ranked[ranked >= 0], scores[ranked >= 0]
        rest = proposed[(proposed >= 0) & ~np.isin(proposed, ranked)]
        items = np.concatenate([ranked, rest])[:k]
        items_Bk[row, : len(items)] = items
        lower = scores.min(initial=0.0) - 1 - np.arange(len(rest))
        scores_Bk[row, : len(items)] = np.concatenate([scores, lower])[:k]
        filled_Bk[row, len(ranked) : len(items)] = True
    return Rankings(items_Bk, scores_Bk, np.asarray(~filled_Bk.any(axis=1))), filled_Bk


class CandidateLists:
    """Lists to learn choosing from: all targets of an example among negatives that resemble them.

    Negatives come by turns from the head of a retriever's ranking (where one is given), from the items that were
    taken by the same users, and from those that share a value of an attribute (genre, category, brand; rare values
    more, popular items more), and where these run dry from the whole catalogue. Half of the drawn ones resemble a
    target and half the end of the history: resembled all of them a target, the item that is most like the others
    would be the answer. PALR names the kinds, not the numbers (Yang et al. 2023, https://arxiv.org/abs/2305.07622).

    Args:
        train: interactions of the training part; nothing else is looked at.
        num_candidates: length of a list, targets included.

    Raises:
        ConfigError: `num_candidates` below 1.
    """

    def __init__(self, train: Interactions, num_candidates: int = 50) -> None:
        if num_candidates < 1:
            raise ConfigError(f"num_candidates is {num_candidates}; a list needs at least 1")
        self.num_candidates = num_candidates
        self.num_items = train.num_items
        self._co_consumed = Draw.by(co_consumed(train, NUM_NEIGHBOURS, SHRINK))
        holds_IV = _attribute_values(train.catalogue)
        num_holders_V = np.bincount(holds_IV.indices, minlength=holds_IV.shape[1])
        taken_I = np.bincount(train.histories.items, minlength=self.num_items)
        rarity_V = np.where(num_holders_V > 1, np.log(self.num_items / np.maximum(num_holders_V, 1)), 0)
        self._value = Draw.by(holds_IV * rarity_V[None, :])
        self._holder = Draw.by(holds_IV.T.tocsr() * (taken_I + 1.0)[None, :])

    def draw(
        self,
        histories: Histories,
        targets: Histories,
        rng: np.random.Generator,
        *,
        rankings: Rankings | None = None,
    ) -> IntArray:
        """One shuffled list for each of B examples; (B, num_candidates) int32.

        A list holds each target once and no other item of the history, and is padded with -1 where the catalogue is
        too small. Give whole histories, not only what a prompt shows of them.

        Args:
            histories: B lists of catalogue rows, oldest first.
            targets: what each example has to find; B lists.
            rng: where the drawing takes its chances from; the same state gives the same lists.
            rankings: a retriever's candidates for these histories.

        Raises:
            ConfigError: more targets than a list has places, or another number of targets or rankings than of
                histories.
        """
        if len(targets) != len(histories) or (rankings is not None and len(rankings) != len(histories)):
            raise ConfigError(
                f"{len(histories)} histories need as many lists of targets, and as many rankings"
            )
        parts: list[IntArray] = [np.empty((0, self.num_candidates), np.int32)]
        for start in range(0, len(histories), BLOCK_LISTS):
            rows = np.arange(start, min(start + BLOCK_LISTS, len(histories)))
            given = None if rankings is None else rankings.take(rows).items_BK
            parts.append(self._block(histories.take(rows), targets.take(rows), rng, given))
        return np.concatenate(parts)

    def one(self, history: IntArray, targets: IntArray, rng: np.random.Generator) -> IntArray:
        """The list of one example, without padding."""
        asked, wanted = (Histories.from_lists([items]) for items in (history, targets))
        found = self.draw(asked, wanted, rng)[0]
        return np.asarray(found[found >= 0])

    def _block(
        self,
        histories: Histories,
        targets: Histories,
        rng: np.random.Generator,
        retrieved_BK: IntArray | None,
    ) -> IntArray:
        lists_BN = np.full((len(histories), self.num_candidates), -1, np.int32)
        row, item = distinct(rows_of(targets), targets.items, self.num_items)
        num_targets_B = np.bincount(row, minlength=len(histories))
        if num_targets_B.max() > self.num_candidates:
            raise ConfigError(
                f"an example has {num_targets_B.max()} targets and a list {self.num_candidates} places: raise "
                "num_candidates, or ask for fewer targets"
            )
        lists_BN[row, places(row)] = item

        proposals_BP = self._proposals(histories, targets, rng, retrieved_BK)
        proposed, column = np.nonzero(proposals_BP >= 0)
        row, item = distinct(
            proposed,
            proposals_BP[proposed, column],
            self.num_items,
            without=(
                np.concatenate([rows_of(histories), rows_of(targets)]),
                np.concatenate([histories.items, targets.items]),
            ),
        )
        place = num_targets_B[row] + places(row)
        kept = place < self.num_candidates
        lists_BN[row[kept], place[kept]] = item[kept]
        for short in np.flatnonzero(lists_BN[:, -1] < 0):
            self._fill(lists_BN[short], histories[int(short)], rng)

        keys_BN = rng.random(lists_BN.shape) + (lists_BN < 0)  # what pads a list stays at its end
        return np.take_along_axis(lists_BN, np.argsort(keys_BN, axis=1), axis=1)

    def _proposals(
        self,
        histories: Histories,
        targets: Histories,
        rng: np.random.Generator,
        retrieved_BK: IntArray | None,
    ) -> IntArray:
        """Negatives to choose from, the first ones first, -1 where a draw found nothing; (B, P)."""
        shape = (len(histories), 2 * self.num_candidates)  # twice: some are drawn again, or have been taken
        at_target_BD = any_of(targets, rng, shape)
        at_recent_BD = any_of(histories, rng, shape, NUM_RECENT)
        of_target_BD = (rng.random(shape) < 0.5) & (at_target_BD >= 0) | (at_recent_BD < 0)
        similar_to_BD = np.where(of_target_BD, at_target_BD, at_recent_BD)
        sources = [
            self._co_consumed.draw(similar_to_BD, rng),
            self._holder.draw(self._value.draw(similar_to_BD, rng), rng),
        ]
        if retrieved_BK is not None:
            head_BD = np.full(shape, -1, np.int32)
            head_BD[:, : retrieved_BK.shape[1]] = retrieved_BK[:, : shape[1]]
            sources.insert(0, head_BD)
        return np.stack(sources, axis=2).reshape(len(histories), -1)

    def _fill(self, list_N: IntArray, history: IntArray, rng: np.random.Generator) -> None:
        """Write items of the whole catalogue to the free end of a list, as far as they go."""
        free = np.flatnonzero(list_N < 0)
        pool = np.setdiff1d(np.arange(self.num_items), np.concatenate([history, list_N]))
        drawn = rng.permutation(pool)[: len(free)]
        list_N[free[: len(drawn)]] = drawn


def _attribute_values(catalogue: Catalogue) -> Any:
    """Which values of its fields each item holds, the title aside; sparse (num_items, V) of ones."""
    held = [sparse.csr_array((len(catalogue), 0))]
    for name in catalogue.text_fields:
        if name == "title":
            continue
        column = pl.DataFrame({"row": np.arange(len(catalogue)), "value": catalogue.table[name]})
        if column.schema["value"] != pl.String:
            column = column.explode("value")
        column = column.drop_nulls().unique(maintain_order=True)
        value_F = column["value"].rank("dense").to_numpy().astype(np.int64) - 1
        shape = (len(catalogue), int(value_F.max(initial=-1)) + 1)
        held.append(
            sparse.csr_array((np.ones(len(value_F)), (column["row"].to_numpy(), value_F)), shape=shape)
        )
    return sparse.hstack(held, format="csr")
