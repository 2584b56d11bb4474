"""Our numbers beside those of ranx, an independent implementation (https://github.com/AmenRa/ranx).

Slow, as ranx compiles itself on first use: about half a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.data.ranking import Rankings
from genrec.evaluation.metrics import per_user, ranks
from genrec.evaluation.protocol import evaluate_rankings
from genrec.testing import targets

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning"),  # of casts inside ranx
]
KS = (1, 3, 5, 10, 20)
NUM_USERS, NUM_ITEMS, NUM_PLACES = 400, 40, 23


def random_rankings(seed: int, shortest: int) -> Rankings:
    """Lists of `shortest` to 23 different items, no two of a list with the same score."""
    rng = np.random.default_rng(seed)
    items_BK = rng.permuted(np.tile(np.arange(NUM_ITEMS, dtype=np.int32), (NUM_USERS, 1)), axis=1)[
        :, :NUM_PLACES
    ]
    scores_BK = -np.cumsum(rng.random((NUM_USERS, NUM_PLACES), np.float32) + 0.01, axis=1)
    free_BK = np.arange(NUM_PLACES) >= rng.integers(shortest, NUM_PLACES + 1, NUM_USERS)[:, None]
    items_BK[free_BK], scores_BK[free_BK] = -1, -np.inf
    return Rankings(items_BK, scores_BK, np.zeros(NUM_USERS, bool))


def by_ranx(rankings: Rankings, target_B: Any) -> dict[str, Any]:
    """HR, NDCG and MRR of each user as ranx counts them. It knows no empty list: there, something else stands."""
    import ranx

    users = [f"u{user:04d}" for user in range(len(rankings))]
    asked = ranx.Qrels({user: {str(item): 1} for user, item in zip(users, target_B, strict=True)})
    lists = {
        user: {str(item): float(score) for item, score in zip(*row, strict=True) if item >= 0}
        or {"none": 0.0}
        for user, *row in zip(users, rankings.items_BK, rankings.scores_BK, strict=True)
    }
    names = {f"HR@{k}": f"hit_rate@{k}" for k in KS} | {f"NDCG@{k}": f"ndcg@{k}" for k in KS}
    names["MRR"] = f"mrr@{max(KS)}"
    found = ranx.evaluate(asked, ranx.Run(lists), list(names.values()), return_mean=False)
    return {ours: found[theirs] for ours, theirs in names.items()}


def test_every_user_has_the_same_metrics_with_lists_of_any_length() -> None:
    rankings = random_rankings(seed=0, shortest=0)
    target_B = np.random.default_rng(1).integers(0, NUM_ITEMS, NUM_USERS)
    ours = per_user(ranks(rankings, target_B), KS)
    theirs = by_ranx(rankings, target_B)
    assert set(ours) == set(theirs)
    assert 0.1 < ours["HR@10"].mean() < 0.5
    for name, values_B in ours.items():
        np.testing.assert_allclose(values_B, theirs[name], rtol=0, atol=1e-12, err_msg=name)


def test_the_protocol_has_the_same_means_seen_items_dropped_and_not() -> None:
    rankings = random_rankings(seed=2, shortest=NUM_PLACES)
    rng = np.random.default_rng(3)
    histories = [rng.integers(0, NUM_ITEMS, 3) for _ in range(NUM_USERS)]
    questions = targets(histories, rng.integers(0, NUM_ITEMS, NUM_USERS), NUM_ITEMS)
    found = evaluate_rankings(rankings, questions, ks=KS)
    assert found.unfiltered is not None
    dropped = np.array(
        [np.isin(row, history) for row, history in zip(rankings.items_BK, histories, strict=True)]
    )
    unseen = Rankings(
        np.where(dropped, -1, rankings.items_BK),
        np.where(dropped, -np.inf, rankings.scores_BK),
        rankings.exact_B,
    )
    for metrics, lists in ((found.metrics, unseen), (found.unfiltered, rankings)):
        theirs = by_ranx(lists, questions.items)
        for name in found.intervals:
            assert metrics[name] == pytest.approx(theirs[name].mean(), abs=1e-12), name
    assert found.metrics["MRR"] != found.unfiltered["MRR"]
