"""Item histories in rows: nothing lost, nothing mixed, every item a target once."""

from __future__ import annotations

from collections import Counter

import numpy as np
from genrec.data.interactions import Histories
from genrec.data.streams import stream
from genrec.training.sequences import ItemSteps, pack
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 7), min_size=1, max_size=30))
def test_packed_histories_come_out_as_they_went_in(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    histories = [rng.integers(100, size=length).astype(np.int32) for length in lengths]
    batch, start_S = pack(histories, 7)
    items, ages, segments = (batch[name].numpy().ravel() for name in ("items", "ages", "segments"))
    for number, (history, start) in enumerate(zip(histories, start_S, strict=True)):
        place = slice(start, start + len(history))
        assert start % 7 + len(history) <= 7  # within one row
        np.testing.assert_array_equal(items[place], history)
        np.testing.assert_array_equal(ages[place], np.arange(len(history))[::-1])
        assert (segments[place] == number).all()
    assert (segments >= 0).sum() == sum(lengths)


def test_rows_are_nearly_full() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, size=500)
    batch, _ = pack([np.zeros(length, np.int32) for length in lengths], 50)
    assert len(batch["items"]) <= 1.03 * lengths.sum() / 50 + 1


def test_every_item_but_the_first_is_a_target_once_an_epoch() -> None:
    walks = [np.arange(start, start + length) for start, length in ((0, 1), (100, 2), (200, 6), (300, 23))]
    steps = ItemSteps(Histories.from_lists(walks), max_items=5, batch_size=3, num_epochs=4, seed=1)
    wanted = Counter(int(item) for walk in walks for item in walk[1:])
    found, epoch = Counter[int](), 0
    cuts = set()
    for step in range(len(steps)):
        batch = steps[step]
        learnt = batch["targets"] >= 0
        assert (batch["targets"][learnt] == batch["items"][learnt] + 1).all()
        assert (batch["segments"][learnt] >= 0).all()
        found.update(batch["targets"][learnt].tolist())
        cuts.update(batch["items"][(batch["ages"] == 0) & learnt].tolist())
        if found.total() == wanted.total():
            assert found == wanted
            found, epoch = Counter(), epoch + 1
    assert epoch == 4
    assert not found
    assert len([cut for cut in cuts if cut >= 300]) > 5  # not always the same windows


def test_a_step_depends_on_seed_and_number_alone() -> None:
    histories = Histories.from_lists([range(start, start + 9) for start in range(40)])

    def steps(seed: int) -> ItemSteps:
        return ItemSteps(histories, max_items=4, batch_size=8, num_epochs=3, seed=seed)

    forwards, backwards = steps(0), steps(0)
    last = len(forwards) - 1
    expected = [forwards[step]["items"] for step in range(last + 1)]
    for step in range(last, -1, -1):
        assert (backwards[step]["items"] == expected[step]).all()
    assert any(not np.array_equal(steps(1)[step]["items"], expected[step]) for step in range(3))


def test_windows_are_what_the_plain_rule_gives() -> None:
    rng = np.random.default_rng(8)
    histories = Histories.from_lists([rng.integers(99, size=n) for n in rng.integers(0, 23, size=50)])
    steps = ItemSteps(histories, max_items=5, batch_size=16, num_epochs=2, seed=3)
    num_steps = []
    for epoch in (0, 1):
        draws = stream(3, "windows of an epoch", epoch)
        shifts = draws.integers(5, size=50).tolist()
        windows = []
        for user, length in enumerate(histories.lengths.tolist()):
            first = -shifts[user] if length > 6 else 0
            while first < length - 1:
                windows.append([user, max(first, 0), min(first + 6, length)])
                first += 5
        found = np.stack(steps.windows(epoch), axis=1).tolist()
        assert found == [windows[row] for row in draws.permutation(len(windows))]
        num_steps.append(-(-len(windows) // 16))
    assert len(steps) == sum(num_steps)
