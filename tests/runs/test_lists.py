from __future__ import annotations

from pathlib import Path

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender
from genrec.runs import lists
from genrec.runs.lists import Question, recommend_to_all

DATA = genrec.synthetic(num_users=50)


@pytest.fixture(scope="module")
def model() -> Recommender:
    return genrec.create("itemknn").fit(DATA.train)


def write(model: Recommender, out: Path, k: int = 5, **options: object) -> int:
    settings = {"identity": "m", "users_per_part": 20, **options}
    return recommend_to_all(model, DATA, Question(k), out, **settings)


def test_probabilities_are_written_where_there_are_any(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(type(model), "probabilistic", True)
    write(model, tmp_path / "recs.parquet")
    found = pl.read_parquet(tmp_path / "recs.parquet")
    assert np.allclose(found["probability"], np.exp(found["score"]))


def test_a_stopped_job_goes_on_and_ends_the_same(model, tmp_path, monkeypatch) -> None:
    write(model, tmp_path / "whole.parquet")
    asked: list[int] = []
    rank = type(model).rank

    def stop_after_two(self: Recommender, histories, *args: object, **options: object):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    out = tmp_path / "parts.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "rank", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            write(model, out)
    assert asked == [20, 20]
    assert not out.exists()
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "rank", stop_after_two)
        assert write(model, out) == 250
    assert asked == [10]  # only the part that was missing
    assert pl.read_parquet(out).equals(pl.read_parquet(tmp_path / "whole.parquet"))
    assert not out.with_name("parts.parquet.parts").exists()


def test_parts_of_another_question_are_not_mixed_in(model, tmp_path, monkeypatch) -> None:
    out = tmp_path / "recs.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(lists, "_assemble", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write(model, out)
    with pytest.raises(ConfigError, match="k=5, and this one has k=6"):
        write(model, out, k=6)
    with pytest.raises(ConfigError, match="model=m, and this one has model=n"):
        write(model, out, identity="n")
    assert write(model, out) == 250


def test_a_finished_file_is_replaced_only_with_force(model, tmp_path) -> None:
    out = tmp_path / "recs.parquet"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        write(model, out)
    assert out.read_text() == "mine"
    write(model, out, force=True)
    assert pl.read_parquet(out).height == 250


def test_a_folder_in_the_way_is_left_alone(model, tmp_path) -> None:
    folder = tmp_path / "recs.parquet.parts"
    folder.mkdir()
    (folder / "0000.parquet").write_text("mine")
    with pytest.raises(ConfigError, match="in the way"):
        write(model, tmp_path / "recs.parquet")
    assert (folder / "0000.parquet").read_text() == "mine"
