"""Intervals and p-values against theory and against plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.errors import ConfigError
from genrec.evaluation.significance import bootstrap_interval, compare


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
