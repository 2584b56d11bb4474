"""What P5's families learn from: read back from the tokens of every example that is drawn."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.split import leave_one_out
from genrec.errors import ConfigError, DataError
from genrec.prompts.template import Text
from genrec.tasks.base import review_fields
from genrec.tasks.material import TrainingText
from genrec.tasks.rating import spread_stars, stars_behind, whole_stars
from task_data import (
    NO_HEADLINE,
    NO_TEXT,
    NUM_ITEMS,
    TIMES,
    drawn,
    items_in,
    make,
    of_kind,
    of_kind_packed,
    read,
    reviewed,
)


@pytest.fixture(scope="module")
def train() -> Interactions:
    return leave_one_out(reviewed()).train


@pytest.fixture(scope="module")
def taken(train: Interactions) -> list[list[int]]:
    return [items.tolist() for items in train.histories]


def is_piece(piece: list[int], whole: list[int]) -> bool:
    return any(piece == whole[start : start + len(piece)] for start in range(len(whole)))


def test_next_asks_for_the_item_after_a_piece(train: Interactions, taken: list[list[int]]) -> None:
    named = set()
    for datum, prompt, fields, (answer,) in of_kind("next", train):
        assert (prompt.family, prompt.group) == ("sequential", "next")
        assert is_piece([*items_in(fields["history"]), *items_in(answer)], taken[datum])
        named.add(fields.get("user"))
        assert fields.get("user") in (None, "someone", f"user{datum + 1}")
    assert named >= {None, "someone", "user1"}


def test_choose_has_the_target_among_items_that_the_user_left(
    train: Interactions, taken: list[list[int]]
) -> None:
    for name, group in (("choose", "sequential"), ("direct-choose", "direct")):
        places = set()
        for datum, prompt, fields, (answer,) in of_kind(name, train):
            assert (prompt.family, prompt.group) == (group, "choose")
            candidates, (target,) = items_in(fields["candidates"]), items_in(answer)
            assert len(set(candidates)) == len(candidates) == NUM_ITEMS // 2
            assert set(candidates) & set(taken[datum]) == {target}
            if group == "sequential":
                assert is_piece([*items_in(fields["history"]), target], taken[datum])
            assert fields.get("user", f"user{datum + 1}") == f"user{datum + 1}"
            places.add(candidates.index(target))
        assert len(places) > 10


@pytest.mark.parametrize("name", ["confirm", "direct-confirm"])
def test_confirm_says_yes_to_what_was_taken_alone(
    train: Interactions, taken: list[list[int]], name: str
) -> None:
    said = Counter()
    for datum, prompt, fields, (answer,) in of_kind(name, train):
        assert prompt.group == "confirm"
        named = fields["item"] if "item" in fields else fields["title"].replace("Title-", "item_")
        (item,) = items_in(named)
        assert (item in taken[datum]) == (answer == "yes")
        if "history" in fields and answer == "yes":
            assert is_piece([*items_in(fields["history"]), item], taken[datum])
        said[answer] += 1
    assert set(said) == {"yes", "no"}
    assert 0.3 < said["yes"] / said.total() < 0.7


def test_rating_says_the_stars(train: Interactions) -> None:
    groups = set()
    assert train.ratings is not None
    for datum, prompt, fields, (answer,) in of_kind("rating", train):
        stars = int(train.ratings[datum])
        item = int(train.histories.items[datum])
        assert fields.get("item", f"item_{item}") == f"item_{item}"
        assert fields.get("title", f"Title-{item}") == f"Title-{item}"
        groups.add(prompt.group)
        if prompt.group == "stars":
            assert abs(float(answer) - stars) < 1.1
        elif prompt.group == "liking":
            assert answer == ("like" if stars >= 4 else "dislike")
        else:
            assert fields["guess"] in "12345"
            assert (answer == "yes") == (fields["guess"] == str(stars))
    assert groups == {"stars", "guess", "liking"}


def test_what_has_no_rating_is_not_learnt_as_one(train: Interactions) -> None:
    assert train.ratings is not None
    ratings = train.ratings.copy()
    ratings[::2] = np.nan
    half = replace(train, ratings=ratings)
    where = [place for place, rating in zip(places(train), ratings, strict=True) if not np.isnan(rating)]
    for datum, _, fields, _ in of_kind("rating", half):
        user, place = where[datum]
        item = train.histories[user][place]
        assert fields.get("item", f"item_{item}") == f"item_{item}"
    with_text = [place for place in where if place != NO_TEXT]
    for datum, _, fields, (answer,) in of_kind("explanation", half):
        user, place = with_text[datum]
        assert answer.endswith(f"My strings-{user}-{place} hold.")
        assert fields.get("stars", str(1 + (user + place) % 5)) == str(1 + (user + place) % 5)
    with_both = [place for place in with_text if place != NO_HEADLINE]
    assert {datum for datum, *_ in of_kind("review", half)} == set(range(len(with_both)))
    nothing = replace(train, ratings=np.full_like(ratings, np.nan))
    assert "stars" not in TrainingText(nothing).fields(review_fields())
    assert {prompt.group for _, prompt, _, _ in of_kind("explanation", nothing)} == {"sentence", "about"}


def places(train: Interactions) -> list[tuple[int, int]]:
    return [(user, place) for user, items in enumerate(train.histories) for place in range(len(items))]


def test_explanations_leave_out_what_nobody_wrote(train: Interactions) -> None:
    where = [place for place in places(train) if place != NO_TEXT]
    groups = set()
    for datum, prompt, fields, (answer,) in of_kind("explanation", train):
        user, place = where[datum]
        sentence = f"My strings-{user}-{place} hold."
        item = train.histories[user][place]
        groups.add(prompt.group)
        assert answer.endswith(sentence)
        assert fields["user"] == f"user{user + 1}"
        assert fields.get("item", f"item_{item}") == f"item_{item}"
        assert fields.get("stars", str(1 + (user + place) % 5)) == str(1 + (user + place) % 5)
        if prompt.group == "stars_and_sentence":
            assert answer == f"{1 + (user + place) % 5} stars: {sentence}"
        if prompt.group == "about":
            assert fields["feature"] == "strings"
        if "headline" in fields:
            assert fields["headline"] == ("" if where[datum] == NO_HEADLINE else f"Head-{user}-{place}")
    assert groups == {"sentence", "about", "stars_and_sentence"}


def test_reviews_leave_out_what_nobody_wrote(train: Interactions) -> None:
    where = [place for place in places(train) if place not in (NO_TEXT, NO_HEADLINE)]
    groups = set()
    for datum, prompt, fields, (answer,) in of_kind("review", train):
        user, place = where[datum]
        groups.add(prompt.group)
        assert fields["review"].strip() == f"My strings-{user}-{place} hold."
        assert fields.get("user") in (None, "someone", f"user{user + 1}")
        expected = f"Head-{user}-{place}" if prompt.group == "headline" else str(1 + (user + place) % 5)
        assert answer == expected
    assert groups == {"headline", "stars"}
    assert max(datum for datum, *_ in of_kind("review", train)) == len(where) - 1


def test_packed_histories_answer_every_item(train: Interactions, taken: list[list[int]]) -> None:
    for datum, prompt, fields, answers in of_kind_packed(train):
        assert prompt.group == "next"
        assert is_piece([item for answer in answers for item in items_in(answer)], taken[datum])
        assert len(answers) == min(6, len(taken[datum]))
        assert fields["history"] == ""


@pytest.mark.parametrize("packed", [True, False])
def test_no_held_out_prompt_and_nothing_of_validation_or_test(packed: bool) -> None:
    data = reviewed()
    train = leave_one_out(data).train
    kinds, letters, prompts = make(train, packed=packed)
    seen = set()
    for kind in kinds:
        for _, question, answers, _ in drawn(kind, letters, passes=4):
            said = f"{question} {' '.join(answers)}"
            for user, place in re.findall(r"(?:strings|Head)-(\d+)-(\d+)", said):
                assert int(place) < len(data.histories[int(user)]) - 2
            if not packed:
                seen.add(read(question, prompts)[0].id)
    learnt = {prompt.id for prompt in prompts if not prompt.held_out}
    assert packed or seen == learnt
    assert len(learnt) < len(prompts)


def test_users_with_one_item_are_no_pieces() -> None:
    train = Interactions(
        reviewed().catalogue, pl.Series(["a", "b", "c"]), Histories.from_lists([[3], [5, 6, 7], [8]])
    )
    for packed in (True, False):
        kinds, letters, _ = make(train, packed=packed, families=("sequential", "direct"))
        assert [len(kind.lengths_E) for kind in kinds] == [3 if packed else 1, 1, 1, 3, 3]
        for kind in kinds:
            assert drawn(kind, letters)
        (*_, choose) = drawn(kinds[1], letters)
        assert {*items_in(choose[1])} & {5, 6, 7}


def test_how_often() -> None:
    train = leave_one_out(reviewed()).train
    times = dict(zip(TIMES, range(1, 9), strict=True))
    kinds = make(train, times=times)[0]
    assert [kind.times for kind in kinds] == [2, 3, 4, 7, 8, 1, 5, 6]
    assert [kind.times for kind in make(train, packed=True, times=times)[0]] == [
        1,
        3,
        4,
        7,
        8,
        1,
        5,
        6,
    ]
    assert len(make(train, times=times | {"confirm": 0})[0]) == 7
    with pytest.raises(ConfigError, match="nothing to learn"):
        make(train, times={"rating": 1}, families=("direct",))[0]


def without(train: Interactions, **changed: Any) -> Interactions:
    return Interactions(**(vars(train) | changed))


def test_only_what_the_data_have_is_asked_for(train: Interactions) -> None:
    assert train.texts is not None
    nothing = pl.Series([None] * train.num_interactions, dtype=pl.String)
    for bare in (without(train, headlines=None), without(train, headlines=nothing)):
        assert "headline" not in TrainingText(bare).fields(review_fields())
        groups = {prompt.group for _, prompt, *_ in of_kind("review", bare)}
        assert groups == {"stars"}
    for bare in (without(train, texts=None), without(train, texts=nothing)):
        assert not TrainingText(bare).fields(review_fields()) & {"review", "explanation", "feature"}
        assert len(make(bare)[0]) == 6
        assert set(TrainingText(bare).all_texts()) == {text for text in bare.headlines if text is not None}
    bare = without(train, ratings=None, texts=None, headlines=None)
    always = {"user", "item", "history", "candidates"}
    assert TrainingText(bare).fields(review_fields()) == always | {"title", "brand", "price"}
    untitled = Catalogue.from_lists(bare.catalogue.ids, bare.catalogue.ids)
    bare = without(bare, catalogue=Catalogue(untitled.table, titled=False))
    assert TrainingText(bare).fields(review_fields()) == always


def test_mistakes_are_told(train: Interactions) -> None:
    assert train.ratings is not None
    with pytest.raises(DataError, match="ratings go from 2 to 10, and stars from 1 to 5"):
        make(without(train, ratings=train.ratings * 2))
    make(without(train, ratings=train.ratings * 2), families=("sequential", "direct"))


def test_who_took_nearly_all_items_is_asked_with_the_few_that_are_left() -> None:
    lists = [range(NUM_ITEMS), range(NUM_ITEMS - 1)]
    train = Interactions(
        reviewed().catalogue,
        pl.Series(["all", "most"]),
        Histories.from_lists([list(items) for items in lists]),
    )
    for name in ("confirm", "choose", "direct-confirm", "direct-choose"):
        found = of_kind(name, train, families=("sequential", "direct"))
        assert {datum for datum, *_ in found} == {0}  # the second user alone
        for _, prompt, fields, (answer,) in found:
            if prompt.group == "choose":
                assert {*items_in(fields["candidates"])} == {NUM_ITEMS - 1, *items_in(answer)}
            else:
                named = fields.get("item") or fields["title"].replace("Title-", "item_")
                assert (answer == "no") == (items_in(named) == [NUM_ITEMS - 1])


@pytest.mark.parametrize("stars", [1, 2, 3, 4, 5])
def test_stars_spread_around_themselves(stars: int) -> None:
    rng = np.random.default_rng(stars)
    words = [spread_stars(stars, rng) for _ in range(2000)]
    assert all(re.fullmatch(r"[1-5]\.[0-9]", word) for word in words)
    values = np.array(words, float)
    assert ((values >= 1) & (values <= 5)).all()
    assert values.mean() == pytest.approx({1: 1.2, 5: 4.75}.get(stars, stars - 0.05), abs=0.03)
    assert len(set(words)) > 4


def test_stars_behind_what_is_learnt() -> None:
    rng = np.random.default_rng(0)
    for stars in range(1, 6):
        values = np.array([spread_stars(stars, rng) for _ in range(2000)], float)
        assert stars_behind(values).mean() == pytest.approx(stars, abs=0.08)
    assert stars_behind(np.array([1.0, 1.2, 2.45, 4.75, 5.0])).tolist() == pytest.approx([1, 1, 2.5, 5, 5])


def test_whole_stars() -> None:
    ratings = [0.5, 1, 1.4, 2.5, 3.5, 4.4, 5]
    assert [whole_stars(rating) for rating in ratings] == [1, 1, 1, 3, 4, 4, 5]


def test_a_prompts_own_words_give_way_to_others(train: Interactions) -> None:
    counts, named = [], []
    for share in (0.0, 0.5):
        (kind,), letters, prompts = make(train, families=("rating",), other_words=share)
        texts = [part.text for prompt in prompts for part in prompt.source if isinstance(part, Text)]
        own = {word for text in texts for word in text.split()}
        questions = [question.split() for _, question, _, _ in drawn(kind, letters)]
        counts.append(np.mean([sum(word in own for word in words) for words in questions]))
        named.append(np.mean([any(re.fullmatch(r"user\d+", word) for word in words) for words in questions]))
    assert 0.4 < counts[1] / counts[0] < 0.6
    assert named == [1.0, 1.0]


def test_some_words_of_a_review_are_left_out(train: Interactions) -> None:
    lengths, own = [], set()
    for share in (0.0, 0.5):
        (kind,), letters, prompts = make(train, families=("review",), dropped_words=share)
        texts = [part.text for prompt in prompts for part in prompt.source if isinstance(part, Text)]
        own |= {word for text in texts for word in text.split()}
        questions = [question.split() for _, question, _, _ in drawn(kind, letters, 40)]
        lengths.append(np.mean([sum(word not in own for word in words) for words in questions]))
        assert np.mean([sum(word in own for word in words) for words in questions]) > 2  # the prompt stays
    assert 0.4 < lengths[1] / lengths[0] < 0.6


def test_packed_histories_keep_their_words(train: Interactions) -> None:
    options: dict[str, Any] = {"packed": True, "families": ("sequential",), "times": {"next": 1}}
    asked = []
    for share in (0.0, 0.9):
        (kind,), letters, _ = make(train, **options, other_words=share)
        asked.append([question for _, question, _, _ in drawn(kind, letters, 3)])
    assert asked[0] == asked[1]
