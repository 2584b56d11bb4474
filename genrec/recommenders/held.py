"""Recommenders that others hold as a part: a retriever, the experts of a prior."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrec.data.interactions import Interactions, Targets
from genrec.recommenders.base import Recommender, create, load, recommender_class


def fitted_part(
    name: str,
    options: Mapping[str, Any],
    usual: Mapping[str, Any],
    train_data: Interactions,
    validation: Targets | None,
    home: Path | None,
    resume: bool,
) -> Recommender:
    """The recommender that was fitted in the run `name`, or one of that name, fitted now.

    Args:
        name: of a recommender, or the folder of a run.
        options: for a recommender that is fitted now.
        usual: options that it gets as well, where it has them.
        train_data, validation, resume: as in `Recommender.fit`.
        home: the folder that it is fitted in; None: a temporary one.
    """
    if Path(name).is_dir():
        return load(name)
    config = recommender_class(name).Config
    known = config.names()
    ours = config.merged({key: value for key, value in usual.items() if key in known}, options)
    return create(name, **ours).fit(
        train_data, validation, run=home, resume=resume and home is not None and home.exists()
    )
