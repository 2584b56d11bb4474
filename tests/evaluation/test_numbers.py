"""Numbers are written one way, wherever people read them."""

from __future__ import annotations

import re
from pathlib import Path

import genrec
import pytest
from genrec.evaluation import numbers

PACKAGE = Path(genrec.__file__).parent
# A metric or a share that is written by hand in place of by `numbers`, and percent signs set off.
BY_HAND = re.compile(r":\+?\.4f\}|\.\d%\}|\d %")


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
        (numbers.probability(0.1234), "12.34%"),
        (numbers.probability(0.00009), "< 0.01%"),
        (numbers.quality({"HR@10": 0.5, "NDCG@10": 0.25}), "HR@10 0.5000, NDCG@10 0.2500"),
        (numbers.tick(0.25), "0.25"),
        (numbers.tick(12500), "12,500"),
        (numbers.tick_share(0.125), "12.5%"),
        (numbers.times(1.7734), "×1.77"),
        (numbers.times(1773.4), "×1,773"),
        (numbers.times(999.9), "×1,000"),
        (numbers.count(1234567), "1,234,567"),
        (numbers.p_value(0.0123), "0.012"),
        (numbers.named_p_value(1.0), "p = 1.000"),
        (numbers.named_p_value(0.0001), "p < 0.001"),
        (numbers.duration(0.0451), "45 ms"),
        (numbers.duration(2.34), "2.34 s"),
        (numbers.duration(720), "12 min"),
        (numbers.duration(5400), "1.5 h"),
    ],
)
def test_a_number_is_written(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize("folder", ["pages", "cli", "audit"])
def test_pages_and_tables_write_no_metric_by_themselves(folder: str) -> None:
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted((PACKAGE / folder).glob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if BY_HAND.search(line)
    ]
    assert found == []
