"""Where a training starts: afresh, or from what an earlier one of the same kind has learnt.

A shop trains every night on a log that has grown by a day. What was learnt of an item, a word or a layer the night
before is nearly what is learnt tonight, so a training that starts there needs a part of the steps. Items are known by
their ids and words by their text; what is new is as at any start.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genrec.data.interactions import IntArray
from genrec.errors import ConfigError

if TYPE_CHECKING:
    from genrec.recommenders.base import Recommender

BUDGET = 0.3  # of the steps of a whole training: see benchmarks/warm_start.py


@dataclass(frozen=True)
class Start:
    """An earlier recommender, and the share of the steps of a whole training that one from there takes."""

    model: Recommender
    budget: float = BUDGET


def check_same_kind(earlier: Recommender, name: str) -> None:
    """Raise ConfigError where the earlier recommender is of another kind than the one of that name."""
    if earlier.name != name:
        raise ConfigError(
            f"the earlier run is of {earlier.name}, and {name} starts from {name}: give such a run, or train afresh"
        )


def check_same_sizes(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ConfigError where weights of the earlier recommender do not fit: one of these options is another."""
    for name, size in now.items():
        if earlier[name] != size:
            raise ConfigError(
                f"the earlier run has {name}={earlier[name]} and this one {size}: give {name}={earlier[name]}, or "
                "train afresh"
            )


def in_both(new: Sequence[Hashable], old: Sequence[Hashable]) -> tuple[IntArray, IntArray]:
    """The places of the same names in one list and in another."""
    there = {name: place for place, name in enumerate(old)}
    pairs = [(place, there[name]) for place, name in enumerate(new) if name in there]
    here_N, there_N = np.array(pairs, np.int64).reshape(-1, 2).T
    return here_N, there_N
