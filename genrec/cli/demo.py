"""`genrec demo`: everything once, from a data set to a report page. `make demo` runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.recommend import print_answer
from genrec.cli.tables import print_evaluation
from genrec.cli.terminal import note, print_table, progress, stdout, stoppable
from genrec.runs.answers import answer_for
from genrec.runs.floor import FLOOR, floor_options
from genrec.runs.recipe import Recipe, read_recipe
from genrec.runs.source import SYNTHETIC

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Targets
    from genrec.pages.report import ShownUser
    from genrec.recommenders.base import Recommender

_BASELINES = (FLOOR, "itemknn", "popular")
# 300 invented films are learned in less than what real shops of that size may need.
_BRIEFLY = ("backbone.min_steps=300", "prior_options.bsarec.training.min_steps=300")
_USERS, _SEED = 3, 7  # whose lists are shown, always the same


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
    """Train, measure beside three baselines, recommend to three users, and write DIR/report.html.

    A demo that was stopped goes on where it was; one that is trained already is only measured and shown.
    """
    import genrec
    from genrec.pages.page import check_free
    from genrec.pages.report import write_report
    from genrec.runs.train import train_run

    page = out / "report.html"
    check_free(page)
    chosen = read_recipe(recipe)
    if data == SYNTHETIC and chosen.recommender == "genrec":
        chosen = chosen.with_overrides(_BRIEFLY)
    source = data_options.source(data, chosen.data)
    with stoppable("go on with the same command"):
        folder = _run_folder(out, chosen, source.absolute().path)
        run = train_run(folder, chosen, source, resume=True)
    own, dataset, parts = chosen.recommender, run.data, run.parts
    models, measured = {own: run.model}, {}
    for name in (own, *_BASELINES):
        if name not in models:
            options = floor_options(dataset.catalogue) if name == FLOOR else {}
            models[name] = genrec.create(name, **options).fit(parts.train, parts.validation)
        if name not in measured:
            with progress(f"measuring {name}") as tick:
                if name == own:
                    measured[name] = run.evaluate(progress=tick)
                else:
                    found = genrec.evaluate(models[name].rank, parts.test, progress=tick).to_json()
                    measured[name] = {**found, "provenance": run.provenance("test")}
    if not run.log:
        note(f"no learning curve: {own} keeps no log")
    print_evaluation(measured[own], f"{own} on {dataset.name}, test")
    metrics = ("HR@10", "NDCG@10", "MRR")
    rows = [(name, *(f"{found[metric]:.4f}" for metric in metrics)) for name, found in measured.items()]
    print_table(["", *metrics], rows, "beside the baselines")
    write_report(
        page,
        title=f"{own} on {dataset.name}",
        data_summary=dataset.summary(),
        evaluations=measured,
        curve=run.log,
        users=_show_users(models, dataset, parts.test.sample(_USERS, _SEED)),
        notes=dataset.report.notes,
        synthetic=dataset.synthetic,
    )
    stdout().print(f"report: {page}   run: {run.folder}")


def _run_folder(out: Path, recipe: Recipe, path: str) -> Path:
    """A folder of its own for each configuration and data set: no demo stands in the way of another."""
    import genrec

    config = genrec.create(recipe.recommender, **recipe.config).config.model_dump_json()
    key = hashlib.sha256("\n".join([recipe.recommender, config, recipe.protocol, path]).encode()).hexdigest()
    return out / f"{Path(path).stem}-{recipe.recommender}-{key[:8]}"


def _show_users(models: Mapping[str, Recommender], dataset: Dataset, questions: Targets) -> list[ShownUser]:
    """Print each user's history, the first model's list and what they took next; all lists are for the report."""
    from genrec.pages.report import ShownItem, ShownUser

    ids, titles, shown = dataset.catalogue.ids, dataset.catalogue.titles, []
    for row, (user, history) in enumerate(zip(questions.users, questions.histories, strict=True)):
        names = [ids[item] for item in history]
        answers = {name: answer_for(model, names, k=10, because=True) for name, model in models.items()}
        own = next(iter(answers.values()))
        stdout().print(f"\nuser {user}", style="bold")
        print_answer(own)
        places = {item["item_id"]: f"rank {item['rank']}" for item in own["items"]}
        taken = questions.answers(row).tolist()
        told = (f"{titles[item]} ({places.get(ids[item], 'not in the list')})" for item in taken)
        stdout().print(f"took next: {', '.join(told)}")
        lists = {
            name: [
                ShownItem(item["title"], item["probability"], (item["because"] or {}).get("title"))
                for item in answer["items"]
            ]
            for name, answer in answers.items()
        }
        background = {
            f"{name}: {heading}": lines
            for name, model in models.items()
            for heading, lines in model.background(names).items()
        }
        history_titles = [titles[item] for item in history]
        shown.append(
            ShownUser(str(user), history_titles, lists, [titles[item] for item in taken], background)
        )
    return shown
