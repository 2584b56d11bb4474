"""The pages of results say what the files say, and the files say nothing impossible."""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from genrec.audit.table import Row
from genrec.evaluation.metrics import check_bounds

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
FILES = [path for path in sorted(RESULTS.glob("*/*.json")) if path.name != "objectives.json"]
PROTOCOL = ROOT / "docs" / "protocol.md"
MARKS = {
    "seen_excluded": {"yes", "no", "unknown"},
    "ids_leak": {"yes", "no", "unknown"},
    "ranking": {"full", "sampled"},
}


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Any:
    """The scripts import each other from their own folder."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    return importlib.import_module("results")


@pytest.fixture(scope="module")
def measured() -> ModuleType:
    return importlib.import_module("measured")


@pytest.fixture(scope="module")
def trap_tables() -> ModuleType:
    return importlib.import_module("trap_tables")


def test_the_page_of_results_is_what_the_files_make(pages: ModuleType) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == pages.results_page(RESULTS), "run `make results`"


def test_results_of_leaky_codes_are_marked(pages: ModuleType, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    already = pages.results_page(folder).count("(leaky codes)")
    path = folder / "ml-100k" / "genrec-tokens.json"
    changed = path.read_text().replace("code: title", "code: original")
    assert changed != path.read_text()
    path.write_text(changed)
    marked = [line for line in pages.results_page(folder).splitlines() if "(leaky codes)" in line]
    assert len(marked) == already + 2
    assert {"| [`genrec-tokens`]", "- [`genrec-tokens`]"} <= {line.split("(")[0] for line in marked}


def test_tasks_have_a_table_each_beside_simple_answers(pages: ModuleType, tmp_path: Path) -> None:
    def of(**row: float) -> dict[str, dict[str, float]]:
        return {key: {"mean": value, "sd": value / 10} for key, value in row.items()}

    result = json.loads((RESULTS / "ml-100k" / "genrec-tokens.json").read_text())
    tasks = {
        "rating": {
            "unseen": of(num_questions=943, RMSE=1.0404),
            "mean": of(num_questions=943, RMSE=1.2, MAE=1),
        },
        "headline": {"seen": of(num_questions=90, num_copies=5, **{"ROUGE-1": 15.44, "BLEU-2": 0.2})},
        "direct": {"popularity": of(num_questions=943, **{"HR@10": 0.125})},
    }
    told = {"recommender": "p5-text", "tasks": tasks, "seeds": [0, 1]}
    path = tmp_path / "shop" / "tasks" / "p5-text.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result | told | {"per_seed": [{"train_seconds": 60}, {"train_seconds": 70}]}))
    shutil.copy(RESULTS / "published.yaml", tmp_path)
    page = pages.results_page(tmp_path)
    assert (
        "**Tasks**, [`p5-text`](../results/shop/tasks/p5-text.json), 2 seeds, 65 s of training each" in page
    )
    assert "| rating (943 questions) | RMSE | MAE |" in page
    assert "| `p5-text`, unseen prompts | 1.040 ± 0.104 | – |" in page
    assert "| mean | 1.200 ± 0.120 | 1.000 ± 0.100 |" in page
    assert "| `p5-text`, seen prompts | 15.4 ± 1.5 | 0.2 ± 0.0 |" in page
    assert "| popularity | .1250 ± .0125 |" in page
    assert "Nothing of ours" not in page.split("## shop")[1]


@pytest.mark.parametrize("path", [PROTOCOL, ROOT / "README.md"], ids=lambda path: path.stem)
def test_the_tables_inside_pages_are_what_the_files_make(trap_tables: ModuleType, path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page == trap_tables.filled(page, RESULTS), "run `make results`"


def test_every_table_stands_once(trap_tables: ModuleType) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (PROTOCOL, ROOT / "README.md"))
    for name in trap_tables.TABLES:
        assert pages.count(f"<!-- table: {name} -->") == 1, name
    assert pages.count("<!-- end -->") == pages.count("<!-- table: ") == len(trap_tables.TABLES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_result_has_what_the_page_needs_and_no_impossible_number(path: Path) -> None:
    result = json.loads(path.read_text())
    assert result["recommender"] == path.stem
    assert result["split"] == "test"
    counts = result["data"]["counts"]
    assert (counts["name"], counts["synthetic"]) == (path.parent.name, False)
    assert counts["fingerprint"] == result["data"]["fingerprint"]
    assert [run["seed"] for run in result["per_seed"]] == result["seeds"]
    assert len(set(result["seeds"])) == len(result["seeds"])
    environment = result["environment"]
    assert len(environment["commit"]) >= 40
    assert environment["cpu"]
    assert environment["num_cores"] >= environment["num_threads"] >= 1
    for run in result["per_seed"]:
        assert run["train_seconds"] > 0
        assert run["test"]["num_users"] <= counts["num_users"]
        assert run["test"]["seen_rate"] == 0
        for numbers in (run["test"], run["test"]["unfiltered"]):
            check_bounds({name: numbers[name] for name in numbers if name.startswith(("HR@", "NDCG@"))})


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_means_and_deviations_are_those_of_the_seeds(path: Path) -> None:
    result = json.loads(path.read_text())
    measured = [(result, [run["test"] for run in result["per_seed"]])]
    if result.get("refit"):
        measured.append((result["refit"], [run["test"]["refit"] for run in result["per_seed"]]))
    parts = [(of["mean"], tests) for of, tests in measured]
    parts += [(of["mean_unfiltered"], [test["unfiltered"] for test in tests]) for of, tests in measured]
    for means, runs in parts:
        for name, entry in means.items():
            values = [run[name] for run in runs]
            sd = statistics.stdev(values) if len(values) > 1 else 0.0
            assert (entry["mean"], entry["sd"]) == pytest.approx((statistics.fmean(values), sd)), name


def test_a_refit_has_a_row_of_its_own(pages: ModuleType, tmp_path: Path) -> None:
    seeds = importlib.import_module("seeds")
    of_file = json.loads((RESULTS / "ml-100k" / "popular.json").read_text())
    run = of_file["per_seed"][0]
    known = ("data", "environment", "config")
    refit = {**run["test"], "HR@10": 0.4321, "trained_on": "training and validation"}
    run = {**run, "test": {**run["test"], "refit": refit}, "refit_seconds": 77.0}
    seeds.write(tmp_path / "popular.json", "popular", "ml-100k", [run | {key: of_file[key] for key in known}])
    result = json.loads((tmp_path / "popular.json").read_text())
    assert result["mean"] == of_file["mean"]
    (first, second) = pages._our_rows(result, "ml-100k")
    assert (first[7], second[7]) == ("training part", "training and validation")
    assert (first[3], second[3]) == (".0838", ".4321")
    assert second[10] == "77 s"
    assert first[1:3] == second[1:3]
    assert len(pages._our_rows(of_file, "ml-100k")) == 1  # of before there were refits


def test_every_published_row_has_its_source_and_marks(measured: ModuleType) -> None:
    rows = measured.published(RESULTS / "published.yaml")
    for row in rows:
        group = row.group
        assert row.data in measured.TITLES, row.model
        assert len(row.cells) == len(measured.CELLS), row.model
        assert all(group[name] for name in ("source", "where", "copied_from")), row.model
        assert group["url"].startswith("https://"), row.model
        assert group["year"] == "unknown" or 2016 <= int(group["year"]) <= 2026, row.model
        assert group["seeds"] == "unknown" or int(group["seeds"]) > 0, row.model
        for mark, allowed in MARKS.items():
            assert group[mark] in allowed, (row.model, mark)
        for text in row.cells:
            assert text == "-" or 0 < float(text) < 1, row.model
    assert len({(row.data, row.model) for row in rows}) == len(rows), "two rows of one name"


def test_impossible_published_numbers_are_marked(pages: ModuleType, measured: ModuleType) -> None:
    rows = {(row.data, row.model): row for row in measured.published(RESULTS / "published.yaml")}
    row = rows["amazon2014_toys", "P5-B, unseen prompt 2-13"]
    assert row.row == Row(row.model, {5: 0.0587, 10: 0.0675}, {5: 0.0486, 10: 0.0536}, 4)
    line = next(
        line for line in pages.results_page(RESULTS).splitlines() if line.startswith(f"| {row.model} |")
    )
    assert "~~.0536~~ ✗" in line
    assert "NDCG@10 can only be .0511 to .0517" in line
    assert rows["amazon2014_beauty", "TIGER"].impossible == {}


def test_a_data_set_without_results_has_a_page(pages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "published.yaml").write_text((RESULTS / "published.yaml").read_text(encoding="utf-8"))
    (tmp_path / "my-shop").mkdir()
    page = pages.results_page(tmp_path)
    assert page.count("We have not measured anything on it yet.") == 5
    assert "## my-shop" in page
    assert "SASRec, full cross-entropy" in page


def test_results_on_different_data_are_refused(measured: ModuleType, tmp_path: Path) -> None:
    for name, fingerprint in (("popular", "a"), ("itemknn", "b")):
        result = {"mean": {"HR@10": {"mean": 0.1}}, "data": {"fingerprint": fingerprint}}
        (tmp_path / "shop").mkdir(exist_ok=True)
        (tmp_path / "shop" / f"{name}.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match="results on different data"):
        measured.measurements(tmp_path, "shop")


def test_seeds_of_a_result_stay_beside_those_that_are_run_later(tmp_path: Path) -> None:
    seeds = importlib.import_module("seeds")

    def run(seed: int, **options: Any) -> dict[str, Any]:
        test = dict.fromkeys((*seeds.METRICS, *seeds.RATES), seed / 10)
        config = {"recommender": "popular", "config": {"width": 8, "seed": seed, **options}}
        return {
            "seed": seed,
            "test": test | {"unfiltered": test},
            "train_seconds": 60 + seed,
            "data": {"fingerprint": "f", "source": {}},
            "environment": {"commit": f"c{seed // 2}", "num_threads": 1},
            "config": json.dumps(config),
        }

    path = tmp_path / "popular.json"
    for now in ([run(0), run(2)], [run(1, new_option=3)], [run(2)]):
        seeds.write(path, "popular", "shop", seeds.with_others(path, now))
    result = json.loads(path.read_text())
    assert result["seeds"] == [0, 1, 2]
    assert [each["train_seconds"] for each in result["per_seed"]] == [60, 61, 62]
    assert result["mean"]["HR@10"] == {"mean": pytest.approx(0.1), "sd": pytest.approx(0.1)}
    assert result["environment"]["commit"] == "c0, c1"
    with pytest.raises(SystemExit, match="holds seeds with other width"):
        seeds.with_others(path, [run(3, width=16)])
    assert seeds.with_others(path, [run(seed, width=16) for seed in range(3)])[0]["seed"] == 0
