"""`train auto`: what is fitted in the time, what is chosen, and that the run is one like any other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import genrec
import polars as pl
import pytest
from genrec.cli.main import main
from genrec.errors import ConfigError, RunError
from genrec.recommenders.popular import Popular
from genrec.recommenders.sasrec import SASRec
from genrec.runs import auto
from genrec.runs.run import Run

CHEAP = ["popular", "itemknn", "transitions", "tfidf"]
_SMALL = {"width": 16, "bf16": False, "evaluations": 1, "batch_size": 8}
TRAINED: dict[str, Any] = {
    "bsarec": ("bsarec", _SMALL | {"epochs": 4}, 0.35),
    "genrec-best": (
        "genrec",
        {
            **{"width": 16, "depth": 1, "vocab_size": 300, "bf16": False, "batch_size": 8},
            **{
                "epochs": 2,
                "min_steps": 0,
                "prior_options": {"bsarec": _SMALL | {"epochs": 2, "min_steps": 0}},
            },
        },
        0.85,
    ),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "TRAINED", TRAINED)
    monkeypatch.setattr(auto, "TIMED_STEPS", 2)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walks round 20 items with titles."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        (f"u{user}", f"i{(user + step) % 20}", step) for user in range(40) for step in range(4 + user % 5)
    ]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_csv(folder / "log.csv")
    colours, things = ("Red", "Blue"), ("hose", "barrel", "spade")
    titles = [(f"i{row}", f"{colours[row % 2]} {things[row % 3]} {row}") for row in range(20)]
    pl.DataFrame(titles, schema=["item_id", "title"], orient="row").write_csv(folder / "items.csv")
    return folder


def words(shop: Path, out: Path, *more: object) -> list[str]:
    given = ["--data", shop / "log.csv", "--items", shop / "items.csv", "--out", out]
    return ["train", "auto", *map(str, [*given, *more])]


def choose(shop: Path, out: Path, **options: Any) -> genrec.Run:
    return genrec.train("auto", shop / "log.csv", out, read={"items": shop / "items.csv"}, **options)


def test_the_best_is_a_run_that_every_command_knows(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(words(shop, out, "--minutes", 5)) == 0
    told = capsys.readouterr().out
    run = genrec.open_run(out)
    about = run.metrics["auto"]
    rows = {row["name"]: row for row in about["candidates"]}
    assert set(rows) == {*CHEAP, "bsarec", "genrec-best", "union"}
    best = max(rows.values(), key=lambda row: row["NDCG@10"])
    assert about["chosen"] == best["name"]
    assert told.count("NDCG@10") == 2  # the head of the one table, and the sentence
    assert f"{best['name']} *" in told
    assert about["why"].startswith(
        f"use {best['name']} for these data (40 users, 20 items, 240 interactions): NDCG@10"
    )
    assert " ".join(about["why"].split()) in " ".join(told.split())
    assert run.metrics["validation"]["NDCG@10"] == best["NDCG@10"]
    assert run.evaluate("validation", floor=False)["NDCG@10"] == best["NDCG@10"]
    assert run.metrics["validation"]["provenance"]["run"] == str(out)
    assert run.recipe.config == best["config"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    for command in (["evaluate", out], ["recommend", out, "--user", "u1"], ["audit", out]):
        assert main([*map(str, command)]) in (0, 1)
    assert main(["train", str(out / "config.yaml"), "--out", str(out), "--force"]) == 0
    assert "auto" not in genrec.open_run(out).metrics
    assert main(words(shop, out)) == 2
    assert "holds something: choose another --out" in " ".join(capsys.readouterr().err.split())


def test_a_union_takes_the_fitted_ones_and_can_be_fitted_on_everything(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = auto._best_first

    def first(runs: Mapping[str, Run], choice: Any) -> dict[str, Any]:
        found = order(runs, choice)
        return {name: found[name] for name in ("union", "bsarec", "transitions") if name in found} | found

    fits = list[str]()
    fit = SASRec._fit
    monkeypatch.setattr(SASRec, "_fit", lambda self, *args: (fits.append(self.name), fit(self, *args))[1])
    monkeypatch.setattr(auto, "_best_first", first)
    monkeypatch.setattr(auto, "TRAINED", {"bsarec": TRAINED["bsarec"]})
    run = choose(shop, tmp_path / "run", refit=True)
    assert run.recipe.recommender == "union"
    assert run.recipe.options["members"] == ["bsarec", "transitions"]
    assert len(fits) == 3  # to time it, to choose, and to fit on everything
    histories = run.data.interactions.histories
    members = run.model.members_
    again = genrec.create("union", **run.recipe.config).fit(run.parts.train, run.parts.validation)
    assert [member.name for member in members] == ["bsarec", "transitions"]
    assert run.model.rank(histories).items_BK.tolist() == again.rank(histories).items_BK.tolist()
    assert run.refitted is not None
    assert (run.folder / "refit" / "bsarec" / "length.json").exists()
    assert "refit" in run.evaluate()
    run = choose(shop, tmp_path / "run", force=True)
    assert run.recipe.recommender == "union"
    assert run.metrics["validation"]["provenance"]["run"] == str(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_stopped_choice_goes_on_without_fitting_anything_twice(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SASRec, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            choose(shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(RunError, match=r"has not finished: go on with --resume, or remove .*\.run\.auto"):
        choose(shop, tmp_path / "run")
    monkeypatch.setattr(Popular, "_fit", lambda *_: pytest.fail("fitted again"))
    run = choose(shop, tmp_path / "run", resume=True)
    assert {row["name"] for row in run.metrics["auto"]["candidates"]} > {*CHEAP, "bsarec"}
    assert choose(shop, tmp_path / "run", resume=True).identity == run.identity


def test_training_is_as_long_as_the_time_allows(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    takes = {"bsarec": 60 * 30 * 0.35 * 2, "genrec": 1e6}  # of 30 minutes
    timed = list[str]()
    monkeypatch.setattr(auto, "_seconds", lambda name, *_: takes[(timed.append(name), name)[1]])
    with caplog.at_level(logging.INFO, logger="genrec"):
        run = choose(shop, tmp_path / "run")
        at_once = choose(shop, tmp_path / "at-once", minutes=1e-9)
    rows = {row["name"]: row for row in run.metrics["auto"]["candidates"]}
    assert rows["bsarec"]["config"]["training"]["epochs"] == 2  # of 4
    assert "bsarec gets 50% of its usual steps" in caplog.text
    assert "genrec-best" not in rows
    assert timed == [
        "bsarec",
        "bsarec",
        "genrec",
        "genrec",
    ]  # once more, as the first steps may have been slow
    assert "genrec-best is left out: a tenth of its usual steps would need about 1,961 minutes" in caplog.text
    assert [row["name"] for row in at_once.metrics["auto"]["candidates"]] == ["popular"]
    assert "the best of what only counts; nothing was trained in the time" in at_once.metrics["auto"]["why"]
    assert "itemknn is left out: the time is up; --minutes gives more" in caplog.text


def test_the_time_of_a_whole_training_goes_by_its_steps(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = genrec.read(shop / "log.csv", items=shop / "items.csv")
    monkeypatch.setattr(auto, "_rate", lambda path: 10.0)
    name, options, _ = TRAINED["bsarec"]
    assert auto._seconds(name, options, data.train) == pytest.approx(4 * 5 / 10)  # 40 histories by 8
    name, options, _ = TRAINED["genrec-best"]
    assert auto._seconds(name, options, data.train) == pytest.approx((2 * 5 + 2 * 5) / 10)
    longer = options | {"min_steps": 30, "prior_options": {"bsarec": _SMALL | {"epochs": 1, "min_steps": 20}}}
    assert auto._seconds(name, longer, data.train) == pytest.approx((30 + 20) / 10)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"minutes": 0}, "minutes is 0"),
        ({"minutes": True}, "minutes is True"),
        ({"seed": 1}, "auto chooses the recommender and its options: leave seed out"),
        ({"from_run": "runs/x"}, "leave from_run out"),
        ({"floors": True}, "leave floors out"),
    ],
)
def test_what_it_does_not_take_is_told(
    shop: Path, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        choose(shop, tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_before_anything_is_fitted_leaves_nothing(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Popular, "_save", fails)
    with pytest.raises(OSError, match="no room"):
        choose(shop, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_the_same(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = words(shop, tmp_path / "run")
    assert main([*given, "seed=1"]) == 2
    assert "leave seed=1 out" in capsys.readouterr().err
    assert main(["train", "popular", *given[2:], "--minutes", "3"]) == 2
    assert "minutes (--minutes) is of auto" in capsys.readouterr().err
