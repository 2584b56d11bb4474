"""Which cells of a printed table cannot be true.

With one target a user, HR and NDCG at several cut-offs are tied together: a hit at a place from a + 1 to b adds
between 1/log2(b + 1) and 1/log2(a + 2) to NDCG@b. So each NDCG has a range beside the other cells of its row, and
HR never falls from one cut-off to a larger one.

Rounding: a cell is off by half a unit of its last digit at most. The widest range is built on NDCG@a, HR@a and HR@b
with a = 2, where these halves add up to 1.5 units; that is the tolerance for all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import log2
from pathlib import Path

from genrec.audit.findings import Audit, Finding
from genrec.errors import DataError

_METRIC = re.compile(
    r"(?:(?P<hits>hr|hits?|hit ?rate|hit ?ratio|recall|[hr](?=@))|(?P<gain>ndcg|n(?=@)))[ @-]*(?P<k>[1-9]\d*)"
)
_EMPTY = {"", "-", "–", "—", "n/a", "na", "nan"}
_ADVICE = "look the row up in its source, and do not build on it"


@dataclass(frozen=True)
class Row:
    """One row of a table: HR and NDCG by cut-off, in the printed unit.

    `digits` are the decimals of the longest cell (a spreadsheet drops closing zeros); `whole` is what the largest
    HR could be: 1, or 100 where the row is in percent.
    """

    where: str
    hits: Mapping[int, float]
    gains: Mapping[int, float]
    digits: int
    whole: float = 1.0


@dataclass(frozen=True)
class ImpossibleCell:
    """A cell and the range in which it would have to lie; all in the printed unit."""

    metric: str  # "HR" or "NDCG"
    k: int
    value: float
    low: float
    high: float


def is_metric(column: str) -> bool:
    """Whether a column's name stands for HR (hit rate, recall) or NDCG at a cut-off, in any usual spelling."""
    return _metric(column) is not None


def audit_table(path: Path) -> Audit:
    """Hold the arithmetic of one-target metrics against every row of a CSV file.

    Args:
        path: comma-separated, a header, one row a model and data set; columns that `is_metric` knows are judged, the
            words of all others name the row. Values are fractions or percent, cells may be empty.

    Returns:
        A warning for each impossible cell.

    Raises:
        DataError: no such file, no metric columns, two columns for one metric, or a cell that is no number.
    """
    rows = read_table(path)
    findings = [_finding(row, cell) for row in rows for cell in impossible_cells(row)]
    num_cells = sum(len(row.hits) + len(row.gains) for row in rows)
    checked = f"{num_cells:,} cells in {len(rows):,} rows for values that their row makes impossible"
    return Audit(path.name, checked, tuple(findings))


def impossible_cells(row: Row) -> list[ImpossibleCell]:
    """The cells of a row that cannot be true beside the others.

    HR first: the fewest cells without which it never falls, and no range is built on them. Then NDCG from the
    smallest cut-off: each one contains those before it, so after the first impossible one the row is left.
    """
    slack = 1.5 * 10.0**-row.digits + 1e-9
    false = _false_hits(row, slack)
    believed = {k: value for k, value in row.hits.items() if k not in false}
    cells = []
    for k in sorted(false):
        low = max((value for other, value in believed.items() if other < k), default=0.0)
        high = min((value for other, value in believed.items() if other > k), default=row.whole)
        cells.append(ImpossibleCell("HR", k, row.hits[k], low, high))
    return cells + _impossible_gain(believed, row, slack)


def possible_gain(
    k: int, hits: Mapping[int, float], gains: Mapping[int, float], whole: float = 1.0
) -> tuple[float, float]:
    """Lowest and highest NDCG@k beside HR at some cut-offs and NDCG at smaller ones.

    Args:
        k: cut-off in question.
        hits: HR by cut-off, as many as are known.
        gains: NDCG by cut-off; those of k and above are not looked at.
        whole: the largest HR there can be.
    """
    hits = {0: 0.0, **hits}
    smaller = {0: 0.0} | {a: value for a, value in gains.items() if a < k}
    if k > 1 and 1 in hits:
        smaller[1] = hits[1]  # a hit at the first place counts whole
    base = max(a for a in smaller if a in hits)
    known = sorted(a for a in hits if base <= a <= k)
    low = high = smaller[base]
    for a, b in pairwise(known):
        low += (hits[b] - hits[a]) / log2(b + 1)
        high += (hits[b] - hits[a]) / log2(a + 2)
    if known[-1] < k:  # HR@k is not given: it is at most the next HR that is
        ceiling = min((value for c, value in hits.items() if c > k), default=whole)
        high += (ceiling - hits[known[-1]]) / log2(known[-1] + 2)
    return max(low, *smaller.values()), high


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV file that have at least one metric; see `audit_table`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(reader.line_num, cells) for reader in [csv.reader(file)] for cells in reader]
    except FileNotFoundError:
        raise DataError(f"there is no table {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as CSV ({error}): save it as UTF-8 CSV") from None
    header = lines[0][1] if lines else []
    metrics = [_metric(column) for column in header]
    named = [metric for metric in metrics if metric is not None]
    if not named:
        raise DataError(
            f"{path.name} has the columns {', '.join(header) or '(none)'}, and none is HR@k or NDCG@k: name the "
            "metrics as in HR@10, Recall@10 or NDCG@10"
        )
    for metric in named:
        if named.count(metric) > 1:
            raise DataError(f"{path.name} has several columns for {metric[0]}@{metric[1]}: keep one")
    rows = []
    for number, cells in lines[1:]:
        if len(cells) > len(header):
            raise DataError(
                f"line {number} of {path.name} has {len(cells)} cells and the header {len(header)}: quote commas"
            )
        row = _row(path.name, number, dict(zip(header, cells, strict=False)))
        if row.hits or row.gains:
            rows.append(row)
    return rows


def _metric(column: str) -> tuple[str, int] | None:
    """`("HR", k)` or `("NDCG", k)`."""
    found = _METRIC.fullmatch(re.sub(r"[\s_]+", " ", re.sub(r"\(?%\)?$", "", column.strip().lower())).strip())
    return None if found is None else ("HR" if found["hits"] else "NDCG", int(found["k"]))


def _row(name: str, number: int, cells: Mapping[str, str]) -> Row:
    """A row of cells, each as text."""
    values: dict[str, dict[int, float]] = {"HR": {}, "NDCG": {}}
    words, digits, percent = [], 0, False
    for column, text in cells.items():
        metric, text = _metric(column), text.strip()
        if metric is None:
            words += [text] if text and not _is_number(text) else []
            continue
        bare = text.strip("*†‡ ").removesuffix("%").strip()
        if bare.lower() in _EMPTY:
            continue
        if not _is_number(bare):
            raise DataError(
                f"line {number} of {name} has {text!r} for {column.strip()}: give a number, or leave it empty"
            )
        values[metric[0]][metric[1]] = float(bare)
        digits = max(digits, len(bare.partition(".")[2]))
        percent |= "%" in text or "%" in column or float(bare) > 1
    where = ", ".join([f"line {number}", *words])
    return Row(where, values["HR"], values["NDCG"], digits, 100.0 if percent else 1.0)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?(\d+\.?\d*|\.\d+)", text) is not None


def _false_hits(row: Row, slack: float) -> set[int]:
    """The fewest cut-offs without which HR never falls; among equally few, those that save the row's NDCG."""
    for size in range(len(row.hits) + 1):
        choices = []
        for left_out in combinations(sorted(row.hits, reverse=True), size):
            kept = {k: value for k, value in row.hits.items() if k not in left_out}
            values = [0.0, *(kept[k] for k in sorted(kept)), row.whole]
            if all(b >= a - slack for a, b in pairwise(values)):
                choices.append((len(_impossible_gain(kept, row, slack)), left_out))
        if choices:
            return set(min(choices, key=lambda choice: choice[0])[1])
    raise AssertionError("a row without HR falls nowhere")


def _impossible_gain(hits: Mapping[int, float], row: Row, slack: float) -> list[ImpossibleCell]:
    """The first NDCG that is impossible beside `hits`, if any."""
    for k in sorted(row.gains):
        low, high = possible_gain(k, hits, row.gains, row.whole)
        if not low - slack <= row.gains[k] <= high + slack:
            return [ImpossibleCell("NDCG", k, row.gains[k], low, high)]
    return []


def _finding(row: Row, cell: ImpossibleCell) -> Finding:
    digits = row.digits
    what = (
        f"{cell.metric}@{cell.k} is {cell.value:.{digits}f}, and beside the other cells only {cell.low:.{digits}f} "
        f"to {cell.high:.{digits}f} is possible"
    )
    built_on_it = [f"NDCG@{k}" for k in sorted(row.gains) if cell.metric == "NDCG" and k > cell.k]
    if built_on_it:
        what += f" ({', '.join(built_on_it)} contains it and is not judged)"
    outside = max(cell.value - cell.high, cell.low - cell.value)
    return Finding("warning", "impossible cell", row.where, what, outside, _ADVICE)
