"""Charts of the report, as HTML and SVG that take their colours from the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from genrec.evaluation import numbers

Form = Callable[[float], str]  # how a number is written
NUM_COLOURS = 10  # of recommenders; an eleventh takes the first one again, with its own number
_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 16, 40  # room for the labels of the axes


@dataclass(frozen=True)
class Bar:
    """One bar: a value, the interval it may lie in, and the values that it is the mean of.

    `place` counts from 0 and gives the bar the number and the colour that a recommender has on a whole page; without
    it the first bar of a panel stands out.
    """

    name: str
    value: float
    low: float
    high: float
    place: int | None = None
    parts: Sequence[float] = ()


@dataclass(frozen=True)
class Line:
    """(x, y) points by x, at least one; `place` as in `Bar`."""

    points: Sequence[tuple[float, float]]
    place: int | None = None


def colour(place: int | None) -> str:
    """Class that gives an element, as `--own`, the colour of a recommender; None: the page's own colour."""
    return "c1" if place is None else f"c{place % NUM_COLOURS + 1}"


def chip(place: int) -> str:
    """The number of a recommender on its colour."""
    return f'<span class="chip {colour(place)}">{place + 1}</span>'


def bar_panel(
    title: str,
    bars: Sequence[Bar],
    form: Form = numbers.metric,
    tick: Form = numbers.tick,
    *,
    highest: float = 0.0,
) -> str:
    """A card with one horizontal bar each over an axis that starts at 0; of bars without a place the first stands out.

    Args:
        title: what the bars are.
        bars: at least one; none below 0.
        form: how their values are written.
        tick: how those of the axis are.
        highest: value that the axis reaches at least, so that several panels share it.
    """
    longest = max(highest, *(max((bar.value, bar.high, *bar.parts)) for bar in bars))
    ticks = ticks_between(0.0, longest) if longest > 0 else [0.0, 1.0]

    def percent(value: float) -> str:
        return f"{100 * value / ticks[-1]:.2f}%"

    rows = []
    for at, bar in enumerate(bars):
        look = (" own" if at == 0 else "") if bar.place is None else f" {colour(bar.place)} coloured"
        name = escape(bar.name) if bar.place is None else f"{chip(bar.place)} {escape(bar.name)}"
        parts = "".join(f'<i class="part" style="left:{percent(value)}"></i>' for value in bar.parts)
        ends = f"left:{percent(bar.low)};width:{percent(bar.high - bar.low)}"
        interval = f'<div class="range" style="{ends}"></div>' if bar.high > bar.low else ""
        rows.append(
            f'<div class="bar{look}"><span class="name">{name}</span><b>{form(bar.value)}</b>'
            f'<div class="track"><div class="fill" style="width:{percent(bar.value)}"></div>'
            f"{interval}{parts}</div></div>"
        )
    axis = "".join(f'<span style="left:{percent(value)}">{tick(value)}</span>' for value in ticks)
    return (
        f'<div class="card"><h3>{escape(title)}</h3>{"".join(rows)}<div class="axis" aria-hidden="true">{axis}</div>'
        "</div>"
    )


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_name: str = "step",
    x_form: Form = numbers.count,
    y_form: Form = numbers.tick,
    from_zero: bool = False,
    mark_highest: bool = False,
    number: bool = False,
    highest: float | None = None,
) -> str:
    """A card with lines.

    Args:
        title: what is drawn upwards.
        lines: at least one.
        x_name: what is drawn to the right.
        x_form: how its ends are written.
        y_form: how the values upwards are written.
        from_zero: the axis upwards starts at 0.
        mark_highest: put a dot on the highest point of each line, and the value on the highest of all.
        number: put each line's number on it, where it rises.
        highest: value that the axis upwards reaches at least, so that several charts share it.
    """
    points = [point for line in lines for point in line.points]
    values = [value for _, value in points] + ([] if highest is None else [highest])
    ticks = ticks_between(0.0 if from_zero else min(values), max(values))
    low, high = ticks[0], ticks[-1]
    first, last = min(step for step, _ in points), max(step for step, _ in points)

    def x(step: float) -> float:
        share = (step - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{y_form(tick)}</text>'
        for tick in ticks
    ]
    for step, anchor in {first: "start", last: "end"}.items():
        parts.append(
            f'<text x="{x(step):.1f}" y="{_HEIGHT - 20}" text-anchor="{anchor}">{x_form(step)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_name)}</text>')
    for line in lines:
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in line.points)
        parts.append(f'<polyline class="line {colour(line.place)}" points="{path}"/>')
        if mark_highest or len(line.points) == 1:
            step, value = _highest(line.points)
            parts.append(
                f'<circle class="dot {colour(line.place)}" cx="{x(step):.1f}" cy="{y(value):.1f}" r="4.5"/>'
            )
    if mark_highest:
        step, value = _highest(points)
        anchor = "end" if x(step) > _WIDTH / 2 else "start"
        parts.append(
            f'<text class="mark" x="{x(step):.1f}" y="{y(value) - 9:.1f}" text-anchor="{anchor}">'
            f"{y_form(value)}</text>"
        )
    if number:  # lines that lie close get their numbers at different heights
        steep = sorted(lines, key=lambda line: -sum(value for _, value in line.points))
        for at, line in enumerate(steep):
            value = low + (high - low) * (0.3 + 0.6 * at / len(steep))
            parts.append(number_mark(x(_reaches(line.points, value)), y(value), line.place or 0))
    told = "; ".join(
        f"from {y_form(line.points[0][1])} to {y_form(line.points[-1][1])}, highest "
        f"{y_form(_highest(line.points)[1])}"
        for line in lines
    )
    ends = f"{x_name} {x_form(first)} to {x_form(last)}: {told}"
    return drawing_card(title, "".join(parts), _WIDTH, _HEIGHT, ends)


def _highest(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return max(points, key=lambda point: point[1])


def _reaches(points: Sequence[tuple[float, float]], value: float) -> float:
    """Where a rising line reaches a value; its end where it does not."""
    for (x, y), (next_x, next_y) in pairwise(points):
        if y <= value < next_y:
            return x + (next_x - x) * (value - y) / (next_y - y)
    return points[-1][0]


def number_mark(x: float, y: float, place: int, tip: str = "") -> str:
    """A recommender's number on a dot of its colour, inside a drawing; `tip` shows where a mouse points at it."""
    small = " small" if place >= 9 else ""
    return (
        f"<g>{f'<title>{escape(tip)}</title>' if tip else ''}"
        f'<circle class="dot {colour(place)}" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>'
        f'<text class="number{small}" x="{x:.1f}" y="{y + 3.6:.1f}" text-anchor="middle">{place + 1}</text></g>'
    )


def drawing_card(title: str, parts: str, width: int, height: float, told: str = "") -> str:
    """A card with an SVG drawing; screen readers get its title and what is drawn in numbers."""
    label = f"{title}. {told}" if told else title
    box = f'viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(label)}"'
    return f'<div class="card"><h3>{escape(title)}</h3><svg {box}>{parts}</svg></div>'


def ticks_between(low: float, high: float) -> list[float]:
    """Three to seven round numbers that enclose both ends."""
    if high - low < 1e-12:
        half = 0.5 * abs(low) if abs(low) > 1e-12 else 0.5
        low, high = low - half, high + half
    rough = (high - low) / 4
    size = 10 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * place for place in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]
