from __future__ import annotations

from pathlib import Path

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.recommenders.answering import Choice, Reason
from genrec.recommenders.popular import Popular

DATA = genrec.synthetic()
TITLES = DATA.catalogue.titles
UNIQUE = [row for row, title in enumerate(TITLES) if TITLES.count(title) == 1]


def test_a_history_of_ids_and_titles(cli, knn_run: Path) -> None:
    first, second = UNIQUE[:2]
    words = ("--history", TITLES[first].lower(), "--history", DATA.catalogue.ids[second])
    found = cli("recommend", knn_run, *words, "-k", 7, "--json").json
    assert [item["title"] for item in found["history"]] == [TITLES[first], TITLES[second]]
    assert [item["rank"] for item in found["items"]] == list(range(1, 8))
    expected = genrec.load(knn_run).recommend([[TITLES[first], TITLES[second]]], 7)[0]
    assert [item["item_id"] for item in found["items"]] == [item.item_id for item in expected.items]
    assert found["exact"] is True
    assert found["items"][0]["probability"] is None


def test_a_user_has_all_that_they_took(cli, knn_run: Path) -> None:
    found = cli("recommend", knn_run, "--user", "user0007", "--json").json
    history = [DATA.catalogue.ids[item] for item in DATA.interactions.histories[6]]
    assert [item["item_id"] for item in found["history"]] == history
    assert not {item["item_id"] for item in found["items"]} & set(history)


def test_filters_hold(cli, knn_run: Path) -> None:
    words = ("recommend", knn_run, "--user", "user0001", "-k", 5)
    free = cli(*words, "--json").json["items"]
    without = cli(*words, "--exclude", free[0]["item_id"], "--exclude", free[1]["item_id"], "--json").json[
        "items"
    ]
    assert [item["item_id"] for item in without[:3]] == [item["item_id"] for item in free[2:]]
    both = cli(*words, "--only", "genres=Comedy", "--only", "genres=Drama", "--json").json["items"]
    genres = dict(DATA.catalogue.table.select("item_id", "genres").iter_rows())
    assert both
    assert all({"Comedy", "Drama"} <= set(genres[item["item_id"]]) for item in both)


def test_a_list_holds_at_most_so_many_of_one_value(cli, knn_run: Path, tmp_path: Path) -> None:
    words = ("recommend", knn_run, "--user", "user0001")
    series = dict(DATA.catalogue.table.select("item_id", "series").iter_rows())

    def most_of_one(*more: str) -> int:
        found = [series[item["item_id"]] for item in cli(*words, *more, "--json").json["items"]]
        assert len(found) == 10
        return max(found.count(value) for value in found if value is not None)

    assert most_of_one() > 1
    assert most_of_one("--max-per", "Series=1") == 1
    out = tmp_path / "all.parquet"
    cli("recommend", knn_run, "--users", "all", "--max-per", "series=1", "--max-per", "title=2", "--out", out)
    found = pl.read_parquet(out).with_columns(series=pl.col("item_id").replace_strict(series))
    assert found.height == 10_000
    assert found.drop_nulls("series").group_by("user_id", "series").len()["len"].max() == 1


def test_fewer_allowed_items_than_asked_for(cli, knn_run: Path) -> None:
    series = DATA.catalogue.table["series"][UNIQUE[0]]
    size = DATA.catalogue.table.filter(series=series).height
    result = cli(
        "recommend",
        knn_run,
        "--history",
        DATA.catalogue.ids[UNIQUE[1]],
        "--only",
        f"series={series}",
        "-k",
        99,
    )
    assert f"only {size} items are left to recommend" in result.err


def test_the_printed_list_has_history_and_titles(cli, knn_run: Path) -> None:
    shown = cli("recommend", knn_run, "--user", "user0001").out
    assert "history (the last 10 of" in shown
    assert TITLES[DATA.interactions.histories[0][-1]] in shown
    assert len([line for line in shown.splitlines() if line.split()[:1] == ["10"]]) == 1


def test_why_shows_each_decision(cli, popular_run: Path, monkeypatch) -> None:
    def why(self: Popular, history: list[str], item: str) -> list[Choice]:
        return [Choice("The ", 0.5), Choice(f"rest of {item}", 0.25)]

    monkeypatch.setattr(Popular, "why", why, raising=False)
    words = ("recommend", popular_run, "--user", "user0001", "-k", 2, "--why")
    item = cli(*words, "--json").json["items"][0]
    assert item["why"] == [
        {"text": "The ", "probability": 0.5},
        {"text": f"rest of {item['item_id']}", "probability": 0.25},
    ]
    assert "25.00%" in cli(*words).out


def test_why_shows_both_voices(cli, popular_run: Path, monkeypatch) -> None:
    monkeypatch.setattr(Popular, "why", lambda *_: [Choice("The ", 0.5, 0.125, 0.75)], raising=False)
    words = ("recommend", popular_run, "--user", "user0001", "-k", 1, "--why")
    (step,) = cli(*words, "--json").json["items"][0]["why"]
    assert step == {"text": "The ", "probability": 0.5, "words": 0.125, "items": 0.75}
    shown = cli(*words).out
    assert "50.00%" in shown
    assert "(language model 12.50%, item models 75.00%)" in " ".join(shown.split())


def test_because_shows_what_of_the_history_speaks_for_an_item(cli, knn_run: Path, popular_run: Path) -> None:
    words = ("--history", TITLES[UNIQUE[0]], "--history", TITLES[UNIQUE[1]], "-k", 3, "--because")
    items = cli("recommend", knn_run, *words, "--json").json["items"]
    model = genrec.load(knn_run)
    for item in items:
        best = model.because([TITLES[row] for row in UNIQUE[:2]], item["item_id"])[0]
        assert item["because"] == {"item_id": best.item_id, "title": best.title, "effect": best.effect}
    shown = cli("recommend", knn_run, *words).out
    assert shown.count("because of") == 3
    assert f"+{items[0]['because']['effect']:.3f}" in shown
    nothing = cli("recommend", popular_run, *words, "--json").json["items"]
    assert [item["because"] for item in nothing] == [None] * 3
    assert "because of" not in cli("recommend", popular_run, *words).out
    assert "because" not in cli("recommend", knn_run, *words[:-1], "--json").json["items"][0]


def test_because_of_probabilities_says_how_many_times(cli, popular_run: Path, monkeypatch) -> None:
    def reasons(self: Popular, history: list[str], items: list[str], **_: object) -> list[list[Reason]]:
        return [[Reason("F001", "The Lid", 0.6931472)], [Reason("F002", "The Pot", float("inf"))]]

    monkeypatch.setattr(Popular, "reasons", reasons)
    monkeypatch.setattr(Popular, "_score", lambda self, asked: np.full((len(asked), len(TITLES)), -3.0))
    monkeypatch.setattr(Popular, "probabilistic", True)
    words = ("recommend", popular_run, "--user", "user0001", "-k", 2, "--because")
    shown = [" ".join(line.split()) for line in cli(*words).out.splitlines()]
    assert "×2 because of The Lid" in shown
    assert "because of The Pot" in shown
    assert cli(*words, "--json").json["items"][1]["because"]["effect"] is None


def test_what_is_like_an_item(cli, mistake, knn_run: Path, popular_run: Path) -> None:
    words = ("--similar-to", TITLES[UNIQUE[3]], "-k", 4)
    found = cli("recommend", knn_run, *words, "--only", "genres=Drama", "--json").json
    expected = genrec.load(knn_run).similar_items(TITLES[UNIQUE[3]], 4, only=["genres=Drama"])
    assert [item["item_id"] for item in found["items"]] == [item.item_id for item in expected.items]
    assert found["similar_to"] == {"item_id": DATA.catalogue.ids[UNIQUE[3]], "title": TITLES[UNIQUE[3]]}
    shown = cli("recommend", knn_run, *words).out
    assert "similar to" in shown
    assert TITLES[UNIQUE[3]] in shown
    assert "popular knows nothing that is like" in mistake("recommend", popular_run, *words)
    assert "leave out --why" in mistake("recommend", knn_run, *words, "--because")


def test_why_shows_what_a_list_is_made_from(cli, popular_run: Path, monkeypatch) -> None:
    def background(self: Popular, history: list[str]) -> dict[str, list[str]]:
        return {"profile": [f"likes {len(history)} things"], "candidates (nobody)": []}

    monkeypatch.setattr(Popular, "background", background)
    monkeypatch.setattr(Popular, "why", lambda *_: [], raising=False)
    words = ("recommend", popular_run, "--user", "user0001", "--why")
    count = len(DATA.interactions.histories[0])
    answer = cli(*words, "--json").json
    assert answer["background"] == {"profile": [f"likes {count} things"], "candidates (nobody)": []}
    shown = cli(*words).out
    assert f"likes {count} things" in shown
    assert "(nothing)" in shown
    assert "background" not in cli(*words[:-1], "--json").json


def test_every_user_gets_the_list_of_the_library(cli, knn_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "recs.parquet"
    cli("recommend", knn_run, "--users", "all", "-k", 3, "--exclude", "F001", "--out", out)
    found = pl.read_parquet(out)
    assert found.columns == ["user_id", "rank", "item_id", "title", "score", "probability"]
    assert found.height == 3000
    one = found.filter(user_id="user0042")
    alone = cli("recommend", knn_run, "--user", "user0042", "-k", 3, "--exclude", "F001", "--json").json[
        "items"
    ]
    assert one.select("rank", "item_id", "title").rows() == [
        (i["rank"], i["item_id"], i["title"]) for i in alone
    ]
    assert [entry.name for entry in out.parent.iterdir()] == ["recs.parquet"]


def test_users_at_once_are_those_that_were_asked_for(
    cli, mistake, popular_run: Path, tmp_path, monkeypatch
) -> None:
    asked: list[int] = []
    rank = Popular._rank

    def counted(self, histories, *args, **options):
        asked.append(len(histories))
        return rank(self, histories, *args, **options)

    monkeypatch.setattr(Popular, "_rank", counted)
    words = ("recommend", popular_run, "--users", "all", "--out", tmp_path / "all.parquet")
    cli(*words, "--batch-size", 400)
    assert asked == [400, 400, 200]
    assert "--users all" in mistake("recommend", popular_run, "--user", "user0001", "--batch-size", 5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--history"),
        (("--visitor", "--max-per", "series"), "--max-per 'series' has no two sides"),
        (("--visitor", "--max-per", "series=two"), "needs a whole number"),
        (("--visitor", "--max-per", "series=0"), "max_per of series is 0"),
        (("--visitor", "--max-per", "series=1", "--max-per", "series=2"), "given twice for series"),
        (("--visitor", "--max-per", "colour=2"), "no field 'colour'"),
        (("--history", "x", "--user", "y"), "give one of"),
        (("--user", "user0001", "-k", "0"), "k is 0"),
        (("--user", "nobody"), "no user 'nobody'"),
        (("--history", "The Paper Lantrn"), "did you mean"),
        (("--user", "user0001", "--exclude", "nothing of the kind"), "no id or title"),
        (("--user", "user0001", "--only", "genres"), "no two sides"),
        (("--user", "user0001", "--only", "kind=Comedy"), "no field 'kind'"),
        (("--user", "user0001", "--only", "genres=Comedi"), "Comedy"),
        (("--users", "some", "--out", "x.parquet"), "'some' is not known"),
        (("--users", "all"), "--out NAME.parquet"),
        (("--users", "all", "--out", "x.csv"), "--out NAME.parquet"),
        (("--users", "all", "--out", "x.parquet", "--json"), "neither --why, --because nor --json"),
        (("--user", "user0001", "--out", "x.parquet"), "--out is for --users all"),
    ],
)
def test_wrong_questions(mistake, popular_run: Path, words: tuple[str, ...], told: str) -> None:
    assert told in mistake("recommend", popular_run, *words)


def test_titles_are_taken_as_they_are_spelt_and_an_id_goes_first(cli, mistake, tmp_path: Path) -> None:
    titles = {"a1": "Ada", "a2": "ADA!", "a3": "Oberon-2", "1984": "Simula", "a5": "1984"}
    log, items, run = tmp_path / "log.csv", tmp_path / "items.csv", tmp_path / "run"
    ids = list(titles)
    rows = [f"u{user},{ids[(user + step) % 5]},{step}" for user in range(10) for step in range(4)]
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    items.write_text("\n".join(["item_id,title", *map(",".join, titles.items())]) + "\n")
    cli("train", "popular", "--data", log, "--items", items, "--out", run)

    def history(*words: object) -> list[str]:
        return [item["item_id"] for item in cli("recommend", run, *words, "--json").json["history"]]

    assert history("--history", "Ada", "--history", "ADA!", "--history", "oberon 2") == ["a1", "a2", "a3"]
    assert "2 items are called 'ada'; give one of the ids" in mistake("recommend", run, "--history", "ada")
    told = cli("recommend", run, "--history", "1984", "--json")
    assert told.json["history"] == [{"item_id": "1984", "title": "Simula"}]
    said = " ".join(told.err.split())
    assert said == "'1984' is taken as the id of 'Simula'; what is called so has the id a5"
    asked = cli("ask", run, "rank", "--history", "a1", "--candidate", "1984", "--candidate", "a2")
    assert "'1984' is taken as the id" in asked.err


def test_another_days_files(cli, mistake, shop: Path, tmp_path: Path) -> None:
    log, goods, run = shop / "sales.csv", shop / "goods.csv", tmp_path / "run"
    cli("train", "itemknn", "--data", log, "--items", goods, "--out", run)
    before = cli("recommend", run, "--user", "u1", "--json").json["items"]
    log.write_text(
        log.read_text() + "visitor,i3,1700000000,5\nvisitor,i77,1700000000,5\nu1,i0,1700000000,5\n"
    )
    later = cli("recommend", run, "--user", "u1", "--json")  # the run's own files, as they are now
    assert len(later.json["history"]) == 7
    assert {item["item_id"] for item in before} - {item["item_id"] for item in later.json["items"]} == {"i0"}
    assert "1 item (i77) is unknown to the recommender" in later.err
    assert "no user 'stranger'" in mistake("recommend", run, "--user", "stranger")
    log.write_text(log.read_text().replace("visitor,i77,1700000000,5\n", ""))
    assert "trained on other data" in mistake("evaluate", run)

    today = tmp_path / "today.csv"
    lines = goods.read_text().replace("i5,Thing number 5,red\n", "").replace("i4,Thing number 4", "i4,Fourth")
    today.write_text(f"{lines}n1,Newcomer,green\n")
    words = ("recommend", run, "--user", "visitor", "--items", today, "-k", 20)
    found = cli(*words, "--json")
    titles = {item["item_id"]: item["title"] for item in found.json["items"]}
    assert found.json["history"] == [{"item_id": "i3", "title": "Thing number 3"}]
    assert titles["i4"] == "Fourth"
    assert titles["n1"] == "Newcomer"
    assert "i5" not in titles
    assert "1 item (i5) is no longer listed" in found.err
    green = cli(*words, "--only", "colour=green", "--json").json["items"]
    assert [item["item_id"] for item in green] == ["n1"]
    own = cli("recommend", run, "--history", "Newcomer", "--items", today, "--json").json
    assert own["history"] == [{"item_id": "n1", "title": "Newcomer"}]
    assert "give --data PATH" in mistake("recommend", run, "--user", "u1", "--data", tmp_path / "nowhere.csv")


def test_filters_of_the_training_leave_nobody_out(cli, shop: Path, tmp_path: Path) -> None:
    log, run = shop / "sales.csv", tmp_path / "run"
    words = ("--data", log, "--items", shop / "goods.csv", "--min-history", 6, "--out", run)
    cli("train", "popular", *words)
    log.write_text(log.read_text() + "visitor,i3,1700000000,5\n")
    assert len(cli("recommend", run, "--user", "visitor", "--json").json["history"]) == 1


def test_conditions_and_files_of_items_to_leave_out(cli, mistake, shop: Path, tmp_path: Path) -> None:
    goods, run = tmp_path / "goods.csv", tmp_path / "run"
    rows = [f"i{item},Thing number {item},{item + 0.5},{item % 2 == 0}" for item in range(10)]
    goods.write_text("\n".join(["item_id,title,price,in_stock", *rows]) + "\n")
    cli("train", "popular", "--data", shop / "sales.csv", "--items", goods, "--out", run)
    asked = ("recommend", run, "--history", "i9", "-k", 20, "--json")

    def ids(*words: object) -> set[str]:
        return {item["item_id"] for item in cli(*asked, *words).json["items"]}

    assert ids("--only", "price<3") == {"i0", "i1", "i2"}
    assert ids("--only", "price<5", "--only", "in_stock=true") == {"i0", "i2", "i4"}
    (tmp_path / "gone.txt").write_text("i0\nThing number 2\nnever sold\n")
    out = cli(*asked, "--only", "price<5", "--exclude-file", tmp_path / "gone.txt")
    assert {item["item_id"] for item in out.json["items"]} == {"i1", "i3", "i4"}
    assert "1 of 3 names in gone.txt are of no item here ('never sold')" in out.err
    assert "no file of items" in mistake(*asked, "--exclude-file", tmp_path / "none.txt")
    everybody = ("recommend", run, "--users", "all", "--out", tmp_path / "all.parquet", "--only", "price>=9")
    cli(*everybody, "--exclude-file", tmp_path / "gone.txt")
    assert set(pl.read_parquet(tmp_path / "all.parquet")["item_id"]) <= {"i9"}


def test_visitors_and_names_that_no_item_has(cli, mistake, knn_run: Path) -> None:
    nobody = cli("recommend", knn_run, "--visitor", "-k", 3, "--json").json
    assert nobody["history"] == []
    expected = genrec.load(knn_run).recommend([[]], 3)[0].items
    assert [item["item_id"] for item in nobody["items"]] == [item.item_id for item in expected]

    title = TITLES[UNIQUE[0]]
    words = ("recommend", knn_run, "--history", title, "--history", f"{title[:-1]}x", "--json")
    assert "no id or title" in mistake(*words)
    skipped = cli(*words, "--unknown", "skip")
    assert len(skipped.json["history"]) == 1
    assert "is left out: no item is called so" in skipped.err
    nearest = cli(*words, "--unknown", "nearest")
    assert len(nearest.json["history"]) == 2
    assert "is taken for" in nearest.err
    assert "'ner' is not known" in mistake(*words, "--unknown", "ner")
    assert "--unknown is about" in mistake("recommend", knn_run, "--visitor", "--unknown", "skip")
    assert "give one of" in mistake("recommend", knn_run, "--visitor", "--user", "user0001")


def test_names_that_several_items_share(cli, knn_run: Path) -> None:
    (title, *_) = [title for title in TITLES if TITLES.count(title) > 1]
    words = ("recommend", knn_run, "--history", title, "--json", "--unknown")
    assert cli(*words, "skip").json["history"] == []
    assert [item["title"] for item in cli(*words, "nearest").json["history"]] == [title]


def test_what_was_taken_may_be_recommended_again(cli, mistake, knn_run: Path, tmp_path: Path) -> None:
    words = ("recommend", knn_run, "--user", "user0001", "-k", 30, "--json", "--repeat")
    never, allow, only = (cli(*words, repeat).json for repeat in ("never", "allow", "only"))
    taken = {item["item_id"] for item in never["history"]}
    assert not taken & {item["item_id"] for item in never["items"]}
    assert taken & {item["item_id"] for item in allow["items"]}
    assert {item["item_id"] for item in only["items"]} == taken
    ranked = [item["item_id"] for item in cli(*words[:4], "-k", 400, *words[6:], "allow").json["items"]]
    assert [item["item_id"] for item in only["items"]] == [item for item in ranked if item in taken]
    assert "'always' is not known" in mistake(*words, "always")
    out = tmp_path / "again.parquet"
    cli("recommend", knn_run, "--users", "all", "-k", 5, "--repeat", "only", "--out", out)
    found = pl.read_parquet(out).filter(user_id="user0001")["item_id"].to_list()
    assert found == [item["item_id"] for item in only["items"]][:5]
