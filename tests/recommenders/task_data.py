"""Invented reviews whose every word tells where it is from, and what is asked about them, read back from tokens."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Interactions
from genrec.prompts.task_prompts import TaskPrompt, load_task_prompts, usable
from genrec.prompts.template import join
from genrec.recommenders.p5.examples import example_sets
from genrec.tasks.base import groups, review_fields
from genrec.tasks.material import Material, TrainingText
from genrec.testing import toys
from genrec.training.encoder_rows import Asked, EncoderLayout
from genrec.training.mixture import ExampleSet

NUM_USERS, NUM_ITEMS = 12, 40
TIMES: Any = {
    "rating": 1,
    "next": 1,
    "choose": 1,
    "confirm": 1,
    "explanation": 1,
    "review": 1,
    "direct-confirm": 1,
    "direct-choose": 1,
}
FAMILIES = ("rating", "sequential", "explanation", "review", "direct")
NO_TEXT, NO_HEADLINE = (0, 2), (1, 2)  # user and place of reviews that lack something
FIRST_ITEM = 10_000  # an item is written by one token, and a word by another
CODES = Codes.from_lists([[FIRST_ITEM + item] for item in range(NUM_ITEMS)])


class Letters:
    """A token a word, and back."""

    def __init__(self) -> None:
        self.words = ["<end>", "<begin>"]

    def encode(self, texts: list[str]) -> list[list[int]]:
        found = []
        for text in texts:
            self.words += [word for word in text.split() if word not in self.words]
            found.append([self.words.index(word) for word in text.split()])
        return found

    def say(self, tokens: Any) -> str:
        return " ".join(
            f"item_{token - FIRST_ITEM}" if token >= FIRST_ITEM else self.words[token]
            for token in tokens.tolist()
        )


def reviewed() -> Interactions:
    """Every word of a review tells whose it is and at which place of the history it stands."""
    rng = np.random.default_rng(0)
    lists = [rng.permutation(NUM_ITEMS)[: 5 + user % 4] for user in range(NUM_USERS)]
    where = [(user, place) for user, items in enumerate(lists) for place in range(len(items))]
    texts = [f"My strings-{user}-{place} hold." for user, place in where]
    headlines = [f"Head-{user}-{place}" for user, place in where]
    said: list[list[str | None]] = [[*texts], [*headlines]]
    said[0][where.index(NO_TEXT)] = said[1][where.index(NO_HEADLINE)] = None
    items = toys.catalogue(
        [f"Title-{item}" for item in range(NUM_ITEMS)],
        brand=[f"Brand-{item}" for item in range(NUM_ITEMS)],
        price=[f"{item}.50" for item in range(NUM_ITEMS)],
    )
    ratings = [1 + (user + place) % 5 for user, place in where]
    return toys.interactions(lists, items, ratings=ratings, texts=said[0], headlines=said[1])


def make(
    train: Interactions,
    *,
    packed: bool = False,
    times: Any = TIMES,
    families: tuple[str, ...] = FAMILIES,
    **options: Any,
) -> tuple[list[ExampleSet], Letters, list[TaskPrompt]]:
    """The examples of the package's prompts, less those held out."""
    letters = Letters()
    users = [f"user{row + 1}" for row in range(train.num_users)]
    texts = TrainingText(train)
    loaded = load_task_prompts("p5", groups())
    prompts, _ = usable(
        [prompt for family in families for prompt in loaded[family]], texts.fields(review_fields())
    )
    layout = EncoderLayout(
        Trie.build(CODES),
        letters.encode,
        [1],
        [0],
        start_token=0,
        users=letters.encode(users),
        max_items=6,
    )
    material = Material(
        [prompt for prompt in prompts if not prompt.held_out],
        train,
        texts,
        code_lengths=layout.read_lengths,
        own_length=layout.own_length,
        max_items=layout.max_items,
        max_tokens=layout.max_tokens,
        packed=packed,
        named_users=0.5,
        **options,
    )
    return example_sets(material, layout, times), letters, prompts


def drawn(kind: ExampleSet, letters: Letters, passes: int = 20) -> list[tuple[int, str, list[str], Asked]]:
    """Datum, question, answers and example of every datum, several times over."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(passes):
        for datum in range(len(kind.lengths_E)):
            example = kind.make(datum, rng)
            answers = [letters.say(answer.tokens).removesuffix(" <end>") for answer in example.answers]
            found.append(
                (datum, letters.say(example.source.tokens_T).removeprefix("<begin> "), answers, example)
            )
    return found


def pattern(prompt: TaskPrompt) -> str:
    """What a question of a prompt looks like, with its fields as named groups."""
    words = {"item": r"item_\d+", "user": r"user\d+|someone", "history": r"(?:item_\d+ ?)*"}
    words |= {"candidates": words["history"]}
    template = re.sub(r"\{(\w+)\}", r" \1_FIELD ", join(prompt.source))
    parts = [
        f"(?P<{word.removesuffix('_FIELD')}>{words.get(word.removesuffix('_FIELD'), '.*?')})"
        if word.endswith("_FIELD")
        else re.escape(word)
        for word in template.split()
    ]
    return "^" + " *".join(parts) + "$"


def read(question: str, prompts: list[TaskPrompt]) -> tuple[TaskPrompt, dict[str, str]]:
    """The prompt behind a question, and what stands in its fields."""
    for prompt in prompts:
        match = re.match(pattern(prompt), question)
        if match:
            return prompt, match.groupdict()
    raise AssertionError(f"no prompt asks {question!r}")


def items_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"item_(\d+)", text)]


def of_kind(
    name: str, train: Interactions, **options: Any
) -> list[tuple[int, TaskPrompt, dict[str, str], list[str]]]:
    """What one kind of examples holds: datum, prompt, fields and answers."""
    (kind,), letters, prompts = make(train, times={name: 1}, **options)
    return [
        (datum, *read(question, prompts), answers) for datum, question, answers, _ in drawn(kind, letters)
    ]


def of_kind_packed(train: Interactions) -> list[tuple[int, TaskPrompt, dict[str, str], list[str]]]:
    """The history stands behind the prompt, so the prompt is read without it."""
    (kind,), letters, prompts = make(train, packed=True, times={"next": 7})
    assert kind.times == 1
    found = []
    for datum, question, answers, _ in drawn(kind, letters):
        head = question.removesuffix(" ".join(answers)).strip()
        assert head != question
        found.append((datum, *read(head, prompts), answers))
    return found
