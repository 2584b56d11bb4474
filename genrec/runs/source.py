"""The data of a run: where they lie and how they are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.data.read_options import check_kinds
from genrec.errors import ConfigError, shown
from genrec.runs.notes import note

if TYPE_CHECKING:
    from genrec.data.dataset import Dataset

SYNTHETIC = "synthetic"  # given in place of a path: the built-in invented data set


@dataclass(frozen=True)
class DataSource:
    """Where interactions come from and how they are read: what `data.json` of a run keeps of them.

    `path` is a file, a folder or `synthetic`; `options` go to `genrec.read`.
    """

    path: str
    items: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kinds(self.options)
        if self.path == SYNTHETIC and (self.items or self.options):
            given = ["items"] if self.items else list(self.options)
            raise ConfigError(
                f"the synthetic data take no {', '.join(given)}; leave it out or give a path to your own"
            )

    @classmethod
    def of_recipe(
        cls, recipe: Mapping[str, Any], path: str | None, items: str | None, options: Mapping[str, Any]
    ) -> DataSource:
        """The data that a recipe names under `data`; what is given goes first.

        Args:
            recipe: `path`, `items` and options of `genrec.read`, any of them left out.
            path: file or folder of interactions; None: the recipe's.
            items: file of items; None: the recipe's.
            options: of `genrec.read`, before the recipe's.

        Raises:
            ConfigError: no path anywhere, or something else than a text for one.
        """
        told = dict(recipe)
        of_recipe = {name: told.pop(name, None) for name in ("path", "items")}
        for name, value in of_recipe.items():
            if not isinstance(value, str | None):
                raise ConfigError(
                    f"the recipe has the data option {name}={shown(value)}: write a path, or leave it out"
                )
        path = of_recipe["path"] if path is None else path
        if path is None:
            raise ConfigError("no data are named: give --data PATH, or a recipe that has `path` under `data`")
        return cls(path, of_recipe["items"] if items is None else items, {**told, **options})

    def as_recipe(self) -> dict[str, Any]:
        """What a recipe has under `data`."""
        items = {} if self.items is None else {"items": self.items}
        return {"path": self.path, **items, **self.options}

    def read(self, *, tell: bool = True) -> Dataset:
        """Read the data set.

        Args:
            tell: say on stderr what was dropped and why, as a log that loses rows gives another model.

        Raises:
            DataError, CatalogueError, ConfigError: see `genrec.read`.
        """
        import genrec

        if self.path == SYNTHETIC:
            return genrec.synthetic()
        dataset = genrec.read(self.path, items=self.items, **self.options)
        if tell and dataset.report.drops():
            note(dataset.report.drops())
        return dataset

    @classmethod
    def of_run(cls, about: Mapping[str, Any]) -> DataSource:
        """The source as a run's `data.json` has it; one that knows of no orders was begun with none."""
        source = cls(**about)
        orders = {} if source.path == SYNTHETIC else {"orders": "none"}
        return replace(source, options={**orders, **source.options})

    def settled(self, dataset: Dataset) -> DataSource:
        """The same source with what was found out as it was read, so that another day's log is read alike."""
        found = {"dates": dataset.report.dates, "orders": dataset.report.orders}
        return replace(
            self,
            options={**self.options, **{name: value for name, value in found.items() if value is not None}},
        )

    def of_today(self, path: str | None, items: str | None) -> DataSource:
        """Today's log, read in the same way: at `path` or where it was, with `items` or what its layout brings."""
        options = dict(self.options)
        if options.get("orders") != "none":  # a log may do without them: what was taken is all that counts
            options.pop("orders", None)
        if items is None:
            options.pop("item_columns", None)
            if self.items is not None and options.get("columns"):  # where the titles stand in that file
                options["columns"] = {
                    role: name for role, name in options["columns"].items() if role != "title"
                }
        return DataSource(path or self.path, items, options)

    def read_today(self, *, with_items: bool = True) -> Dataset:
        """Read the data as those of today, of which everybody counts; see `genrec.recommenders.today`.

        Args:
            with_items: False: the log alone, where nothing is asked of the items that its layout brings.

        Raises:
            DataError, CatalogueError, ConfigError: see `genrec.read`.
        """
        import genrec
        from genrec.recommenders.today import read_today

        if self.path == SYNTHETIC:
            return genrec.synthetic()
        if with_items:
            return read_today(self.path, self.items, **self.options)
        options = {name: value for name, value in self.options.items() if name != "item_columns"}
        if options.get("columns"):
            options["columns"] = {**options["columns"], "title": None}  # it may be one of the items
        return read_today(self.path, False, **options)

    def absolute(self) -> DataSource:
        """The same source with paths that hold from any folder."""
        if self.path == SYNTHETIC:
            return self
        # `Path.resolve` raises a RuntimeError on a link to itself, which whoever reads it tells in words.
        items = None if self.items is None else os.path.realpath(self.items)
        return DataSource(os.path.realpath(self.path), items, self.options)

    def moved(self, path: str) -> DataSource:
        """The same source where the interactions lie at `path` now.

        A file of items that is no longer where it was is looked for at the same place beside the interactions.

        Raises:
            ConfigError: it is at neither.
        """
        items = self.items
        if items is not None and not Path(items).exists():
            beside = Path(os.path.normpath(Path(path).absolute() / os.path.relpath(items, self.path)))
            if not beside.exists():
                raise ConfigError(
                    f"the file of items is neither at {items} nor, moved with the interactions, at {beside}: put it at "
                    "one of them"
                )
            items = str(beside)
        return DataSource(path, items, self.options)
