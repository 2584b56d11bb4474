"""What needs no learning: rules and counts that every recommender has to be held against, in a moment.

Shapes: B users, I items, K entries of a list. Ranks count from 1, seen items are left out, ties are broken against
the rule; 0 says that the target cannot be reached.
"""

from __future__ import annotations

import numpy as np

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import best_ranks


def next_numbers(numbers_I: IntArray, histories: Histories, k: int = 10) -> Rankings:
    """The rule "recommend the k items that come next after the highest number in the history".

    It knows nothing but numbers, so whatever it finds was told by them. Where items were numbered by first appearance
    over whole histories, a user's next new item is the highest number so far plus one
    (https://github.com/jeykigung/P5/pull/3).

    Args:
        numbers_I: a different number for each item; only their order counts, so gaps do no harm.
        histories: B lists of items.
        k: length of the lists.
    """
    item_at_I = np.argsort(numbers_I, kind="stable")
    place_I = np.empty(len(item_at_I), np.int64)
    place_I[item_at_I] = np.arange(len(item_at_I))
    highest_B = np.full(len(histories), len(item_at_I))  # an empty history: nothing comes next
    filled_B = histories.lengths > 0
    if filled_B.any():
        starts = histories.offsets[:-1][filled_B]
        highest_B[filled_B] = np.maximum.reduceat(place_I[histories.items], starts)
    place_BK = highest_B[:, None] + np.arange(1, k + 1)
    there_BK = place_BK < len(item_at_I)
    items_BK = np.where(there_BK, item_at_I[np.minimum(place_BK, len(item_at_I) - 1)], -1)
    scores_BK = np.where(there_BK, -np.arange(k, dtype=np.float32), np.float32(-np.inf))
    return Rankings(items_BK.astype(np.int32), scores_BK, np.ones(len(histories), bool))


def popularity_ranks(train: Interactions, targets: Targets) -> IntArray:
    """Rank of each target among the unseen items by their number of training interactions; (B,) int64.

    A target in its own history is left out and has rank 0. At cut-offs up to 20 the hits are those of the recommender
    `popular` under the protocol. Of an order, the rank of the item that stands first.
    """
    if targets.orders is not None:
        return best_ranks(popularity_ranks(train, targets.apart()), targets.orders)
    num_items = train.num_items
    counts_I = np.bincount(train.histories.items, minlength=num_items)
    not_less_I = num_items - np.searchsorted(np.sort(counts_I), counts_I, side="left")  # itself included
    user, item = np.divmod(distinct_pairs(targets.histories, num_items), num_items)
    target = targets.items[user]
    before = (counts_I[item] >= counts_I[target]) & (item != target)
    ranks_B = not_less_I[targets.items] - np.bincount(user[before], minlength=len(targets))
    return np.where(in_history(targets.histories, targets.items), 0, ranks_B)


def following_ranks(train: Interactions, targets: Targets) -> IntArray:
    """Rank of each target among the unseen items by how often they followed the history's last item; (B,) int64.

    A first-order Markov chain on counts of neighbours in the training histories, equal counts ordered by popularity
    (the MC baseline of Rendle et al. 2010, https://doi.org/10.1145/1772690.1772773, without factors). Items that
    never followed have rank 0, as has every target of an empty history. Of an order, the rank of the item that stands
    first.
    """
    if targets.orders is not None:
        return best_ranks(following_ranks(train, targets.apart()), targets.orders)
    num_items, histories = train.num_items, train.histories
    popularity_I = np.bincount(histories.items, minlength=num_items)
    inner = np.ones(len(histories.items), bool)
    inner[histories.offsets[:-1][histories.lengths > 0]] = False
    after = np.flatnonzero(inner)
    steps = histories.items[after - 1].astype(np.int64) * num_items + histories.items[after]
    step_P, counts_P = np.unique(steps, return_counts=True)
    from_P, to_P = np.divmod(step_P, num_items)
    score_P = counts_P + popularity_I[to_P] / (popularity_I.max(initial=0) + 1)
    first_I = np.searchsorted(from_P, np.arange(num_items + 1))

    asked_B = np.flatnonzero(targets.histories.lengths > 0)
    last_B = targets.histories.items[targets.histories.offsets[1:][asked_B] - 1]
    num_B = first_I[last_B + 1] - first_I[last_B]
    user = np.repeat(asked_B, num_B)
    pair = np.repeat(first_I[last_B] - (np.cumsum(num_B) - num_B), num_B) + np.arange(len(user))
    hit = to_P[pair] == targets.items[user]
    target_score_B = np.full(len(targets), np.inf)
    target_score_B[user[hit]] = score_P[pair[hit]]
    target_score_B[in_history(targets.histories, targets.items)] = np.inf  # left out itself
    before = score_P[pair] >= target_score_B[user]
    user, pair = user[before], pair[before]
    seen_pairs = distinct_pairs(targets.histories, num_items)
    asked_pairs = user * num_items + to_P[pair]
    at = np.minimum(np.searchsorted(seen_pairs, asked_pairs), len(seen_pairs) - 1)
    return np.bincount(user[seen_pairs[at] != asked_pairs], minlength=len(targets))


def in_history(histories: Histories, items_B: IntArray) -> BoolArray:
    """Whether the item of each list stands in it already; (B,)."""
    users = histories.rows
    return np.bincount(users[histories.items == items_B[users]], minlength=len(histories)) > 0


def distinct_pairs(histories: Histories, num_items: int) -> IntArray:
    """Each different (list, item) as the number list x num_items + item, ascending."""
    users = np.repeat(np.arange(len(histories), dtype=np.int64), histories.lengths)
    pairs = np.sort(users * num_items + histories.items)  # a sort is several times faster than np.unique here
    return pairs[np.append(True, pairs[1:] != pairs[:-1])] if len(pairs) else pairs
