"""`genrec evaluate --task`: a table for each task, kept in the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import genrec
import pytest
from genrec.data.dataset import Dataset
from genrec.evaluation.protocol import evaluate
from genrec.recommenders.p5.recommender import FAMILIES
from genrec.tasks.base import families
from genrec.tasks.measure import evaluate_tasks
from genrec.tasks.recommender import TaskRecommender


@pytest.fixture
def run(p5_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(p5_run, tmp_path / "run"))


def kept(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "metrics.json").read_text()))


@pytest.fixture(scope="module")
def dataset(reviews: tuple[str, ...]) -> Dataset:
    return genrec.read(reviews[1], items=reviews[3], unrated=True)


def test_all_tasks(cli, run: Path, dataset: Dataset) -> None:
    result = cli("evaluate", run, "--task", "all", "--json")
    found = result.json
    known = [task.name for name, family in families().items() if name in FAMILIES for task in family.tasks]
    assert list(found["tasks"]) == known
    model = genrec.load(run)
    assert isinstance(model, TaskRecommender)
    parts = dataset.split()
    expected = evaluate_tasks(model, dataset.interactions, parts, parts.test, ["rating"])["rating"]
    assert list(found["tasks"]["rating"]) == list(expected)
    for name, row in expected.items():
        assert found["tasks"]["rating"][name] == pytest.approx(row)
    for task in known:
        assert {"seen", "unseen"} < set(found["tasks"][task])
    assert found["provenance"]["split"] == "test"
    assert "new-1" in found["dropped"]
    assert "prompts left out: new-1, new-2" in result.err
    assert kept(run)["test-tasks"] == found


def test_sequential_is_the_ordinary_ranking(cli, run: Path, dataset: Dataset) -> None:
    rows = cli("evaluate", run, "--task", "sequential", "--json").json["tasks"]["sequential"]
    again = cli("evaluate", run, "--json").json
    assert kept(run)["test"]["MRR"] == again["MRR"] == rows["seen"]["MRR"] > 0
    assert (run / "rankings-test.parquet").exists()
    unseen = evaluate(genrec.load(run).asked_with("unseen").rank, dataset.test).metrics  # type: ignore[attr-defined]
    assert {name: rows["unseen"][name] for name in ("HR@5", "MRR")} == pytest.approx(
        {name: unseen[name] for name in ("HR@5", "MRR")}
    )
    popular = evaluate(genrec.create("popular").fit(dataset.train).rank, dataset.test).metrics
    assert rows["popularity"]["HR@5"] == pytest.approx(popular["HR@5"])
    assert rows["popularity"]["num_questions"] == 14


def test_measurements_join_what_was_measured_before(cli, run: Path) -> None:
    first = cli("evaluate", run, "--task", "rating,direct", "--json").json["tasks"]
    second = cli("evaluate", run, "--task", "headline", "--json").json["tasks"]
    sample = cli("evaluate", run, "--task", "rating", "--users", 5, "--split", "validation", "--json")
    assert (list(first), list(second)) == (["rating", "direct"], ["headline"])
    metrics = kept(run)
    assert metrics["test-tasks"]["tasks"] == first | second
    assert metrics["validation-tasks-5-users"]["tasks"]["rating"]["seen"]["num_questions"] == 5
    assert "was chosen on these very questions" in sample.err


def test_tables(cli, run: Path) -> None:
    shown = cli("evaluate", run, "--task", "rating,headline").out
    lines = [line.split("  ")[0] for line in shown.splitlines()]
    for name in ("p5, seen prompts", "p5, unseen prompts", "matrix factorisation", "nearest review"):
        assert name in lines
    assert "rating: 14 questions" in lines
    assert "headline: 14 questions, 0 more left out whose text stands in training; in percent" in shown
    rating = kept(run)["test-tasks"]["tasks"]["rating"]
    assert f"{rating['seen']['RMSE greedy']:.4f}" in shown
    assert f"{rating['biases']['MAE']:.4f}" in shown


def test_tasks_do_not_disturb_the_audit(cli, run: Path) -> None:
    before = cli("audit", run, "--json").json
    cli("evaluate", run, "--task", "rating,direct")
    assert cli("audit", run, "--json").json == before
    assert "the questions of 14 test users" in before["checked"]


def test_a_recommender_that_knows_ratings_alone(
    cli, mistake, rating_run: Path, tmp_path: Path, p5: tuple[str, ...]
) -> None:
    run = tmp_path / "again"
    told = cli("train", *p5, "families=[rating]", "--out", run).out
    assert f"trained in {run}; next: genrec evaluate {run} --task all" in told
    assert set(kept(run)) == {"training", "seal"}
    result = cli("evaluate", run, "--task", "all", "--json")
    assert list(result.json["tasks"]) == ["rating"]
    assert "headline is left out: the recommender has not learnt it" in result.err
    assert "cannot be asked for sequential" in mistake("evaluate", run)
    assert "test users" not in cli("audit", run, "--json").json["checked"]
    told = mistake("evaluate", rating_run, "--task", "rating,headline")
    assert "this p5 has not learnt headline; it can be asked for rating" in told
    assert "tasks" not in str(list(kept(rating_run)))


def test_a_recommender_without_tasks_recommends(cli, mistake, popular_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(popular_run, tmp_path / "run"))
    found = cli("evaluate", run, "--task", "all", "--users", 50)
    assert "direct is left out: the recommender has not learnt it" in found.err
    assert "headline is left out: the data do not have what it needs" in found.err
    rows = kept(run)["test-tasks-50-users"]["tasks"]["sequential"]
    assert list(rows) == ["popular", "popularity"]
    assert rows["popular"]["HR@10"] == kept(run)["test-50-users"]["HR@10"]
    assert "popular has not learnt rating; it can be asked for sequential" in mistake(
        "evaluate", run, "--task", "rating"
    )


def test_cuts_in_time(cli, tmp_path: Path, p5: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    cli("train", *p5, "--protocol", "temporal", "--out", run)
    found = cli("evaluate", run, "--task", "rating,headline", "--json").json
    assert found["provenance"]["protocol"] == "temporal"
    assert found["tasks"]["rating"]["seen"]["num_questions"] == 14


def test_wrong_tasks(mistake, p5_run: Path, tmp_path: Path) -> None:
    assert "did you mean rating?" in mistake("evaluate", p5_run, "--task", "raitng")
    assert "give one of these" in mistake("evaluate", p5_run, "--task", "rating,all")
    assert "give one of them" in mistake("evaluate", p5_run, "--task", "all", "--exact")
    rankings = ("--rankings", tmp_path / "x.parquet", "--data", "synthetic")
    assert "leave it out" in mistake("evaluate", *rankings, "--task", "all")


def test_data_that_lack_what_a_task_needs(
    cli, mistake, shop: Path, tmp_path: Path, p5: tuple[str, ...]
) -> None:
    run = tmp_path / "run"
    options = [word for word in p5 if "=" in word]
    items = ("--data", shop / "sales.csv", "--items", shop / "goods.csv")
    cli(
        "train",
        "p5",
        *options,
        "families=[sequential, rating]",
        "times={next: 1, rating: 1}",
        *items,
        "--out",
        run,
    )
    result = cli("evaluate", run, "--task", "all", "--json")
    assert list(result.json["tasks"]) == ["sequential", "rating"]
    assert "direct is left out: the data do not have what it needs" in result.err
    told = mistake("evaluate", run, "--task", "direct")
    assert "do not have what direct needs; they have it for sequential, rating" in told
