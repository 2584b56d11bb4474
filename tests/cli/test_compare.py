"""`genrec compare` on synthetic runs: what it prints, writes and refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from genrec.cli.main import main
from genrec.data.interactions import Targets
from genrec.pages.page import is_page

Cli = Callable[..., Any]


def train(folder: Path, *words: str) -> Path:
    assert main(["train", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, unsealed: Callable[[Path], Path]) -> Path:
    """Evaluated runs of before there were seals; tests must not change them, but copies."""
    folder = tmp_path_factory.mktemp("compared")
    train(folder / "popular", "popular", "--data", "synthetic")
    train(folder / "near", "itemknn", "num_neighbours=50", "--data", "synthetic")
    train(folder / "far", "itemknn", "num_neighbours=50", "decay=1.0", "--data", "synthetic")
    for name in ("popular", "near", "far"):
        assert main(["evaluate", str(folder / name)]) == 0
    assert main(["evaluate", str(folder / "popular"), "--split", "validation", "--users", "100"]) == 0
    assert main(["evaluate", str(folder / "near"), "--split", "validation", "--users", "100"]) == 0
    for run in folder.iterdir():
        unsealed(run)
    return folder


def seeded(source: Path, folder: Path, seed: int, **options: Any) -> Path:
    """A copy of a run that says it had this seed."""
    shutil.copytree(source, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["config"] |= {"seed": seed, "threads": seed + 1, **options}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_the_table_names_the_best_and_what_is_sure(cli: Cli, runs: Path) -> None:
    out = cli("compare", runs / "popular", runs / "near").out
    lines = out.splitlines()
    assert lines[0].startswith("synthetic, test, ")
    assert lines[2].split()[:3] == ["1", "itemknn", "–"]
    assert lines[2].split()[-1] == "2"
    assert lines[3].split()[:3] == ["2", "popular", "–"]
    assert lines[3].split()[-1] == "–"
    assert "*" in lines[2]
    assert "*" not in lines[3]
    (pair,) = [line for line in lines if line.startswith("itemknn  ")]
    assert pair.endswith("beyond chance")
    assert "SYNTHETIC" in out


def test_json_agrees_with_evaluate(cli: Cli, runs: Path) -> None:
    told = cli("compare", runs / "popular", runs / "near", "--json").json
    measured = cli("evaluate", runs / "near", "--json").json
    best = told["recommenders"][0]
    assert best["name"] == "itemknn"
    for metric, entry in best["metrics"].items():
        assert entry["mean"] == pytest.approx(measured[metric])
        assert entry["per_seed"] == pytest.approx([measured[metric]])
        low, high = measured["intervals"][metric]
        assert entry["interval"] == pytest.approx([low, high], abs=0.15 * (high - low))
    assert told["split"] == "test"
    assert told["synthetic"] is True
    assert {run["name"] for run in told["runs"]} == {"itemknn", "popular"}
    assert told["runs"][0]["measured"]["seconds"] > 0
    assert set(told["examples"][0]) == {"user_id", "target", "found_by"}


def test_the_floor_stands_beside_the_runs(cli: Cli, runs: Path, tmp_path: Path) -> None:
    floor = cli("evaluate", runs / "near", "--json").json["floor"]
    assert f"HR@10 {floor['HR@10']:.4f}" in cli("compare", runs / "popular", runs / "near").out
    bare = tmp_path / "bare"
    shutil.copytree(runs / "near", bare)
    cli("evaluate", bare, "--no-floor")
    assert cli("compare", bare, runs / "popular", "--json").json["floor"] == floor


def test_runs_that_differ_in_the_seed_are_one(cli: Cli, runs: Path, tmp_path: Path) -> None:
    folders = [seeded(runs / "near", tmp_path / f"near-{seed}", seed) for seed in (1, 0)]
    told = cli("compare", runs / "popular", *folders, "--json").json
    assert [(one["name"], one["seeds"]) for one in told["recommenders"]] == [
        ("itemknn", [0, 1]),
        ("popular", [None]),
    ]
    assert told["overlap"]["shared_items_of_10"][0][0] == 10


def test_names_tell_what_differs(cli: Cli, runs: Path, tmp_path: Path) -> None:
    other = seeded(runs / "near", tmp_path / "other", 3, decay=0.9)
    told = cli("compare", runs / "near", runs / "far", other, runs / "popular", "--json").json
    assert {one["name"] for one in told["recommenders"]} == {
        "itemknn decay=0.6",
        "itemknn decay=1.0",
        "itemknn decay=0.9",
        "popular",
    }


def test_a_recommender_that_writes_leaky_codes_is_marked_wherever_it_is_named(
    cli: Cli, runs: Path, tmp_path: Path
) -> None:
    leaky = seeded(runs / "near", tmp_path / "leaky", 0, code="original")
    page = tmp_path / "page.html"
    out = cli("compare", leaky, runs / "popular", "--out", page).out
    assert out.splitlines()[2].split()[1:4] == ["itemknn", "(leaky", "codes)"]
    assert page.read_text(encoding="utf-8").count("itemknn (leaky codes)") > 5
    safe = seeded(runs / "near", tmp_path / "safe", 0, code="sequential")
    told = cli("compare", leaky, safe, "--json").json
    assert {one["name"] for one in told["recommenders"]} == {
        "itemknn code=original (leaky codes)",
        "itemknn code=sequential",
    }


def test_lists_of_any_program_are_compared(cli: Cli, runs: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(runs / "near" / "rankings-test.parquet").filter(pl.col("rank") <= 12)
    (tmp_path / "a").mkdir()
    table.write_parquet(tmp_path / "theirs.parquet")
    table.write_parquet(tmp_path / "a" / "theirs.parquet")
    told = cli("compare", runs / "near", tmp_path / "theirs.parquet", "--json").json
    assert [one["name"] for one in told["recommenders"]] == ["itemknn", "theirs"]
    (pair,) = told["comparisons"]["NDCG@10"]
    assert (pair["difference"], pair["p_value"], pair["significant"]) == (0, 1, False)
    assert "HR@20" not in told["recommenders"][0]["metrics"]  # their lists do not reach so deep
    twice = cli(
        "compare", runs / "near", tmp_path / "theirs.parquet", tmp_path / "a" / "theirs.parquet", "--json"
    ).json
    assert {one["name"] for one in twice["recommenders"]} == {
        "itemknn",
        str(tmp_path / "theirs.parquet"),
        str(tmp_path / "a" / "theirs.parquet"),
    }


def test_a_sample_of_validation_users(cli: Cli, runs: Path, mistake: Callable[..., str]) -> None:
    words = ("compare", runs / "popular", runs / "near", "--split", "validation")
    told = cli(*words, "--users", 100, "--json").json
    assert (told["split"], told["num_targets"]) == ("validation-100-users", 100)
    line = mistake(*words, "--users", 50)
    assert f"run `genrec evaluate {runs / 'popular'} --split validation --users 50` first" in line
    assert mistake(*words).endswith("--split validation` first")


def test_samples_of_an_earlier_version_are_compared_with_one_another(
    cli: Cli, runs: Path, tmp_path: Path, mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, sample = ("popular", "near"), Targets.sample
    copies = [shutil.copytree(runs / name, tmp_path / name) for name in names]
    with monkeypatch.context() as patch:
        patch.setattr(Targets, "sample", lambda targets, count: sample(targets, count, 1))
        for copy in copies:
            cli("evaluate", copy, "--users", 60)
        then = cli("compare", *copies, "--users", 60, "--json").json
    assert cli("compare", *copies, "--users", 60, "--json").json["recommenders"] == then["recommenders"]
    assert "lists of test-60-users" in cli("audit", copies[0]).out
    cli("evaluate", copies[1], "--users", 60)
    told = mistake("compare", *copies, "--users", 60)
    assert "measured on other samples of 60 users" in told
    assert f"run `genrec evaluate {copies[1]} --split test --users 60` and the same" in told


def test_the_page_is_written_and_replaced_but_nothing_else_is(
    cli: Cli, runs: Path, tmp_path: Path, mistake: Callable[..., str]
) -> None:
    words = ("compare", runs / "popular", runs / "near", "--out")
    page = tmp_path / "new" / "page.html"
    assert f"page: {page}" in cli(*words, page).out
    assert is_page(page)
    assert "Synthetic data" in page.read_text()
    result = cli(*words, page, "--json")
    assert result.json["recommenders"]
    assert f"page: {page}" in result.err
    own = tmp_path / "own.html"
    own.write_text("<p>mine</p>")
    assert "own.html exists and is no page of genrec" in mistake(*words, own)
    assert own.read_text() == "<p>mine</p>"
    assert "give NAME.html" in mistake(*words, tmp_path / "page.pdf")


def test_many_pairs_are_cut_to_those_of_the_best(cli: Cli, runs: Path, tmp_path: Path) -> None:
    folders = [
        seeded(runs / "near", tmp_path / f"decay-{decay}", 0, decay=decay) for decay in (0.1, 0.2, 0.3, 0.4)
    ]
    result = cli("compare", runs / "near", runs / "popular", *folders)
    assert "of 15 pairs" in result.err
    assert len([line for line in result.out.splitlines() if line.endswith("chance")]) == 1 + 5


def test_what_cannot_be_compared_is_refused_with_the_difference(
    runs: Path, shop: Path, tmp_path: Path, mistake: Callable[..., str]
) -> None:
    near, popular = runs / "near", runs / "popular"
    words = ("--data", str(shop / "sales.csv"), "--items", str(shop / "goods.csv"))
    elsewhere = train(tmp_path / "elsewhere", "popular", *words)
    line = mistake("compare", near, elsewhere)
    assert line.startswith(
        f"{elsewhere} was trained on other data than {near}: sales with 12 users, 10 items"
    )
    assert "synthetic with " in line
    temporal = train(tmp_path / "temporal", "popular", "--data", "synthetic", "--protocol", "temporal")
    line = mistake("compare", near, temporal)
    assert f"{temporal} holds targets out by temporal and {near} by leave-one-out" in line
    cold = train(tmp_path / "cold", "popular", "--data", "synthetic", "--cold-share", "0.1")
    line = mistake("compare", near, cold)
    assert f"{cold} holds targets out by leave-one-out+cold=0.1 and {near} by leave-one-out" in line
    fresh = train(tmp_path / "fresh", "popular", "--data", "synthetic")
    assert f"run `genrec evaluate {fresh} --split test` first" in mistake("compare", near, fresh)
    assert "are the same recommender: give one of them" in mistake("compare", popular, near, popular)
    one, other = (seeded(near, tmp_path / name, 4) for name in ("one", "other"))
    line = mistake("compare", one, other)
    assert f"{one} and {other} are the same recommender with the same seed 4" in line
    assert "itemknn alone" in mistake("compare", near)
    assert "give at least one run" in mistake("compare", near / "rankings-test.parquet")
    assert "neither a run folder nor a rankings file" in mistake("compare", near, near / "config.yaml")
    assert "there is no run folder" in mistake("compare", near, tmp_path / "nowhere")
    assert "there is no rankings file" in mistake("compare", near, tmp_path / "nowhere.parquet")
    assert "users is 0" in mistake("compare", near, popular, "--users", 0)
    assert "the split 'tset' is not known; did you mean test?" in mistake("compare", near, "--split", "tset")


def test_lists_that_are_not_those_behind_the_metrics_are_refused(
    runs: Path, tmp_path: Path, mistake: Callable[..., str], unsealed: Callable[[Path], Path]
) -> None:
    stale = seeded(runs / "near", tmp_path / "stale", 0)
    assert main(["evaluate", str(stale)]) == 0
    shutil.copy(runs / "popular" / "rankings-test.parquet", stale)
    line = mistake("compare", stale, runs / "popular")
    assert "rankings-test.parquet was changed since it was written" in line
    assert line.endswith(f": run `genrec evaluate {stale} --split test` again")
    line = mistake("compare", unsealed(stale), runs / "popular")
    assert f"one of them is older; run `genrec evaluate {stale} --split test` again" in line


def test_runs_are_left_as_they_were(cli: Cli, runs: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in runs.rglob("*")}

    before = state()
    cli("compare", runs / "popular", runs / "near")
    assert state() == before


def test_the_same_command_gives_the_same_numbers(cli: Cli, runs: Path) -> None:
    first, second = (cli("compare", runs / "popular", runs / "near", "--json").json for _ in range(2))
    assert first | {"time": None} == second | {"time": None}
    assert np.isfinite(first["comparisons"]["MRR"][0]["p_holm"])
