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


def axis(panel: str) -> list[tuple[float, str]]:
    """Where the ticks of a panel of bars stand, in percent of its width, and what they say."""
    found = re.findall(r'<span style="left:([\d.]+)%">([^<]+)</span>', panel)
    return [(float(place), text) for place, text in found]


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
    assert axis(panel) == [(0, "0"), (100, "1")]
    assert panel.count(" own") == 1


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6))
def test_bars_start_at_0_of_an_axis_that_holds_them_all(values: list[float]) -> None:
    panel = bar_panel("any", [Bar("x", value, value, value) for value in values], tick=repr)
    ticks = axis(panel)
    assert (ticks[0][0], float(ticks[0][1])) == (0, 0)
    assert ticks[-1][0] == 100
    end = float(ticks[-1][1])
    widths = [float(width) for width in re.findall(r'"fill" style="width:([\d.]+)%', panel)]
    for width, value in zip(widths, values, strict=True):
        assert width == pytest.approx(100 * value / end, abs=0.01)
        assert width <= 100
    for place, text in ticks:
        assert place == pytest.approx(100 * float(text) / end, abs=0.01)


def test_panels_can_share_an_axis() -> None:
    panels = [bar_panel("any", [Bar("x", value, value, value)], highest=0.74) for value in (0.74, 0.02)]
    assert axis(panels[0]) == axis(panels[1])
    assert [text for _, text in axis(panels[0])] == ["0", "0.2", "0.4", "0.6", "0.8"]
