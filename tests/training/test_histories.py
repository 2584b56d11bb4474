"""The plan of an epoch: the same batches as the plain rule gives, however the work is cut into slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.data import mapped
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.training import histories
from genrec.training.histories import Way, history_mixture
from genrec.training.mixture import deal
from hypothesis import given
from hypothesis import strategies as st

Piece = tuple[int, int, int]  # user, first item, last item (exclusive)

CODE_LENGTHS = np.random.default_rng(0).integers(1, 9, size=50)
WIDTH, PROMPT, ROW = 6, 3, 30


def drawn(seed: int) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.from_lists([rng.integers(50, size=length) for length in rng.integers(0, 25, size=40)])


def plainly_dealt(longest: list[int], budget: int) -> list[int]:
    """The rule itself: a batch grows row by row until the next one would break the budget."""
    starts = []
    for place, tokens in enumerate(longest):
        if not starts or (place - starts[-1] + 1) * tokens > budget:
            starts.append(place)
    return starts


def plainly_planned(data: Histories, way: Way, budget: int, seed: int, number: int) -> list[list[Piece]]:
    """The batches of an epoch, by lists and loops and the same draws."""
    rng = stream(seed, "plan of an epoch", number)
    lengths = data.lengths.tolist()

    def tokens(piece: Piece) -> int:
        return int(CODE_LENGTHS[data[piece[0]][piece[1] : piece[2]]].sum())

    if way == "last":
        pieces = [(user, max(0, n - WIDTH - 1), n) for user, n in enumerate(lengths) if n >= 2]
    elif way == "prefixes":
        pieces = [
            (user, max(0, end - WIDTH - 1), end) for user, n in enumerate(lengths) for end in range(2, n + 1)
        ]
    else:
        shifts = rng.integers(WIDTH, size=len(lengths)).tolist()
        pieces = []
        for user, n in enumerate(lengths):
            first = -shifts[user] if n > WIDTH else 0
            while first < n:
                pieces.append((user, max(first, 0), min(first + WIDTH, n)))
                first += WIDTH
        while any(too_long := [tokens(piece) > ROW - PROMPT for piece in pieces]):
            halves = [(user, (first + last) // 2, last) for user, first, last in pieces]
            shorter = [(user, first, (first + last) // 2) for user, first, last in pieces]
            long = [half for half, cut in zip(halves, too_long, strict=True) if cut]
            pieces = [b if cut else a for a, b, cut in zip(pieces, shorter, too_long, strict=True)] + long
    costs = [min(tokens(piece) + PROMPT, ROW) for piece in pieces]
    order = np.argsort(np.array(costs) * rng.uniform(0.9, 1.1, len(costs)), kind="stable").tolist()
    starts = plainly_dealt(np.maximum.accumulate([costs[row] for row in order]).tolist(), budget)
    ends = [*starts[1:], len(order)]
    batches = [[pieces[row] for row in order[a:b]] for a, b in zip(starts, ends, strict=True)]
    rng.shuffle(batches)
    return batches


class Noted:
    """Examples that tell of which user and which items they are."""

    read_lengths, longest_prompt, max_items, max_tokens = CODE_LENGTHS, PROMPT, WIDTH, ROW

    def check(self, way: Way) -> None:
        assert way in ("packed", "prefixes", "last")

    def example(self, way: Way, items: IntArray, user: int, rng: np.random.Generator) -> Any:
        return user, items.tolist()

    def collate(self, examples: Any) -> Any:
        return examples


@pytest.mark.parametrize("way", ["packed", "prefixes", "last"])
@pytest.mark.parametrize("budget", [25, 100, 700])
def test_an_epoch_is_what_the_plain_rule_gives(
    way: Way, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "_SLICE", 7)
    monkeypatch.setattr(mapped, "SMALLEST", 0)
    data = drawn(budget)
    mixture = history_mixture(data, Noted(), way=way, batch_tokens=budget, num_epochs=2, seed=4)
    found: Any = [mixture[step] for step in range(len(mixture))]
    planned = [batch for number in (0, 1) for batch in plainly_planned(data, way, budget, 4, number)]
    assert found == [
        [(user, data[user][first:last].tolist()) for user, first, last in batch] for batch in planned
    ]


@given(st.lists(st.integers(1, 30), max_size=200), st.integers(1, 90))
def test_batches_are_dealt_by_the_rule(tokens: list[int], budget: int) -> None:
    longest = sorted(tokens)
    assert deal(np.array(longest, np.int32), budget).tolist() == plainly_dealt(longest, budget)


def test_prefixes_take_no_memory_for_each_target() -> None:
    pieces = histories.Prefixes(np.array([0, 10**9, 1, 3, 2]), width=50)
    assert len(pieces) == 10**9 - 1 + 2 + 1
    users, firsts, lasts = pieces[np.array([0, 10**9 - 2, 10**9 - 1, 10**9, 10**9 + 1])]
    assert users.tolist() == [1, 1, 3, 3, 4]
    assert firsts.tolist() == [0, 10**9 - 51, 0, 0, 0]
    assert lasts.tolist() == [2, 10**9, 2, 3, 2]
