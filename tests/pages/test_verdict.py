"""The verdict says no more than the test does."""

from __future__ import annotations

import pytest
from genrec.evaluation.significance import Verdict
from genrec.pages.verdict import listed, sentence, told, verdict_list

BETTER = Verdict(0.02, 0.01, 0.03, 0.0001)
WORSE = Verdict(-0.02, -0.03, -0.01, 0.01)
UNSURE = Verdict(0.002, -0.001, 0.005, 0.2)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (BETTER, "better than"),
        (WORSE, "worse than"),
        (UNSURE, "not told apart from"),
        (Verdict(0.02, 0.01, 0.03, 0.051), "not told apart from"),
        (Verdict(0.02, 0.0, 0.03, 0.01), "not told apart from"),
    ],
)
def test_a_difference_needs_the_p_value_and_the_interval(verdict: Verdict, words: str) -> None:
    assert verdict.words == words


def test_the_sentence_has_what_is_better_first() -> None:
    found = {"a": UNSURE, "b": BETTER, "c": WORSE, "d": BETTER}
    assert sentence("own", found) == (
        "By the paired test on NDCG@10, own is better than b and d, worse than c, and not told apart from a."
    )
    assert sentence("own", {"b": BETTER}) == "By the paired test on NDCG@10, own is better than b."
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_the_numbers_stand_beside_the_words() -> None:
    assert told(WORSE) == "NDCG@10 -0.0200, 95% interval -0.0300 to -0.0100, p = 0.010"
    page = verdict_list("own", {"a": BETTER}, 1234)
    assert "the same 1,234 users" in page
    assert "Holm" not in page
    assert "Holm) for 6 pairs" in verdict_list("own", {"a": BETTER, "b": WORSE}, 9, 6)


def test_names_are_escaped() -> None:
    attack = "<script>"
    assert attack not in verdict_list(attack, {attack: BETTER}, 10)
