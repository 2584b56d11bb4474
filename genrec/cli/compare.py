"""`genrec compare`: several runs beside one another, with what chance could have done, and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrec.cli.compared_runs import Compared, open_compared
from genrec.cli.environment import environment
from genrec.cli.options import Json, MovedData, one_of
from genrec.cli.terminal import note, print_facts, print_json, print_table, stdout
from genrec.errors import ConfigError

if TYPE_CHECKING:
    from genrec.evaluation.comparison import Analysis

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
    from genrec.evaluation.comparison import analyse
    from genrec.pages.comparison import write_comparison

    one_of(split, ("test", "validation"), "the split")
    if users is not None and users < 1:
        raise ConfigError(f"--users is {users}; ask for at least 1 user")
    if out is not None:
        _check_out(out)
    compared = open_compared(runs, split, users, data)
    analysis = analyse(compared.groups, compared.targets, compared.train)
    about = _about(compared)
    if as_json:
        print_json(_told(analysis, compared, about))
    else:
        _print(analysis, about)
    if out is not None:
        write_comparison(out, analysis, compared.targets, compared.origins, about)
        if as_json:
            note(f"page: {out}")
        else:
            stdout().print(f"page: {out}")


def _check_out(out: Path) -> None:
    """`out` is free, or a page that this program wrote.

    Raises:
        ConfigError: it is neither, or no HTML file.
    """
    from genrec.pages.page import check_free

    if out.suffix not in (".html", ".htm"):
        raise ConfigError(f"--out writes an HTML page: give NAME.html, not {out}")
    check_free(out)


def _about(compared: Compared) -> dict[str, Any]:
    """What stands beside every number of the comparison."""
    counts, now = compared.dataset.summary(), environment()
    return {
        "data": counts["name"],
        "synthetic": counts["synthetic"],
        "num_users": counts["num_users"],
        "num_items": len(compared.targets.catalogue),
        "num_interactions": counts["num_interactions"],
        "fingerprint": counts["fingerprint"],
        "protocol": compared.protocol,
        "split": compared.measured,
        "num_targets": len(compared.targets),
        **{name: now[name] for name in ("genrec", "commit", "time", "command")},
    }


def _told(analysis: Analysis, compared: Compared, about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything as plain values."""
    targets = compared.targets
    examples = [
        {
            "user_id": str(targets.users[example.row]),
            "target": targets.catalogue.ids[targets.items[example.row]],
            "found_by": [analysis.names[place] for place in example.found_by],
        }
        for example in analysis.examples
    ]
    runs = [asdict(origin) for origin in compared.origins]
    return {**about, **analysis.to_json(), "examples": examples, "runs": runs}


def _print(analysis: Analysis, about: Mapping[str, Any]) -> None:
    """The recommenders, the best first, the differences on NDCG@10, and what was measured."""
    found = analysis.comparisons
    places = {metric: analysis.metrics.index(metric) for metric in ("HR@10", "NDCG@10")}
    best = {metric: found.means_GM[:, at].argmax() for metric, at in places.items()}
    rows = []
    for place, group in enumerate(analysis.groups):
        cells = []
        for metric, at in places.items():
            half = (found.high_GM[place, at] - found.low_GM[place, at]) / 2
            star = "*" if best[metric] == place else " "
            cells.append(f"{found.means_GM[place, at]:.4f} ± {half:.4f}{star}")
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
        "* best of the column; ± half the 95 % interval; ahead: on NDCG@10, beyond chance", style="dim"
    )
    pairs = analysis.pairs("NDCG@10")
    if len(pairs) > _SHOWN_PAIRS:
        note(f"of {len(pairs)} pairs those of {analysis.names[0]} are shown; --json and --out have all")
        pairs = [pair for pair in pairs if analysis.names[0] in (pair["first"], pair["second"])]
    print_table(
        ["NDCG@10", "against", "difference", "95 % interval", "p", "Holm p", ""],
        [
            (
                pair["first"],
                pair["second"],
                f"{pair['difference']:.4f}",
                "{:+.4f} to {:+.4f}".format(*pair["interval"]),
                f"{pair['p_value']:.4f}",
                f"{pair['p_holm']:.4f}",
                "beyond chance" if pair["significant"] else "could be chance",
            )
            for pair in pairs
        ],
    )
    synthetic = " (SYNTHETIC: invented, says nothing about real people)" if about["synthetic"] else ""
    print_facts(
        {
            "data": f"{about['data']}{synthetic}",
            "protocol": f"{about['protocol']}, all {about['num_items']:,} items ranked, seen excluded",
            "users": about["num_targets"],
            "commit": about["commit"],
        }
    )
