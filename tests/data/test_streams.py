"""Streams: two purposes share a seed and nothing else."""

from __future__ import annotations

from typing import Any

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.split import Split, leave_one_out
from genrec.data.streams import stream
from genrec.recommenders.p5.recommender import P5
from genrec.recommenders.palr.examples import ListTasks
from genrec.training.mixture import ExampleSet, Mixture
from hypothesis import given
from hypothesis import strategies as st

NUM_USERS, TRAINED, ASKED = 20_000, 4_000, 500
SEEDS = range(3)
PALR = {"retriever": "popular", "backbone": "compact", "calibration_users": ASKED}
Key = tuple[int, str, tuple[int, ...]]
keys = st.tuples(
    st.integers(0, 2**70),
    st.sampled_from(("one", "two", "")),
    st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple),
)


def assert_by_chance(trained: IntArray, asked: IntArray) -> None:
    """As many of `asked` are in `trained` as two independent draws share: hypergeometric, within 5 deviations."""
    assert (len(trained), len(asked)) == (TRAINED, ASKED)
    share = TRAINED / NUM_USERS
    deviation = np.sqrt(ASKED * share * (1 - share) * (NUM_USERS - ASKED) / (NUM_USERS - 1))  # 8.8 users
    assert abs(np.isin(asked, trained).sum() - ASKED * share) < 5 * deviation


@given(keys)
def test_the_same_key_draws_the_same(key: Key) -> None:
    seed, purpose, more = key
    assert stream(seed, purpose, *more).integers(2**62) == stream(seed, purpose, *more).integers(2**62)


@given(keys, keys)
def test_other_keys_draw_otherwise(one: Key, other: Key) -> None:
    drawn = [stream(seed, purpose, *more).integers(2**62) for seed, purpose, more in (one, other)]
    assert (drawn[0] == drawn[1]) == (one == other)


def test_keys_that_end_in_zeros_draw_otherwise() -> None:
    """numpy itself pads short keys with zeros: to it, `[1, 2]` and `[1, 2, 0]` are one key."""
    zeros = [(0,) * length for length in range(6)]
    assert len({int(stream(0, "one", *key).integers(2**62)) for key in zeros}) == len(zeros)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_purposes_overlap_by_chance(seed: int) -> None:
    trained, asked = (
        stream(seed, purpose).choice(NUM_USERS, count, replace=False)
        for purpose, count in (("one", TRAINED), ("two", ASKED))
    )
    assert_by_chance(trained, asked)


# -- the samples of users that the package draws ---------------------------------------------------------------


NUM_ITEMS = 40


@pytest.fixture(scope="module")
def split() -> Split:
    """Walks around a ring of items, five steps each, one user a row."""
    users = pl.Series("user_id", [str(user) for user in range(NUM_USERS)])
    items = (np.arange(NUM_USERS)[:, None] + np.arange(5)).ravel() % NUM_ITEMS
    catalogue = Catalogue.from_lists(
        [f"i{item}" for item in range(NUM_ITEMS)], [f"Item {item}" for item in range(NUM_ITEMS)]
    )
    histories = Histories(items.astype(np.int32), np.arange(0, 5 * NUM_USERS + 1, 5))
    return leave_one_out(Interactions(catalogue, users, histories))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("palr", PALR | {"packed": False}),
        ("palr", PALR | {"tasks": ["recommend", "candidates"]}),
        ("p5", {"user_tokens": False}),
        ("recsysllm", {"user_tokens": False}),
    ],
    ids=["palr", "palr-both-tasks", "p5", "recsysllm"],
)
def test_users_validated_on_are_trained_on_by_chance(
    name: str, options: dict[str, Any], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[IntArray] = []
    sampled: dict[str, IntArray] = {}
    kind, steps, sample = ListTasks.kind, P5._steps, Targets.sample

    def noted_kind(self: ListTasks, segments: Any, users: IntArray, *rest: Any) -> ExampleSet:
        trained.append(users)
        return kind(self, segments, users, *rest)

    def noted_steps(self: P5, train_data: Interactions, *rest: Any) -> Mixture:
        trained.append(np.flatnonzero(train_data.histories.lengths))
        return steps(self, train_data, *rest)

    def noted_sample(self: Targets, count: int, *rest: Any) -> Targets:
        drawn = sample(self, count, *rest)
        sampled[rest[1]] = drawn.users.cast(pl.Int64).to_numpy()
        return drawn

    monkeypatch.setattr(ListTasks, "kind", noted_kind)
    monkeypatch.setattr(P5, "_steps", noted_steps)
    monkeypatch.setattr(Targets, "sample", noted_sample)
    share: dict[str, Any] = {"users_share": TRAINED / NUM_USERS, "validation_users": ASKED}
    tiny: dict[str, Any] = {"depth": 1, "width": 64, "vocab_size": 300, "max_steps": 1, "evaluations": 1}
    genrec.create(name, **share, **tiny, **options).fit(split.train, split.validation)
    assert trained
    assert "users validated on" in sampled
    for asked in sampled.values():
        assert_by_chance(trained[-1], asked)
    assert ("users calibrated on" in sampled) == (name == "palr")
