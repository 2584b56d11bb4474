"""Every registered recommender keeps the contract; its tests are in `genrec.testing.contract`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from genrec.recommenders.base import Recommender, create, recommenders
from genrec.recommenders.genrec import GenRec
from genrec.recommenders.palr.recommender import Palr
from genrec.recommenders.recsysllm.recommender import RecSysLLM
from genrec.testing import next_of
from genrec.testing.contract import RecommenderContract, _ring


class TestContract(RecommenderContract):
    recommenders = tuple(recommenders().values())
    weighing = ("palr",)  # test_palr.py has what it shows


READS_ITEMS: dict[str, Any] = {
    "backbone": "items",
    "width": 32,
    "dropout": 0.1,
    "vocab_size": 400,
    "epochs": 40,
    "min_steps": 0,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "bf16": False,
}
BSAREC = {"width": 16, "depth": 1, "epochs": 12, "learning_rate": 1e-2, "evaluations": 1, "bf16": False}


class ReadsItems(GenRec):
    """`genrec` that reads items and writes alone."""

    tiny = READS_ITEMS | {"prior": ()}


class WritesWithPrior(GenRec):
    """`genrec` that reads items and writes with two recommenders, of three scores."""

    tiny = READS_ITEMS | {
        "encoder": "bsarec",
        "prior": ("bsarec", "transitions"),
        "prior_options": {"bsarec": BSAREC, "transitions": {"text": "tfidf"}},
    }


class NextItemsWithPrior(RecSysLLM):
    """`recsysllm` that reads items and writes with two recommenders."""

    tiny = WritesWithPrior.tiny


class RanksByItems(Palr):
    """`palr` that reads items, with the candidates of a prior."""

    tiny = READS_ITEMS | {
        "retriever_options": {"prior": ["bsarec", "transitions"], "prior_options": {"bsarec": BSAREC}},
    }


@cache
def weighed(cls: type[Recommender]) -> Recommender:
    return create(cls.name, **cls.tiny).fit(_ring(), next_of(_ring()))


class TestReadingItems(RecommenderContract):
    """Fitted with validation, so that all scores of a prior have their weights."""

    recommenders = (ReadsItems, WritesWithPrior, NextItemsWithPrior, RanksByItems)
    weighing = ("palr",)

    @pytest.fixture
    def fitted(self, cls: type[Recommender]) -> Recommender:
        return weighed(cls)

    def test_it_is_written_with_what_was_asked_for(self, cls: type[Recommender], fitted: Any) -> None:
        if cls is ReadsItems:
            assert fitted.experts_ is None
        elif cls is RanksByItems:
            assert list(fitted.retriever_.experts_.weights) == ["bsarec", "transitions"]
        else:
            assert list(fitted.experts_.weights) == ["bsarec", "transitions", "text"]
            assert sum(weight > 0 for weight in fitted.experts_.weights.values()) > 1
