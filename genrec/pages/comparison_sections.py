"""Sections of the comparison page that the analysis alone fills: how good, how sure, for whom, what and how alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray
from genrec.evaluation import numbers
from genrec.evaluation.comparison import Analysis, Bin
from genrec.pages.charts import Bar, Form, Line, bar_panel, chip, line_chart
from genrec.pages.comparison_charts import NO_CELL, Cell, Dot, dot_plot, matrix
from genrec.pages.page import panels, scrolling, section

_PANELS = {
    "HR@10": "HR@10: what was taken next is among the first ten",
    "NDCG@10": "NDCG@10: and how near the top it stands",
}
_TINT = 0.4  # the strongest; text stays legible on it
_NARROW = 4  # matrices with more recommenders stand below one another


def quality(analysis: Analysis) -> str:
    found = analysis.comparisons
    shown = [analysis.metrics.index(metric) for metric in _PANELS]
    singles = [float(own[:, shown].max()) for own in analysis.per_seed]
    highest = max(float(found.high_GM[:, shown].max()), *singles)
    cards = []
    for metric, label in _PANELS.items():
        at = analysis.metrics.index(metric)
        bars = [
            Bar(
                group.name,
                float(found.means_GM[place, at]),
                float(found.low_GM[place, at]),
                float(found.high_GM[place, at]),
                place,
                tuple(analysis.per_seed[place][:, at]) if len(group.seeds) > 1 else (),
            )
            for place, group in enumerate(analysis.groups)
        ]
        cards.append(bar_panel(label, bars, highest=highest))
    text = (
        "One item of each user was kept aside and has to be found again among all items; items the user had before "
        "are left out, and ties count against the recommender. Thin lines are 95% intervals: other users, and other "
        "seeds where there are several, could move the number that far. Small marks are single seeds. Both axes are "
        "the same and start at 0. The numbers "
        "and colours of the recommenders are the same on the whole page."
    )
    return section("What they find", text, panels(*cards), _all_numbers(analysis))


def _all_numbers(analysis: Analysis) -> str:
    """Every metric of every recommender, folded away."""
    found = analysis.comparisons
    head = "".join(f'<th scope="col">{metric}</th>' for metric in analysis.metrics)
    rows = []
    for place, name in enumerate(analysis.names):
        cells = []
        for at in range(len(analysis.metrics)):
            shown = numbers.metric(found.means_GM[place, at])
            best = found.means_GM[place, at] == found.means_GM[:, at].max()
            interval = numbers.interval(found.low_GM[place, at], found.high_GM[place, at])
            cells.append(f"<td>{f'<b>{shown}</b>' if best else shown}<small>{interval}</small></td>")
        rows.append(f'<tr><th scope="row">{chip(place)} {escape(name)}</th>{"".join(cells)}</tr>')
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    title = "All metrics with their intervals"
    return f"<details><summary>{title}</summary>{scrolling(title, table)}</details>"


def differences(analysis: Analysis, about: Mapping[str, Any]) -> str:
    cards = [
        matrix(
            f"Differences of {metric}",
            analysis.names,
            _difference_cells(analysis, metric),
            corner="row minus column",
            pair="{row} minus {column}",
            mirrored=True,
        )
        for metric in ("NDCG@10", "HR@10")
    ]
    num_pairs = len(analysis.groups) * (len(analysis.groups) - 1) // 2
    text = (
        "▲ The first of a pair is better, ▼ worse, and chance is no likely explanation: were the two alike, a "
        "difference as large would come up with a probability p below 0.05, and the 95% interval leaves out 0. Those "
        "without a sign could be chance. p comes from 10,000 random exchanges of the two over the "
        f"{about['num_targets']:,} users, corrected (Holm) for {num_pairs} {'pair' if num_pairs == 1 else 'pairs'} "
        "in a table; the interval also holds the luck of the seeds where there are several."
    )
    return section("Which differences hold", text, _matrices(analysis, *cards))


def _difference_cells(analysis: Analysis, metric: str) -> list[list[Cell]]:
    found, at = analysis.comparisons, analysis.metrics.index(metric)
    largest = float(np.abs(found.difference_GGM[:, :, at]).max()) or 1.0
    rows = []
    for first in range(len(analysis.groups)):
        row = []
        for second in range(len(analysis.groups)):
            difference, p_value = found.difference_GGM[first, second, at], found.p_holm_GGM[first, second, at]
            small = numbers.named_p_value(float(p_value))
            if first == second:
                row.append(Cell(NO_CELL, look="self"))
            elif not found.significant(first, second, at):
                row.append(Cell(numbers.signed(difference), small))
            else:
                sign, look = ("▲", "up") if difference > 0 else ("▼", "down")
                share = _TINT * (0.35 + 0.65 * abs(difference) / largest)
                row.append(Cell(f"{sign} {numbers.signed(difference)}", small, look, share))
        rows.append(row)
    return rows


def for_whom(analysis: Analysis) -> str:
    num_users = sum(part.num_users for part in analysis.by_popularity)
    if analysis.num_cold:
        cold = (
            f"{analysis.num_cold:,} of {num_users:,} users ({numbers.share(analysis.num_cold / num_users)}) took "
            "an item that nobody had taken in the training part: such cold items are the first row."
        )
    else:
        cold = "No user took a cold item, one that nobody had taken in the training part."
    text = (
        "HR@10 for users with short and long histories, and for targets that many or few users took in the training "
        f"part. The groups are about equally large. {cold}"
    )
    return section(
        "For whom",
        text,
        _key(analysis),
        panels(
            dot_plot("By the number of items in the history", _blocks(analysis.by_history)),
            dot_plot(
                "By how often the target was taken in training", _blocks(analysis.by_popularity, "cold")
            ),
        ),
    )


def _blocks(bins: Sequence[Bin], none: str = "0") -> list[tuple[str, str, list[Dot]]]:
    blocks = []
    for part in bins:
        label = none if part.label == "0" else part.label
        dots = [
            Dot(place, *map(float, values))
            for place, values in enumerate(zip(part.rate_G, part.low_G, part.high_G, strict=True))
        ]
        blocks.append((label, f"{part.num_users:,} users", dots))
    return blocks


def _key(analysis: Analysis) -> str:
    names = "".join(f"<li>{chip(place)} {escape(name)}</li>" for place, name in enumerate(analysis.names))
    return f'<ul class="key" aria-label="Recommenders">{names}</ul>'


def lists(analysis: Analysis) -> str:
    def panel(title: str, values: Sequence[float], form: Form, tick: Form, highest: float = 0.0) -> str:
        bars = [
            Bar(name, value, value, value, place)
            for place, (name, value) in enumerate(zip(analysis.names, values, strict=True))
        ]
        return bar_panel(title, bars, form, tick, highest=highest)

    found = analysis.concentration
    of_all = (numbers.share, numbers.tick_share, 1.0)
    grid = np.linspace(0, 1, len(analysis.training.curve))

    def line(curve: FloatArray, place: int | None) -> Line:
        return Line([(float(x), float(y)) for x, y in zip(grid, curve, strict=True)], place)

    curves = line_chart(
        "Share of all recommendations",
        [line(own.curve, place) for place, own in enumerate(found)],
        x_name="share of the catalogue, most shown first",
        x_form=numbers.tick_share,
        y_form=numbers.tick_share,
        from_zero=True,
        number=True,
    )
    text = (
        "What stands in the first ten, hit or not. Coverage is the share of the catalogue that is recommended to "
        "anybody. The Gini index is 0 where all items are recommended equally often and near 1 where a few take it "
        f"all; that of the training interactions is {numbers.metric(analysis.training.gini)}. The popular tenth of "
        f"the items has {numbers.share(analysis.training.head_share)} of the training interactions and "
        f"{numbers.share(analysis.target_head_share)} of the targets: a recommender that shows "
        "more of it is biased towards what is popular."
    )
    return section(
        "What they show",
        text,
        panels(
            panel("Coverage: catalogue recommended to anybody", [own.coverage for own in found], *of_all),
            panel("Places that go to the popular tenth", [own.head_share for own in found], *of_all),
            panel("Gini index: how uneven", [own.gini for own in found], numbers.metric, numbers.tick, 1.0),
            curves,
        ),
        _strange_entries(analysis),
    )


def _strange_entries(analysis: Analysis) -> str:
    """What is wrong with the lists as given; nothing where nothing is."""
    notes = []
    for name, rates in zip(analysis.names, analysis.rates, strict=True):
        told = {
            f"{numbers.share(rates['seen_rate'])} of the entries are items the user had, which were dropped": rates[
                "seen_rate"
            ],
            f"{numbers.share(rates['invalid_rate'])} of the entries are not in the catalogue": rates[
                "invalid_rate"
            ],
            f"{numbers.share(rates['duplicate_rate'])} of the entries repeat one before them": rates[
                "duplicate_rate"
            ],
            f"empty lists, which count as misses: {rates['num_without_list']:,.0f}": rates[
                "num_without_list"
            ],
        }
        notes += [f"<li><b>{escape(name)}</b>: {text}.</li>" for text, value in told.items() if value > 0]
    return f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""


def overlap(analysis: Analysis) -> str:
    items = [
        [_overlap_cell(value, 10, "{:.1f}".format, row == column) for column, value in enumerate(values)]
        for row, values in enumerate(analysis.overlap.items_GG)
    ]
    hits = [
        [_overlap_cell(value, 1, _percent, row == column) for column, value in enumerate(values)]
        for row, values in enumerate(analysis.overlap.hits_GG)
    ]
    alone = [
        Bar(name, float(value), float(value), float(value), place)
        for place, (name, value) in enumerate(zip(analysis.names, analysis.alone_G, strict=True))
    ]
    best = analysis.comparisons.means_GM[:, analysis.metrics.index("HR@10")].max()
    text = (
        "Recommenders that find different users' items can be put together with profit: at least one finds the target "
        f"of {numbers.share(analysis.together)} of the users, and the best alone of {numbers.share(best)}. "
        "Beside itself, two seeds of a "
        "recommender are compared, which is how alike two can be expected to be."
    )
    return section(
        "How alike they are",
        text,
        _matrices(
            analysis,
            matrix(
                "Items that two lists of ten share",
                analysis.names,
                items,
                corner="",
                pair="{row} and {column}",
                mirrored=True,
            ),
            matrix(
                "Hits of one that another finds too",
                analysis.names,
                hits,
                corner="of the row's hits, the column finds",
                pair="of {row}, {column} finds",
                mirrored=False,
            ),
        ),
        panels(bar_panel("Users whose item this one alone finds", alone, numbers.share, numbers.tick_share)),
    )


def _matrices(analysis: Analysis, *cards: str) -> str:
    if len(analysis.groups) <= _NARROW:
        return panels(*cards)
    return f'<div class="stack">{"".join(cards)}</div>'


def _percent(value: float) -> str:
    return numbers.share(value, 0)


def _overlap_cell(value: float, whole: float, form: Form, diagonal: bool) -> Cell:
    if np.isnan(value):
        return Cell(NO_CELL, look="self")
    return Cell(form(value), look="self" if diagonal else "up", share=_TINT * value / whole)
