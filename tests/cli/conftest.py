"""The command line as the tests use it: run in this process, with what it printed and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from genrec.cli.main import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli("data", path, code=2)` runs `genrec data PATH` and expects that exit code."""

    def run(*words: object, code: int = 0) -> Result:
        capsys.readouterr()
        found = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert found == code, captured.err
        return Result(found, captured.out, captured.err)

    return run


@pytest.fixture
def mistake(cli: Cli) -> Callable[..., str]:
    """Run a command that a user got wrong: exit code 2 and one line on stderr, which is returned."""

    def run(*words: object) -> str:
        result = cli(*words, code=2)
        lines = result.err.splitlines()
        assert lines[-1].startswith("genrec: error: "), result.err
        assert sum(line.startswith("genrec: error: ") for line in lines) == 1
        assert "Traceback" not in result.err
        return lines[-1].removeprefix("genrec: error: ")

    return run


@pytest.fixture(scope="session")
def unsealed() -> Callable[[Path], Path]:
    """Make a run what a version without seals would have written: its files may be changed. Gives the run back."""

    def unseal(run: Path) -> Path:
        for path in (run / "data.json", run / "metrics.json", run / "model" / "recommender.json"):
            values = json.loads(path.read_text())
            values.pop("seal", None)
            path.write_text(json.dumps(values))
        return run

    return unseal


def train(folder: Path, *words: str) -> Path:
    assert main(["train", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def popular_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests must not change it."""
    return train(tmp_path_factory.mktemp("runs") / "popular", "popular", "--data", "synthetic")


@pytest.fixture(scope="session")
def knn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests must not change it."""
    words = ("itemknn", "num_neighbours=50", "--data", "synthetic")
    return train(tmp_path_factory.mktemp("runs") / "itemknn", *words)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options to read reviews with stars, texts and headlines: 14 users, 6 reviews each, 12 of 120 items taken."""
    folder = tmp_path_factory.mktemp("reviews")
    parts, rows = ("strings", "tuner", "strap"), ["user_id,item_id,timestamp,rating,text,headline"]
    for user in range(14):
        for step in range(6):
            item = (3 * user + 7 * step) % 12
            stars, part = 1 + (item + user) % 5, parts[item % 3]
            text = f"My {part} came at step {step}. It got {stars} from {user}."
            rows.append(f"u{user},i{item},{1_600_000_000 + 100 * step},{stars},{text},{stars} for {part}")
    (folder / "reviews.csv").write_text("\n".join(rows) + "\n")
    items = [f"i{item},Thing number {item}" for item in range(120)]
    (folder / "items.csv").write_text("item_id,title\n" + "\n".join(items) + "\n")
    return ("--data", str(folder / "reviews.csv"), "--items", str(folder / "items.csv"), "--unrated")


@pytest.fixture(scope="session")
def p5(reviews: tuple[str, ...]) -> tuple[str, ...]:
    """Words of `genrec train` for a p5 that learns of the reviews which items are taken, and little else."""
    options = ("depth=1", "width=32", "vocab_size=400", "max_steps=40", "learning_rate=0.01", "dropout=0")
    options += ("batch_tokens=1000", "bf16=false", "warmup_steps=1", "evaluations=1", "beams=5")
    return ("p5", *options, *reviews)


@pytest.fixture(scope="session")
def p5_run(tmp_path_factory: pytest.TempPathFactory, p5: tuple[str, ...]) -> Path:
    """A finished run that answers all tasks; tests must not change it."""
    return train(tmp_path_factory.mktemp("runs") / "p5", *p5)


@pytest.fixture(scope="session")
def rating_run(tmp_path_factory: pytest.TempPathFactory, p5: tuple[str, ...]) -> Path:
    """A finished run that knows ratings alone; tests must not change it."""
    return train(tmp_path_factory.mktemp("runs") / "rating", *p5, "families=[rating]")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with `sales.csv` and `goods.csv`: 12 users who go round 10 items in a circle, 6 steps each."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [
        f"u{user},i{(user + step) % 10},{1_600_000_000 + 100 * step},{1 + step % 5}"
        for user in range(12)
        for step in range(6)
    ]
    (folder / "sales.csv").write_text("user_id,item_id,timestamp,rating\n" + "\n".join(rows) + "\n")
    goods = [f"i{item},Thing number {item},{'red' if item % 2 else 'blue'}" for item in range(10)]
    (folder / "goods.csv").write_text("item_id,title,colour\n" + "\n".join(goods) + "\n")
    return folder
