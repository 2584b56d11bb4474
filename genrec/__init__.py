"""genrec: recommending with language models, by writing the next item's name.

>>> import genrec
>>> data = genrec.read("ml-latest-small/")
>>> model = genrec.create("genrec").fit(data.train, validation=data.validation)
>>> model.recommend([["Toy Story (1995)", "Heat (1995)"]], k=10)

The names below are imported when they are first used, so that `import genrec` and `genrec --help` stay fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genrec import errors as errors

if TYPE_CHECKING:
    from genrec import recommenders as recommenders
    from genrec.data.catalogue import Catalogue as Catalogue
    from genrec.data.dataset import Dataset as Dataset
    from genrec.data.read import read as read
    from genrec.data.synthetic import synthetic as synthetic
    from genrec.evaluation.protocol import evaluate as evaluate
    from genrec.recommenders.base import Recommender as Recommender
    from genrec.recommenders.base import create as create
    from genrec.recommenders.base import load as load
    from genrec.runs.compare import Comparison as Comparison
    from genrec.runs.compare import compare as compare
    from genrec.runs.run import Run as Run
    from genrec.runs.run import open_run as open_run
    from genrec.runs.train import train as train

__version__ = "0.1.0"

_HOME = {
    "Catalogue": "genrec.data.catalogue",
    "Comparison": "genrec.runs.compare",
    "Dataset": "genrec.data.dataset",
    "Recommender": "genrec.recommenders.base",
    "Run": "genrec.runs.run",
    "compare": "genrec.runs.compare",
    "create": "genrec.recommenders.base",
    "evaluate": "genrec.evaluation.protocol",
    "load": "genrec.recommenders.base",
    "open_run": "genrec.runs.run",
    "read": "genrec.data.read",
    "synthetic": "genrec.data.synthetic",
    "train": "genrec.runs.train",
}

__all__ = ["errors", "recommenders", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "recommenders":  # the package of that name, which can be called
        return import_module("genrec.recommenders")
    if name not in _HOME:
        raise AttributeError(f"module 'genrec' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
