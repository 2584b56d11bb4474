"""What every recommender is: fitted on interactions, asked with histories, answering with rankings.

A recommender is one class under `@register(name)`, in a file of that name or in `recommender.py` in a folder of that
name. It brings a `Config` and either `_score` (a score for every item) or `_rank` (the best items, found its own way),
plus `_fit`, `_save` and `_load`.
Everything else is here: names in and out, filters, ties, batches, saving; what follows when items come and go is in
`living_catalogue.py`.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
import polars as pl
from pydantic import BaseModel, ValidationError

import genrec.recommenders
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import all_or_nothing, read_parquet, write_atomically
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.memory import check_fits
from genrec.data.ranking import Rankings, best_columns
from genrec.data.seal import (
    check_below,
    check_run,
    files_below,
    measured,
    read_sealed,
    remove_sealed,
    run_of,
    write_sealed,
)
from genrec.errors import (
    ConfigError,
    GenrecError,
    NotFittedError,
    RunError,
    one_line,
    shown,
)
from genrec.recommenders.answering import Answering
from genrec.recommenders.asked import as_count, as_mask, check_learnable, check_rows
from genrec.recommenders.limits import Limits
from genrec.recommenders.options import Config, refusal
from genrec.recommenders.start import Start

Progress = Callable[[int, int], None]  # (users done, users in all)


class Recommender(Answering):
    """Fit on interactions, then rank the catalogue for any history, of known users or not."""

    Config: ClassVar[type[Config]] = Config
    pipeline: ClassVar[str]  # one line: what happens from a history to a ranking
    paper: ClassVar[str]  # authors, year and address of the method
    tiny: ClassVar[dict[str, Any]] = {}  # a configuration that the contract suite fits in seconds
    _start: Start | None = None  # while it is fitted
    sequential: ClassVar[bool] = True  # the order of a history matters to it

    def __init__(self, config: BaseModel | None = None, /, **options: Any) -> None:
        try:
            self.config: Any = config if config is not None else self.Config(**options)
        except ValidationError as error:
            raise ConfigError(refusal(error, self.name, self.Config)) from None
        self._forget()

    # -- what a recommender brings ---------------------------------------------------------------------------

    def _check_start(self, earlier: Recommender) -> None:
        """Raise ConfigError where a training of this one cannot start from what the earlier one has learnt.

        A recommender that can overrides it, and begins in `_fit` where `_start` says.
        """
        raise ConfigError(
            f"{self.name} learns everything anew in each training and starts from no earlier run: leave that out "
            "(--from, from_run); sasrec, bsarec, prior and genrec with backbone=items can"
        )

    def check(self) -> None:
        """Raise ConfigError where something that the options name, as a checkpoint, is not there; before data are read.

        Nothing by default.
        """

    @abstractmethod
    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        """Learn from `train`; `validation` is for early stopping and model selection only."""

    def _score(self, histories: Histories) -> FloatArray:
        """Scores (B, num_items) float32 of every item for each history, higher is better."""
        raise AssertionError(f"{self.name} has neither _score nor _rank")

    def _scores(self, histories: Histories) -> dict[str, FloatArray]:
        """The scores (B, num_items) that `_score` adds up, by name, for whoever weighs them otherwise."""
        return {self.name: self._score(histories)}

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        """The best `k` allowed items of each history, k at most num_items; (B, k).

        `allowed`: mask (num_items,), or (B, num_items) where each history may get others; None: all.
        The default scores every item, so it is always exact.
        """
        check_fits(
            f"scoring {len(self.catalogue):,} items for {len(histories):,} users at once",
            4 * 4 * len(histories) * len(self.catalogue),  # scores, their negatives, masks, what makes them
            "rank fewer users at once (ranking_batch, --batch-size)",
        )
        scores_BI = np.fmax(np.asarray(self._score(histories), dtype=np.float32), -np.inf)  # no NaN
        if allowed is not None:
            scores_BI = np.where(allowed, scores_BI, -np.inf)
        if exclude_seen:
            scores_BI[histories.rows, histories.items] = -np.inf
        items_BK = best_columns(scores_BI, k)
        scores_BK = np.take_along_axis(scores_BI, items_BK, axis=1)
        items_BK = np.where(np.isneginf(scores_BK), np.int32(-1), items_BK)
        return Rankings(items_BK, scores_BK, np.ones(len(histories), bool))

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Write the learned state into `folder`; weights and arrays as safetensors."""

    @abstractmethod
    def _load(self, folder: Path) -> None:
        """Read what `_save` wrote; `catalogue_` is already set."""

    # -- what everybody gets ---------------------------------------------------------------------------------

    def fit(
        self,
        train: Interactions,
        validation: Targets | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        start: Start | None = None,
    ) -> Self:
        """Learn from `train`. A recommender that trains for long keeps its checkpoints under `run`.

        Args:
            train: interactions of the training part only.
            validation: questions for early stopping; never learnt from.
            run: folder for checkpoints and logs; a temporary one if None.
            resume: go on from the last checkpoint under `run`.
            start: an earlier recommender to start from, and the share of the steps to take; None: afresh.

        After an error or an interruption it is not fitted, whatever it had learnt before: half of the old and half of
        the new would answer with something else than either.

        Raises:
            DataError: `train` or `validation` is something else, or they are of different data.
            ConfigError: it cannot start from the earlier one.
        """
        check_learnable(train, validation)
        if start is not None:
            self._check_start(start.model)
        self._forget()
        self._start = start
        self.catalogue_ = train.catalogue
        self.removed_ = np.zeros(len(train.catalogue), bool)
        try:
            self._fit(train, validation, Path(run) if run is not None else None, resume)
        except BaseException:  # Ctrl-C too
            self._forget()
            raise
        finally:
            self._start = None
        return self

    def refit(self, train: Interactions, *, run: str | Path | None = None, resume: bool = False) -> Self:
        """A new recommender of these options, fitted on other data, with what was chosen on validation as it is here.

        For the training and validation items together, once validation has chosen; this one stays as it is.

        Args:
            train: interactions of the same catalogue.
            run: folder for checkpoints and logs, and for the length of each training in it, where one is planned there
                (`genrec.training.length`); a temporary one if None.
            resume: go on from the last checkpoint under `run`.

        Raises:
            NotFittedError: before `fit`.
            DataError: as in `fit`.
        """
        _ = self.catalogue
        again = type(self)(self.config).fit(train, run=run, resume=resume)
        again._choose_as(self)
        return again

    def _choose_as(self, other: Self) -> None:
        """Take over what another of the same options has chosen on validation, as weights; nothing by default."""

    def _forget(self) -> None:
        """Drop what was learnt: by custom, what ends in an underscore."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.removed_ = np.zeros(0, bool)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Whatever is asked of a model that has learnt nothing ends here, where its learnt state is missing."""
            if name.endswith("_") and not name.startswith("_") and self.catalogue_ is None:
                raise NotFittedError(self._not_fitted)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def rank(
        self,
        histories: Histories,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        allowed: BoolArray | None = None,
        max_per: Mapping[str, int] | None = None,
        exact: bool = False,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Rankings:
        """The best `k` items of each history, by catalogue rows.

        Args:
            histories: B lists of catalogue rows, oldest first; an empty list is a user nobody knows yet.
            k: items wanted; the lists have min(k, num_items) places, and where fewer items are allowed the rest is -1.
            exclude_seen: never return an item of the history.
            allowed: mask (num_items,) of the items that may be returned, or one for each history, (B, num_items); None:
                all.
            max_per: field of the items to a number: a list holds at most so many items of one value of the field, and
                is else the ranking as it is, gone through from its head. Items without a value are not limited.
            exact: search on until every list is proved to be the model's true top k, however long that takes; False:
                stop trying after some steps.
            batch_size: users ranked at once; None: what the option `ranking_batch` says.
            progress: called with (users done, users in all) after each batch.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: k, batch_size or a limit is no whole number of at least 1, rows or fields that the catalogue
                does not have, a mask of another length or kind, or `exact` and a proof out of reach.
        """
        num_items = len(self.catalogue)
        k = min(as_count(k, "k", "item"), num_items)
        batch_size = self.config.ranking_batch if batch_size is None else batch_size
        batch_size = as_count(batch_size, "batch_size", "user")
        check_rows(histories, num_items)
        if allowed is not None:
            allowed = as_mask(allowed, "allowed", num_items, len(histories))
        if self.removed_.any():
            allowed = ~self.removed_ if allowed is None else allowed & ~self.removed_
        limits = None if max_per is None else Limits.of(max_per, self.catalogue)

        def best(rows: IntArray, k: int) -> Rankings:
            theirs = allowed if allowed is None or allowed.ndim == 1 else allowed[rows]
            asked = histories.take(rows)
            return self._rank(asked, k, exclude_seen=exclude_seen, allowed=theirs, exact=exact)

        # Batches of similar length waste least on padding; the order of the answer is the caller's.
        order = np.argsort(histories.lengths, kind="stable")
        parts = []
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            parts.append(best(rows, k) if limits is None else limits.best(best, rows, k))
            if progress is not None:
                progress(min(start + batch_size, len(order)), len(order))
        if not parts:
            return Rankings(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32), np.zeros(0, bool))
        return Rankings.concat(parts).take(np.argsort(order))

    # -- saving ----------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write the recommender to `folder` (made if needed); `genrec.load` brings it back.

        `recommender.json` is written last, so a folder that has it is whole.

        Raises:
            NotFittedError: before `fit`.
            RunError: the folder holds something else.
        """
        catalogue, folder = self.catalogue, Path(folder)
        if folder.is_file():
            raise RunError(f"{folder} is a file: choose a folder to save to")
        if folder.exists() and any(folder.iterdir()) and not (folder / _ABOUT).exists():
            raise RunError(f"{folder} is not empty and not a saved recommender: choose another folder")
        with all_or_nothing(folder):
            self._write(folder, catalogue)
        return folder

    def _write(self, folder: Path, catalogue: Catalogue) -> None:
        """Fill a folder that is free, or holds another saved recommender."""
        folder.mkdir(parents=True, exist_ok=True)
        remove_sealed(folder / _ABOUT)
        name = "removed"
        while name in catalogue.table.columns:  # a field of the user's
            name += "_"
        table = catalogue.table.with_columns(pl.Series(name, self.removed_))
        write_atomically(folder / "items.parquet", lambda path: table.write_parquet(path))
        if self.trained_catalogue is catalogue:
            (folder / _TRAINED).unlink(missing_ok=True)
        else:
            trained = self.trained_catalogue.table
            write_atomically(folder / _TRAINED, lambda path: trained.write_parquet(path))
        self._as_fitted()._save(folder)
        about = {
            "recommender": self.name,
            "titled": catalogue.titled,
            "config": self.config.model_dump(mode="json"),
        }
        write_sealed(folder / _ABOUT, about, run=None, files=measured(folder, files_below(folder, _ABOUT)))


_REGISTRY: dict[str, type[Recommender]] = {}
_R = TypeVar("_R", bound=type[Recommender])


def register(name: str) -> Callable[[_R], _R]:
    """Make a recommender known under `name`. Decorates its class."""

    def enter(cls: _R) -> _R:
        cls.name = name
        _REGISTRY[name] = cls
        return cls

    return enter


def recommenders() -> dict[str, type[Recommender]]:
    """All recommenders by name: those of every file and every family's folder beside this one, and of plug-ins."""
    for home in _homes().values():
        importlib.import_module(home)
    for name in _plugins():
        _import_plugin(name)
    return dict(sorted(_REGISTRY.items()))


def create(name: str, /, **options: Any) -> Recommender:
    """An unfitted recommender.

    Raises:
        ConfigError: no such recommender, or an option that it does not know.
    """
    return recommender_class(name)(**options)


def recommender_class(name: str) -> type[Recommender]:
    """The class of a recommender.

    Raises:
        ConfigError: no such recommender.
    """
    # A recommender's file or folder goes by its name: the others, and the libraries they need, stay out of it.
    if name not in _REGISTRY:
        home = _homes().get(str(name).replace("-", "_"))
        if home is not None:
            with _no_garbage():
                importlib.import_module(home)
        elif name in _plugins():
            _import_plugin(name)
    if name not in _REGISTRY:
        raise ConfigError(f"there is no recommender {shown(name)}; choose one of {', '.join(recommenders())}")
    return _REGISTRY[name]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Inside it garbage is not looked for: modules stay, and to look through all of them again and again takes a fifth
    of the time of their import."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _homes() -> dict[str, str]:
    """The module that may hold a recommender, by the name of its file or of its family's folder."""
    found = pkgutil.iter_modules(genrec.recommenders.__path__, "genrec.recommenders.")
    return {
        name.rpartition(".")[2]: f"{name}.recommender" if is_folder else name
        for _, name, is_folder in found
        if name != "genrec.recommenders.language"  # what the others share
    }


def _plugins() -> dict[str, str]:
    """Modules of other packages, by the name of the recommender that each of them registers."""
    return {entry.name: entry.module for entry in entry_points(group="genrec.recommenders")}


def _import_plugin(name: str) -> None:
    module = _plugins()[name]
    try:
        importlib.import_module(module)
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise ConfigError(
            f"the package that brings the recommender {shown(name)} cannot be used: importing {module} ended with "
            f"{reason}; update that package or uninstall it"
        ) from error


_ABOUT = "recommender.json"
_ADVICE = "restore it from a copy, or train again"
_TRAINED = "trained.parquet"  # of a recommender whose catalogue was edited: the one it learnt from
_ITEMS = {"item_id": pl.String, "title": pl.String}


class _About(BaseModel):
    """What `recommender.json` holds."""

    recommender: str
    titled: bool
    config: dict[str, Any]


def load(folder: str | Path) -> Recommender:
    """A recommender from a folder that `save` wrote, or from a run folder.

    Its files are compared with the sizes and SHA-256 that were noted when they were saved.

    Raises:
        RunError: the folder is missing, half written, damaged or no recommender, or its model is of another run.
    """
    folder, in_run = Path(folder), False
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}")
    if (folder / "model").is_dir():
        folder, in_run = folder / "model", (folder / "data.json").exists()
    about_path = folder / _ABOUT
    if not about_path.exists():
        raise RunError(
            f"{folder} holds no finished recommender ({about_path} is missing): restore it from a copy, or move "
            f"{folder} away and, in a run, go on with --resume"
        )
    about, seal = read_sealed(about_path, _About, advice=_ADVICE)
    if in_run:
        check_run(about_path, seal, run_of(folder.parent), advice=_ADVICE)
    if seal is not None:
        check_below(about_path, seal, advice=_ADVICE)
    try:
        recommender = create(about.recommender, **about.config)
        intact = seal is not None
        table = read_parquet(folder / "items.parquet", _ITEMS, intact=intact, advice=_ADVICE)
        mask = table.to_series(-1)
        if mask.dtype != pl.Boolean:
            raise ValueError(f"the last column of items.parquet is {mask.dtype}, and says what was removed")
        removed = mask.to_numpy().copy()
        catalogue = recommender.catalogue_ = Catalogue(table.drop(mask.name), about.titled)
        edited = (folder / _TRAINED).exists()
        if edited:  # what was saved is what was learnt
            trained = read_parquet(folder / _TRAINED, _ITEMS, intact=intact, advice=_ADVICE)
            recommender.catalogue_ = Catalogue(trained, about.titled)
        recommender.removed_ = removed[: len(recommender.catalogue)]
        recommender._load(folder)
        if edited:
            recommender = recommender.with_catalogue(catalogue, removed)
    except GenrecError:
        raise
    except Exception as error:
        if seal is not None:  # the files are those that were saved: a fault of ours
            raise
        reason = one_line(f"{type(error).__name__}: {error}")
        raise RunError(f"{folder} is damaged ({reason}): {_ADVICE}") from error
    return recommender
