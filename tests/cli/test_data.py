from __future__ import annotations

import json
from pathlib import Path

import genrec
import pytest
from genrec.data import download


def test_json_has_the_counts(cli, shop: Path) -> None:
    found = cli("data", shop / "sales.csv", "--items", shop / "goods.csv", "--json").json
    assert (found["num_users"], found["num_items"], found["num_interactions"]) == (12, 10, 72)
    assert found == genrec.read(shop / "sales.csv", items=shop / "goods.csv").summary()


def test_the_options_are_those_of_read(cli, shop: Path) -> None:
    words = ("data", shop / "sales.csv", "--items", shop / "goods.csv", "--json")
    assert cli(*words, "--min-rating", 5).json["num_interactions"] == 12
    assert cli(*words, "--k-core", 6, "--min-history", 6).json["num_users"] == 12
    dropped = cli(*words, "--min-rating", 2).json
    assert sum(dropped["dropped"].values()) == 72 - dropped["num_interactions"] > 0


def test_columns_of_the_log_and_of_the_items_are_named_apart(cli, mistake, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,vhs,time\nu,a,1700000001\nu,b,1700000002\n")
    (tmp_path / "items.csv").write_text("no,what\na,Ann\nb,Bo\n")
    words = ("data", tmp_path / "log.csv", "--items", tmp_path / "items.csv", "--column", "item_id=vhs")
    found = cli(*words, "--item-column", "item_id=no", "--item-column", "title=what", "--json").json
    assert (found["num_listed_items"], found["has_titles"]) == (2, True)
    assert "--item-column item_id is given twice" in mistake(
        *words, "--item-column", "item_id=no", "--item-column", "item_id=what"
    )
    assert "--item-column item_id=NAME" in mistake(*words)


def test_what_was_dropped_is_printed_with_its_reason(cli, shop: Path) -> None:
    shown = cli("data", shop / "sales.csv", "--items", shop / "goods.csv", "--min-rating", 2).out
    assert "dropped, rating below 2  24" in shown
    assert "2020-09-13" in shown


def test_real_data_are_recognised(cli, shared_data) -> None:
    found = cli("data", shared_data("ml-100k"), "--json").json
    assert (found["num_users"], found["num_items"], found["num_interactions"]) == (943, 1682, 100_000)


def test_the_synthetic_set_is_written_and_read_back(cli, tmp_path: Path) -> None:
    out = tmp_path / "invented"
    told = cli("data", "synthetic", "--out", out, "--users", 40, "--seed", 3)
    assert "SYNTHETIC" in told.err
    data = genrec.synthetic(num_users=40, seed=3)
    found = cli("data", out, "--json").json
    assert found["num_interactions"] == data.interactions.num_interactions


def test_the_public_sets_are_listed(cli) -> None:
    for words in (("data", "get"), ("data", "get", "--list")):
        lines = cli(*words).out.splitlines()
        assert {line.split()[0] for line in lines[1:]} == set(download.names())


def test_get_downloads_into_the_folder(cli, tmp_path: Path, monkeypatch) -> None:
    asked = []

    def get(name: str, folder: Path, *, force: bool, progress: bool) -> Path:
        asked.append((name, folder, force, progress))
        return folder / name

    monkeypatch.setattr(download, "get", get)
    shown = cli("data", "get", "ml-100k", "--out", tmp_path, "--force").out
    assert asked == [("ml-100k", tmp_path, True, False)]
    assert f"genrec data {tmp_path / 'ml-100k'}" in shown


def test_a_typo_in_a_public_name(mistake, tmp_path: Path) -> None:
    assert "did you mean ml-100k" in mistake("data", "get", "ml-100kk", "--out", tmp_path)


def test_a_stopped_download_says_how_to_go_on(cli, tmp_path: Path, monkeypatch) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "get", stop)
    assert "go on with the same command" in cli("data", "get", "ml-100k", "--out", tmp_path, code=130).err


@pytest.mark.parametrize("words", [("data",), ("data", "--help")])
def test_help_of_the_group(cli, words) -> None:
    shown = cli(*words).out
    assert "genrec data PATH" in shown
    assert "synthetic" in shown


def test_plain_json_is_all_that_stands_on_stdout(cli, shop: Path) -> None:
    out = cli("data", "--json", shop / "sales.csv", "--items", shop / "goods.csv").out
    assert json.loads(out)["layout"]


def test_a_column_can_be_left_out(cli, mistake, tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("user,item,time,rating\nu,a,2024-01-01,FSK 6\nu,b,2024-01-02,FSK 12\n")
    assert "leave ratings out with --column rating=" in mistake("data", path)
    assert cli("data", path, "--column", "rating=", "--json").json["has_ratings"] is False
    assert "--column rating is given twice" in mistake(
        "data", path, "--column", "rating=", "--column", "rating=x"
    )
    assert "films.csv has no column for user_id" in mistake("data", path, "--column", "user_id=")
    assert "has no two sides" in mistake("data", path, "--column", "=")


def test_times_that_are_no_dates_are_no_traceback(cli, mistake, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\nu,a,1\nu,b,2\n")
    assert "an order of numbers, 1 to 2, no dates" in cli("data", path).out
    path.write_text("user,item,time\nu,a,1600000000\nu,b,1600000000000\nu,c,1600000001\n")
    assert mistake("data", path).startswith("line 3 of log.csv has the time '1600000000000'")
