"""The invented data set: what it promises to recommenders, and its way to disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.dataset import Dataset, ReadReport
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions
from genrec.data.read import read
from genrec.data.synthetic import NOTE, synthetic, write
from genrec.errors import ConfigError


@pytest.fixture(scope="module")
def data() -> Dataset:
    return synthetic()


def test_sizes_are_those_promised(data: Dataset) -> None:
    summary = data.summary()
    assert (summary["num_users"], summary["num_listed_items"]) == (1000, 400)
    assert 12_000 <= summary["num_interactions"] <= 15_000
    assert summary["num_items"] >= 380
    assert 5 <= summary["shortest_history"] < summary["longest_history"] <= 40


def test_it_says_that_it_is_synthetic(data: Dataset) -> None:
    assert data.synthetic
    assert data.name == data.report.layout == "synthetic"
    assert any("SYNTHETIC" in note for note in data.report.notes)


def test_equal_seeds_give_equal_data_and_other_seeds_do_not(data: Dataset) -> None:
    assert synthetic().fingerprint == data.fingerprint
    assert synthetic(seed=1).fingerprint != data.fingerprint
    assert synthetic(num_users=10).catalogue.table.equals(data.catalogue.table)


def test_nobody_takes_an_item_twice_and_times_grow(data: Dataset) -> None:
    histories, times = data.interactions.histories, data.interactions.times
    assert times is not None
    for row, history in enumerate(histories):
        assert len(np.unique(history)) == len(history)
        assert (np.diff(times[histories.offsets[row] : histories.offsets[row + 1]]) > 0).all()


def test_ratings_are_stars(data: Dataset) -> None:
    assert data.interactions.ratings is not None
    assert set(np.unique(data.interactions.ratings)) == {2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_catalogue_holds_the_hard_titles(seed: int) -> None:
    data = synthetic(num_users=1, seed=seed)
    titles = data.catalogue.titles
    assert len(titles) - len(set(titles)) == data.report.repeated_titles == 3
    assert any(longer.startswith(title + " 2: ") for title in titles for longer in titles)
    assert any("," in title for title in titles)
    assert any(not title.isascii() for title in titles)
    assert all(title == title.strip() and title for title in titles)


def test_parts_of_a_series_come_in_the_order_of_their_years(data: Dataset) -> None:
    parts = data.catalogue.table.filter(pl.col("title").str.contains(r" \d: ")).with_columns(
        part=pl.col("title").str.extract(r" (\d): ").cast(pl.Int64)
    )
    for _, of_series in parts.group_by("series"):
        assert of_series.sort("part")["year"].is_sorted()


@pytest.mark.parametrize("num_users", [0, -3, 100_001, 10**20])
def test_no_users_and_too_many_are_refused(num_users: int) -> None:
    with pytest.raises(ConfigError, match=f"num_users is {num_users}.* 100,000"):
        synthetic(num_users)


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        synthetic(seed=-1)


def _quality(data: Dataset, score: Callable[[IntArray], FloatArray]) -> tuple[float, float]:
    """HR@10 and NDCG@10 on the test questions; seen items excluded, ties against the model."""
    ranks = []
    for history, target in zip(data.test.histories, data.test.items, strict=True):
        scores_I = score(history).astype(float)
        scores_I[history] = -np.inf
        ranks.append((scores_I >= scores_I[target]).sum())
    hits = np.array(ranks) <= 10
    return hits.mean(), (hits / np.log2(np.array(ranks) + 1)).mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_order_must_be_read_to_do_well(seed: int) -> None:
    """Counting which item follows which beats what ignores the order, and still leaves much to guess."""
    data = synthetic(seed=seed)
    num_items = len(data.catalogue)
    taken_UI = np.zeros((data.train.num_users, num_items))
    follows_II = np.zeros((num_items, num_items))
    for user, history in enumerate(data.train.histories):
        taken_UI[user, history] = 1
        np.add.at(follows_II, (history[:-1], history[1:]), 1)
    popularity_I = taken_UI.sum(axis=0)
    norm_I = np.sqrt(popularity_I).clip(1)
    cosine_II = taken_UI.T @ taken_UI / np.outer(norm_I, norm_I)

    popular = _quality(data, lambda history: popularity_I)
    item_knn = _quality(data, lambda history: cosine_II[history].sum(axis=0))
    markov = _quality(data, lambda history: follows_II[history[-1]] + 1e-6 * popularity_I)
    assert markov[0] >= 1.3 * item_knn[0] >= 1.3 * 1.3 * popular[0]
    assert markov[1] >= 1.3 * item_knn[1] >= 1.3 * 1.3 * popular[1]
    assert 0.3 <= markov[0] <= 0.8


def test_written_csv_holds_everything(data: Dataset, tmp_path) -> None:
    folder = write(data, tmp_path / "films")
    rows = pl.read_csv(folder / "interactions.csv")
    assert rows.columns == ["user_id", "item_id", "timestamp", "rating"]
    first = data.interactions.histories[0]
    own = rows.filter(pl.col("user_id") == data.interactions.users[0])
    assert own["item_id"].to_list() == [data.catalogue.ids[item] for item in first]
    assert rows.height == data.interactions.num_interactions
    items = pl.read_csv(folder / "items.csv").with_columns(pl.col("genres").str.split("|"))
    assert items.equals(data.catalogue.table)
    assert "SYNTHETIC" in (folder / "README.txt").read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {"interactions.csv", "items.csv", "README.txt"}


def _by_name(data: Dataset) -> dict[str, list[tuple[str, int, float]]]:
    """What each user took, by raw ids, with time and rating."""
    taken = data.interactions
    ids = [data.catalogue.ids[item] for item in taken.histories.items]
    rows = list(zip(ids, taken.times.tolist(), taken.ratings.tolist(), strict=True))
    ends = taken.histories.offsets
    return {user: rows[ends[row] : ends[row + 1]] for row, user in enumerate(taken.users)}


def test_written_csv_reads_back_the_same(data: Dataset, tmp_path) -> None:
    again = read(write(data, tmp_path / "films"))
    assert _by_name(again) == _by_name(data)
    fields = ["item_id", "title", "genres", "year", "series"]
    assert again.catalogue.table[fields].sort("item_id").equals(data.catalogue.table[fields].sort("item_id"))
    assert again.report.repeated_titles == data.report.repeated_titles


def test_write_overwrites_nothing(tmp_path) -> None:
    (tmp_path / "items.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"items\.csv exists"):
        write(synthetic(num_users=3), tmp_path)
    assert (tmp_path / "items.csv").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]


def test_write_needs_times(data: Dataset, tmp_path) -> None:
    interactions = Interactions(data.catalogue, pl.Series(["u"]), Histories.from_lists([[0, 1, 2]]))
    with pytest.raises(ConfigError, match="no times"):
        write(Dataset("orders", interactions, ReadReport("csv", "orders.csv")), tmp_path)


def test_the_mark_survives_writing_and_reading(tmp_path: Path) -> None:
    folder = write(synthetic(num_users=50), tmp_path / "invented")
    for source in (folder, folder / "interactions.csv"):
        dataset = read(source, items=folder / "items.csv")
        assert dataset.synthetic
        assert NOTE in dataset.report.notes
