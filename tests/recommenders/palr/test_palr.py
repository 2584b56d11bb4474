"""palr on small walks: candidates bound what can be recommended, and the order is the model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.base import create, load
from genrec.recommenders.language.decoder import Rows
from genrec.recommenders.palr.choice import ChoiceModel
from genrec.recommenders.palr.questions import ListQuestions
from genrec.recommenders.palr.recommender import Palr
from genrec.recommenders.palr.scores import Likelihood
from genrec.testing import next_of, ring

NUM_ITEMS = 12
TINY: dict[str, Any] = {**Palr.tiny, "epochs": 20, "num_candidates": 6}
HISTORIES = Histories.from_lists([[0, 1], [5, 6, 7], [10], []])


def walks() -> Interactions:
    """Users who go round the catalogue, each from another item."""
    titles = [f"{'Sea' if item % 2 else 'Hill'} {item}" for item in range(NUM_ITEMS)]
    genres = [["Water" if item % 2 else "Land", "Travel"] for item in range(NUM_ITEMS)]
    return ring(titles, 3 * NUM_ITEMS, 5, genres=genres)


def palr(**options: Any) -> Palr:
    model = create("palr", **(TINY | options))
    assert isinstance(model, Palr)
    return model


def scored(model: Palr, name: str, histories: Histories, items_BC: np.ndarray) -> np.ndarray:
    """Candidates by one of the scores."""
    (score,) = [score for score in model.scores if score.name == name]
    nothing_BC = np.zeros(items_BC.shape, np.float32)
    return score.of(histories, Rankings(items_BC, nothing_BC, np.ones(len(items_BC), bool)))


@pytest.fixture(scope="module")
def fitted() -> Palr:
    """Both tasks, learnt in mixed precision; no test may change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genrec.recommenders.language.generative.full_precision", lambda: False)
        return palr(tasks=("recommend", "candidates"), users_share=1.0, bf16=True).fit(walks())


@pytest.mark.parametrize("ranking", ["likelihood", "list"])
def test_nothing_but_candidates(ranking: str) -> None:
    model = palr(max_steps=3, ranking=ranking, tasks=("candidates",)).fit(walks())
    found = model.rank(HISTORIES, 6)
    proposed = model.retriever_.rank(HISTORIES, 6)
    np.testing.assert_array_equal(np.sort(found.items_BK), np.sort(proposed.items_BK))
    assert (np.diff(found.scores_BK) <= 0).all()
    assert found.exact_B.all()


@pytest.mark.parametrize(("told", "task"), [(None, "candidates"), ("recommend", "recommend")])
def test_a_written_list_answers_the_question_that_was_chosen(
    told: str | None, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    questions = ListQuestions.of

    def noted(self: ListQuestions, task: Any, *rest: Any) -> Any:
        asked.append(task)
        return questions(self, task, *rest)

    monkeypatch.setattr(ListQuestions, "of", noted)
    model = palr(max_steps=1, ranking="list", tasks=("recommend", "candidates"), list_task=told).fit(walks())
    model.rank(HISTORIES, 2)
    assert asked == [task]


def test_a_list_is_written_as_if_its_question_were_read_anew_with_what_stands_already() -> None:
    model = palr(ranking="list", users_share=1.0, tasks=("candidates",), num_targets=3).fit(walks())
    candidates = model.retriever_.rank(HISTORIES, 6).items_BK.copy()
    candidates[1, 3:] = -1  # its list ends before the others do
    questions = model.lists_.of("candidates", HISTORIES, candidates)
    found = model.ranker_.write_list(questions, candidates, 5)
    for row, question in enumerate(questions.rows):
        left, written = candidates[row : row + 1].copy(), []
        for _ in range(5):
            asked = Rows([question])
            best = int(model.ranker_.rank_candidates(asked, left, 1).items_BK[0, 0])
            written.append(best)
            if best >= 0:
                left[left == best] = -1
                question = question.followed_by(model.codebook_.codes[best], model.codebook_.trie.paths[best])
        assert found[row].tolist() == written
    assert found[1].tolist()[3:] == [-1, -1]
    for fewer in (candidates[:, :1], np.full_like(candidates, -1)):  # nobody's list is full
        questions = model.lists_.of("candidates", HISTORIES, fewer)
        written = model.ranker_.write_list(questions, fewer, 5)
        assert written[:, 0].tolist() == fewer[:, 0].tolist()
        assert (written[:, 1:] == -1).all()
    few = np.array([[3, -1, -1]] * len(HISTORIES), np.int32)
    questions = model.lists_.of("candidates", HISTORIES, few)
    written = model.ranker_.write_list(questions, few, 5)
    assert written.tolist() == [[3, -1, -1, -1, -1]] * len(HISTORIES)


@pytest.mark.parametrize("ranking", ["likelihood", "list"])
def test_longer_lists_are_filled_in_the_retrievers_order_and_marked(ranking: str) -> None:
    model = palr(max_steps=3, ranking=ranking).fit(walks())
    found = model.rank(HISTORIES, 9)
    proposed = model.retriever_.rank(HISTORIES, 9).items_BK
    np.testing.assert_array_equal(found.items_BK[:, 6:], proposed[:, 6:])
    assert not found.exact_B.any()
    trace = model.trace(np.array([0, 1]), 9)
    assert trace.filled.tolist() == [False] * 6 + [True] * 3
    assert trace.chosen.tolist() == found.items_BK[0].tolist()
    assert trace.candidates.tolist() == proposed[0, :6].tolist()
    assert {keyword.word for keyword in trace.profile} == {"Water", "Land"}


def test_the_background_of_a_list(fitted: Palr) -> None:
    told = fitted.background(["i1", "i3"])
    assert told["profile"] == ["Water: Sea 3; Sea 1"]
    proposed = fitted.retriever_.recommend([["i1", "i3"]], k=6)[0].items
    assert told["candidates (itemknn)"] == [item.title for item in proposed]


def test_candidates_are_told_apart_by_what_was_learnt(fitted: Palr) -> None:
    found = fitted.rank(HISTORIES, 1)
    assert found.items_BK[:3, 0].tolist() == [2, 8, 11]


def test_likelihoods_are_the_products_of_the_decisions(fitted: Palr) -> None:
    history, candidates_BC = [3, 4], np.array([[9, 5, 1, -1]])
    found_BC = scored(fitted, "recommend", Histories.from_lists([history]), candidates_BC)
    for place, item in enumerate([9, 5, 1]):
        decisions = fitted.why([f"i{one}" for one in history], f"i{item}")
        assert found_BC[0, place] == pytest.approx(
            sum(np.log(chance) for _, chance, *_ in decisions), abs=1e-5
        )
    assert np.isneginf(found_BC[0, 3])


def test_without_other_scores_a_list_shares_out_what_why_tells(
    fitted: Palr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted, "weights_", np.array([1.0, 0.0, 0.0, 0.0]))
    (ranking,) = fitted.recommend([["i3", "i4"]], k=6)
    products = [
        np.prod([chance for _, chance, *_ in fitted.why(["i3", "i4"], item.item_id)])
        for item in ranking.items
    ]
    found = [item.probability for item in ranking.items]
    np.testing.assert_allclose(found, products / np.sum(products), rtol=1e-5)


def test_the_order_in_which_the_retriever_proposes_is_not_told(fitted: Palr) -> None:
    histories, candidates_BC = Histories.from_lists([[3, 4]]), np.array([[9, 5, 1, 7]])
    one = scored(fitted, "candidates", histories, candidates_BC)
    other = scored(fitted, "candidates", histories, candidates_BC[:, ::-1])
    np.testing.assert_allclose(one, other[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("order", ["retriever", "shuffled"])
def test_other_orders_of_the_candidates(order: str) -> None:
    model = palr(max_steps=2, tasks=("candidates",), order=order).fit(walks())
    candidates = np.array([[7, 1, 9, 5]])
    rows = model.lists_.of("candidates", Histories.from_lists([[3, 4]]), candidates).rows
    again = model.lists_.of("candidates", Histories.from_lists([[3, 4]]), candidates).rows
    nodes = rows[0].nodes_T.tolist()
    tips = {model.codebook_.trie.paths[item][-1]: item for item in range(NUM_ITEMS)}
    named = [tips[node] for node in nodes if node in tips][2:]
    assert nodes == again[0].nodes_T.tolist()
    assert sorted(named) == [1, 5, 7, 9]
    assert (named == [7, 1, 9, 5]) == (order == "retriever")


def test_weights_are_learnt_on_validation() -> None:
    data = walks()
    model = palr().fit(data, next_of(data))
    assert [score.name for score in model.scores] == ["recommend", "profile", "itemknn"]
    assert model.weights_.shape == (3,)
    assert model.weights_[0] > 0
    assert palr(profile="none", max_steps=1).fit(data, next_of(data)).weights_.shape == (2,)
    model.calibrate(next_of(data), without=("recommend", "profile"))
    assert (model.weights_ > 0).tolist() == [False, False, True]
    with pytest.MonkeyPatch.context() as patch:  # a score of weight 0 is not asked for
        patch.setattr(Likelihood, "of", lambda *_: pytest.fail("asked for"))
        assert len(model.rank(next_of(data).histories, 1)) == len(next_of(data).histories)
    misled = palr(max_steps=1).fit(data)  # a model that knows nothing beside a retriever that knows
    misled.calibrate(next_of(data))
    assert misled.rank(next_of(data).histories, 1).items_BK[:, 0].tolist() == next_of(data).items.tolist()


def test_weights_are_learnt_from_as_many_users_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = walks(), []
    table = ChoiceModel.table
    monkeypatch.setattr(
        ChoiceModel, "table", lambda self, *args: (asked.append(len(args[0])), table(self, *args))[1]
    )
    palr(max_steps=1, calibration_users=20, ranking_batch=8, validation_users=1).fit(data, next_of(data))
    assert asked[-3:] == [8, 8, 4]


def test_the_profile_moves_candidates_that_are_to_its_taste(fitted: Palr) -> None:
    candidates_BC = np.array([[1, 3, 7, 8]])  # all of the history are on land, as 8 is
    (found_C,) = scored(fitted, "profile", Histories.from_lists([[2, 4, 6]]), candidates_BC)
    assert found_C[3] > found_C[:3].max() == found_C[:3].min() == 0
    assert not scored(fitted, "profile", Histories.from_lists([[]]), candidates_BC).any()


def test_what_is_worth_knowing_is_told() -> None:
    data = walks()
    plain = Interactions(Catalogue(data.catalogue.table.drop("genres")), data.users, data.histories)
    model = palr(tasks=("candidates",), max_steps=2).fit(plain, next_of(plain))
    ceiling, weights, profiles = model.notes()
    assert ceiling.startswith(
        "itemknn proposes the next item of 100.0% of the validation users among 6 candidates"
    )
    assert weights.startswith("weights of the scores: candidates ")
    count = model.profiles_.num_written
    assert count == model.profiles_.num_empty > 0
    assert profiles == f"{count:,} of {count:,} profiles had nothing to say"


def test_targets_that_no_retriever_proposes(fitted: Palr) -> None:
    data = walks()
    seen = Targets(data.catalogue, data.users, data.histories, data.histories.items[::5])
    with pytest.raises(ConfigError, match="itemknn proposes none of the 36 validation targets"):
        fitted.calibrate(seen)


def test_the_retriever_can_be_swapped(tmp_path: Path) -> None:
    data = walks()
    model = palr(max_steps=2).fit(data)
    popular = create("popular").fit(data)
    model.with_retriever(popular, next_of(data))
    assert model.retriever_ is popular
    weights = model.weights_.tolist()
    model.with_retriever(create("prior", prior=("transitions", "itemknn")).fit(data))
    assert model.weights_.tolist() == [*weights[:-1], 1, 1]  # until they are learnt
    model.with_retriever(popular, next_of(data))
    again = load(model.save(tmp_path / "saved"))
    assert isinstance(again, Palr)
    assert again.retriever_.name == "popular"
    np.testing.assert_allclose(again.weights_, model.weights_)
    np.testing.assert_array_equal(again.rank(HISTORIES, 5).items_BK, model.rank(HISTORIES, 5).items_BK)
    fewer = Catalogue.from_lists(["i0", "x"], ["Hill 0", "Sea 1"])
    strange = create("popular").fit(Interactions(fewer, data.users[:1], Histories.from_lists([[0, 1]])))
    with pytest.raises(ConfigError, match="popular was fitted on another catalogue"):
        model.with_retriever(strange)
    from_run = palr(max_steps=1, retriever=str(tmp_path / "saved" / "retriever")).fit(data)
    assert from_run.retriever_.name == "popular"


def test_new_items_reach_the_retriever() -> None:
    model = palr(max_steps=2, retriever="tfidf").fit(walks())
    model.add_items(pl.DataFrame({"item_id": ["n"], "title": ["Sea 1 3"], "genres": [["Water"]]}))
    assert len(model.retriever_.catalogue) == NUM_ITEMS + 1
    assert "n" in {item.item_id for item in model.recommend([["i1", "i3"]], k=6)[0].items}


def test_the_retriever_has_the_texts_that_palr_has() -> None:
    """Titles that did not come through a reader are nobody's to clean on the way to the retriever."""
    data = walks()
    titles = [f"{title}  &amp; more" for title in data.catalogue.titles]
    catalogue = Catalogue(data.catalogue.table.with_columns(title=pl.Series(titles)))
    model = palr(max_steps=2, retriever="tfidf").fit(replace(data, catalogue=catalogue))
    model.add_items(pl.DataFrame({"item_id": ["n"], "title": ["Sea &amp; more"]}))
    assert model.catalogue.titles == model.retriever_.catalogue.titles == [*titles, "Sea & more"]


def test_a_swapped_retriever_outlives_edits(tmp_path: Path) -> None:
    new = pl.DataFrame({"item_id": ["n"], "title": ["Sea 1 3"]})
    model = palr(max_steps=2, retriever="tfidf").fit(walks()).add_items(new)
    model.with_retriever(create("popular").fit(walks()).add_items(new).remove_items(["i2"]))
    for edited in (model.add_items(new), load(model.save(tmp_path / "saved")).add_items(new)):
        assert isinstance(edited, Palr)
        assert edited.retriever_.name == "popular"
        assert np.flatnonzero(edited.retriever_.removed_).tolist() == [2]


def test_profiles_stand_in_the_question(fitted: Palr) -> None:
    def read(model: Palr, history: list[int]) -> str:
        rows = model.lists_.of("candidates", Histories.from_lists([history]), np.array([[2, 3]])).rows
        return model.codebook_.tokenizer.decode(rows[0].tokens_T.tolist())

    assert "Water" in read(fitted, [1, 3])
    assert "Land" not in read(fitted, [1, 3])
    assert "Tastes" not in read(fitted, [])
    plain = palr(max_steps=1, profile="none", tasks=("candidates",)).fit(walks())
    assert "Water" not in read(plain, [1, 3])


def test_profiles_by_a_chat_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        name = "fake"
        asked = 0

        def answer(self, prompt: str) -> str:
            self.asked += 1
            title = next(line[2:] for line in prompt.splitlines() if line.startswith("- "))
            return f'{{"keywords": [{{"keyword": "wandering", "titles": ["{title}"]}}]}}'

    fake = Fake()
    monkeypatch.setattr("genrec.recommenders.palr.chat.open_chat", lambda text: fake)
    model = palr(profile="chat", chat_cache=str(tmp_path), tasks=("candidates",), max_steps=2).fit(walks())
    assert [keyword.word for keyword in model.trace(np.array([0, 1])).profile] == ["wandering"]
    before = fake.asked
    model.rank(HISTORIES, 3)
    model.rank(HISTORIES, 3)
    assert (
        fake.asked == before + 2
    )  # one was asked for, nobody asks of no history, and nothing is asked twice


def test_short_histories_are_enriched() -> None:
    data = walks()
    short = Interactions(
        data.catalogue, data.users, Histories.from_lists([items[:1] for items in data.histories])
    )
    with pytest.raises(ConfigError, match="no history has two items"):
        palr(tasks=("candidates",), max_steps=1).fit(short)
    mixed = Interactions(
        data.catalogue,
        data.users,
        Histories.from_lists([items[: 1 + 4 * (row % 2)] for row, items in enumerate(data.histories)]),
    )
    model = palr(tasks=("candidates",), max_steps=1, users_share=1.0, enrich_to=4)
    model.fit(mixed)
    assert len(model.lists_.example_sets(mixed)[0].lengths_E) == len(data.users)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retriever": "palr"}, "cannot retrieve for itself"),
        ({"retriever": "nobody"}, "no recommender 'nobody'"),
        ({"retriever_options": {"depth": 3}}, "itemknn has no option 'depth'"),
        ({"tasks": ()}, "at least 1 item"),
        ({"prompt": "nowhere"}, "no prompt file"),
        ({"stride": 4}, "no option 'stride'"),
        (
            {"max_tokens": 16, "tasks": ("candidates",)},
            "max_tokens=16: raise it, or ask with fewer candidates",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        palr(**options).fit(walks())
    assert "\n" not in str(error.value)


READS_ITEMS: dict[str, Any] = {
    "backbone": "items",
    "width": 32,
    "dropout": 0.1,
    "vocab_size": 300,
    "epochs": 30,
    "min_steps": 0,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "bf16": False,
    "num_candidates": 6,
    "retriever_options": {"prior": ["transitions"], "prior_options": {"transitions": {"text": "tfidf"}}},
}


@pytest.fixture(scope="module")
def of_items() -> Any:
    """Items are read, a prior proposes; no test may change it."""
    data = walks()
    return create("palr", **READS_ITEMS).fit(data, next_of(data))


def test_items_are_read_and_candidates_of_a_prior_are_ranked(of_items: Any, tmp_path: Path) -> None:
    assert of_items.retriever_.name == "prior"
    assert [score.name for score in of_items.scores] == ["recommend", "profile", "transitions", "text"]
    assert of_items.weights_[0] > 0
    found = of_items.rank(HISTORIES, 6)
    assert found.items_BK[:3, 0].tolist() == [2, 8, 11]
    proposed = of_items.retriever_.rank(HISTORIES, 6).items_BK
    np.testing.assert_array_equal(np.sort(found.items_BK), np.sort(proposed))
    again = load(of_items.save(tmp_path / "saved"))
    np.testing.assert_allclose(again.rank(HISTORIES, 6).scores_BK, found.scores_BK, atol=1e-5)


def test_likelihoods_of_items_read_are_the_products_of_the_decisions(of_items: Any) -> None:
    candidates_BC = np.array([[9, 5, 1, -1]])
    found_BC = scored(of_items, "recommend", Histories.from_lists([[3, 4]]), candidates_BC)
    for place, item in enumerate([9, 5, 1]):
        decisions = of_items.why(["i3", "i4"], f"i{item}")
        assert found_BC[0, place] == pytest.approx(sum(np.log(chance) for _, chance in decisions), abs=1e-4)


def test_scores_of_a_priors_parts_are_weighed_anew(of_items: Any) -> None:
    histories, candidates_BC = Histories.from_lists([[3, 4], [7]]), np.array([[9, 5, 1, -1], [2, 8, 0, 3]])
    experts = of_items.retriever_.experts_
    (model,) = experts.models
    for name, table_BI in model._scores(histories).items():
        found_BC = scored(of_items, name, histories, candidates_BC)
        there_BC = candidates_BC >= 0
        expected_BC = experts.weights[name] * np.take_along_axis(table_BI, np.maximum(candidates_BC, 0), 1)
        np.testing.assert_allclose(found_BC[there_BC], expected_BC[there_BC], rtol=1e-5)
    # A retriever that knows the same items in another order is asked in its own.
    data = walks()
    backwards = np.arange(NUM_ITEMS)[::-1]
    turned = Interactions(
        Catalogue(data.catalogue.table[::-1]),
        data.users,
        Histories(backwards[data.histories.items].astype(np.int32), data.histories.offsets),
    )
    options = READS_ITEMS["retriever_options"]
    other = create("prior", **options).fit(turned)
    model = create("palr", **READS_ITEMS | {"max_steps": 1}).fit(data)
    before = scored(model, "transitions", histories, candidates_BC)
    assert before.any()
    model.with_retriever(other)
    found = scored(model, "transitions", histories, candidates_BC)
    np.testing.assert_allclose(found, before, rtol=1e-5)


def test_items_read_outlive_edits(of_items: Any, tmp_path: Path) -> None:
    copied: Any = load(of_items.save(tmp_path / "copy"))
    copied.add_items(pl.DataFrame({"item_id": ["n"], "title": ["Sea 1 3"]})).remove_items(["i2"])
    found = copied.rank(HISTORIES, NUM_ITEMS + 1)
    assert NUM_ITEMS in found.items_BK
    assert 2 not in found.items_BK
    assert copied.retriever_.catalogue.ids == copied.catalogue.ids


def test_the_usual_retriever_is_a_prior() -> None:
    config = create("palr").config
    assert (config.retriever, config.backbone.kind, config.ranking) == ("prior", "items", "likelihood")


def test_nodes_of_items_that_nobody_took_are_forgotten() -> None:
    data = walks()
    more = pl.DataFrame({"item_id": ["n"], "title": ["Moor 1"], "genres": [["Land"]]})
    wider = replace(data, catalogue=data.catalogue.with_items(more))
    model: Any = create("palr", **READS_ITEMS | {"max_steps": 2}).fit(wider)
    trie, reader = model.codebook_.trie, model.backbone_
    words = reader.network.vectors.words.detach()[reader.num_tokens :]
    assert not words[trie.paths[NUM_ITEMS][-1]].any()
    assert words[trie.paths[0][0]].any()
