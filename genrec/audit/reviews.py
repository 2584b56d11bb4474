"""What reviews tell about those that are held out: pairs reviewed again, and texts copied word for word."""

from __future__ import annotations

from genrec.audit.findings import Finding
from genrec.data.interactions import Interactions
from genrec.data.reviews import copied_texts, held_out_reviews, repeated_pairs, training_reviews
from genrec.data.split import Split
from genrec.evaluation import numbers


def review_findings(interactions: Interactions, split: Split) -> list[Finding]:
    """Whether what ratings, headlines and explanations are learnt from holds what they are tested on.

    Args:
        interactions: all of a data set; nothing is found where they have neither ratings nor texts.
        split: one of its splits.
    """
    if interactions.ratings is None and interactions.texts is None:
        return []
    training, test = training_reviews(split), held_out_reviews(interactions, split.test)
    num_items = interactions.num_items
    tested = set((test.users * num_items + test.items).tolist())
    num_shared = len(tested.intersection((training.users * num_items + training.items).tolist()))
    num_left_out = int(repeated_pairs(split).sum())
    what = (
        f"{num_shared:,} of {len(test):,} test pairs of user and item are in the {len(training):,} training reviews, "
        f"{num_left_out:,} having been left out there as reviewed again"
    )
    findings = [Finding("leak" if num_shared else "note", "reviewed pairs", "reviews", what, num_shared)]
    if test.texts is None:
        return findings
    share = float(copied_texts(test, training).mean())
    what = (
        f"{numbers.share(share, 2)} of the test texts were written by their user in a training review too, word for "
        "word"
    )
    advice = "tasks of texts are measured without them" if share else ""
    return [*findings, Finding("note", "copied texts", "reviews", what, share, advice)]
