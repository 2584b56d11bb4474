from __future__ import annotations

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.data.synthetic import write as write_csv
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender
from genrec.recommenders.itemknn import ItemKNN
from genrec.runs import lists
from genrec.runs.run import Run

DATA = genrec.synthetic(num_users=50)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("lists")
    return genrec.train("itemknn", write_csv(DATA, folder / "data"), folder / "run")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "USERS_PER_PART", 20)


def test_probabilities_are_written_where_there_are_any(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ItemKNN, "probabilistic", True)
    run.recommend_to_all(tmp_path / "recs.parquet", 5)
    found = pl.read_parquet(tmp_path / "recs.parquet")
    assert np.allclose(found["probability"], np.exp(found["score"]))


def test_a_stopped_job_goes_on_and_ends_the_same(run, tmp_path, monkeypatch) -> None:
    run.recommend_to_all(tmp_path / "whole.parquet", 5)
    asked: list[int] = []
    rank = ItemKNN.rank

    def stop_after_two(self: Recommender, histories, *args: object, **options: object):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    out = tmp_path / "parts.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(ItemKNN, "rank", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            run.recommend_to_all(out, 5)
    assert asked == [20, 20]
    assert not out.exists()
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(ItemKNN, "rank", stop_after_two)
        assert run.recommend_to_all(out, 5) == 250
    assert asked == [10]  # only the part that was missing
    assert pl.read_parquet(out).equals(pl.read_parquet(tmp_path / "whole.parquet"))
    assert not out.with_name("parts.parquet.parts").exists()


def test_parts_of_another_question_are_not_mixed_in(run, tmp_path, monkeypatch) -> None:
    out = tmp_path / "recs.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(lists, "_assemble", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.recommend_to_all(out, 5)
    with pytest.raises(ConfigError, match="k=5, and this one has k=6"):
        run.recommend_to_all(out, 6)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "model_identity", lambda self: "another")
        with pytest.raises(ConfigError, match="and this one has model=another"):
            run.recommend_to_all(out, 5)
    assert run.recommend_to_all(out, 5) == 250


def test_a_finished_file_is_replaced_only_with_force(run, tmp_path) -> None:
    out = tmp_path / "recs.parquet"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        run.recommend_to_all(out, 5)
    assert out.read_text() == "mine"
    run.recommend_to_all(out, 5, force=True)
    assert pl.read_parquet(out).height == 250


def test_a_folder_in_the_way_is_left_alone(run, tmp_path) -> None:
    folder = tmp_path / "recs.parquet.parts"
    folder.mkdir()
    (folder / "0000.parquet").write_text("mine")
    with pytest.raises(ConfigError, match="in the way"):
        run.recommend_to_all(tmp_path / "recs.parquet", 5)
    assert (folder / "0000.parquet").read_text() == "mine"
