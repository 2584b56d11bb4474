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
    from genrec import testing as testing
    from genrec.data.catalogue import Catalogue as Catalogue
    from genrec.data.dataset import Dataset as Dataset
    from genrec.data.interactions import Histories as Histories
    from genrec.data.interactions import Interactions as Interactions
    from genrec.data.interactions import Targets as Targets
    from genrec.data.ranking import Rankings as Rankings
    from genrec.data.read import read as read
    from genrec.data.synthetic import synthetic as synthetic
    from genrec.evaluation.protocol import evaluate as evaluate
    from genrec.recommenders.base import Recommender as Recommender
    from genrec.recommenders.base import create as create
    from genrec.recommenders.base import load as load
    from genrec.recommenders.base import register as register
    from genrec.recommenders.options import Config as Config
    from genrec.runs.compare import Comparison as Comparison
    from genrec.runs.compare import compare as compare
    from genrec.runs.run import Run as Run
    from genrec.runs.run import open_run as open_run
    from genrec.runs.train import train as train

__version__ = "0.1.0"

_HOME = {
    "Catalogue": "genrec.data.catalogue",
    "Comparison": "genrec.runs.compare",
    "Config": "genrec.recommenders.options",
    "Dataset": "genrec.data.dataset",
    "Histories": "genrec.data.interactions",
    "Interactions": "genrec.data.interactions",
    "Rankings": "genrec.data.ranking",
    "Recommender": "genrec.recommenders.base",
    "Run": "genrec.runs.run",
    "Targets": "genrec.data.interactions",
    "compare": "genrec.runs.compare",
    "create": "genrec.recommenders.base",
    "evaluate": "genrec.evaluation.protocol",
    "load": "genrec.recommenders.base",
    "open_run": "genrec.runs.run",
    "read": "genrec.data.read",
    "register": "genrec.recommenders.base",
    "synthetic": "genrec.data.synthetic",
    "train": "genrec.runs.train",
}

__all__ = ["errors", "recommenders", "testing", *_HOME]


def __getattr__(name: str) -> Any:
    if name in ("recommenders", "testing"):  # packages; the first can be called
        return import_module(f"genrec.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'genrec' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
