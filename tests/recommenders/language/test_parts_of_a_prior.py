"""What may be part of a prior, and what is said of the rest before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec import testing
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.errors import ConfigError
from genrec.recommenders.base import create, load
from genrec.testing import ring
from small_writer import SMALL, TITLES


@pytest.fixture(scope="module")
def data() -> Interactions:
    return ring(TITLES, num_users=60, length=5)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before anything is trained."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    for module in ("recommenders.language.generative", "recommenders.sasrec"):
        monkeypatch.setattr(f"genrec.{module}.train", never)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prior": ("bsarec", "palr")},
            "palr gives no score to every item.*take sasrec, bsarec, transitions",
        ),
        ({"prior": ("bsarec", "genrec")}, "genrec gives no score to every item"),
        ({"prior": ("bsarec", "union")}, "union gives no score to every item"),
        ({"prior": ("bsarec", "transitions", "bsarec")}, "two scores 'bsarec': name each .* once"),
        ({"prior": ("bsarec", "tranzitions")}, "no recommender 'tranzitions'"),
        ({"prior_options": {"transitions": {"gaps": 3}}}, "transitions has no option 'gaps'"),
        (
            {"prior_options": {"popular": {}}},
            "options for 'popular', which is no part .*: it has bsarec, transitions",
        ),
        ({"prior": (), "prior_options": {"bsarec": {}}}, "no part of the prior: it has none"),
        ({"prior_options": {"bsarec": 5}}, r"prior_options\.bsarec=5"),
        (
            {"backbone": "compact", "prior": ("popular",), "objective": "token"},
            "take objective=catalogue, or leave prior out",
        ),
    ],
)
def test_what_cannot_be_part_of_a_prior_is_said_before_the_training(
    data: Interactions, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create("genrec", **options).fit(data)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_training")
def test_a_run_of_other_items_is_refused(data: Interactions, tmp_path: Path) -> None:
    other = str(create("popular").fit(ring(12)).save(tmp_path / "other"))
    with pytest.raises(
        ConfigError, match=r"other' knows 12 items, which are not the 20 of this data: take a run of"
    ):
        create("genrec", backbone="items", prior=(other,)).fit(data)
    own = str(create("popular").fit(data).save(tmp_path / "own"))
    with pytest.raises(ConfigError, match=r"own' is fitted already: leave its options out"):
        create("genrec", backbone="items", prior=(own,), prior_options={own: {"seed": 1}}).fit(data)
    with pytest.raises(ConfigError, match="two scores 'popular'"):
        create("genrec", backbone="items", prior=(own, "popular")).fit(data)


def test_a_run_can_be_part_of_a_prior(data: Interactions, tmp_path: Path) -> None:
    run = str(create("transitions").fit(data).save(tmp_path / "run"))
    model: Any = create("genrec", **SMALL | {"prior": (run,), "epochs": 1}).fit(data)
    assert [expert.name for expert in model.experts_.models] == ["transitions"]


def test_a_folder_does_not_hide_a_recommender(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`genrec train transitions --out transitions` leaves one behind."""
    monkeypatch.chdir(tmp_path)
    create("transitions", gap=2).fit(data).save("transitions")
    options = SMALL | {"epochs": 1}
    model: Any = create("genrec", **options | {"prior": ("transitions",)}).fit(data)
    assert model.experts_.models[0].config.gap == 5
    model = create("genrec", **options | {"prior": ("./transitions",)}).fit(data)
    assert model.experts_.models[0].config.gap == 2


def test_options_of_the_usual_prior_are_changed_one_by_one(data: Interactions) -> None:
    given = {"bsarec": {"epochs": 1, "min_steps": 0, "width": 8}, "transitions": {"gap": 2}}
    model: Any = create("genrec", **SMALL | {"epochs": 1, "prior_options": given}).fit(data)
    bsarec, transitions = (expert.config for expert in model.experts_.models)
    assert (bsarec.width, bsarec.training.epochs, bsarec.training.sampled_items) == (8, 1, 2048)
    assert bsarec.features == ("title", "beginnings", "attributes")
    assert (transitions.gap, transitions.text) == (2, "tfidf")


def test_without_titles_it_is_fitted_on_what_is_there(data: Interactions, tmp_path: Path) -> None:
    bare = Catalogue(data.catalogue.table.with_columns(title=pl.col("item_id")), titled=False)
    plain = replace(data, catalogue=bare)
    given = {"bsarec": {"epochs": 1, "min_steps": 0, "width": 8}}
    model: Any = create("genrec", **SMALL | {"epochs": 1, "prior_options": given}).fit(
        plain, replace(testing.next_of(data), catalogue=bare)
    )
    assert list(model.experts_.weights) == ["bsarec", "transitions"]
    histories = Histories.from_lists([[], [3]])
    again = load(model.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.rank(histories, 5).items_BK, model.rank(histories, 5).items_BK)


def test_one_item_leaves_nothing_to_weigh() -> None:
    data = ring(1, num_users=3, length=2)
    asked = Targets(data.catalogue, data.users, Histories.from_lists([[]] * 3), np.zeros(3, np.int32))
    model = create("genrec", **SMALL | {"prior": ("popular",), "epochs": 1}).fit(data, asked)
    assert model.rank(Histories.from_lists([[]]), 1).items_BK.tolist() == [[0]]
