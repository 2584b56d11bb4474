"""`genrec ask`: a single question of any of the tasks that a run's recommender answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from genrec.cli.options import Json, MovedData, Run
from genrec.cli.recommend import print_answer, tell_notes
from genrec.cli.terminal import note, print_facts, print_json, print_table, stdout
from genrec.errors import ConfigError, DataError, one_of
from genrec.evaluation import numbers
from genrec.runs import answers
from genrec.runs.answers import Answer
from genrec.runs.run import open_run

if TYPE_CHECKING:
    from genrec.tasks.recommender import PromptKind


_LONGEST_REVIEW = 1_000_000  # characters
# The options that give a field of a question, one of them; another field has the option of its name.
_OPTIONS = {"history": ("history", "user"), "candidates": ("candidate",)}


def ask(
    run: Run,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="recommend, rank, or what the run was trained on: rating, explain, headline, rating-from-review, ...",
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
    from genrec.tasks.recommender import PROMPT_KINDS

    one_of(task, tuple(answers.verbs()), "the task")
    one_of(prompt, PROMPT_KINDS, "the prompt")
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
    if candidate is not None:
        given["candidates"] = given.pop("candidate")
    found = answers.ask(opened, task, given, cast("PromptKind", prompt))
    if as_json:
        print_json({"run": str(run), "task": task, "prompt": prompt, **found})
    else:
        _show(found)


def _check(task: str, given: Mapping[str, Any]) -> None:
    """All that the task needs is there, and nothing that it does not take."""
    asked = [one.question for one in answers.verbs()[task]]
    fields = list(dict.fromkeys(field for question in asked for field in question))
    for field in fields:
        names = _OPTIONS.get(field, (field,))
        there = [name for name in names if name in given]
        if len(there) != 1 and all(field in question for question in asked):
            wanted = " or ".join(f"--{name}" for name in names)
            raise ConfigError(f"{task} needs {wanted}" + (", one of them only" if there else ""))
    known = {name for field in fields for name in _OPTIONS.get(field, (field,))}
    if "history" in fields:
        known |= {"data"} if "candidates" in fields else {"data", "k"}
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


def _show(answer: Answer) -> None:
    if "exact" in answer:
        print_answer(answer)
    elif "items" in answer:
        _show_rank(answer)
    elif "rating" in answer:
        _show_rating(answer)
    else:
        stdout().print(answer["text"])
        if not answer["text"]:
            note("the model wrote nothing: it ended the text at once")


def _show_rank(answer: Answer) -> None:
    with_chance = any(item["probability"] is not None for item in answer["items"])
    rows = [
        (
            item["rank"],
            numbers.probability(item["probability"]) if with_chance else f"{item['score']:.3f}",
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
