"""Options of reading that are of another kind are refused before a file is opened."""

from __future__ import annotations

from typing import Any

import genrec
import numpy as np
import pytest
from genrec.data.read_options import KINDS, check_kinds
from genrec.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layout", 5),
        ("columns", ["user_id"]),
        ("columns", {"user_id": 5}),
        ("columns", {5: "user"}),
        ("item_columns", "item_id=sku"),
        ("ordered", 1),
        ("ordered", None),
        ("untitled", None),
        ("unrated", "no"),
        ("min_rating", "4"),
        ("min_rating", True),
        ("k_core", 1.5),
        ("k_core", True),
        ("min_history", [3]),
    ],
)
def test_another_kind_of_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name}=.*: give "):
        genrec.read("nothing.csv", **{name: value})


def test_a_value_of_any_length_is_told_in_short() -> None:
    with pytest.raises(ConfigError) as told:
        check_kinds({"k_core": "x" * 100_000})
    assert len(str(told.value)) < 200


def test_numbers_of_numpy_and_columns_that_are_left_out_are_fine() -> None:
    check_kinds(
        {"k_core": np.int64(5), "min_rating": np.float32(4), "columns": {"user_id": "u", "rating": None}}
    )
    check_kinds(dict.fromkeys(("layout", "columns", "min_rating", "k_core", "min_history")))


def test_every_option_of_read_has_a_kind() -> None:
    own = set(genrec.read.__annotations__) - {"source", "items", "name", "return"}
    assert own == set(KINDS)
