"""Drawings that set recommenders side by side: rows of dots, quality against cost, and matrices.

A recommender is known by its number and its colour; nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from genrec.evaluation import numbers
from genrec.pages.charts import chip, colour, drawing_card, number_mark, ticks_between

_WIDTH = 360
_LABELS, _RIGHT = 82, 20  # room for what stands to the left, and for half a dot
_ROW, _GAP = 17, 12  # between dots of one block, and between blocks


NO_CELL = "–"  # in place of a number that there is not


@dataclass(frozen=True)
class Dot:
    """A value of the recommender with the number `place` (from 0), and the interval it may lie in."""

    place: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix.

    Attributes:
        text: what it says, as plain text; a second line goes into `small`.
        look: `up`, `down`, `unsure` or `self`.
        share: how strongly it is tinted, 0 to 1.
    """

    text: str
    small: str = ""
    look: str = "unsure"
    share: float = 0.0


def dot_plot(title: str, blocks: Sequence[tuple[str, str, Sequence[Dot]]]) -> str:
    """A card with one block of dots for each kind of users; to the right runs the value in per cent, from 0.

    Args:
        title: of the card.
        blocks: what the users have in common, a second line about them, and one dot for each recommender.
    """
    ticks = ticks_between(0.0, max(max(dot.value, dot.high) for _, _, dots in blocks for dot in dots))[:7]
    heights = [max(_ROW * len(dots), 30) + _GAP for _, _, dots in blocks]
    bottom = 8 + sum(heights)

    def x(value: float) -> float:
        return _LABELS + 8 + value / ticks[-1] * (_WIDTH - _LABELS - 8 - _RIGHT)

    parts = [
        f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" y2="{bottom}"/>'
        f'<text x="{x(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{numbers.tick_share(tick)}</text>'
        for tick in ticks
    ]
    top = 8.0
    for (label, about, dots), height in zip(blocks, heights, strict=True):
        middle = top + (height - _GAP) / 2
        parts.append(
            f'<text class="mark" x="0" y="{middle - 2:.1f}">{escape(label)}</text>'
            f'<text x="0" y="{middle + 12:.1f}">{escape(about)}</text>'
            f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{top + height - _GAP / 2:.1f}" '
            f'y2="{top + height - _GAP / 2:.1f}"/>'
        )
        start = middle - _ROW * (len(dots) - 1) / 2
        for row, dot in enumerate(dots):
            y = start + _ROW * row
            parts.append(
                f'<line class="whisker {colour(dot.place)}" x1="{x(dot.low):.1f}" x2="{x(dot.high):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>' + number_mark(x(dot.value), y, dot.place, _percent(dot))
            )
        top += height
    told = "; ".join(
        f"{label} ({about}): {', '.join(f'{dot.place + 1} {numbers.share(dot.value)}' for dot in dots)}"
        for label, about, dots in blocks
    )
    return drawing_card(title, "".join(parts), _WIDTH, bottom + 20, told)


def scatter(title: str, x_name: str, y_name: str, dots: Sequence[tuple[float, Dot]]) -> str:
    """A card with quality upwards and a cost to the right, in powers of ten.

    Args:
        title: of the card.
        x_name: the cost, with its unit.
        y_name: the quality.
        dots: a cost above 0 and the quality of each recommender.
    """
    ticks = ticks_between(0.0, max(dot.high for _, dot in dots))
    first, last = floor(log10(min(cost for cost, _ in dots))), ceil(log10(max(cost for cost, _ in dots)))
    last = max(last, first + 1)
    left, bottom = 46, 210

    def x(cost: float) -> float:
        return left + 14 + (log10(cost) - first) / (last - first) * (_WIDTH - left - 14 - _RIGHT)

    def y(value: float) -> float:
        return bottom - value / ticks[-1] * (bottom - 26)

    parts = [
        f'<line class="grid" x1="{left}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{numbers.tick(tick)}</text>'
        for tick in ticks
    ]
    for power in range(first, last + 1):
        parts.append(
            f'<text x="{x(10.0**power):.1f}" y="{bottom + 16}" text-anchor="middle">{numbers.tick(10.0**power)}</text>'
        )
    parts.append(
        f'<text x="0" y="12">{escape(y_name)}</text>'
        f'<text x="{(left + _WIDTH) / 2}" y="{bottom + 33}" text-anchor="middle">{escape(x_name)}</text>'
    )
    for cost, dot in dots:
        parts.append(
            f'<line class="whisker {colour(dot.place)}" x1="{x(cost):.1f}" x2="{x(cost):.1f}" '
            f'y1="{y(dot.low):.1f}" y2="{y(dot.high):.1f}"/>'
            + number_mark(
                x(cost), y(dot.value), dot.place, f"{numbers.metric(dot.value)}, {numbers.tick(cost)}"
            )
        )
    told = "; ".join(
        f"{dot.place + 1}: {x_name} {numbers.tick(cost)}, {y_name} {numbers.metric(dot.value)}"
        for cost, dot in dots
    )
    return drawing_card(title, "".join(parts), _WIDTH, bottom + 38, told)


def _percent(dot: Dot) -> str:
    return f"{numbers.share(dot.value)}, 95% interval {numbers.share(dot.low)} to {numbers.share(dot.high)}"


def matrix(
    title: str,
    names: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    *,
    corner: str,
    pair: str,
    mirrored: bool,
) -> str:
    """A card with a square table; rows carry the names, columns the numbers of the recommenders.

    On a phone, where a square has no room, stands a list of the pairs in its place.

    Args:
        title: of the card.
        names: of the recommenders, in the order of rows and columns.
        cells: one row of cells for each recommender.
        corner: how a cell's row and column belong together.
        pair: the same for the list, as HTML with `{row}` and `{column}`.
        mirrored: the cells below the diagonal tell nothing that those above do not: the list leaves them out.
    """
    head = "".join(
        f'<th scope="col">{chip(place)}<span class="unseen"> {escape(name)}</span></th>'
        for place, name in enumerate(names)
    )
    rows = "".join(
        f'<tr><th scope="row">{_numbered(place, name)}</th>{"".join(map(_cell, row))}</tr>'
        for place, (name, row) in enumerate(zip(names, cells, strict=True))
    )
    pairs = "".join(
        _pair(pair.format(row=_numbered(row, names[row]), column=_numbered(column, names[column])), cell)
        for row, own in enumerate(cells)
        for column, cell in enumerate(own)
        if cell.text != NO_CELL and (column >= row or not mirrored)
    )
    return (
        f'<div class="card"><h3>{escape(title)}</h3><div class="wide squared" tabindex="0" role="region" '
        f'aria-label="{escape(title)}"><table class="matrix"><thead><tr><td>{escape(corner)}</td>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></div><ul class="pairs">{pairs}</ul></div>'
    )


def _numbered(place: int, name: str) -> str:
    return f'<span class="who">{chip(place)} <span class="name">{escape(name)}</span></span>'


def _pair(who: str, cell: Cell) -> str:
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return f'<li class="{cell.look}"{_tint(cell)}><span>{who}</span><b>{escape(cell.text)}{small}</b></li>'


def _cell(cell: Cell) -> str:
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return f'<td class="{cell.look}"{_tint(cell)}>{escape(cell.text)}{small}</td>'


def _tint(cell: Cell) -> str:
    return f' style="--share:{100 * cell.share:.0f}%"' if cell.share > 0 else ""
