"""Edits of a catalogue: whatever comes, goes, changes and comes back, in whatever order, ends where one step ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data.interactions import Histories, Interactions
from genrec.recommenders.base import Recommender, create, load, recommender_class
from genrec.testing import TINY, ring
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

TITLES = [
    *(f"Comet Harbour {part}" for part in (1, 2, 3)),
    "Silent Orchard 1",
    "Silent Orchard 2",
    "Paper Tigers",
    "Paper Tigers, Again",
    "Home",
    "Home",
]
NUM_ITEMS = len(TITLES)
IDS = [f"i{row}" for row in range(NUM_ITEMS)]
NEW_IDS = [f"n{number}" for number in range(4)]
OTHER_TITLES = [
    *("Comet Harbour 4", "Comet Harbour", "Comet", "Comet Harbour 1: Again", "Silent Orchard 2 (restored)"),
    *("Home (2)", "Home Alone", "Paper", "Quiet Mill"),
]
titles = st.sampled_from([*TITLES, *OTHER_TITLES])
HISTORIES = [[], ["i0"], ["i3", "i4"], ["i7", "i1", "i2"], ["i8", "i5"]]

WRITER: dict[str, Any] = TINY | {"epochs": 15, "max_steps": 8, "learning_rate": 2e-2, "warmup_steps": 1}
TASKS = WRITER | {"families": ("sequential",), "times": {"next": 1}}
VECTORS = {"width": 8, "epochs": 2, "evaluations": 1}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "genrec": ("genrec", WRITER),
    "genrec, whole titles": ("genrec", WRITER | {"code_length": "full"}),
    "genrec, all tokens": ("genrec", WRITER | {"objective": "token", "examples": "last"}),
    "genrec, text alone": ("genrec", WRITER | {"node_vectors": False}),
    "genrec, numbers": ("genrec", WRITER | {"code": "random"}),
    "genrec-seq2seq": ("genrec-seq2seq", WRITER | {"word_vectors": "shared", "reads_users": True}),
    "genrec-seq2seq, own words": ("genrec-seq2seq", WRITER | {"word_vectors": "own", "examples": "last"}),
    "p5": ("p5", TASKS),
    "recsysllm": ("recsysllm", TASKS),
    "palr": ("palr", WRITER | {"retriever": "tfidf", "num_candidates": 6}),
    "palr, lists": (
        "palr",
        WRITER
        | {"retriever": "itemknn", "num_candidates": 6, "tasks": ("candidates",), "order": "shuffled"}
        | {"ranking": "list"},
    ),
    "sasrec": ("sasrec", VECTORS),
    "bsarec": ("bsarec", VECTORS),
    "union": ("union", {}),
    "popular": ("popular", {}),
}
QUICK = ("genrec", "genrec-seq2seq", "recsysllm", "palr", "sasrec", "union")


def walks() -> Interactions:
    genres = [["Drama"] if row % 3 else ["Comedy", "Drama"] for row in range(NUM_ITEMS)]
    return ring(TITLES, 18, lambda user: 5 + user // NUM_ITEMS, genres=genres)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a fitted one of `MODELS`, each fitted once."""
    folder = tmp_path_factory.mktemp("edits")

    def fit(name: str) -> Path:
        path = folder / name.replace(" ", "-").replace(",", "")
        if not path.exists():
            recommender, options = MODELS[name]
            create(recommender, **options).fit(walks()).save(path)
        return path

    return fit


def scores(model: Recommender) -> dict[tuple[str, ...], float]:
    """The score of each item, probabilities where there are such, by history and item."""
    ids = model.catalogue.ids
    asked = [*HISTORIES, *([item_id, "i1"] for item_id in ids if item_id in NEW_IDS)]
    histories = Histories.from_lists([model.catalogue.rows(history) for history in asked])
    found = model.rank(histories, len(ids), exclude_seen=False)
    values = np.exp(found.scores_BK) if model.probabilistic else found.scores_BK
    return {
        (*history, ids[row]): float(value)
        for history, items, some in zip(asked, found.items_BK, values, strict=True)
        for row, value in zip(items.tolist(), some, strict=True)
        if row >= 0
    }


class Edits(RuleBasedStateMachine):
    """A recommender under edits, by way of `add_items`, `remove_items`, `save` and `load` alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.scratch = tempfile.TemporaryDirectory()
        self.model = load(folder)

    def add(self, item_id: str, title: str, **fields: Any) -> None:
        given = {"item_id": [item_id], "title": [title], **{name: [value] for name, value in fields.items()}}
        self.model.add_items(pl.DataFrame(given))

    def any_of(self, place: int) -> tuple[str, str]:
        """Id and title of an item of the moment."""
        catalogue = self.model.catalogue
        return catalogue.ids[place % len(catalogue)], catalogue.titles[place % len(catalogue)]

    @rule(item_id=st.sampled_from(NEW_IDS), title=titles)
    def add_an_item(self, item_id: str, title: str) -> None:
        self.add(item_id, title)

    @rule(place=st.integers(0, 99), title=titles)
    def change_a_title(self, place: int, title: str) -> None:
        self.add(self.any_of(place)[0], title)

    @rule(place=st.integers(0, NUM_ITEMS - 1))
    def give_a_title_back(self, place: int) -> None:
        self.add(IDS[place], TITLES[place])

    @rule(place=st.integers(0, 99), genres=st.sampled_from([["Drama"], ["Crime", "Comedy"]]))
    def change_a_field(self, place: int, genres: list[str]) -> None:
        self.add(*self.any_of(place), genres=genres)

    @rule(place=st.integers(0, 99), name=st.sampled_from(["maker", "land"]))
    def add_a_field(self, place: int, name: str) -> None:
        self.add(*self.any_of(place), **{name: "Comedy"})

    @rule(place=st.integers(0, 99))
    def remove_an_item(self, place: int) -> None:
        self.model.remove_items([self.any_of(place)[0]])

    @rule(place=st.integers(0, 99))
    def put_an_item_back(self, place: int) -> None:
        gone = np.flatnonzero(self.model.removed_).tolist()
        if gone:
            self.add(*self.any_of(gone[place % len(gone)]))

    @rule()
    def save_and_load(self) -> None:
        self.model = load(self.model.save(Path(self.scratch.name) / "saved"))

    def teardown(self) -> None:
        catalogue = self.model.catalogue
        removed = [catalogue.ids[row] for row in np.flatnonzero(self.model.removed_)]
        at_once = load(self.folder).add_items(catalogue.table).remove_items(removed)
        assert at_once.catalogue.table.equals(catalogue.table)
        found, expected = scores(self.model), scores(at_once)
        assert found.keys() == expected.keys()
        for key, value in found.items():
            assert value == pytest.approx(expected[key], abs=1e-5), key
        self.scratch.cleanup()


@pytest.mark.parametrize("name", QUICK)
def test_a_few_edits_end_where_one_step_ends(saved: Callable[[str], Path], name: str) -> None:
    run_state_machine_as_test(
        partial(Edits, saved(name)),
        settings=settings(
            max_examples=4,
            stateful_step_count=8,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


MANY = settings(max_examples=50, stateful_step_count=12, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_edits_end_where_one_step_ends(saved: Callable[[str], Path], name: str) -> None:
    run_state_machine_as_test(partial(Edits, saved(name)), settings=MANY)


@pytest.mark.slow
@pytest.mark.parametrize("code_length", ["shortest", "full"])
def test_edits_of_a_checkpoint_end_where_one_step_ends(
    seq2seq_checkpoint: Callable[[str], str], tmp_path: Path, code_length: str
) -> None:
    checkpoint = {"backbone": seq2seq_checkpoint("t5"), "max_steps": 1, "code_length": code_length}
    options = recommender_class("genrec-seq2seq").Config.merged(WRITER, checkpoint)
    folder = create("genrec-seq2seq", **options).fit(walks()).save(tmp_path / "saved")
    run_state_machine_as_test(partial(Edits, folder), settings=MANY)


@pytest.mark.parametrize("name", QUICK)
def test_a_title_that_comes_back_brings_its_scores(saved: Callable[[str], Path], name: str) -> None:
    before = scores(load(saved(name)))
    model = load(saved(name)).add_items(pl.DataFrame({"item_id": ["i4", "i7"], "title": ["Home", "Zebra"]}))
    assert scores(model) != before or name == "sasrec"  # which knows no titles
    model.add_items(pl.DataFrame({"item_id": ["i7", "i4"], "title": [TITLES[7], TITLES[4]]}))
    assert scores(model) == pytest.approx(before, abs=1e-7)


@pytest.mark.parametrize("name", QUICK)
def test_the_way_to_a_catalogue_does_not_matter(
    saved: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    def edited(*edits: dict[str, str]) -> dict[tuple[str, ...], float]:
        model = load(saved(name))
        for number, titles in enumerate(edits):
            model.add_items(pl.DataFrame({"item_id": list(titles), "title": list(titles.values())}))
            if number == 1:
                model = load(model.save(tmp_path / f"half way {len(edits)}"))
        return scores(model)

    expected = edited({"i4": "Home", "i7": "Quiet Mill", "n0": "Comet", "n1": "Home"})
    ways = [
        # One by one, new items first and last.
        [{"n1": "Home"}, {"n0": "Comet"}, {"i7": "Quiet Mill"}, {"i4": "Home"}],
        [{"i4": "Home"}, {"i7": "Quiet Mill"}, {"n0": "Comet"}, {"n1": "Home"}],
        # By way of other titles, some of them longer or those of others.
        [
            {"i4": "Zebra", "n1": "Comet", "i8": "Paper"},
            {"i4": "Home", "i7": "Home (2)", "n1": "Silent Orchard 2"},
            {"n1": "Home", "n0": "Comet", "i8": "Home", "i7": "Quiet Mill"},
        ],
    ]
    for way in ways:
        assert edited(*way) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["genrec", "genrec-seq2seq, own words", "sasrec", "popular"])
def test_a_run_that_keeps_one_catalogue_alone_goes_on_from_it(
    saved: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    """As runs were saved when edits changed what had been learnt."""
    model = load(saved(name)).add_items(pl.DataFrame({"item_id": ["n1"], "title": ["Comet"]}))
    expected = scores(model)
    model.trained_ = {}
    folder = model.save(tmp_path / "old")
    assert not (folder / "trained.parquet").exists()
    old = load(folder)
    assert scores(old) == pytest.approx(expected, abs=1e-6)
    old.add_items(pl.DataFrame({"item_id": ["n1", "n2"], "title": ["Zebra", "Comet"]}))
    old = load(old.save(tmp_path / "newer"))
    old.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["Comet"]}))
    assert old.catalogue.ids == [*IDS, "n1", "n2"]
    assert old.trained_catalogue.titles == [*TITLES, "Comet"]
