"""Every registered recommender keeps the contract; its tests are in `genrec.testing.contract`."""

from __future__ import annotations

from genrec.recommenders.base import recommenders
from genrec.testing.contract import RecommenderContract


class TestContract(RecommenderContract):
    recommenders = tuple(recommenders().values())
    weighing = ("palr",)  # test_palr.py has what it shows
