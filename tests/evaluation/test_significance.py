"""Intervals and p-values against theory and against plain resampling."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from genrec.errors import ConfigError
from genrec.evaluation import significance
from genrec.evaluation.significance import (
    bootstrap_interval,
    compare,
    compare_all,
    holm,
    interval,
    resampled_means,
    verdicts,
)
from hypothesis import given
from hypothesis import strategies as st


def test_interval_of_a_share_is_the_binomial_one() -> None:
    hits = np.repeat([1.0, 0.0], [200, 800])
    low, high = bootstrap_interval(hits, samples=20_000)
    half = 1.96 * np.sqrt(0.2 * 0.8 / 1000)
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half), abs=2e-3)


def test_interval_agrees_with_resampling_users_one_by_one() -> None:
    values = np.random.default_rng(1).exponential(size=80)
    drawn = np.random.default_rng(2).choice(values, (20_000, 80)).mean(axis=1)
    expected = np.quantile(drawn, [0.05, 0.95])
    assert bootstrap_interval(values, level=0.9, samples=20_000) == pytest.approx(tuple(expected), rel=0.02)


def test_interval_is_seeded_and_of_one_user_is_a_point() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)


def test_no_difference_is_not_significant() -> None:
    values = np.random.default_rng(0).random(40)
    same = compare(values, values)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_p_value_is_the_sign_test_of_equal_differences() -> None:
    """Eight users, all better by one: of the 256 ways to set signs, two are as extreme."""
    found = compare(np.ones(8), np.zeros(8), samples=50_000)
    assert found.difference == 1
    assert found.p_value == pytest.approx(2 / 256, rel=0.15)


def test_p_value_is_uniform_where_there_is_no_effect() -> None:
    generator = np.random.default_rng(0)
    p_values = [compare(*generator.random((2, 30)), samples=400, seed=seed).p_value for seed in range(300)]
    assert np.mean(np.array(p_values) < 0.2) == pytest.approx(0.2, abs=0.07)


def test_pairing_finds_a_small_steady_gain() -> None:
    generator = np.random.default_rng(0)
    base = generator.random(500)
    gain = base + 0.01 + 0.02 * generator.standard_normal(500)
    found = compare(gain, base)
    assert 0 < found.low < found.difference < found.high < 0.02
    assert found.p_value < 0.001
    assert compare(base, gain).difference == pytest.approx(-found.difference)


def test_other_users_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="10 users cannot be compared with 9"):
        compare(np.ones(10), np.ones(9))


def runs(seeds: int, users: int = 400, gain: float = 0.0, luck: float = 0.0, draw: int = 0) -> np.ndarray:
    """Values (S, B, 1): users differ, seeds shift everybody by their luck."""
    generator = np.random.default_rng(draw)
    users_B = np.random.default_rng(99).random(users)
    noise_SB = 0.1 * generator.standard_normal((seeds, users))
    shift_S1 = luck * generator.standard_normal((seeds, 1))
    return (users_B + gain + shift_S1 + noise_SB)[:, :, None]


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 is as large as the one before, 0.2 x 1."""
    found = holm(np.array([0.02, 0.2, 0.01, 0.03]))
    assert found == pytest.approx([0.06, 0.2, 0.04, 0.06])
    assert holm(np.array([0.4, 0.9])) == pytest.approx([0.8, 0.9])
    assert holm(np.array([0.6, 0.7, 0.8])) == pytest.approx([1, 1, 1])
    assert holm(np.array([0.03])) == pytest.approx([0.03])
    assert holm(np.empty(0)).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values: list[float]) -> None:
    """A null hypothesis falls when Bonferroni's test rejects every intersection that it is part of."""
    places = range(len(p_values))
    subsets = [some for size in range(1, len(p_values) + 1) for some in combinations(places, size)]
    expected = [
        max(min(1.0, len(some) * min(p_values[at] for at in some)) for some in subsets if place in some)
        for place in places
    ]
    assert holm(np.array(p_values)) == pytest.approx(expected)


def test_all_pairs_agree_with_each_pair_by_itself() -> None:
    generator = np.random.default_rng(5)
    values = [generator.integers(0, 4, (1, 300, 2)).astype(float) + 0.1 * place for place in range(3)]
    found = compare_all(values)
    for metric in range(2):
        for first, second in ((0, 1), (2, 0), (1, 2)):
            pair = compare(values[first][0, :, metric], values[second][0, :, metric])
            at = (first, second, metric)
            assert found.difference_GGM[at] == pytest.approx(pair.difference)
            assert (found.low_GGM[at], found.high_GGM[at]) == pytest.approx((pair.low, pair.high), abs=0.03)
            assert found.p_GGM[at] == pytest.approx(pair.p_value, abs=0.02)
        corrected = holm(found.p_GGM[[0, 0, 1], [1, 2, 2], metric])
        assert found.p_holm_GGM[[0, 0, 1], [1, 2, 2], metric] == pytest.approx(corrected)
        assert found.means_GM[:, metric] == pytest.approx([one[0, :, metric].mean() for one in values])


def test_matrices_are_mirrored() -> None:
    found = compare_all([runs(1), runs(3, gain=0.02, draw=1), runs(2, gain=0.5, draw=2)])
    for name in ("p_GGM", "p_holm_GGM"):
        matrix_GG = getattr(found, name)[:, :, 0]
        assert np.array_equal(matrix_GG, matrix_GG.T)
        assert np.all(np.diag(matrix_GG) == 1)
    assert np.array_equal(found.low_GGM, -found.high_GGM.transpose(1, 0, 2))
    assert np.array_equal(found.difference_GGM, -found.difference_GGM.transpose(1, 0, 2))
    assert found.significant(2, 0, 0)
    assert found.significant(0, 2, 0)
    assert not found.significant(1, 1, 0)


def test_p_value_of_all_pairs_is_the_sign_test_too() -> None:
    """Ten users; the other way round and as it is, of 1024 ways to set the signs; more users who agree add none."""
    better = np.concatenate([np.ones(10), np.zeros(1000)])[None, :, None]
    found = compare_all([better, np.zeros_like(better)], permutations=50_000)
    assert found.p_GGM[0, 1, 0] == pytest.approx(2 / 1024, rel=0.3)
    assert compare_all([better, better]).p_GGM[0, 1, 0] == 1


def test_variance_over_seeds_is_that_of_their_mean() -> None:
    """With users who agree, what is left is the seeds' variance of the mean, s² / S, also for few seeds."""
    for seeds_S in ([1.0, 3.0], [1.0, 2.0, 6.0], [0.0, 1.0, 2.0, 3.0, 9.0]):
        values = np.repeat(np.array(seeds_S)[:, None, None], 20, axis=1)
        drawn = resampled_means([values], samples=40_000)[:, 0, 0]
        assert drawn.mean() == pytest.approx(np.mean(seeds_S), rel=0.02)
        assert drawn.var() == pytest.approx(np.var(seeds_S, ddof=1) / len(seeds_S), rel=0.03)


def test_luck_of_the_seeds_widens_the_interval_and_takes_back_significance() -> None:
    better, steady = runs(3, gain=0.2, draw=3), runs(3, draw=4)
    luck_S11 = np.array([-0.4, 0.0, 0.4])[:, None, None]
    found, calm = compare_all([better + luck_S11, steady]), compare_all([better, steady])
    assert np.ptp([found.low_GGM[0, 1, 0], found.high_GGM[0, 1, 0]]) > 5 * np.ptp(
        [calm.low_GGM[0, 1, 0], calm.high_GGM[0, 1, 0]]
    )
    assert found.p_holm_GGM[0, 1, 0] < 0.001  # these very models differ,
    assert found.low_GGM[0, 1, 0] < 0  # others trained the same way might not
    assert not found.significant(0, 1, 0)
    assert calm.significant(0, 1, 0)


def test_interval_over_users_and_seeds_covers_the_truth() -> None:
    """Of 95% intervals with five seeds nearly that many hold the true gain; without the seeds' luck far fewer."""
    held = alone = 0
    for draw in range(150):
        values = runs(5, users=60, gain=0.3, luck=0.1, draw=draw) - runs(1, users=60, draw=1000 + draw)
        low, high = interval(resampled_means([values], samples=400, seed=draw)[:, 0, 0])
        held += bool(low <= 0.3 <= high)
        low, high = bootstrap_interval(values.mean(axis=0)[:, 0], samples=400, seed=draw)
        alone += bool(low <= 0.3 <= high)
    assert held / 150 > 0.8
    assert alone / 150 < 0.6


def test_blocks_hold_little_and_cover_all(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [runs(2, users=50), runs(1, users=50, gain=0.02, draw=1)]
    whole = compare_all(values, samples=100, permutations=500)
    monkeypatch.setattr(significance, "_BLOCK", 50 * 7)
    parts = compare_all(values, samples=100, permutations=500)
    assert np.array_equal(parts.low_GGM, whole.low_GGM)
    assert parts.p_GGM[0, 1, 0] == pytest.approx(whole.p_GGM[0, 1, 0], abs=0.06)


def test_all_need_the_same_users() -> None:
    with pytest.raises(ConfigError, match="with 9 and 10 users cannot be compared: evaluate all"):
        compare_all([np.ones((1, 10, 1)), np.ones((2, 9, 1))])


def test_verdicts_are_those_of_the_pairs_corrected_together() -> None:
    generator = np.random.default_rng(0)
    own = generator.random(300)
    others = {
        "worse": own - 0.05 + 0.1 * generator.standard_normal(300),
        "better": own + 0.2,
        "alike": own + 0.1 * generator.standard_normal(300),
    }
    found = verdicts(own, others)
    assert [one.words for one in found.values()] == ["better than", "worse than", "not told apart from"]
    single = [compare(own, other) for other in others.values()]
    assert [one.p_value for one in found.values()] == holm(np.array([one.p_value for one in single])).tolist()
    assert [(one.difference, one.low, one.high) for one in found.values()] == [
        (one.difference, one.low, one.high) for one in single
    ]
