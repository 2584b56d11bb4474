from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import pytest
import yaml
from genrec.data.interactions import Histories
from genrec.recommenders.popular import Popular
from genrec.recommenders.sasrec import SASRec

SYNTHETIC = ("--data", "synthetic")


def test_a_run_folder_holds_all_that_repeats_it(knn_run: Path) -> None:
    assert {entry.name for entry in knn_run.iterdir()} == {
        *("recipe.yaml", "config.yaml", "environment.json", "data.json", "metrics.json", "model")
    }
    assert (knn_run / "recipe.yaml").read_text() == "recommender: itemknn\n"
    config = yaml.safe_load((knn_run / "config.yaml").read_text())
    assert config == {
        "recommender": "itemknn",
        "config": genrec.create("itemknn", num_neighbours=50).config.model_dump(),
        "data": {"path": "synthetic"},
        "protocol": "leave-one-out",
    }
    data = json.loads((knn_run / "data.json").read_text())
    assert data["fingerprint"] == genrec.synthetic().fingerprint
    assert data["counts"]["num_users"] == 1000
    environment = json.loads((knn_run / "environment.json").read_text())
    assert environment["genrec"] == genrec.__version__
    assert {"commit", "python", "libraries", "cpu", "num_cores", "time", "command"} <= set(environment)
    metrics = json.loads((knn_run / "metrics.json").read_text())
    assert set(metrics) == {"training", "validation", "seal"}  # the test targets stay closed
    assert metrics["training"]["seconds"] > 0
    assert 0 < metrics["validation"]["HR@10"] < 1


def test_the_resolved_config_repeats_the_run(cli, knn_run: Path, tmp_path: Path) -> None:
    cli("train", knn_run / "config.yaml", *SYNTHETIC, "--out", tmp_path / "again")
    histories = Histories.from_lists([[0, 1], [5]])
    before, after = (genrec.load(run).rank(histories, 20) for run in (knn_run, tmp_path / "again"))
    assert np.array_equal(before.items_BK, after.items_BK)
    assert np.array_equal(before.scores_BK, after.scores_BK)


def test_the_resolved_config_holds_where_the_data_are(cli, mistake, shop: Path, tmp_path: Path) -> None:
    words = ("--data", shop / "sales.csv", "--items", shop / "goods.csv", "--min-rating", 1)
    cli("train", "popular", *words, "--out", tmp_path / "run")
    cli("train", tmp_path / "run" / "config.yaml", "--out", tmp_path / "again")
    before, after = (genrec.open_run(tmp_path / name) for name in ("run", "again"))
    assert before.about_data["fingerprint"] == after.about_data["fingerprint"]
    assert before.about_data["source"] == after.about_data["source"]
    assert genrec.load(tmp_path / "again").catalogue.titles[0] == "Thing number 0"
    other = shop / "other.csv"
    other.write_text((shop / "sales.csv").read_text() + "u0,i1,1700000000,5\n")
    repeated = genrec.train(before.recipe, None, tmp_path / "from-python")
    assert repeated.about_data["source"] == before.about_data["source"]
    cli("train", tmp_path / "run" / "config.yaml", "--data", other, "--out", tmp_path / "other")
    assert genrec.load(tmp_path / "other").catalogue.titled
    assert "no data are named: give --data PATH" in mistake("train", "popular", "--out", tmp_path / "none")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("recommender: popular\ndata: {path: [1]}\n")
    assert "the data option path=[1]:" in mistake("train", recipe, "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_only_training_interactions_are_learnt(popular_run: Path) -> None:
    counts = genrec.load(popular_run)._score(Histories.from_lists([[]]))[0]
    data = genrec.synthetic()
    assert (
        counts.sum() == data.train.num_interactions == data.interactions.num_interactions - 2 * len(data.test)
    )


def test_cold_items_are_measured_apart(cli, tmp_path: Path) -> None:
    """Of items whose interactions are all held out `transitions` finds what their words say, and `popular` none."""
    out = tmp_path / "run"
    cli("train", "popular", *SYNTHETIC, "--out", out, "--cold-share", ".2")
    assert yaml.safe_load((out / "config.yaml").read_text())["protocol"] == "leave-one-out+cold=0.2"
    found = cli("evaluate", out, "--users", 200, "--json").json
    assert found["cold"]["num_users"] + found["warm"]["num_users"] == found["num_users"] == 200
    assert found["cold"]["num_users"] > 20
    assert found["cold"]["HR@10"] == 0 < found["warm"]["HR@10"]
    for metric in ("HR@10", "NDCG@10"):
        parts = sum(found[part]["num_users"] * found[part][metric] for part in ("cold", "warm"))
        assert parts / 200 == pytest.approx(found[metric])
    assert [found[key]["recommender"] for key in ("floor", "text_floor")] == ["transitions", "tfidf"]
    for key in ("floor", "text_floor"):
        assert found[key]["cold"]["num_users"] == found["cold"]["num_users"]
        assert found[key]["cold"]["HR@10"] > 0
    shown = cli("evaluate", out, "--users", 200).out
    assert "leave-one-out+cold=0.2, all" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("targets never trained")]
    assert f"{found['cold']['num_users']} users: HR@10 0.0000" in line
    assert f"tfidf: HR@10 {found['text_floor']['cold']['HR@10']:.4f}" in shown


def test_a_share_of_cold_items_is_checked_before_anything_is_read(mistake, tmp_path: Path) -> None:
    words = ("--data", "nowhere", "--out", tmp_path / "run", "--cold-share", "2")
    line = mistake("train", "popular", *words)
    assert "the share of cold items is '2.0'; give a number above 0 and below 1" in line
    assert not (tmp_path / "run").exists()


def test_own_csv_with_its_own_columns_and_options(cli, shop: Path, tmp_path: Path) -> None:
    sales = shop / "sales.csv"
    sales.write_text(sales.read_text().replace("user_id", "customer_number"))
    options = ("--items", shop / "goods.csv", "--column", "user_id=customer_number", "--min-rating", 1)
    cli("train", "popular", "--data", sales, *options, "--out", tmp_path / "run")
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["source"]["path"] == str(sales.resolve())
    assert data["source"]["options"] == {"columns": {"user_id": "customer_number"}, "min_rating": 1.0}
    assert data["counts"]["num_interactions"] == 72
    cli("evaluate", tmp_path / "run")


def test_a_recipe_names_data_options_and_protocol_and_options_win(cli, shop: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("recommender: popular\ndata: {min_rating: 5, min_history: 2}\nprotocol: temporal\n")
    words = ("--items", shop / "goods.csv", "--min-rating", 1, "--protocol", "leave-one-out")
    cli("train", recipe, "--data", shop / "sales.csv", *words, "--out", tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    paths = {"path": str((shop / "sales.csv").resolve()), "items": str((shop / "goods.csv").resolve())}
    assert config["data"] == paths | {"min_rating": 1.0, "min_history": 2}
    assert config["protocol"] == "leave-one-out"
    assert (tmp_path / "run" / "recipe.yaml").read_text() == recipe.read_text()


def test_a_run_is_never_overwritten(mistake, popular_run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in popular_run.rglob("*") if path.is_file()}
    assert "holds a finished run" in mistake("train", "popular", *SYNTHETIC, "--out", popular_run)
    assert before == {path: path.read_bytes() for path in popular_run.rglob("*") if path.is_file()}
    (tmp_path / "thesis.txt").write_text("mine")
    assert "thesis.txt" in mistake("train", "popular", *SYNTHETIC, "--out", tmp_path)
    assert "is a file" in mistake("train", "popular", *SYNTHETIC, "--out", tmp_path / "thesis.txt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.fixture
def stopped(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that Ctrl-C ended while it learnt."""

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_fit", stop)
        told = cli("train", "popular", *SYNTHETIC, "--out", tmp_path / "run", code=130).err
    assert "genrec: stopped; go on with the same command and --resume" in told
    return tmp_path / "run"


def test_a_stopped_run_goes_on_with_resume(cli, mistake, stopped: Path, monkeypatch) -> None:
    words = ("train", "popular", *SYNTHETIC, "--out", stopped)
    assert "has not finished" in mistake("evaluate", stopped)
    asked = []
    learn = Popular._fit
    monkeypatch.setattr(Popular, "_fit", lambda *args: (asked.append(args[-1]), learn(*args)))
    cli(*words, "--resume")
    assert asked == [True]
    cli("evaluate", stopped)


def test_resume_refuses_another_recipe_or_data_and_says_which(mistake, stopped: Path, shop: Path) -> None:
    def told(*words: object) -> str:
        return mistake("train", *words, "--out", stopped, "--resume")

    assert "recommender=popular and this command says itemknn" in told("itemknn", *SYNTHETIC)
    assert "protocol=leave-one-out" in told("popular", *SYNTHETIC, "--protocol", "temporal")
    other = told("popular", "--data", shop / "sales.csv", "--items", shop / "goods.csv")
    assert "1,000 users" in other
    assert "12 users" in other


def test_resume_refuses_a_run_of_a_version_with_fewer_options(cli, mistake, unsealed, tmp_path: Path) -> None:
    words = ("train", "itemknn", *SYNTHETIC, "--out", tmp_path / "run")
    cli(*words)
    unsealed(tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    name = next(iter(config["config"]))
    del config["config"][name]
    path.write_text(yaml.safe_dump(config))
    told = mistake(*words, "--resume")
    assert f"a version of genrec that had no option {name}: choose another --out" in told


def test_resume_knows_the_options_of_a_run_from_before_there_were_groups(
    cli, mistake, tmp_path: Path, monkeypatch
) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SASRec, "_fit", stop)
    run = tmp_path / "run"
    words = ("train", "sasrec", *SYNTHETIC, "--out", run)
    cli(*words, "epochs=3", "training.patience=2", code=130)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["config"]["training"]["epochs"] == 3
    cli(*words, "training.epochs=3", "patience=2", "--resume", code=130)
    config["config"] |= config["config"].pop("training")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    data = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps({name: data[name] for name in data if name != "seal"}))
    cli(*words, "training={epochs: 3, patience: 2}", "--resume", code=130)
    told = mistake(*words, "epochs=4", "patience=2", "--resume")
    assert "begun with config.epochs=3 and this command says 4" in told
    repeated = ("train", run / "config.yaml", *SYNTHETIC, "--out", run, "--resume")
    cli(*repeated, code=130)
    assert "config.epochs=3 and this command says 5" in mistake(*repeated, "training.epochs=5")


@pytest.mark.parametrize("left", [(), ("recipe.yaml",), ("recipe.yaml", ".config.yaml.1f0c.tmp")])
def test_a_run_killed_as_it_began_is_begun_again(cli, popular_run: Path, tmp_path: Path, left) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in left:
        shutil.copy(popular_run / "recipe.yaml", folder / name)
    cli("train", "popular", *SYNTHETIC, "--out", folder, "--resume")
    assert genrec.load(folder).name == "popular"


def test_what_was_stopped_before_its_first_checkpoint_is_in_nobodys_way(
    cli, mistake, stopped: Path, shop: Path
) -> None:
    (stopped / "mine.txt").write_text("notes")
    words = (
        "train",
        "itemknn",
        "--data",
        shop / "sales.csv",
        "--items",
        shop / "goods.csv",
        "--out",
        stopped,
    )
    assert "mine.txt" in mistake(*words)
    assert (stopped / "data.json").exists()
    (stopped / "mine.txt").unlink()
    cli(*words)
    assert genrec.load(stopped).name == "itemknn"


def test_what_has_a_checkpoint_is_not_trained_over(mistake, stopped: Path) -> None:
    (stopped / "checkpoints" / "checkpoint-7").mkdir(parents=True)
    assert "go on with --resume" in mistake("train", "popular", *SYNTHETIC, "--out", stopped)


def test_a_save_that_was_killed_leaves_no_model(cli, mistake, stopped: Path, monkeypatch) -> None:
    def die(self: Popular, folder: Path) -> None:
        (folder / "popular.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_save", die)
        assert "No space left" in mistake("train", "popular", *SYNTHETIC, "--out", stopped, "--resume")
    assert not (stopped / "model").exists()
    cli("train", "popular", *SYNTHETIC, "--out", stopped, "--resume")
    cli("evaluate", stopped)


def test_resume_of_a_finished_run_trains_nothing(cli, popular_run: Path, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "run"
    shutil.copytree(popular_run, folder)
    monkeypatch.setattr(Popular, "_fit", None)
    assert "is trained already" in cli("train", "popular", *SYNTHETIC, "--out", folder, "--resume").err


def test_validation_asks_as_many_users_as_wanted_and_says_so(cli, tmp_path: Path, monkeypatch) -> None:
    asked: list[int] = []
    rank = Popular._rank

    def counted(self: Popular, histories: Histories, *args: Any, **options: Any) -> Any:
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    monkeypatch.setattr(Popular, "_rank", counted)
    options = ("validation_users=100", "ranking_batch=30")
    told = cli("train", "popular", *options, *SYNTHETIC, "--out", tmp_path / "run").err
    assert "validation on 100 of 1,000 users (validation_users), 30 at once (ranking_batch)" in told
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["validation-100-users"]["num_users"] == 100
    assert asked == 2 * [30, 30, 30, 10]  # with and without seen items


def test_a_run_of_a_version_without_the_knobs_is_ranked_by_their_defaults(
    cli, unsealed, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    cli("train", "popular", "validation_users=10", *SYNTHETIC, "--out", run)
    path = unsealed(run) / "model" / "recommender.json"
    about = json.loads(path.read_text())
    assert set(about["config"]) == {"validation_users", "ranking_batch"}
    path.write_text(json.dumps({**about, "config": {}}))
    assert genrec.load(run).config == genrec.create("popular").config


def test_what_reading_dropped_is_told_by_every_command(cli, tmp_path: Path) -> None:
    rows = [f"u{row % 9},i{row % 7},{row if row % 5 else ''},{row % 2}" for row in range(63)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,label", *rows]))
    told = "13 of 63 rows of log.csv were dropped (no time: 13)\n"
    trained = cli("train", "popular", "--data", tmp_path / "log.csv", "--out", tmp_path / "run")
    assert told in trained.err
    assert "note: column 'label' is 0 in 32 of 63 rows, which count as taken" in trained.err
    for words in (["evaluate"], ["audit"], ["recommend", "--history", "i1"]):
        found = cli(words[0], tmp_path / "run", *words[1:])
        assert (told in found.err) == (words[0] != "recommend")  # which reads no data then
    assert told not in cli("data", tmp_path / "log.csv").err
