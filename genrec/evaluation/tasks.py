"""Measuring tasks: ratings, headlines, explanations and given candidates, each beside simple answers.

The questions are those of the one split (see `genrec.data.tasks`). Reviews whose text their user also wrote in a
training review are left out where texts are asked or answered, and counted.

Shapes: N questions, B users, C candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from genrec.data.interactions import FloatArray, IntArray, Interactions, Targets
from genrec.data.split import Split
from genrec.data.tasks import (
    FIELDS,
    Reviews,
    copied_texts,
    explanations,
    feature_words,
    fixed_negatives,
    held_out_reviews,
    training_reviews,
)
from genrec.errors import ConfigError
from genrec.evaluation import task_baselines as baselines
from genrec.evaluation.metrics import check_bounds, per_user, ranks
from genrec.evaluation.task_recommender import PROMPTS, Prompt, TaskRecommender
from genrec.evaluation.text_metrics import rating_metrics, text_metrics

Rows = dict[str, dict[str, float]]  # who answered -> metric -> value
CUT_OFFS = (1, 5, 10)  # of HR and NDCG among candidates
NUM_NEGATIVES = 99


@dataclass(frozen=True)
class _Asked:
    """What there is to ask and to learn from. `held_out` are the reviews behind `targets`."""

    model: TaskRecommender | None
    prompts: Sequence[Prompt]
    interactions: Interactions
    targets: Targets
    training: Reviews
    validation: Reviews
    held_out: Reviews
    seed: int

    def users(self, reviews: Reviews) -> list[str]:
        return [str(user) for user in self.interactions.users[reviews.users]]

    def uncopied(self, *fields: str) -> tuple[Reviews, int]:
        """The held-out reviews that have all of `fields`, less the copies of training reviews; how many those are."""
        reviews = self.held_out.having(*fields)
        copied = copied_texts(reviews, self.training)
        return reviews.take(np.flatnonzero(~copied)), int(copied.sum())

    def learnt_from(self, field: str) -> tuple[Reviews, Reviews]:
        """The training and validation reviews that have `field`."""
        return self.training.having(field), self.validation.having(field)

    def rows(self, answer: Callable[[TaskRecommender, Prompt], dict[str, float]]) -> Rows:
        """The model's row for each kind of prompt."""
        model = self.model
        return {} if model is None else {prompt: answer(model, prompt) for prompt in self.prompts}


def evaluate_tasks(
    model: TaskRecommender | None,
    interactions: Interactions,
    split: Split,
    targets: Targets,
    tasks: Sequence[str] | None = None,
    *,
    prompts: Sequence[Prompt] = PROMPTS,
    seed: int = 0,
) -> dict[str, Rows]:
    """Measure a model on tasks, beside simple answers learnt from the same training reviews.

    Args:
        model: fitted on `split.train`; None: the simple answers alone.
        interactions: all of a data set.
        split: its split; validation chooses what the simple answers leave open.
        targets: the questions, `split.test` or some of it.
        tasks: of `TASKS`; None: all that the data have something for and the model has learnt.
        prompts: which kinds of prompts the model is asked with, where it has such prompts for a task.
        seed: of the negatives.

    Returns:
        Task to rows: "seen", "unseen", "new", and the name of each simple answer. A row has `num_questions` and, for
        tasks of texts, `num_copies`, the reviews left out. Ratings: `RMSE MAE` and, of a model, `RMSE greedy` and
        `MAE greedy`. Texts: `BLEU-2 BLEU-4 ROUGE-1 ROUGE-2 ROUGE-L` in percent. `direct`, one target among 99
        negatives: `HR@k NDCG@k` at 1, 5 and 10, and `MRR` truncated at 10.

    Raises:
        ConfigError: there is no such task, or the model has not learnt it.
        DataError: the data have nothing for a task that was named.
        BackendMissingError: a library of the extra `text` is not installed.
    """
    unknown = sorted(set(tasks or ()) - set(TASKS))
    if unknown:
        raise ConfigError(f"there is no task {unknown[0]!r}; choose among {', '.join(TASKS)}")
    asked = _Asked(
        model,
        prompts,
        interactions,
        targets,
        training_reviews(split),
        held_out_reviews(interactions, split.validation),
        held_out_reviews(interactions, targets),
        seed,
    )
    known = {} if model is None else {prompt: model.tasks(prompt) for prompt in prompts}
    learnt = [task for task in TASKS if model is None or any(task in names for names in known.values())]
    for task in tasks or ():
        if task not in learnt:
            raise ConfigError(
                f"the model has not learnt {task}; it can be asked for {', '.join(learnt) or 'none'}"
            )
    if tasks is None:
        tasks = [task for task in possible_tasks(interactions) if task in learnt]
    prompts_of = {task: [prompt for prompt, names in known.items() if task in names] for task in tasks}
    return {task: TASKS[task](replace(asked, prompts=prompts_of[task])) for task in tasks}


def possible_tasks(interactions: Interactions) -> list[str]:
    """The tasks that the data have something for: ratings, texts, headlines, or enough items to draw negatives."""
    there = {field for field in FIELDS if getattr(interactions, field) is not None}
    if interactions.num_items - int(interactions.histories.lengths.max()) >= NUM_NEGATIVES:
        there.add("negatives")
    return [task for task, needs in NEEDS.items() if needs <= there]


def _rating(asked: _Asked) -> Rows:
    reviews = asked.held_out.having("ratings")
    users, true_N = asked.users(reviews), _ratings(reviews)

    def answer(model: TaskRecommender, prompt: Prompt) -> dict[str, float]:
        expected_N = model.predict_rating(users, reviews.items, prompt=prompt)
        greedy_N = model.predict_rating(users, reviews.items, prompt=prompt, greedy=True)
        return rating_metrics(expected_N, true_N) | _greedy(greedy_N, true_N)

    interactions, training, validation = asked.interactions, *asked.learnt_from("ratings")
    mean = baselines.mean_rating(training, interactions.num_users, interactions.num_items)
    biases = baselines.rating_biases(training, validation, mean)
    factors = baselines.rating_factors(training, validation, biases)
    simple = {"mean": mean, "biases": biases, "matrix factorisation": factors}
    rows = {name: rating_metrics(model.predict(reviews), true_N) for name, model in simple.items()}
    return _counted(asked.rows(answer) | rows, num_questions=len(reviews))


def _rating_from_review(asked: _Asked) -> Rows:
    reviews, num_copies = asked.uncopied("ratings", "texts")
    texts, true_N = _words(reviews.texts), _ratings(reviews)

    def answer(model: TaskRecommender, prompt: Prompt) -> dict[str, float]:
        expected_N = model.predict_rating_from_review(texts, prompt=prompt)
        greedy_N = model.predict_rating_from_review(texts, prompt=prompt, greedy=True)
        return rating_metrics(expected_N, true_N) | _greedy(greedy_N, true_N)

    training, validation = asked.learnt_from("ratings")
    simple = {
        "commonest rating": np.full(len(reviews), baselines.commonest_rating(training)),
        "mean": np.full(len(reviews), _ratings(training).mean()),
        "ridge on words": baselines.ridge_ratings(training, validation, texts),
    }
    rows = {name: rating_metrics(predicted_N, true_N) for name, predicted_N in simple.items()}
    return _counted(asked.rows(answer) | rows, num_questions=len(reviews), num_copies=num_copies)


def _headline(asked: _Asked) -> Rows:
    reviews, num_copies = asked.uncopied("texts", "headlines")
    texts, true = _words(reviews.texts), _words(reviews.headlines)

    def answer(model: TaskRecommender, prompt: Prompt) -> dict[str, float]:
        return text_metrics(model.summarise_review(texts, prompt=prompt), true)

    commonest = baselines.commonest(_words(asked.training.having("headlines").headlines))
    rows = {
        "commonest headline": text_metrics([commonest] * len(true), true),
        "nearest review": text_metrics(baselines.nearest_headlines(asked.training, texts), true),
    }
    return _counted(asked.rows(answer) | rows, num_questions=len(true), num_copies=num_copies)


def _explanation(asked: _Asked, *, with_feature: bool = False) -> Rows:
    words = feature_words(asked.training)
    known = explanations(asked.training, words)
    reviews, num_copies = asked.uncopied("texts")
    true = explanations(reviews, words)
    true = true.with_feature() if with_feature else true
    users, items_N, sentences = asked.users(true.reviews), true.reviews.items, _words(true.sentences)
    features = _words(true.features) if with_feature else None

    def answer(model: TaskRecommender, prompt: Prompt) -> dict[str, float]:
        return text_metrics(model.explain(users, items_N, features, prompt=prompt), sentences)

    nearest = baselines.nearest_explanations(known, true.reviews.users, items_N, features)
    rows = {
        "commonest sentence": text_metrics(
            [baselines.commonest(_words(known.sentences))] * len(true), sentences
        ),
        "nearest sentence": text_metrics(nearest, sentences),
    }
    return _counted(asked.rows(answer) | rows, num_questions=len(true), num_copies=num_copies)


def _direct(asked: _Asked) -> Rows:
    targets = asked.targets
    negatives_BC = fixed_negatives(asked.interactions, targets, NUM_NEGATIVES, asked.seed)
    # By row of the catalogue: a place in the list tells nothing of who is the target.
    candidates_BC = np.sort(np.column_stack([targets.items, negatives_BC]).astype(np.int32), axis=1)
    users = [str(user) for user in targets.users]

    def answer(model: TaskRecommender, prompt: Prompt) -> dict[str, float]:
        ranking = model.rank_candidates(targets.histories, candidates_BC, users=users, prompt=prompt)
        return _ranked(ranks(ranking, targets.items))

    counts_I = np.bincount(asked.training.items, minlength=asked.interactions.num_items)
    ranks_B = (counts_I[candidates_BC] >= counts_I[targets.items][:, None]).sum(axis=1)
    return _counted(asked.rows(answer) | {"popularity": _ranked(ranks_B)}, num_questions=len(targets))


TASKS: dict[str, Callable[[_Asked], Rows]] = {
    "rating": _rating,
    "rating-from-review": _rating_from_review,
    "headline": _headline,
    "explanation": _explanation,
    "explanation-with-feature": partial(_explanation, with_feature=True),
    "direct": _direct,
}
NEEDS = {
    "rating": {"ratings"},
    "rating-from-review": {"ratings", "texts"},
    "headline": {"texts", "headlines"},
    "explanation": {"texts"},
    "explanation-with-feature": {"texts"},
    "direct": {"negatives"},
}


def _greedy(predicted_N: FloatArray, true_N: FloatArray) -> dict[str, float]:
    return {f"{name} greedy": value for name, value in rating_metrics(predicted_N, true_N).items()}


def _ranked(ranks_B: IntArray) -> dict[str, float]:
    metrics = {name: float(values.mean()) for name, values in per_user(ranks_B, CUT_OFFS).items()}
    check_bounds(metrics)
    return metrics


def _counted(rows: Rows, **counts: int) -> Rows:
    return {name: {**counts, **row} for name, row in rows.items()}


def _ratings(reviews: Reviews) -> FloatArray:
    assert reviews.ratings is not None
    return reviews.ratings


def _words(values: pl.Series | None) -> list[str]:
    assert values is not None
    return values.to_list()
