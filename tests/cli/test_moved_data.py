"""The data of a run are read again: where they lie now, and only if they are what it was trained on."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Mistake = Callable[..., str]


def _write(folder: Path, *, pause: int = 4000, stars: int = 0, shelf: str = "top") -> Path:
    """A log whose times and ratings may be others while its order is the same, and the items beside it."""
    chance = random.Random(4)
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    lines = ["user_id,item_id,timestamp,rating"]
    for user in range(30):
        time = 1_600_000_000 + user * 100
        for item in chance.sample(range(12), 6):
            time += 1 + int(pause * chance.random())
            lines.append(f"u{user},{item},{time},{1 + (item + stars) % 5}")
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    items = [f"{item},Shelf {'ABCDEFGHIJKL'[item]},{shelf}" for item in range(12)]
    (folder / "sub" / "items.csv").write_text("\n".join(["item_id,title,place", *items]) + "\n")
    return folder


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    data = _write(tmp_path / "data")
    reading = ("--data", str(data / "log.csv"), "--items", str(data / "sub" / "items.csv"))
    return ("train", "tfidf", "--protocol", "temporal", *reading, "--out", str(tmp_path / "run"))


@pytest.mark.parametrize(("changed", "told"), [({"pause": 90}, "times"), ({"stars": 1}, "ratings")])
def test_data_with_other_details_are_other_data(
    cli, mistake: Mistake, words: tuple[str, ...], tmp_path: Path, changed: dict[str, int], told: str
) -> None:
    cli(*words)
    _write(tmp_path / "data", **changed)  # type: ignore[arg-type]
    assert f"with other {told}: give the data as they were" in mistake("evaluate", tmp_path / "run")
    assert f"with other {told}: give the same --data" in mistake(*words, "--resume")


def test_other_fields_of_items_are_another_training_and_no_other_question(
    cli, mistake: Mistake, words: tuple[str, ...], tmp_path: Path
) -> None:
    cli(*words)
    before = cli("evaluate", tmp_path / "run", "--json").json["MRR"]
    _write(tmp_path / "data", shelf="cellar")
    assert (
        cli("evaluate", tmp_path / "run", "--json").json["MRR"] == before
    )  # the model has those that it learnt
    assert "with other fields of items" in mistake(*words, "--resume")


def test_runs_from_before_details_are_read(
    cli, words: tuple[str, ...], tmp_path: Path, unsealed: Callable[[Path], Path]
) -> None:
    cli(*words)
    path = unsealed(tmp_path / "run") / "data.json"
    path.write_text(
        json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "details"})
    )
    _write(tmp_path / "data", stars=1)
    cli("evaluate", tmp_path / "run")


def test_runs_whose_times_differ_are_not_compared_by_time(
    cli, mistake: Mistake, words: tuple[str, ...], tmp_path: Path
) -> None:
    cli(*words)
    _write(tmp_path / "data", pause=90)
    other = tmp_path / "other"
    cli(*words[:1], "popular", *words[2:-1], other)
    assert "with other times" in mistake("compare", tmp_path / "run", other)


def test_items_are_found_where_they_moved_with_the_interactions(
    cli, mistake: Mistake, words: tuple[str, ...], tmp_path: Path
) -> None:
    cli(*words)
    before = cli("evaluate", tmp_path / "run", "--json").json["MRR"]
    moved = tmp_path / "archive"
    shutil.move(tmp_path / "data", moved)
    assert "give --data PATH" in mistake("evaluate", tmp_path / "run")
    assert cli("evaluate", tmp_path / "run", "--data", moved / "log.csv", "--json").json["MRR"] == before
    (moved / "sub" / "items.csv").unlink()
    told = mistake("evaluate", tmp_path / "run", "--data", moved / "log.csv")
    assert str(moved / "sub" / "items.csv") in told
    assert str(tmp_path / "data" / "sub" / "items.csv") in told
