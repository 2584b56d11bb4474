"""Recommenders that others hold as a part: a retriever, the experts of a prior."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Interactions, Targets
from genrec.errors import ConfigError, shown
from genrec.recommenders.base import Recommender, create, load, recommender_class
from genrec.recommenders.start import Start


def part(
    name: str, options: Mapping[str, Any], usual: Mapping[str, Any], catalogue: Catalogue
) -> Recommender:
    """The recommender of that name, not fitted yet, or the one that was fitted in the run `name`.

    A folder that is called as a recommender is not meant by its name, but by its path: `./bsarec`.

    Args:
        name: of a recommender, or the folder of a run.
        options: for a recommender that is not fitted yet.
        usual: options that it gets as well, where it has them.
        catalogue: the items that are to be recommended.

    Raises:
        ConfigError: there is no such recommender or option, or the run is of other items or given options.
    """
    try:
        config = recommender_class(name).Config
    except ConfigError:
        if not Path(name).is_dir():
            raise
        if options:
            raise ConfigError(f"the run {shown(name)} is fitted already: leave its options out") from None
        return _of_these_items(load(name), name, catalogue)
    known = config.names()
    ours = {key: value for key, value in usual.items() if key in known}
    return create(name, **config.merged(ours, options))


def usual_options(config: Any) -> dict[str, Any]:
    """What a part takes from the recommender that holds it; `config`: with `seed`, `threads` and `ranking_batch`."""
    return {name: getattr(config, name) for name in ("seed", "threads", "ranking_batch")}


def fitted(
    model: Recommender,
    train_data: Interactions,
    validation: Targets | None,
    home: Path | None,
    resume: bool,
    start: Start | None = None,
) -> Recommender:
    """A part, fitted now if it is not yet.

    Args:
        model: what `part` gave.
        train_data, validation, resume: as in `Recommender.fit`.
        start: where it starts, if it can from there.
        home: the folder that it is fitted in; None: a temporary one.
    """
    if model.catalogue_ is not None:
        return model
    if type(model)._check_start is Recommender._check_start:  # what counts is fast
        start = None
    resume = resume and home is not None and home.exists()
    return model.fit(train_data, validation, run=home, resume=resume, start=start)


def _of_these_items(model: Recommender, name: str, catalogue: Catalogue) -> Recommender:
    if model.catalogue.ids != catalogue.ids:
        raise ConfigError(
            f"the run {shown(name)} knows {len(model.catalogue):,} items, which are not the {len(catalogue):,} of this "
            f"data: take a run of the same data and filters, or the recommender {model.name}, which is fitted now"
        )
    return model
