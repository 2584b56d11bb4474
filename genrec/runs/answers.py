"""The answers of `genrec ask`: each task put to the recommender of a run, with plain values in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from genrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrec.data.catalogue import BoolArray, Catalogue
    from genrec.recommenders.answering import Ranking, Reason
    from genrec.recommenders.base import Recommender
    from genrec.runs.run import Run
    from genrec.tasks.base import Task
    from genrec.tasks.recommender import PromptKind, TaskRecommender

Answer = dict[str, Any]  # plain values


def verbs() -> dict[str, list[Task]]:
    """The tasks behind each word that can be asked: of several, the one whose question is what was given."""
    from genrec.tasks.base import tasks

    found: dict[str, list[Task]] = {}
    for task in tasks().values():
        found.setdefault(task.asked_as, []).append(task)
    return found


def ask(run: Run, verb: str, given: Mapping[str, Any], prompt: PromptKind = "seen") -> Answer:
    """Put a question to a run's recommender.

    Args:
        run: finished.
        verb: one of `verbs`.
        given: the fields of the question by name, items as ids or titles; `user` may stand in for `history`, and `k` is
            the length of a list.
        prompt: the prompts to ask with.

    Returns:
        What was asked, and `items`, `text`, or `rating` (the expectation) and `likeliest`.

    Raises:
        ConfigError: the recommender was not trained on it, or has no such prompts for it.
        DataError: a user of whom nothing is known.
        CatalogueError: an item that there is not.
    """
    from genrec.tasks.base import Ranked, Rating

    asked_as = verbs()[verb]
    task = next(task for task in reversed(asked_as) if given.keys() >= {*task.question} - {"history"})
    if isinstance(task.answer, Ranked):
        return (_rank if "candidates" in task.question else _recommend)(run, task, given, prompt)
    model, question, told = _asked(run.model, task, prompt), {}, {}
    for field in dict.fromkeys(field for one in asked_as for field in one.question):
        question[field] = told[field] = given.get(field)
    if "user" in question:
        question["user"] = told["user"] = _known(model, given["user"])
    if "item" in question:
        question["item"] = row = run.model.catalogue.resolve(given["item"])
        told["item"] = _named(run.model.catalogue, row)
    questions = [{field: question[field] for field in task.question}]
    if not isinstance(task.answer, Rating):
        return told | {"text": model.answer(task.name, questions, prompt=prompt)[0]}
    expected, likeliest = (
        float(model.answer(task.name, questions, prompt=prompt, greedy=greedy)[0]) for greedy in (False, True)
    )
    return told | {"rating": expected, "likeliest": likeliest}


def answer_for(
    model: Recommender,
    names: Sequence[str],
    k: int,
    allowed: BoolArray | None = None,
    *,
    repeat: str = "never",
    max_per: Mapping[str, int] | None = None,
    exact: bool = False,
    why: bool = False,
    because: bool = False,
) -> dict[str, Any]:
    """History and ranking as plain values: `history`, `exact` and `items`.

    `allowed` and `repeat` as `rank_repeats` takes them, `max_per` and `exact` as `Recommender.rank` does. If asked for,
    each item has `why`, and `because`: the item of the history that speaks for it most, or None.
    """
    from genrec.recommenders.asked import named_rows
    from genrec.runs.repeats import rank_repeats

    histories = named_rows([names], model.catalogue)
    options: dict[str, Any] = {"max_per": max_per, "exact": exact}
    rankings = rank_repeats(model, histories, k, repeat=repeat, allowed=allowed, **options)
    ranking = model.named(rankings)[0]
    items = _ranked(ranking)
    if why:
        for item in items:
            item["why"] = [
                {"text": step.text, "probability": step.probability}
                | {name: value for name, value in vars(step).items() if value is not None}
                for step in model.why(names, item["item_id"])
            ]
    if because:
        reasons = model.reasons(names, [item["item_id"] for item in items], only=allowed)
        for item, found in zip(items, reasons, strict=True):
            item["because"] = _reason(found[0]) if found else None
    history = [_named(model.catalogue, row) for row in histories[0].tolist()]
    background = {"background": model.background(names)} if why else {}
    return {"history": history, "exact": ranking.exact, "items": items, **background}


def similar_to(
    model: Recommender, name: str, k: int, allowed: BoolArray | None = None, **options: Any
) -> dict[str, Any]:
    """`similar_to`, `exact` and `items` as plain values; see `Recommender.similar_items`."""
    ranking = model.similar_items(name, k, only=allowed, **options)
    item = _named(model.catalogue, model.catalogue.resolve(name))
    return {"similar_to": item, "exact": ranking.exact, "items": _ranked(ranking)}


def _ranked(ranking: Ranking) -> list[dict[str, Any]]:
    return [{"rank": rank, **asdict(item)} for rank, item in enumerate(ranking.items, start=1)]


def _reason(reason: Reason) -> dict[str, Any]:
    """A reason without an infinite number, which JSON has not."""
    return {**asdict(reason), "effect": reason.effect if isfinite(reason.effect) else None}


def _recommend(run: Run, task: Task, given: Mapping[str, Any], prompt: PromptKind) -> Answer:
    model, history = _asked_with(run, given)
    if not _is_plain(model, prompt):
        model = cast("Recommender", _asked(model, task, prompt).asked_with(prompt))
    return answer_for(model, history, given.get("k", 10))


def _rank(run: Run, task: Task, given: Mapping[str, Any], prompt: PromptKind) -> Answer:
    import numpy as np

    from genrec.data.interactions import Histories

    model, names = _asked_with(run, given)
    catalogue = model.catalogue
    rows = catalogue.rows(given["candidates"])
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ConfigError(f"the candidate {catalogue.titles[twice]!r} is given twice: give it once")
    history = catalogue.rows(names)
    if _is_plain(model, prompt):
        allowed = np.isin(np.arange(len(catalogue)), rows)
        histories = Histories.from_lists([history])
        ranking = model.rank(histories, len(rows), exclude_seen=False, allowed=allowed)
    else:
        question = {"history": np.array(history), "candidates": np.array(rows), "user": given.get("user")}
        ranking = _asked(model, task, prompt).answer(task.name, [question], prompt=prompt)
    scores = ranking.scores_BK[0].astype(np.float64)
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    items = [
        {
            "rank": rank,
            **_named(catalogue, row),
            "score": score,
            "probability": chance if model.probabilistic else None,
        }
        for rank, (row, score, chance) in enumerate(
            zip(ranking.items_BK[0].tolist(), scores.tolist(), chances.tolist(), strict=True), start=1
        )
        if row >= 0  # what was taken out of the catalogue has no place
    ]
    return {"history": [_named(catalogue, row) for row in history], "items": items}


def _is_plain(model: Recommender, prompt: PromptKind) -> bool:
    """Whether the recommender knows no tasks, and is asked for what every one can."""
    from genrec.tasks.recommender import TaskRecommender

    return prompt == "seen" and not isinstance(model, TaskRecommender)


def _asked(model: Recommender, task: Task, prompt: PromptKind) -> TaskRecommender:
    """The recommender, which can be asked for that task with such prompts."""
    from genrec.tasks.base import tasks
    from genrec.tasks.recommender import TaskRecommender

    if isinstance(model, TaskRecommender):
        known = model.tasks(prompt)
        if task.name in known:
            return model
    else:
        known = ["sequential", "direct"] if prompt == "seen" else []
    able = ", ".join(_called(tasks()[name]) for name in known) or "nothing"
    raise ConfigError(
        f"this {model.name} cannot be asked for {_called(task)} with {prompt} prompts; it can be asked for {able}"
    )


def _called(task: Task) -> str:
    """What a task is asked as, with the option that tells it from others of that word."""
    first, *_ = verbs()[task.asked_as]
    return " ".join(
        [task.asked_as, *(f"--{field}" for field in task.question if field not in first.question)]
    )


def _asked_with(run: Run, given: Mapping[str, Any]) -> tuple[Recommender, Sequence[str]]:
    """The recommender, and ids or titles, oldest first: today's, where a user of today is meant."""
    if "history" in given:
        return run.model, cast(list[str], given["history"])
    return run.today.model, run.today.history(given["user"])


def _known(model: TaskRecommender, user: str) -> str:
    """A user whom the model knows."""
    if user not in model.users_:
        some = ", ".join(list(model.users_)[:5])
        raise DataError(
            f"the recommender has learnt nothing of a user {user!r}; it knows users such as {some}"
        )
    return user


def _named(catalogue: Catalogue, row: int) -> dict[str, str]:
    return {"item_id": catalogue.ids[row], "title": catalogue.titles[row]}
