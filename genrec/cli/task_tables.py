"""`genrec evaluate --task`: what a run's recommender is worth on tasks, beside simple answers to the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genrec.cli.measured_run import MeasuredRun, data_facts
from genrec.cli.options import one_of
from genrec.cli.terminal import note, print_facts, print_table, stdout
from genrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrec.evaluation.task_recommender import TaskRecommender
    from genrec.evaluation.tasks import Rows

SEQUENTIAL = "sequential"  # the ordinary ranking of the whole catalogue
_PERCENT = ("BLEU", "ROUGE")


def measure_tasks(measured: MeasuredRun, wanted: str) -> dict[str, Any]:
    """Measure tasks and keep their numbers in the run, each as soon as it is there.

    Args:
        measured: what is asked, and which questions.
        wanted: names of tasks parted by commas, or `all`: those that the data have something for and the recommender
            has learnt.

    Returns:
        `tasks`: task to rows, as `evaluate_tasks` gives them, and for `sequential` HR and NDCG over the whole
        catalogue, seen items left out. `dropped`: prompts that the data could not fill, and why. `provenance`.

    Raises:
        ConfigError: no such task, or one that the recommender has not learnt.
        DataError: the data do not have what a task that was named needs.
        BackendMissingError: a library of the extra `text` is not installed.
    """
    from genrec.evaluation.task_recommender import TaskRecommender

    model = measured.model if isinstance(measured.model, TaskRecommender) else None
    tasks = _chosen(measured, model, wanted)
    dropped = {} if model is None else dict(model.dropped_)
    for why in dict.fromkeys(dropped.values()):
        note(
            f"prompts left out: {', '.join(name for name in dropped if dropped[name] == why)}, as each {why}"
        )
    if measured.split == "validation":
        note("what is open in the simple answers was chosen on these very questions, which flatters them")
    provenance = measured.run.provenance(measured.split)
    name = measured.name("tasks")
    found: dict[str, Rows] = {}
    for number, task in enumerate(tasks, start=1):
        note(f"measuring {task} ({number} of {len(tasks)})")
        try:
            found[task] = _rows(measured, task)
        except DataError as error:  # as when no text is among the questions of a small sample
            if wanted != "all":
                raise
            note(f"{task} is left out: {error}")
            continue
        kept = measured.run.metrics().get(name, {}).get("tasks", {})
        values = {"tasks": kept | found, "dropped": dropped, "provenance": provenance}
        measured.run.add_metrics(name, values)
    return {"tasks": found, "dropped": dropped, "provenance": provenance}


def _chosen(measured: MeasuredRun, model: TaskRecommender | None, wanted: str) -> list[str]:
    """The tasks to measure, each of which can be."""
    from genrec.evaluation.task_recommender import PROMPTS
    from genrec.evaluation.tasks import TASKS, possible_tasks

    possible = [SEQUENTIAL, *possible_tasks(measured.interactions)]
    learnt = [SEQUENTIAL] if model is None else [task for prompt in PROMPTS for task in model.tasks(prompt)]
    if wanted == "all":
        for task in (SEQUENTIAL, *TASKS):
            if task not in possible:
                note(f"{task} is left out: the data do not have what it needs")
            elif task not in learnt:
                note(f"{task} is left out: the recommender has not learnt it")
        return [task for task in possible if task in learnt]
    tasks = list(dict.fromkeys(wanted.split(",")))
    for task in tasks:
        one_of(task, ("all", SEQUENTIAL, *TASKS), "the task")
        if task == "all":
            raise ConfigError("--task is all, or names of tasks parted by commas: give one of these")
        if task not in learnt:
            able = ", ".join(dict.fromkeys(learnt)) or "nothing"
            raise ConfigError(f"this {measured.model.name} has not learnt {task}; it can be asked for {able}")
        if task not in possible:
            raise DataError(
                f"these data do not have what {task} needs; they have it for {', '.join(possible)}"
            )
    return tasks


def _rows(measured: MeasuredRun, task: str) -> Rows:
    from genrec.evaluation.task_recommender import TaskRecommender
    from genrec.evaluation.tasks import evaluate_tasks

    if task == SEQUENTIAL:
        return dict(_sequential(measured))
    assert isinstance(measured.model, TaskRecommender)
    interactions, parts, targets = measured.interactions, measured.parts, measured.targets
    return evaluate_tasks(measured.model, interactions, parts, targets, [task])[task]


def _sequential(measured: MeasuredRun) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows of the ordinary ranking; that of seen prompts or of no prompts tells what `genrec evaluate RUN` does."""
    from genrec.evaluation import protocol
    from genrec.evaluation.baselines import popularity_ranks
    from genrec.evaluation.metrics import per_user
    from genrec.evaluation.task_recommender import TaskRecommender

    model, targets, count = measured.model, measured.targets, {"num_questions": len(measured.targets)}
    popular = per_user(popularity_ranks(measured.parts.train, targets), protocol.CUT_OFFS)
    popularity = {name: float(values_B.mean()) for name, values_B in popular.items()}
    prompted = isinstance(model, TaskRecommender)
    lists = measured.measure_lists()
    yield "seen" if prompted else model.name, {**count, **{name: lists[name] for name in popularity}}
    if isinstance(model, TaskRecommender) and SEQUENTIAL in model.tasks("unseen"):
        unseen = model.asked_with("unseen").rank
        found = protocol.evaluate(unseen, targets, unfiltered=False, batch_size=measured.batch_size).metrics
        yield "unseen", {**count, **{name: found[name] for name in popularity}}
    yield "popularity", {**count, **popularity}


def print_tasks(found: Mapping[str, Any], title: str) -> None:
    """Print a table for each task: who answered, and each metric."""
    from genrec.evaluation.task_recommender import PROMPTS

    about = found["provenance"]
    who = {asking: f"{about['recommender']}, {asking} prompts" for asking in PROMPTS}
    for task, rows in found["tasks"].items():
        first = next(iter(rows.values()))
        told = f"{task}: {int(first['num_questions']):,} questions"
        if "num_copies" in first:
            told += f", {int(first['num_copies']):,} more left out whose text stands in training"
        names = list(dict.fromkeys(name for row in rows.values() for name in row if "num_" not in name))
        if any(name.startswith(_PERCENT) for name in names):
            told += "; in percent"
        table = [[who.get(name, name), *_cells(row, names)] for name, row in rows.items()]
        print_table(["answered by", *names], table, told)
        stdout().print()
    facts = {"measured": title, **data_facts(about), "protocol": about["protocol"]}
    print_facts({**facts, "seed": about["seed"], "commit": about["commit"]})


def _cells(row: Mapping[str, float], names: Sequence[str]) -> list[str]:
    digits = {name: 2 if name.startswith(_PERCENT) else 4 for name in names}
    return [f"{row[name]:.{digits[name]}f}" if name in row else "" for name in names]
