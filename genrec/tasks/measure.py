"""Measuring tasks: a model's answers, each task beside the simple answers to the same questions.

The questions are those of the one split (see `genrec.data.reviews`). Reviews whose text their user also wrote in a
training review are left out where texts are asked or answered, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrec.data.interactions import Interactions, Targets
from genrec.data.reviews import FIELDS, held_out_reviews, training_reviews
from genrec.data.split import Split
from genrec.errors import ConfigError
from genrec.tasks.base import Rating, Task, TestData, tasks
from genrec.tasks.direct import NUM_NEGATIVES
from genrec.tasks.recommender import PROMPT_KINDS, PromptKind, TaskRecommender

Rows = dict[str, dict[str, float]]  # who answered -> metric -> value


def evaluate_tasks(
    model: TaskRecommender | None,
    interactions: Interactions,
    split: Split,
    targets: Targets,
    wanted: Sequence[str] | None = None,
    *,
    prompts: Sequence[PromptKind] = PROMPT_KINDS,
    seed: int = 0,
) -> dict[str, Rows]:
    """Measure a model on tasks, beside simple answers trained on the same reviews.

    Args:
        model: fitted on `split.train`; None: the simple answers alone.
        interactions: all of a data set.
        split: its split; validation chooses what the simple answers leave open.
        targets: the questions, `split.test` or some of it.
        wanted: of `measured_tasks`; None: all that the data have something for and the model was trained on.
        prompts: which kinds of prompts the model is asked with, where it has such prompts for a task.
        seed: of the negatives.

    Returns:
        Task to rows: "seen", "unseen", "new", and the name of each simple answer. A row has `num_questions` and, for
        tasks of texts, `num_copies`, the reviews left out. Ratings: `RMSE MAE` and, of a model, `RMSE greedy` and
        `MAE greedy`. Texts: `BLEU-2 BLEU-4 ROUGE-1 ROUGE-2 ROUGE-L` in percent. `direct`, one target among 99
        negatives: `HR@k NDCG@k` at 1, 5 and 10, and `MRR` truncated at 10.

    Raises:
        ConfigError: there is no such task, or the model was not trained on it.
        DataError: the data have nothing for a task that was named.
        BackendMissingError: a library of the extra `text` is not installed.
    """
    known = measured_tasks()
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ConfigError(f"there is no task {unknown[0]!r}; choose among {', '.join(known)}")
    data = TestData(
        interactions,
        targets,
        training_reviews(split),
        held_out_reviews(interactions, split.validation),
        held_out_reviews(interactions, targets),
        seed,
    )
    asked = {} if model is None else {prompt: model.tasks(prompt) for prompt in prompts}
    learnt = [name for name in known if model is None or any(name in names for names in asked.values())]
    for name in wanted or ():
        if name not in learnt:
            raise ConfigError(
                f"the model has not learnt {name}; it can be asked for {', '.join(learnt) or 'none'}"
            )
    if wanted is None:
        wanted = [name for name in possible_tasks(interactions) if name in learnt]
    return {
        name: _rows(known[name], data, model, [prompt for prompt, names in asked.items() if name in names])
        for name in wanted
    }


def _rows(task: Task, data: TestData, model: TaskRecommender | None, prompts: Sequence[PromptKind]) -> Rows:
    """A row for each kind of prompt, and one for each simple answer."""
    assert task.test is not None
    assert task.metric is not None
    test = task.test(data)
    counts = {"num_questions": len(test.questions)}
    counts |= {} if test.num_copies is None else {"num_copies": test.num_copies}
    rows: Rows = {}
    for prompt in prompts:
        assert model is not None
        rows[prompt] = counts | task.metric(
            model.answer(task.name, test.questions, prompt=prompt), test.truth
        )
        if isinstance(task.answer, Rating):
            greedy = model.answer(task.name, test.questions, prompt=prompt, greedy=True)
            rows[prompt] |= {
                f"{name} greedy": value for name, value in task.metric(greedy, test.truth).items()
            }
    return rows | {name: counts | task.metric(answers, test.truth) for name, answers in test.simple.items()}


def measured_tasks() -> dict[str, Task]:
    """The tasks that have questions of their own: all but lists, which the protocol measures."""
    return {name: task for name, task in tasks().items() if task.test is not None}


def possible_tasks(interactions: Interactions) -> list[str]:
    """The tasks that the data have something for: ratings, texts, headlines, or enough items to draw negatives."""
    there = {field for field in FIELDS if getattr(interactions, field) is not None}
    if interactions.num_items - int(interactions.histories.lengths.max()) >= NUM_NEGATIVES:
        there.add("negatives")
    return [name for name, task in measured_tasks().items() if task.needs <= there]
