"""What a run's recommender is worth on tasks, beside simple answers to the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from genrec.errors import ConfigError, DataError, one_of
from genrec.runs.measure import asked, check_asked
from genrec.runs.notes import note

if TYPE_CHECKING:
    from genrec.evaluation.protocol import Progress
    from genrec.runs.run import Run
    from genrec.tasks.measure import Rows

SEQUENTIAL = "sequential"  # the ordinary ranking of the whole catalogue


def measure_tasks(
    run: Run,
    wanted: str | Sequence[str],
    split: str,
    users: int | None,
    *,
    batch_size: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """See `Run.evaluate_tasks`."""
    from genrec.tasks.measure import evaluate_tasks
    from genrec.tasks.recommender import TaskRecommender

    check_asked(split, users)
    model, (name, targets) = run.model.as_trained, asked(run.parts, split, users, "tasks")
    tasks = _chosen(run, wanted)
    dropped = dict(model.dropped_) if isinstance(model, TaskRecommender) else {}
    for why in dict.fromkeys(dropped.values()):
        note(
            f"prompts left out: {', '.join(name for name in dropped if dropped[name] == why)}, as each {why}"
        )
    if split == "validation":
        note("what is open in the simple answers was chosen on these very questions, which flatters them")
    about = {"dropped": dropped, "provenance": run.provenance(split)}
    found: dict[str, Rows] = {}
    for number, task in enumerate(tasks, start=1):
        note(f"measuring {task} ({number} of {len(tasks)})")
        try:
            if task == SEQUENTIAL:
                found[task] = dict(_sequential(run, split, users, batch_size, progress))
            else:
                assert isinstance(model, TaskRecommender)
                interactions = run.data.interactions
                found[task] = evaluate_tasks(model, interactions, run.parts, targets, [task])[task]
        except DataError as error:  # as when no text is among the questions of a small sample
            if wanted != "all":
                raise
            note(f"{task} is left out: {error}")
            continue
        kept = run.metrics.get(name, {}).get("tasks", {})
        run.add_metrics(name, {"tasks": kept | found, **about})
    return {"tasks": found, **about}


def _chosen(run: Run, wanted: str | Sequence[str]) -> list[str]:
    """The tasks to measure, each of which can be."""
    from genrec.tasks.measure import measured_tasks, possible_tasks
    from genrec.tasks.recommender import PROMPT_KINDS, TaskRecommender

    model = run.model
    possible = [SEQUENTIAL, *possible_tasks(run.data.interactions)]
    learnt = (
        [task for prompt in PROMPT_KINDS for task in model.tasks(prompt)]
        if isinstance(model, TaskRecommender)
        else [SEQUENTIAL]
    )
    if wanted == "all":
        for task in (SEQUENTIAL, *measured_tasks()):
            if task not in possible:
                note(f"{task} is left out: the data do not have what it needs")
            elif task not in learnt:
                note(f"{task} is left out: the recommender has not learnt it")
        return [task for task in possible if task in learnt]
    tasks = list(dict.fromkeys([wanted] if isinstance(wanted, str) else wanted))
    for task in tasks:
        one_of(task, ("all", SEQUENTIAL, *measured_tasks()), "the task")
        if task == "all":
            raise ConfigError("--task is all, or names of tasks parted by commas: give one of these")
        if task not in learnt:
            able = ", ".join(dict.fromkeys(learnt)) or "nothing"
            raise ConfigError(f"this {model.name} has not learnt {task}; it can be asked for {able}")
        if task not in possible:
            raise DataError(
                f"these data do not have what {task} needs; they have it for {', '.join(possible)}"
            )
    return tasks


def _sequential(
    run: Run, split: str, users: int | None, batch_size: int | None, progress: Progress | None
) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows of the ordinary ranking; that of seen prompts or of no prompts tells what `genrec evaluate RUN` does."""
    from genrec.evaluation import protocol
    from genrec.evaluation.baselines import popularity_ranks
    from genrec.evaluation.metrics import per_user
    from genrec.tasks.recommender import TaskRecommender

    model, targets = run.model.as_trained, asked(run.parts, split, users)[1]
    count = {"num_questions": len(targets)}
    popular_T = popularity_ranks(run.parts.train, targets.apart())
    popular = per_user(popular_T, protocol.CUT_OFFS, targets.orders)
    popularity = {name: float(values_B.mean()) for name, values_B in popular.items()}
    prompted = isinstance(model, TaskRecommender)
    lists = run.evaluate(split, users=users, floor=False, batch_size=batch_size, progress=progress)
    yield "seen" if prompted else model.name, {**count, **{name: lists[name] for name in popularity}}
    if isinstance(model, TaskRecommender) and SEQUENTIAL in model.tasks("unseen"):
        unseen = model.asked_with("unseen").rank
        found = protocol.evaluate(unseen, targets, unfiltered=False, batch_size=batch_size).metrics
        yield "unseen", {**count, **{name: found[name] for name in popularity}}
    yield "popularity", {**count, **popularity}
