from __future__ import annotations

import json
import shutil
from pathlib import Path

import genrec
import polars as pl
import pytest
from genrec.data.ranking_file import read_rankings
from genrec.evaluation.metrics import hit_rate, ranks

KEYS = (
    "num_users num_items HR@5 HR@10 HR@20 NDCG@5 NDCG@10 NDCG@20 MRR "
    "exact_rate invalid_rate duplicate_rate seconds"
)


@pytest.fixture
def run(popular_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(popular_run, tmp_path / "run"))


def test_json_has_the_protocol_and_nothing_else_is_printed(cli, run: Path) -> None:
    found = cli("evaluate", run, "--json").json
    assert set(KEYS.split()) <= set(found)
    assert set(KEYS.split()) <= set(found["unfiltered"])
    assert set(found["intervals"]) == {"HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"}
    about = found["provenance"]
    assert (about["recommender"], about["split"], about["synthetic"]) == ("popular", "test", True)
    assert {"run", "seed", "commit", "protocol"} <= set(about)


def test_the_numbers_are_those_of_the_library(cli, run: Path) -> None:
    data = genrec.synthetic()
    for split, targets in (("test", data.test), ("validation", data.validation)):
        expected = genrec.evaluate(genrec.load(run).rank, targets).metrics
        found = cli("evaluate", run, "--split", split, "--json").json
        for name in ("num_users", "HR@10", "NDCG@10", "MRR"):
            assert found[name] == expected[name]


def test_what_was_measured_is_kept_in_the_run(cli, run: Path) -> None:
    test = cli("evaluate", run, "--json").json
    sample = cli("evaluate", run, "--users", 50, "--exact", "--json").json
    assert (test["num_users"], sample["num_users"]) == (1000, 50)
    kept = json.loads((run / "metrics.json").read_text())
    assert kept["test"] == test
    assert kept["test-exact-50-users"] == sample
    assert "validation" in kept


def test_the_lists_are_kept_beside_their_metrics(cli, run: Path) -> None:
    cli("evaluate", run)
    sample = cli("evaluate", run, "--users", 50, "--split", "validation", "--json").json
    assert pl.read_parquet_schema(run / "rankings-test.parquet").names() == [
        "user_id",
        "rank",
        "item_id",
        "score",
    ]
    targets = genrec.synthetic().validation.sample(50)
    found = read_rankings(run / "rankings-validation-50-users.parquet", targets)
    assert found.items_BK.shape == (50, 21)
    assert hit_rate(ranks(found, targets.items), 10).mean() == sample["HR@10"]


def test_the_table_names_metrics_and_where_they_come_from(cli, run: Path) -> None:
    shown = cli("evaluate", run).out
    for word in (
        "NDCG@10",
        "95 % interval",
        "seen allowed",
        "SYNTHETIC",
        "leave-one-out",
        "exact rate",
        "commit",
    ):
        assert word in shown


def test_moved_data_are_asked_for_and_checked(cli, mistake, shop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    items = ("--items", shop / "goods.csv")
    cli("train", "popular", "--data", shop / "sales.csv", *items, "--out", run)
    before = cli("evaluate", run, "--json").json
    moved = shutil.move(shop / "sales.csv", tmp_path / "elsewhere.csv")
    assert "give --data PATH" in mistake("evaluate", run)
    assert cli("evaluate", run, "--data", moved, "--json").json["HR@10"] == before["HR@10"]
    moved = Path(moved)
    moved.write_text(moved.read_text() + "u0,i9,1700000000,5\n")
    assert "was trained on other data" in mistake("evaluate", run, "--data", moved)


def test_wrong_options(mistake, popular_run: Path) -> None:
    assert "did you mean validation" in mistake("evaluate", popular_run, "--split", "validaton")
    assert "--users is 0" in mistake("evaluate", popular_run, "--users", 0)
