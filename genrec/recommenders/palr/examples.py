"""Examples of writing a list: the words of a prompt, a history, perhaps candidates, and the items that came after.

The tasks are those of PALR (Yang et al. 2023, https://arxiv.org/abs/2305.07622): recommend freely, or from candidates.
An answer is the codes of its items side by side; a code tells itself where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genrec.data.interactions import Histories, IntArray
from genrec.data.streams import stream
from genrec.prompts.template import Field, Segment, own_texts
from genrec.training.decoder_rows import DecoderLayout, HistoryRows, Row
from genrec.training.histories import drawn_window
from genrec.training.mixture import ExampleSet

Candidates = Callable[[IntArray, IntArray, np.random.Generator], IntArray]
"""History and targets to a list of items that holds the targets."""


@dataclass(frozen=True)
class ListTasks:
    """What lists are learnt from.

    `profile`: a history to the words of its profile. `num_targets`: most items of an answer. `swap_share`: how often
    an item of the history changes places with one of the answer, as in the paper. `one_piece`: a user's history is
    always cut at the same place, which `seed` draws, for profiles that are dear.
    """

    layout: DecoderLayout
    histories: Histories
    profile: Callable[[IntArray], str]
    candidates: Candidates
    num_targets: int
    swap_share: float = 0.0
    one_piece: bool = False
    seed: int = 0

    def kind(
        self, segments: Sequence[Segment], users: IntArray, num_candidates: int, times: int
    ) -> ExampleSet:
        """Examples of one prompt; with candidates where the prompt names them."""
        lengths, histories = self.layout.read_lengths, self.histories
        tokens = np.concatenate([[0], np.cumsum(lengths[histories.items])])
        ends = histories.offsets[1:][users]
        starts = np.maximum(histories.offsets[:-1][users], ends - self.layout.max_items - self.num_targets)
        words = sum(len(text.split()) for text in own_texts(segments))
        around = words + (num_candidates * lengths.mean() if Field("candidates") in segments else 0)
        in_all = np.minimum(tokens[ends] - tokens[starts] + around, self.layout.max_tokens)

        def make(datum: int, rng: np.random.Generator) -> Row:
            return self._example(segments, int(users[datum]), rng)

        return ExampleSet(in_all.astype(np.int64), times, make)

    def _example(self, segments: Sequence[Segment], user: int, rng: np.random.Generator) -> Row:
        history, targets = self._pieces(user, rng)
        values: dict[str, Any] = {"history": history, "count": len(targets)}
        if Field("profile") in segments:
            values["profile"] = self.profile(history)
        if Field("candidates") in segments:
            values["candidates"] = self.candidates(history, targets, rng)
        return self.layout.example(segments, values, targets)

    def _pieces(self, user: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """A history up to somewhere, and what followed."""
        rng = stream(self.seed, "the one cut of a history", user) if self.one_piece else rng
        items = self.histories[user]
        start = int(rng.integers(1, len(items)))
        history, targets = items[:start], items[start : start + self.num_targets]
        targets = targets[np.sort(np.unique(targets, return_index=True)[1])]  # a list holds no item twice
        if rng.random() < self.swap_share:
            here, there = int(rng.integers(len(history))), int(rng.integers(len(targets)))
            history, targets = history.copy(), targets.copy()
            history[here], targets[there] = targets[there], history[here]
        return history, targets


def packed_kind(rows: HistoryRows, histories: Histories) -> ExampleSet:
    """Histories of which every item is learnt; of a long one, a window that is drawn each time."""
    users, width = np.flatnonzero(histories.lengths), rows.max_items

    def make(datum: int, rng: np.random.Generator) -> Row:
        return rows.packed(drawn_window(histories[int(users[datum])], width, rng))

    lengths = np.minimum(histories.lengths[users], width) * rows.read_lengths.mean()
    return ExampleSet(lengths.astype(np.int64) + 1, 1, make)
