"""`genrec ask`: a single question of any of the tasks that a run's recommender answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from genrec.cli.options import Json, MovedData, Run, one_of
from genrec.cli.recommend import answer_for, print_answer, user_history
from genrec.cli.run_folder import open_run
from genrec.cli.terminal import note, print_facts, print_json, print_table, stdout
from genrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrec.cli.run_folder import Run as RunFolder
    from genrec.evaluation.tasks import Prompt, TaskRecommender
    from genrec.recommenders.base import Recommender

Answer = dict[str, Any]  # plain values


@dataclass(frozen=True)
class _Question:
    """What was given with a task, checked to be all that the task needs and nothing else."""

    opened: RunFolder
    model: Recommender
    prompt: Prompt
    given: Mapping[str, Any]

    @property
    def plain(self) -> bool:
        """Whether the recommender knows no tasks, and is asked for what every one can."""
        from genrec.evaluation.tasks import TaskRecommender

        return self.prompt == "seen" and not isinstance(self.model, TaskRecommender)

    def asked(self, learnt: str) -> TaskRecommender:
        """The recommender, which has learnt that task of `genrec evaluate --task`.

        Raises:
            ConfigError: it has not, or has no such prompts for it.
        """
        from genrec.evaluation.tasks import TaskRecommender

        if isinstance(self.model, TaskRecommender):
            known = self.model.tasks(self.prompt)
            if learnt in known:
                return self.model
        else:
            known = ["sequential", "direct"] if self.prompt == "seen" else []
        able = ", ".join(_WORDS[name] for name in known) or "nothing"
        raise ConfigError(
            f"this {self.model.name} cannot be asked for {_WORDS[learnt]} with {self.prompt} prompts; "
            f"it can be asked for {able}"
        )

    def history(self) -> Sequence[str]:
        """Ids or titles, oldest first."""
        if "history" in self.given:
            return cast(list[str], self.given["history"])
        return user_history(self.opened.read_data(self.given.get("data")), self.given["user"])

    def about(self, model: TaskRecommender) -> tuple[str, int]:
        """The user, whom the model knows, and the row of the item."""
        user = str(self.given["user"])
        if user not in model.users_:
            some = ", ".join(list(model.users_)[:5])
            raise DataError(
                f"the recommender has learnt nothing of a user {user!r}; it knows users such as {some}"
            )
        return user, self.model.catalogue.resolve(self.given["item"])

    def named(self, row: int) -> dict[str, str]:
        catalogue = self.model.catalogue
        return {"item_id": catalogue.ids[row], "title": catalogue.titles[row]}


def ask(
    run: Run,
    task: Annotated[
        str, typer.Argument(help="recommend, rank, rating, explain, headline or rating-from-review.")
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
            "--prompt", metavar="seen|unseen", help="Ask with words known from training, or held out of it."
        ),
    ] = "seen",
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Ask a recommender for what it has learnt beside the next item: ratings, explanations, headlines.

    Ids and titles are taken as `genrec recommend` takes them. Every recommender can recommend and rank.
    """
    one_of(task, tuple(_TASKS), "the task")
    one_of(prompt, ("seen", "unseen"), "the prompt")
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
    if review is not None:
        given["review"] = _review(review)
    opened = open_run(run)
    answer, show = _TASKS[task].answer, _TASKS[task].show
    found = answer(_Question(opened, opened.load(), cast("Prompt", prompt), given))
    if as_json:
        print_json({"run": str(run), "task": task, "prompt": prompt, **found})
    else:
        show(found)


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
            text = sys.stdin.read()
        except UnicodeDecodeError:
            raise DataError("the review on stdin is no UTF-8 text: convert it first") from None
    (line,) = clean(pl.Series([text]))[0]
    if line is None:
        raise ConfigError("the review is empty: give its text with --review, or on stdin with --review -")
    return str(line)


def _recommend(question: _Question) -> Answer:
    model, k = question.model, question.given.get("k", 10)
    if k < 1:
        raise ConfigError(f"-k is {k}; ask for at least 1 item")
    if not question.plain:
        model = cast("Recommender", question.asked("sequential").asked_with(question.prompt))
    return answer_for(model, question.history(), k)


def _rank(question: _Question) -> Answer:
    import numpy as np

    from genrec.data.interactions import Histories

    model, catalogue = question.model, question.model.catalogue
    rows = catalogue.rows(question.given["candidate"])
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ConfigError(f"the candidate {catalogue.titles[twice]!r} is given twice: give it once")
    names = question.history()
    histories, candidates_1C = Histories.from_lists([catalogue.rows(names)]), np.array([rows], np.int32)
    if question.plain:
        allowed = np.isin(np.arange(len(catalogue)), rows)
        ranking = model.rank(histories, len(rows), exclude_seen=False, allowed=allowed)
    else:
        users = [question.given["user"]] if "user" in question.given else None
        ranking = question.asked("direct").rank_candidates(
            histories, candidates_1C, users=users, prompt=question.prompt
        )
    scores = ranking.scores_BK[0].astype(np.float64)
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    items = [
        {
            "rank": rank,
            **question.named(row),
            "score": score,
            "probability": chance if model.probabilistic else None,
        }
        for rank, (row, score, chance) in enumerate(
            zip(ranking.items_BK[0].tolist(), scores.tolist(), chances.tolist(), strict=True), start=1
        )
        if row >= 0  # what was taken out of the catalogue has no place
    ]
    return {"history": [question.named(row) for row in catalogue.rows(names)], "items": items}


def _rating(question: _Question) -> Answer:
    import numpy as np

    model = question.asked("rating")
    user, row = question.about(model)
    expected, likeliest = (
        float(model.predict_rating([user], np.array([row]), prompt=question.prompt, greedy=greedy)[0])
        for greedy in (False, True)
    )
    return {"user": user, "item": question.named(row), "rating": expected, "likeliest": likeliest}


def _explain(question: _Question) -> Answer:
    import numpy as np

    feature = question.given.get("feature")
    model = question.asked("explanation" if feature is None else "explanation-with-feature")
    user, row = question.about(model)
    features = None if feature is None else [feature]
    (text,) = model.explain([user], np.array([row]), features, prompt=question.prompt)
    return {"user": user, "item": question.named(row), "feature": feature, "text": text}


def _headline(question: _Question) -> Answer:
    review = question.given["review"]
    (text,) = question.asked("headline").summarise_review([review], prompt=question.prompt)
    return {"review": review, "text": text}


def _rating_from_review(question: _Question) -> Answer:
    review, model = question.given["review"], question.asked("rating-from-review")
    expected, likeliest = (
        float(model.predict_rating_from_review([review], prompt=question.prompt, greedy=greedy)[0])
        for greedy in (False, True)
    )
    return {"review": review, "rating": expected, "likeliest": likeliest}


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
    answer: Callable[[_Question], Answer]
    show: Callable[[Answer], None]


_TASKS = {
    "recommend": _Task((("history", "user"),), ("k", "data"), _recommend, print_answer),
    "rank": _Task((("history", "user"), ("candidate",)), ("data",), _rank, _show_rank),
    "rating": _Task((("user",), ("item",)), (), _rating, _show_rating),
    "explain": _Task((("user",), ("item",)), ("feature",), _explain, _show_text),
    "headline": _Task((("review",),), (), _headline, _show_text),
    "rating-from-review": _Task((("review",),), (), _rating_from_review, _show_rating),
}
# How tasks of `genrec evaluate` are asked for here.
_WORDS = {
    "sequential": "recommend",
    "direct": "rank",
    "rating": "rating",
    "explanation": "explain",
    "explanation-with-feature": "explain --feature",
    "headline": "headline",
    "rating-from-review": "rating-from-review",
}
