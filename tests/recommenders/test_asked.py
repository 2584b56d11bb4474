"""Whatever is handed to a recommender is taken for what it is, or refused in words: never for something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import genrec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.interactions import Histories
from genrec.errors import ConfigError, DataError, GenrecError, UnknownItemError
from genrec.recommenders.asked import as_mask
from genrec.recommenders.base import Recommender

SHELVES = {"n1": "Kettle", "n2": "None", "n3": "True", "n4": "Ladle", "n5": "7.0", "104": "Whisk"}


def _dataset(ids: list[str]) -> Dataset:
    rows = [(f"u{user}", ids[(user + step) % len(ids)], step) for user in range(5) for step in range(4)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame(
        {"item_id": ids, "title": [SHELVES.get(one, f"Pan {one}") for one in ids], "heavy": [True] * len(ids)}
    )
    return genrec.read(log, items)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return _dataset(list(SHELVES))


@pytest.fixture(scope="module")
def model(shop: Dataset) -> Recommender:
    return genrec.create("itemknn").fit(shop.train, shop.validation)


def _ids(rankings: list[Any]) -> list[list[str]]:
    return [[item.item_id for item in ranking.items] for ranking in rankings]


@pytest.mark.parametrize(
    "histories",
    [
        (history for history in [["n1", "n4"], ["104"]]),
        [(name for name in ["n1", "n4"]), iter([104])],
        pd.Series([["n1", "n4"], [104]], index=[5, 9]),
        [pl.Series(["n1", "n4"]), np.array([104])],
    ],
    ids=["generator", "generators", "pandas", "arrays"],
)
def test_every_kind_of_list_is_a_history(model: Recommender, histories: Any) -> None:
    assert _ids(model.recommend(histories, 3)) == _ids(model.recommend([["n1", "n4"], ["104"]], 3))


@pytest.mark.parametrize(
    "histories",
    [None, 7, ["n1", "n4"], [104, 104], {"anna": ["n1"]}, [{"n1", "n4"}], [{"n1": 2}], [None], [b"hi"]],
)
def test_what_is_no_list_of_lists_is_refused(model: Recommender, histories: Any) -> None:
    with pytest.raises(ConfigError, match="list"):
        model.recommend(histories)


@pytest.mark.parametrize("name", [None, True, 7.0, float("nan"), b"n1"])
def test_what_is_no_name_is_not_taken_for_the_title_that_it_prints_as(model: Recommender, name: Any) -> None:
    with pytest.raises(UnknownItemError, match="is no name of an item"):
        model.recommend([[name]])


@pytest.mark.parametrize(
    "values", [[0, 1, 0, 1, 1, 0], np.zeros(6), np.ones(6, np.int8), ["n1", 3], {True}, 3]
)
def test_a_mask_holds_truth_values_alone(model: Recommender, values: Any) -> None:
    with pytest.raises(ConfigError, match="a mask holds a truth value for each of the 6 items"):
        model.recommend([["n1"]], only=values)
    with pytest.raises(ConfigError, match="a mask holds"):
        model.rank(Histories.from_lists([[0]]), allowed=values)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pl.Series])
def test_a_mask_may_be_any_list_of_truth_values(kind: Callable[[list[bool]], Any]) -> None:
    given = kind([True, False, True])
    mask = as_mask(given, "only", 3)
    assert mask.tolist() == [True, False, True]
    mask[:] = False
    assert list(given) == [True, False, True]  # a copy


def test_fields_are_asked_for_one_text_or_number(model: Recommender) -> None:
    assert len(model.recommend([[]], 10, only={"heavy": True})[0].items) == 6  # type: ignore[dict-item]
    assert len(model.recommend([[]], 10, only=["heavy=true"])[0].items) == 6
    assert len(model.recommend([[]], 10, only={"heavy": ["true", "false"]})[0].items) == 6
    for condition in (["heavy"], "n1"):
        with pytest.raises(ConfigError, match="no two sides"):
            model.recommend([[]], only=condition)
    for value in ([["true"]], None):
        with pytest.raises(ConfigError, match="give one text or number"):
            model.recommend([[]], only={"heavy": value})  # type: ignore[dict-item]


@pytest.mark.parametrize("rows", [[0, 6], [-1], [2**31 - 1]])
def test_rows_outside_the_catalogue_are_refused(model: Recommender, rows: list[int]) -> None:
    with pytest.raises(ConfigError, match="rows 0 to 5"):
        model.rank(Histories.from_lists([rows]))


def test_lists_are_no_histories_of_rows(model: Recommender) -> None:
    with pytest.raises(ConfigError, match="list holds no histories"):
        model.rank([[0, 1]])  # type: ignore[arg-type]


def test_only_interactions_are_learnt_from(shop: Dataset) -> None:
    for thing in (shop, shop.test, shop.catalogue.table, None):
        with pytest.raises(DataError, match=r"give data\.train"):
            genrec.create("popular").fit(thing)  # type: ignore[arg-type]


def test_the_validation_asks_about_the_same_items(shop: Dataset) -> None:
    other = _dataset(["p1", "p2", "p3"])
    with pytest.raises(DataError, match="about 3 items and the training about 6 others"):
        genrec.create("popular").fit(shop.train, other.validation)
    with pytest.raises(DataError, match="Interactions holds no questions"):
        genrec.create("popular").fit(shop.train, shop.train)  # type: ignore[arg-type]
    assert _dataset(list(SHELVES)).validation.catalogue is not shop.train.catalogue
    genrec.create("popular").fit(shop.train, _dataset(list(SHELVES)).validation)


def test_a_refused_fit_leaves_what_was_learnt(shop: Dataset) -> None:
    model = genrec.create("popular").fit(shop.train)
    with pytest.raises(DataError):
        model.fit(shop)  # type: ignore[arg-type]
    assert len(model.recommend([[]], 3)[0].items) == 3


@pytest.mark.parametrize("name", [None, 3, ""])
def test_a_recommender_goes_by_its_name(name: Any) -> None:
    with pytest.raises(GenrecError, match="there is no recommender"):
        genrec.create(name)
