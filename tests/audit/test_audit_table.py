"""Impossible cells of real papers, and of tables that are made so."""

from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np
import pytest
from genrec.audit.table import (
    Row,
    audit_table,
    impossible_cells,
    is_metric,
    possible_gain,
    read_table,
)
from genrec.errors import DataError
from genrec.evaluation.metrics import hit_rate, ndcg
from hypothesis import given
from hypothesis import strategies as st

TABLES = Path(__file__).parent / "tables"

# Table, row, data set, cell, what is printed and what would be possible.
RECSYSLLM = """
Table 4, RecSysLLM seen, Sports: NDCG@10 is 0.0302, 0.0307 to 0.0311
Table 4, RecSysLLM seen, Beauty: NDCG@10 is 0.0446, 0.0427 to 0.0438
Table 4, P5 unseen, Toys: NDCG@10 is 0.0536, 0.0511 to 0.0517
Table 4, RecSysLLM unseen, Sports: NDCG@10 is 0.0375, 0.0365 to 0.0373
Table 7, RecSysLLM seen, Sports: NDCG@10 is 0.1692, 0.1720 to 0.1786
Table 7, RecSysLLM unseen, Sports: NDCG@10 is 0.1703, 0.1783 to 0.1848
Table 7, RecSysLLM unseen, Beauty: HR@1 is 0.6072, 0.0000 to 0.1502
Table 7, RecSysLLM unseen, Beauty: NDCG@10 is 0.1302, 0.1333 to 0.1387
Table 7, RecSysLLM unseen, Toys: NDCG@10 is 0.1028, 0.0970 to 0.1004
Table 8, ChatGLM+SFT, Alipay: NDCG@10 is 0.2513, 0.2402 to 0.2474
Table 8, RecSysLLM, Alipay: NDCG@10 is 0.4091, 0.3347 to 0.3411
Table 9, ChatGLM+SFT, Alipay: NDCG@5 is 0.6826, 0.4542 to 0.5525
Table 9, RecSysLLM, Alipay: NDCG@5 is 0.7032, 0.5921 to 0.6523
"""
OTHERS = """
GenRec Table 1, GenRec, ML-25M: NDCG@10 is 0.0837, 0.0796 to 0.0815
P5 Table 3, P5-B (2-13), Toys: NDCG@10 is 0.0536, 0.0511 to 0.0517
"""


def told(path: Path) -> list[str]:
    """The findings without their line numbers and common words."""
    lines = [
        finding.line.split(", ", 1)[1].split(" is possible")[0] for finding in audit_table(path).findings
    ]
    return [line.replace("and beside the other cells only ", "") for line in lines]


@pytest.mark.parametrize(("name", "expected"), [("recsysllm.csv", RECSYSLLM), ("p5_palr_tiger.csv", OTHERS)])
def test_exactly_the_impossible_cells_of_published_tables(name: str, expected: str) -> None:
    assert told(TABLES / name) == expected.strip().splitlines()


def test_a_cell_that_contains_an_impossible_one_is_named_with_it() -> None:
    (line,) = [
        finding.line for finding in audit_table(TABLES / "recsysllm.csv").findings if "0.7032" in finding.line
    ]
    assert "NDCG@10 contains it and is not judged" in line


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header",
    [
        "HR@5,N@5,HR@10,N@10",
        "hit@5,ndcg_5,Hit Rate@10,NDCG 10",
        "Recall@5,NDCG5,R@10,ndcg@10",
        "H@5,n@5,hits@10,N@10",
    ],
)
def test_usual_spellings(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "t.csv", f"model,dataset,{header}\nA,X,.0360,.0291,.0417,.0302\n")
    (row,) = read_table(path)
    assert (row.hits, row.gains) == ({5: 0.036, 10: 0.0417}, {5: 0.0291, 10: 0.0302})
    assert [(cell.metric, cell.k) for cell in impossible_cells(row)] == [("NDCG", 10)]


def test_what_is_no_such_metric() -> None:
    for name in ("MRR", "MRR@10", "R1", "model", "n", "HR", "P@5", "N10", "HR@0"):
        assert not is_metric(name), name


def test_percent_and_fractions_are_judged_alike(tmp_path: Path) -> None:
    rows = [
        "3.60,2.91,4.17,3.02",
        "3.60%,2.91%,4.17%,3.02%",
        ".0360,.0291,.0417,.0302",
        "**.0360**,.0291†,.0417,.0302",
    ]
    text = "model,HR@5,NDCG@5,HR@10,NDCG@10\n" + "".join(f"A,{row}\n" for row in rows)
    found = audit_table(write(tmp_path / "t.csv", text)).findings
    assert [finding.where for finding in found] == [f"line {number}, A" for number in (2, 3, 4, 5)]


def test_empty_cells_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    text = "model,MRR,HR@10,NDCG@10,NDCG@5,note\nA,.9,.05,,,-\nB,.9,–,.04,n/a,\n\nC,.9,,,,\nD,.9,.0400,.0500,,x\n"
    found = audit_table(write(tmp_path / "t.csv", text))
    assert [finding.where for finding in found.findings] == ["line 6, D, x"]
    assert "4 cells in 3 rows" in found.checked


def test_the_tolerance_follows_the_printed_digits(tmp_path: Path) -> None:
    exact = Row("", {5: 0.036, 10: 0.0417}, {5: 0.0291, 10: 0.0311}, digits=4)
    assert impossible_cells(exact) == []  # 0.03113 is the most, 0.0312 would be rounding too
    assert impossible_cells(Row("", exact.hits, {5: 0.0291, 10: 0.0313}, digits=4))
    assert impossible_cells(Row("", exact.hits, {5: 0.0291, 10: 0.0313}, digits=3)) == []
    assert impossible_cells(Row("", exact.hits, {5: 0.0291, 10: 0.0312}, digits=6))


@pytest.mark.parametrize(
    ("hits", "gains", "culprits"),
    [
        ({5: 0.3, 10: 0.2}, {}, {("HR", 10)}),  # one of two: the later one is named
        ({1: 0.5, 5: 0.3, 10: 0.4}, {}, {("HR", 1)}),
        ({1: 0.1, 5: 0.9, 10: 0.4}, {}, {("HR", 10)}),
        ({1: 0.1, 5: 0.9, 10: 0.4}, {5: 0.2, 10: 0.25}, {("HR", 5)}),  # NDCG@5 says that .9 is wrong
        ({5: 0.3, 10: 0.2}, {5: 0.05, 10: 0.1}, {("HR", 5)}),
        ({10: 1.2}, {}, {("HR", 10)}),
        ({10: 0.4}, {10: -0.1}, {("NDCG", 10)}),
        ({}, {5: 0.3, 10: 0.2}, {("NDCG", 10)}),
        ({10: 0.2}, {5: 0.3}, {("NDCG", 5)}),
        ({1: 0.1}, {1: 0.2}, {("NDCG", 1)}),
    ],
)
def test_the_culprit_is_named(hits: dict, gains: dict, culprits: set) -> None:
    assert {(cell.metric, cell.k) for cell in impossible_cells(Row("", hits, gains, digits=4))} == culprits


def test_ranges_by_hand() -> None:
    assert possible_gain(5, {5: 0.6}, {}) == pytest.approx((0.6 / log2(6), 0.6))
    assert possible_gain(5, {1: 0.2, 5: 0.6}, {}) == pytest.approx((0.2 + 0.4 / log2(6), 0.2 + 0.4 / log2(3)))
    assert possible_gain(10, {5: 0.6, 10: 0.8}, {5: 0.5}) == pytest.approx(
        (0.5 + 0.2 / log2(11), 0.5 + 0.2 / log2(7))
    )
    # Without NDCG@5 the HRs alone bound NDCG@10; without HR@10 the next HR does.
    assert possible_gain(10, {5: 0.6, 10: 0.8}, {}) == pytest.approx(
        (0.6 / log2(6) + 0.2 / log2(11), 0.6 + 0.2 / log2(7))
    )
    assert possible_gain(10, {5: 0.6, 20: 0.8}, {5: 0.5}) == pytest.approx((0.5, 0.5 + 0.2 / log2(7)))


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=200),
    st.sets(st.integers(1, 30), min_size=1, max_size=6),
    st.sets(st.integers(1, 30), max_size=6),
    st.integers(2, 5),
)
def test_true_numbers_are_never_accused(
    found: list[int], hr_ks: set[int], ndcg_ks: set[int], digits: int
) -> None:
    ranks_B = np.array(found)
    hits = {k: round(float(hit_rate(ranks_B, k).mean()), digits) for k in hr_ks}
    gains = {k: round(float(ndcg(ranks_B, k).mean()), digits) for k in ndcg_ks}
    assert impossible_cells(Row("", hits, gains, digits)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,MRR\nA,.1\n", "none is HR@k or NDCG@k"),
        ("", "(none)"),
        ("model,HR@5,Hit@5\nA,.1,.1\n", "several columns for HR@5"),
        ("model,HR@5\nA,much\n", "line 2 of t.csv has 'much' for HR@5"),
        ("model,HR@5\nA,.1,.2\n", "line 2 of t.csv has 3 cells"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as error:
        audit_table(write(tmp_path / "t.csv", text))
    assert said in str(error.value)
    with pytest.raises(DataError, match="there is no table"):
        audit_table(tmp_path / "missing.csv")
