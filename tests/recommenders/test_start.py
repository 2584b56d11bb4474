"""A training that starts from an earlier one: what it takes over, known by ids and words, and what it refuses.

With a learning rate near nought a recommender ends where it has begun, so what it took over is what it answers with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Histories, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create
from genrec.recommenders.start import Start, in_both
from genrec.testing import catalogue, interactions, walks

NUM_ITEMS = 20
_COLOURS, _THINGS = ("Red", "Blue", "Green", "Old"), ("hose", "barrel", "spade")
TITLES = [f"{_COLOURS[row % 4]} {_THINGS[row % 3]} {row}" for row in range(NUM_ITEMS)]
STILL = {"learning_rate": 1e-12}
OF_ITEMS: dict[str, Any] = {"width": 16, "epochs": 3, "batch_size": 8, "evaluations": 1, "bf16": False}
READER: dict[str, Any] = {
    **{"backbone": "items", "width": 16, "depth": 1, "vocab_size": 300, "warmup_steps": 0, "bf16": False},
    **{"epochs": 3, "batch_size": 8, "min_steps": 0, "prior": ()},
}
CASES = {
    "sasrec": ("sasrec", OF_ITEMS),
    "bsarec": ("bsarec", OF_ITEMS | {"features": ("title", "beginnings")}),
    "genrec": ("genrec", READER),
    "prior": ("prior", {"prior": ("bsarec",), "prior_options": {"bsarec": OF_ITEMS}}),
}


def log(order: Sequence[int], titles: Sequence[str] = TITLES) -> Interactions:
    """The same walks round the items, whose rows are in this order."""
    row_of = {item: row for row, item in enumerate(order)}
    items = catalogue([titles[item] for item in order], [f"i{item}" for item in order])
    return interactions([[row_of[item] for item in one] for one in walks(24, NUM_ITEMS)], items)


MONDAY = log(range(NUM_ITEMS))
ORDER = [*range(7, NUM_ITEMS), *range(7)]
TUESDAY = log(ORDER)


def answers(model: Recommender, item: int) -> dict[str, float]:
    """The score of each item after a history of one, by ids."""
    history = Histories.from_lists([model.catalogue.rows([f"i{item}"])])
    found = model.rank(history, len(model.catalogue), exclude_seen=False)
    ids = [model.catalogue.ids[row] for row in found.items_BK[0]]
    return dict(zip(ids, found.scores_BK[0].tolist(), strict=True))


def still(options: dict[str, Any]) -> dict[str, Any]:
    if "prior_options" in options:
        return options | {"prior_options": {"bsarec": OF_ITEMS | STILL}}
    return options | STILL


@pytest.mark.parametrize("case", CASES)
def test_what_was_learnt_goes_with_ids_and_words(case: str) -> None:
    name, options = CASES[case]
    earlier = create(name, **options).fit(MONDAY)
    model = create(name, **still(options)).fit(TUESDAY, start=Start(earlier, 0.5))
    afresh = create(name, **still(options)).fit(TUESDAY)
    assert answers(model, 3) == pytest.approx(answers(earlier, 3), abs=1e-4)
    assert answers(afresh, 3) != pytest.approx(answers(earlier, 3), abs=1e-2)
    assert model._start is None


@pytest.mark.parametrize("case", ["bsarec", "genrec"])
def test_edits_of_the_earlier_one_do_not_count(case: str) -> None:
    name, options = CASES[case]
    earlier = create(name, **options).fit(MONDAY)
    told = answers(earlier, 3)
    earlier.add_items(pl.DataFrame({"item_id": ["i0", "i99"], "title": ["Other", "Red hose 99"]}))
    model = create(name, **still(options)).fit(TUESDAY, start=Start(earlier, 0.5))
    assert answers(model, 3) == pytest.approx(told, abs=1e-4)


def test_new_items_begin_by_their_words_and_known_ones_keep_their_vectors() -> None:
    options = OF_ITEMS | {"features": ("title",)}
    earlier = create("bsarec", **options).fit(MONDAY)
    titles = [*(f"New {title}" if row < 2 else title for row, title in enumerate(TITLES)), "Red hose"]
    items = catalogue(titles, [f"i{row}" for row in range(NUM_ITEMS + 1)])
    data = interactions([*walks(24, NUM_ITEMS), [0, NUM_ITEMS, 1]], items)
    model: Any = create("bsarec", **options | STILL).fit(data, start=Start(earlier, 0.5))
    before: Any = earlier
    mine, theirs = model.network_.vectors, before.network_.vectors
    np.testing.assert_allclose(mine.own.detach()[:NUM_ITEMS], theirs.own.detach(), atol=1e-6)
    assert not mine.own.detach()[NUM_ITEMS].abs().max() > 1e-6
    here, there = in_both(model.vocabulary_.words, before.vocabulary_.words)
    assert ("title", "new") in set(model.vocabulary_.words) - set(before.vocabulary_.words)
    np.testing.assert_allclose(mine.words.detach()[here], theirs.words.detach()[there], atol=1e-6)


def test_nodes_go_with_their_tokens_and_an_items_last_one_with_the_item() -> None:
    earlier: Any = create("genrec", **READER).fit(MONDAY)
    titles = ["Quite another name", *TITLES[1:]]
    model: Any = create("genrec", **READER | STILL).fit(log(ORDER, titles), start=Start(earlier, 0.5))
    assert model.codebook_.tokenizer is earlier.codebook_.tokenizer
    for item in set(range(NUM_ITEMS)) - {
        12
    }:  # "Red hose" is enough for it, now that item 0 is called otherwise
        (mine,), (theirs,) = (one.catalogue.rows([f"i{item}"]) for one in (model, earlier))
        vectors = [
            one.backbone_.network.vectors.words.detach()[
                one.backbone_.num_tokens + int(one.codebook_.trie.paths[row].max())
            ]
            for one, row in ((model, mine), (earlier, theirs))
        ]
        assert theirs == item
        np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
        assert vectors[1].abs().max() > 1e-4


@pytest.mark.parametrize("case", ["sasrec", "genrec"])
def test_the_budget_is_a_share_of_the_steps(case: str, tmp_path: Any) -> None:
    name, options = CASES[case]
    steps = []
    earlier = create(name, **options).fit(MONDAY, run=tmp_path / "whole")
    for budget in (0.34, 1.0):
        create(name, **options).fit(MONDAY, run=tmp_path / str(budget), start=Start(earlier, budget))
    for folder in ("whole", "0.34", "1.0"):
        (last,) = (tmp_path / folder / "checkpoints").glob("checkpoint-*")
        steps.append(int(last.name.removeprefix("checkpoint-")))
    assert steps == [9, 3, 9]


@pytest.mark.parametrize(
    ("name", "options", "earlier", "told"),
    [
        ("popular", {}, ("popular", {}), "popular learns everything anew in each training"),
        ("union", {}, ("popular", {}), "union learns everything anew"),
        ("palr", {}, ("popular", {}), "palr learns everything anew"),
        ("bsarec", {}, ("sasrec", OF_ITEMS), "is of sasrec, and bsarec starts from bsarec"),
        ("prior", {}, ("popular", {}), "is of popular, and prior starts from prior"),
        ("sasrec", {"width": 32}, ("sasrec", OF_ITEMS), "the earlier run has width=16 and this one 32"),
        (
            "genrec",
            {"backbone": "compact"},
            ("genrec", READER),
            "where it reads items, writes titles and has no",
        ),
        ("genrec", READER | {"code": "random"}, ("genrec", READER), "where it reads items, writes titles"),
        ("genrec", READER | {"depth": 2}, ("genrec", READER), "has depth=1 and this one 2: give depth=1"),
        ("genrec", READER, ("genrec", READER | {"code": "random"}), "has code=random and this one title"),
        ("genrec", READER, ("popular", {}), "is of popular, and genrec starts from genrec"),
    ],
)
def test_what_cannot_start_there_is_told(
    name: str, options: dict[str, Any], earlier: tuple[str, dict[str, Any]], told: str
) -> None:
    before = create(earlier[0], **earlier[1]).fit(MONDAY)
    model = create(name, **options)
    with pytest.raises(ConfigError, match=re.escape(told)):
        model.fit(MONDAY, start=Start(before, 0.5))
