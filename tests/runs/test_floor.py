"""The floor beside a run: `transitions` on the same questions."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import genrec
import polars as pl
import pytest
from genrec.cli.main import main
from genrec.data.catalogue import Catalogue
from genrec.runs import floor
from genrec.runs.floor import cheap_floors, floor_options, measured_floor, warn_below_floor
from genrec.testing import toys


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> genrec.Run:
    """A run below the floor; tests only measure it."""
    return genrec.train("popular", "synthetic", tmp_path_factory.mktemp("runs") / "popular")


def test_a_run_below_the_floor_is_told_with_both_numbers(run: genrec.Run, caplog) -> None:
    found = run.evaluate(users=50)
    expected = genrec.create("transitions", text="tfidf").fit(run.parts.train)
    measured = genrec.evaluate(expected.rank, run.parts.test.sample(50)).to_json()
    beside = found["floor"]
    assert (beside["recommender"], beside["options"]) == ("transitions", {"text": "tfidf"})
    for name in ("HR@5", "NDCG@10", "MRR", "intervals"):
        assert beside[name] == measured[name]
    assert run.metrics["test-50-users"]["floor"] == beside
    (line,) = [entry.getMessage() for entry in caplog.records if "below the floor" in entry.getMessage()]
    assert (
        f"test-50-users: NDCG@10 {found['NDCG@10']:.4f} is below the floor, {beside['NDCG@10']:.4f}" in line
    )


def test_it_can_be_left_out(run: genrec.Run, caplog) -> None:
    assert "floor" not in run.evaluate("validation", users=50, floor=False)
    assert "floor" not in caplog.text


def test_the_floor_is_not_measured_beside_itself(tmp_path: Path, caplog) -> None:
    run = genrec.train("transitions", "synthetic", tmp_path / "run")
    assert "floor" not in run.evaluate(users=50)
    assert "below" not in caplog.text


def test_where_it_is_large_a_note_says_that_it_is_left_out(
    run: genrec.Run, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    targets = run.parts.test.sample(50)
    monkeypatch.setattr(floor, "MOST_SCORES", 50 * len(targets.catalogue) - 1)
    with caplog.at_level(logging.INFO, logger="genrec"):
        assert measured_floor(run.parts.train, targets) is None
    assert "no floor beside these numbers: 50 users" in caplog.text
    monkeypatch.setattr(floor, "MOST_SCORES", 50 * len(targets.catalogue))
    assert measured_floor(run.parts.train, targets) is not None


def test_at_or_above_it_nothing_is_said(caplog) -> None:
    beside = {"recommender": "transitions", "options": {}, "NDCG@10": 0.1}
    warn_below_floor("test", {"NDCG@10": 0.1, "floor": beside})
    assert not caplog.records
    warn_below_floor("test", {"NDCG@10": 0.0999, "floor": beside})
    assert len(caplog.records) == 1


def test_items_without_titles_are_compared_by_transitions_alone() -> None:
    bare = Catalogue(pl.DataFrame({"item_id": ["a", "b"], "title": ["a", "b"]}), titled=False)
    assert floor_options(bare) == {}
    assert floor_options(toys.catalogue(2)) == {"text": "tfidf"}


def test_what_only_counts_stands_beside_the_validation_figure(
    tmp_path: Path, caplog, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "popular", "validation_users=60", "--data", "synthetic", "--out", str(tmp_path / "run")]
    assert main([*words, "--floors"]) == 0
    told = capsys.readouterr()
    run = genrec.open_run(tmp_path / "run")
    found = run.metrics["validation-60-users"]["floors"]
    assert list(found) == ["itemknn", "transitions"]  # not itself
    expected = genrec.create("itemknn").fit(run.parts.train)
    measured = genrec.evaluate(expected.rank, run.parts.validation.sample(60)).to_json()
    assert found["itemknn"]["NDCG@10"] == measured["NDCG@10"]
    line = f"HR@10 {measured['HR@10']:.4f}, NDCG@10 {measured['NDCG@10']:.4f}"
    assert line in next(row for row in told.out.splitlines() if row.startswith("itemknn, beside"))
    best = max(found, key=lambda name: found[name]["NDCG@10"])
    assert f"is below the floor, {found[best]['NDCG@10']:.4f} of {best}" in " ".join(told.err.split())


def test_they_take_a_tenth_of_the_training_at_most(
    run: genrec.Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    targets = run.parts.validation.sample(50)
    run.evaluate("validation", users=50, floor=False)

    def floors(seconds: float, always: bool | None = None) -> list[str]:
        run.add_metrics("training", run.metrics["training"] | {"seconds": seconds})
        return list(cheap_floors(run, "validation-50-users", targets, always=always))

    assert floors(1e9) == ["itemknn", "transitions"]
    assert floors(1e9, False) == []
    assert floors(4.9) == []  # not worth to begin
    assert floors(0.1, True) == ["itemknn", "transitions"]
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO, logger="genrec"):
        assert floors(60.0) == []
    assert "no transitions beside these numbers: it would take more than 10% of the 60 s" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(floor, "MOST_PAIRS", 1)
    assert floors(1e9) == ["transitions"]
