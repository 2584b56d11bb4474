"""What lies in results/: our measurements and published numbers, and how a number is printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import genrec
import yaml
from genrec.audit.table import Row, impossible_cells
from genrec.recommenders.options import flattened

CELLS = ("HR@5", "NDCG@5", "HR@10", "NDCG@10")
TITLES = {
    "ml-100k": "MovieLens 100K",
    "ml-1m": "MovieLens 1M",
    "amazon2014_beauty": "Amazon Beauty 2014",
    "amazon2014_toys": "Amazon Toys 2014",
}
NAMES = TITLES | {
    "amazon2014_instruments_reviews": "Amazon Musical Instruments 2014",
    "amazon2018_gift_cards": "Amazon Gift Cards 2018",
}
# Files beside the recommenders' results that are told on pages of their own.
OTHERS = {"objectives.json": "objectives and examples at equal time, told in [genrec.md](genrec.md)"}


def data_sets(folder: Path) -> list[str]:
    """Data sets of the page: those that are always there, then the others that have been measured."""
    return [*TITLES, *sorted({path.name for path in folder.iterdir() if path.is_dir()} - set(TITLES))]


def measurements(folder: Path, data: str) -> list[dict[str, Any]]:
    """What `benchmarks/seeds.py` wrote for a data set, best HR@10 first.

    Raises:
        ValueError: two of them were measured on different data.
    """
    paths = [path for path in sorted((folder / data).glob("*.json")) if path.name not in OTHERS]
    found = [json.loads(path.read_text()) for path in paths]
    fingerprints = {result["data"]["fingerprint"] for result in found}
    if len(fingerprints) > 1:
        raise ValueError(f"{folder / data} holds results on different data: {sorted(fingerprints)}")
    return sorted(found, key=lambda result: -result["mean"]["HR@10"]["mean"])


def set_options(result: dict[str, Any]) -> dict[str, Any]:
    """The options of a result that differ from the defaults of the present code; the seed aside."""
    config = yaml.safe_load(result["config"])
    options = flattened(config["config"])
    kind = {name: value for name, value in options.items() if name == "backbone"}
    defaults = flattened(genrec.create(config["recommender"], **kind).config.model_dump(mode="json"))
    return {
        name: value
        for name, value in options.items()
        if name != "seed" and name in defaults and value != defaults[name]
    }


@dataclass(frozen=True)
class Published:
    """One row of results/published.yaml; all values are text as it stands there.

    `cells` are those of CELLS, `-` where nothing is printed; `group` has the source and the marks of the protocol.
    """

    data: str
    model: str
    cells: tuple[str, ...]
    remark: str
    group: dict[str, Any]

    @property
    def row(self) -> Row:
        """The printed numbers as the table audit wants them."""
        printed = {name: text for name, text in zip(CELLS, self.cells, strict=True) if text != "-"}
        digits = max(len(text.partition(".")[2]) for text in printed.values())
        hits, gains = (
            {
                int(name.partition("@")[2]): float(text)
                for name, text in printed.items()
                if name.startswith(kind)
            }
            for kind in ("HR", "NDCG")
        )
        return Row(self.model, hits, gains, digits)

    @property
    def impossible(self) -> dict[str, tuple[float, float]]:
        """Cells that cannot be true beside the others, and the range in which they would have to lie."""
        return {f"{cell.metric}@{cell.k}": (cell.low, cell.high) for cell in impossible_cells(self.row)}


def published(path: Path) -> list[Published]:
    """All rows of results/published.yaml, best HR@10 first. Numbers stay text, so that no digit gets lost."""
    groups = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # every scalar is text
    rows = [
        Published(row[0], row[1], tuple(row[2:6]), row[6] if len(row) > 6 else "", group)
        for group in groups
        for row in group["rows"]
    ]
    return sorted(rows, key=lambda row: -float(row.cells[CELLS.index("HR@10")]))


def number(value: float) -> str:
    """`.0986`, as this field prints its metrics."""
    return f"{value:.4f}".removeprefix("0")


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def spread(entry: dict[str, float], num_seeds: int) -> str:
    """Mean, and the standard deviation where there are several seeds."""
    return number(entry["mean"]) + (f" ± {number(entry['sd'])}" if num_seeds > 1 else "")


def task_cell(metric: str, entry: dict[str, float], num_seeds: int) -> str:
    """A metric of a task: texts in percent as they are, errors of ratings in stars, the others as in `number`."""
    if metric.startswith(("HR", "NDCG", "MRR")):
        return spread(entry, num_seeds)
    digits = 1 if metric.startswith(("BLEU", "ROUGE")) else 3
    more = f" ± {entry['sd']:.{digits}f}" if num_seeds > 1 and entry["sd"] else ""
    return f"{entry['mean']:.{digits}f}{more}"


def duration(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def commits(result: dict[str, Any]) -> str:
    """Short commits of a result, `+` where there were uncommitted changes."""
    names = result["environment"]["commit"].split(", ")
    return ", ".join(f"`{name[:7]}{'+' if name.endswith('+') else ''}`" for name in names)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
