"""`genrec audit`, and the warnings that train and evaluate give by themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

TINY = (
    "backbone=compact",
    "depth=1",
    "width=32",
    "vocab_size=300",
    "max_steps=2",
    "evaluations=1",
    "beams=5",
    "bf16=false",
)


@pytest.fixture
def run(knn_run: Path, tmp_path: Path, unsealed) -> Path:
    """A run of before there were seals, which the tests may change."""
    return unsealed(Path(shutil.copytree(knn_run, tmp_path / "run")))


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """400 users in the S3-Rec layout, every one with items of their own but the first: numbered as they come."""
    lines = [
        f"{user} {1 + user % 7} " + " ".join(str(10 * user + step) for step in range(5))
        for user in range(1, 401)
    ]
    path = tmp_path / "sequences.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def titled(leaking: Path) -> Path:
    items = {item for line in leaking.read_text().splitlines() for item in line.split()[1:]}
    rows = [
        json.dumps({"id": item, "title": f"Thing {chr(97 + int(item) % 26)} of {item}"})
        for item in sorted(items)
    ]
    (leaking.parent / "items.jsonl").write_text("\n".join(rows) + "\n")
    return leaking


def test_clean_data_end_with_0_and_what_was_checked(cli) -> None:
    shown = cli("audit", "synthetic").out.splitlines()
    assert shown[-1].startswith("nothing found in synthetic: checked ids and catalogue order")
    assert all(line.startswith("note ") for line in shown[:-1])


def test_leaking_ids_end_with_1(cli, titled: Path) -> None:
    shown = cli("audit", titled, code=1).out.splitlines()
    assert shown[0].startswith("leak     item ids: max(history)+1 to +10 alone finds HR@10 1.0000")
    assert "code=title" in shown[0]
    faults = [line.split()[0] for line in shown if line.startswith(("leak", "warning"))]
    assert faults.count("leak") == 2  # a draw of code=sequential may be worth a warning besides
    assert shown[-1].startswith(f"{len(faults)} found in sequences: checked")


def test_json_has_the_findings_and_nothing_else_is_printed(cli, titled: Path) -> None:
    found = cli("audit", titled, "--json", code=1).json
    faults = [finding["severity"] for finding in found["findings"] if finding["severity"] != "note"]
    assert (found["subject"], found["faults"], faults.count("leak")) == ("sequences", len(faults), 2)
    first = found["findings"][0]
    assert (first["severity"], first["check"], first["where"], first["value"]) == (
        "leak",
        "numbers",
        "item ids",
        1.0,
    )
    assert (
        cli("audit", "synthetic", "--protocol", "temporal", "--json").json["checked"].endswith("(temporal)")
    )


def test_data_are_read_with_the_options_of_data(cli, mistake, shop: Path) -> None:
    words = ("audit", shop / "sales.csv", "--items", shop / "goods.csv")
    shown = cli(*words, "--min-history", 6).out
    assert "12 test users" in shown
    assert "item ids: max(history)+1" in shown
    assert "--min-history" in mistake(*words, "--min-history", "many")
    assert "no file or folder" in mistake("audit", shop / "nothing.csv")


def test_an_impossible_table(cli, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "model,dataset,HR@5,NDCG@5,HR@10,NDCG@10\nA,X,.0360,.0291,.0417,.0302\nB,X,.0360,.0291,.0417,.0309\n"
    )
    shown = cli("audit", table, code=1).out.splitlines()
    assert shown == [
        "warning  line 2, A, X: NDCG@10 is 0.0302, and beside the other cells only 0.0307 to 0.0311 is possible; "
        "look the row up in its source, and do not build on it",
        "1 found in table.csv: checked 8 cells in 2 rows for values that their row makes impossible",
    ]
    table.write_text("model,dataset,HR@5,NDCG@5\nA,X,.0360,.0291\n")
    assert cli("audit", table).out.startswith("nothing found in table.csv")


def test_options_that_have_no_meaning_are_refused(mistake, run: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("model,HR@5\nA,.1\n")
    assert "--k-core has no meaning here, as a run knows its data" in mistake("audit", run, "--k-core", 5)
    assert "--data has no meaning here, as a table" in mistake("audit", table, "--data", tmp_path)
    assert "--data has no meaning here" in mistake("audit", "synthetic", "--data", tmp_path)


def test_an_honest_run(cli, run: Path) -> None:
    cli("evaluate", run)
    cli("evaluate", run, "--users", 100)
    shown = cli("audit", run).out.splitlines()
    assert shown[-1].startswith(
        "nothing found in run: checked metrics of validation, test, test-100-users, lists of test"
    )
    assert any("measured 2 times" in line for line in shown)


def change(run: Path, name: str, **values: object) -> None:
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics[name] = {**metrics[name], **values}
    metrics.pop("seal", None)
    path.write_text(json.dumps(metrics))


def test_a_run_whose_numbers_or_lists_were_exchanged(cli, run: Path) -> None:
    cli("evaluate", run)
    cli("evaluate", run, "--split", "validation")
    metrics = json.loads((run / "metrics.json").read_text())
    change(run, "test", **{**metrics["validation"], "seen_rate": 0.25})
    checks = {finding["check"] for finding in cli("audit", run, "--json", code=1).json["findings"]}
    assert {"validation as test", "seen_rate", "lists"} <= checks
    change(run, "test", **metrics["test"])
    shutil.copy(run / "rankings-validation.parquet", run / "rankings-test.parquet")
    shown = cli("audit", run, code=1).out
    assert "of the lists hold the last item of their history" in shown
    pl.DataFrame({"x": [1]}).write_parquet(run / "rankings-test.parquet")
    assert "without user_id" in cli("audit", run, code=2).err


def test_codes_that_are_known_to_leak(cli, run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["config"]["code"] = "original"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    shown = cli("audit", run, code=1).out.splitlines()
    assert shown[0].startswith("leak     codes: code=original writes the ids that the data came with")
    assert "code=sequential" in shown[0]


def test_codes_and_questions_of_genrec_give_nothing_away(cli, tmp_path: Path) -> None:
    """Two steps teach nothing, and train, evaluate and audit say so; a number's order is judged, a title's is not."""
    cli("data", "synthetic", "--users", 200, "--out", tmp_path / "films")
    for code in ("title", "sequential"):
        run = tmp_path / code
        trained = cli("train", "genrec", f"code={code}", *TINY, "--data", tmp_path / "films", "--out", run)
        assert "warning: validation: HR@10 0.0" in trained.err
        found = cli("audit", run, "--json", code=1).json
        assert "codes, and the questions of 200 test users" in found["checked"]
        faults = {finding["check"] for finding in found["findings"] if finding["severity"] != "note"}
        assert faults == {"below popularity"}
        assert any(finding["where"] == "codes" for finding in found["findings"]) == (code == "sequential")
    measured = cli("evaluate", tmp_path / "title", "--users", 100)
    popular, floor = [line for line in measured.err.splitlines() if line.startswith("warning: ")]
    assert popular.startswith("warning: test-100-users: HR@10 0.0")
    assert "is below that of popularity, 0." in popular
    assert "is below the floor, 0." in floor


def test_training_on_untitled_leaking_ids_warns_and_its_run_is_a_leak(
    cli, leaking: Path, tmp_path: Path
) -> None:
    options = ("--data", leaking, "--untitled", "id")
    trained = cli("train", "genrec", *TINY, *options, "--out", tmp_path / "run")
    (line,) = [line for line in trained.err.splitlines() if line.startswith("leak: ")]
    assert line.startswith("leak: titles: max(history)+1 to +10 alone finds HR@10 1.0000")
    assert "code=sequential" in line
    assert "leak     codes: max(history)+1" in cli("audit", tmp_path / "run", code=1).out
    assert "leak: " not in cli("train", "popular", *options, "--out", tmp_path / "popular").err


def test_a_prompt_that_names_an_answer(cli, tmp_path: Path, titled: Path) -> None:
    answer = titled.read_text().splitlines()[0].split()[-1]
    items = map(json.loads, (titled.parent / "items.jsonl").read_text().splitlines())
    (title,) = (item["title"] for item in items if item["id"] == answer)
    prompt, run = tmp_path / "prompt.yaml", tmp_path / "run"
    prompt.write_text(f"paraphrases:\n  - before: 'Somebody who likes {title} took:'\n    after: 'Next:'\n")
    cli("train", "genrec", f"prompt={prompt}", "examples=last", *TINY, "--data", titled, "--out", run)
    found = cli("audit", run, "--json", code=1).json["findings"]
    (named,) = [finding for finding in found if finding["check"] == "questions"]
    assert (named["severity"], named["value"]) == ("leak", 1 / 400)
    assert repr(title) in named["what"]


def test_train_and_evaluate_are_silent_where_nothing_is_wrong(cli, run: Path) -> None:
    assert cli("evaluate", run, "--no-floor").err == ""


def test_a_run_that_is_not_finished_or_none(mistake, run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "model")
    assert "has not finished" in mistake("audit", run)
    assert "nowhere" in mistake("audit", tmp_path / "nowhere")


def test_a_run_that_lost_a_file_is_no_data_set(mistake, popular_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(popular_run, tmp_path / "run")
    (run / "config.yaml").unlink()
    for command in ("audit", "bench"):
        assert "config.yaml is missing" in mistake(command, run)
