"""The union of recommenders against reciprocal rank fusion by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, RunError
from genrec.recommenders.base import load
from genrec.recommenders.itemknn import ItemKNN
from genrec.recommenders.popular import Popular
from genrec.recommenders.tfidf import Tfidf
from genrec.recommenders.union import Union
from genrec.testing import interactions

TITLES = [
    "Red Lamp",
    "Red Chair",
    "Blue Lamp",
    "Blue Table",
    "Green Sofa",
    "Green Door",
    "Wide Gate",
    "Old Wall",
]
WALKS = [[0, 4, 6], [0, 4], [3, 7, 2], [1, 6], [6, 0], [5, 6]]


@pytest.fixture
def train() -> Interactions:
    return interactions(WALKS, TITLES)


def test_scores_are_the_sum_of_reciprocal_places(train: Interactions) -> None:
    histories = Histories.from_lists([[0], [3, 2], []])
    union = Union(members=("popular", "itemknn", "tfidf"), depth=3, rank_constant=10).fit(train)
    found = union.rank(histories, len(TITLES))
    lists = [model().fit(train).rank(histories, len(TITLES)).items_BK for model in (Popular, ItemKNN, Tfidf)]
    for row in range(len(histories)):
        expected: dict[int, float] = {}
        for item in set(lists[0][row].tolist()) - {-1}:
            places = [ranked[row].tolist().index(item) + 1 for ranked in lists]
            inside = [1 / (10 + place) for place in places if place <= 3]
            expected[item] = sum(inside) if inside else 1 / (10 + min(places))
        scores = dict(zip(found.items_BK[row].tolist(), found.scores_BK[row].tolist(), strict=True))
        scores.pop(-1, None)
        assert scores == pytest.approx(expected, rel=1e-3)
        assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_at_the_same_place_the_first_members_item_comes_first(train: Interactions) -> None:
    histories = Histories.from_lists([[0]])
    heads = {
        members: Union(members=members).fit(train).rank(histories, 1).items_BK[0, 0]
        for members in (("popular", "tfidf"), ("tfidf", "popular"))
    }
    assert Popular().fit(train).rank(histories, 1).items_BK[0, 0] == heads["popular", "tfidf"] == 6
    assert Tfidf().fit(train).rank(histories, 1).items_BK[0, 0] == heads["tfidf", "popular"] == 1


def test_a_shorter_list_is_the_head_of_a_longer_one(train: Interactions) -> None:
    histories = Histories.from_lists(WALKS)
    union = Union(depth=2).fit(train)
    full = union.rank(histories, len(TITLES))
    for k in range(1, len(TITLES)):
        head = union.rank(histories, k)
        np.testing.assert_array_equal(head.items_BK, full.items_BK[:, :k])
        np.testing.assert_array_equal(head.scores_BK, full.scores_BK[:, :k])


def test_each_member_gets_its_own_options_and_is_kept_in_its_own_folder(
    train: Interactions, tmp_path: Path
) -> None:
    union = Union(
        members=["itemknn", "tfidf"], options={"itemknn": {"num_neighbours": 3}, "tfidf": {"decay": 1.0}}
    )
    folder = union.fit(train).save(tmp_path / "union")
    assert load(folder / "itemknn").config.num_neighbours == 3
    assert load(folder / "tfidf").config.decay == 1.0
    about = json.loads((folder / "recommender.json").read_text())
    assert about["config"]["members"] == ["itemknn", "tfidf"]
    (folder / "tfidf" / "recommender.json").unlink()
    with pytest.raises(RunError, match=r"tfidf/recommender\.json is missing"):
        load(folder)


def test_members_see_the_same_living_catalogue(train: Interactions, tmp_path: Path) -> None:
    fitted = Union().fit(train).remove_items(["i1"])
    for union in (fitted, load(fitted.save(tmp_path / "union"))):
        union.remove_items(["i2"])
        for member in union.members_:
            assert np.flatnonzero(member.removed_).tolist() == [1, 2]
        union.add_items(pl.DataFrame({"item_id": ["new", "i1"], "title": ["Red Stool", "Red Armchair"]}))
        for member in union.members_:
            assert member.catalogue.titles[1] == "Red Armchair"
            assert np.flatnonzero(member.removed_).tolist() == [2]
        union.remove_items(["i3"])
        assert union.members_[0].removed_[3]
        found = [item.title for item in union.recommend([["i0"]], k=9)[0].items]
        assert {"Red Stool", "Red Armchair"} <= set(found[:4])
        assert not {"Blue Lamp", "Blue Table"} & set(found)


class Fixed(Popular):
    """Takes no new items, and proves nothing."""

    def _catalogue_changed(self, trained: Catalogue) -> None:
        raise ConfigError("fixed cannot take new items")

    def _rank(self, histories: Histories, k: int, **options: object) -> Rankings:
        found = super()._rank(histories, k, **options)
        return Rankings(found.items_BK, found.scores_BK, np.zeros(len(found), bool))


def test_where_one_member_refuses_new_items_none_has_changed(train: Interactions) -> None:
    union = Union().fit(train)
    union.members_[1] = Fixed().fit(train)
    before = union.rank(Histories.from_lists(WALKS), 5)
    with pytest.raises(ConfigError, match="fixed cannot take"):
        union.add_items(pl.DataFrame({"item_id": ["new"], "title": ["Red Stool"]}))
    assert [len(member.catalogue) for member in (union, *union.members_)] == [len(TITLES)] * 3
    assert union.members_[0].neighbours_II_.shape == (len(TITLES), len(TITLES))
    np.testing.assert_array_equal(union.rank(Histories.from_lists(WALKS), 5).items_BK, before.items_BK)
    assert not before.exact_B.any()  # one member's list is not proved


def test_members_are_fitted_with_validation_in_folders_of_their_own(
    train: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(Popular, "_fit", lambda self, *given: seen.append(given))
    validation = Targets(train.catalogue, train.users, train.histories, np.zeros(len(WALKS), np.int32))
    Union(members=("popular",)).fit(train, validation, run=tmp_path, resume=True)
    assert seen == [(train, validation, tmp_path / "popular", True)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": ()}, "at least one recommender"),
        ({"members": ("popular", "popular")}, "each of them once"),
        ({"members": ("itemknn", "popularity")}, "no recommender 'popularity'; choose one of"),
        ({"options": {"sasrec": {}}}, "options for 'sasrec', which is no member .* itemknn, tfidf"),
        ({"options": {"itemknn": {"shrinkage": 3}}}, "itemknn has no option 'shrinkage'"),
        ({"depth": 0}, "depth=0"),
    ],
)
def test_what_cannot_be_merged_is_said_before_anything_is_fitted(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Union(**options)
