"""`genrec demo`: everything once, from a data set to a report page. `make demo` runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.reading import Reading, reads_data
from genrec.cli.recommend import print_answer
from genrec.cli.tables import print_evaluation
from genrec.cli.terminal import note, print_table, progress, stdout, stoppable
from genrec.data.files import read_json_lines
from genrec.runs.answers import answer_for
from genrec.runs.recipe import Recipe, read_recipe
from genrec.runs.source import SYNTHETIC

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Targets
    from genrec.data.split import Split
    from genrec.recommenders.base import Recommender

_BASELINES = ("itemknn", "popular")
_USERS, _SEED = 3, 7  # whose lists are shown, always the same


@reads_data
def demo(
    data: Annotated[
        str, typer.Option("--data", metavar="PATH", help="File or folder of interactions, or 'synthetic'.")
    ] = SYNTHETIC,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the run and the report.")
    ] = Path("runs/demo"),
    recipe: Annotated[str, typer.Option("--recipe", metavar="RECIPE", help="What to train.")] = "genrec",
) -> None:
    """Train, measure beside two baselines, recommend to three users, and write DIR/report.html.

    A demo that was stopped goes on where it was; one that is trained already is only measured and shown.
    """
    from genrec.pages.page import check_free
    from genrec.runs.train import train_run

    page = out / "report.html"
    check_free(page)
    chosen = read_recipe(recipe)
    source = reading.source(data, chosen.data)
    with stoppable("go on with the same command"):
        folder = _run_folder(out, chosen, source.absolute().path)
        run = train_run(folder, chosen, source, resume=True)
    dataset, parts = run.data, run.parts
    models = {chosen.recommender: run.model, **_baselines(parts, chosen.recommender)}
    measured = {name: _measured(name, model, parts.test) for name, model in models.items()}
    for name, result in measured.items():
        measured[name] = {**result, "provenance": run.provenance("test")}
    run.add_metrics("test", measured[chosen.recommender])
    print_evaluation(measured[chosen.recommender], f"{chosen.recommender} on {dataset.name}, test")
    print_table(
        ["", "HR@10", "NDCG@10", "MRR"],
        [
            (name, *(f"{result[metric]:.4f}" for metric in ("HR@10", "NDCG@10", "MRR")))
            for name, result in measured.items()
        ],
        "beside the baselines",
    )
    questions = parts.test.sample(_USERS, _SEED)
    _print_users(models[chosen.recommender], dataset, questions)
    _write_report(page, dataset, measured, models, questions, _log(run.folder / "log.jsonl"))
    stdout().print(f"report: {page}   run: {run.folder}")


def _run_folder(out: Path, recipe: Recipe, path: str) -> Path:
    """A folder of its own for each configuration and data set: no demo stands in the way of another."""
    import genrec

    config = genrec.create(recipe.recommender, **recipe.config).config.model_dump_json()
    key = hashlib.sha256("\n".join([recipe.recommender, config, recipe.protocol, path]).encode()).hexdigest()
    return out / f"{Path(path).stem}-{recipe.recommender}-{key[:8]}"


def _baselines(parts: Split, besides: str) -> dict[str, Recommender]:
    import genrec

    return {
        name: genrec.create(name).fit(parts.train, parts.validation) for name in _BASELINES if name != besides
    }


def _measured(name: str, model: Recommender, targets: Targets) -> dict[str, Any]:
    from genrec.evaluation.protocol import evaluate

    with progress(f"measuring {name}") as tick:
        return evaluate(model.rank, targets, progress=tick).to_json()


def _print_users(model: Recommender, dataset: Dataset, questions: Targets) -> None:
    """Each user's history, the list for it, and what they did take next."""
    ids, titles = dataset.catalogue.ids, dataset.catalogue.titles
    for user, history, target in zip(questions.users, questions.histories, questions.items, strict=True):
        answer = answer_for(model, [ids[item] for item in history], k=10)
        stdout().print(f"\nuser {user}", style="bold")
        print_answer(answer)
        place = next((item["rank"] for item in answer["items"] if item["item_id"] == ids[target]), None)
        stdout().print(f"took next: {titles[target]} ({f'rank {place}' if place else 'not in the list'})")


def _write_report(
    path: Path,
    dataset: Dataset,
    measured: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Recommender],
    questions: Targets,
    log: Sequence[Mapping[str, Any]],
) -> Path:
    from genrec.pages.report import ShownUser, write_report

    titles = dataset.catalogue.titles
    ids = dataset.catalogue.ids
    shown = [
        ShownUser(
            str(user),
            [titles[item] for item in history],
            {
                name: [
                    (item.title, item.probability)
                    for item in model.recommend([[ids[row] for row in history]], k=10)[0].items
                ]
                for name, model in models.items()
            },
            titles[target],
            _background(models, [ids[row] for row in history]),
        )
        for user, history, target in zip(questions.users, questions.histories, questions.items, strict=True)
    ]
    own = next(iter(measured))
    return write_report(
        path,
        title=f"{own} on {dataset.name}",
        data_summary=dataset.summary(),
        evaluations=measured,
        curve=log,
        users=shown,
        notes=dataset.report.notes,
        synthetic=dataset.synthetic,
    )


def _background(models: Mapping[str, Recommender], history: Sequence[str]) -> dict[str, list[str]]:
    """What the recommenders' lists are made from beside the history."""
    return {
        f"{name}: {heading}": lines
        for name, model in models.items()
        for heading, lines in model.background(history).items()
    }


def _log(path: Path) -> list[dict[str, Any]]:
    """Rows of the training log; empty for a recommender that keeps none."""
    if not path.exists():
        note(f"no learning curve: {path.parent.name} kept no log")
        return []
    return read_json_lines(path, dict[str, Any])
