"""Prompts and their values as sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genrec.codes.trie import Codes, Trie
from genrec.errors import ConfigError
from genrec.prompts.template import parse
from genrec.training.encoder_rows import EncoderLayout, WordTable

CODES = Codes.from_lists([[200 + item // 3, 210 + item % 3, 2] for item in range(9)])
BEGIN, END, START = 1, 2, 0


def encode(texts: list[str]) -> list[list[int]]:
    """A token a letter, blanks at the front of a text left out."""
    return [[ord(letter) for letter in text.strip()] for text in texts]


def spelt(text: str) -> list[int]:
    return [ord(letter) for word in text.split() for letter in word]


def layout(**options: Any) -> EncoderLayout:
    return EncoderLayout(
        Trie.build(CODES),
        encode,
        [BEGIN],
        [END],
        start_token=START,
        users=encode(["ann", "bo"]),
        words=WordTable("order", 40),
        **options,
    )


def codes(*items: int) -> list[int]:
    return [token for item in items for token in CODES[item].tolist()]


def test_a_prompt_says_what_it_names() -> None:
    values = {
        "user": 1,
        "item": 4,
        "history": np.array([0, 7]),
        "candidates": np.array([3, 2]),
        "title": "A b",
        "headline": "",
    }
    source = layout().source(
        parse("So {user} : {title} {headline} {item} / {history} ? {candidates}!"), values
    )
    assert source.tokens_T.tolist() == [
        *[BEGIN, *spelt("So bo : A b"), *codes(4), ord("/")],
        *[*codes(0, 7), ord("?"), *codes(3, 2), ord("!")],
    ]
    lengths = [1, 2, 2, 1, 1, 1, 3, 1, 3, 3, 1, 3, 3, 1]
    assert source.words_T.tolist() == np.repeat(1 + np.arange(14), lengths).tolist()
    assert (source.reach_T == source.end).all()
    items = np.isin(source.tokens_T, [*range(200, 213), END])
    assert (source.nodes_T[~items] == 0).all()
    nobody = layout().source(parse("{user}"), {"user": None})
    assert nobody.tokens_T.tolist() == [BEGIN, *spelt("someone")]


def test_an_answer_in_text_is_closed_and_cut() -> None:
    assert layout().text("so so").tokens.tolist() == [*spelt("so so"), END]
    assert layout().text("abcdefg", max_tokens=3).tokens.tolist() == [*spelt("abc"), END]
    assert not layout().text("so so").nodes.any()
    example = layout().example(parse("{item} ?"), layout().text("yes"), {"item": 1})
    (answer,) = example.answers
    assert (answer.reach, answer.start) == (example.source.end, example.source.end)


def test_a_packed_prompt_asks_for_every_item_as_a_question_does() -> None:
    made, prompt = layout(max_items=4), parse("Up to now {history} by {user} . Next:")
    history = np.array([0, 5, 8, 2, 7])
    example = made.packed(prompt, {"history": history, "user": 0})
    assert example.source.tokens_T.tolist() == [BEGIN, *spelt("Up to now by ann . Next:"), *codes(5, 8, 2, 7)]
    assert [answer.tokens.tolist() for answer in example.answers] == [codes(item) for item in (5, 8, 2, 7)]
    for count, answer in enumerate(example.answers):
        question = made.source(prompt, {"history": history[1 : 1 + count], "user": 0}, packed=True)
        assert answer.reach == answer.start == question.end
        for name in (name for name in vars(question) if name.endswith("_T")):
            assert vars(question)[name].tolist() == vars(example.source)[name][: question.end].tolist()


@pytest.mark.parametrize("packed", [True, False])
def test_a_long_history_loses_its_oldest_items(packed: bool) -> None:
    prompt, values = parse("After {history} what?"), {"history": np.arange(9)}
    made = layout(max_tokens=1 + 5 + 5 + 10)
    source = made.source(prompt, values, packed=packed)
    middle = [*spelt("what?"), *codes(6, 7, 8)] if packed else [*codes(6, 7, 8), *spelt("what?")]
    assert source.tokens_T.tolist() == [BEGIN, *spelt("After"), *middle]
    if packed:
        assert [answer.reach for answer in made.packed(prompt, values).answers] == [11, 14, 17]


def test_a_long_text_loses_its_end_and_the_question_stays() -> None:
    made = layout(max_tokens=24)
    source = made.source(
        parse("Sum up: {review} Title {title} ?"), {"review": "aaa bbb ccc ddd eee", "title": "T"}
    )
    assert source.tokens_T.tolist() == [BEGIN, *spelt("Sum up: aaa bbb ccc Title T ?")]


def test_what_cannot_be_cut_must_fit() -> None:
    values = {"candidates": np.arange(9), "user": 0, "history": np.arange(2)}
    for prompt in ("{user} of {candidates}", "{history} of {candidates}"):
        with pytest.raises(
            ConfigError, match=r"takes \d+ tokens at least and max_tokens=20: .*times\.choose=0"
        ):
            layout(max_tokens=20).source(parse(prompt), values)
