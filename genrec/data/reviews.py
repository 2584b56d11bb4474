"""Task data: what users said of items, for the questions that ask for more than the next item.

All tasks share one split. What may be learnt of ratings, texts and headlines is the training part's; what is asked
for is that of each user's validation or test interaction. So no pair of user and item that a task is tested on stands
in what another task learns from, which random splits made apart for each task do not give
(P5, Geng et al. 2022, https://arxiv.org/abs/2203.13366).

Shapes: N reviews, B users, I items.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray
from genrec.data.interactions import FloatArray, IntArray, Interactions, Targets
from genrec.data.listing import clean
from genrec.data.split import Split
from genrec.data.streams import stream
from genrec.errors import ConfigError, DataError

FIELDS = ("ratings", "texts", "headlines")
MAX_WORDS = 64  # of an explanation
FEWEST_REVIEWS = 5  # that a word must stand in to be a feature: what one customer wrote once is none
# Words of four letters and more that tell nothing of an item.
_GRAMMAR = """
    about above after again against also although always among another anything around because been before being below
    between both came cannot could didn does doesn doing done down during each either else enough even ever every
    everything exactly from gave getting give given goes going gone have haven having here hers himself however into
    isn itself just keep kept know less like little made make makes making many maybe mine more most much must myself
    need needed needs never next nothing often once only onto other others ours over perhaps quite rather really same
    seem seems several shall should since some someone something sometimes soon still such take taken than that their
    them then there these they thing things think this those though thought through together took toward under until
    upon used uses using very want wanted wants wasn well went were what whatever when where whether which while whole
    whom whose will with within without would wouldn yours yourself
"""
_ANY_ITEM = """
    able amazing awesome awful back best better bought cool decent different disappointed easily easy excellent
    expected fantastic favorite find fine first found glad good great happy hard highly hope impressed item items last
    long look looking love loved loves nice nicely order ordered perfect perfectly please pleased poor pretty product
    products purchase purchased recommend recommended right said says simple super sure terrible time times wonderful
    work worked working works worst worth wrong year years your
"""
_NO_FEATURE = frozenset(f"{_GRAMMAR} {_ANY_ITEM}".split())
_WORD = re.compile(r"[^\W\d_]{4,}")
# Reviews lose their line ends on the way, so a sentence may begin right after the full stop.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[a-z)][.!?])(?=[A-Z])")


@dataclass(frozen=True)
class Reviews:
    """What users said of items, a row each; a review may be a bare rating.

    Shape: users (N,) rows of the interactions' `users`; items (N,) int32 rows of the catalogue; ratings (N,) float32,
    NaN where there is none; texts and headlines (N,) str on one line with HTML entities decoded, null where there is
    none. None: the source has no such thing.
    """

    users: IntArray
    items: IntArray
    ratings: FloatArray | None = None
    texts: pl.Series | None = None
    headlines: pl.Series | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: IntArray) -> Reviews:
        """The reviews at `rows`, in that order."""
        return Reviews(
            self.users[rows],
            self.items[rows],
            None if self.ratings is None else self.ratings[rows],
            None if self.texts is None else self.texts[rows],
            None if self.headlines is None else self.headlines[rows],
        )

    def having(self, *fields: str) -> Reviews:
        """The reviews that have all of `fields`, each one of `FIELDS`.

        Raises:
            ConfigError: there is no such field.
            DataError: the source has none of it, or no review has them all.
        """
        there = np.ones(len(self), bool)
        for field in fields:
            if field not in FIELDS:
                raise ConfigError(f"reviews have the fields {', '.join(FIELDS)}, not {field!r}")
            values = getattr(self, field)
            if values is None:
                raise DataError(f"these data have no {field}: choose data that have, or leave the task out")
            there &= values.is_not_null().to_numpy() if isinstance(values, pl.Series) else ~np.isnan(values)
        if not there.any():
            raise DataError(f"none of {len(self)} reviews has {' and '.join(fields)}: leave the task out")
        return self.take(np.flatnonzero(there))


@dataclass(frozen=True)
class Explanations:
    """One sentence of each review, and the feature of the item that it speaks of.

    Shape: reviews N rows; sentences (N,) str of at most `MAX_WORDS` words; features (N,) one word in lower case, null
    where the review names none.
    """

    reviews: Reviews
    sentences: pl.Series
    features: pl.Series

    def __len__(self) -> int:
        return len(self.reviews)

    def with_feature(self) -> Explanations:
        """The explanations that have a feature."""
        return self._of(self.features.is_not_null().to_numpy())

    def rated(self) -> Explanations:
        """The explanations of reviews that have a rating.

        Raises:
            DataError: none has.
        """
        self.reviews.having("ratings")
        assert self.reviews.ratings is not None
        return self._of(~np.isnan(self.reviews.ratings))

    def _of(self, there: BoolArray) -> Explanations:
        rows = np.flatnonzero(there)
        return Explanations(self.reviews.take(rows), self.sentences[rows], self.features[rows])


def all_reviews(interactions: Interactions) -> Reviews:
    """Every interaction as a review, in their order."""
    return _reviews(interactions, np.arange(interactions.num_interactions))


def training_reviews(split: Split) -> Reviews:
    """What may be learnt of ratings, texts and headlines: the training part's.

    Where a user reviewed an item again and the later review is held out, the earlier one is left out here (see
    `repeated_pairs`): every user stays in the test, and nothing of a tested pair is told.
    """
    return _reviews(split.train, np.flatnonzero(~repeated_pairs(split)))


def held_out_reviews(interactions: Interactions, targets: Targets) -> Reviews:
    """The reviews behind `targets`, row for row.

    Args:
        interactions: all of a data set, as it was split.
        targets: B questions of one of its splits, all of a part or some.
    """
    users = _rows_of(targets, interactions)
    places = interactions.histories.offsets[users] + targets.histories.lengths
    reviews = _reviews(interactions, places)
    assert (reviews.items == targets.items).all(), "targets of other interactions"
    return reviews


def repeated_pairs(split: Split) -> BoolArray:
    """Which training interactions have the user and item of a held-out one; (num_interactions,)."""
    train, num_items = split.train, split.train.num_items
    held_out = [
        _rows_of(targets, train) * num_items + targets.items
        for targets in (split.validation.apart(), split.test.apart())
    ]
    users = np.repeat(np.arange(train.num_users), train.histories.lengths)
    return np.isin(users * num_items + train.histories.items, np.concatenate(held_out))


def copied_texts(reviews: Reviews, training: Reviews) -> BoolArray:
    """Which reviews' texts their own user also wrote, word for word, in a training review; (N,).

    Shops carry one review over to the variants of an item, and some customers paste theirs; what was said of such a
    text in training, its headline for one, is then the answer.

    Raises:
        DataError: the data have no texts.
    """
    if reviews.texts is None or training.texts is None:
        raise DataError("these data have no texts: choose data that have, or leave the task out")
    known = set(zip(training.users.tolist(), training.texts, strict=True))
    own = zip(reviews.users.tolist(), reviews.texts, strict=True)
    return np.array([text is not None and (user, text) in known for user, text in own], bool)


def feature_words(training: Reviews) -> dict[str, int]:
    """Words that can be an item's feature, with the number of training reviews that hold each.

    A feature word has at least four letters, stands in `FEWEST_REVIEWS` reviews, and is neither grammar nor
    what is said of any item. P5 takes features from a sentiment tool instead; this needs the training texts alone.

    Raises:
        DataError: the reviews have no texts.
    """
    texts = training.having("texts").texts
    assert texts is not None
    counts = Counter(word for text in texts for word in set(_words(text)))
    return {word: count for word, count in counts.items() if count >= FEWEST_REVIEWS}


def explanations(reviews: Reviews, features: Mapping[str, int]) -> Explanations:
    """The sentence of each review that explains: the first that names a feature, else the first.

    The feature is the sentence's word with the highest count in `features`, at equal counts the one that comes first.
    Reviews without text are left out.

    Args:
        reviews: of training or held out.
        features: `feature_words` of the training reviews, whichever reviews are explained.

    Raises:
        DataError: the reviews have no texts.
    """
    reviews = reviews.having("texts")
    assert reviews.texts is not None
    found = [_explanation(text, features) for text in reviews.texts]
    return Explanations(
        reviews,
        pl.Series("sentence", [sentence for sentence, _ in found], pl.String),
        pl.Series("feature", [feature for _, feature in found], pl.String),
    )


def fixed_negatives(interactions: Interactions, targets: Targets, num: int = 99, seed: int = 0) -> IntArray:
    """Items to rank a target among; (B, num) int32, different ones in each row.

    Drawn uniformly from the items that the user never took, held-out ones included. A user's draw depends on the user
    and `seed` alone, so it is the same in any sample of the questions.

    Args:
        interactions: all of a data set.
        targets: B questions of one of its splits.

    Raises:
        DataError: a user left fewer than `num` items untaken.
    """
    num_items, users = interactions.num_items, _rows_of(targets, interactions)
    negatives = np.empty((len(users), num), np.int32)
    for row, user in enumerate(users.tolist()):
        taken = np.unique(interactions.histories[user])
        num_free = num_items - len(taken)
        if num_free < num:
            raise DataError(
                f"user {targets.users[row]!r} left {num_free} of {num_items} items untaken, and {num} negatives are "
                "asked for: ask for fewer, or rank the whole catalogue"
            )
        drawn = stream(seed, "negatives of a user", user).choice(num_free, num, replace=False)
        # The n-th untaken item stands behind as many taken ones as have at most n untaken ones before them.
        negatives[row] = drawn + np.searchsorted(taken - np.arange(len(taken)), drawn, side="right")
    return negatives


def _reviews(interactions: Interactions, places: IntArray) -> Reviews:
    """The interactions at flat positions `places` as reviews."""
    histories = interactions.histories

    def words(values: pl.Series | None) -> pl.Series | None:
        return None if values is None else clean(values[places])[0]

    return Reviews(
        np.searchsorted(histories.offsets, places, side="right") - 1,
        histories.items[places],
        None if interactions.ratings is None else interactions.ratings[places],
        words(interactions.texts),
        words(interactions.headlines),
    )


def _rows_of(targets: Targets, interactions: Interactions) -> IntArray:
    """Row of each target's user among the users of `interactions`; (B,) int64."""
    row_of = {user: row for row, user in enumerate(interactions.users)}
    return np.array([row_of[user] for user in targets.users], np.int64)


def _words(text: str) -> list[str]:
    """Words of a text that could be a feature, in lower case and in order."""
    return [word for word in _WORD.findall(text.lower()) if word not in _NO_FEATURE]


def _explanation(text: str, features: Mapping[str, int]) -> tuple[str, str | None]:
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if sentence.strip()]
    for sentence in sentences:
        sentence = " ".join(sentence.split()[:MAX_WORDS])
        named = [word for word in _words(sentence) if word in features]
        if named:
            return sentence, max(named, key=features.__getitem__)
    return " ".join(sentences[0].split()[:MAX_WORDS]), None
