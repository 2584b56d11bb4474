"""Examples of lists: what is read, what is learnt, and what is left out when room is short."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories, IntArray
from genrec.errors import ConfigError
from genrec.prompts.template import parse
from genrec.recommenders.palr.examples import ListTasks, packed_kind
from genrec.training.decoder_rows import DecoderLayout, HistoryRows

# Items 0 to 5 are written 10, 11, (12 20), (12 21), 13, 14; words by their length.
CODES = Codes.from_lists([[10], [11], [12, 20], [12, 21], [13], [14]])
BEGIN, SEGMENTS = 1, parse("{profile}so far {history} of {candidates} pick {count}")
VALUES = {"profile": "likes it ", "history": np.array([0, 2]), "candidates": np.array([1, 3]), "count": 1}


def encode(texts: list[str]) -> list[list[int]]:
    return [[100 + len(word) for word in text.split()] for text in texts]


def layout(max_items: int = 20, max_tokens: int = 50) -> DecoderLayout:
    return DecoderLayout(Trie.build(CODES), encode, [BEGIN], max_items=max_items, max_tokens=max_tokens)


def test_an_example_is_read_as_it_is_written() -> None:
    example = layout().example(SEGMENTS, VALUES, np.array([3, 4]))
    words = [1, 105, 102, 102, 103, 10, 12, 20, 102, 11, 12, 21, 104, 101, 12, 21, 13]
    assert example.tokens_T.tolist() == words
    assert example.learnt_T.tolist() == [False] * 14 + [True] * 3
    assert example.positions_T.tolist() == list(range(17))
    paths = Trie.build(CODES).paths
    assert example.nodes_T[-3:].tolist() == [*paths[3].tolist(), *paths[4].tolist()]
    assert example.nodes_T[5:8].tolist() == [*paths[0].tolist(), *paths[2].tolist()]
    assert not example.nodes_T[[0, 1, 2, 8, 12]].any()


def test_the_oldest_items_are_left_out() -> None:
    values = VALUES | {"history": np.array([5, 0, 2, 4])}
    assert layout(max_items=2).question(SEGMENTS, values, 1).tokens_T[5:8].tolist() == [12, 20, 13]
    # 14 tokens with items 2 and 4, and 2 for the answer: no room for another.
    tokens = layout(max_tokens=16).question(SEGMENTS, values, 2).tokens_T
    assert len(tokens) == 14
    assert tokens[5:8].tolist() == [12, 20, 13]
    assert layout(max_tokens=14).question(SEGMENTS, values, 3).tokens_T.tolist().count(12) == 1
    with pytest.raises(
        ConfigError,
        match=r"answer take 14 tokens at least and max_tokens=13: .*fewer",
    ):
        layout(max_tokens=13).question(SEGMENTS, values, 3)


def tasks(**options: object) -> ListTasks:
    def candidates(history: IntArray, targets: IntArray, rng: np.random.Generator) -> IntArray:
        others = np.setdiff1d(np.arange(6), np.concatenate([history, targets]))
        return rng.permutation(np.concatenate([targets, others]))

    histories = Histories.from_lists([[0, 1, 4, 5], [5, 4]])
    return ListTasks(layout(), histories, lambda history: f"n{len(history)} ", candidates, 2, **options)  # type: ignore[arg-type]


def pieces(one: ListTasks, user: int, seeds: int = 40) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    kind = one.kind(parse("{history} : {candidates}"), np.array([0, 1]), 4, 1)
    found = set()
    for seed in range(seeds):
        example = kind.make(user, np.random.default_rng(seed))
        tokens = example.tokens_T.tolist()
        history = tokens[1 : tokens.index(101)]
        answer = [token for token, learnt in zip(tokens, example.learnt_T, strict=True) if learnt]
        offered = tokens[tokens.index(101) + 1 : len(tokens) - len(answer)]
        assert set(answer) <= set(offered)
        found.add((tuple(history), tuple(answer)))
    return found


def test_histories_are_cut_anywhere_and_answers_are_what_followed() -> None:
    assert pieces(tasks(), 0) == {((10,), (11, 13)), ((10, 11), (13, 14)), ((10, 11, 13), (14,))}
    assert pieces(tasks(), 1) == {((14,), (13,))}


def test_one_piece_of_each_user() -> None:
    cuts = [pieces(tasks(one_piece=True, seed=seed), 0) for seed in (*range(9), *range(9))]
    assert all(len(cut) == 1 for cut in cuts)
    assert cuts[:9] == cuts[9:]
    assert len(set().union(*cuts)) == 3  # another seed, another cut; all there are


def test_items_change_places() -> None:
    assert pieces(tasks(swap_share=1.0), 1) == {((13,), (14,))}
    mixed = pieces(tasks(swap_share=0.5), 1)
    assert mixed == {((13,), (14,)), ((14,), (13,))}


def test_a_list_holds_no_item_twice() -> None:
    repeats = ListTasks(
        layout(), Histories.from_lists([[0, 4, 4, 5]]), lambda _: "", lambda h, t, rng: t, 3, 0.0
    )
    kind = repeats.kind(parse("{history} ?"), np.array([0]), 0, 1)
    answers = [kind.make(0, np.random.default_rng(seed)) for seed in range(20)]
    learnt = {tuple(row.tokens_T[row.learnt_T].tolist()) for row in answers}
    assert learnt == {(13, 14), (14,)}


def test_packed_histories_learn_every_item_of_a_window() -> None:
    short = HistoryRows(layout(max_items=2))
    kind = packed_kind(short, Histories.from_lists([[0, 4, 5], [], [1]]))
    assert len(kind.lengths_E) == 2
    rows = [kind.make(0, np.random.default_rng(seed)) for seed in range(20)]
    assert {tuple(row.tokens_T.tolist()) for row in rows} == {(BEGIN, 10, 13), (BEGIN, 13, 14)}
    assert all(row.learnt_T.tolist() == [False, True, True] for row in rows)
    assert kind.make(1, np.random.default_rng(0)).tokens_T.tolist() == [BEGIN, 11]
