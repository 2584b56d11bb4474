"""The verdict of the paired test in words: better than, worse than, or not told apart from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from genrec.evaluation import numbers
from genrec.evaluation.significance import Verdict

METRIC = "NDCG@10"  # that verdicts are about


def sentence(own: str, verdicts: Mapping[str, Verdict]) -> str:
    """The verdict in one sentence, as plain text.

    Args:
        own: name of the recommender that is judged.
        verdicts: name of another to what the test says of `own` beside it; at least one.
    """
    parts = []
    for words in ("better than", "worse than", "not told apart from"):
        names = [name for name, one in verdicts.items() if one.words == words]
        parts += [f"{words} {listed(names)}"] if names else []
    return f"By the paired test on {METRIC}, {own} is {listed(parts, ', and ')}."


def verdict_list(
    own: str, verdicts: Mapping[str, Verdict], num_users: int, num_pairs: int | None = None
) -> str:
    """The sentence, each verdict with its numbers, and what the test is.

    Args:
        own: name of the recommender that is judged.
        verdicts: as in `sentence`.
        num_users: that were asked.
        num_pairs: that the p-values are corrected for; None: those of the verdicts.
    """
    num_pairs = num_pairs or len(verdicts)
    rows = "".join(
        f"<li><b>{one.words}</b> {escape(name)}: {told(one)}</li>" for name, one in verdicts.items()
    )
    pairs = f", corrected (Holm) for {num_pairs} pairs" if num_pairs > 1 else ""
    test = (
        f"Each difference is the mean over the same {numbers.count(num_users)} users. Were two recommenders alike, "
        "every user's difference would be as likely the other way round; p is the share of 10,000 such exchanges that "
        f"make one as large{pairs}. Not told apart: p is 0.05 or more, or the interval holds 0, so that chance could "
        "make it."
    )
    return (
        f'<p class="verdict">{escape(sentence(own, verdicts))}</p><ul class="notes">{rows}</ul>'
        f'<p class="soft">{test}</p>'
    )


def told(verdict: Verdict) -> str:
    """A verdict's numbers."""
    interval = numbers.signed_interval(verdict.low, verdict.high)
    p_value = numbers.named_p_value(verdict.p_value)
    return escape(
        f"{METRIC} {numbers.signed(verdict.difference)}, 95% interval {interval}, {p_value}", quote=False
    )


def listed(words: Sequence[str], last: str = " and ") -> str:
    """Words of a sentence one after another: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}{last}{words[-1]}"
