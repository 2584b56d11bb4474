"""`genrec.train`, `genrec.open_run` and `genrec.compare`: what the commands do, from Python."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from pathlib import Path

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.cli.main import main
from genrec.errors import ConfigError, RunError
from genrec.recommenders.popular import Popular
from genrec.runs.environment import environment


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two measured runs; tests must not change them."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in (("popular", {}), ("itemknn", {"num_neighbours": 50})):
        run = genrec.train(name, "synthetic", folder / name, validation_users=200, **options)
        run.evaluate(users=300)
    return folder


def command(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def timeless(metrics: dict) -> dict:
    """What is the same each time that it is measured."""
    clock = {"seconds", "users_per_s", "peak_memory_mb", "run", "unfiltered"}
    kept = {name: value for name, value in metrics.items() if name not in clock}
    return {**kept, "provenance": timeless(kept["provenance"])} if "provenance" in kept else kept


def test_a_run_has_model_recipe_data_and_metrics(runs: Path) -> None:
    run = genrec.open_run(runs / "itemknn")
    assert run.finished
    assert run.recipe.recommender == run.model.name == "itemknn"
    assert run.recipe.config == run.model.config.model_dump()
    assert run.recipe.config["num_neighbours"] == 50
    assert run.data.fingerprint == genrec.synthetic().fingerprint
    assert run.model is run.model
    assert set(run.metrics) == {"training", "validation-200-users", "test-300-users"}
    history = run.today.history("user0007")
    assert history == [run.data.catalogue.ids[item] for item in run.data.interactions.histories[6]]


def test_evaluate_gives_and_keeps_what_the_command_does(runs: Path, tmp_path, capsys) -> None:
    folder = shutil.copytree(runs / "itemknn", tmp_path / "run")
    told = command(capsys, "evaluate", folder, "--users", 100, "--split", "validation")
    run = genrec.open_run(folder)
    ticks: list[tuple[int, int]] = []
    found = run.evaluate("validation", users=100, progress=lambda *tick: ticks.append(tick))
    assert timeless(found) == timeless(told)
    assert run.metrics["validation-100-users"] == json.loads(json.dumps(found))
    assert run.rankings_path("validation-100-users").exists()
    assert ticks[-1] == (200, 200)  # with and without seen items
    assert (
        run.evaluate_tasks(["sequential"], users=100)["tasks"]["sequential"]["itemknn"]["HR@10"]
        == (run.evaluate(users=100)["HR@10"])
    )


def test_train_makes_the_folder_of_the_command(runs: Path, tmp_path, capsys) -> None:
    words = ["train", "itemknn", "num_neighbours=50", "validation_users=200", "--data", "synthetic"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    mine, theirs = genrec.open_run(runs / "itemknn"), genrec.open_run(tmp_path / "run")
    names = {entry.name for entry in theirs.folder.iterdir()}
    assert {entry.name for entry in mine.folder.iterdir()} == names | {"rankings-test-300-users.parquet"}
    for name in ("recipe.yaml", "config.yaml"):
        assert (mine.folder / name).read_bytes() == (theirs.folder / name).read_bytes()
    assert mine.about_data == theirs.about_data
    name = "validation-200-users"
    assert timeless(mine.metrics[name]) == timeless(theirs.metrics[name])
    histories = mine.data.interactions.histories
    assert np.array_equal(mine.model.rank(histories).items_BK, theirs.model.rank(histories).items_BK)


def test_the_recipe_of_a_run_repeats_it(runs: Path, tmp_path) -> None:
    before = genrec.open_run(runs / "itemknn")
    again = genrec.train(before.recipe, "synthetic", tmp_path / "again", shrink=3.0)
    assert again.recipe.config == {**before.recipe.config, "shrink": 3.0}


def test_data_are_read_as_told(tmp_path) -> None:
    rows = [f"u{row % 9},i{row % 7},{row},{row % 3}" for row in range(126)]
    (tmp_path / "log.csv").write_text("\n".join(["uid,item,time,rating", *rows]))
    read = {"columns": {"user_id": "uid"}, "min_rating": 1}
    run = genrec.train("popular", tmp_path / "log.csv", tmp_path / "run", read=read, protocol="temporal")
    assert run.recipe.data == {"path": str((tmp_path / "log.csv").resolve()), **read}
    assert run.recipe.protocol == "temporal"
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "log.csv", tmp_path / "moved" / "log.csv")
    with pytest.raises(RunError, match="no longer at"):
        _ = genrec.open_run(tmp_path / "run").data
    moved = genrec.open_run(tmp_path / "run", data=tmp_path / "moved" / "log.csv")
    assert moved.data.fingerprint == run.data.fingerprint


def test_a_stopped_training_goes_on_and_a_finished_one_is_kept(runs: Path, tmp_path, monkeypatch) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            genrec.train("popular", "synthetic", tmp_path / "run")
    assert not genrec.open_run(tmp_path / "run").finished
    assert genrec.train("popular", "synthetic", tmp_path / "run", resume=True).finished
    with pytest.raises(RunError, match="holds a finished run"):
        genrec.train("popular", "synthetic", tmp_path / "run")


def test_remarks_and_findings_go_to_the_logger(tmp_path, caplog) -> None:
    rows = [f"u{row % 9},i{row % 7},{row if row % 5 else ''}" for row in range(63)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]))
    with caplog.at_level(logging.INFO, logger="genrec"):
        genrec.train("popular", tmp_path / "log.csv", tmp_path / "run")
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert "13 of 63 rows of log.csv were dropped (no time: 13)" in told
    assert any(line.startswith("training popular on log") for line in told)


def test_lists_for_everybody_are_those_of_the_model(runs: Path, tmp_path) -> None:
    run = genrec.open_run(runs / "itemknn")
    out = tmp_path / "lists.parquet"
    assert run.recommend_to_all(out, 3, only={"genres": "Comedy"}, exclude=["F001"]) == 3000
    found = pl.read_parquet(out).filter(user_id="user0042")
    only = {"only": {"genres": "Comedy"}, "exclude": ["F001"]}
    expected = run.today.recommend(["user0042"], 3, **only)[0]
    assert found["item_id"].to_list() == [item.item_id for item in expected.items]
    with pytest.raises(ConfigError, match="exists"):
        run.recommend_to_all(out)
    with pytest.raises(ConfigError, match="k is 0"):
        run.recommend_to_all(tmp_path / "none.parquet", 0)


def test_compare_gives_what_the_command_does(runs: Path, tmp_path, capsys) -> None:
    folders = [runs / "popular", runs / "itemknn"]
    told = command(capsys, "compare", *folders, "--users", 300)
    comparison = genrec.compare([folders[0], genrec.open_run(folders[1])], users=300)
    found = json.loads(json.dumps(comparison.to_json()))
    assert {**found, "command": None, "time": None} == {**told, "command": None, "time": None}
    assert "<html" in comparison.write(tmp_path / "page.html").read_text()
    with pytest.raises(ConfigError, match=r"NAME\.html"):
        comparison.write(tmp_path / "page.pdf")
    with pytest.raises(RunError, match="evaluate"):
        genrec.compare(folders)  # all users were not measured
    with pytest.raises(ConfigError, match="at least one run"):
        genrec.compare([])


def test_wrong_questions_are_refused_before_anything_is_read(runs: Path) -> None:
    run = genrec.open_run(runs / "popular")
    with pytest.raises(ConfigError, match="did you mean test"):
        run.evaluate("tset")
    with pytest.raises(ConfigError, match="users is 0"):
        run.evaluate(users=0)
    with pytest.raises(ConfigError, match="has not learnt rating"):
        run.evaluate_tasks(["rating"])
    with pytest.raises(RunError, match="no run folder"):
        genrec.open_run(runs / "nothing")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/usr/bin/genrec", "bench", "my log.csv"], "genrec bench 'my log.csv'"),
        (["/lib/genrec/__main__.py", "bench"], "genrec bench"),
        (["study.py", "--seed", "3"], "python study.py --seed 3"),
    ],
)
def test_a_run_notes_the_program_that_trained_it(argv: list[str], told: str, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert environment()["command"] == told


def test_the_page_shows_what_works(tmp_path, monkeypatch, capsys) -> None:
    page = Path(__file__).parents[2] / "docs" / "evaluate.md"
    section = page.read_text(encoding="utf-8").partition("## From Python")[2]
    snippet = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    assert "RecommendedItem(" in capsys.readouterr().out
    assert "<html" in (tmp_path / "comparison.html").read_text()
    assert pl.read_parquet("recommendations.parquet").height == 10_000


def test_a_run_reads_the_dates_of_other_days_as_it_read_its_own(tmp_path: Path) -> None:
    monday = [f"u{user},i{(user + step) % 7},{step + 1}/13/2024" for user in range(5) for step in range(4)]
    tuesday = [row.replace("/13/", "/12/") for row in monday]  # which could be days, too
    for name, rows in (("monday", monday), ("tuesday", tuesday)):
        (tmp_path / f"{name}.csv").write_text("\n".join(["Kunde,sku,Datum", *rows]) + "\n")
    run = genrec.train("popular", tmp_path / "monday.csv", tmp_path / "run")
    assert run.recipe.data["dates"] == "month-first"
    today = genrec.open_run(tmp_path / "run", tmp_path / "tuesday.csv").today
    assert today.history("u0") == ["i0", "i1", "i2", "i3"]
    with pytest.raises(genrec.errors.DataError, match="can be read in both ways: say --dates"):
        genrec.read(tmp_path / "tuesday.csv")
    again = genrec.train(tmp_path / "run" / "config.yaml", tmp_path / "tuesday.csv", tmp_path / "again")
    assert again.data.report.dates == "month-first"


def test_who_took_what_is_read_without_the_items_that_the_run_has(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [f"{user} " + " ".join(f"i{(user + step) % 7}" for step in range(5)) for user in range(6)]
    (data / "sequences.txt").write_text("\n".join(rows) + "\n")
    items = data / "items.jsonl"
    items.write_text("".join(f'{{"item_id": "i{row}", "title": "Thing {row}"}}\n' for row in range(7)))
    genrec.train("popular", data, tmp_path / "run")
    items.write_text("no JSON\n")
    today = genrec.open_run(tmp_path / "run").today
    assert today.history("2") == ["i2", "i3", "i4", "i5", "i6"]
    assert today.model.catalogue.titles[0] == "Thing 0"
    with pytest.raises(genrec.errors.DataError, match=r"items\.jsonl"):
        _ = genrec.open_run(tmp_path / "run", data).today  # what is named is read
