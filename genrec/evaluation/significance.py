"""How far chance alone could carry a mean over users, and a difference between recommenders.

Shapes: G recommenders, S seeds of one of them, B users, M metrics, N resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genrec.data.interactions import FloatArray, IntArray
from genrec.data.streams import stream
from genrec.errors import ConfigError

LEVEL = 0.95  # of the intervals; a p-value below 1 - LEVEL is called significant
_BLOCK = 2**22  # numbers of a block of resamples that are held at once


@dataclass(frozen=True)
class Comparison:
    """Mean difference on the same users, its 95% interval, and the p-value of there being none."""

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    values_B: FloatArray, *, level: float = LEVEL, samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean over users (Efron 1979, https://doi.org/10.1214/aos/1176344552).

    A metric with one target takes few distinct values, so a resample is one draw from a multinomial over those
    values: the same distribution at a fraction of the cost.

    Args:
        values_B: a metric of each user; (B,), B at least 1.
        level: share of resamples that the interval holds.
        samples: number of resamples.
        seed: of the resampling.
    """
    distinct, counts = np.unique(np.asarray(values_B, dtype=np.float64), return_counts=True)
    num_users = int(counts.sum())
    drawn = stream(seed, "bootstrap of users").multinomial(num_users, counts / num_users, size=samples)
    low, high = np.quantile(drawn @ distinct / num_users, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(values_B: FloatArray, other_B: FloatArray, *, samples: int = 10_000, seed: int = 0) -> Comparison:
    """Paired comparison of one metric of two recommenders on the same users in the same order.

    The interval is a paired bootstrap. The p-value, at least 1 / (samples + 1), comes from a two-sided
    permutation test: were the two alike, each user's difference would be as likely with the other sign
    (Smucker et al. 2007, https://doi.org/10.1145/1321440.1321528).

    Raises:
        ConfigError: the two have not the same number of users.
    """
    values_B, other_B = np.asarray(values_B, dtype=np.float64), np.asarray(other_B, dtype=np.float64)
    if values_B.shape != other_B.shape:
        raise ConfigError(
            f"{len(values_B)} users cannot be compared with {len(other_B)} pair by pair: "
            "evaluate both recommenders on the same users"
        )
    differences_B = values_B - other_B
    sizes, counts = np.unique(np.abs(differences_B), return_counts=True)
    positive = stream(seed, "signs of the differences of two").binomial(
        counts, 0.5, size=(samples, len(counts))
    )
    permuted = np.abs((2 * positive - counts) @ sizes)
    as_large = int((permuted >= abs(differences_B.sum()) - 1e-9).sum())
    low, high = bootstrap_interval(differences_B, seed=seed)
    return Comparison(float(differences_B.mean()), low, high, (as_large + 1) / (samples + 1))


@dataclass(frozen=True)
class Verdict:
    """What the paired test says of one recommender beside another: `compare`, the p-value corrected by Holm."""

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether there is a difference: the p-value is below 0.05 and the interval leaves out 0."""
        return (self.low > 0 or self.high < 0) and self.p_value < 1 - LEVEL

    @property
    def words(self) -> str:
        """The verdict before the other's name."""
        if not self.holds:
            return "not told apart from"
        return "better than" if self.difference > 0 else "worse than"


def verdicts(own_B: FloatArray, others: Mapping[str, FloatArray]) -> dict[str, Verdict]:
    """One recommender beside others, with p-values that hold for all of these comparisons together.

    Args:
        own_B: a metric of each user.
        others: name to the same metric of the same users in the same order.

    Raises:
        ConfigError: not the same number of users everywhere.
    """
    found = {name: compare(own_B, other_B) for name, other_B in others.items()}
    corrected = holm(np.array([one.p_value for one in found.values()]))
    return {
        name: Verdict(one.difference, one.low, one.high, float(p_value))
        for (name, one), p_value in zip(found.items(), corrected, strict=True)
    }


@dataclass(frozen=True)
class Comparisons:
    """All recommenders against one another, on every metric. Entry [g, h] of a matrix is g minus h.

    Shapes: means_GM; low_GM, high_GM its 95% interval; difference_GGM with its interval low_GGM, high_GGM;
    p_GGM and p_holm_GGM, 1 on the diagonal. The intervals hold for one number each, `p_holm_GGM` for all pairs
    of a metric together.
    """

    means_GM: FloatArray
    low_GM: FloatArray
    high_GM: FloatArray
    difference_GGM: FloatArray
    low_GGM: FloatArray
    high_GGM: FloatArray
    p_GGM: FloatArray
    p_holm_GGM: FloatArray

    def significant(self, first: int, second: int, metric: int) -> bool:
        """Whether a difference holds: the corrected p-value is below 0.05 and the interval leaves out 0.

        The p-value speaks of the models as they were trained, the interval also of training them again.
        """
        return self.verdict(first, second, metric).holds

    def verdict(self, first: int, second: int, metric: int) -> Verdict:
        """What the test says of the first beside the second."""
        at = (first, second, metric)
        found = (self.difference_GGM, self.low_GGM, self.high_GGM, self.p_holm_GGM)
        return Verdict(*(float(matrix_GGM[at]) for matrix_GGM in found))


def compare_all(
    values: Sequence[FloatArray], *, samples: int = 2000, permutations: int = 10_000, seed: int = 0
) -> Comparisons:
    """Compare G recommenders pair by pair on the same users.

    Intervals are those of `resampled_means`. The p-value of a pair, at least 1 / (permutations + 1), is that of
    `compare` on each user's mean over seeds; all pairs share the random signs. `p_holm_GGM` corrects each metric
    for its G (G - 1) / 2 pairs.

    Args:
        values: one array (S, B, M) for each recommender; S may differ, B and M not.
        samples: resamples behind an interval.
        permutations: random signs behind a p-value.
        seed: of both.

    Raises:
        ConfigError: not the same number of users everywhere.
    """
    drawn_NGM = resampled_means(values, samples=samples, seed=seed)
    user_GBM = np.stack([values_SBM.mean(axis=0) for values_SBM in values])
    means_GM = user_GBM.mean(axis=1)
    first, second = np.triu_indices(len(values), 1)
    spread_NPM = drawn_NGM[:, first] - drawn_NGM[:, second]
    p_PM = _permutation_p_values(user_GBM, first, second, permutations, seed)
    holm_PM = np.stack([holm(p_P) for p_P in p_PM.T], axis=1)

    def matrix(pairs_PM: FloatArray, mirrored_PM: FloatArray, diagonal: float) -> FloatArray:
        matrix_GGM = np.full((len(values), *means_GM.shape), diagonal)
        matrix_GGM[first, second], matrix_GGM[second, first] = pairs_PM, mirrored_PM
        return matrix_GGM

    low_PM, high_PM = interval(spread_NPM)
    low_GM, high_GM = interval(drawn_NGM)
    return Comparisons(
        means_GM,
        low_GM,
        high_GM,
        means_GM[:, None] - means_GM[None],
        matrix(low_PM, -high_PM, 0.0),
        matrix(high_PM, -low_PM, 0.0),
        matrix(p_PM, p_PM, 1.0),
        matrix(holm_PM, holm_PM, 1.0),
    )


def resampled_means(values: Sequence[FloatArray], *, samples: int = 2000, seed: int = 0) -> FloatArray:
    """Means of G recommenders had other users asked and other seeds been drawn; (N, G, M).

    Users and seeds are crossed, so each is resampled on its own (the pigeonhole bootstrap, Owen 2007,
    https://doi.org/10.1214/07-AOAS122): a resample takes B users with replacement, the same for all recommenders,
    and S - 1 of a recommender's S seeds with replacement. One seed less than there are makes the variance right
    where seeds are few (Rao & Wu 1988, https://doi.org/10.1080/01621459.1988.10478591); drawing all S would make
    it too small by the factor (S - 1) / S. With one seed the luck of training is unknown and left out.

    Args:
        values: one array (S, B, M) for each recommender; S may differ, B and M not.
        samples: number of resamples.
        seed: of the resampling.

    Raises:
        ConfigError: not the same number of users everywhere.
    """
    shapes = {values_SBM.shape[1:] for values_SBM in values}
    if len(shapes) != 1:
        counts = " and ".join(str(shape[0]) for shape in sorted(shapes))
        raise ConfigError(
            f"recommenders with {counts} users cannot be compared: evaluate all on the same users"
        )
    num_users, num_metrics = shapes.pop()
    generator = stream(seed, "bootstrap of users and seeds")
    runs_RBM = np.concatenate(values)
    flat_BC = runs_RBM.transpose(1, 0, 2).reshape(num_users, -1)
    sums_NC = np.empty((samples, flat_BC.shape[1]))
    for rows in _blocks(samples, num_users):
        counts_nB = [
            np.bincount(generator.integers(num_users, size=num_users), minlength=num_users)
            for _ in range(rows.stop - rows.start)
        ]
        sums_NC[rows] = np.asarray(counts_nB, dtype=np.float64) @ flat_BC
    runs_NRM = sums_NC.reshape(samples, len(runs_RBM), num_metrics) / num_users
    drawn_NGM, start = np.empty((samples, len(values), num_metrics)), 0
    for place, num_seeds in enumerate(len(values_SBM) for values_SBM in values):
        num_drawn = max(num_seeds - 1, 1)
        times_NS = generator.multinomial(num_drawn, np.full(num_seeds, 1 / num_seeds), size=samples)
        own_NSM = runs_NRM[:, start : start + num_seeds]
        drawn_NGM[:, place] = np.einsum("ns,nsm->nm", times_NS / num_drawn, own_NSM)
        start += num_seeds
    return drawn_NGM


def interval(drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of the 95% percentile interval along the first axis."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def holm(p_values_P: FloatArray) -> FloatArray:
    """P-values corrected for being P at once; (P,), in the same order.

    Below 0.05, they keep the chance of even one false alarm among all P below 0.05, however the tests depend on
    one another. Holm 1979, https://www.jstor.org/stable/4615733
    """
    order = np.argsort(p_values_P)
    corrected_P = np.empty(len(order))
    stepped_P = np.maximum.accumulate(p_values_P[order] * np.arange(len(order), 0, -1))
    corrected_P[order] = np.minimum(stepped_P, 1.0)
    return corrected_P


def _permutation_p_values(
    user_GBM: FloatArray, first: IntArray, second: IntArray, permutations: int, seed: int
) -> FloatArray:
    """Two-sided p-values of the pairs (first, second); (P, M). See `compare`."""
    telling_B = (user_GBM != user_GBM[:1]).any(axis=(0, 2))  # elsewhere a sign changes no difference
    user_GBM = user_GBM[:, telling_B]
    num_groups, num_users, num_metrics = user_GBM.shape
    flat_BC = user_GBM.transpose(1, 0, 2).reshape(num_users, num_groups * num_metrics)
    total_C = flat_BC.sum(axis=0)

    def sizes(sums_nC: FloatArray) -> FloatArray:
        sums_nGM = sums_nC.reshape(-1, num_groups, num_metrics)
        return np.abs(sums_nGM[:, first] - sums_nGM[:, second])

    observed_PM = sizes(total_C[None])[0]
    as_large_PM = np.zeros(observed_PM.shape, dtype=np.int64)
    generator = stream(seed, "signs of the differences of all pairs")
    for rows in _blocks(permutations, num_users):
        num_rows, num_bytes = rows.stop - rows.start, -(-num_users // 8)
        bits = np.frombuffer(generator.bytes(num_rows * num_bytes), dtype=np.uint8)
        kept_nB = np.unpackbits(bits.reshape(num_rows, num_bytes), axis=1, count=num_users)
        signed_nC = 2 * (kept_nB.astype(np.float64) @ flat_BC) - total_C
        as_large_PM += (sizes(signed_nC) >= observed_PM - 1e-9).sum(axis=0)
    return (as_large_PM + 1) / (permutations + 1)


def _blocks(count: int, width: int) -> Iterator[slice]:
    """Cuts `count` rows of `width` numbers into blocks that fit into memory."""
    size = max(_BLOCK // max(width, 1), 1)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
