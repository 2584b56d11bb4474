"""`genrec train`: from interactions and a recipe to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genrec.cli.data_options import NONE_GIVEN, DataOptions, reads_data
from genrec.cli.options import HeldOut
from genrec.cli.tables import print_choice, print_evaluation
from genrec.cli.terminal import progress, stdout, stoppable
from genrec.errors import ConfigError
from genrec.runs.measure import asked
from genrec.runs.recipe import AUTO, read_recipe


@reads_data
def train(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECOMMENDER_OR_RECIPE", help="See `genrec recommenders`, or a YAML file, or auto."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder to make for this run.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="File or folder of interactions, or 'synthetic'; as the recipe says.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of the recommender, as in seed=1."),
    ] = None,
    data_options: DataOptions = NONE_GIVEN,
    protocol: HeldOut = None,
    cold_share: Annotated[
        float | None,
        typer.Option(
            "--cold-share",
            metavar="SHARE",
            help="Hold this share of the items out of the training as a whole; --protocol leave-one-out+cold=SHARE.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Train again where a run is, which answers until the new one takes its place."
        ),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            min=1,
            max=100_000,
            help="Make --out a folder of dated runs with a link `latest`, of which the newest N stay.",
        ),
    ] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start from what this earlier run has learnt, on a log that has grown.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            metavar="SHARE",
            help="With --from: of the steps of a whole training, the share that is taken; 0.3 by default.",
        ),
    ] = None,
    floors: Annotated[
        bool | None,
        typer.Option(
            "--floors/--no-floors",
            help="Measure popular, itemknn and transitions beside the validation figure; by default if it is quick.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", metavar="M", help="With auto: about how long to fit and measure; 30 by default."
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Then train again on training and validation items; the test is measured with both.",
        ),
    ] = False,
) -> None:
    """Train a recommender on a log of interactions; `auto` fits several within --minutes and chooses on validation.

    The run folder keeps everything that is needed to measure, use and repeat the training. The test targets
    are left alone until `genrec evaluate`.
    """
    from genrec.runs.train import train as train_run

    if what == AUTO and overrides:
        raise ConfigError(f"auto chooses the recommender and its options: leave {overrides[0]} out")
    recipe = AUTO if what == AUTO else read_recipe(what).with_overrides(overrides or [])
    source = data_options.source(data, {} if isinstance(recipe, str) else recipe.data)
    stopped = stoppable("go on with the same command and --resume")
    with stopped, progress("measuring on validation") as tick:
        options: dict[str, Any] = {"resume": resume, "refit": refit, "force": force, "keep": keep}
        options |= {"from_run": from_run, "budget": budget, "floors": floors, "minutes": minutes}
        run = train_run(
            recipe, source, out, protocol=protocol, cold_share=cold_share, progress=tick, **options
        )
    if what == AUTO:
        print_choice(run.metrics["auto"])
        stdout().print(f"trained in {run.folder}; next: genrec evaluate {run.folder}")
        return
    name = asked(run.parts, "validation", run.model.config.validation_users)[0]
    measured = run.metrics.get(name)
    if measured is not None:
        print_evaluation(measured, f"{run.recipe.recommender}, validation")
    task = "" if measured is not None else " --task all"
    stdout().print(f"trained in {run.folder}; next: genrec evaluate {run.folder}{task}")
