from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from genrec import testing
from genrec.data.interactions import Histories, Interactions, Targets
from genrec.errors import BackendMissingError, ConfigError, RunError
from genrec.recommenders.base import Recommender, create, load, recommender_class
from genrec.testing import ring

TITLES = [
    *(f"Comet Harbour {part}" for part in range(1, 6)),
    *(f"Silent Orchard {part}" for part in range(1, 5)),
    "Paper Tigers",
    "Paper Tigers, Again",
    "Home",
    "Home",
]
NUM_ITEMS = len(TITLES)
HISTORIES = Histories.from_lists([[], [3], [1, 2, 3], [12, 0, 1, 2, 3, 4, 5]])
TINY: dict[str, Any] = testing.TINY | {"evaluations": 2}


@pytest.fixture(scope="module")
def walks() -> Interactions:
    return ring(TITLES)


@pytest.fixture(scope="module")
def fitted(walks: Interactions) -> Callable[..., Recommender]:
    """Fitted once for the same options; none of the tests may change it."""
    known: dict[str, Recommender] = {}

    def fit(**options: Any) -> Recommender:
        if repr(options) not in known:
            known[repr(options)] = create("genrec", **(TINY | options)).fit(walks)
        return known[repr(options)]

    return fit


def probabilities(model: Recommender, histories: Histories = HISTORIES) -> np.ndarray:
    """p(item | history) of every item; (B, num_items)."""
    found = model.rank(histories, len(model.catalogue), exclude_seen=False, exact=True)
    table_BI = np.zeros(found.items_BK.shape)
    np.put_along_axis(table_BI, found.items_BK, np.exp(found.scores_BK), axis=1)
    return table_BI


def assert_same_lists(found: Recommender, expected: Recommender) -> None:
    np.testing.assert_allclose(probabilities(found), probabilities(expected), atol=1e-6)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"node_vectors": False},
    {"code_length": "full"},
    {"code": "random"},
    {"code": "sequential"},
    {"stride": 12},
    {"examples": "last", "prompt": "next_item"},
    {"examples": "prefixes", "objective": "token", "node_vectors": False},
    # The paper's way.
    {
        "examples": "last",
        "prompt": "next_item",
        "objective": "token",
        "learn_prompt": True,
        "node_vectors": False,
        "code_length": "full",
    },
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_way_ranks_all_items_and_comes_back_from_the_disk(
    fitted: Callable[..., Recommender], tmp_path: Path, options: dict[str, Any]
) -> None:
    model = fitted(**options)
    found = probabilities(model)
    assert (found > 0).all()
    total = found.sum(axis=1)
    if options.get("objective") == "token":  # probability is lost on titles that nobody has
        assert ((total > 0) & (total <= 1)).all()
    else:
        np.testing.assert_allclose(total, 1, atol=1e-4)
    assert_same_lists(load(model.save(tmp_path / "saved")), model)


@pytest.mark.parametrize(
    "options", [{}, {"code_length": "full"}, {"code": "random"}, {"stride": 12}], ids=str
)
def test_why_multiplies_to_the_probability(
    fitted: Callable[..., Recommender], options: dict[str, Any]
) -> None:
    model = fitted(**options)
    expected = probabilities(model)
    for row, history in enumerate(HISTORIES):
        for item in range(NUM_ITEMS):
            steps = model.why([f"i{seen}" for seen in history], f"i{item}")
            assert np.prod([chance for _, chance, *_ in steps]) == pytest.approx(
                expected[row, item], rel=1e-3
            )


def test_why_names_the_decisions(fitted: Callable[..., Recommender]) -> None:
    steps = fitted(code_length="full").why(["i0"], "i6")
    assert "".join(text for text, *_ in steps).split() == ["Silent", "Orchard", "2"]
    assert len(steps) >= 2
    assert all(0 < chance <= 1 for _, chance, *_ in steps)


def test_codes_of_numbers_are_their_numbers(fitted: Callable[..., Recommender], walks: Interactions) -> None:
    for code in ("random", "sequential"):
        model = fitted(code=code, code_length="full")
        written = [model.codebook_.tokenizer.decode(tokens).strip() for tokens in model.codebook_.codes]
        assert written == [f"item {number + 1}" for number in model.codebook_.numbers]
    assert model.codebook_.numbers.tolist() == list(range(NUM_ITEMS))  # in the order of first appearance


# -- the catalogue lives ---------------------------------------------------------------------------------------


@pytest.fixture
def changed(fitted: Callable[..., Recommender], tmp_path: Path) -> Callable[..., Recommender]:
    """A copy of a fitted one that a test may change."""
    return lambda **options: load(fitted(**options).save(tmp_path / "copy"))


@pytest.mark.parametrize("options", [{}, {"node_vectors": False}, {"code_length": "full"}], ids=str)
def test_a_new_item_takes_its_share_and_leaves_the_proportions(
    changed: Callable[..., Recommender], tmp_path: Path, options: dict[str, Any]
) -> None:
    """Its title begins like no other, so the only new choice is the very first one."""
    model = changed(**options)
    before = probabilities(model)
    model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["zzz"]}))
    after = probabilities(model)
    assert (after[:, -1] > 0).all()
    np.testing.assert_allclose(after[:, :-1], before * (1 - after[:, -1:]), atol=1e-6)
    assert_same_lists(load(model.save(tmp_path / "saved")), model)


def test_a_new_item_in_a_series_leaves_the_others_alone(changed: Callable[..., Recommender]) -> None:
    model = changed(code_length="full")
    before = probabilities(model)
    model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["Silent Orchard 9"]}))
    after = probabilities(model)
    series = np.arange(5, 9)
    others = np.setdiff1d(np.arange(NUM_ITEMS), series)
    np.testing.assert_allclose(after[:, others], before[:, others], atol=1e-6)
    np.testing.assert_allclose(
        after[:, [*series, NUM_ITEMS]].sum(axis=1), before[:, series].sum(axis=1), atol=1e-6
    )
    assert model.codebook_.tokenizer.decode(model.codebook_.codes[NUM_ITEMS]).strip() == "Silent Orchard 9"


@pytest.mark.parametrize("bf16", [False, True])
def test_what_was_fitted_here_can_be_edited_without_the_disk(
    fitted: Callable[..., Recommender], bf16: bool
) -> None:
    model = fitted(bf16=bf16)
    before = probabilities(model)
    other = copy(model).add_items(
        pl.DataFrame({"item_id": ["i5", "new"], "title": ["Renamed", "Home Alone"]})
    )
    for item in other.recommend([["i1", "new"]], k=NUM_ITEMS, exact=True)[0].items:
        chances = [chance for _, chance, *_ in other.why(["i1", "new"], item.item_id)]
        assert np.prod(chances) == pytest.approx(item.probability, rel=1e-3)
    np.testing.assert_array_equal(probabilities(model), before)  # a copy is edited alone


@pytest.mark.parametrize("code", ["random", "sequential"])
def test_new_items_get_new_numbers(changed: Callable[..., Recommender], tmp_path: Path, code: str) -> None:
    model = changed(code=code)
    model.add_items(pl.DataFrame({"item_id": ["a", "i3"], "title": ["One more", "Renamed"]}))
    model.add_items(pl.DataFrame({"item_id": ["b"], "title": ["And another"]}))
    assert sorted(model.codebook_.numbers.tolist()) == list(range(NUM_ITEMS + 2))
    assert (probabilities(model) > 0).all()
    assert_same_lists(load(model.save(tmp_path / "saved")), model)


def test_new_text_gives_a_new_code(changed: Callable[..., Recommender]) -> None:
    model = changed(code_length="full")
    before = [code.tolist() for code in model.codebook_.codes]
    model.add_items(pl.DataFrame({"item_id": ["i2"], "title": ["Quiet Mill"]}))
    after = [code.tolist() for code in model.codebook_.codes]
    assert [row for row in range(NUM_ITEMS) if before[row] != after[row]] == [2]
    assert model.codebook_.tokenizer.decode(after[2]).strip() == "Quiet Mill"
    (ranking,) = model.recommend([["Quiet Mill"]], k=NUM_ITEMS)
    assert len(ranking.items) == NUM_ITEMS - 1


def test_a_catalogue_that_cannot_be_written_leaves_everything_as_it_was(
    changed: Callable[..., Recommender],
) -> None:
    model = changed(max_tokens=20, code_length="full")
    before = probabilities(model)
    with pytest.raises(ConfigError, match="do not fit in max_tokens=20"):
        model.add_items(pl.DataFrame({"item_id": ["long"], "title": ["q z " * 30]}))
    assert len(model.catalogue) == NUM_ITEMS
    np.testing.assert_allclose(probabilities(model), before, atol=1e-6)


def test_node_vectors_of_another_trie_are_refused(
    changed: Callable[..., Recommender], tmp_path: Path
) -> None:
    """As they were saved when whole codes had nodes to their ends."""
    model = changed(code_length="full")
    nodes = model.codebook_.trie.num_nodes
    model.backbone_ = model.backbone_.with_nodes(torch.arange(nodes), nodes + 20)
    with pytest.raises(RunError, match=r"node vectors where its codes have \d+ nodes.*train again"):
        load(model.save(tmp_path / "saved"))


def test_removed_items_keep_their_place_in_the_distribution(changed: Callable[..., Recommender]) -> None:
    model = changed()
    before = probabilities(model)
    model.remove_items(["i4"])
    found = model.rank(HISTORIES, NUM_ITEMS, exclude_seen=False, exact=True)
    for row in range(len(HISTORIES)):
        kept = found.items_BK[row, :-1]
        assert sorted(kept.tolist()) == [item for item in range(NUM_ITEMS) if item != 4]
        np.testing.assert_allclose(np.exp(found.scores_BK[row, :-1]), before[row, kept], atol=1e-6)
    assert (found.items_BK[:, -1] == -1).all()


# -- training --------------------------------------------------------------------------------------------------


def test_nothing_is_written_outside_the_run_and_nothing_but_the_bar_is_printed(
    walks: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here, run = tmp_path / "here", tmp_path / "run"
    here.mkdir()
    monkeypatch.chdir(here)
    validation = Targets(walks.catalogue, walks.users, walks.histories, np.arange(NUM_ITEMS, dtype=np.int32))
    model = create("genrec", **TINY).fit(walks, validation, run=run)
    create("genrec", **TINY).fit(walks)
    assert list(here.iterdir()) == []
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "log.jsonl"]
    out, err = capfd.readouterr()
    assert out == ""
    assert "training" in err
    assert "validation NDCG@10" in err
    for noise in ("Writing", "Loading", "Warning", "warning", "it/s", "huggingface"):
        assert noise not in err
    model.save(tmp_path / "saved")
    load(tmp_path / "saved")
    assert capfd.readouterr() == ("", "")


def test_the_best_validation_is_kept(walks: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation 2 of 4 is the best: the lists are those the model gave then."""
    seen: list[np.ndarray] = []

    def validation(rank: Any, *_: Any) -> Callable[[], dict[str, float]]:
        def validate() -> dict[str, float]:
            seen.append(probabilities(rank.__self__))
            return {"NDCG@10": (0.1, 0.3, 0.2, 0.2)[len(seen) - 1]}

        return validate

    monkeypatch.setattr("genrec.recommenders.language.generative.ranking_validation", validation)
    validation_targets = Targets(
        walks.catalogue, walks.users, walks.histories, np.arange(NUM_ITEMS, dtype=np.int32)
    )
    model = create("genrec", **(TINY | {"evaluations": 4})).fit(walks, validation_targets)
    assert len(seen) == 4
    np.testing.assert_allclose(probabilities(model), seen[1], atol=1e-6)
    assert np.abs(seen[3] - seen[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"no_such": 1}, "no option 'no_such'"),
        ({"depth": 0}, "option backbone.depth=0"),
        ({"objective": "magic"}, "objective='magic'"),
        ({"lr_scheduler_type": "magic"}, "lr_scheduler_type='magic'"),
        (
            {"backbone": "compact", "learn_prompt": True, "examples": "last"},
            "learn_prompt needs objective=token",
        ),
        (
            {"backbone": "compact", "learn_prompt": True, "objective": "token"},
            "learn_prompt needs examples=last or prefixes",
        ),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create("genrec", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": "no_such"}, ConfigError, "no prompt file 'no_such'"),
        ({"prompt": "next_item"}, ConfigError, "no place for a prompt's words after the history"),
        (
            {"max_tokens": 16, "prompt": "next_item", "examples": "last"},
            ConfigError,
            "max_tokens=16: raise it",
        ),
        ({"report_to": ("magic",)}, ConfigError, "report_to=magic"),
        ({"report_to": ("comet_ml",)}, BackendMissingError, "report_to=comet_ml"),
        ({"stride": 4000}, ConfigError, "lower one of them"),
        ({"backbone": "./nowhere"}, ConfigError, "no folder or file './nowhere'"),
    ],
)
def test_mistakes_that_show_when_it_is_fitted(
    walks: Interactions, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        create("genrec", **recommender_class("genrec").Config.merged(TINY, options)).fit(walks)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("examples", ["last", "prefixes", "packed"])
def test_histories_too_short_to_learn_from(walks: Interactions, examples: str) -> None:
    alone = Interactions(walks.catalogue, pl.Series(["a", "b"]), Histories.from_lists([[3], []]))
    if examples == "packed":
        create("genrec", **TINY).fit(alone)  # a single item is a target too
        return
    with pytest.raises(ConfigError, match=f"no history is long enough for examples='{examples}'"):
        create("genrec", **(TINY | {"examples": examples})).fit(alone)
