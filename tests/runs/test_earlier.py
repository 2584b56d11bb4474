"""Runs that start from an earlier run: a log that grows by a day, and what would let held-out items leak."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import genrec
import polars as pl
import pytest
from genrec.cli.main import main
from genrec.errors import ConfigError, RunError
from genrec.recommenders.sasrec import SASRec

TINY: dict[str, Any] = {
    "width": 8,
    "epochs": 4,
    "batch_size": 8,
    "evaluations": 2,
    "bf16": False,
    "max_items": 5,
}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A log on two days: three more interactions of each user, among them a new item, and two new users."""
    folder, rows = tmp_path_factory.mktemp("days"), []
    files = []
    for day, (users, steps) in enumerate(((20, range(6)), (22, range(6, 9)))):
        rows += [
            (f"u{user}", f"i{(user + step) % (12 + day)}", step) for user in range(users) for step in steps
        ]
        log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
        log.write_csv(folder / f"{day}.csv")
        files.append(folder / f"{day}.csv")
    return files


@pytest.fixture(scope="module")
def monday(days: list[Path], tmp_path_factory: pytest.TempPathFactory) -> genrec.Run:
    """No test changes it."""
    return genrec.train("sasrec", days[0], tmp_path_factory.mktemp("runs") / "monday", **TINY)


def test_a_night_starts_from_the_last_one_and_says_so(
    days: list[Path], monday: genrec.Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="genrec"):
        run = genrec.train("sasrec", days[1], tmp_path / "run", from_run=monday.folder, budget=0.5, **TINY)
    assert "which knows 12 of the 13 items, with 0.5 of the steps" in caplog.text
    about = {"run": str(monday.folder.resolve()), "identity": monday.identity, "budget": 0.5}
    assert genrec.open_run(run.folder).about_data["start"] == about
    assert run.evaluate()["provenance"]["start"] == about
    assert "start" not in monday.provenance("test")
    steps = [
        entry.log[-1]["step"] for entry in (run, genrec.train("sasrec", days[1], tmp_path / "whole", **TINY))
    ]
    assert steps[0] * 2 == steps[1]
    assert (run.folder / "config.yaml").read_text() == (tmp_path / "whole" / "config.yaml").read_text()


def test_the_command_goes_on_from_the_run_in_whose_place_it_trains(
    days: list[Path], monday: genrec.Run, tmp_path: Path
) -> None:
    options = [f"{name}={json.dumps(value)}" for name, value in TINY.items()]
    words = ["train", "sasrec", *options, "--out", str(tmp_path / "run")]
    assert main([*words, "--data", str(days[0])]) == 0
    first = genrec.open_run(tmp_path / "run").identity
    assert main([*words, "--data", str(days[1]), "--force", "--from", str(tmp_path / "run")]) == 0
    run = genrec.open_run(tmp_path / "run")
    assert run.identity != first == run.about_data["start"]["identity"]
    assert run.about_data["start"]["budget"] == 0.3
    again = [*words, "--data", str(days[1]), "--keep", "2", "--from", str(tmp_path / "run")]
    again[again.index("--out") + 1] = str(tmp_path / "dated")
    assert main(again) == 0
    again[-1] = str(tmp_path / "dated" / "latest")
    assert main(again) == 0
    last = genrec.open_run(tmp_path / "dated" / "latest").about_data["start"]["run"]
    assert Path(last).parent.name == "dated"
    assert Path(last).name[:2] == "20"


def test_a_stopped_one_goes_on_from_where_it_began_alone(
    days: list[Path], monday: genrec.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def night(place: str, **more: Any) -> genrec.Run:
        options = {"from_run": monday.folder, "budget": 0.5} | more
        return genrec.train("sasrec", days[1], tmp_path / place, **options, **TINY)

    rank, calls = SASRec.rank, list[int]()

    def stop(self: SASRec, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:  # the second validation
            raise KeyboardInterrupt
        return rank(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SASRec, "rank", stop)
        with pytest.raises(KeyboardInterrupt):
            night("run")
    with pytest.raises(
        RunError, match=r"was begun from .* with 0.5 of the steps and this command begins afresh"
    ):
        night("run", resume=True, from_run=None, budget=None)
    with pytest.raises(RunError, match=r"with 0.5 of the steps and this command begins from .* with 0.25"):
        night("run", resume=True, budget=0.25)
    histories = genrec.open_run(tmp_path / "run").data.interactions.histories
    scores = [night(place, resume=True).model.rank(histories).scores_BK for place in ("run", "other")]
    assert scores[0].tolist() == scores[1].tolist()


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        (
            {"protocol": "temporal"},
            ConfigError,
            "was trained with protocol=leave-one-out and may have learnt what temporal",
        ),
        ({"refit": True}, ConfigError, "--refit trains afresh"),
        ({"budget": 0}, ConfigError, "budget is 0: give a share"),
        ({"budget": 1.5}, ConfigError, "budget is 1.5"),
        ({"budget": True}, ConfigError, "budget is True"),
        ({"from_run": None, "budget": 0.5}, ConfigError, "name one (--from)"),
        ({"from_run": "nowhere"}, RunError, "there is no run folder nowhere"),
        ({"width": 16}, ConfigError, "the earlier run has width=8 and this one 16"),
    ],
)
def test_what_cannot_be_started_is_told_and_leaves_nothing(
    days: list[Path], monday: genrec.Run, tmp_path: Path, options: dict[str, Any], error: type, told: str
) -> None:
    with pytest.raises(error, match=re.escape(told)):
        genrec.train("sasrec", days[1], tmp_path / "run", **{"from_run": monday.folder} | TINY | options)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_has_shrunk_or_lost_whole_items_is_refused(
    days: list[Path], monday: genrec.Run, tmp_path: Path
) -> None:
    tuesday = genrec.train("sasrec", days[1], tmp_path / "tuesday", **TINY)
    with pytest.raises(RunError, match="trained on a log of 186 interactions, and this one has 120"):
        genrec.train("sasrec", days[0], tmp_path / "run", from_run=tuesday.folder, **TINY)
    cold = genrec.train("sasrec", days[0], tmp_path / "cold", cold_share=0.1, **TINY)
    with pytest.raises(ConfigError, match="other items are held out as the log grows"):
        genrec.train("sasrec", days[1], tmp_path / "run", from_run=cold.folder, cold_share=0.1, **TINY)
    assert not (tmp_path / "run").exists()
