"""Measuring tasks: what is asked, what it is held against, and the simple answers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest
from genrec.data.interactions import Interactions
from genrec.data.ranking import Rankings
from genrec.data.split import Split, leave_one_out
from genrec.errors import ConfigError, DataError
from genrec.tasks.measure import evaluate_tasks, possible_tasks
from genrec.tasks.recommender import PROMPT_KINDS, PromptKind, TaskRecommender, recommends
from genrec.testing import interactions

NUM_USERS, NUM_ITEMS, LENGTH = 30, 130, 6
EVERY = ["direct", "rating", "explanation", "explanation-with-feature", "headline", "rating-from-review"]


def reviewed(num_items: int = NUM_ITEMS) -> Interactions:
    """30 users with 6 reviews each; the test review of user 0 is a copy of an earlier one of hers."""
    rng = np.random.default_rng(0)
    ids = [f"i{item}" for item in range(num_items)]
    lists = [rng.choice(num_items, LENGTH, replace=False).tolist() for _ in range(NUM_USERS)]
    ratings = rng.integers(1, 6, NUM_USERS * LENGTH)
    parts = ["strings", "tuner", "strap"]
    texts = [
        f"My {parts[(place + place // LENGTH) % 3]} no {place} got {rating} of 5."
        for place, rating in enumerate(ratings)
    ]
    texts[LENGTH - 1] = texts[0]
    headlines = [f"Headline of {place} is this" for place in range(NUM_USERS * LENGTH)]
    return interactions(lists, ids, ratings=ratings, texts=texts, headlines=headlines)


class Oracle:
    """Knows every review. Unseen prompts confuse it: ratings one too high, empty texts, the target last."""

    def __init__(self, data: Interactions) -> None:
        self.users_ = {user: row for row, user in enumerate(data.users)}
        self.dropped_: dict[str, str] = {}
        self.learnt: dict[str, list[str]] = {
            "seen": [*EVERY],
            "unseen": [*EVERY],
            "new": [],
        }
        users = np.repeat(data.users.to_list(), data.histories.lengths).tolist()
        self.place = {
            pair: place for place, pair in enumerate(zip(users, data.histories.items.tolist(), strict=True))
        }
        assert data.ratings is not None
        assert data.texts is not None
        assert data.headlines is not None
        self.ratings, self.texts, self.headlines = data.ratings, list(data.texts), list(data.headlines)
        self.target = dict(zip(data.users, data.histories.items[data.histories.offsets[1:] - 1], strict=True))

    def tasks(self, prompt: PromptKind = "seen") -> list[str]:
        return self.learnt[prompt]

    def asked_with(self, prompt: PromptKind) -> Self:
        return self

    def answer(
        self,
        task: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        prompt: PromptKind = "seen",
        greedy: bool = False,
    ) -> Any:
        self.asked = questions
        if task == "direct":
            return self.ranked(questions, prompt)
        if task == "rating":
            true = [self.ratings[self.place[one["user"], one["item"]]] for one in questions]
            return np.array(true) + (prompt == "unseen") + (0.5 if greedy else 0)
        if task == "rating-from-review":
            return np.array([float(one["review"].split()[5]) for one in questions]) + (prompt == "unseen")
        if prompt != "seen":
            return [""] * len(questions)
        if task == "headline":
            return [self.headlines[self.texts.index(one["review"])] for one in questions]
        return [self.texts[self.place[one["user"], one["item"]]] for one in questions]

    def ranked(self, questions: Sequence[Mapping[str, Any]], prompt: PromptKind) -> Rankings:
        candidates_BC = np.stack([one["candidates"] for one in questions])
        assert (np.diff(candidates_BC, axis=1) > 0).all()
        self.candidates_BC = candidates_BC
        scores_BC = (
            candidates_BC == np.array([self.target[one["user"]] for one in questions])[:, None]
        ) * 1.0
        scores_BC = scores_BC if prompt == "seen" else -scores_BC
        order_BC = np.argsort(-scores_BC, axis=1, kind="stable")
        return Rankings(
            np.take_along_axis(candidates_BC, order_BC, axis=1),
            np.take_along_axis(scores_BC, order_BC, axis=1),
            np.ones(len(questions), bool),
        )


@pytest.fixture(scope="module")
def data() -> Interactions:
    return reviewed()


@pytest.fixture(scope="module")
def split(data: Interactions) -> Split:
    return leave_one_out(data)


def test_an_oracle_is_measured_as_one(data: Interactions, split: Split) -> None:
    model = Oracle(data)
    as_protocol: TaskRecommender = model
    assert isinstance(model, TaskRecommender)
    figures = evaluate_tasks(as_protocol, data, split, split.test)
    assert list(figures) == EVERY
    rating = figures["rating"]
    assert rating["seen"] == {
        "num_questions": 30,
        "RMSE": 0,
        "MAE": 0,
        "RMSE greedy": pytest.approx(0.5),
        "MAE greedy": pytest.approx(0.5),
    }
    assert rating["unseen"]["RMSE"] == pytest.approx(1)
    assert rating["unseen"]["RMSE greedy"] == pytest.approx(1.5)
    assert {"mean", "biases", "matrix factorisation"} < set(rating)
    assert figures["rating-from-review"]["seen"]["RMSE"] == 0
    for task in ("headline", "explanation", "explanation-with-feature"):
        rows = figures[task]
        assert rows["seen"]["BLEU-4"] == pytest.approx(100)
        assert rows["seen"]["ROUGE-L"] == pytest.approx(100)
        assert rows["unseen"]["ROUGE-1"] == 0
        simple = [name for name in rows if name not in ("seen", "unseen")]
        assert len(simple) == 2
        assert all(rows[name]["ROUGE-L"] < 100 for name in simple)
        assert all(row["num_questions"] == 29 and row["num_copies"] == 1 for row in rows.values())
    evaluate_tasks(model, data, split, split.test, ["explanation-with-feature"], prompts=["seen"])
    assert {one["feature"] for one in model.asked} == {"strings", "tuner", "strap"}


def test_what_has_no_rating_is_not_asked_for_one(data: Interactions) -> None:
    assert data.ratings is not None
    ratings = data.ratings.copy()
    ratings[::LENGTH] = ratings[LENGTH - 1 :: 2 * LENGTH] = (
        np.nan
    )  # each first one, and half of those of the test
    some = replace(data, ratings=ratings)
    split = leave_one_out(some)
    figures = evaluate_tasks(Oracle(some), some, split, split.test, ["rating", "rating-from-review"])
    for task, num_questions in {"rating": 15, "rating-from-review": 15}.items():
        for row in figures[task].values():
            assert row["num_questions"] == num_questions
            assert np.isfinite(row["RMSE"])
        assert figures[task]["seen"]["RMSE"] == 0


def test_candidates(data: Interactions, split: Split) -> None:
    model = Oracle(data)
    rows = evaluate_tasks(model, data, split, split.test, ["direct"])["direct"]
    assert rows["seen"]["HR@1"] == rows["seen"]["NDCG@10"] == 1
    assert rows["unseen"]["HR@10"] == 0
    assert model.candidates_BC.shape == (30, 100)
    first = model.candidates_BC
    evaluate_tasks(model, data, split, split.test, ["direct"], seed=1)
    assert (model.candidates_BC != first).any()
    counts = np.bincount(split.train.histories.items, minlength=NUM_ITEMS)
    rank = (counts[first] >= counts[split.test.items][:, None]).sum(axis=1)
    assert rows["popularity"]["HR@10"] == pytest.approx((rank <= 10).mean())


def test_some_questions_some_prompts_and_no_model(data: Interactions, split: Split) -> None:
    some = split.test.sample(7, seed=2)
    rows = evaluate_tasks(Oracle(data), data, split, some, ["rating"], prompts=["seen"])["rating"]
    assert "unseen" not in rows
    assert rows["seen"]["num_questions"] == 7
    alone = evaluate_tasks(None, data, split, some, ["rating"])["rating"]
    assert alone == {name: row for name, row in rows.items() if name != "seen"}


def test_only_what_the_model_has_learnt_is_asked(data: Interactions, split: Split) -> None:
    model = Oracle(data)
    model.learnt = {
        "seen": ["sequential", "rating", "direct"],
        "unseen": ["sequential", "rating"],
        "new": ["rating"],
    }
    figures = evaluate_tasks(model, data, split, split.test)
    assert {task: [name for name in rows if name in PROMPT_KINDS] for task, rows in figures.items()} == {
        "rating": ["seen", "unseen", "new"],
        "direct": ["seen"],
    }
    assert recommends(model)
    model.learnt["seen"].remove("sequential")
    assert not recommends(model)
    assert recommends("a recommender without tasks")
    with pytest.raises(ConfigError, match="has not learnt headline; it can be asked for direct, rating"):
        evaluate_tasks(model, data, split, split.test, ["rating", "headline"])
    assert list(evaluate_tasks(None, data, split, split.test, ["headline"])) == ["headline"]


def test_tasks_that_the_data_have_nothing_for(data: Interactions, split: Split) -> None:
    bare = Interactions(data.catalogue, data.users, data.histories)
    assert possible_tasks(bare) == ["direct"]
    rated = Interactions(data.catalogue, data.users, data.histories, ratings=data.ratings)
    assert possible_tasks(rated) == ["direct", "rating"]
    assert "direct" not in possible_tasks(reviewed(num_items=100))
    parts = leave_one_out(bare)
    with pytest.raises(DataError, match="these data have no ratings"):
        evaluate_tasks(None, bare, parts, parts.test, ["rating"])
    with pytest.raises(ConfigError, match="there is no task 'ratings'; choose among direct, rating"):
        evaluate_tasks(None, data, split, split.test, ["ratings"])
