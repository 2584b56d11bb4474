"""`genrec recommend`: lists for one history, one user or everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.options import BatchSize, Exact, Json, Run, pair
from genrec.cli.terminal import note, print_json, print_table, progress, stdout, stoppable
from genrec.errors import ConfigError, one_of, shown
from genrec.evaluation import numbers
from genrec.runs.answers import answer_for, similar_to
from genrec.runs.run import open_run

if TYPE_CHECKING:
    from genrec.recommenders.base import Recommender
    from genrec.runs.run import Run as OpenedRun

_BEYOND_WORDS = 99.0  # of the logarithm of a ratio


def recommend(
    run: Run,
    history: Annotated[
        list[str] | None,
        typer.Option("--history", metavar="ITEM", help="An id or title, oldest first; repeat."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Take the history of this user.")
    ] = None,
    visitor: Annotated[bool, typer.Option("--visitor", help="Somebody of whom nothing is known.")] = False,
    similar: Annotated[
        str | None, typer.Option("--similar-to", metavar="ITEM", help="What is like this id or title.")
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
        typer.Option(
            "--only",
            metavar="CONDITION",
            help="Only such items, as in genres=Comedy, brand=Pike,Rill or 'price<20'; all of several.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="ITEM", help="Never this id or title; repeat.")
    ] = None,
    exclude_file: Annotated[
        Path | None,
        typer.Option(
            "--exclude-file", metavar="FILE", help="Never these: an id or title a line, or a file of items."
        ),
    ] = None,
    max_per: Annotated[
        list[str] | None,
        typer.Option(
            "--max-per",
            metavar="FIELD=N",
            help="At most N items of one value of a field in a list, as in brand=2; all of several.",
        ),
    ] = None,
    repeat: Annotated[
        str,
        typer.Option("--repeat", metavar="never|allow|only", help="Whether lists hold items of the history."),
    ] = "never",
    unknown: Annotated[
        str,
        typer.Option(
            "--unknown",
            metavar="error|skip|nearest",
            help="A name in --history that no item has: stop, leave it out, or take the nearest title.",
        ),
    ] = "error",
    exact: Exact = False,
    why: Annotated[
        bool, typer.Option("--why", help="Show the probability of each decision along a title.")
    ] = False,
    because: Annotated[
        bool, typer.Option("--because", help="Show what of the history speaks for each item most.")
    ] = False,
    batch_size: BatchSize = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a finished --out file.")] = False,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="Today's log; what the run was trained on by default."),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="PATH", help="Today's items: what is not listed is not recommended."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recommend items, best first; those of the history only with --repeat.

    The log and the items may be others than the run was trained on: users and items are known by their ids. Ids and
    titles of the catalogue are taken as they are spelled or nearly so; a title that nothing fits is answered with the
    nearest ones.
    """
    from genrec.recommenders.asked import allowed_mask, understood
    from genrec.runs.repeats import REPEATS

    if [given is not None for given in (history, user, users, similar)].count(True) + visitor != 1:
        raise ConfigError(
            "give one of --history ITEM (repeated), --user ID, --visitor, --similar-to ITEM, or --users all"
        )
    one_of(repeat, REPEATS, "--repeat")
    if similar is not None and (why or because or repeat != "never"):
        raise ConfigError("--similar-to asks about an item: leave out --why, --because and --repeat")
    _check_unknown(unknown, history)
    options: dict[str, Any] = {"max_per": _limits(max_per or ()), "exact": exact}
    opened = open_run(run, data, items)
    own = user is None and users is None
    alone = own and data is None and items is None  # what the run has is enough
    model = opened.model if alone else opened.today.model
    tell_notes(model, [*(history or ()), *(exclude or ()), *filter(None, [similar])])
    excluded = [*(exclude or ()), *(_listed(exclude_file, model) if exclude_file is not None else ())]
    if users is not None:
        one_of(users, ("all",), "--users")
        if why or because or as_json:
            raise ConfigError("--users all writes a file and takes neither --why, --because nor --json")
        options |= {"repeat": repeat, "force": force, "batch_size": batch_size}
        _recommend_to_all(opened, out, k, only=only or (), exclude=excluded, **options)
        return
    if batch_size is not None:
        raise ConfigError("--batch-size is for --users all; a single list is ranked by itself")
    if out is not None:
        raise ConfigError("--out is for --users all; a single list is printed, with --json for programs")
    allowed = allowed_mask(only, excluded, model.catalogue)
    names, told = understood(history or (), model.catalogue, unknown)
    for line in told:
        note(line)
    if user is not None:
        names = opened.today.history(user)
    if similar is not None:
        answer = similar_to(model, similar, k, allowed, **options)
    else:
        answer = answer_for(model, names, k, allowed, repeat=repeat, why=why, because=because, **options)
    if as_json:
        print_json({"run": str(run), "user": user, "k": k, **answer})
        return
    print_answer(answer)
    if len(answer["items"]) < k:
        note(f"only {len(answer['items'])} items are left to recommend")


def _recommend_to_all(opened: OpenedRun, out: Path | None, k: int, **options: Any) -> None:
    """Write the lists of everybody and say how many rows that are."""
    if out is None:
        raise ConfigError("--users all writes a Parquet file: give --out NAME.parquet")
    with stoppable("go on with the same command"), progress("recommending to all users") as tick:
        num_rows = opened.recommend_to_all(out, k, progress=tick, **options)
    stdout().print(f"wrote {num_rows:,} rows to {out}")


def _check_unknown(unknown: str, history: list[str] | None) -> None:
    from genrec.recommenders.asked import UNKNOWN

    one_of(unknown, UNKNOWN, "--unknown")
    if unknown != "error" and history is None:
        raise ConfigError("--unknown is about the names of --history: leave it out")


def _limits(words: Sequence[str]) -> dict[str, int] | None:
    """Fields and numbers from `--max-per FIELD=N`; None: no limit.

    Raises:
        ConfigError: no such pair, no whole number, or a field that is given twice.
    """
    found: dict[str, int] = {}
    for word in words:
        name, count = pair(word, "--max-per", "brand=2")
        if not count.strip().isdecimal():
            raise ConfigError(f"--max-per {word!r} needs a whole number; write it as in --max-per brand=2")
        if name in found:
            raise ConfigError(f"--max-per is given twice for {name}: give it once")
        found[name] = int(count)
    return found or None


def _listed(path: Path, model: Recommender) -> list[str]:
    """Of the items that a file names, those that there are; how many there are not is told."""
    from genrec.data.name_list import read_names

    names, catalogue = read_names(path), model.catalogue
    unknown = [name for name in names if not catalogue.find(name)]
    if unknown:
        some = ", ".join(map(shown, unknown[:3])) + (", …" if len(unknown) > 3 else "")
        note(f"{len(unknown):,} of {len(names):,} names in {path.name} are of no item here ({some})")
    return [name for name in names if catalogue.find(name)]


def tell_notes(model: Recommender, names: Sequence[str]) -> None:
    """Say on stderr which of the names that a person gave could mean another item too."""
    for told in model.catalogue.notes(names):
        note(told)


def _voices(step: Mapping[str, Any]) -> str:
    """What the two parts of a product say of a choice, where a name was written with a prior."""
    if "unasked" in step:
        return f"  ({numbers.probability(step['unasked'])} without the history)"
    if "words" not in step:
        return ""
    return f"  (language model {numbers.probability(step['words'])}, item models {numbers.probability(step['items'])})"


def _effect(effect: float | None, of_probability: bool) -> str:
    """By how much, or how many times, an item's score is higher for a reason; nothing where it is for that alone."""
    if effect is None or effect > _BEYOND_WORDS:
        return ""
    return numbers.times(exp(effect)) if of_probability else f"+{effect:.3f}"


def print_answer(answer: Mapping[str, Any], num_history: int = 10) -> None:
    """Print the end of a history, or what the items are like, what else the list is made from, and the list."""
    history = [answer["similar_to"]] if "similar_to" in answer else answer["history"]
    left_out = len(history) - num_history
    shown = [item["title"] for item in history[-num_history:]]
    print_table(
        [
            "similar to"
            if "similar_to" in answer
            else "history" + (f" (the last {num_history} of {len(history)})" if left_out > 0 else "")
        ],
        [[title] for title in shown] or [["(empty)"]],
    )
    for heading, lines in answer.get("background", {}).items():
        print_table([heading], [[line] for line in lines] or [["(nothing)"]])
    with_probability = any(item["probability"] is not None for item in answer["items"])
    rows = []
    for item in answer["items"]:
        value = numbers.probability(item["probability"]) if with_probability else f"{item['score']:.3f}"
        rows.append((item["rank"], value, item["title"], item["item_id"]))
        for step in item.get("why") or []:
            rows.append(
                ("", numbers.probability(step["probability"]), f"    {step['text']}{_voices(step)}", "")
            )
        if item.get("because"):
            reason = item["because"]
            rows.append(
                ("", _effect(reason["effect"], with_probability), f"    because of {reason['title']}", "")
            )
    print_table(["rank", "probability" if with_probability else "score", "recommended", "id"], rows)
    if with_probability:
        proof = (
            "provably the model's true top"
            if answer["exact"]
            else "found by search; `genrec recommend --exact` proves or mends it"
        )
        stdout().print(f"the list is {proof}", style="dim")
