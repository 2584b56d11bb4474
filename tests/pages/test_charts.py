"""Charts put their marks where the numbers are."""

from __future__ import annotations

import re

import pytest
from genrec.pages.charts import Bar, Line, bar_panel, line_chart
from hypothesis import example, given
from hypothesis import strategies as st

numbers = st.floats(-1e6, 1e6, allow_nan=False)


def places(drawing: str) -> list[tuple[float, float]]:
    """Where the line's points stand, x to the right and y downwards."""
    (points,) = re.findall(r'points="([^"]*)"', drawing)
    return [(float(x), float(y)) for x, y in (point.split(",") for point in points.split())]


def test_line_runs_right_and_up() -> None:
    drawn = places(line_chart("loss", [Line([(0, 1.0), (10, 3.0), (40, 2.0)])]))
    (x0, y0), (x1, y1), (x2, y2) = drawn
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.25, abs=0.01)
    assert y1 < y2 < y0
    assert (y0 - y2) / (y0 - y1) == pytest.approx(0.5, abs=0.01)


def test_highest_point_is_marked_with_its_value() -> None:
    drawing = line_chart(
        "NDCG", [Line([(1, 0.02), (2, 0.0912), (3, 0.05)])], from_zero=True, mark_highest=True
    )
    assert drawing.count("<circle") == 1
    assert ">0.0912<" in drawing
    assert ">0<" in drawing  # the axis starts at 0


@given(st.lists(st.tuples(st.integers(0, 10**6), numbers), min_size=1, max_size=20))
@example([(0, 5e-324)])  # half of it is 0
def test_every_line_stays_inside_the_drawing(points: list[tuple[float, float]]) -> None:
    for x, y in places(line_chart("any", [Line(sorted(points))], mark_highest=True)):
        assert 0 <= x <= 360
        assert 0 <= y <= 220


def test_bars_of_nothing_are_empty() -> None:
    panel = bar_panel("HR@10", [Bar("genrec", 0, 0, 0), Bar("popular", 0, 0, 0)])
    assert re.findall(r'"fill" style="width:([\d.]+)%', panel) == ["0.00", "0.00"]
    assert panel.count(" own") == 1
