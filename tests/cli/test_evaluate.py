from __future__ import annotations

import json
import shutil
from pathlib import Path

import genrec
import polars as pl
import pytest
import yaml
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
    counts = found["by_training_count"]
    assert list(counts) == ["0", "1-3", "4-8", "9-20", "21+"]
    assert sum(entry["num_users"] for entry in counts.values()) == found["num_users"]
    hits = sum(entry["num_users"] * (entry["HR@10"] or 0) for entry in counts.values())
    assert hits / found["num_users"] == pytest.approx(found["HR@10"])
    assert set(found["intervals"]) == {"HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"}
    about = found["provenance"]
    assert (about["recommender"], about["split"], about["synthetic"]) == ("popular", "test", True)
    assert {"run", "seed", "commit", "protocol"} <= set(about)


def test_numbers_of_leaky_codes_are_marked(cli, run: Path, unsealed) -> None:
    assert cli("evaluate", run, "--json").json["provenance"]["leak"] is None
    assert "LEAK" not in cli("evaluate", run).out
    config = yaml.safe_load((unsealed(run) / "config.yaml").read_text())
    config["config"]["code"] = "original"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (line,) = [line for line in cli("evaluate", run).out.splitlines() if line.startswith("LEAK")]
    assert "code=original writes the ids that the data came with" in line
    assert cli("evaluate", run, "--json").json["provenance"]["leak"] in line


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
        "95% interval",
        "seen allowed",
        "SYNTHETIC",
        "leave-one-out",
        "exact rate",
        "commit",
    ):
        assert word in shown


def test_the_floor_is_a_line_of_the_table_or_left_out(
    cli, mistake, run: Path, shop: Path, foreign: Path
) -> None:
    shown = cli("evaluate", run)
    (line,) = [line for line in shown.out.splitlines() if line.strip().startswith("floor")]
    assert "by transitions text=tfidf, without training" in line
    assert "is below the floor" in shown.err
    without = cli("evaluate", run, "--no-floor")
    assert "without training" not in without.out
    assert without.err == ""
    given = ("--rankings", foreign, "--data", shop / "sales.csv", "--untitled", "id")
    assert "--no-floor are about runs" in mistake("evaluate", *given, "--no-floor")


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


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Lists of a program that is not ours, for the shop: every user gets i0, i1, … i9, seen or not."""
    path = tmp_path / "foreign.parquet"
    rows = [(f"u{user}", item + 1, f"i{item}", -float(item)) for user in range(12) for item in range(10)]
    pl.DataFrame(rows, ["user_id", "rank", "item_id", "score"], orient="row").write_parquet(path)
    return path


def test_lists_of_any_program_are_measured(cli, shop: Path, foreign: Path) -> None:
    data = ("--data", shop / "sales.csv", "--items", shop / "goods.csv")
    result = cli("evaluate", "--rankings", foreign, *data, "--json")
    found = result.json
    # User u takes i(u) … i(u + 5) modulo 10; the last is the target, the five before it are seen.
    targets = [(user + 5) % 10 for user in range(12)]
    assert found["unfiltered"]["HR@5"] == sum(target < 5 for target in targets) / 12
    unseen = [[i for i in range(10) if (i - user) % 10 >= 5] for user in range(12)]
    expected = [1 / (items.index(target) + 1) for items, target in zip(unseen, targets, strict=True)]
    assert found["MRR"] == pytest.approx(sum(expected) / 12)
    assert (found["seen_rate"], found["num_users"], found["HR@20"]) == (0.5, 12, 1)
    about = found["provenance"]
    assert (about["rankings"], about["split"], about["protocol"]) == (str(foreign), "test", "leave-one-out")
    assert about["fingerprint"] == genrec.read(shop / "sales.csv", items=shop / "goods.csv").fingerprint
    assert result.err == ""
    shown = cli("evaluate", "--rankings", foreign, *data).out
    for word in ("list as given", "HR@20", "95% interval", "seen rate", "50.00%", "users without a list"):
        assert word in shown
    assert "exact rate" not in shown


def test_the_lists_of_a_run_are_worth_what_the_run_is(cli, run: Path) -> None:
    for users in ((), ("--users", 50)):
        expected = cli("evaluate", run, *users, "--json").json
        given = ("--rankings", run / "rankings-test.parquet", "--data", "synthetic", *users)
        found = cli("evaluate", *given, "--json").json
        for name in ("intervals", "num_users", "by_training_count"):
            assert found[name] == expected[name]


def test_short_and_missing_lists_are_told(cli, mistake, shop: Path, foreign: Path) -> None:
    whole = pl.read_parquet(foreign)
    given = ("--rankings", foreign, "--data", shop / "sales.csv", "--untitled", "id")
    whole.filter(pl.col("user_id") != "u3", pl.col("rank") <= 10 - pl.col("user_id").eq("u4")).write_parquet(
        foreign
    )
    assert "the shortest list has 4 items once seen ones are dropped" in mistake("evaluate", *given)
    unseen = whole.filter(
        (pl.col("item_id").str.slice(1).cast(int) - pl.col("user_id").str.slice(1).cast(int)) % 10 > 4
    )
    unseen = unseen.with_columns(rank=pl.int_range(pl.len()).over("user_id") + 1)
    unseen.filter(pl.col("user_id") != "u3").write_parquet(foreign)
    result = cli("evaluate", *given, "--json")
    assert (result.json["num_without_list"], result.json["HR@5"]) == (1, 11 / 12)
    assert "1 of 12 users have no list, which counts as a miss" in result.err


def test_cut_offs_that_do_not_hold_are_left_out(cli, tmp_path: Path, run: Path) -> None:
    cli("evaluate", run, "--json")
    path = tmp_path / "ten.parquet"
    pl.read_parquet(run / "rankings-test.parquet").filter(pl.col("rank") <= 10).write_parquet(path)
    result = cli("evaluate", "--rankings", path, "--data", "synthetic")
    assert "HR@10" in result.out
    assert "HR@20" not in result.out
    assert "the shortest list has 10 items once seen ones are dropped" in result.err


def test_wrong_rankings_are_one_line(mistake, shop: Path, foreign: Path, run: Path) -> None:
    data = ("--data", shop / "sales.csv", "--untitled", "id")
    assert "give a RUN, or --rankings FILE" in mistake("evaluate")
    assert "needs --data PATH" in mistake("evaluate", "--rankings", foreign)
    assert "measure one at a time" in mistake("evaluate", run, "--rankings", foreign, *data)
    assert "--exact is about searching" in mistake("evaluate", "--rankings", foreign, *data, "--exact")
    assert "--min-rating goes with --rankings" in mistake("evaluate", run, "--min-rating", 3)
    assert "--column goes with --rankings" in mistake("evaluate", run, "--column", "user_id=uid")
    assert "choose one of leave-one-out" in mistake(
        "evaluate", "--rankings", foreign, *data, "--protocol", "x"
    )
    pl.read_parquet(foreign).with_columns(user_id=pl.lit("stranger")).write_parquet(foreign)
    assert "for example 'stranger'" in mistake("evaluate", "--rankings", foreign, *data)


def test_wrong_options(mistake, popular_run: Path) -> None:
    assert "did you mean validation" in mistake("evaluate", popular_run, "--split", "validaton")
    assert "users is 0" in mistake("evaluate", popular_run, "--users", 0)


def test_the_users_at_once_change_no_number(
    cli, mistake, popular_run: Path, foreign: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(popular_run, tmp_path / "run"))
    given = cli("evaluate", run, "--users", 20, "--json").json
    few = cli("evaluate", run, "--users", 20, "--batch-size", 3, "--json").json
    assert {name: few[name] for name in ("HR@10", "NDCG@10", "MRR")} == {
        name: given[name] for name in ("HR@10", "NDCG@10", "MRR")
    }
    assert "--batch-size" in mistake("evaluate", run, "--batch-size", 0)
    assert "--batch-size" in mistake("evaluate", run, "--batch-size", 10**9)
    assert "leave it out" in mistake("evaluate", "--rankings", foreign, "--data", "x", "--batch-size", 5)
