"""`genrec recommend`: lists for one history, one user or everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.options import BatchSize, Exact, Json, MovedData, Run, one_of, pair
from genrec.cli.run_folder import Run as RunFolder
from genrec.cli.run_folder import open_run
from genrec.cli.terminal import note, print_json, print_table, progress, stdout, stoppable
from genrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrec.cli.everybody import Question
    from genrec.data.catalogue import BoolArray
    from genrec.data.dataset import Dataset
    from genrec.recommenders.base import Recommender


def recommend(
    run: Run,
    history: Annotated[
        list[str] | None,
        typer.Option("--history", metavar="ITEM", help="An id or title, oldest first; repeat."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Take the history of this user.")
    ] = None,
    users: Annotated[
        str | None, typer.Option("--users", metavar="all", help="Everybody, into --out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.parquet", help="Where --users all goes.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Items wanted for each user.")] = 10,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="FIELD=VALUE", help="Only such items, as in genres=Comedy; repeat."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="ITEM", help="Never this id or title; repeat.")
    ] = None,
    exact: Exact = False,
    why: Annotated[
        bool, typer.Option("--why", help="Show the probability of each decision along a title.")
    ] = False,
    batch_size: BatchSize = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a finished --out file.")] = False,
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Recommend items that are not in the history, best first.

    Ids and titles of the catalogue are taken as they are spelled or nearly so; a title that nothing fits is
    answered with the nearest ones.
    """
    if [history is not None, user is not None, users is not None].count(True) != 1:
        raise ConfigError("give one of --history ITEM (repeated), --user ID, or --users all")
    if k < 1:
        raise ConfigError(f"-k is {k}; ask for at least 1 item")
    opened = open_run(run)
    model = opened.load()
    tell_notes(model, [*(history or ()), *(exclude or ())])
    allowed = allowed_items(model, only or [], exclude or [])
    if users is not None:
        from genrec.cli.everybody import Question

        one_of(users, ("all",), "--users")
        if why or as_json:
            raise ConfigError("--users all writes a file and takes neither --why nor --json")
        question = Question(k, tuple(only or ()), tuple(exclude or ()), exact)
        _recommend_to_all(opened, model, opened.read_data(data), question, allowed, out, force, batch_size)
        return
    if batch_size is not None:
        raise ConfigError("--batch-size is for --users all; a single list is ranked by itself")
    if out is not None:
        raise ConfigError("--out is for --users all; a single list is printed, with --json for programs")
    names: Sequence[str] = history if history is not None else user_history(opened.read_data(data), str(user))
    answer = answer_for(model, names, k, allowed, exact=exact, why=why)
    if as_json:
        print_json({"run": str(run), "user": user, "k": k, **answer})
        return
    print_answer(answer)
    if len(answer["items"]) < k:
        note(f"only {len(answer['items'])} items are left to recommend")


def tell_notes(model: Recommender, names: Sequence[str]) -> None:
    """Say on stderr which of the names that a person gave could mean another item too."""
    for told in model.catalogue.notes(names):
        note(told)


def _recommend_to_all(
    opened: RunFolder,
    model: Recommender,
    dataset: Dataset,
    question: Question,
    allowed: BoolArray | None,
    out: Path | None,
    force: bool,
    batch_size: int | None,
) -> None:
    from genrec.cli.everybody import recommend_to_all

    if out is None or out.suffix != ".parquet":
        raise ConfigError(f"--users all writes a Parquet file: give --out NAME.parquet, not {out}")
    what = f"recommending to {dataset.interactions.num_users:,} users"
    with stoppable("go on with the same command"), progress(what) as tick:
        identity = opened.model_identity()
        num_rows = recommend_to_all(
            model,
            dataset,
            question,
            allowed,
            out,
            identity=identity,
            force=force,
            batch_size=batch_size,
            progress=tick,
        )
    stdout().print(f"wrote {num_rows:,} rows to {out}")


def allowed_items(model: Recommender, only: Sequence[str], exclude: Sequence[str]) -> BoolArray | None:
    """Mask of the items that fit every `FIELD=VALUE` and are not excluded; None where that is all of them.

    Raises:
        ConfigError: no such field or value.
        UnknownItemError: an excluded item is not in the catalogue.
    """
    allowed = model.mask(None, exclude)
    for word in only:
        field, value = pair(word, "--only", "genres=Comedy")
        fitting = model.mask({field: value}, ())
        assert fitting is not None
        allowed = fitting if allowed is None else allowed & fitting
    return allowed


def user_history(dataset: Dataset, user: str) -> list[str]:
    """Ids of all that a user of the data took, oldest first.

    Raises:
        DataError: there is no such user.
    """
    import polars as pl

    rows = dataset.interactions.users.cast(pl.String).index_of(user)
    if rows is None:
        some = ", ".join(map(str, dataset.interactions.users[:5]))
        raise DataError(f"the data of this run have no user {user!r}; there are users such as {some}")
    return [dataset.catalogue.ids[item] for item in dataset.interactions.histories[rows]]


def answer_for(
    model: Recommender,
    names: Sequence[str],
    k: int,
    allowed: BoolArray | None = None,
    *,
    exact: bool = False,
    why: bool = False,
) -> dict[str, Any]:
    """History and ranking as plain values: `history`, `exact` and `items`, each with `why` if asked for."""
    ranking = model.recommend([names], k, only=allowed, exact=exact)[0]
    items = []
    for rank, item in enumerate(ranking.items, start=1):
        row = {"rank": rank, **asdict(item)}
        if why:
            steps = model.why(names, item.item_id)
            row["why"] = [{"text": text, "probability": probability} for text, probability in steps]
        items.append(row)
    catalogue = model.catalogue
    rows = catalogue.rows(names)
    history = [{"item_id": catalogue.ids[row], "title": catalogue.titles[row]} for row in rows]
    background = {"background": model.background(names)} if why else {}
    return {"history": history, "exact": ranking.exact, "items": items, **background}


def print_answer(answer: Mapping[str, Any], num_history: int = 10) -> None:
    """Print the end of a history, what else the list is made from, and the list."""
    history = answer["history"]
    left_out = len(history) - num_history
    shown = [item["title"] for item in history[-num_history:]]
    print_table(
        ["history" + (f" (the last {num_history} of {len(history)})" if left_out > 0 else "")],
        [[title] for title in shown] or [["(empty)"]],
    )
    for heading, lines in answer.get("background", {}).items():
        print_table([heading], [[line] for line in lines] or [["(nothing)"]])
    with_probability = any(item["probability"] is not None for item in answer["items"])
    rows = []
    for item in answer["items"]:
        value = f"{item['probability']:.2%}" if with_probability else f"{item['score']:.3f}"
        rows.append((item["rank"], value, item["title"], item["item_id"]))
        for step in item.get("why") or []:
            rows.append(("", f"{step['probability']:.2%}", f"    {step['text']}", ""))
    print_table(["rank", "probability" if with_probability else "score", "recommended", "id"], rows)
    if with_probability:
        proof = (
            "provably the model's true top"
            if answer["exact"]
            else "found by search; `genrec recommend --exact` proves or mends it"
        )
        stdout().print(f"the list is {proof}", style="dim")
