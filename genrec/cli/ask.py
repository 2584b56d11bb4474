"""`genrec ask`: a single question of any of the tasks that a run's recommender answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from genrec.cli.options import Json, MovedData, Run
from genrec.cli.recommend import print_answer, tell_notes
from genrec.cli.terminal import note, print_facts, print_json, print_table, stdout
from genrec.errors import ConfigError, DataError, one_of
from genrec.runs import answers
from genrec.runs.answers import Answer
from genrec.runs.run import open_run

if TYPE_CHECKING:
    from genrec.evaluation.task_recommender import Prompt


_LONGEST_REVIEW = 1_000_000  # characters


def ask(
    run: Run,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="recommend, rank, rating, explain, headline or rating-from-review."
        ),
    ],
    history: Annotated[
        list[str] | None,
        typer.Option("--history", metavar="ITEM", help="recommend, rank: an id or title; repeat."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="A user; recommend, rank: for the history.")
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", metavar="ITEM", help="rank: an id or title to put in order; repeat."),
    ] = None,
    item: Annotated[
        str | None, typer.Option("--item", metavar="ITEM", help="rating, explain: an id or title.")
    ] = None,
    feature: Annotated[
        str | None, typer.Option("--feature", metavar="WORD", help="explain: what to speak of.")
    ] = None,
    review: Annotated[
        str | None,
        typer.Option(
            "--review", metavar="TEXT|-", help="headline, rating-from-review: the text; - reads stdin."
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="recommend: items wanted; 10 by default.")] = None,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            metavar="seen|unseen|new",
            help="Ask with words known from training, held out of it, or that describe an item nobody took yet.",
        ),
    ] = "seen",
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Ask a recommender for what it has learnt beside the next item: ratings, explanations, headlines.

    Ids and titles are taken as `genrec recommend` takes them. Every recommender can recommend and rank.
    """
    from genrec.evaluation.task_recommender import PROMPTS

    one_of(task, tuple(_TASKS), "the task")
    one_of(prompt, PROMPTS, "the prompt")
    options = {
        "history": history,
        "user": user,
        "candidate": candidate,
        "item": item,
        "feature": feature,
        "review": review,
        "k": k,
        "data": data,
    }
    given = {name: value for name, value in options.items() if value is not None}
    _check(task, given)
    if feature is not None and not feature.strip():
        raise ConfigError("--feature is empty: give a word to speak of, or leave it out")
    if review is not None:
        given["review"] = _review(review)
    opened = open_run(run, data)
    tell_notes(opened.model, [*(history or ()), *(candidate or ()), *([item] if item is not None else ())])
    found = _TASKS[task].answer(answers.Question(opened, cast("Prompt", prompt), given))
    if as_json:
        print_json({"run": str(run), "task": task, "prompt": prompt, **found})
    else:
        _TASKS[task].show(found)


def _check(task: str, given: Mapping[str, Any]) -> None:
    """All that the task needs is there, and nothing that it does not take."""
    needs, takes = _TASKS[task].needs, _TASKS[task].takes
    for names in needs:
        there = [name for name in names if name in given]
        if len(there) != 1:
            wanted = " or ".join(f"--{name}" for name in names)
            raise ConfigError(f"{task} needs {wanted}" + (", one of them only" if there else ""))
    known = {*takes, *(name for names in needs for name in names)}
    for name in given:
        if name not in known:
            told = ", ".join(_option(name) for name in sorted(known))
            raise ConfigError(f"{task} takes {told}, and no {_option(name)}: leave it out")


def _option(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def _review(text: str) -> str:
    """The text of a review on one line, as training texts are."""
    import polars as pl

    from genrec.data.listing import clean

    if text == "-":
        try:
            text = sys.stdin.read(_LONGEST_REVIEW + 1)
        except UnicodeDecodeError:
            raise DataError("the review on stdin is no UTF-8 text: convert it first") from None
    if len(text) > _LONGEST_REVIEW:
        raise ConfigError(f"the review has more than {_LONGEST_REVIEW:,} characters: give its beginning")
    (line,) = clean(pl.Series([text]))[0]
    if line is None:
        raise ConfigError("the review is empty: give its text with --review, or on stdin with --review -")
    return str(line)


def _show_rank(answer: Answer) -> None:
    with_chance = any(item["probability"] is not None for item in answer["items"])
    rows = [
        (
            item["rank"],
            f"{item['probability']:.2%}" if with_chance else f"{item['score']:.3f}",
            item["title"],
            item["item_id"],
        )
        for item in answer["items"]
    ]
    print_table(["rank", "among these" if with_chance else "score", "candidate", "id"], rows)


def _show_rating(answer: Answer) -> None:
    item = answer.get("item")
    facts = {
        "user": answer.get("user"),
        "item": None if item is None else item["title"],
        "expected rating": f"{answer['rating']:.2f}",
        "likeliest rating": f"{answer['likeliest']:.1f}",
    }
    print_facts(facts)


def _show_text(answer: Answer) -> None:
    stdout().print(answer["text"])
    if not answer["text"]:
        note("the model wrote nothing: it ended the text at once")


@dataclass(frozen=True)
class _Task:
    """`needs`: options, one out of each group; `takes`: further ones."""

    needs: tuple[tuple[str, ...], ...]
    takes: tuple[str, ...]
    answer: Callable[[answers.Question], Answer]
    show: Callable[[Answer], None]


_TASKS = {
    "recommend": _Task((("history", "user"),), ("k", "data"), answers.recommend, print_answer),
    "rank": _Task((("history", "user"), ("candidate",)), ("data",), answers.rank, _show_rank),
    "rating": _Task((("user",), ("item",)), (), answers.rating, _show_rating),
    "explain": _Task((("user",), ("item",)), ("feature",), answers.explain, _show_text),
    "headline": _Task((("review",),), (), answers.headline, _show_text),
    "rating-from-review": _Task((("review",),), (), answers.rating_from_review, _show_rating),
}
