"""`genrec items`: what a run may recommend, edited after the training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.command import Command
from genrec.cli.data_options import columns_of
from genrec.cli.options import Json, Run
from genrec.cli.terminal import note, print_json, print_table, stdout
from genrec.errors import ConfigError
from genrec.runs.run import open_run

app = typer.Typer(
    help="Add items to a run, change, hide, show and remove them, all without training.", no_args_is_help=True
)

ItemFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="Items with id, title and fields, as `--items` of train takes them."),
]
NameFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="Their ids: a file of items, or a text with an id or title a line."
    ),
]
Named = Annotated[list[str] | None, typer.Option("--item", metavar="ITEM", help="An id or title; repeat.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="RUN2", help="Folder of a new run with the edit.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Edit the run itself.")]
ItemColumn = Annotated[
    list[str] | None,
    typer.Option("--item-column", metavar="NAME=THEIRS", help="A column of FILE, as in item_id=sku; repeat."),
]


@app.command(cls=Command)
def add(
    run: Run, file: ItemFile, out: Out = None, in_place: InPlace = False, item_column: ItemColumn = None
) -> None:
    """Add the items of a file, and give known ones today's titles and fields."""
    _edit("add", run, file, (), out, in_place, item_column)


@app.command(cls=Command)
def change(
    run: Run, file: ItemFile, out: Out = None, in_place: InPlace = False, item_column: ItemColumn = None
) -> None:
    """Give known items other titles and fields; an item that is not known is refused."""
    _edit("change", run, file, (), out, in_place, item_column)


@app.command(cls=Command)
def hide(
    run: Run,
    file: NameFile = None,
    item: Named = None,
    out: Out = None,
    in_place: InPlace = False,
    item_column: ItemColumn = None,
) -> None:
    """Never recommend items; histories may still hold them."""
    _edit("hide", run, file, item, out, in_place, item_column)


@app.command(cls=Command)
def show(
    run: Run,
    file: NameFile = None,
    item: Named = None,
    out: Out = None,
    in_place: InPlace = False,
    item_column: ItemColumn = None,
) -> None:
    """Recommend hidden items again."""
    _edit("show", run, file, item, out, in_place, item_column)


@app.command(cls=Command)
def remove(
    run: Run,
    file: NameFile = None,
    item: Named = None,
    out: Out = None,
    in_place: InPlace = False,
    item_column: ItemColumn = None,
) -> None:
    """Take added items out of the run; those that it was trained on are hidden."""
    _edit("remove", run, file, item, out, in_place, item_column)


@app.command("list", cls=Command)
def list_items(run: Run, as_json: Json = False) -> None:
    """List the items of a run: which are hidden, and which came after the training."""
    model = open_run(run).model
    catalogue, num_trained = model.catalogue, len(model.trained_catalogue)
    rows = [
        {"item_id": item_id, "title": title, "hidden": bool(hidden), "added": row >= num_trained}
        for row, (item_id, title, hidden) in enumerate(
            zip(catalogue.ids, catalogue.titles, model.removed_, strict=True)
        )
    ]
    if as_json:
        print_json({"run": str(run), "items": rows})
        return
    states = [" ".join(name for name in ("added", "hidden") if row[name]) for row in rows]
    print_table(
        ["id", "title", ""],
        [[row["item_id"], row["title"], state] for row, state in zip(rows, states, strict=True)],
    )


def _edit(
    edit: str,
    run: Path,
    file: Path | None,
    names: list[str] | tuple[()] | None,
    out: Path | None,
    in_place: bool,
    item_column: list[str] | None,
) -> None:
    from genrec.runs.items import edit_items

    if (out is None) is not in_place:
        raise ConfigError("give --out RUN2 for a new run with the edit, or --in-place to edit this one")
    columns = columns_of(item_column or [], "--item-column", "item_id=sku")
    found = edit_items(open_run(run), edit, file, names or (), out=out, columns=columns)
    for line in found.notes:
        note(line)
    model = found.run.model
    counts = f"{len(model.catalogue):,} items now, {len(model.removed_ids):,} of them hidden"
    stdout().print(f"{found.done}: {counts}, in {found.run.folder}")
