"""Charts of the report, as HTML and SVG that take their colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 16, 36  # room for the labels of the axes


@dataclass(frozen=True)
class Bar:
    """One bar: a value and the interval it may lie in."""

    name: str
    value: float
    low: float
    high: float


def bar_panel(title: str, bars: Sequence[Bar]) -> str:
    """A card with one horizontal bar each, from 0; the first bar is ours and stands out."""
    longest = max([bar.high for bar in bars] + [bar.value for bar in bars]) or 1.0

    def percent(value: float) -> str:
        return f"{100 * value / longest:.2f}%"

    rows = "".join(
        f'<div class="bar{" own" if place == 0 else ""}">'
        f'<span class="name">{escape(bar.name)}</span><b>{bar.value:.4f}</b>'
        f'<div class="track"><div class="fill" style="width:{percent(bar.value)}"></div>'
        f'<div class="range" style="left:{percent(bar.low)};width:{percent(bar.high - bar.low)}"></div>'
        "</div></div>"
        for place, bar in enumerate(bars)
    )
    return f'<div class="card"><h3>{escape(title)}</h3>{rows}</div>'


def line_chart(
    title: str, points: Sequence[tuple[float, float]], *, from_zero: bool, mark_highest: bool
) -> str:
    """A card with one line.

    Args:
        title: what is drawn upwards; to the right run the training steps.
        points: (step, value), at least one, by step.
        from_zero: the axis upwards starts at 0.
        mark_highest: put a dot and the value on the highest point.
    """
    steps, values = [step for step, _ in points], [value for _, value in points]
    ticks = _ticks(0.0 if from_zero else min(values), max(values))
    low, high = ticks[0], ticks[-1]
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        share = (step - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        for tick in ticks
    ]
    for step, anchor in {first: "start", last: "end"}.items():
        parts.append(f'<text x="{x(step):.1f}" y="{_HEIGHT - 18}" text-anchor="{anchor}">{step:,.0f}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">step</text>'
    )
    path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    if mark_highest or len(points) == 1:
        step, value = max(points, key=lambda point: point[1])
        at, anchor = f"{x(step):.1f}", "end" if x(step) > _WIDTH / 2 else "start"
        parts.append(
            f'<circle class="dot" cx="{at}" cy="{y(value):.1f}" r="4.5"/>'
            f'<text class="mark" x="{at}" y="{y(value) - 9:.1f}" text-anchor="{anchor}">{value:.4g}</text>'
        )
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    drawing = f"<svg {box}>{''.join(parts)}</svg>"
    return f'<div class="card"><h3>{escape(title)}</h3>{drawing}</div>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers that enclose both ends."""
    if high - low < 1e-12:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    rough = (high - low) / 4
    size = 10 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * place for place in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]
