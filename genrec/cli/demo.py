"""`genrec demo`: everything once, from a data set to a report page. `make demo` runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.recommend import print_answer
from genrec.cli.tables import print_evaluation
from genrec.cli.terminal import note, print_table, progress, stdout, stoppable
from genrec.evaluation import numbers
from genrec.runs.answers import answer_for
from genrec.runs.floor import FLOOR, floor_options
from genrec.runs.recipe import Recipe, read_recipe
from genrec.runs.source import SYNTHETIC

if TYPE_CHECKING:
    from genrec.data.interactions import IntArray, Targets
    from genrec.pages.users import Nobody, ShownUser
    from genrec.recommenders.base import Recommender
    from genrec.runs.next_steps import Step
    from genrec.runs.run import Run

_BASELINES = (FLOOR, "itemknn", "popular")
# 300 invented films are learned in less than what real shops of that size may need.
_BRIEFLY = ("backbone.min_steps=300", "prior_options.bsarec.training.min_steps=300")
_SHOWN = 10  # items of a list


@reads_data
def demo(
    data: Annotated[
        str, typer.Option("--data", metavar="PATH", help="File or folder of interactions, or 'synthetic'.")
    ] = SYNTHETIC,
    data_options: DataOptions = NONE_GIVEN,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the run and the report.")
    ] = Path("runs/demo"),
    recipe: Annotated[str, typer.Option("--recipe", metavar="RECIPE", help="What to train.")] = "genrec",
) -> None:
    """Train, measure beside three baselines, show three users, and write DIR/report.html.

    A demo that was stopped goes on where it was; one that is trained already is only measured and shown.
    """
    import genrec
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation.metrics import per_user, target_ranks
    from genrec.evaluation.significance import verdicts
    from genrec.pages.page import check_free
    from genrec.pages.report import write_report
    from genrec.pages.verdict import METRIC, sentence
    from genrec.runs.train import train_run

    page = out / "report.html"
    check_free(page)
    chosen = read_recipe(recipe)
    if data == SYNTHETIC and chosen.recommender == "genrec":
        chosen = chosen.with_overrides(_BRIEFLY)
    source = data_options.source(data, chosen.data)
    _tell_time(usual=data == SYNTHETIC and recipe == "genrec")
    with stoppable("go on with the same command"):
        folder = _run_folder(out, chosen, source.absolute().path)
        run = train_run(folder, chosen, source, resume=True)
    own, dataset, parts = chosen.recommender, run.data, run.parts
    models, measured, ranks = {own: run.model}, {}, {}
    for name in dict.fromkeys((own, *_BASELINES)):
        if name not in models:
            options = floor_options(dataset.catalogue) if name == FLOOR else {}
            models[name] = genrec.create(name, **options).fit(parts.train, parts.validation)
        with progress(f"measuring {name}") as tick:
            if name == own:
                measured[name] = run.evaluate(progress=tick)
                ranks[name] = target_ranks(read_rankings(run.rankings_path("test"), parts.test), parts.test)
            else:
                found = genrec.evaluate(models[name].rank, parts.test, progress=tick)
                measured[name] = {**found.to_json(), "provenance": run.provenance("test")}
                ranks[name] = found.target_ranks
    values = {name: per_user(found, [10], parts.test.orders)[METRIC] for name, found in ranks.items()}
    judged = verdicts(values[own], {name: found for name, found in values.items() if name != own})
    if not run.log:
        note(f"no learning curve: {own} keeps no log")
    print_evaluation(measured[own], f"{own} on {dataset.name}, test")
    metrics = ("HR@10", "NDCG@10", "MRR")
    rows = [
        (name, *(numbers.metric(found[metric]) for metric in metrics)) for name, found in measured.items()
    ]
    print_table(["", *metrics], rows, "beside the baselines")
    stdout().print(sentence(own, judged))
    users = _show_users(models, parts.test, ranks)
    # What a recipe says of its data has no words on a command line.
    steps = _next_steps(run, out, None if chosen.data else [data, *data_options.words()])
    write_report(
        page,
        title=f"{own} on {dataset.name}",
        data_summary=dataset.summary(),
        evaluations=measured,
        curve=run.log,
        users=users,
        verdicts=judged,
        notes=dataset.report.notes,
        steps=steps,
        synthetic=dataset.synthetic,
    )
    stdout().print(f"\nreport: {page}   run: {run.folder}\n")
    for what, commands in steps:
        stdout().print(f"{what}:", style="dim")
        for line in commands:
            stdout().print(f"  {line}")


def _tell_time(*, usual: bool) -> None:
    """Say beforehand how long the demo takes; `usual`: it is the one whose work is known."""
    if not usual:
        note(
            "how long this takes depends on the data and the recipe; a training that takes long shows how far it is"
        )
        return
    from genrec.runs.pace import demo_seconds, told

    note(
        f"this takes {told(demo_seconds())}, by what one core does just now: it trains briefly, measures four "
        "recommenders and shows three users. Other work on the machine makes it longer; a second time, once trained, "
        "takes seconds"
    )


def _next_steps(run: Run, out: Path, data: Sequence[str] | None) -> list[Step]:
    """What can be done with the run of a demo, and beside it; `data` are the words that name its data, if there are."""
    import numpy as np

    from genrec.runs.next_steps import Step, command, steps_of_run

    asked = run.parts.test.take(np.array([0]))
    history = [run.data.catalogue.ids[item] for item in asked.histories[0][-2:]]
    other = next(name for name in ("itemknn", "popular") if name != run.recipe.recommender)
    beside, protocol = out / other, run.recipe.protocol
    steps = steps_of_run(run.folder, out, user=str(asked.users[0]), history=history)
    if data is not None:
        held_out = [] if protocol == "leave-one-out" else ["--protocol", protocol]
        commands = (
            command("train", other, "--data", *data, *held_out, "--out", beside),
            command("evaluate", beside),
            command("compare", run.folder, beside, "--out", out / "comparison.html"),
        )
        steps.append(Step("Compare it with another recommender, as a page", commands))
    if run.data.synthetic:
        what = "The same with your own log: its path stands in place of LOG.csv"
        steps.append(Step(what, (command("demo", "--data", "LOG.csv"),)))
    return steps


def _run_folder(out: Path, recipe: Recipe, path: str) -> Path:
    """A folder of its own for each configuration and data set: no demo stands in the way of another."""
    import genrec

    config = genrec.create(recipe.recommender, **recipe.config).config.model_dump_json()
    key = hashlib.sha256("\n".join([recipe.recommender, config, recipe.protocol, path]).encode()).hexdigest()
    return out / f"{Path(path).stem}-{recipe.recommender}-{key[:8]}"


def _show_users(
    models: Mapping[str, Recommender], questions: Targets, ranks: Mapping[str, IntArray]
) -> list[ShownUser | Nobody]:
    """Print a hit, a near miss and a miss of the first model; the lists of all models are for the report."""
    from genrec.evaluation.metrics import best_ranks
    from genrec.evaluation.outcomes import outcomes
    from genrec.pages.users import Nobody, what_happened

    own = next(iter(models))
    ranks_B = {name: best_ranks(ranks_T, questions.orders) for name, ranks_T in ranks.items()}
    shown: list[ShownUser | Nobody] = []
    for outcome in outcomes(ranks_B[own], questions.histories.lengths):
        rank = 0 if outcome.row is None else int(ranks_B[own][outcome.row])
        of_order = questions.orders is not None
        told = what_happened(own, outcome, len(questions), rank, of_order=of_order)
        if outcome.row is None:
            stdout().print(f"\n{told}", style="bold")
            shown.append(Nobody(outcome.name, told))
            continue
        places = {name: int(found_B[outcome.row]) for name, found_B in ranks_B.items()}
        shown.append(_show_user(models, questions, outcome.row, outcome.name, told, places))
    return shown


def _show_user(
    models: Mapping[str, Recommender],
    questions: Targets,
    row: int,
    outcome: str,
    told: str,
    ranks: Mapping[str, int],
) -> ShownUser:
    """Print a user's history, the first model's list, what they took next and where that stood."""
    from genrec.evaluation.outcomes import LAST
    from genrec.pages.users import ShownItem, ShownUser, place_of

    ids, titles = questions.catalogue.ids, questions.catalogue.titles
    user, history = questions.users[row], questions.histories[row]
    names, taken = [ids[item] for item in history], questions.answers(row).tolist()
    depth = LAST + 1  # as long as those that were measured: a search may find others where fewer are wanted
    answers = {name: answer_for(model, names, k=depth, because=True) for name, model in models.items()}
    lists = {}
    wanted = {ids[item] for item in taken}
    for name, answer in answers.items():
        rest = [item for item in answer["items"][_SHOWN:LAST] if item["item_id"] in wanted]
        answer["items"] = answer["items"][:_SHOWN] + rest
        lists[name] = [
            ShownItem(item["title"], item["probability"], (item["because"] or {}).get("title"), item["rank"])
            for item in answer["items"]
        ]
    stdout().print(f"\n{outcome}: user {user}", style="bold")
    print_answer(next(iter(answers.values())))
    stdout().print(f"took next: {', '.join(titles[item] for item in taken)}")
    stdout().print(told)
    background = {
        f"{name}: {heading}": lines
        for name, model in models.items()
        for heading, lines in model.background(names).items()
    }
    return ShownUser(
        f"User {user}",
        [titles[item] for item in history],
        lists,
        [titles[item] for item in taken],
        background,
        outcome,
        told,
        {name: place_of(rank) for name, rank in ranks.items()},
    )
