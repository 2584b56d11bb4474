"""Sections of the comparison page that the analysis alone fills: how good, how sure, for whom, what and how alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from genrec.data.interactions import FloatArray
from genrec.evaluation.comparison import Analysis, Bin
from genrec.pages.charts import Bar, Line, bar_panel, chip, line_chart
from genrec.pages.comparison_charts import Cell, Dot, dot_plot, matrix
from genrec.pages.page import panels, section

_PANELS = {
    "HR@10": "HR@10: what was taken next is among the first ten",
    "NDCG@10": "NDCG@10: and how near the top it stands",
}
_TINT = 0.4  # the strongest; text stays legible on it
_NARROW = 4  # matrices with more recommenders stand below one another


def quality(analysis: Analysis) -> str:
    found = analysis.comparisons
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
        cards.append(bar_panel(label, bars))
    text = (
        "One item of each user was kept aside and has to be found again among all items; items the user had before "
        "are left out, and ties count against the recommender. Thin lines are 95 % intervals: other users, and other "
        "seeds where there are several, could move the number that far. Small marks are single seeds. The numbers "
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
            shown = f"{found.means_GM[place, at]:.4f}"
            best = found.means_GM[place, at] == found.means_GM[:, at].max()
            interval = f"{found.low_GM[place, at]:.4f}–{found.high_GM[place, at]:.4f}"
            cells.append(f"<td>{f'<b>{shown}</b>' if best else shown}<small>{interval}</small></td>")
        rows.append(f'<tr><th scope="row">{chip(place)} {escape(name)}</th>{"".join(cells)}</tr>')
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<details><summary>All metrics with their intervals</summary><div class="card wide">{table}</div></details>'


def differences(analysis: Analysis, about: Mapping[str, Any]) -> str:
    cards = [
        matrix(f"{metric}, row minus column", analysis.names, _difference_cells(analysis, metric))
        for metric in ("NDCG@10", "HR@10")
    ]
    num_pairs = len(analysis.groups) * (len(analysis.groups) - 1) // 2
    text = (
        "▲ The row is better, ▼ worse, and chance is no likely explanation: were the two alike, a difference as large "
        "would come up with a probability p below 0.05, and the 95 % interval leaves out 0. Cells without a sign could "
        f"be chance. p comes from 10,000 random exchanges of the two over the {about['num_targets']:,} users, "
        f"corrected (Holm) for {num_pairs} {'pair' if num_pairs == 1 else 'pairs'} in a table; the interval also "
        "holds the luck of the seeds where there are several."
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
            small = _p(float(p_value))
            if first == second:
                row.append(Cell("–", look="self"))
            elif not found.significant(first, second, at):
                row.append(Cell(_bare(f"{difference:+.4f}"), small))
            else:
                sign, look = ("▲", "up") if difference > 0 else ("▼", "down")
                share = _TINT * (0.35 + 0.65 * abs(difference) / largest)
                row.append(Cell(f"{sign} {_bare(f'{abs(difference):.4f}')}", small, look, share))
        rows.append(row)
    return rows


def _p(value: float) -> str:
    if value < 0.001:
        return "p < .001"
    return "p = 1" if value > 0.9995 else f"p = {_bare(f'{value:.3f}')}"


def _bare(number: str) -> str:
    """A number as tables of statistics write it, without a 0 before the point."""
    return number.replace("0.", ".", 1).replace("-", "−")


def for_whom(analysis: Analysis) -> str:
    num_users = sum(part.num_users for part in analysis.by_popularity)
    if analysis.num_cold:
        cold = (
            f"{analysis.num_cold:,} of {num_users:,} users ({analysis.num_cold / num_users:.1%}) took an item that "
            "nobody had taken in the training part: such cold items are the first row."
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
    def panel(title: str, values: Sequence[float], form: str) -> str:
        bars = [
            Bar(name, value, value, value, place)
            for place, (name, value) in enumerate(zip(analysis.names, values, strict=True))
        ]
        return bar_panel(title, bars, form)

    found = analysis.concentration
    grid = np.linspace(0, 1, len(analysis.training.curve))

    def line(curve: FloatArray, place: int | None) -> Line:
        return Line([(float(x), float(y)) for x, y in zip(grid, curve, strict=True)], place)

    curves = line_chart(
        "Share of all recommendations",
        [line(own.curve, place) for place, own in enumerate(found)],
        x_name="share of the catalogue, most shown first",
        x_form="{:.0%}",
        y_form="{:.0%}",
        from_zero=True,
        number=True,
    )
    text = (
        "What stands in the first ten, hit or not. Coverage is the share of the catalogue that is recommended to "
        "anybody. The Gini index is 0 where all items are recommended equally often and near 1 where a few take it "
        f"all; that of the training interactions is {analysis.training.gini:.3f}. The popular tenth of the items has "
        f"{analysis.training.head_share:.0%} of the training interactions and {analysis.target_head_share:.0%} of the "
        "targets: a recommender that shows more of it is biased towards what is popular."
    )
    return section(
        "What they show",
        text,
        panels(
            panel("Coverage: catalogue recommended to anybody", [own.coverage for own in found], "{:.1%}"),
            panel("Places that go to the popular tenth", [own.head_share for own in found], "{:.1%}"),
            panel("Gini index: how uneven", [own.gini for own in found], "{:.3f}"),
            curves,
        ),
        _strange_entries(analysis),
    )


def _strange_entries(analysis: Analysis) -> str:
    """What is wrong with the lists as given; nothing where nothing is."""
    notes = []
    for name, rates in zip(analysis.names, analysis.rates, strict=True):
        told = {
            f"{rates['seen_rate']:.1%} of the entries are items the user had, which were dropped": rates[
                "seen_rate"
            ],
            f"{rates['invalid_rate']:.1%} of the entries are not in the catalogue": rates["invalid_rate"],
            f"{rates['duplicate_rate']:.1%} of the entries repeat one before them": rates["duplicate_rate"],
            f"empty lists, which count as misses: {rates['num_without_list']:,.0f}": rates[
                "num_without_list"
            ],
        }
        notes += [f"<li><b>{escape(name)}</b>: {text}.</li>" for text, value in told.items() if value > 0]
    return f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""


def overlap(analysis: Analysis) -> str:
    items = [
        [_overlap_cell(value, 10, "{:.1f}", row == column) for column, value in enumerate(values)]
        for row, values in enumerate(analysis.overlap.items_GG)
    ]
    hits = [
        [_overlap_cell(value, 1, "{:.0%}", row == column) for column, value in enumerate(values)]
        for row, values in enumerate(analysis.overlap.hits_GG)
    ]
    alone = [
        Bar(name, float(value), float(value), float(value), place)
        for place, (name, value) in enumerate(zip(analysis.names, analysis.alone_G, strict=True))
    ]
    best = analysis.comparisons.means_GM[:, analysis.metrics.index("HR@10")].max()
    text = (
        "Recommenders that find different users' items can be put together with profit: at least one finds the target "
        f"of {analysis.together:.1%} of the users, and the best alone of {best:.1%}. On the diagonal two seeds of one "
        "recommender are compared, which is how alike two can be expected to be."
    )
    return section(
        "How alike they are",
        text,
        _matrices(
            analysis,
            matrix("Items that two lists of ten share", analysis.names, items),
            matrix("Of the row's hits, the column finds", analysis.names, hits),
        ),
        panels(bar_panel("Users whose item this one alone finds", alone, "{:.1%}")),
    )


def _matrices(analysis: Analysis, *cards: str) -> str:
    if len(analysis.groups) <= _NARROW:
        return panels(*cards)
    return f'<div class="stack">{"".join(cards)}</div>'


def _overlap_cell(value: float, whole: float, form: str, diagonal: bool) -> Cell:
    if np.isnan(value):
        return Cell("–", look="self")
    return Cell(form.format(value), look="self" if diagonal else "up", share=_TINT * value / whole)
