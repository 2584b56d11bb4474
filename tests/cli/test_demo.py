from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from html import escape, unescape
from pathlib import Path

import genrec
import pytest
from genrec.data.interactions import IntArray
from genrec.data.ranking_file import read_rankings
from genrec.errors import DataError
from genrec.evaluation.metrics import per_user
from genrec.evaluation.outcomes import outcomes
from genrec.evaluation.protocol import evaluate_rankings
from genrec.evaluation.significance import verdicts
from genrec.pages.users import what_happened
from genrec.recommenders.itemknn import ItemKNN
from genrec.runs import pace


@pytest.fixture
def small(tmp_path: Path) -> Path:
    from genrec.data.synthetic import synthetic, write

    return write(synthetic(num_users=60), tmp_path / "small")


def floor_ranks(data: genrec.Dataset) -> IntArray:
    """Where `transitions` puts the test targets."""
    model = genrec.create("transitions", text="tfidf").fit(data.train, data.validation)
    return genrec.evaluate(model.rank, data.test).ranks_B


def test_the_demo_measures_shows_and_reports(cli, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    shown = cli("demo", "--data", small, "--out", out, "--recipe", "itemknn").out
    page = (out / "report.html").read_text()
    data = genrec.read(small)
    (run,) = [entry for entry in out.iterdir() if entry.is_dir()]
    found = evaluate_rankings(read_rankings(run / "rankings-test.parquet", data.test), data.test)
    for outcome in outcomes(found.ranks_B, data.test.histories.lengths):
        assert outcome.row is not None
        taken = data.catalogue.titles[data.test.items[outcome.row]]
        told = what_happened("itemknn", outcome, len(data.test), int(found.ranks_B[outcome.row]))
        for text in (str(data.test.users[outcome.row]), taken, told):
            assert text in shown
            assert escape(text) in page
    assert shown.count("took next:") == 3
    assert page.index("Three users") < page.index("What it finds")
    values = [per_user(ranks, [10])["NDCG@10"] for ranks in (found.ranks_B, floor_ranks(data))]
    judged = verdicts(values[0], {"transitions": values[1]})["transitions"]
    assert f"<b>{judged.words}</b> transitions: NDCG@10 {judged.difference:+.4f}, 95% interval" in page
    assert "By the paired test on NDCG@10, itemknn is " in shown
    for name in ("transitions", "itemknn", "popular"):
        assert name in shown
        assert name in page
    assert json.loads((run / "metrics.json").read_text())["test"]["num_users"] == 60


def test_the_synthetic_demo_says_so(cli, tmp_path: Path) -> None:
    shown = cli("demo", "--out", tmp_path, "--recipe", "popular").out
    assert "SYNTHETIC" in shown
    assert "synthetic data" in (tmp_path / "report.html").read_text().lower()


def test_a_second_demo_trains_nothing_again(cli, small: Path, tmp_path: Path, monkeypatch) -> None:
    words = ("demo", "--data", small, "--out", tmp_path / "demo", "--recipe", "itemknn")
    first = cli(*words).out
    fitted = []
    learn = ItemKNN._fit
    monkeypatch.setattr(ItemKNN, "_fit", lambda *args: (fitted.append(1), learn(*args)))
    again = cli(*words)
    assert fitted == []
    assert "is trained already" in again.err
    reports = [next(line for line in out.splitlines() if "report: " in line) for out in (first, again.out)]
    assert reports[0] == reports[1]


def test_the_next_commands_are_there_to_copy_and_work(
    cli, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "my demo"
    log = small / "interactions.csv"
    words = ("--data", log, "--items", small / "items.csv", "--orders", "none", "--column", "rating=")
    shown = cli("demo", *words, "--out", out, "--recipe", "popular").out
    page = unescape((out / "report.html").read_text())
    end = shown[shown.index("report: ") :]
    commands = [line.strip() for line in end.splitlines() if line.startswith("  ")]
    assert commands.pop() == "genrec demo --data LOG.csv"
    assert [shlex.split(line)[1] for line in commands] == [
        "recommend",
        "recommend",
        "recommend",
        "audit",
        "train",
        "evaluate",
        "compare",
    ]
    monkeypatch.chdir(tmp_path)
    for line in commands:
        assert line in page
        cli(*shlex.split(line)[1:])
    assert (out / "everybody.parquet").exists()
    comparison = unescape((out / "comparison.html").read_text())
    first, second, third = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", comparison)
    assert "--because" in first
    cli(*shlex.split(first)[1:])
    assert "everybody.parquet exists" in cli(*shlex.split(second)[1:], code=2).err
    cli(*shlex.split(third)[1:])


def test_the_other_recommender_is_held_out_alike(cli, small: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("recommender: popular\nprotocol: temporal\n")
    out = tmp_path / "demo"
    shown = cli("demo", "--data", small, "--out", out, "--recipe", recipe).out
    commands = [line.strip() for line in shown.splitlines() if line.startswith("  genrec ")]
    train, evaluate, compare = (line for line in commands if str(out / "itemknn") in line)
    assert "--protocol temporal" in train
    for line in (train, evaluate, compare):
        cli(*shlex.split(line)[1:])
    recipe.write_text(f"recommender: popular\ndata:\n  path: {small}\n  min_history: 4\n")
    shown = cli("demo", "--data", small, "--out", tmp_path / "other", "--recipe", recipe).out
    assert "genrec recommend" in shown
    assert "genrec train" not in shown  # which could not be told to read the data alike


def test_the_time_is_told_before_the_work(cli, small: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pace, "sample_seconds", lambda: 120 / pace.DEMO_SAMPLES)
    told = cli("demo", "--data", small, "--out", tmp_path / "demo", "--recipe", "popular").err
    assert told.startswith("how long this takes depends on the data and the recipe")

    def stopped(*_: object, **__: object) -> None:
        raise DataError("stopped")

    monkeypatch.setattr("genrec.runs.train.train_run", stopped)
    told = cli("demo", "--out", tmp_path / "other", code=2).err
    assert told.startswith("this takes about 2 minutes, by what one core does just now")


@pytest.mark.slow
def test_the_demo_takes_less_than_90_seconds_of_a_core_and_about_what_it_says(tmp_path: Path) -> None:
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    before, begun = os.times(), time.perf_counter()
    words = [sys.executable, "-m", "genrec", "demo", "--out", str(tmp_path)]
    done = subprocess.run(words, env=os.environ | threads, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - begun, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 90
    number, unit = re.search(r"this takes about (\d+) (seconds|minutes)", done.stderr).groups()
    told = int(number) * (60 if unit == "minutes" else 1)
    assert wall / 2.5 < told < wall * 2.5, f"told {told} s, took {wall:.0f} s"


def test_a_page_of_somebody_else_is_not_replaced(cli, small: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>minutes of the meeting</p>")
    told = cli("demo", "--data", small, "--out", tmp_path, "--recipe", "popular", code=2).err
    assert f"{page} exists and is no page of genrec" in told
    assert page.read_text() == "<p>minutes of the meeting</p>"
    assert sorted(tmp_path.iterdir()) == [page, small]
