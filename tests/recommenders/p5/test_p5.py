"""p5 on invented reviews with plain rules: each task learns its own, and what cannot be asked is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.reviews import Reviews
from genrec.errors import ConfigError
from genrec.recommenders.base import create, load
from genrec.recommenders.p5.examples import example_sets
from genrec.recommenders.p5.recommender import P5
from genrec.tasks.material import Material, TrainingText
from genrec.testing import GOOD, POOR, reviewed
from genrec.training.mixture import Mixture
from genrec.training.validation import loss_validation
from music_shop import (
    ITEMS,
    LENGTH,
    NEW,
    NUM_ITEMS,
    NUM_USERS,
    TINY,
    USERS,
    explain,
    of_reviews,
    predict_rating,
    rank_candidates,
    write_prompts,
)


def p5(**options: Any) -> P5:
    model = create("p5", **P5.Config.merged(TINY, options))
    assert isinstance(model, P5)
    return model


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> P5:
    """Fitted once; no test may change it."""
    return p5(prompts=write_prompts(tmp_path_factory.mktemp("prompts"))).fit(reviewed())


@pytest.mark.parametrize("greedy", [False, True])
def test_ratings_follow_the_item(fitted: P5, greedy: bool) -> None:
    found = predict_rating(fitted, USERS, ITEMS, greedy=greedy)
    assert found.shape == (4,)
    assert (found[[0, 2]] > 4.4).all()
    assert (found[[1, 3]] < 1.6).all()
    assert not greedy or np.allclose(found * 10, np.round(found * 10))


def test_stars_of_a_review(fitted: P5) -> None:
    found = of_reviews(fitted, "rating-from-review", [GOOD[0], POOR[0]])
    assert found == pytest.approx([5, 1], abs=0.3)
    assert of_reviews(fitted, "rating-from-review", [POOR[0]], greedy=True).tolist() == [1]


def test_headlines(fitted: P5) -> None:
    assert of_reviews(fitted, "headline", [GOOD[0], POOR[0], GOOD[0]]) == [GOOD[1], POOR[1], GOOD[1]]


def test_explanations(fitted: P5) -> None:
    assert explain(fitted, USERS, ITEMS) == [GOOD[0], POOR[0], GOOD[0], POOR[0]]
    features = ["strings", "pedal", "strings", "pedal"]
    assert explain(fitted, USERS, ITEMS, features) == [GOOD[0], POOR[0], GOOD[0], POOR[0]]


def test_explanations_may_be_drawn(fitted: P5, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = replace(fitted.answers_, config=fitted.config.changed(draws=5))
    monkeypatch.setattr(fitted, "answers_", drawn)
    assert explain(fitted, USERS, ITEMS) == [GOOD[0], POOR[0], GOOD[0], POOR[0]]
    users, items = ["nobody"] * 4, np.arange(4)
    together = explain(fitted, users, items)
    assert [explain(fitted, ["nobody"], items[[row]])[0] for row in range(4)] == together  # each for itself
    assert explain(fitted, [], np.zeros(0, int)) == []


def test_an_explanation_names_its_feature(fitted: P5) -> None:
    """Also one that the model would not come to by itself, and one that it never met."""
    for feature in ("Bridge", "zyx-w"):
        for text in explain(fitted, USERS, ITEMS, [feature] * 4):
            assert feature in text
    features = ["strings", "zyx-w", "pedal", "Bridge"]  # each for itself, some at once
    together = explain(fitted, USERS, ITEMS, features)
    alone = [explain(fitted, [USERS[row]], ITEMS[[row]], [features[row]])[0] for row in range(4)]
    assert together == alone


def test_lists_and_candidates_are_of_one_mind(fitted: P5) -> None:
    histories = Histories.from_lists([[0, 1, 2], [5, 6], []])
    ranked = fitted.rank(histories, NUM_ITEMS, exclude_seen=False, exact=True)
    assert ranked.items_BK[:2, 0].tolist() == [3, 7]
    candidates_BC = np.tile(np.arange(NUM_ITEMS)[::-1], (3, 1))
    found = rank_candidates(fitted, histories, candidates_BC)
    np.testing.assert_array_equal(found.items_BK, ranked.items_BK)
    np.testing.assert_allclose(found.scores_BK, ranked.scores_BK, atol=1e-4)
    few = rank_candidates(fitted, histories, np.array([[6, 3], [7, 1], [0, 1]]), prompt="unseen")
    assert few.items_BK[:2].tolist() == [[3, 6], [7, 1]]


def test_prompts_that_were_never_learnt_can_be_asked(fitted: P5) -> None:
    """That they are other prompts shows in the numbers."""
    seen, unseen = (predict_rating(fitted, USERS, ITEMS, prompt=prompt) for prompt in ("seen", "unseen"))
    assert (unseen[[0, 2]] > unseen[[1, 3]]).all()
    assert np.abs(seen - unseen).max() > 1e-6
    assert len(explain(fitted, USERS, ITEMS, prompt="unseen")) == 4
    assert len(explain(fitted, USERS, ITEMS, ["strings"] * 4, prompt="unseen")) == 4
    assert len(of_reviews(fitted, "headline", [GOOD[0]], prompt="unseen")) == 1
    assert of_reviews(fitted, "rating-from-review", [GOOD[0]], prompt="unseen").shape == (1,)


def test_new_items_are_asked_for_by_what_is_told_of_them(fitted: P5, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be asked for rating \(stars, new prompts\)"):
        predict_rating(fitted, USERS, ITEMS, prompt="new")
    folder = write_prompts(tmp_path)
    (tmp_path / "new.yaml").write_text(NEW)
    model = p5(prompts=folder, max_steps=1).fit(reviewed())
    assert model.tasks("new") == ["rating", "explanation"]
    found = predict_rating(model, USERS, ITEMS, prompt="new")
    assert (found >= 1).all()
    assert (found <= 5).all()
    assert np.abs(found - predict_rating(model, USERS, ITEMS, prompt="unseen")).max() > 1e-6
    assert len(explain(model, USERS, ITEMS, prompt="new")) == 4
    with pytest.raises(ConfigError, match=r"cannot be asked for explanation \(about, new prompts\)"):
        explain(model, USERS, ITEMS, ["strings"] * 4, prompt="new")


def test_what_learnt_to_choose_for_users_knows_them_and_no_histories() -> None:
    data = reviewed()
    model = p5(max_steps=20, families=("direct",), times={"direct-choose": 1}).fit(data)
    assert model.tasks() == ["direct"]
    candidates_BC = np.array([[0, 3, 5, 7]] * 3)
    histories = Histories.from_lists([[1, 2], [6], [6]])
    found = rank_candidates(model, histories, candidates_BC, users=["u3", "u3", "u9"])
    scores_BC = np.take_along_axis(found.scores_BK, np.argsort(found.items_BK, axis=1), 1)
    np.testing.assert_allclose(scores_BC[0], scores_BC[1], atol=1e-5)
    assert np.abs(scores_BC[1] - scores_BC[2]).max() > 1e-3
    with pytest.raises(ConfigError, match="give each question its `user`"):
        rank_candidates(model, histories, candidates_BC)


def test_users_are_named_as_often_as_is_asked() -> None:
    data = reviewed()
    rare, always = (p5(max_steps=1, named_users=share).fit(data) for share in (0.0, 1.0))
    named = []
    for model in (rare, always):
        users = {int(token) for tokens in model.layout_.users for token in tokens}
        writer = model.layout_
        material = Material(
            [prompt for prompt in model.prompts_.prompts if prompt.id == "sequential-1"],
            data,
            TrainingText(data),
            code_lengths=writer.read_lengths,
            own_length=model.layout_.own_length,
            max_items=writer.max_items,
            max_tokens=writer.max_tokens,
            packed=True,
            named_users=model.config.named_users,
        )
        (kind,) = example_sets(material, model.layout_, {"next": 1})
        read = [kind.make(user, np.random.default_rng(0)).source for user in range(NUM_USERS)]
        named.append([bool(users & set(source.tokens_T.tolist())) for source in read])
    assert not any(named[0])
    assert all(named[1])


def test_a_batch_of_any_size_gives_the_same(fitted: P5, monkeypatch: pytest.MonkeyPatch) -> None:
    users, items = USERS * 3, np.tile(ITEMS, 3)
    whole = predict_rating(fitted, users, items), explain(fitted, users, items)
    monkeypatch.setattr("genrec.recommenders.p5.answers._ROWS", 5)
    np.testing.assert_allclose(predict_rating(fitted, users, items), whole[0], atol=1e-4)
    assert explain(fitted, users, items) == whole[1]


def test_nobody_asks(fitted: P5) -> None:
    assert predict_rating(fitted, [], np.zeros(0, int)).shape == (0,)
    assert of_reviews(fitted, "rating-from-review", [], greedy=True).shape == (0,)
    assert of_reviews(fitted, "headline", []) == explain(fitted, [], np.zeros(0, int)) == []
    assert len(rank_candidates(fitted, Histories.from_lists([]), np.zeros((0, 4), int))) == 0


def test_save_and_load_give_the_same_answers(fitted: P5, tmp_path: Path) -> None:
    own = write_prompts(tmp_path)
    model = p5(max_steps=1, prompts=own).fit(reviewed())
    model.save(tmp_path / "moved")
    for path in tmp_path.glob("*.yaml"):
        path.unlink()
    assert load(tmp_path / "moved").save(tmp_path / "again").is_dir()
    again = load(fitted.save(tmp_path / "saved"))
    assert isinstance(again, P5)
    assert again.dropped_ == fitted.dropped_
    np.testing.assert_allclose(
        predict_rating(again, USERS, ITEMS), predict_rating(fitted, USERS, ITEMS), atol=1e-5
    )
    assert explain(again, USERS, ITEMS) == explain(fitted, USERS, ITEMS)
    assert of_reviews(again, "headline", [POOR[0]]) == [POOR[1]]
    histories = Histories.from_lists([[1, 2], []])
    np.testing.assert_allclose(
        again.rank(histories, 5).scores_BK, fitted.rank(histories, 5).scores_BK, atol=1e-5
    )
    new = pl.DataFrame({"item_id": ["n"], "title": ["Strings number 99"]})
    again.add_items(new)
    assert predict_rating(again, ["u1"], np.array([NUM_ITEMS])).shape == (1,)
    assert "n" in {item.item_id for item in again.recommend([["n", "i2"], []], k=9)[1].items}


def test_what_was_not_learnt_is_told_in_a_line(fitted: P5) -> None:
    data = reviewed()
    bare = p5(max_steps=1, families=("sequential",)).fit(data)
    for ask in (
        lambda: predict_rating(bare, USERS, ITEMS),
        lambda: of_reviews(bare, "rating-from-review", [GOOD[0]]),
        lambda: of_reviews(bare, "headline", [GOOD[0]]),
        lambda: explain(bare, USERS, ITEMS),
        lambda: explain(bare, USERS, ITEMS, ["strings"] * 4),
    ):
        with pytest.raises(ConfigError, match="the model did not learn it") as error:
            ask()
        assert "\n" not in str(error.value)
    rank_candidates(bare, data.histories, data.histories.items.reshape(NUM_USERS, LENGTH))
    rates = p5(max_steps=1, families=("rating",), times={"rating": 1}).fit(data)
    assert predict_rating(rates, USERS, ITEMS).shape == (4,)
    with pytest.raises(ConfigError, match="cannot be asked for sequential"):
        rates.rank(data.histories, 3)


def test_without_lists_the_checkpoint_is_that_of_the_least_loss_on_reviews_held_back(tmp_path: Path) -> None:
    """Stars are drawn at random here: what is learnt beyond their mean is wrong."""
    rng = np.random.default_rng(0)
    lists = [rng.permutation(NUM_ITEMS)[:6] for _ in range(40)]
    data = Interactions(
        reviewed().catalogue,
        pl.Series([f"u{user}" for user in range(40)]),
        Histories.from_lists(lists),
        ratings=rng.integers(1, 6, 240).astype(np.float32),
    )
    options = {
        "families": ("rating",),
        "times": {"rating": 1},
        "epochs": 40,
        "evaluations": 6,
        "held_share": 0.1,
    }
    model = p5(**options, batch_tokens=500).fit(data, run=tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    assert len(losses) == 6
    assert min(losses) < losses[-1]
    kept, held = TrainingText(data).parted(0.1, model.config.seed)
    assert len(held.reviews) == 24
    assert not np.isin(pairs(held.reviews), pairs(kept.reviews)).any()
    steps = model._steps(data, held, 1, purpose="reviews held back")
    measure = loss_validation(model.backbone_, model._loss(), steps)
    assert measure()["loss"] == pytest.approx(min(losses), rel=1e-3)
    every = p5(**(options | {"max_steps": 6, "held_share": 0.0})).fit(data, run=tmp_path / "all")
    assert "eval_loss" not in (tmp_path / "all" / "log.jsonl").read_text()
    assert every._num_held(TrainingText(data)) == 0


def test_tasks_may_be_learnt_from_some_users(monkeypatch: pytest.MonkeyPatch) -> None:
    data, learnt = reviewed(), []
    steps = P5._steps

    def seen(model: P5, train_data: Interactions, texts: TrainingText, *more: Any) -> Mixture:
        learnt.append((train_data.histories.lengths > 0, set(texts.reviews.users.tolist())))
        return steps(model, train_data, texts, *more)

    monkeypatch.setattr(P5, "_steps", seen)
    families = ("sequential", "rating", "explanation", "review")
    for share in (1.0, 0.5):
        p5(max_steps=1, families=families, users_share=share).fit(data)
    (all_U, all_texts), (some_U, some_texts) = learnt
    assert all_U.all()
    assert all_texts == set(range(data.num_users))
    assert some_U.sum() == round(data.num_users / 2)
    assert some_texts == set(np.flatnonzero(some_U).tolist())


def pairs(reviews: Reviews) -> np.ndarray:
    """User and item of each review as one number."""
    return np.asarray(reviews.users * NUM_ITEMS + reviews.items)


def test_data_that_lack_a_family() -> None:
    data = reviewed()
    plain = replace(data, ratings=None, texts=None, headlines=None)
    model = p5(max_steps=1).fit(plain)
    assert all("which the data do not have" in why for why in model.dropped_.values())
    assert {prompt.family for prompt in model.prompts_.prompts} == {"sequential"}
    with pytest.raises(ConfigError, match="no prompt for it"):
        predict_rating(model, USERS, ITEMS)
    with pytest.raises(ConfigError, match="the data can fill none of the prompts of rating, review"):
        p5(families=("rating", "review")).fit(plain)
    untitled = replace(plain, catalogue=Catalogue(data.catalogue.table, titled=False))
    model = p5(max_steps=1, families=("sequential", "direct")).fit(untitled)
    assert "direct-2" in model.dropped_
    assert model.rank(data.histories, 3).items_BK.shape == (NUM_USERS, 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"families": ()}, "choose among sequential, direct"),
        ({"families": ("sequential", "poetry")}, "families=sequential,poetry: choose among"),
        ({"times": {"nxt": 1}}, "nxt"),
        ({"times": {"next": -1}}, "-1"),
        ({"times": {"rating": 0}}, "nothing to learn"),
        ({"stride": 4}, "no option 'stride'"),
        ({"prompts": "nowhere"}, "no folder 'nowhere'"),
    ],
)
def test_mistakes_are_told_in_a_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        p5(**options).fit(reviewed())
    assert "\n" not in str(error.value)


def test_a_folder_of_prompts_without_a_family(tmp_path: Path) -> None:
    folder = write_prompts(tmp_path)
    (tmp_path / "review.yaml").unlink()
    told = "has no file for review, only sequential, rating, explanation: add it, or choose other families"
    with pytest.raises(ConfigError, match=told):
        p5(prompts=folder).fit(reviewed())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_checkpoints(
    tmp_path: Path, seq2seq_checkpoint: Callable[[str], str], family: str, packed: bool
) -> None:
    model = p5(
        backbone=seq2seq_checkpoint(family), tuning="full", packed=packed, max_steps=2, max_tokens=180
    ).fit(reviewed())
    histories = Histories.from_lists([[0, 1, 2], []])
    found = model.rank(histories, 5)
    again = load(model.save(tmp_path / "saved"))
    assert isinstance(again, P5)
    np.testing.assert_allclose(again.rank(histories, 5).scores_BK, found.scores_BK, atol=1e-5)
    np.testing.assert_allclose(
        predict_rating(again, USERS, ITEMS), predict_rating(model, USERS, ITEMS), atol=1e-4
    )
    assert of_reviews(again, "headline", [GOOD[0]]) == of_reviews(model, "headline", [GOOD[0]])
    # Words stand apart in what is learnt, whatever the tokenizer puts before them.
    assert model.codebook_.tokenizer.decode(model.layout_.text("Very good").tokens[:-1]).split() == [
        "Very",
        "good",
    ]
