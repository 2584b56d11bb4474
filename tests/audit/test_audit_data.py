"""The audit of data sets: real ones that leak, made ones that do not, and one fault at a time."""

from __future__ import annotations

from dataclasses import replace

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.audit.data import audit_data, numbers_in, quick_findings
from genrec.audit.findings import Finding
from genrec.codes.numbered import random_numbers, sequential_numbers
from genrec.data.catalogue import Catalogue
from genrec.data.dataset import Dataset, ReadReport
from genrec.data.interactions import Histories
from genrec.testing import toys


def of(dataset: Dataset, check: str, where: str | None = None, **options: object) -> Finding:
    """The one finding of a check."""
    (found,) = [
        finding
        for finding in audit_data(dataset, **options).findings
        if finding.check == check and where in (None, finding.where)
    ]
    return found


def numberings(dataset: Dataset) -> dict[str, np.ndarray]:
    num_items = len(dataset.catalogue)
    return {
        "code=sequential": sequential_numbers(dataset.train.histories, num_items),
        "code=random": random_numbers(num_items),
    }


def with_ids(dataset: Dataset, ids: list[str], titles: list[str] | None = None) -> Dataset:
    """The same interactions with other ids, and perhaps titles, of the items."""
    interactions = dataset.interactions
    catalogue = Catalogue.from_lists(ids, titles or dataset.catalogue.titles)
    return replace(dataset, interactions=replace(interactions, catalogue=catalogue))


def first_appearance_ids(histories: Histories, num_items: int) -> list[str]:
    items, first = np.unique(histories.items, return_index=True)
    ids = np.full(num_items, 0)
    ids[items[np.argsort(first)]] = 1 + np.arange(len(items))
    return list(map(str, ids))


@pytest.fixture(scope="module")
def long_tail() -> Dataset:
    """3,000 users with times and four items each, of 4,000: many items come in by a held-out interaction."""
    rng = np.random.default_rng(0)
    lists = [rng.choice(4000, size=4, replace=False) for _ in range(3000)]
    rows, flat = np.unique(np.concatenate(lists), return_inverse=True)
    histories = Histories(flat.astype(np.int32), np.arange(0, 12001, 4))
    items = toys.catalogue([f"thing {row}" for row in rows], [f"x{row * 7}y" for row in rows])
    made = toys.interactions(histories, items, times=rng.integers(0, 10**6, 12000))
    numbered = replace(made, users=pl.Series([str(user) for user in range(3000)]))
    return Dataset("long tail", numbered, ReadReport("made", "made"))


@pytest.mark.parametrize(
    ("name", "by_rule", "popular"),
    [("amazon2014_beauty", 0.0463, 0.0110), ("amazon2014_toys", 0.0667, 0.0090)],
)
def test_the_leak_of_the_amazon_numbers(shared_data, name: str, by_rule: float, popular: float) -> None:
    data = genrec.read(shared_data(name))
    numbers = of(data, "numbers", "item ids", numberings=numberings(data))
    assert (numbers.severity, round(numbers.value, 4)) == ("leak", by_rule)
    assert f"popularity {popular:.4f}" in numbers.what
    assert "titles (code=title)" in numbers.advice
    assert "code=sequential 0.00" in numbers.advice
    assert "code=random 0.00" in numbers.advice
    appearance = of(data, "first appearance")
    assert (appearance.severity, appearance.value) == ("leak", 1.0)
    audit = audit_data(data, numberings=numberings(data))
    assert {finding.where for finding in audit.faults} == {"item ids"}
    for numbering in ("code=sequential", "code=random"):
        safe = of(data, "numbers", numbering, numberings=numberings(data))
        assert safe.severity == "note"
        assert safe.value < popular


@pytest.mark.parametrize("name", ["ml-100k", "ml-latest-small", "amazon2018_gift_cards"])
def test_real_data_without_faults(shared_data, name: str) -> None:
    audit = audit_data(genrec.read(shared_data(name)))
    assert audit.faults == ()
    assert audit.conclusion.startswith(f"nothing found in {name}: checked ")


def test_ids_of_ml_100k_follow_users_but_not_the_test_items(shared_data) -> None:
    found = of(genrec.read(shared_data("ml-100k")), "first appearance")
    assert found.severity == "note"
    assert "rank correlation 0.994" in found.what


def test_the_synthetic_data_are_clean() -> None:
    data = genrec.synthetic()
    audit = audit_data(data, numberings=numberings(data))
    assert audit.faults == ()
    assert audit.to_json()["faults"] == 0


def test_numbers_of_first_appearance_leak_where_training_numbers_do_not(long_tail: Dataset) -> None:
    histories = long_tail.interactions.histories
    leaking = with_ids(long_tail, first_appearance_ids(histories, len(long_tail.catalogue)))
    assert of(leaking, "numbers", "item ids").severity == "leak"
    assert of(leaking, "first appearance").severity == "leak"
    numbers = sequential_numbers(long_tail.train.histories, len(long_tail.catalogue))
    honest = with_ids(long_tail, [f"item_{number}" for number in numbers])
    assert of(honest, "numbers", "item ids").severity == "note"
    assert of(honest, "first appearance").severity == "note"
    assert of(honest, "first appearance").value < 0.1
    assert audit_data(honest).faults == ()


def test_gaps_and_another_order_of_users_hide_nothing(long_tail: Dataset) -> None:
    ids = first_appearance_ids(long_tail.interactions.histories, len(long_tail.catalogue))
    spread = with_ids(long_tail, [f"i{13 * int(number)}" for number in ids])
    order = np.random.default_rng(1).permutation(spread.interactions.num_users)
    interactions = spread.interactions
    shuffled = replace(
        interactions,
        users=interactions.users.gather(order),
        histories=interactions.histories.take(order),
        times=None,
    )
    assert of(replace(spread, interactions=shuffled), "numbers", "item ids").severity == "leak"
    assert of(replace(spread, interactions=shuffled), "first appearance").severity == "leak"


def test_numbers_by_time_of_release_are_a_warning_and_no_leak(long_tail: Dataset) -> None:
    """Everybody takes one of the next eight items: numbers say much, but not which one."""
    rng = np.random.default_rng(2)
    lists = [rng.integers(0, 3000) + np.cumsum(rng.integers(1, 9, size=4)) for _ in range(3000)]
    histories = Histories.from_lists(lists)
    num_items = int(histories.items.max()) + 1
    items = toys.catalogue(["x"] * num_items, [str(item) for item in range(num_items)])
    found = of(replace(long_tail, interactions=toys.interactions(histories, items)), "numbers", "item ids")
    assert found.severity == "warning"
    assert "follow the order in which items are taken" in found.what


def test_rows_that_stand_by_title_are_no_leak_and_others_are_judged(long_tail: Dataset) -> None:
    histories = long_tail.interactions.histories
    rows = np.argsort(np.array(first_appearance_ids(histories, len(long_tail.catalogue)), dtype=int))
    new_row = np.argsort(rows)
    by_appearance = replace(
        long_tail.interactions,
        catalogue=Catalogue(long_tail.catalogue.table[rows.tolist()]),
        histories=Histories(new_row[histories.items].astype(np.int32), histories.offsets),
    )
    assert of(replace(long_tail, interactions=by_appearance), "numbers", "catalogue order").severity == "leak"
    by_title = by_appearance.catalogue.table.with_columns(
        title=pl.Series([f"{row:05d}" for row in range(len(rows))])
    )
    sorted_titles = replace(by_appearance, catalogue=Catalogue(by_title))
    found = of(replace(long_tail, interactions=sorted_titles), "numbers", "catalogue order")
    assert found.severity == "note"
    assert "stand by title" in found.what


def test_untitled_items_with_leaking_ids_get_other_advice(long_tail: Dataset) -> None:
    ids = first_appearance_ids(long_tail.interactions.histories, len(long_tail.catalogue))
    untitled = with_ids(long_tail, ids, titles=ids)
    bare = replace(
        untitled,
        interactions=replace(untitled.interactions, catalogue=Catalogue(untitled.catalogue.table, False)),
    )
    assert "code=title writes the ids" in of(bare, "numbers", "item ids").advice
    (found,) = quick_findings(bare.split(), {"code": "title"})
    assert (found.severity, found.where) == ("leak", "titles")
    assert quick_findings(bare.split(), {"code": "sequential"}) == []
    assert quick_findings(long_tail.split(), {"code": "title"}) == []
    assert quick_findings(long_tail.split(), {}) == []


def test_codes_that_are_known_to_leak_are_told_before_training(long_tail: Dataset) -> None:
    (found,) = quick_findings(long_tail.split(), {"code": "original", "seed": 1})
    assert (found.severity, found.check, found.where) == ("leak", "leaky code", "codes")


def test_targets_that_were_taken_before(long_tail: Dataset) -> None:
    histories = long_tail.interactions.histories
    assert not [f for f in audit_data(long_tail).findings if f.check == "repeated targets"]
    for every, severity in ((10, "warning"), (500, "note")):
        items = histories.items.copy()
        items[3 :: 4 * every] = items[0 :: 4 * every]  # the fourth item of a user is the first again
        again = replace(
            long_tail,
            interactions=replace(long_tail.interactions, histories=Histories(items, histories.offsets)),
        )
        found = of(again, "repeated targets")
        assert (found.severity, found.value) == (severity, pytest.approx(1 / every))
        assert len(quick_findings(again.split(), {"code": "title"})) == (severity == "warning")
        assert of(again, "repeats").value == pytest.approx(1 / every / 4)


def test_time_travel_is_counted_where_there_are_times() -> None:
    data = genrec.synthetic(300)
    found = of(data, "time travel")
    times, lengths = data.interactions.times, data.interactions.histories.lengths
    last = data.interactions.histories.offsets[1:] - 1
    by_hand = np.mean([(data.train.times > times[row]).mean() for row in last])
    assert lengths.min() >= 3
    assert (found.severity, found.value) == ("note", pytest.approx(by_hand))
    temporal = of(data, "time travel", protocol="temporal")
    assert (temporal.severity, temporal.value) == ("note", 0.0)
    ordered = replace(data, interactions=replace(data.interactions, times=None))
    assert "cannot be counted" in of(ordered, "time travel").what


def test_targets_of_the_time_before_are_counted_where_there_are_no_orders() -> None:
    histories, times = [[1, 2, 3], [4, 5, 6], [7, 8, 9, 1], [2, 3]], [1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 8, 8]
    interactions = toys.interactions(histories, 12, times=np.array(times))
    data = Dataset("toys", interactions, ReadReport("frame", "toys"))
    found = of(data, "same time")
    assert (found.severity, found.value) == ("note", pytest.approx(2 / 3))
    assert "--orders time" in found.advice
    orders = np.array([1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 8, 8])
    ordered = replace(data, interactions=replace(interactions, orders=orders))
    assert not [one for one in audit_data(ordered).findings if one.check == "same time"]


def test_unseen_items_and_repeated_titles(long_tail: Dataset) -> None:
    trained = set(long_tail.train.histories.items.tolist())
    by_hand = np.mean([item not in trained for item in long_tail.test.items.tolist()])
    assert of(long_tail, "unseen items").value == pytest.approx(by_hand)
    assert by_hand > 0.05
    assert of(genrec.synthetic(50), "repeated titles").what.startswith("3 of 400 ")


def test_names_that_are_numbers() -> None:
    assert numbers_in(["17", "3"]).tolist() == [17, 3]
    assert numbers_in(["item_17", "item_3"]).tolist() == [17, 3]
    for names in (["17", "b3"], ["B00X", "B00Y"], ["1", "01"], ["Ocean's 11", "Heat"], ["9" * 40, "1"], []):
        assert numbers_in(names) is None
