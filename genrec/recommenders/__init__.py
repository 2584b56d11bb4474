"""One file per recommender, and what they share in `base`.

The package can be called: `genrec.recommenders()` gives each recommender's class by name, with its `pipeline`
and `paper`. Package and list share their name, so importing the one must not hide the other.
"""

import sys
from types import ModuleType
from typing import Any


class _Listing(ModuleType):
    def __call__(self) -> dict[str, Any]:
        from genrec.recommenders.base import recommenders

        return dict(recommenders())


sys.modules[__name__].__class__ = _Listing
