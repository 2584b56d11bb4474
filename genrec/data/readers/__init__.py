"""Readers: one file per source, each of which knows its publisher's files."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from genrec.data import packed
from genrec.data.readers import amazon, movielens, recbole, sequences, table, yelp
from genrec.data.readers.source import Layout
from genrec.errors import ConfigError, DataError

# Tried in this order; the table comes last, because it takes any CSV.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        movielens.LAYOUT_100K,
        movielens.LAYOUT_1M,
        movielens.LAYOUT_CSV,
        amazon.LAYOUT_2014,
        amazon.LAYOUT_2018,
        amazon.LAYOUT_2023,
        yelp.LAYOUT,
        recbole.LAYOUT,
        sequences.LAYOUT,
        table.LAYOUT,
    )
}


def recognise(path: Path, name: str | None = None) -> tuple[Layout, Path]:
    """The layout of a folder or file (or the one called `name`) and its file of interactions.

    Raises:
        ConfigError: no layout has that name.
        DataError: nothing there, an empty file, or no (or not this) layout.
    """
    if name is not None and name not in LAYOUTS:
        raise ConfigError(f"there is no layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    try:
        return _found(path, LAYOUTS.values() if name is None else [LAYOUTS[name]])
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _found(path: Path, layouts: Collection[Layout]) -> tuple[Layout, Path]:
    if not path.exists():
        siblings = sorted(file.name for file in path.parent.iterdir()) if path.parent.is_dir() else []
        nearest = difflib.get_close_matches(path.name, siblings, n=1, cutoff=0.8)
        hint = f"; did you mean {path.parent / nearest[0]}?" if nearest else ""
        raise DataError(f"there is no file or folder {path}{hint}")
    if not path.is_dir() and packed.size_of(path) == 0:
        raise DataError(f"{path} is empty")
    for layout in layouts:
        file = layout.find(path)
        if file is not None:
            return layout, file
    if len(layouts) == 1:
        (layout,) = layouts
        raise DataError(f"{path} is not in the layout {layout.name}, which is {layout.files}")
    inside = sorted(file.name for file in path.iterdir())[:8] if path.is_dir() else []
    held = f" (it holds {', '.join(inside) or 'nothing'})" if path.is_dir() else ""
    raise DataError(
        f"{path} is in no known layout{held}: give a CSV file, or name one of {', '.join(LAYOUTS)}"
    )
