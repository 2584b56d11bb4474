"""Numbers are written one way, wherever people read them."""

from __future__ import annotations

import pytest
from genrec.evaluation import numbers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.metric(0.12344), "0.1234"),
        (numbers.metric(1), "1.0000"),
        (numbers.metric(-1e-9), "0.0000"),
        (numbers.signed(0.0123), "+0.0123"),
        (numbers.signed(-0.5), "-0.5000"),
        (numbers.signed(-1e-9), "+0.0000"),
        (numbers.interval(0.1, 0.25), "0.1000 to 0.2500"),
        (numbers.signed_interval(-0.1, 0.25), "-0.1000 to +0.2500"),
        (numbers.share(0.74), "74.0%"),
        (numbers.share(0.7449, 0), "74%"),
        (numbers.share(-1e-9, 2), "0.00%"),
        (numbers.probability(0.123), "12.3%"),
        (numbers.probability(0.0009), "< 0.1%"),
        (numbers.count(1234567), "1,234,567"),
        (numbers.p_value(0.0123), "p = 0.012"),
        (numbers.p_value(1.0), "p = 1.000"),
        (numbers.p_value(0.0001), "p < 0.001"),
        (numbers.duration(0.0451), "45 ms"),
        (numbers.duration(2.34), "2.34 s"),
        (numbers.duration(720), "12 min"),
        (numbers.duration(5400), "1.5 h"),
    ],
)
def test_a_number_is_written(written: str, expected: str) -> None:
    assert written == expected
