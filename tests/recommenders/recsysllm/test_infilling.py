"""Masked texts and their spans in two-dimensional positions."""

from __future__ import annotations

import numpy as np
from genrec.backbones.prefix import INTRA
from genrec.codes.trie import Codes, Trie
from genrec.prompts.template import HISTORY
from genrec.recommenders.recsysllm.infilling import InfillingLayout
from genrec.recommenders.recsysllm.masking import Masked
from genrec.training.layout import Span

CODES = Codes.from_lists([[10], [12, 20, 30], [12, 21, 31]])
BEGIN, MASK, END, START = 1, 7, 9, 3


def layout(two_dimensional: bool = True, dynamic: bool = True) -> InfillingLayout:
    return InfillingLayout(
        Trie.build(CODES),
        lambda texts: [],
        [BEGIN],
        [END],
        start_token=START,
        mask=np.array([MASK]),
        two_dimensional=two_dimensional,
        dynamic=dynamic,
    )


def text(*tokens: int, is_entity: bool = False) -> Span:
    return Span(np.array(tokens), np.zeros(len(tokens), int), is_entity=is_entity)


def places(positions: np.ndarray) -> list[tuple[int, int]]:
    return [divmod(int(position), INTRA) for position in positions]


def test_a_question_ends_with_a_mask_that_its_answer_fills() -> None:
    made = layout()
    source = made.placed([text(BEGIN), made.item(1), text(40, 41), text(50, 51, is_entity=True)])
    assert source.tokens_T.tolist() == [BEGIN, 12, 20, 30, 40, 41, 50, 51, MASK]
    assert places(source.positions_T) == [
        *((0, 0), (1, 1), (2, 2), (3, 3)),
        *((4, 0), (5, 0), (6, 1), (7, 2), (8, 0)),
    ]
    (answer,) = made.asked(source, [made.item(2)]).answers
    assert divmod(answer.start, INTRA) == (8, 2)
    assert answer.reach == 9
    batch = made.collate([made.infill(Masked([text(BEGIN)], [], []))])
    assert batch["source_tokens"].tolist() == [[BEGIN]]  # the mask of a question is not that of a text


def test_items_that_are_all_learnt_need_no_mask() -> None:
    made = layout()
    example = made.packed([HISTORY], {"history": np.array([0, 1])})
    assert example.source.tokens_T.tolist() == [BEGIN, 10, 12, 20, 30]
    assert [divmod(answer.start, INTRA) for answer in example.answers] == [(1, 2), (2, 2)]
    batch = made.collate([example])
    assert places(batch["positions"][0].numpy()) == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert batch["sees"].tolist() == [[0, 0, 1, 1, 1, 1]]


def masked() -> Masked:
    """ "BEGIN 40 [M] 41 [M]" with spans of an item and a word, and of one word."""
    made = layout()
    mask = text(MASK)
    words = [text(BEGIN), text(40), mask, text(41), mask]
    return Masked(words, [2, 4], [[made.item(1), text(60, 61)], [text(70)]])


def test_spans_stand_at_their_masks_and_see_what_was_filled_in_before() -> None:
    made = layout(dynamic=False)
    batch = made.collate([made.infill(masked())])
    assert batch["source_tokens"].tolist() == [[BEGIN, 40, MASK, 41, MASK]]
    assert batch["source_reach"].tolist() == [[5] * 5]
    assert batch["tokens"].tolist() == [[START, 12, 20, 30, 60, 61, END, START, 70, END]]
    assert batch["items"].tolist()[0] == [False, True, True, True, *[False] * 6]
    assert batch["learnt"].tolist()[0] == [False, *[True] * 6, False, True, True]
    assert places(batch["positions"][0].numpy()) == [
        *((2, place) for place in range(1, 8)),
        (4, 1),
        (4, 2),
        (4, 3),
    ]
    assert batch["sees"].tolist() == [[0] * 10]
    assert batch["answer"].tolist() == [[0] * 7 + [1] * 3]


def test_positions_restart_with_each_entity() -> None:
    batch = layout().collate([layout().infill(masked())])
    inner = [place for _, place in places(batch["positions"][0].numpy())]
    assert inner == [1, 2, 3, 4, 1, 2, 1, 1, 2, 1]


def test_one_dimension_counts_on() -> None:
    made = layout(two_dimensional=False)
    batch = made.collate([made.infill(masked())])
    both = [sum(place) for place in places(batch["positions"][0].numpy())]
    assert both == list(range(5, 15))
    assert [sum(place) for place in places(batch["source_positions"][0].numpy())] == list(range(5))
    source = made.placed([text(BEGIN), made.item(0)])
    assert places(source.positions_T) == [(0, 0), (1, 0), (2, 0)]
    assert sum(divmod(made.asked(source, [made.item(0)]).answers[0].start, INTRA)) == 3
