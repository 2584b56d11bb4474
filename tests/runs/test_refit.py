"""A run's second model, which has learnt from the validation items too: what it is, and what is told of it."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import genrec
import genrec.training.trainer as trainer
import numpy as np
import pytest
import torch
from genrec.audit.run import training_findings
from genrec.cli.main import main
from genrec.data.dataset import Dataset
from genrec.errors import ConfigError, RunError
from genrec.recommenders.popular import Popular
from genrec.runs.audit import audit_run
from genrec.testing import interactions
from genrec.training.checkpoints import newest_checkpoint, state_of

QUICK = {"width": 8, "depth": 1, "epochs": 6, "batch_size": 256, "evaluations": 6, "validation_users": 100}


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a refit, measured; tests must not change it."""
    run = genrec.train("popular", "synthetic", tmp_path_factory.mktemp("runs") / "popular", refit=True)
    run.evaluate()
    run.evaluate("validation", users=50)
    return run.folder


@pytest.fixture(scope="module")
def data() -> Dataset:
    return genrec.synthetic()


def counted(model: Any) -> float:
    return float(model.rank(genrec.Histories.from_lists([[]]), len(model.catalogue)).scores_BK.sum())


def test_it_learns_from_all_before_the_test_and_the_first_model_stays(popular: Path, data: Dataset) -> None:
    run = genrec.open_run(popular)
    assert run.refitted is not None
    assert counted(run.model) == data.train.num_interactions
    assert counted(run.refitted) == data.before_test().num_interactions
    assert counted(run.refitted) == data.train.num_interactions + len(data.validation)
    assert run.metrics["refit"]["num_interactions"] == data.before_test().num_interactions


def test_the_test_is_measured_with_both_and_validation_with_the_first(popular: Path, data: Dataset) -> None:
    metrics = genrec.open_run(popular).metrics
    test = metrics["test"]
    assert test["provenance"]["trained_on"] == "training part"
    assert test["refit"]["trained_on"] == "training and validation"
    for train, found in ((data.train, test), (data.before_test(), test["refit"])):
        expected = genrec.evaluate(genrec.create("popular").fit(train).rank, data.test).to_json()
        for name in ("HR@10", "NDCG@10", "MRR", "num_users", "intervals"):
            assert found[name] == json.loads(json.dumps(expected[name]))
        assert found["unfiltered"]["HR@10"] == expected["unfiltered"]["HR@10"]
    assert test["refit"]["HR@10"] != test["HR@10"]
    assert test["refit"]["floor"]["HR@10"] != test["floor"]["HR@10"]
    assert "refit" not in metrics["validation-50-users"]


def test_the_command_shows_both(popular: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "popular", "--data", "synthetic", "--out", str(tmp_path / "run"), "--refit"]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--users", "200"]) == 0
    told = capsys.readouterr().out
    found = genrec.open_run(tmp_path / "run").metrics["test-200-users"]
    assert next(line for line in told.splitlines() if "metric" in line).split()[-1] == "refit"
    line = next(line for line in told.splitlines() if line.startswith("NDCG@10"))
    assert line.split()[1] == f"{found['NDCG@10']:.4f}"
    assert line.split()[-1] == f"{found['refit']['NDCG@10']:.4f}"
    assert "training part; refit: training and validation" in told
    assert main(["evaluate", str(tmp_path / "run"), "--split", "validation"]) == 0
    assert "refit" not in capsys.readouterr().out


def test_a_finished_run_gets_it_and_keeps_it(
    popular: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    assert genrec.train("popular", "synthetic", folder).refitted is None
    again = genrec.train("popular", "synthetic", folder, resume=True, refit=True)
    assert again.refitted is not None
    assert counted(again.refitted) == counted(genrec.open_run(popular).refitted)
    with caplog.at_level(logging.INFO, logger="genrec"):
        genrec.train("popular", "synthetic", folder, resume=True, refit=True)
    assert f"{folder / 'refit'} is trained already" in [record.getMessage() for record in caplog.records]


def test_a_refit_that_fails_leaves_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    genrec.train("popular", "synthetic", folder)

    def before() -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*")}

    there = before()
    with monkeypatch.context() as patch:
        patch.setattr(Popular, "_save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space"):
            genrec.train("popular", "synthetic", folder, resume=True, refit=True)
    assert before() == there
    assert genrec.train("popular", "synthetic", folder, resume=True, refit=True).refitted is not None


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C in the n-th batch from now on; 0: never again."""
    compute = trainer.Learner.backward

    def set_stop(count: int) -> None:
        batches = itertools.count(1)

        def stopping(*args: Any, **kwargs: Any) -> torch.Tensor:
            if next(batches) == count:
                raise KeyboardInterrupt
            return compute(*args, **kwargs)

        monkeypatch.setattr(trainer.Learner, "backward", stopping)

    return set_stop


def test_it_trains_as_long_as_validation_chose_and_goes_on_to_the_bit(
    tmp_path: Path, stop_after: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = itertools.chain([0.1, 0.2, 0.5], itertools.repeat(0.3))
    monkeypatch.setattr(
        "genrec.recommenders.sasrec.ranking_validation", lambda _, targets, *rest: targets and validate
    )

    def validate() -> dict[str, float]:
        return {"NDCG@10": next(scores)}

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    genrec.train("sasrec", "synthetic", whole, **QUICK)
    shutil.copytree(whole, stopped)
    expected = genrec.train("sasrec", "synthetic", whole, **QUICK, resume=True, refit=True)
    first, second = (
        state_of(newest_checkpoint(folder / "checkpoints")) for folder in (whole, whole / "refit")
    )
    assert first.best_step == first.num_updates // 2
    assert second.step == second.num_updates // 2

    stop_after(second.step * 2 // 3)
    with pytest.raises(KeyboardInterrupt):
        genrec.train("sasrec", "synthetic", stopped, **QUICK, resume=True, refit=True)
    assert genrec.open_run(stopped).refitted is None
    assert genrec.open_run(stopped).finished
    stop_after(0)
    found = genrec.train("sasrec", "synthetic", stopped, **QUICK, resume=True, refit=True)
    assert found.refitted is not None
    assert expected.refitted is not None
    histories = found.parts.test.histories.take(np.arange(50))
    lists = [model.rank(histories, 20) for model in (expected.refitted, found.refitted, found.model)]
    np.testing.assert_array_equal(lists[0].items_BK, lists[1].items_BK)
    np.testing.assert_array_equal(lists[0].scores_BK, lists[1].scores_BK)
    assert not np.array_equal(lists[0].scores_BK, lists[2].scores_BK)


def test_a_refit_of_another_run_is_refused(popular: Path, tmp_path: Path) -> None:
    folder = genrec.train("popular", "synthetic", tmp_path / "run").folder
    shutil.copytree(popular / "refit", folder / "refit")
    with pytest.raises(RunError, match="is of another run"):
        genrec.open_run(folder).evaluate(users=10)


def test_what_has_no_lists_or_is_built_on_a_run_is_refused_at_once(popular: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="learns no lists, and --refit adds a column"):
        genrec.train("p5", "synthetic", out, families=["rating"], refit=True)
    with pytest.raises(ConfigError, match=r"retriever=.*popular is a run, whose model was trained without"):
        genrec.train("palr", "synthetic", out, retriever=str(popular), refit=True)
    with pytest.raises(
        ConfigError, match=r"retriever_options=.*popular is a run, whose model was trained without"
    ):
        genrec.train("palr", "synthetic", out, retriever_options={"prior": [str(popular)]}, refit=True)
    assert not out.exists()


def test_the_audit_finds_no_leak_in_it_and_says_what_it_checked(popular: Path) -> None:
    audit = audit_run(genrec.open_run(popular))
    assert [finding for finding in audit.findings if finding.severity != "note"] == []
    assert audit.checked.endswith("the same of the refit")


def test_the_audit_finds_test_items_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "before_test", lambda self, protocol: self.interactions)
        run = genrec.train("popular", "synthetic", tmp_path / "run", refit=True)
    (found,) = [one for one in audit_run(run).findings if one.severity == "leak"]
    assert (found.check, found.where, found.value) == ("training", "refit", len(run.parts.test))
    assert "only" in found.what


def test_a_training_on_less_is_no_leak() -> None:
    known = interactions([[0, 1, 2], [1, 2]], 4)
    assert training_findings("refit", {"num_interactions": 5}, known) == []
    assert training_findings("refit", {}, known) == []
    assert len(training_findings("refit", {"num_interactions": 6}, known)) == 1
