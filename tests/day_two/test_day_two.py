"""The second day: today's log and items beside a recommender that was trained on yesterday's, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import genrec
import polars as pl
import pytest
import shop
from genrec.errors import ConfigError, RunError
from genrec.recommenders.base import Recommender, recommenders
from genrec.recommenders.popular import Popular
from genrec.recommenders.today import Today
from genrec.runs.items import edit_items
from genrec.runs.source import DataSource

READ = {"columns": {"timestamp": "order_date", "item_id": "sku"}, "item_columns": {"item_id": "item_id"}}
READS_ITEMS: dict[str, Any] = {
    **{"backbone": "items", "width": 16, "depth": 1, "vocab_size": 300, "warmup_steps": 1, "bf16": False},
    **{"prior": ("transitions",), "min_steps": 0},
}
CASES = {
    **{
        name: (name, cls.tiny | ({"epochs": 1} if "epochs" in cls.tiny else {}))
        for name, cls in recommenders().items()
    },
    "genrec-items": ("genrec", READS_ITEMS | {"epochs": 1}),
}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("shop")
    return shop.write(folder / "monday", shop.monday()), shop.write(folder / "tuesday", shop.tuesday())


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest, days: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on Monday; no test changes it."""
    (name, options), monday = CASES[request.param], days[0]
    source = DataSource(str(monday["data"]), str(monday["items"]), READ)
    return genrec.train(name, source, tmp_path_factory.mktemp("runs") / "run", **options).folder


@pytest.fixture(scope="module")
def today(run: Path, days: Any) -> Today:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recommender, "fit", lambda *_: pytest.fail("something was trained"))
        return genrec.open_run(run, **days[1]).today


def test_monday_is_as_it_was(run: Path, days: Any) -> None:
    opened = genrec.open_run(run)
    assert opened.today.model is opened.model
    assert opened.today.notes == []
    histories = opened.data.interactions.histories
    assert opened.today.histories.items.tolist() == histories.items.tolist()
    assert opened.today.histories.offsets.tolist() == histories.offsets.tolist()


def test_the_items_are_those_of_tuesday(today: Today) -> None:
    table, ids = today.model.catalogue.table, today.model.catalogue.ids
    by_id = {row["item_id"]: row for row in table.iter_rows(named=True)}
    assert ids[-3:] == ["B0", "B1", "B2"]
    assert by_id["A03"]["title"] == "Hand trowel, renamed"
    assert by_id["A02"]["price"] == 105
    assert by_id["B2"]["brand"] == "Ohm"
    assert today.model.removed_ids == ["A05"]


def test_what_happened_is_told(today: Today) -> None:
    told = "\n".join(today.notes)
    assert "3 items (B0, B1, B2) are new" in told
    assert "1 item (A05) is no longer listed" in told
    assert "1 item (Z9) is unknown to the recommender: left out of the histories, in 1 interaction" in told
    assert len(today.notes) == 3


def test_users_of_tuesday_have_what_they_took(today: Today) -> None:
    assert today.history("C99") == ["A03", "A05", "B1"]
    assert today.history("C02")[-1] == "A07"
    assert today.history("C01")[-1] == "B0"


@pytest.mark.parametrize("user", ["C01", "C02", "C99"])
def test_known_and_new_users_get_what_is_listed(today: Today, user: str) -> None:
    (found,) = today.recommend([user], k=99)
    ids = [item.item_id for item in found.items]
    listed = set(shop.tuesday()[1]["item_id"])
    assert set(ids) == listed - set(today.history(user))
    renamed = [item.title for item in found.items if item.item_id == "A03"]
    assert renamed in ([], ["Hand trowel, renamed"])


def test_a_visitor_gets_a_list(today: Today) -> None:
    (found,) = today.model.recommend([[]], k=5)
    assert len(found.items) == 5
    assert "A05" not in {item.item_id for item in found.items}


def test_everybody_gets_a_list(run: Path, days: Any, tmp_path: Path) -> None:
    opened = genrec.open_run(run, **days[1])
    assert opened.recommend_to_all(tmp_path / "all.parquet", 3) == 3 * (shop.NUM_USERS + 1)
    found = pl.read_parquet(tmp_path / "all.parquet")
    alone = opened.today.recommend(["C99"], 3)[0].items
    assert found.filter(user_id="C99")["item_id"].to_list() == [item.item_id for item in alone]
    assert "A05" not in found["item_id"]


def test_without_its_items_tuesday_has_the_items_of_monday(run: Path, days: Any) -> None:
    today = genrec.open_run(run, days[1]["data"]).today
    assert today.model.removed_ids == []
    assert today.history("C99") == ["A03", "A05"]
    assert "3 items (B0, B1, Z9) are unknown" in "\n".join(today.notes)


def test_the_items_of_tuesday_can_be_put_into_the_run(run: Path, days: Any, tmp_path: Path) -> None:
    opened = genrec.open_run(run)
    edited = edit_items(opened, "add", days[1]["items"], out=tmp_path / "edited")
    assert edited.done == "added 3 items, changed 23 of 23 known ones"
    edited = edit_items(edited.run, "hide", names=["A05", "Hand trowel, renamed"])
    today = genrec.open_run(tmp_path / "edited", days[1]["data"]).today  # with the items of the run
    assert today.history("C99") == ["A03", "A05", "B1"]
    offered = {item.item_id for item in today.recommend(["C00"], k=99)[0].items}
    assert {"B0", "B1", "B2"} <= offered
    assert not {"A03", "A05"} & offered
    (title,) = [
        item.title for item in today.model.recommend([["A00"]], k=99)[0].items if item.item_id == "A02"
    ]
    assert title == "Rain barrel 2"
    untouched = genrec.open_run(run).model
    assert untouched.catalogue.ids == [item for item in today.model.catalogue.ids if item[0] == "A"]
    assert untouched.removed_ids == []


def test_tuesday_starts_from_monday(run: Path, days: Any, tmp_path: Path) -> None:
    opened, tuesday = genrec.open_run(run), days[1]
    source = DataSource(str(tuesday["data"]), str(tuesday["items"]), READ | {"untitled": "id"})
    start: dict[str, Any] = {"from_run": run, "budget": 0.5}
    try:
        opened.model._check_start(opened.model)
    except ConfigError:
        with pytest.raises(
            ConfigError, match=r"learns everything anew|starts from an earlier run where it reads"
        ):
            genrec.train(opened.recipe, source, tmp_path / "run", **start)
        assert list(tmp_path.iterdir()) == []
        return
    again = genrec.train(opened.recipe, source, tmp_path / "run", **start)
    ids = [item.item_id for item in again.model.recommend([["A03", "B1"]], k=99)[0].items]
    assert {"B0", "Z9", "A05"} < set(ids)
    assert len(again.log) <= len(opened.log)
    assert again.provenance("test")["start"]["identity"] == opened.identity


def test_the_run_is_trained_again_in_its_place(days: Any, tmp_path: Path) -> None:
    sources = [DataSource(str(day["data"]), str(day["items"]), READ | {"untitled": "drop"}) for day in days]
    place = tmp_path / "run"
    genrec.train("popular", sources[0], place).evaluate()
    fit = Popular._fit

    def stop(*_: Any) -> None:
        assert genrec.open_run(place).model.catalogue.get("B0") is None  # it still answers
        raise KeyboardInterrupt

    def learn(*args: Any) -> None:
        assert genrec.open_run(place).model.catalogue.get("B0") is None
        fit(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popular, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            genrec.train("popular", sources[1], place, force=True)
        patch.setattr(Popular, "_fit", learn)
        run = genrec.train("popular", sources[1], place, force=True)
    assert run.folder == place
    assert genrec.open_run(place).model.catalogue.get("B0") is not None
    assert "test" not in genrec.open_run(place).metrics
    assert genrec.open_run(place).metrics["validation"]["provenance"]["run"] == str(place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    (place / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds notes.txt, which is no part of a run"):
        genrec.train("popular", sources[1], place, force=True)
    with pytest.raises(RunError, match="no part of a run, so that --force does not replace it"):
        genrec.train("popular", sources[1], days[0]["data"].parent, force=True)
    assert (place / "notes.txt").exists()
