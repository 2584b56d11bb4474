"""The comparison as a page: what is better, for whom, how sure that is, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from genrec.data.interactions import Targets
from genrec.evaluation import numbers
from genrec.evaluation.beyond_accuracy import DEPTH
from genrec.evaluation.comparison import Analysis, Example
from genrec.evaluation.outcomes import LAST
from genrec.pages.charts import Bar, Line, bar_panel, chip, line_chart
from genrec.pages.comparison_charts import Dot, scatter
from genrec.pages.comparison_sections import differences, for_whom, lists, overlap, quality
from genrec.pages.page import next_steps, panels, scrolling, section, write_page
from genrec.pages.users import ShownItem, ShownUser, user_card
from genrec.pages.verdict import listed, verdict_list


@dataclass(frozen=True)
class Origin:
    """Where one run's lists come from. Of lists that another program made only name and path are known.

    Attributes:
        name: of the recommender, as in the analysis.
        path: of the run folder or the rankings file.
        seed: of the run; None: it has none.
        commit: of genrec, when the run was trained.
        options: of the recommender, without the seed.
        training: `seconds` and `peak_memory_mb` of the training, as far as they are known.
        measured: `seconds`, `users_per_s` and `peak_memory_mb` of making the lists.
        curve: (step, NDCG@10 on validation) while it learnt.
    """

    name: str
    path: str
    seed: int | None = None
    commit: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[tuple[float, float]] = ()

    @property
    def is_run(self) -> bool:
        """Whether the lists are those of a run."""
        return self.commit is not None or bool(self.measured)


def write_comparison(
    path: str | Path,
    analysis: Analysis,
    targets: Targets,
    origins: Sequence[Origin],
    about: Mapping[str, Any],
    steps: Sequence[tuple[str, Sequence[str]]] = (),
) -> Path:
    """Write the page to `path` (folders are made, an older page is replaced) and return the path.

    Args:
        path: the HTML file.
        analysis: of the lists.
        targets: the questions that the lists answer.
        origins: of the runs, in any order.
        about: `data synthetic num_users num_items num_interactions fingerprint protocol split num_targets
            trained_on floor genrec commit time command`.
        steps: what to do next: what each is for, and its commands.
    """
    title = f"{len(analysis.groups)} recommenders on {about['data']}"
    sections = [
        _header(title, analysis, about, len(origins)),
        quality(analysis),
        differences(analysis, about),
        for_whom(analysis),
        lists(analysis),
        overlap(analysis),
        _learning(analysis, origins),
        _costs(analysis, origins),
        _examples(analysis, targets),
        _provenance(analysis, origins, about),
        next_steps(steps),
    ]
    return write_page(path, title, sections, synthetic=about["synthetic"])


def _header(title: str, analysis: Analysis, about: Mapping[str, Any], num_runs: int) -> str:
    """Title, the result in words, and what was measured in numbers."""
    found, names = analysis.comparisons, analysis.names
    hit, gain = analysis.metrics.index("HR@10"), analysis.metrics.index("NDCG@10")
    what = (
        "an item of a user's next order"
        if "Recall@10" in analysis.metrics
        else "the item that a user took next"
    )
    told = (
        f"<b>{escape(names[0])}</b> finds {what} among its first ten for "
        f"<b>{numbers.share(found.means_GM[0, hit])}</b> of {about['num_targets']:,} users."
    )
    verdicts = {name: found.verdict(0, place, gain) for place, name in enumerate(names) if place}
    about_floor = ""
    if (floor := about["floor"]) is not None:
        below = [name for place, name in enumerate(names) if found.means_GM[place, gain] < floor["NDCG@10"]]
        named = listed([f"<b>{escape(name)}</b>" for name in below]) if below else "nothing"
        about_floor = (
            f"<p>The floor, counts of what follows what ({escape(floor['recommender'])}), needs no training and has "
            f"{numbers.quality(floor)}: by NDCG@10 {named} {'are' if len(below) > 1 else 'is'} below it. Its lists are "
            "not kept, so that it is not part of the test.</p>"
        )
    figures = {
        "users asked": about["num_targets"],
        "items to choose from": about["num_items"],
        "interactions": about["num_interactions"],
        "recommenders": len(names),
        "runs": num_runs,
    }
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{numbers.count(value)}</dd></div>" for name, value in figures.items()
    )
    return (
        f'<header><h1>{escape(title)}</h1><p class="lead">{told}</p>'
        f"{verdict_list(names[0], verdicts, about['num_targets'], len(names) * (len(names) - 1) // 2)}{about_floor}"
        f'<dl class="figures">{cells}</dl></header>'
    )


def _learning(analysis: Analysis, origins: Sequence[Origin]) -> str:
    """One card for each recommender that kept a log, all with the same axis upwards."""
    highest = max((value for origin in origins for _, value in origin.curve), default=0.0)
    cards = []
    for place, name in enumerate(analysis.names):
        lines = [Line(origin.curve, place) for origin in origins if origin.name == name and origin.curve]
        if lines:
            cards.append(
                line_chart(f"{place + 1} · {name}", lines, from_zero=True, mark_highest=True, highest=highest)
            )
    if not cards:
        return ""
    text = (
        "NDCG@10 on validation users while they learnt, one line a seed, the best step marked. Steps of different "
        "recommenders are not equally long, and each may have used its own sample of the users."
    )
    return section("How they learnt", text, panels(*cards))


def _mean(origins: Sequence[Origin], part: str, name: str) -> float | None:
    values = [getattr(origin, part)[name] for origin in origins if name in getattr(origin, part)]
    return float(np.mean(values)) if values else None


def _costs(analysis: Analysis, origins: Sequence[Origin]) -> str:
    columns = {
        "training": ("training", "seconds", numbers.duration),
        "memory in training": ("training", "peak_memory_mb", _mebibytes),
        "users per second": ("measured", "users_per_s", numbers.count),
        "all lists": ("measured", "seconds", numbers.duration),
        "memory for lists": ("measured", "peak_memory_mb", _mebibytes),
    }
    found, at = analysis.comparisons, analysis.metrics.index("NDCG@10")
    rows, dots, trained = [], [], []
    for place, name in enumerate(analysis.names):
        own = [origin for origin in origins if origin.name == name]
        values = [(_mean(own, part, key), form) for part, key, form in columns.values()]
        cells = "".join(f"<td>{'–' if value is None else form(value)}</td>" for value, form in values)
        rows.append(f'<tr><th scope="row">{chip(place)} {escape(name)}</th>{cells}</tr>')
        speed, seconds = _mean(own, "measured", "users_per_s"), _mean(own, "training", "seconds")
        if speed:
            low, high = float(found.low_GM[place, at]), float(found.high_GM[place, at])
            dots.append((1000 / speed, Dot(place, float(found.means_GM[place, at]), low, high)))
        if seconds is not None:
            trained.append(Bar(name, seconds / 60, seconds / 60, seconds / 60, place))
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    drawing = (
        scatter("Quality against time", "milliseconds for one user's list", "NDCG@10", dots) if dots else ""
    )
    bars = bar_panel("Training, axis in minutes", trained, _of_minutes) if trained else ""
    text = (
        "As the runs told when they were trained and evaluated, mean over seeds; compare only what ran on the same "
        "machine. Memory is the peak of the whole process. Lists from a file have no costs."
    )
    return section(
        "What they cost", text, f'<div class="stack">{scrolling("Costs", table)}{panels(drawing, bars)}</div>'
    )


def _of_minutes(minutes: float) -> str:
    return numbers.duration(60 * minutes)


def _mebibytes(value: float) -> str:
    return f"{numbers.count(value)} MiB"


def _examples(analysis: Analysis, targets: Targets) -> str:
    titles = targets.catalogue.titles
    times = Counter(titles)

    def title(item: int) -> str:
        if item >= len(titles):
            return "(not in the catalogue)"
        repeated = times[titles[item]] > 1
        return f"{titles[item]} ({targets.catalogue.ids[item]})" if repeated else titles[item]

    def shown(example: Example) -> ShownUser:
        taken = targets.answers(example.row).tolist()
        lists = {}
        for place, group in enumerate(analysis.groups):
            own = group.rankings[0].items_BK[example.row, :LAST]
            items = [int(item) for item in own if item >= 0]
            places = [str(items.index(item) + 1) for item in taken if item in items]
            where = f"place {', '.join(places)}" if places else f"not among the first {len(items)}"
            lists[f"{place + 1} · {group.name}: {where}"] = [
                ShownItem(title(item), rank=rank)
                for rank, item in enumerate(items, start=1)
                if rank <= DEPTH or item in taken
            ]
        user = f"User {targets.users[example.row]}: {_found_by(example, analysis.names)}"
        history = [title(int(item)) for item in targets.histories[example.row]]
        # All but the best one's list are folded: their names tell where the target stands in them.
        return ShownUser(
            user, history, lists, [title(item) for item in taken], places=dict.fromkeys(lists, "")
        )

    cards = "".join(user_card(shown(example)) for example in analysis.examples)
    text = (
        "What they took, oldest first, what came next (→), and the first ten of each recommender's first seed, "
        "of the best one unfolded. Chosen "
        "by what happened: users whose item one recommender alone has among them, all have, nobody has though it "
        f"stands just behind, at place 11 to {LAST}, and nobody has at all. Of each kind it is the user in the middle, "
        "by place and then by length of history: not the best case, and no lucky draw."
    )
    return section("Some users", text, cards)


def _found_by(example: Example, names: Sequence[str]) -> str:
    if not example.found_by:
        near = listed([names[place] for place in example.missed_by]) if example.missed_by else ""
        return f"nobody finds it, just missed by {near}" if near else "nobody finds it"
    if len(example.found_by) == len(names):
        return "all find it"
    return f"only {names[example.found_by[0]]} finds it"


def _provenance(analysis: Analysis, origins: Sequence[Origin], about: Mapping[str, Any]) -> str:
    facts = {
        "data": f"{about['data']}: {about['num_users']:,} users, {about['num_items']:,} items, "
        f"{about['num_interactions']:,} interactions" + (" (SYNTHETIC)" if about["synthetic"] else ""),
        "fingerprint": about["fingerprint"],
        "held out": f"{about['protocol']}, {about['split']}: one target each of {about['num_targets']:,} users",
        "runs trained on": about["trained_on"],
        "intervals": "95%, percentiles of 2,000 resamples of users and, where there are several, of seeds",
        "p-values": "two-sided, from 10,000 random signs of the users' differences, Holm-corrected for each metric",
        "made with": f"genrec {about['genrec']}, commit {about['commit'] or 'unknown'}, {about['time']}",
        "command": about["command"],
    }
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{escape(str(value))}</td></tr>' for name, value in facts.items()
    )
    runs = "".join(
        f'<tr><th scope="row">{chip(place)} {escape(origin.path)}</th>'
        f"<td>{'–' if origin.seed is None else origin.seed}</td><td>{escape((origin.commit or '–')[:10])}</td></tr>"
        for place, name in enumerate(analysis.names)
        for origin in origins
        if origin.name == name
    )
    options = "".join(
        f"<dt>{chip(place)} {escape(name)}</dt><dd>{escape(_options(origins, name))}</dd>"
        for place, name in enumerate(analysis.names)
    )
    return section(
        "Where the numbers come from",
        "",
        f'<div class="card"><table class="facts"><tbody>{rows}</tbody></table></div>',
        scrolling(
            "Runs",
            '<table><thead><tr><th scope="col">run</th><th scope="col">seed</th><th scope="col">commit</th></tr>'
            f"</thead><tbody>{runs}</tbody></table>",
        ),
        f'<details><summary>Options of the recommenders</summary><dl class="card options">{options}</dl></details>',
    )


def _options(origins: Sequence[Origin], name: str) -> str:
    options = next(origin.options for origin in origins if origin.name == name)
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "not known"
