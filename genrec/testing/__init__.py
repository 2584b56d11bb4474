"""For tests of recommenders, here and in other packages: invented data, and what every recommender promises.

>>> from genrec.testing import ring
>>> from genrec.testing.contract import RecommenderContract

`contract` needs pytest; the data does not.
"""

import sys

from genrec.testing.toys import (
    GOOD,
    POOR,
    TINY,
    TITLES,
    catalogue,
    interactions,
    next_of,
    reviewed,
    ring,
    targets,
    walks,
)

__all__ = [
    "GOOD",
    "POOR",
    "TINY",
    "TITLES",
    "catalogue",
    "interactions",
    "next_of",
    "reviewed",
    "ring",
    "targets",
    "walks",
]

if "pytest" in sys.modules:  # a failed assertion shows its values there, as in a test's own file
    sys.modules["pytest"].register_assert_rewrite("genrec.testing.contract")
