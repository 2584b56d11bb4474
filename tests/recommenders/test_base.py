"""Names, filters, ties and saving: what the base class does for every recommender."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, Histories, Interactions, Targets
from genrec.data.ranking import best_columns
from genrec.errors import CatalogueError, ConfigError, RunError
from genrec.recommenders.base import Recommender, create, load, recommenders
from genrec.recommenders.options import Config
from genrec.testing import toys
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import Field

TITLES = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon"]


class _Options(Config):
    bonus: float = Field(default=0.0, ge=0)


class _Fixed(Recommender):
    """Scores are log-probabilities set by hand; `bonus` goes to the last item of the history."""

    Config = _Options
    name = "fixed"
    pipeline = "nothing -> the same scores"
    paper = "https://example.org"
    probabilistic = True

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        self.logp_I_ = np.log(np.array([0.1, 0.3, 0.3, 0.2, 0.1], np.float32))
        self.batch_lengths_: list[list[int]] = []

    def _score(self, histories: Histories) -> FloatArray:
        self.batch_lengths_.append(histories.lengths.tolist())
        return np.tile(self.logp_I_, (len(histories), 1))

    def _save(self, folder: Path) -> None:
        raise KeyboardInterrupt  # the worst moment

    def _load(self, folder: Path) -> None:
        raise AssertionError


@pytest.fixture
def interactions() -> Interactions:
    colours = ["red", "blue", "red", "blue", "red"]
    return toys.interactions([[0, 1, 2], [2, 3]], toys.catalogue(TITLES, list("abcde"), colour=colours))


@pytest.fixture
def fixed(interactions: Interactions) -> _Fixed:
    return _Fixed().fit(interactions)


def test_ties_come_in_catalogue_order(fixed: _Fixed) -> None:
    found = fixed.rank(Histories.from_lists([[]]), 5)
    assert found.items_BK.tolist() == [[1, 2, 3, 0, 4]]
    assert found.exact_B.tolist() == [True]


@given(
    scores=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.sampled_from([-np.inf, -1, -0.0, 0.0, 0.5, 1, np.inf]),
    ),
    share=st.floats(0, 1),
)
def test_the_best_are_those_of_a_full_stable_sort(scores: FloatArray, share: float) -> None:
    k = 1 + int(share * (scores.shape[1] - 1))
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(best_columns(scores, k), expected)


def test_an_item_without_a_score_is_never_recommended(fixed: _Fixed) -> None:
    fixed.logp_I_[[1, 3]] = np.nan
    found = fixed.rank(Histories.from_lists([[]]), 4)
    assert found.items_BK.tolist() == [[2, 0, 4, -1]]


def test_users_of_similar_length_share_a_batch_and_keep_their_place(fixed: _Fixed) -> None:
    found = fixed.rank(Histories.from_lists([[1, 2, 3], [], [1], [1, 2]]), 1, batch_size=2)
    assert fixed.batch_lengths_ == [[0, 1], [2, 3]]
    assert found.items_BK[:, 0].tolist() == [0, 1, 2, 3]


def test_names_and_probabilities_come_out(fixed: _Fixed) -> None:
    (ranking,) = fixed.recommend([["b", "ALPHA"]], k=2)
    assert [(item.item_id, item.title) for item in ranking.items] == [("c", "Gamma"), ("d", "Delta")]
    assert [item.probability for item in ranking.items] == pytest.approx([0.3, 0.2])
    assert ranking.exact


def test_filters_add_up(fixed: _Fixed) -> None:
    (ranking,) = fixed.recommend([["c"]], only={"colour": "red"}, exclude=["Epsilon"])
    assert [item.item_id for item in ranking.items] == ["a"]
    only = np.array([True, False, False, True, True])
    fixed.recommend([["c"]], only=only, exclude=["a"])
    assert only.tolist() == [True, False, False, True, True]  # the caller's mask is left alone
    with pytest.raises(ConfigError, match="no item has colour='green'"):
        fixed.recommend([["c"]], only={"colour": "green"})


def test_option_out_of_range_is_told_in_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"option bonus=-1 of fixed: .*greater than or equal to 0"
    ) as caught:
        _Fixed(bonus=-1)
    assert "\n" not in str(caught.value)


def test_unknown_recommender_and_option_name_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"no recommender 'popularity'; choose one of .*itemknn.*popular"):
        create("popularity")
    with pytest.raises(ConfigError, match=r"itemknn has no option 'neighbors'; did you mean num_neighbours"):
        create("itemknn", neighbors=5)


def test_every_file_registers_under_its_own_name() -> None:
    for name, cls in recommenders().items():
        assert cls.name == name
        assert cls.__module__.startswith("genrec.recommenders.")


def test_new_items_without_a_title_are_refused(fixed: _Fixed) -> None:
    with pytest.raises(CatalogueError, match="'x' has no title"):
        fixed.add_items(pl.DataFrame({"item_id": ["x"], "title": ["  "]}))


def test_new_items_are_refused_by_default(fixed: _Fixed) -> None:
    with pytest.raises(ConfigError, match="fixed cannot take new items"):
        fixed.add_items(pl.DataFrame({"item_id": ["x"], "title": ["Zeta"]}))


def test_interrupted_save_leaves_nothing(fixed: _Fixed, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fixed.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_load_finds_the_model_inside_a_run(interactions: Interactions, tmp_path: Path) -> None:
    model = create("popular").fit(interactions)
    model.save(tmp_path / "run" / "model")
    assert load(tmp_path / "run").recommend([[]], k=1) == model.recommend([[]], k=1)
    assert (
        json.loads((tmp_path / "run" / "model" / "recommender.json").read_text())["recommender"] == "popular"
    )
    with pytest.raises(RunError, match="there is no run folder"):
        load(tmp_path / "nowhere")


def test_saving_again_replaces_the_old_one(interactions: Interactions, tmp_path: Path) -> None:
    model = create("popular").fit(interactions)
    model.save(tmp_path)
    model.remove_items(["Gamma"]).save(tmp_path)
    assert [item.title for item in load(tmp_path).recommend([[]], k=1)[0].items] == ["Alpha"]


def test_items_may_have_a_field_called_removed(interactions: Interactions, tmp_path: Path) -> None:
    ids = list("abcde")
    catalogue = Catalogue.from_lists(ids, TITLES, removed=[1, 2, 3, 4, 5], removed_=list("vwxyz"))
    model = create("popular").fit(Interactions(catalogue, interactions.users, interactions.histories))
    model.remove_items(["b"])
    again = load(model.save(tmp_path / "saved"))
    assert again.catalogue.table.equals(catalogue.table)
    assert again.removed_.tolist() == [False, True, False, False, False]
