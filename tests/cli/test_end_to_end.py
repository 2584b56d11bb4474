"""The main job through the real command line: train `genrec`, be killed, go on, measure, recommend."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow

GENREC = [sys.executable, "-m", "genrec"]
TRAIN = [*GENREC, "train", "genrec", "--data", "synthetic", "depth=1", "width=64", "vocab_size=600"]
TRAIN += ["backbone.min_steps=0", "prior_options.bsarec.training={epochs: 2, min_steps: 0}"]
TRAIN += ["epochs=6", "evaluations=3", "validation_users=100", "beams=20", "warmup_steps=10", "bf16=false"]


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(*TRAIN, "--out", folder)
    return folder


def weights(folder: Path) -> dict[str, np.ndarray]:
    files = sorted((folder / "model").rglob("*.safetensors"))
    return {f"{path.name}/{name}": value for path in files for name, value in load_file(path).items()}


def test_killed_and_resumed_ends_with_the_same_weights(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    process = subprocess.Popen([*TRAIN, "--out", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        while process.poll() is None and not list(folder.glob("checkpoints/checkpoint-*/seal.json")):
            time.sleep(0.05)
        assert process.poll() is None, "it had ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
    assert not (folder / "model").exists()
    run(*TRAIN, "--out", folder, "--resume")
    before, after = weights(undisturbed), weights(folder)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.allclose(value, after[name], rtol=0, atol=1e-6), name


def test_it_is_measured_and_beats_popularity(undisturbed: Path, popular_run: Path) -> None:
    own, popular = (
        json.loads(run(*GENREC, "evaluate", folder, "--json")) for folder in (undisturbed, popular_run)
    )
    assert own["NDCG@10"] > popular["NDCG@10"]
    assert own["invalid_rate"] == own["duplicate_rate"] == own["seen_rate"] == 0


def test_it_recommends_what_exists_with_probabilities_and_reasons(undisturbed: Path) -> None:
    found = json.loads(run(*GENREC, "recommend", undisturbed, "--user", "user0001", "--why", "--json"))
    assert len(found["items"]) == 10
    chances = [item["probability"] for item in found["items"]]
    assert chances == sorted(chances, reverse=True)
    assert 0 < sum(chances) <= 1
    for item in found["items"]:
        along = math.prod(step["probability"] for step in item["why"])
        assert along == pytest.approx(item["probability"], rel=1e-3)


def test_everybody_is_recommended_to(undisturbed: Path, tmp_path: Path) -> None:
    run(*GENREC, "recommend", undisturbed, "--users", "all", "-k", 3, "--out", tmp_path / "recs.parquet")
    found = pl.read_parquet(tmp_path / "recs.parquet")
    assert found.height == 3000
    assert found["probability"].is_between(0, 1).all()
