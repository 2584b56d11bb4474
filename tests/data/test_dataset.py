"""What tells data sets apart whose users, items and order are the same."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pytest
from genrec.data.dataset import Dataset
from genrec.data.read import read

LOG: dict[str, list[Any]] = {
    "user_id": ["ann", "ann", "ann", "bo"],
    "item_id": ["k1", "k2", "k3", "k1"],
    "timestamp": [1_700_000_000, 1_700_000_060, 1_700_000_120, 1_700_000_000],
    "rating": [4.0, 2.5, None, 5.0],
    "text": ["sturdy", "", "it leaks", "good"],
}
ITEMS: dict[str, list[Any]] = {
    "item_id": ["k1", "k2", "k3"],
    "title": ["Kettle", "Ladle", "Whisk"],
    "brand": ["Rill", None, "Ode"],
    "tags": [["steel", "small"], ["wood"], []],
}


def _read(log: dict[str, list[Any]] | None = None, items: dict[str, list[Any]] | None = None) -> Dataset:
    return read(pl.DataFrame({**LOG, **(log or {})}), pl.DataFrame({**ITEMS, **(items or {})}))


@pytest.mark.parametrize(
    ("detail", "log", "items"),
    [
        ("times", {"timestamp": [1_700_000_000, 1_700_000_061, 1_700_000_120, 1_700_000_000]}, {}),
        ("ratings", {"rating": [4.0, 2.5, 1.0, 5.0]}, {}),
        ("texts", {"text": ["sturdy", "it leaks", "", "good"]}, {}),
        ("fields", {}, {"brand": ["Rill", "Ode", None]}),
        ("fields", {}, {"tags": [["steel"], ["small", "wood"], []]}),
    ],
)
def test_a_detail_tells_what_the_fingerprint_leaves_out(
    detail: str, log: dict[str, list[Any]], items: dict[str, list[Any]]
) -> None:
    before, now = _read(), _read(log, items)
    assert now.fingerprint == before.fingerprint
    assert [name for name in before.details if now.details[name] != before.details[name]] == [detail]


def test_details_are_of_the_data_and_not_of_their_form() -> None:
    frame, items = pd.DataFrame(LOG), pl.DataFrame(ITEMS)
    assert read(frame, items).details == _read().details
    assert read(pl.DataFrame(LOG).sample(fraction=1, shuffle=True, seed=3), items).details == _read().details
    assert set(_read().details) == {"times", "ratings", "texts", "fields"}
    assert read(frame.drop(columns=["rating", "text"])).details == {"times": _read().details["times"]}
