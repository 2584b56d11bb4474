"""Sources and answers: what is asked in a question is what was learnt in an example."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from genrec.recommenders.genrec_seq2seq.examples import HistorySources
from genrec.training.encoder_rows import Answer, Asked, EncoderLayout, Source, WordTable, collate_sources
from genrec.training.histories import history_mixture
from genrec.training.layout import Span

# Item 0 writes 1 token and the end (9), item 1 two, item 2 three, ... item 5 six; they share first tokens.
CODES = Codes.from_lists([[10 + row % 3, *range(20, 20 + row), 9] for row in range(6)])
TRIE = Trie.build(CODES)
START = 3
ITEMS = np.array([2, 0, 5, 1, 4])


def made_by(
    *,
    numbers: Any = "none",
    num_words: int = 0,
    num_items: int = 6,
    users: Any = (),
    packs: bool = False,
    last_share: float = 0.3,
    **options: Any,
) -> HistorySources:
    words = WordTable(numbers, num_words, len(users), num_items)
    layout = EncoderLayout(
        TRIE, lambda texts: [], [1], [9], start_token=START, users=users, words=words, **options
    )
    return HistorySources(layout, [7, 8], packs=packs, last_share=last_share)


def as_lists(source: Source) -> dict[str, list[int]]:
    return {name: values.tolist() for name, values in vars(source).items() if name.endswith("_T")}


def codes(*items: int) -> list[int]:
    return [token for item in items for token in CODES[item].tolist()]


def test_a_question_ends_with_the_mask_and_sees_all_of_itself() -> None:
    question = made_by().question(ITEMS[:2], None)
    assert question.tokens_T.tolist() == [1, *codes(2, 0), 7, 8]
    path = [np.pad(TRIE.paths[item], (0, len(CODES[item]) - len(TRIE.paths[item]))) for item in (2, 0)]
    assert question.nodes_T.tolist() == [0, *np.concatenate(path), 0, 0]
    assert question.positions_T.tolist() == list(range(9))
    assert question.words_T.tolist() == [0] * 9
    assert question.reach_T.tolist() == [9] * 9
    assert question.end == 9
    assert made_by().question(ITEMS[:0], None).tokens_T.tolist() == [1, 7, 8]
    assert made_by(packs=True).question(ITEMS[:0], None).tokens_T.tolist() == [1]


@pytest.mark.parametrize("continues", [True, False])
def test_a_single_example_is_the_question_and_its_answer(continues: bool) -> None:
    made = made_by(continues=continues)
    example = made.single(ITEMS[:3], 4, None)
    assert as_lists(example.source) == as_lists(made.question(ITEMS[:3], None))
    (answer,) = example.answers
    assert answer.tokens.tolist() == codes(4)
    assert answer.spans[0].nodes.tolist() == TRIE.paths[4].tolist()
    assert answer.reach == example.source.end
    assert answer.start == (example.source.end if continues else 1)


@pytest.mark.parametrize("user", [None, 1])
@pytest.mark.parametrize("numbers", ["none", "order", "own", "shared"])
def test_a_packed_question_is_the_packed_example_up_to_there(numbers: Any, user: int | None) -> None:
    made = made_by(packs=True, numbers=numbers, num_words=60, users=[[40], [41, 42]], max_items=5)
    example = made.packed(ITEMS, user)
    assert len(example.answers) == len(ITEMS)
    for count, answer in enumerate(example.answers):
        question = made.question(ITEMS[:count], user)
        assert answer.tokens.tolist() == codes(int(ITEMS[count]))
        assert answer.reach == answer.start == question.end
        for name, values in as_lists(question).items():
            assert values == as_lists(example.source)[name][: question.end]
        assert max(as_lists(question)["reach_T"]) == question.end


def test_in_a_packed_source_an_item_sees_what_came_before_it_and_itself() -> None:
    source = made_by(users=[[40, 41]]).packed(np.array([1, 0]), 0).source
    assert source.tokens_T.tolist() == [1, 40, 41, *codes(1, 0)]
    assert source.reach_T.tolist() == [3] * 3 + [6] * 3 + [8] * 2


def test_one_word_is_hidden_and_the_last_item_with_its_share() -> None:
    made = made_by(users=[[40, 41]], numbers="own", num_words=8, last_share=0.4)
    rng = np.random.default_rng(0)
    words = [[1], [40, 41], *([*CODES[item]] for item in ITEMS)]
    numbers = [0, 1, *(2 + ITEMS)]
    hidden: Counter[int] = Counter()
    for _ in range(3000):
        example = made.masked(ITEMS, 0, rng)
        (answer,) = example.answers
        (place,) = [number for number, word in enumerate(words) if word == answer.tokens.tolist()]
        hidden[place] += 1
        rest = [*words[:place], [7, 8], *words[place + 1 :]]
        assert example.source.tokens_T.tolist() == [token for word in rest for token in word]
        rows = [0 if number == place else row for number, row in enumerate(numbers)]
        assert example.source.words_T.tolist() == np.repeat(rows, list(map(len, rest))).tolist()
        assert answer.spans[0].nodes.any() == (place != 1)
        assert (example.source.reach_T == example.source.end).all()
        assert answer.start == answer.reach == example.source.end
    assert sorted(hidden) == [1, 2, 3, 4, 5, 6]  # never the word that begins every source
    assert hidden[6] / 3000 == pytest.approx(0.4 + 0.6 / 6, abs=0.03)
    assert hidden[1] / 3000 == pytest.approx(0.6 / 6, abs=0.02)


@pytest.mark.parametrize(("last_share", "place"), [(1.0, {5}), (0.0, {1, 2, 3, 4, 5})])
def test_shares_of_all_and_of_none(last_share: float, place: set[int]) -> None:
    made, rng = made_by(last_share=last_share), np.random.default_rng(1)
    hidden = {tuple(made.masked(ITEMS, None, rng).answers[0].tokens.tolist()) for _ in range(200)}
    assert hidden == {tuple(CODES[int(ITEMS[number - 1])].tolist()) for number in place}


def test_only_the_newest_items_that_fit_are_read() -> None:
    assert made_by(max_items=2).question(ITEMS, None).tokens_T.tolist() == [1, *codes(1, 4), 7, 8]
    # The begin, the mask and the user's word take five tokens; items 4 and 1 nine, item 5 seven more.
    made = made_by(max_tokens=15, users=[[40, 41]])
    assert made.question(ITEMS, 0).tokens_T.tolist() == [1, 40, 41, *codes(1, 4), 7, 8]
    assert made.question(ITEMS, None).tokens_T.tolist() == [1, *codes(1, 4), 7, 8]
    roomy = made_by(max_tokens=21, users=[[40, 41]])
    assert len(roomy.question(ITEMS, 0).tokens_T) == 21
    with pytest.raises(ConfigError, match=r"take 5 tokens and an item 7: .*max_tokens=11"):
        made_by(max_tokens=11, users=[[40, 41]])


def test_users_are_written_where_they_are_known() -> None:
    made = made_by(users=[[40], [41, 42]], numbers="own", num_words=9)
    assert made.question(ITEMS[:1], 1).tokens_T.tolist() == [1, 41, 42, *codes(2), 7, 8]
    assert made.question(ITEMS[:1], 1).words_T.tolist() == [0, 2, 2, 5, 5, 5, 5, 0, 0][:9]
    assert made.question(ITEMS[:1], None).tokens_T.tolist() == [1, *codes(2), 7, 8]
    assert made_by().question(ITEMS[:1], 1).tokens_T.tolist() == [1, *codes(2), 7, 8]


def test_word_numbers() -> None:
    users = [[40], [41, 42], [43]]

    def numbers(
        kind: Any, user: int | None, num_words: int | None = None, num_items: int = len(CODES)
    ) -> list[int]:
        rows = WordTable.size(kind, len(users), len(CODES), max_items=50) if num_words is None else num_words
        source = made_by(users=users, numbers=kind, num_words=rows, num_items=num_items).question(
            np.array([0, 1]), user
        )
        assert rows == 0 or source.words_T.max() < rows
        return source.words_T.tolist()

    assert numbers("none", 1) == [0] * 10
    assert numbers("order", 1) == [1, 2, 2, 3, 3, 4, 4, 4, 5, 5]
    assert numbers("own", 1) == [0, 2, 2, 4, 4, 5, 5, 5, 0, 0]
    assert numbers("shared", 1) == [0, 2, 2, 1, 1, 2, 2, 2, 0, 0]
    assert numbers("own", None) == [0, 4, 4, 5, 5, 5, 0, 0]
    # What stands behind the last row of an order shares it, and items that came later have no row.
    assert numbers("order", None, num_words=4) == [1, 2, 2, 3, 3, 3, 3, 3]
    assert numbers("own", None, num_words=5) == [0, 4, 4, 0, 0, 0, 0, 0]
    assert numbers("own", None, num_words=9, num_items=1) == [0, 4, 4, 0, 0, 0, 0, 0]
    assert numbers("shared", None, num_words=5, num_items=1) == [0, 1, 1, 0, 0, 0, 0, 0]  # not that of a user
    assert WordTable.size("own", 3, 6, 50) == 10
    assert WordTable.size("shared", 3, 6, 50) == 7
    assert WordTable.size("none", 3, 6, 50) == 0


def test_a_batch_holds_every_example_and_padding_learns_nothing() -> None:
    made = made_by()
    examples = [made.packed(np.array([0, 1]), None), made.single(np.array([3]), 2, None)]
    batch = made.collate(examples)
    assert batch["tokens"].tolist() == [
        [START, *codes(0), START, *codes(1)],
        [START, *codes(2), 0, 0],
    ]
    assert batch["answer"].tolist() == [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, -1, -1]]
    assert batch["learnt"].tolist() == [
        [False, True, True, False, True, True, True],
        [False] + [True] * 4 + [False] * 2,
    ]
    assert batch["sees"].tolist() == batch["answer"].tolist()
    assert batch["items"].equal(batch["learnt"])
    assert batch["reach"].tolist() == [[1, 1, 1, 3, 3, 3, 3], [8] * 5 + [0, 0]]
    assert batch["positions"].tolist() == [[0, 1, 2, 2, 3, 4, 5], [7, 8, 9, 10, 11, 0, 0]]
    assert batch["nodes"][0].tolist() == [0, *TRIE.paths[0], 0, *TRIE.paths[1]]
    assert batch["source_length"].tolist() == [6, 8]
    assert batch["source_reach"].tolist() == [[1, 3, 3, 6, 6, 6, 1, 1], [8] * 8]
    assert batch["source_tokens"][0].tolist() == [1, *codes(0, 1), 0, 0]
    assert all(
        values.dtype == torch.int64 for name, values in batch.items() if name not in ("learnt", "items")
    )
    alone = collate_sources([examples[0].source])
    assert alone["source_tokens"].tolist() == [[1, *codes(0, 1)]]


def test_chained_answers_see_those_before_them_and_words_of_either_kind_stand_side_by_side() -> None:
    made = made_by()
    text = Span.of_text(np.array([30, 31]))
    answers = [Answer([made.layout.item(0), text], 5, 3), Answer([text], 9, 3)]
    example = Asked(made.question(np.array([3]), None), answers, chained=True)
    batch = made.collate([example, made.packed(np.array([0, 1]), None)])
    assert batch["tokens"][0].tolist() == [START, *codes(0), 30, 31, START, 30, 31]
    assert batch["items"][0].tolist() == [False, True, True, False, False, False, False, False]
    assert batch["answer"][0].tolist() == [0] * 5 + [1] * 3
    assert batch["sees"].tolist() == [[0] * 8, [0, 0, 0, 1, 1, 1, 1, -1]]
    assert batch["positions"][0].tolist() == [4, 5, 6, 7, 8, 8, 9, 10]
    assert example.answers[0].tokens.tolist() == [*codes(0), 30, 31]


@pytest.mark.parametrize("way", ["packed", "masked", "prefixes", "last"])
def test_a_step_depends_on_seed_and_number_alone(way: Any) -> None:
    histories = Histories.from_lists([np.roll(np.arange(6), user)[: 2 + user % 5] for user in range(30)])
    options: dict[str, Any] = {"way": way, "batch_tokens": 90, "num_epochs": 3}
    made = made_by(users=[[40 + user] for user in range(30)], max_items=4)
    steps, again, other = (history_mixture(histories, made, seed=seed, **options) for seed in (1, 1, 2))
    assert len(steps) == len(again) > 10
    order = np.random.default_rng(0).permutation(len(steps))
    forwards = [again[step] for step in range(len(again))]
    for step in order.tolist():
        for name, values in steps[step].items():
            assert values.equal(forwards[step][name])
        assert steps[step]["source_tokens"].numel() <= 90
    assert any(
        not steps[step]["source_tokens"].equal(other[step]["source_tokens"])
        for step in range(min(len(steps), len(other)))
    )
