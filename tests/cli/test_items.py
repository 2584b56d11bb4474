"""The items of a run are edited as a whole or not at all, and every command goes on with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import genrec
import pandas as pd
import pytest
from genrec.errors import CatalogueError, ConfigError
from genrec.runs import run as runs
from genrec.runs.items import edit_items


@pytest.fixture
def run(cli, shop: Path) -> Path:
    folder = shop / "run"
    cli("train", "itemknn", "--data", shop / "sales.csv", "--items", shop / "goods.csv", "--out", folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(cli, run: Path) -> dict[str, str]:
    rows = cli("items", "list", run, "--json").json["items"]
    return {row["item_id"]: " ".join(name for name in ("added", "hidden") if row[name]) for row in rows}


def test_items_come_into_a_run_of_their_own(cli, mistake, shop: Path, run: Path, tmp_path: Path) -> None:
    before, new, other = contents(run), shop / "new.csv", tmp_path / "other"
    new.write_text("SKU,name,colour\nn1,New &amp; shiny,green\ni3,Third thing,\n")
    words = ("--item-column", "item_id=SKU", "--item-column", "title=name")
    told = cli("items", "add", run, new, *words, "--out", other).out
    assert "added 1 item, changed 1 of 1 known ones: 11 items now, 0 of them hidden" in told
    assert contents(run) == before
    assert {path.name for path in other.iterdir()} == {path.name for path in run.iterdir()}
    titles = dict(
        zip(*(getattr(genrec.load(other).catalogue, name) for name in ("ids", "titles")), strict=True)
    )
    assert titles["n1"] == "New & shiny"
    assert titles["i3"] == "Third thing"
    assert states(cli, other)["n1"] == "added"
    assert "Third thing" in cli("recommend", other, "--user", "u1", "-k", 20).out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert "holds something" in mistake("items", "add", run, new, *words, "--out", other)


def test_an_edited_run_is_measured_as_it_was_trained(
    cli, mistake, shop: Path, run: Path, tmp_path: Path
) -> None:
    cli("evaluate", run)
    (shop / "new.csv").write_text("item_id,title\nn1,New\ni3,Other\n")
    other = tmp_path / "other"
    cli("items", "add", run, shop / "new.csv", "--out", other)
    cli("items", "hide", other, "--item", "i0", "--in-place")
    before = cli("evaluate", run, "--json").json
    after = cli("evaluate", other, "--json").json
    assert after["HR@5"] == before["HR@5"]
    assert after["MRR"] == before["MRR"]
    assert "the same recommender" in mistake("compare", run, other)
    found = [cli("audit", folder, "--json", code=1).json["findings"] for folder in (run, other)]
    assert found[0] == found[1]


def test_hidden_ones_stay_readable_and_come_back(cli, shop: Path, run: Path) -> None:
    names = shop / "hide.txt"
    names.write_text("i4\n\nThing number 5\n")
    assert "hid 2 items of 2 named" in cli("items", "hide", run, names, "--in-place").out
    assert {item for item, state in states(cli, run).items() if state == "hidden"} == {"i4", "i5"}
    found = cli("recommend", run, "--history", "i4", "-k", 20, "--json").json
    assert found["history"][0]["item_id"] == "i4"
    assert not {"i4", "i5"} & {item["item_id"] for item in found["items"]}
    (shop / "back.csv").write_text("item_id,title\ni4,whatever\n")
    assert "showed 1 item of 1" in cli("items", "show", run, shop / "back.csv", "--in-place").out
    assert states(cli, run)["i4"] == ""


def test_added_ones_can_go_and_trained_ones_are_hidden(cli, shop: Path, run: Path) -> None:
    (shop / "new.csv").write_text("item_id,title\nn1,New\nn2,Newer\n")
    cli("items", "add", run, shop / "new.csv", "--in-place")
    told = cli("items", "remove", run, "--item", "n1", "--item", "i2", "--in-place").out
    assert "removed 1 item, and hid 1 that the training learnt from: 11 items now, 1 of them hidden" in told
    found = states(cli, run)
    assert "n1" not in found
    assert found["n2"] == "added"
    assert found["i2"] == "hidden"


def test_only_what_is_known_can_be_changed(cli, mistake, shop: Path, run: Path) -> None:
    (shop / "prices.csv").write_text("item_id,price\ni1,3.50\ni2,4\n")
    assert (
        "added 0 items, changed 2 of 2" in cli("items", "change", run, shop / "prices.csv", "--in-place").out
    )
    assert genrec.load(run).catalogue.titles[1] == "Thing number 1"
    before = contents(run)
    (shop / "prices.csv").write_text("item_id,title,price\ni1,,5\nx1,New,4\n")
    assert "'x1' is not in the catalogue" in mistake(
        "items", "change", run, shop / "prices.csv", "--in-place"
    )
    assert contents(run) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "goods.csv"), "--out RUN2"),
        (("add", "goods.csv", "--in-place", "--out", "x"), "--out RUN2"),
        (("add", "nothing.csv", "--in-place"), "no file of items"),
        (("add", "untitled.csv", "--in-place"), "'n1' has no title"),
        (("add", "twice.csv", "--in-place"), "in several rows"),
        (("hide", "--in-place"), "--item NAME"),
        (("hide", "empty.txt", "--in-place"), "names no item"),
        (("hide", "--item", "i1", "--item", "nothing of the kind", "--in-place"), "no id or title"),
    ],
)
def test_what_is_refused_changes_nothing(
    mistake, shop: Path, run: Path, words: tuple[str, ...], told: str
) -> None:
    (shop / "untitled.csv").write_text("item_id,title\nn1,\n")
    (shop / "twice.csv").write_text("item_id,title\nn1,A\nn1,B\n")
    (shop / "empty.txt").write_text("\n")
    before = contents(run)
    edit, *rest = [str(shop / word) if word.endswith((".csv", ".txt")) else word for word in words]
    assert told in mistake("items", edit, run, *rest)
    assert contents(run) == before


def test_a_process_that_is_killed_half_way_leaves_the_old_model(cli, run: Path, monkeypatch) -> None:
    before = contents(run)
    replace = os.replace

    def killed(new: Any, old: Any) -> None:
        if Path(new).name == "model.partial":
            raise SystemExit
        replace(new, old)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(SystemExit):
            edit_items(genrec.open_run(run), "hide", names=["i1"])
    assert not (run / "model").exists()
    assert genrec.open_run(run).model.removed_ids == []
    assert {name: content for name, content in contents(run).items() if "partial" not in name} == before
    assert edit_items(genrec.open_run(run), "hide", names=["i1"]).run.model.removed_ids == ["i1"]


def test_frames_are_taken_and_other_edits_refused(run: Path) -> None:
    frame = pd.DataFrame({"movieId": [7.0], "title": ["Seven"], "colour": pd.Categorical(["red"])})
    opened = runs.open_run(run)
    assert edit_items(opened, "add", frame).run.model.catalogue.ids[-1] == "7"
    with pytest.raises(ConfigError, match="no edit 'ad'"):
        edit_items(opened, "ad", frame)
    with pytest.raises(CatalogueError, match="no title"):
        edit_items(opened, "add", pd.DataFrame({"item_id": ["n"], "title": [None]}))
    assert json.loads((run / "model" / "recommender.json").read_text())["seal"]["run"] == opened.identity


@pytest.mark.parametrize("here", [".", "model/.."])
def test_a_run_is_opened_from_inside(cli, run: Path, monkeypatch, here: str) -> None:
    monkeypatch.chdir(run)
    assert len(cli("items", "list", here, "--json").json["items"]) == 10
