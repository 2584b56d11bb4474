"""`genrec compare`: several runs beside one another, with what chance could have done, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrec.cli.options import Json, MovedData
from genrec.cli.tables import data_facts
from genrec.cli.terminal import note, print_facts, print_json, print_table, stdout
from genrec.evaluation import numbers
from genrec.runs.compare import Comparison, check_page
from genrec.runs.compare import compare as compare_runs
from genrec.runs.floor import floor_line

_SHOWN_PAIRS = 10  # a longer table is cut to the pairs of the best one


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Folders of evaluated runs, and rankings files of any program."
        ),
    ],
    split: Annotated[str, typer.Option("--split", metavar="test|validation", help="Which targets.")] = "test",
    users: Annotated[
        int | None,
        typer.Option("--users", metavar="N", help="The sample of N users that was evaluated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write the comparison as a page, too.")
    ] = None,
    data: MovedData = None,
    as_json: Json = False,
) -> None:
    """Compare evaluated runs: which is better, and could chance alone have made the difference?

    Runs that differ in the seed alone are one recommender with several seeds. Nothing is trained or ranked here:
    `genrec evaluate RUN` keeps the lists in the run.
    """
    if out is not None:
        check_page(out)
    found = compare_runs(runs, split, users=users, data=data)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if out is not None:
        found.write(out)
        show = note if as_json else stdout().print
        show(f"page: {out}")


def _print(comparison: Comparison) -> None:
    """The recommenders, the best first, the differences on NDCG@10, and what was measured."""
    from genrec.pages.verdict import sentence

    analysis, about = comparison.analysis, comparison.about
    found = analysis.comparisons
    places = {metric: analysis.metrics.index(metric) for metric in ("HR@10", "NDCG@10")}
    best = {metric: found.means_GM[:, at].argmax() for metric, at in places.items()}
    rows = []
    for place, group in enumerate(analysis.groups):
        cells = []
        for metric, at in places.items():
            half = (found.high_GM[place, at] - found.low_GM[place, at]) / 2
            star = "*" if best[metric] == place else " "
            cells.append(f"{numbers.metric(found.means_GM[place, at])} ± {numbers.metric(half)}{star}")
        beaten = [
            str(other + 1)
            for other in range(len(analysis.groups))
            if found.difference_GGM[place, other, places["NDCG@10"]] > 0
            and found.significant(place, other, places["NDCG@10"])
        ]
        seeds = ", ".join(str(seed) for seed in group.seeds if seed is not None)
        rows.append((place + 1, group.name, seeds or "–", *cells, ", ".join(beaten) or "–"))
    title = f"{about['data']}, {about['split']}, {about['num_targets']:,} users"
    print_table(["", "recommender", "seeds", "HR@10", "NDCG@10", "ahead of"], rows, title)
    stdout().print(
        "* best of the column; ± half the 95% interval; ahead: on NDCG@10, beyond chance", style="dim"
    )
    best_one, others = analysis.names[0], analysis.names[1:]
    judged = {name: found.verdict(0, place, places["NDCG@10"]) for place, name in enumerate(others, start=1)}
    stdout().print(sentence(best_one, judged))
    pairs = analysis.pairs("NDCG@10")
    if len(pairs) > _SHOWN_PAIRS:
        note(f"of {len(pairs)} pairs those of {analysis.names[0]} are shown; --json and --out have all")
        pairs = [pair for pair in pairs if analysis.names[0] in (pair["first"], pair["second"])]
    print_table(
        ["NDCG@10", "against", "difference", "95% interval", "p", "Holm p", ""],
        [
            (
                pair["first"],
                pair["second"],
                numbers.signed(pair["difference"]),
                numbers.signed_interval(*pair["interval"]),
                numbers.p_value(pair["p_value"]),
                numbers.p_value(pair["p_holm"]),
                "beyond chance" if pair["significant"] else "could be chance",
            )
            for pair in pairs
        ],
    )
    floor = about["floor"]
    print_facts(
        {
            "floor": None if floor is None else floor_line(floor),
            **data_facts(about),
            "protocol": f"{about['protocol']}, all {about['num_items']:,} items ranked, seen excluded",
            "users": about["num_targets"],
            "runs trained on": about["trained_on"],
            "commit": about["commit"],
        }
    )
