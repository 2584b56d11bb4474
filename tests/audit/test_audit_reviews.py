"""Reviews of pairs that are reviewed again, and texts that their user copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from genrec.audit import reviews as audit_reviews
from genrec.audit.data import audit_data
from genrec.audit.reviews import review_findings
from genrec.data.read import read

ROWS = [
    ("u", "a", 1, 5, "first"),
    ("u", "b", 2, 4, "second"),
    ("u", "c", 3, 3, "third"),
    ("u", "a", 4, 2, "second"),
    ("v", "b", 1, 1, "mine"),
    ("v", "c", 2, 2, "other"),
    ("v", "a", 3, 3, "second"),
]


def test_repeats_and_copies_are_counted() -> None:
    data = read(pl.DataFrame(ROWS, schema=["user", "item", "time", "rating", "text"], orient="row"))
    pairs, copies = review_findings(data.interactions, data.split())
    assert pairs.severity == "note"
    assert pairs.value == 0
    assert "0 of 2 test pairs" in pairs.what
    assert "1 having been left out" in pairs.what
    assert copies.value == 0.5  # u wrote 'second' before; v did not
    assert copies in audit_data(data).findings


def test_a_shared_pair_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    data = read(pl.DataFrame(ROWS, schema=["user", "item", "time", "rating", "text"], orient="row"))
    monkeypatch.setattr(
        audit_reviews,
        "training_reviews",
        lambda split: audit_reviews.held_out_reviews(data.interactions, split.test),
    )
    assert review_findings(data.interactions, data.split())[0].severity == "leak"


def test_bare_interactions_have_no_reviews() -> None:
    frame = pl.DataFrame(ROWS, schema=["user", "item", "time", "rating", "text"], orient="row")
    data = read(frame.drop("rating", "text"))
    assert review_findings(data.interactions, data.split()) == []
    rated = read(frame.drop("text"))
    assert len(review_findings(rated.interactions, rated.split())) == 1


def test_gift_cards_are_full_of_copies(shared_data: Callable[[str], Path]) -> None:
    data = read(shared_data("amazon2018_gift_cards"))
    _, copies = review_findings(data.interactions, data.split())
    assert 0.25 < copies.value < 0.35
