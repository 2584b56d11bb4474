"""`genrec bench`: a row for everything that users wait for."""

from __future__ import annotations

import shutil
from pathlib import Path

import genrec
import numpy as np
import pytest
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender
from genrec.recommenders.popular import Popular
from genrec.runs import bench as bench_rows
from genrec.runs.bench import Row, measure

UNITS = {
    "read and split": {"s"},
    "trie of 10 items": {"s"},
    "training genrec": {"steps/s", "targets/s"},
    "training sasrec": {"steps/s", "targets/s"},
    "decoding, best first": {"users/s"},
    "decoding, beam 10": {"users/s"},
    "decoding, beam 50": {"users/s"},
    "random model, our beam 10": {"users/s"},
    "random model, generate 10": {"users/s"},
    "random model, ours by generate's": {"times"},
    "metrics of a user": {"µs"},
}


def units(rows: list[dict[str, object]]) -> dict[str, set[object]]:
    found: dict[str, set[object]] = {}
    for row in rows:
        found.setdefault(str(row["what"]), set()).add(row["unit"])
    return found


def test_every_row_is_measured(cli, shop: Path, tmp_path: Path) -> None:
    words = (shop / "sales.csv", "--items", shop / "goods.csv", "--seconds", "0.01", "--json")
    result = cli("bench", *words, "--out", tmp_path / "bench.md")
    found = result.json
    assert (found["data"], found["num_users"], found["num_items"]) == ("sales", 12, 10)
    assert found["num_interactions"] == 72
    assert units(found["rows"]) == UNITS
    assert all(row["figure"] > 0 for row in found["rows"])
    assert all(10 < row["peak_memory_mb"] < 100_000 for row in found["rows"])
    steps, targets = (row["figure"] for row in found["rows"] if row["what"] == "training sasrec")
    assert targets / steps == pytest.approx(36)  # 12 users with 4 training items each, in one batch
    assert "measuring: training genrec" in result.err
    page = (tmp_path / "bench.md").read_text()
    assert page.startswith("# genrec bench, 20")
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| decoding")] == [
        "| decoding, best first",
        "| decoding, beam 10",
        "| decoding, beam 50",
    ]


def test_a_run_is_asked_for_its_own_lists(cli, popular_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rows(read, protocol: str, trained: Recommender, seconds: float, batch_size) -> tuple:
        data = read()
        asked.extend([protocol, trained.name, seconds])
        return data, bench_rows.ranking(trained, data.test, 0.01)

    monkeypatch.setattr(bench_rows, "measure", rows)
    shown = cli("bench", popular_run, "--seconds", "2").out.splitlines()
    assert asked == ["leave-one-out", "popular", 2.0]
    assert shown[0].startswith("synthetic: 1,000 users, 400 items, 13,942 interactions; ")
    assert shown[1].split() == ["what", "figure", "unit", "peak", "memory,", "MB"]
    assert shown[2].startswith("ranking by popular")
    assert "users/s" in shown[2]


def test_beams_are_set_for_the_row_and_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = genrec.create("genrec", beams=7)
    widths = []

    def ranked(model, what: str, *rest: object) -> Row:
        widths.append((what, model.config.search.beams))
        return Row(what, 1.0, "users/s", 1.0)

    monkeypatch.setattr(bench_rows, "_ranked", ranked)
    bench_rows.ranking(model, None, 1.0)
    assert widths == [("decoding, best first", 7), ("decoding, beam 10", 10), ("decoding, beam 50", 50)]
    assert model.config.search.beams == 7


def test_so_many_users_are_ranked_at_once_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = genrec.synthetic().split("leave-one-out")
    model = genrec.create("popular", ranking_batch=50).fit(parts.train)
    asked: list[int] = []
    rank = Popular._rank

    def counted(self, histories, *args, **options):
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    monkeypatch.setattr(Popular, "_rank", counted)
    bench_rows.ranking(model, parts.test, 0.001)
    bench_rows.ranking(model, parts.test, 0.001, 70)
    assert set(asked) == {1, 50, 70}


def test_a_training_grows_until_it_fills_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 users first, then more of them, then more epochs of them all."""
    data = genrec.synthetic()
    sizes = []

    def fitted(name: str, train, epochs: int) -> tuple[None, dict[str, float]]:
        sizes.append((train.num_users, epochs))
        return None, {"train_runtime": train.num_users * epochs / 1000, "step": 2 * train.num_users * epochs}

    monkeypatch.setattr(bench_rows, "_fitted", fitted)
    _, rows = bench_rows.training("sasrec", data.split(), 10.0)
    assert sizes[0] == (256, 1)
    assert sizes[1] == (1000, 4)
    assert sizes[-1] == (1000, 10)
    assert rows[0].figure == pytest.approx(2000)
    assert rows[1].figure == pytest.approx(float(np.mean(data.train.histories.lengths - 1)) * 1000)


def test_the_reading_is_given_as_a_function_and_its_split_by_name() -> None:
    with pytest.raises(ConfigError, match="split 'halves' is not known"):
        measure(genrec.synthetic, "halves", None, 0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seconds", "0"), "--seconds is 0; give a row more than 0"),
        (("nowhere.csv",), "nowhere.csv"),
        (("--out", "bench.txt"), "--out writes a Markdown page: give NAME.md, not bench.txt"),
        (("--out", "nowhere/bench.md"), "there is no folder nowhere to write bench.md to"),
        (("--data", "elsewhere"), "--data is for runs whose data were moved"),
    ],
)
def test_mistakes_are_told_in_a_line(mistake, words: tuple[str, ...], message: str) -> None:
    assert message in mistake("bench", *words)


def test_a_run_takes_no_reading_options(mistake, popular_run: Path) -> None:
    assert "--k-core goes with DATA" in mistake("bench", popular_run, "--k-core", "5")
    assert "--protocol goes with DATA" in mistake("bench", popular_run, "--protocol", "temporal")


def test_an_unfinished_run_and_a_file_of_others_are_refused(mistake, popular_run: Path, tmp_path) -> None:
    run = Path(shutil.copytree(popular_run, tmp_path / "run"))
    shutil.rmtree(run / "model")
    assert "has not finished" in mistake("bench", run)
    notes = tmp_path / "notes.md"
    notes.write_text("# My notes\n")
    assert "exists and is no page of genrec bench" in mistake("bench", "--out", notes)
    assert notes.read_text() == "# My notes\n"
