from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from genrec.prompts.template import HISTORY, Template, Text
from genrec.training.decoder_rows import DecoderLayout, HistoryRows, Row, collate
from genrec.training.histories import Way, history_mixture
from genrec.training.mixture import Mixture
from hypothesis import given, settings
from hypothesis import strategies as st

# Item 0 writes 1 token and the end (9), item 1 two, item 2 three, ... item 5 six; they share first tokens.
CODES = Codes.from_lists([[10 + row % 3, *range(20, 20 + row), 9] for row in range(6)])
TRIE = Trie.build(CODES)
NOTHING: list[Template] = [(HISTORY,)]
ASK: list[Template] = [(Text("50 51"), HISTORY, Text("52")), (Text("60"), HISTORY, Text("62 63 64"))]


def encode(texts: list[str]) -> list[list[int]]:
    """Texts are their tokens, in digits."""
    return [[int(token) for token in text.split()] for text in texts]


def rows_of(prompts: list[Template] = NOTHING, *, learn_prompt: bool = False, **options: int) -> HistoryRows:
    return HistoryRows(DecoderLayout(TRIE, encode, [1], **options), prompts, learn_prompt=learn_prompt)


# Nodes grow along a path, and its tail has node 0: the largest is the item's tip.
ENDS = {int(TRIE.paths[item].max()): item for item in range(len(CODES))}


def items_of(example: Row) -> list[int]:
    """The items that a row writes, read off its trie nodes."""
    return [ENDS[node] for node in example.nodes_T.tolist() if node in ENDS]


def learnt_items(batch: dict) -> list[int]:
    """The items that are singled out at a learnt place, over the rows of a batch."""
    nodes = batch["nodes"][batch["learnt"]].tolist()
    return [ENDS[node] for node in nodes if node in ENDS]


def test_packed_row() -> None:
    row = rows_of().packed(np.array([2, 0]))
    assert row.tokens_T.tolist() == [1, *CODES[2], *CODES[0]]
    assert row.nodes_T.tolist() == [0, *TRIE.paths[2], *TRIE.paths[0]]
    assert row.positions_T.tolist() == list(range(7))
    assert row.learnt_T.tolist() == [False] + [True] * 6


def test_question_and_single() -> None:
    made = rows_of(ASK)
    question = made.question(np.array([1, 0]), paraphrase=1)
    assert question.tokens_T.tolist() == [1, 60, *CODES[1], *CODES[0], 62, 63, 64]
    assert not question.learnt_T.any()
    assert question.end == len(question)
    single = made.single(np.array([1, 0]), 4, paraphrase=1)
    assert single.tokens_T.tolist() == [*question.tokens_T, *CODES[4]]
    assert single.nodes_T.tolist() == [*question.nodes_T, *TRIE.paths[4]]
    assert single.positions_T.tolist() == list(range(len(single.tokens_T)))
    assert single.learnt_T.tolist() == [False] * len(question.tokens_T) + [True] * len(CODES[4])


def test_learn_prompt_learns_all_but_the_first_token() -> None:
    row = rows_of(ASK, learn_prompt=True).single(np.array([1]), 0)
    assert row.learnt_T.tolist() == [False] + [True] * (len(row.tokens_T) - 1)


def test_an_empty_history_is_asked_about_too() -> None:
    question = rows_of().question(np.array([], np.int32))
    assert question.tokens_T.tolist() == [1]
    assert question.end == 1


def test_stride_puts_items_at_equal_distances() -> None:
    made = rows_of(ASK[:1], stride=10)
    single = made.single(np.array([2, 0]), 1)
    assert single.positions_T.tolist() == [0, 1, 2, *range(3, 7), 13, 14, 23, *range(24, 27)]
    packed = rows_of(stride=10).packed(np.array([2, 0, 1]))
    assert packed.positions_T.tolist() == [0, *range(1, 5), 11, 12, *range(21, 24)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), max_size=12),
    st.integers(0, 5),
    st.integers(12, 40),
    st.integers(1, 12),
    st.integers(0, 1),
)
def test_the_oldest_items_go_until_the_row_fits_and_the_target_is_whole(
    history: list[int], target: int, max_tokens: int, max_items: int, paraphrase: int
) -> None:
    made = rows_of(ASK, max_items=max_items, max_tokens=max_tokens)
    items = np.array(history, np.int32)
    row = made.single(items, target, paraphrase)
    prompt = 1 + made.layout.own_length(ASK[paraphrase])
    kept = items_of(row)[:-1]
    assert len(row.tokens_T) <= max_tokens
    assert items_of(row)[-1] == target
    assert row.tokens_T[-len(CODES[target]) :].tolist() == CODES[target].tolist()
    assert kept == history[len(history) - len(kept) :]
    # One item more would not have fitted, whatever the answer: the question does not depend on it.
    if len(kept) < min(len(history), max_items):
        longer = history[len(history) - len(kept) - 1 :]
        assert prompt + sum(len(CODES[item]) for item in longer) + 7 > max_tokens
    assert made.single(items, 5, paraphrase).tokens_T[:-7].tolist() == (
        row.tokens_T[: -len(CODES[target])].tolist()
    )


def test_a_row_too_short_for_a_title_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"history take 5 tokens and an item 7: .*max_tokens=11: raise it"):
        rows_of(ASK, max_tokens=11)
    rows_of(ASK, max_tokens=12)


def test_collate_pads_on_the_right() -> None:
    made = rows_of()
    batch = collate([made.packed(np.array([0])), made.packed(np.array([1, 2]))])
    assert batch["tokens"].tolist() == [[1, *CODES[0], 0, 0, 0, 0, 0], [1, *CODES[1], *CODES[2]]]
    assert batch["learnt"].tolist() == [[False, True, True, *[False] * 5], [False] + [True] * 7]
    assert batch["length"].tolist() == [3, 8]


HISTORIES = Histories.from_lists(
    [
        np.random.default_rng(user).integers(6, size=length)
        for user, length in enumerate([0, 1, 2, 3, 7, 11, 40])
    ]
)


def steps(way: Way = "packed", *, made: HistoryRows | None = None, **options: int) -> Mixture:
    made = made or rows_of(NOTHING if way == "packed" else ASK, max_items=8)
    return history_mixture(
        HISTORIES, made, way=way, **({"batch_tokens": 120, "num_epochs": 3, "seed": 5} | options)
    )


@pytest.mark.parametrize("way", ["packed", "prefixes", "last"])
def test_a_batch_depends_on_seed_and_step_alone(way: Way) -> None:
    one, other, another_seed = steps(way), steps(way), steps(way, seed=6)
    assert len(one) == len(other) > 3
    backwards = [other[step] for step in reversed(range(len(other)))][::-1]
    for step in range(len(one)):
        for name, tensor in one[step].items():
            assert tensor.equal(backwards[step][name])
    shared = min(len(one), len(another_seed))
    assert any(
        one[step]["tokens"].tolist() != another_seed[step]["tokens"].tolist() for step in range(shared)
    )


@pytest.mark.parametrize("way", ["packed", "prefixes", "last"])
def test_the_budget_is_held(way: Way) -> None:
    for budget in (60, 120, 500):
        planned = steps(way, batch_tokens=budget)
        sizes = [planned[step]["tokens"].shape for step in range(len(planned))]
        assert all(rows * width <= budget or rows == 1 for rows, width in sizes)
        assert any(rows > 1 for rows, _ in sizes)


@pytest.mark.parametrize("max_tokens", [1000, 20, 8])
def test_packed_learns_every_item_once_an_epoch(max_tokens: int) -> None:
    """Also where a window has more tokens than a row may hold."""
    made = rows_of(max_items=8, max_tokens=max_tokens)
    one_epoch = len(steps(made=made, num_epochs=1))
    planned = steps(made=made)
    starts = [*planned.calendar.first_step.tolist()]
    assert starts[1] == one_epoch
    rows_of_epochs = []
    for first, last in itertools.pairwise(starts):
        batches = [planned[step] for step in range(first, last)]
        assert Counter(item for batch in batches for item in learnt_items(batch)) == Counter(
            HISTORIES.items.tolist()
        )
        assert max(int(batch["length"].max()) for batch in batches) <= max_tokens
        rows_of_epochs.append(sorted(str(row.tolist()) for batch in batches for row in batch["tokens"]))
    assert rows_of_epochs[0] != rows_of_epochs[1]  # long histories are cut at other places


def test_max_steps_ends_in_the_middle_of_an_epoch() -> None:
    whole, short = steps(), steps(max_steps=4)
    assert len(short) == 4 < len(whole)
    assert short[3]["tokens"].equal(whole[3]["tokens"])


def test_prefixes_have_every_target_with_what_stood_before_it() -> None:
    planned = steps("prefixes", num_epochs=1)
    found = Counter()
    for step in range(len(planned)):
        batch = planned[step]
        for row in range(len(batch["length"])):
            nodes = batch["nodes"][row].tolist()
            found[tuple(ENDS[node] for node in nodes if node in ENDS)] += 1
    expected = Counter(
        tuple(history[max(0, end - 9) : end].tolist())
        for history in HISTORIES
        for end in range(2, len(history) + 1)
    )
    assert found == expected


def test_last_has_one_target_a_user() -> None:
    planned = steps("last", num_epochs=1)
    targets = Counter(item for step in range(len(planned)) for item in learnt_items(planned[step]))
    assert targets == Counter(int(history[-1]) for history in HISTORIES if len(history) > 1)


def test_all_paraphrases_are_used_and_evaluation_asks_with_the_first() -> None:
    planned = steps("prefixes")
    opened = Counter(int(row[1]) for step in range(len(planned)) for row in planned[step]["tokens"])
    assert set(opened) == {50, 60}
    assert min(opened.values()) > sum(opened.values()) / 4
    assert rows_of(ASK).question(np.array([1])).tokens_T[1] == 50


def test_packed_rows_refuse_words_after_the_history() -> None:
    with pytest.raises(ConfigError, match="no place for a prompt's words after the history"):
        history_mixture(HISTORIES, rows_of(ASK), way="packed", batch_tokens=100, num_epochs=1, seed=0)
