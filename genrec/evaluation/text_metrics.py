"""Metrics of predicted ratings and of written sentences.

BLEU and ROUGE are in percent, as P5 and the explanation literature print them; they come from sacrebleu
(https://github.com/mjpost/sacrebleu) and rouge-score (https://pypi.org/project/rouge-score/), so that they are the
numbers that others get. Capitals do not count.

Shapes: N answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray
from genrec.errors import BackendMissingError, DataError


def rating_metrics(predicted_N: FloatArray, ratings_N: FloatArray) -> dict[str, float]:
    """`RMSE` and `MAE` of predicted ratings, in units of the rating.

    Raises:
        DataError: nothing was predicted, or something that is no number.
    """
    _check_answers(len(predicted_N), len(ratings_N))
    if not np.isfinite(predicted_N).all():
        num_bad = int((~np.isfinite(predicted_N)).sum())
        raise DataError(
            f"{num_bad} of {len(predicted_N)} predicted ratings are no numbers: predict a rating for each"
        )
    errors_N = np.asarray(predicted_N, np.float64) - np.asarray(ratings_N, np.float64)
    return {"RMSE": float(np.sqrt((errors_N**2).mean())), "MAE": float(np.abs(errors_N).mean())}


def text_metrics(written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """`BLEU-2`, `BLEU-4`, `ROUGE-1`, `ROUGE-2` and `ROUGE-L` in percent.

    See `bleu` and `rouge`; the arguments are theirs.
    """
    return {
        "BLEU-2": bleu(written, references, 2),
        "BLEU-4": bleu(written, references, 4),
        **rouge(written, references),
    }


def bleu(written: Sequence[str], references: Sequence[str], order: int = 4) -> float:
    """Corpus BLEU of n-grams up to `order`, in percent: Papineni et al. 2002, https://aclanthology.org/P02-1040/

    sacrebleu's signature is `nrefs:1|case:lc|eff:no|tok:13a|smooth:exp`. N-grams are counted over all answers
    together, and answers that are shorter than their references in sum are punished.

    Args:
        written: N answers; an empty one counts as such.
        references: the text that each answer should be.

    Raises:
        DataError: no answers, or another number of references.
        BackendMissingError: sacrebleu is not installed.
    """
    _check_answers(len(written), len(references))
    metric = library("sacrebleu.metrics").BLEU(lowercase=True, max_ngram_order=order, force=True)
    return float(metric.corpus_score(list(written), [list(references)]).score)


def rouge(written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """F1 of shared words, word pairs and the longest common subsequence, in percent, averaged over answers.

    Lin 2004, https://aclanthology.org/W04-1013/, without stemming. rouge-score knows words of a-z and 0-9 only, so
    texts in other scripts score 0.

    Args:
        written: N answers.
        references: the text that each answer should be.

    Raises:
        DataError: no answers, or another number of references.
        BackendMissingError: rouge-score is not installed.
    """
    _check_answers(len(written), len(references))
    names = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
    scorer = library("rouge_score.rouge_scorer").RougeScorer(list(names), use_stemmer=False)
    scores = [scorer.score(reference, text) for text, reference in zip(written, references, strict=True)]
    return {
        ours: 100 * float(np.mean([score[theirs].fmeasure for score in scores]))
        for theirs, ours in names.items()
    }


def _check_answers(num_answers: int, num_asked: int) -> None:
    if not num_answers or num_answers != num_asked:
        raise DataError(
            f"{num_answers} answers to {num_asked} questions: give one answer to each, and at least one"
        )


def library(module: str) -> Any:
    """A library of the extra `text`, imported when it is needed.

    Raises:
        BackendMissingError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        name = module.split(".")[0].replace("_", "-")
        raise BackendMissingError(f"tasks of texts need {name}: pip install 'genrec[text]'") from None
