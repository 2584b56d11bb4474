"""The items of a run after its training: they come, go, change and are hidden, and the run stays whole.

The edited recommender is made in memory and put beside the old one, whose place it then takes; a call that is refused
or killed leaves the run as it was. What was measured stays: `evaluate` measures what was trained.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.data.files import all_or_nothing, put_folder
from genrec.data.listing import counted
from genrec.data.name_list import read_names
from genrec.data.new_items import read_new_items
from genrec.data.readers.source import Options
from genrec.errors import CatalogueError, ConfigError, RunError, shown
from genrec.runs.folder import alone

if TYPE_CHECKING:
    from genrec.data.catalogue import Catalogue
    from genrec.recommenders.base import Recommender
    from genrec.runs.run import Run

EDITS = ("add", "change", "remove", "hide", "show")


@dataclass(frozen=True)
class Edited:
    """What an edit has made of a run.

    Attributes:
        run: with the edited recommender.
        done: what was done, in words.
        notes: what else is to be told.
    """

    run: Run
    done: str
    notes: list[str]


def edit_items(
    run: Run,
    edit: str,
    items: Any = None,
    names: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    columns: dict[str, str | None] | None = None,
) -> Edited:
    """Edit the items of a run.

    Args:
        run: finished; stays as it is where `out` is given.
        edit: `add` (new items, and other texts and fields of known ones), `change` (of known ones alone), `remove`,
            `hide` or `show`; see `LivingCatalogue`.
        items: file or frame of items, as `genrec.read` takes it; for the last three, also a text with a name a line.
        names: ids or titles, for the last three.
        out: folder of a new run with the edited items; None: the run itself.
        columns: what plays `item_id` or `title` in `items`, where the run's own options do not tell.

    Raises:
        ConfigError: no such edit, nothing to edit, or items that the recommender cannot take.
        DataError, CatalogueError: items that cannot be read, or values that do not fit.
        UnknownItemError: a name that the catalogue does not hold.
        RunError: the training has not finished, `out` holds something, or another process is at work in the run.
    """
    if edit not in EDITS:
        raise ConfigError(f"there is no edit {shown(edit)} of items; choose one of {', '.join(EDITS)}")
    told = run.about_data["source"]["options"]
    options = Options(
        told.get("columns") or {}, False, {**(told.get("item_columns") or {}), **(columns or {})}
    )
    model, notes = run.model, list[str]()
    if edit in ("add", "change"):
        if items is None or names:
            raise ConfigError(
                f"items {edit} takes a file of items with their ids, titles and fields: give one"
            )
        done, notes = _texts(model, edit, items, options)
    else:
        wanted = [*names]
        if items is not None:
            wanted += read_names(Path(items), options) if isinstance(items, str | Path) else items
        if not wanted:
            raise ConfigError(
                f"items {edit} takes a file that names items, or --item NAME (repeated): give some"
            )
        done = _names(model, edit, wanted)
    return Edited(_written(run, model, None if out is None else Path(out)), done, notes)


def _texts(model: Recommender, edit: str, items: Any, options: Options) -> tuple[str, list[str]]:
    """Give items their texts; what was done, and notes."""
    before = model.catalogue
    new, notes = read_new_items(items, before, options)
    unknown = [item_id for item_id in new["item_id"] if before.get(item_id) is None]
    if edit == "change" and unknown:
        raise CatalogueError(
            f"item {shown(unknown[0])} is not in the catalogue of {counted(len(before), 'item')}, so nothing can be "
            "changed: use `genrec items add`"
        )
    model.add_items(new)
    known = [item_id for item_id in new["item_id"] if before.get(item_id) is not None]
    pairs = zip(_told(before, known), _told(model.catalogue, known), strict=True)
    num_changed = sum(one != other for one, other in pairs)
    return (
        f"added {counted(len(unknown), 'item')}, changed {num_changed:,} of {len(known):,} known ones",
        notes,
    )


def _told(catalogue: Catalogue, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What is known of items, by field."""
    rows = catalogue.table[catalogue.rows_of_ids(ids)].rows(named=True)
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _names(model: Recommender, edit: str, names: Sequence[str]) -> str:
    """Hide, show or remove items; what was done."""
    num_items = len(model.catalogue)
    ids = {model.catalogue.ids[row] for row in model.catalogue.rows(names)}
    num_hidden = len(model.removed_ids)
    getattr(model, f"{edit}_items")(sorted(ids))
    gone, hidden = num_items - len(model.catalogue), len(model.removed_ids) - num_hidden
    if edit == "remove":
        return f"removed {counted(gone, 'item')}, and hid {len(ids) - gone:,} that the training learnt from"
    return f"{'hid' if edit == 'hide' else 'showed'} {counted(abs(hidden), 'item')} of {len(ids):,} named"


def _written(run: Run, model: Recommender, out: Path | None) -> Run:
    """The run with another recommender, in its place or in a folder of its own."""
    if out is None:
        with alone(run.folder):
            run.save_model(model)
        return replace(run)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} holds something: choose another --out, or move it away")
    out = Path(os.path.abspath(out))
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    with all_or_nothing(partial):
        own = {str(run.folder): ["model", "model.partial"]}
        shutil.copytree(run.folder, partial, ignore=lambda folder, _: own.get(str(folder), []))
        replace(run, folder=partial).save_model(model)
        put_folder(partial, out)
    return replace(run, folder=out)
