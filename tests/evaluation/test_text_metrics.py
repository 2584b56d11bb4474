"""Errors of ratings, and BLEU and ROUGE against values worked out by hand."""

from __future__ import annotations

import sys
from math import exp, sqrt

import numpy as np
import pytest
from genrec.errors import BackendMissingError, DataError
from genrec.evaluation.text_metrics import bleu, rating_metrics, rouge, text_metrics

WRITTEN = ["the cat sat on the mat", "A fine day."]
REFERENCES = ["the cat lay on the mat", "a fine day."]


def test_errors_of_ratings() -> None:
    metrics = rating_metrics(np.array([1.0, 4.5, 3.0]), np.array([2, 4, 3], np.float32))
    assert metrics == {"RMSE": pytest.approx(sqrt(1.25 / 3)), "MAE": pytest.approx(0.5)}


def test_bleu_by_hand() -> None:
    # 9 of 10 words ('.' is one), 6 of 8 pairs, 3 of 6 triples, 1 of 4 runs of four; lengths are equal.
    assert bleu(WRITTEN, REFERENCES, 2) == pytest.approx(100 * sqrt(9 / 10 * 6 / 8))
    assert bleu(WRITTEN, REFERENCES, 4) == pytest.approx(100 * (9 / 10 * 6 / 8 * 3 / 6 * 1 / 4) ** 0.25)
    assert bleu(["a fine day to go"], ["a fine day to go out"], 2) == pytest.approx(100 * exp(1 - 6 / 5))
    assert bleu(["", ""], REFERENCES) == 0


def test_rouge_by_hand() -> None:
    assert rouge(WRITTEN, REFERENCES) == {
        "ROUGE-1": pytest.approx(100 * (5 / 6 + 1) / 2),
        "ROUGE-2": pytest.approx(100 * (3 / 5 + 1) / 2),
        "ROUGE-L": pytest.approx(100 * (5 / 6 + 1) / 2),
    }
    # Precision 1/3 and recall 1/1.
    assert rouge(["good card here"], ["Card"])["ROUGE-1"] == pytest.approx(50)


def test_all_text_metrics() -> None:
    metrics = text_metrics(REFERENCES, REFERENCES)
    assert list(metrics) == ["BLEU-2", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L"]
    assert all(value == pytest.approx(100) for value in metrics.values())


def test_answers_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="1 answers to 2 questions"):
        bleu(["a"], REFERENCES)
    with pytest.raises(DataError, match="0 answers to 0 questions"):
        rouge([], [])
    with pytest.raises(DataError, match="2 answers to 1 questions"):
        rating_metrics(np.ones(2), np.ones(1))
    with pytest.raises(DataError, match="1 of 2 predicted ratings are no numbers"):
        rating_metrics(np.array([np.nan, 1]), np.ones(2))


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(
        BackendMissingError, match=r"tasks of texts need sacrebleu: pip install 'genrec\[text\]'"
    ):
        bleu(WRITTEN, REFERENCES)
    with pytest.raises(BackendMissingError, match="need rouge-score"):
        rouge(WRITTEN, REFERENCES)
