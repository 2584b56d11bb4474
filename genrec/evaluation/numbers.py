"""How numbers are written for people, on pages and in tables alike: 0.1234, +0.0123, 74.0%, 1,234, p < 0.001.

The point is a point with a digit before it, thousands are set off by commas, and a minus is that of the keyboard, so
that a number copied from a page or a table can be read by any program that takes the commas out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def metric(value: float) -> str:
    """HR, NDCG, MRR and their like, from 0 to 1: 0.1234."""
    return f"{_no_minus_zero(value, 4):.4f}"


def quality(found: Mapping[str, Any]) -> str:
    """The two metrics that stand for a measurement: HR@10 0.1234, NDCG@10 0.0567."""
    return f"HR@10 {metric(found['HR@10'])}, NDCG@10 {metric(found['NDCG@10'])}"


def signed(value: float) -> str:
    """A difference of metrics: +0.0123, and +0.0000 for none."""
    return f"{_no_minus_zero(value, 4):+.4f}"


def interval(low: float, high: float) -> str:
    """Ends of an interval of a metric: 0.1234 to 0.1301."""
    return f"{metric(low)} to {metric(high)}"


def signed_interval(low: float, high: float) -> str:
    """Ends of an interval of a difference: -0.0012 to +0.0101."""
    return f"{signed(low)} to {signed(high)}"


def share(value: float, digits: int = 1) -> str:
    """A share of a whole: 74.0%."""
    return f"{_no_minus_zero(value, digits + 2):.{digits}%}"


def probability(value: float) -> str:
    """A probability of an item, one among many: 12.34%, and < 0.01% where it is less."""
    return share(value, 2) if value >= 0.0001 else "< 0.01%"


def tick(value: float) -> str:
    """A round number on an axis: 0.25, or 1,500."""
    return f"{value:,.4g}" if abs(value) < 10_000 else count(value)


def tick_share(value: float) -> str:
    """A round share on an axis: 12.5%."""
    return f"{100 * value:.3g}%"


def times(value: float) -> str:
    """How many times as large something is: ×1.77, and ×1,770."""
    return f"×{value:.3g}" if value < 999.5 else f"×{count(value)}"


def count(value: float) -> str:
    """A number of things: 1,234."""
    return f"{value:,.0f}"


def p_value(value: float) -> str:
    """A p-value in its column: 0.012, and < 0.001 below that."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def named_p_value(value: float) -> str:
    """A p-value among words: p = 0.012, and p < 0.001."""
    return f"p {p_value(value)}" if value < 0.001 else f"p = {p_value(value)}"


def duration(seconds: float) -> str:
    """A time, in the unit that suits it: 45 ms, 2.3 s, 12 min, 1.5 h."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _no_minus_zero(value: float, digits: int) -> float:
    return round(value, digits) + 0.0
