"""Batches of item histories, for models that read items as they are and not as text.

Several histories share a row, told apart by a segment number, so that hardly a place is padding: on Amazon Beauty,
with 7 training items a user, rows of 50 with one history each would be seven eighths empty.

Shape suffixes: R rows, T places of a row, S histories (segments) of the batch, B histories, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.data import Dataset

from genrec.backbones.hardware import device
from genrec.backbones.item_encoder import SASRecNetwork
from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.training.mixture import Batch, Calendar


def pack(histories: Sequence[IntArray], width: int) -> tuple[Batch, IntArray]:
    """Histories side by side in rows of `width` places, the longest first (first-fit decreasing).

    Args:
        histories: S lists of 1 to `width` items, oldest first.
        width: places of a row.

    Returns:
        items (R, T), ages (R, T), 0 for the newest item of a history, and segments (R, T), the number of the history
        or -1 for padding; and the flat place (S,) of the first item of each history.
    """
    lengths = np.array([len(history) for history in histories])
    start_S = _places(lengths, width)
    shape = (int(start_S.max(initial=0)) // width + 1, width)
    items_RT, ages_RT = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    segments_RT = np.full(shape, -1, np.int64)
    before = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) + np.repeat(start_S - before, lengths)
    items_RT.flat[place] = np.concatenate(histories)
    ages_RT.flat[place] = np.repeat(before + lengths - 1, lengths) - np.arange(lengths.sum())
    segments_RT.flat[place] = np.repeat(np.arange(len(histories)), lengths)
    arrays = {"items": items_RT, "ages": ages_RT, "segments": segments_RT}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, start_S


def _places(lengths: IntArray, width: int) -> IntArray:
    """The flat place (S,) where each history starts; a row takes histories as long as they fit."""
    free: list[list[int]] = [[] for _ in range(width + 1)]  # rows by the places they have left
    start = np.zeros(len(lengths), np.int64)
    num_rows = 0
    for number in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[number])
        room = next((room for room in range(length, width + 1) if free[room]), None)
        if room is None:
            row, room, num_rows = num_rows, width, num_rows + 1
        else:
            row = free[room].pop()
        start[number] = row * width + width - room
        free[room - length].append(row)
    return start


def newest_states(network: SASRecNetwork, histories: Histories, max_items: int) -> Tensor:
    """The states (B, D) after histories of at least one item, of which the newest `max_items` are read."""
    newest = [items[-max_items:] for items in histories]
    batch, start_S = pack(newest, max(map(len, newest)))
    items_RT, ages_RT, segments_RT = (batch[name].to(device()) for name in ("items", "ages", "segments"))
    last_S = torch.from_numpy(start_S + [len(items) - 1 for items in newest]).to(device())
    states_BD: Tensor = network(F.embedding(items_RT, network.vectors.table()), ages_RT, segments_RT, last_S)
    return states_BD


class ItemSteps(Dataset[Batch]):
    """The batches of a whole training, one a step; every item of a history but its first is a target.

    Histories of more than `max_items` + 1 items are cut into windows, at other places in every epoch. Step s is a
    function of (seed, s) alone.
    """

    def __init__(
        self,
        histories: Histories,
        *,
        max_items: int,
        batch_size: int,
        num_epochs: int,
        seed: int,
        min_steps: int = 0,
        max_steps: int | None = None,
        budget: float = 1.0,
    ) -> None:
        """Plan the steps.

        Args:
            histories: training histories.
            max_items: most items that the model reads at once.
            batch_size: histories (or windows of them) in a batch.
            num_epochs: passes over the data.
            seed: of the order and of the cuts.
            min_steps: repeat epochs until there are so many.
            max_steps: end after that many, wherever in an epoch; None: with the last epoch.
            budget: of all these steps, the share that is taken.
        """
        self.histories, self.max_items, self.batch_size, self.seed = histories, max_items, batch_size, seed
        # Rows longer than any history would be padding.
        self.places = min(max_items, max(1, int(histories.lengths.max(initial=0)) - 1))
        self.windows = lru_cache(maxsize=1)(self._windows)
        num_epochs = max(num_epochs, -(-min_steps // max(1, self._num_steps(0))))
        steps = [self._num_steps(number) for number in range(num_epochs)]
        if budget < 1:
            most = sum(steps) if max_steps is None else min(max_steps, sum(steps))
            max_steps = max(1, round(budget * most))
        self.calendar = Calendar(steps, max_steps)

    def _num_steps(self, epoch: int) -> int:
        return -(-int(self._cut(epoch)[2].sum()) // self.batch_size)

    def __len__(self) -> int:
        return len(self.calendar)

    def __getitem__(self, step: int) -> Batch:
        epoch, place = self.calendar.find(step)
        first = place * self.batch_size
        users, starts, ends = (part[first : first + self.batch_size] for part in self.windows(epoch))
        offsets = self.histories.offsets[users]
        lists = [
            self.histories.items[offset + start : offset + end]
            for offset, start, end in zip(offsets, starts, ends, strict=True)
        ]
        batch, start_S = pack([items[:-1] for items in lists], self.places)
        targets = np.full(batch["items"].shape, -1, np.int64)
        for items, start in zip(lists, start_S, strict=True):
            targets.flat[start : start + len(items) - 1] = items[1:]
        return {**batch, "targets": torch.from_numpy(targets)}

    def _cut(self, epoch: int) -> tuple[np.random.Generator, IntArray, IntArray]:
        """The generator of an epoch after its first draw; shift of the cuts and number of windows of each history."""
        rng = stream(self.seed, "windows of an epoch", epoch)
        num_targets, width = np.maximum(self.histories.lengths - 1, 0), self.max_items
        shift = np.where(num_targets > width, rng.integers(width, size=len(num_targets)), 0)
        return rng, shift, -(-(num_targets + shift) // width)

    def _windows(self, epoch: int) -> tuple[IntArray, IntArray, IntArray]:
        """Histories of one epoch in random order: user, first item and end, int32; neighbours share one item."""
        rng, shift, num_windows = self._cut(epoch)
        users = np.repeat(np.arange(len(num_windows)), num_windows)
        number = np.arange(len(users)) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
        first = np.maximum(number * self.max_items - shift[users], 0)
        end = np.minimum((number + 1) * self.max_items - shift[users] + 1, self.histories.lengths[users])
        order = rng.permutation(len(users))
        return users[order].astype(np.int32), first[order].astype(np.int32), end[order].astype(np.int32)
