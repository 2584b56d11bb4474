from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import pytest
from genrec.recommenders.p5.recommender import FAMILIES, P5
from genrec.tasks.base import families


@pytest.fixture(scope="module")
def model(p5_run: Path) -> P5:
    loaded = genrec.load(p5_run)
    assert isinstance(loaded, P5)
    return loaded


@pytest.mark.parametrize("prompt", ["seen", "unseen"])
def test_recommend(cli, p5_run: Path, model: P5, prompt: Any) -> None:
    words = ("ask", p5_run, "recommend", "--history", "i3", "--history", "thing number 4", "-k", 5)
    found = cli(*words, "--prompt", prompt, "--json").json
    expected = model.asked_with(prompt).recommend([["i3", "i4"]], 5)[0]
    assert [item["item_id"] for item in found["items"]] == [item.item_id for item in expected.items]
    assert [item["score"] for item in found["items"]] == pytest.approx(
        [item.score for item in expected.items]
    )
    assert (found["task"], found["prompt"]) == ("recommend", prompt)


def test_prompts_make_a_difference(cli, p5_run: Path) -> None:
    words = ("ask", p5_run, "recommend", "--user", "u1", "--json", "--prompt")
    seen, unseen = (cli(*words, prompt).json["items"] for prompt in ("seen", "unseen"))
    assert len(seen) == len(unseen) == 10
    assert [item["score"] for item in seen] != [item["score"] for item in unseen]


def test_candidates_are_put_in_order(cli, p5_run: Path, model: P5) -> None:
    candidates = ("--candidate", "i3", "--candidate", "Thing number 7", "--candidate", "i9")
    found = cli("ask", p5_run, "rank", "--user", "u2", *candidates, "--json").json
    rows = model.catalogue.rows(["i3", "i7", "i9"])
    history = model.catalogue.rows([f"i{(6 + 7 * step) % 12}" for step in range(6)])
    question = {"history": np.array(history), "candidates": np.array(rows)}
    expected = model.answer("direct", [question])
    ids = [model.catalogue.ids[row] for row in expected.items_BK[0]]
    assert [item["item_id"] for item in found["items"]] == ids
    assert [item["rank"] for item in found["items"]] == [1, 2, 3]
    chances = np.exp(expected.scores_BK[0]) / np.exp(expected.scores_BK[0]).sum()
    assert [item["probability"] for item in found["items"]] == pytest.approx(chances.tolist(), rel=1e-5)
    shown = cli("ask", p5_run, "rank", "--user", "u2", *candidates).out
    assert f"{chances[0]:.2%}" in shown


def test_every_recommender_ranks_candidates(cli, popular_run: Path) -> None:
    data = genrec.synthetic()
    counts = np.bincount(data.train.histories.items, minlength=len(data.catalogue))
    rows = np.unique(counts, return_index=True)[1][-3:].tolist()  # three different counts, rising
    words = [word for row in rows for word in ("--candidate", data.catalogue.ids[row])]
    history = ("--history", data.catalogue.ids[rows[1]])  # what was seen stays a candidate
    found = cli("ask", popular_run, "rank", *history, *words, "--json").json
    assert [item["item_id"] for item in found["items"]] == [data.catalogue.ids[row] for row in rows[::-1]]
    assert found["items"][0]["probability"] is None
    assert f"{found['items'][0]['score']:.3f}" in cli("ask", popular_run, "rank", *history, *words).out
    assert cli("ask", popular_run, "recommend", *history, "-k", 3, "--json").json["items"][2]["rank"] == 3


def test_rating(cli, p5_run: Path, model: P5) -> None:
    words = ("ask", p5_run, "rating", "--user", "u2", "--item", "THING number 5")
    found = cli(*words, "--json").json
    questions = [{"user": "u2", "item": model.catalogue.resolve("i5")}]
    assert found["rating"] == pytest.approx(model.answer("rating", questions)[0])
    assert found["likeliest"] == model.answer("rating", questions, greedy=True)[0]
    assert found["item"] == {"item_id": "i5", "title": "Thing number 5"}
    shown = cli(*words).out
    assert f"{found['rating']:.2f}" in shown
    assert "Thing number 5" in shown


def test_rating_from_review_on_stdin(cli, p5_run: Path, model: P5, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("My &quot;tuner&quot;\n came late\n"))
    found = cli("ask", p5_run, "rating-from-review", "--review", "-", "--prompt", "unseen", "--json").json
    assert found["review"] == 'My "tuner" came late'
    expected = model.answer("rating-from-review", [{"review": found["review"]}], prompt="unseen")[0]
    assert found["rating"] == pytest.approx(expected)


def test_headline(cli, p5_run: Path, model: P5, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("ask", p5_run, "headline", "--review", "A fine tuner", "--prompt", "unseen")
    expected = model.answer("headline", [{"review": "A fine tuner"}], prompt="unseen")[0]
    assert cli(*words, "--json").json["text"] == expected
    written = [""]
    monkeypatch.setattr(P5, "answer", lambda *_, **__: written)
    assert "the model wrote nothing" in cli(*words).err
    written[0] = "5 for tuner"
    result = cli(*words)
    assert (result.out, result.err) == ("5 for tuner\n", "")


def test_explain(cli, p5_run: Path, model: P5, monkeypatch: pytest.MonkeyPatch) -> None:
    row, words = model.catalogue.resolve("i5"), ("ask", p5_run, "explain", "--user", "u2", "--item", "i5")
    expected = model.answer("explanation", [{"user": "u2", "item": row}])[0]
    assert cli(*words, "--json").json["text"] == expected

    def answer(self: P5, task: str, questions: list[dict[str, Any]], *, prompt: str) -> list[str]:
        return [f"{task} {questions} {prompt}"]

    monkeypatch.setattr(P5, "answer", answer)
    asked = {"user": "u2", "item": row}
    assert cli(*words).out == f"explanation {[asked]} seen\n"
    told = cli(*words, "--feature", "tuner", "--prompt", "unseen").out
    assert told == f"explanation-with-feature {[asked | {'feature': 'tuner'}]} unseen\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("raitng",), "did you mean rating?"),
        (("recommend",), "recommend needs --history or --user"),
        (("recommend", "--history", "i1", "--user", "u1"), "one of them only"),
        (("recommend", "--user", "u1", "-k", "0"), "k is 0"),
        (("recommend", "--user", "u99"), "no user 'u99'"),
        (("rank", "--user", "u1"), "rank needs --candidate"),
        (("rank", "--user", "u1", "--candidate", "i1", "--candidate", "thing number 1"), "is given twice"),
        (("rank", "--user", "u1", "--candidate", "i1", "-k", "3"), "and no -k: leave it out"),
        (("rating", "--user", "u1"), "rating needs --item"),
        (("rating", "--user", "u99", "--item", "i1"), "nothing of a user 'u99'; it knows users such as u0"),
        (("rating", "--user", "u1", "--item", "Thing numbr 3"), "did you mean 'Thing number"),
        (("headline", "--review", "x", "--item", "i1"), "headline takes --review, and no --item"),
        (("headline", "--review", " "), "the review is empty"),
        (("explain", "--user", "u1", "--item", "i1", "--feature", " "), "--feature is empty"),
        (("headline", "--review", "x", "--prompt", "known"), "choose one of seen, unseen"),
    ],
)
def test_wrong_questions(mistake, p5_run: Path, words: tuple[str, ...], told: str) -> None:
    assert told in mistake("ask", p5_run, *words)


def test_tasks_that_were_never_drawn_are_not_learnt(model: P5) -> None:
    known = {task.name for name in FAMILIES for task in families()[name].tasks}
    assert set(model.tasks("unseen")) == set(model.tasks("seen")) == known
    few = replace(model.prompts_, config=model.config.changed(times={"next": 1, "rating": 0}))
    assert few.tasks("seen") == ["sequential", "direct"]


def test_what_is_not_learnt_is_told(mistake, popular_run: Path, rating_run: Path) -> None:
    history, headline = ("--history", "0001"), ("headline", "--review", "x")
    told = mistake("ask", popular_run, *headline)
    assert "this popular cannot be asked for headline with seen prompts" in told
    assert "it can be asked for recommend, rank" in told
    unseen = mistake("ask", popular_run, "recommend", *history, "--prompt", "unseen")
    assert "recommend with unseen prompts; it can be asked for nothing" in unseen
    assert "it can be asked for rating" in mistake("ask", rating_run, *headline)
    words = ("--user", "u1", "--item", "i1", "--feature", "tuner")
    assert "cannot be asked for explain --feature" in mistake("ask", rating_run, "explain", *words)
    assert "cannot be asked for recommend" in mistake("ask", rating_run, "recommend", "--user", "u1")


def test_an_endless_review_is_not_read_to_its_end(
    mistake, p5_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.StringIO("a" * 3_000_000)
    monkeypatch.setattr("sys.stdin", stdin)
    assert "more than 1,000,000 characters" in mistake("ask", p5_run, "headline", "--review", "-")
    assert stdin.read(1) == "a"
