"""Whether lists hold what the user has taken already: shops whose customers buy again ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genrec.data.ranking import Rankings
from genrec.errors import one_of

if TYPE_CHECKING:
    from genrec.data.catalogue import BoolArray
    from genrec.data.interactions import Histories
    from genrec.recommenders.base import Recommender

REPEATS = ("never", "allow", "only")


def rank_repeats(
    model: Recommender,
    histories: Histories,
    k: int,
    *,
    repeat: str,
    allowed: BoolArray | None,
    **options: Any,
) -> Rankings:
    """The best items of each history, without what it holds, with it, or out of that alone.

    Args:
        model: fitted.
        histories: B lists of catalogue rows, oldest first.
        k: items wanted.
        repeat: `never`, `allow` or `only`.
        allowed: mask (num_items,) of the items that may be returned; None: all.
        options: of `Recommender.rank`.

    Raises:
        ConfigError: another `repeat`, or see `Recommender.rank`.
    """
    one_of(repeat, REPEATS, "--repeat")
    if repeat != "only":
        return model.rank(histories, k, exclude_seen=repeat == "never", allowed=allowed, **options)
    # A mask for each user, so for no more of them than are ranked at once.
    at_once = options.get("batch_size") or model.config.ranking_batch
    parts = []
    for start in range(0, len(histories), at_once):
        some = histories.take(np.arange(start, min(start + at_once, len(histories))))
        own = np.zeros((len(some), len(model.catalogue)), bool)
        own[some.rows, some.items] = True
        if allowed is not None:
            own &= allowed
        parts.append(model.rank(some, k, exclude_seen=False, allowed=own, **options))
    return Rankings.concat(parts) if parts else model.rank(histories, k, **options)
