"""recsysllm: its pre-training texts, its switches, and the tasks that it shares with p5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import write
from genrec.data.interactions import Histories, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.base import create, load
from genrec.recommenders.recsysllm.recommender import RecSysLLM, mask_token
from genrec.tasks.material import TrainingText
from genrec.testing import GOOD, POOR, next_of, reviewed
from genrec.training.encoder_rows import Asked
from music_shop import ITEMS, TINY, USERS, explain, of_reviews, predict_rating, write_prompts


def recsysllm(**options: Any) -> RecSysLLM:
    usual = TINY | {"pretraining_epochs": 1}
    model = create("recsysllm", **RecSysLLM.Config.merged(usual, options))
    assert isinstance(model, RecSysLLM)
    return model


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> RecSysLLM:
    """Fitted once; no test may change it."""
    return recsysllm(prompts=write_prompts(tmp_path_factory.mktemp("prompts")), epochs=20).fit(reviewed())


def examples(model: RecSysLLM, data: Interactions, seed: int = 0) -> list[list[Asked]]:
    """One masked text of each datum, by kind."""
    rng = np.random.default_rng(seed)
    return [
        [kind.make(datum, rng) for datum in range(len(kind.lengths_E))]
        for kind in model.passages(data, TrainingText(data)).kinds()
    ]


def test_every_task(fitted: RecSysLLM) -> None:
    ratings = predict_rating(fitted, USERS, ITEMS)
    assert (ratings[[0, 2]] > 4).all()
    assert (ratings[[1, 3]] < 2).all()
    assert of_reviews(fitted, "rating-from-review", [GOOD[0], POOR[0]]) == pytest.approx([5, 1], abs=0.5)
    assert of_reviews(fitted, "headline", [GOOD[0], POOR[0]]) == [GOOD[1], POOR[1]]
    assert explain(fitted, USERS, ITEMS) == [GOOD[0], POOR[0], GOOD[0], POOR[0]]
    found = fitted.rank(Histories.from_lists([[0, 1, 2], [5, 6]]), 8, exclude_seen=False, exact=True)
    assert found.items_BK[:, 0].tolist() == [3, 7]


def test_questions_that_do_not_fit_are_told_before_the_pretraining(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a question takes 21 tokens at least and max_tokens=17"):
        recsysllm(max_tokens=17).fit(reviewed(), run=tmp_path)
    assert not list(tmp_path.iterdir())


def test_windows_of_histories_are_short_middle_and_long(fitted: RecSysLLM) -> None:
    data = reviewed()
    long, short = [item % 8 for item in range(30)], [3, 1, 2]
    both = Interactions(data.catalogue, ["a", "b"], Histories.from_lists([long, short]))
    passages = fitted.passages(both, TrainingText(both))
    rng = np.random.default_rng(0)
    found = Counter(1 + passages._behaviour(0, rng).sentence_S[-1] for _ in range(1000))
    assert fitted.config.max_items == 20
    assert set(found) == {5, 10, 20}
    assert [found[width] / 1000 for width in (5, 10, 20)] == pytest.approx([0.6, 0.3, 0.1], abs=0.04)
    assert {1 + passages._behaviour(1, rng).sentence_S[-1] for _ in range(20)} == {3}


def test_texts_of_all_kinds(fitted: RecSysLLM) -> None:
    data = reviewed()
    behaviour, reviews = examples(fitted, data)  # the catalogue has titles and nothing else
    assert len(behaviour) == len(data.users)
    assert len(reviews) == data.num_interactions
    assert all(example.chained for example in [*behaviour, *reviews])
    masks = {
        int(mask_token(fitted.codebook_.tokenizer, level)[0]): level
        for level in ("entity", "sentence", "document")
    }
    assert len(masks) == 3
    used = Counter(
        masks[token] for example in reviews for token in example.source.tokens_T.tolist() if token in masks
    )
    assert set(used) == {"entity", "sentence", "document"}
    batch = fitted.layout_.collate(behaviour)
    assert batch["items"].any()
    # A window never leaves the user's history, and keeps its order.
    for user, example in enumerate(behaviour):
        written = [word for answer in example.answers for word in answer.spans if word.is_item]
        codes = [fitted.layout_.item(item).tokens.tolist() for item in data.histories[user].tolist()]
        assert all(word.tokens.tolist() in codes for word in written)


def test_windows_of_three_lengths() -> None:
    long = Interactions(reviewed().catalogue, reviewed().users[:1], Histories.from_lists([np.arange(20) % 8]))
    model = recsysllm(max_steps=1, families=("sequential",), times={"next": 1}, levels=("document",)).fit(
        long
    )
    kind = model.passages(long, TrainingText(long)).kinds()[0]
    rng = np.random.default_rng(0)
    lengths = Counter()
    for _ in range(600):
        example = kind.make(0, rng)
        items = sum(word.is_item for answer in example.answers for word in answer.spans)
        left = sum(len(code) > 0 for code in [example.source.tokens_T])
        assert left == 1
        lengths[5 if items <= 5 else 10 if items <= 10 else 20] += 1
    # 60 % windows of 5 items, 30 % of 10 and 10 % of 20, of which at least half is hidden.
    assert lengths[5] > 330
    assert 20 < lengths[20] < 80


@pytest.fixture(scope="module")
def usual() -> RecSysLLM:
    """Two steps with all ideas; no test may change it."""
    return recsysllm(max_steps=2).fit(reviewed())


@pytest.mark.parametrize(
    "switch",
    [
        {"whole_entities": False},
        {"chronological": False},
        {"two_dimensional": False},
        {"dynamic": False},
        {"levels": ("entity",)},
        {"pretraining_epochs": 0},
    ],
)
def test_every_idea_has_a_switch(usual: RecSysLLM, switch: dict[str, Any], tmp_path: Path) -> None:
    histories = Histories.from_lists([[1, 2], []])
    other = recsysllm(max_steps=2, **switch).fit(reviewed(), run=tmp_path)
    assert (tmp_path / "pretraining").exists() == bool(other.config.training.pretraining_epochs)
    found = other.rank(histories, 5)
    assert np.abs(found.scores_BK - usual.rank(histories, 5).scores_BK).max() > 1e-6
    again = load(other.save(tmp_path / "saved"))
    np.testing.assert_allclose(again.rank(histories, 5).scores_BK, found.scores_BK, atol=1e-5)
    np.testing.assert_allclose(
        predict_rating(again, USERS, ITEMS), predict_rating(other, USERS, ITEMS), atol=1e-5
    )


def test_cut_spans_hold_parts_of_words_and_whole_ones_do_not() -> None:
    data = reviewed()
    for whole in (True, False):
        model = recsysllm(max_steps=1, whole_entities=whole, levels=("entity",), code_length="full").fit(data)
        codes = {tuple(model.layout_.item(item).tokens.tolist()) for item in range(8)}
        behaviour = examples(model, data)[0]
        spans = [answer.spans[:-1] for example in behaviour for answer in example.answers]
        assert all(len(span) == 1 and tuple(span[0].tokens.tolist()) in codes for span in spans) == whole


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"word_vectors": "order"}, "no option 'word_vectors'"),
        ({"levels": ()}, "at least 1 item"),
        ({"levels": ("word",)}, "levels.0"),
        ({"mask_share": 0}, "mask_share"),
    ],
)
def test_mistakes_are_told_in_a_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        recsysllm(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("tuning", "two_dimensional"), [("full", True), ("lora", False)])
def test_checkpoints(tmp_path: Path, tuning: str, two_dimensional: bool) -> None:
    checkpoint = write("llama", tmp_path / "llama")
    options = {"tuning": tuning, "two_dimensional": two_dimensional, "max_steps": 2, "max_tokens": 90}
    model = recsysllm(backbone=str(checkpoint), **options).fit(reviewed())
    entity, document = (mask_token(model.codebook_.tokenizer, level) for level in ("entity", "document"))
    assert entity.tolist() != document.tolist()
    histories = Histories.from_lists([[0, 1, 2], []])
    found = model.rank(histories, 5)
    again = load(model.save(tmp_path / "saved"))
    assert isinstance(again, RecSysLLM)
    np.testing.assert_allclose(again.rank(histories, 5).scores_BK, found.scores_BK, atol=1e-4)
    np.testing.assert_allclose(
        predict_rating(again, USERS, ITEMS), predict_rating(model, USERS, ITEMS), atol=1e-4
    )
    assert of_reviews(again, "headline", [GOOD[0]]) == of_reviews(model, "headline", [GOOD[0]])


@pytest.mark.parametrize("family", ["mistral", "falcon"])
def test_what_is_searched_is_what_was_trained_within_windows_too(tmp_path: Path, family: str) -> None:
    """The window has 8 tokens, and a question with its history more."""
    checkpoint = write(family, tmp_path / family)
    options = {"tuning": "full", "max_steps": 2, "max_tokens": 90, "bf16": True, "families": ("sequential",)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genrec.recommenders.language.generative.full_precision", lambda: False)
        model = recsysllm(backbone=str(checkpoint), **options).fit(reviewed())
    (ranking,) = model.recommend([model.catalogue.ids[:4]], k=5, exclude_seen=False, exact=True)
    for item in ranking.items:
        chances = [chance for _, chance, *_ in model.why(model.catalogue.ids[:4], item.item_id)]
        assert np.prod(chances) == pytest.approx(item.probability, rel=1e-5)


def test_encoder_decoders_are_no_backbones(seq2seq_checkpoint: Callable[[str], str]) -> None:
    with pytest.raises(ConfigError, match="not a decoder-only language model"):
        recsysllm(backbone=seq2seq_checkpoint("t5")).fit(reviewed())


READS_ITEMS: dict[str, Any] = {
    "backbone": "items",
    "width": 16,
    "depth": 1,
    "vocab_size": 300,
    "epochs": 6,
    "min_steps": 0,
    "batch_size": 8,
    "bf16": False,
    "prior": ("transitions",),
}


def test_an_entity_is_a_position_where_items_are_read(tmp_path: Path) -> None:
    """Nothing is asked in words, so it writes what `genrec` writes with the same options."""
    data, histories = reviewed(), Histories.from_lists([[0, 1, 2], [5], []])
    model: Any = create("recsysllm", **READS_ITEMS).fit(data, next_of(data))
    assert (model.config.families, model.config.times) == (("sequential",), {"next": 1})
    assert (model.tasks(), model.tasks("unseen")) == (["sequential", "direct"], [])
    found = model.rank(histories, 5)
    alike = create("genrec", **READS_ITEMS).fit(data, next_of(data)).rank(histories, 5)
    np.testing.assert_array_equal(found.items_BK, alike.items_BK)
    np.testing.assert_allclose(found.scores_BK, alike.scores_BK, atol=1e-5)
    again = load(model.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.rank(histories, 5).items_BK, found.items_BK)


@pytest.mark.parametrize(
    "options",
    [READS_ITEMS, TINY | {"families": ("sequential",), "times": {"next": 1}, "prior": ("transitions",)}],
    ids=["items", "tokens"],
)
def test_candidates_are_ranked_with_the_prior_too(options: dict[str, Any]) -> None:
    data = reviewed()
    model: Any = create("recsysllm", **options | {"epochs": 2}).fit(data, next_of(data))
    assert list(model.experts_.weights) == ["transitions"]
    histories = [np.array([0, 1, 2]), np.array([5])]
    candidates = np.array([[6, 3, 4], [1, 6, 0]])
    questions = [
        {"history": history, "candidates": row} for history, row in zip(histories, candidates, strict=True)
    ]
    found = model.answer("direct", questions)
    every = model.rank(Histories.from_lists(histories), 8, exclude_seen=False, exact=True)
    for row, items in enumerate(candidates):
        kept = np.isin(every.items_BK[row], items)
        assert found.items_BK[row].tolist() == every.items_BK[row][kept].tolist()
        np.testing.assert_allclose(found.scores_BK[row], every.scores_BK[row][kept], atol=1e-4)
    assert len(model.answer("direct", [])) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"families": ("sequential", "rating")}, "learns what comes next and no other task"),
        ({"times": {"next": 1, "choose": 1}}, "learns what comes next and no other task"),
        ({"pretraining_epochs": 2}, "pretraining_epochs=2 is about tokens"),
        ({"levels": ("entity",)}, "is about tokens, and backbone=items reads items"),
        ({"backbone": "compact", "families": ("rating",)}, "a prior is about what comes next"),
    ],
)
def test_what_does_not_go_with_reading_items(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        create("recsysllm", **{"backbone": "items", "prior": ("transitions",)} | options)
    assert "\n" not in str(error.value)
