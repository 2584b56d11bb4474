"""Prompts and their values as sources, and the steps of a training on several kinds of examples."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from genrec.codes.trie import Codes, Trie
from genrec.errors import ConfigError
from genrec.prompts.template import parse
from genrec.training.mixture import Batch, ExampleSet, Mixture
from genrec.training.sources import Asked, SourceWriter
from genrec.training.tasks import TaskWriter

CODES = Codes.from_lists([[200 + item // 3, 210 + item % 3, 2] for item in range(9)])
BEGIN, END, START = 1, 2, 0


def encode(texts: list[str]) -> list[list[int]]:
    """A token a letter, blanks at the front of a text left out."""
    return [[ord(letter) for letter in text.strip()] for text in texts]


def spelt(text: str) -> list[int]:
    return [ord(letter) for word in text.split() for letter in word]


def writer(**options: Any) -> TaskWriter:
    given: dict[str, Any] = {"numbers": "order", "num_words": 40, "packs": True} | options
    sources = SourceWriter(
        CODES,
        Trie.build(CODES),
        begin=np.array([BEGIN]),
        mask=np.array([], np.int64),
        start_token=START,
        **given,
    )
    return TaskWriter(sources, encode, [END], encode(["ann", "bo"]))


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
    source = writer().source(
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
    nobody = writer().source(parse("{user}"), {"user": None})
    assert nobody.tokens_T.tolist() == [BEGIN, *spelt("someone")]


def test_an_answer_in_text_is_closed_and_cut() -> None:
    assert writer().text("so so").tokens.tolist() == [*spelt("so so"), END]
    assert writer().text("abcdefg", max_tokens=3).tokens.tolist() == [*spelt("abc"), END]
    assert not writer().text("so so").nodes.any()
    example = writer().example(parse("{item} ?"), writer().text("yes"), {"item": 1})
    (answer,) = example.answers
    assert (answer.reach, answer.start) == (example.source.end, example.source.end)


def test_a_packed_prompt_asks_for_every_item_as_a_question_does() -> None:
    made, prompt = writer(max_items=4), parse("Up to now {history} by {user} . Next:")
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
    made = writer(max_tokens=1 + 5 + 5 + 10)
    source = made.source(prompt, values, packed=packed)
    middle = [*spelt("what?"), *codes(6, 7, 8)] if packed else [*codes(6, 7, 8), *spelt("what?")]
    assert source.tokens_T.tolist() == [BEGIN, *spelt("After"), *middle]
    if packed:
        assert [answer.reach for answer in made.packed(prompt, values).answers] == [11, 14, 17]


def test_a_long_text_loses_its_end_and_the_question_stays() -> None:
    made = writer(max_tokens=24)
    source = made.source(
        parse("Sum up: {review} Title {title} ?"), {"review": "aaa bbb ccc ddd eee", "title": "T"}
    )
    assert source.tokens_T.tolist() == [BEGIN, *spelt("Sum up: aaa bbb ccc Title T ?")]


def test_what_cannot_be_cut_must_fit() -> None:
    values = {"candidates": np.arange(9), "user": 0, "history": np.arange(2)}
    for prompt in ("{user} of {candidates}", "{history} of {candidates}"):
        with pytest.raises(ConfigError, match=r"does not fit in max_tokens=20, .*times\.choose=0"):
            writer(max_tokens=20).source(parse(prompt), values)


def kinds(drawn: list[tuple[int, int, float]]) -> list[ExampleSet]:
    """Two kinds of examples, which note what was drawn."""
    made = writer()

    def maker(kind: int) -> Any:
        def make(datum: int, rng: np.random.Generator) -> Asked:
            drawn.append((kind, datum, float(rng.random())))
            word = made.text("x" * (1 + datum + 3 * kind))
            return made.example(parse("{title}"), made.item(datum % 9), {"title": "y" * len(word.tokens)})

        return make

    return [ExampleSet(3 + np.arange(20), 1, maker(0)), ExampleSet(6 + np.arange(7), 4, maker(1))]


def steps(drawn: list[tuple[int, int, float]], **options: Any) -> Mixture:
    given: dict[str, Any] = {"batch_tokens": 60, "num_epochs": 2, "seed": 3} | options
    return Mixture(kinds(drawn), writer().writer.collate, **given)


def test_an_epoch_draws_each_example_as_often_as_its_kind_says() -> None:
    drawn: list[tuple[int, int, float]] = []
    training = steps(drawn)
    longest = [training[step]["source_tokens"].shape for step in range(len(training))]
    assert all(rows * length <= 60 + 2 * length for rows, length in longest)
    expected = Counter({(0, datum): 2 for datum in range(20)}) + Counter(
        {(1, datum): 8 for datum in range(7)}
    )
    assert Counter((kind, datum) for kind, datum, _ in drawn) == expected
    assert len({chance for *_, chance in drawn}) == len(drawn)  # drawn anew every time


def test_a_step_depends_on_seed_and_number_alone() -> None:
    drawn: list[tuple[int, int, float]] = []
    training = steps(drawn)
    batches: list[Batch] = [training[step] for step in range(len(training))]
    first = list(drawn)
    again = steps([])
    for step in np.random.default_rng(0).permutation(len(training)).tolist():
        for name, values in again[step].items():
            assert values.equal(batches[step][name])
    drawn.clear()
    other = steps(drawn, seed=4)
    assert all(isinstance(other[step]["tokens"], torch.Tensor) for step in range(len(other)))
    assert drawn != first


@pytest.mark.parametrize("max_steps", [1, 5, 10_000])
def test_max_steps(max_steps: int) -> None:
    whole = len(steps([]))
    assert len(steps([], max_steps=max_steps)) == min(whole, max_steps)
