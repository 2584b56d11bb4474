"""The audit of measurements, lists and questions: nothing on honest ones, one line for each fault put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import genrec
import numpy as np
import pytest
from genrec.audit.run import (
    list_findings,
    measured_findings,
    name_findings,
    question_findings,
    rule_findings,
)
from genrec.data.interactions import Histories
from genrec.data.split import leave_one_out
from genrec.evaluation.protocol import Evaluation, evaluate
from genrec.testing import catalogue, interactions


@pytest.fixture(scope="module")
def data() -> genrec.Dataset:
    return genrec.synthetic(400)


@pytest.fixture(scope="module")
def results(data: genrec.Dataset) -> dict[str, Evaluation]:
    model = genrec.create("itemknn").fit(data.train)
    return {"test": evaluate(model.rank, data.test), "validation": evaluate(model.rank, data.validation)}


@pytest.fixture
def metrics(results: dict[str, Evaluation]) -> dict[str, Any]:
    return results["test"].to_json()


def checks(findings: list[Any]) -> set[str]:
    return {finding.check for finding in findings if finding.severity != "note"}


def test_honest_numbers_pass(data, results, metrics) -> None:
    assert measured_findings("test", metrics, data.train, data.test) == []
    assert rule_findings("test", metrics, data.train, data.test) == []
    assert name_findings({name: result.to_json() for name, result in results.items()}) == []
    assert list_findings("test", results["test"].rankings, metrics, data.test) == []


@pytest.mark.parametrize("rate", ["invalid_rate", "duplicate_rate", "seen_rate"])
def test_rates_above_zero(data, metrics, rate: str) -> None:
    (found,) = measured_findings("test", {**metrics, rate: 0.03}, data.train, data.test)
    assert (found.severity, found.check, found.value) == ("warning", rate, 0.03)
    assert found.what.startswith("3.00% of the returned entries")


def test_lists_without_a_proof_are_a_note(data, metrics) -> None:
    (found,) = measured_findings("test", {**metrics, "exact_rate": 0.9}, data.train, data.test)
    assert (found.severity, found.value) == ("note", pytest.approx(0.1))


def scaled(metrics: dict[str, Any], factor: float) -> dict[str, Any]:
    return {
        name: value * factor if name.startswith(("HR", "NDCG")) else value for name, value in metrics.items()
    }


def test_below_popularity_and_too_good(data, metrics) -> None:
    popular = evaluate(genrec.create("popular").fit(data.train).rank, data.test).to_json()
    assert measured_findings("test", popular, data.train, data.test) == []  # it is not below itself
    found = measured_findings("test", scaled(popular, 0.9), data.train, data.test)
    assert checks(found) == {"below popularity"}
    assert f"{popular['HR@10']:.4f}" in found[0].what
    # With every item's follower drawn anew, counts of neighbours find little, and the same lists look too good.
    rng = np.random.default_rng(0)
    items = data.train.histories.items.copy()
    shuffled = replace(data.train, histories=Histories(rng.permutation(items), data.train.histories.offsets))
    assert checks(measured_findings("test", metrics, shuffled, data.test)) == {"too good"}


def test_numbers_that_arithmetic_forbids(data, metrics) -> None:
    found = measured_findings("test", {**metrics, "NDCG@10": metrics["HR@10"]}, data.train, data.test)
    assert checks(found) == {"impossible cell"}


def test_numbers_of_other_users(data, metrics) -> None:
    found = measured_findings("test", metrics, data.train, data.test.sample(50))
    assert checks(found) == {"users"}


def test_a_rule_on_leaking_ids_above_the_model(data, metrics) -> None:
    """Every user goes up by one from a place of their own: the ids alone find the answer, and the model fails."""
    rng = np.random.default_rng(0)
    lists = [start + np.arange(4) for start in rng.integers(0, 390, size=200).tolist()]
    items = catalogue(["x"] * 400, [str(row) for row in range(400)])
    parts = leave_one_out(interactions(lists, items))
    (found,) = rule_findings("test", {"HR@10": 0.25}, parts.train, parts.test)
    assert (found.check, found.value) == ("below the rule", 0.25 - 1)
    assert rule_findings("test", {"HR@10": 1.0}, parts.train, parts.test) == []
    assert rule_findings("test", {"HR@5": 0.0}, parts.train, parts.test) == []
    # Where popularity finds more than the rule, the ids give nothing away.
    assert rule_findings("test", scaled(metrics, 0.0), data.train, data.test) == []


def test_validation_numbers_under_the_name_of_test(results) -> None:
    test, validation = results["test"].to_json(), results["validation"].to_json()
    found = name_findings({"validation": validation, "test": validation})
    assert checks(found) == {"validation as test"}
    wrong_split = {**test, "provenance": {"split": "validation"}}
    assert checks(name_findings({"test": wrong_split})) == {"validation as test"}
    empty = {name: 0.0 for name in test if name.startswith(("HR", "NDCG", "MRR"))}
    assert name_findings({"validation": empty, "test": empty}) == []  # finding nothing twice proves nothing


def test_several_openings_of_the_test_part_are_a_note(metrics) -> None:
    (found,) = name_findings({"test": metrics, "test-exact": metrics})
    assert (found.severity, found.value) == ("note", 2)


def test_lists_that_do_not_give_the_numbers(data, results, metrics) -> None:
    rankings = results["test"].rankings
    worse = replace(rankings, items_BK=np.roll(rankings.items_BK, 1, axis=0))
    found = list_findings("test", worse, metrics, data.test)
    assert any("in metrics.json, and the lists give" in finding.what for finding in found)


def test_lists_made_for_validation(data, results) -> None:
    result = results["validation"]
    found = list_findings("test", result.rankings, results["test"].to_json(), data.test)
    (held,) = [finding for finding in found if "hold the last item" in finding.what]
    assert held.value == pytest.approx(float((result.ranks_B > 0).mean()), abs=0.01)


def test_answers_inside_the_questions(data) -> None:
    histories = data.test.histories
    assert question_findings(histories, [], data.test) == []
    told = [
        [*history, target] if row < 40 else history
        for row, (history, target) in enumerate(zip(histories, data.test.items, strict=True))
    ]
    (found,) = question_findings(Histories.from_lists(told), [], data.test)
    assert (found.severity, found.value) == ("leak", pytest.approx(0.1))


def test_answers_inside_the_words_of_a_prompt(data) -> None:
    title = data.catalogue.titles[int(data.test.items[0])]
    (found,) = question_findings(
        data.test.histories, ["Somebody saw", f"After {title.upper()}, what?"], data.test
    )
    assert found.severity == "leak"
    assert repr(title) in found.what
    assert question_findings(data.test.histories, ["Somebody saw", "What comes next?"], data.test) == []
