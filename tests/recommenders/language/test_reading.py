"""Whole titles are read where short ones are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from checkpoints import TITLES, write
from genrec.data.interactions import Histories, Interactions
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create, load
from genrec.recommenders.language.codebook import Codebook
from genrec.testing import ring
from safetensors.numpy import load_file

NUM_ITEMS = len(TITLES)
HISTORIES = Histories.from_lists([[], [3], [1, 2, 3], [14, 0, 1, 2, 3, 4]])
COMPACT: dict[str, Any] = {"backbone": "compact", "width": 32, "depth": 1, "vocab_size": 300, "dropout": 0.0}
FEW: dict[str, Any] = {"epochs": 1, "batch_tokens": 600, "evaluations": 1, "bf16": False, "beams": 4}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write("llama", tmp_path_factory.mktemp("reading") / "llama"))


@pytest.fixture(scope="module")
def walks() -> Interactions:
    return ring(TITLES)


def read(model: Any, history: list[int]) -> str:
    """What a question says of a history."""
    rows = model.rows_ if model.name == "genrec" else model.lists_._packed
    return model.codebook_.tokenizer.decode(rows.question(np.array(history)).tokens_T)


def check_lists(model: Recommender) -> None:
    """Exact lists are those of the decisions, one item at a time."""
    found = model.rank(HISTORIES, 5, exact=True)
    for row, history in enumerate(HISTORIES):
        scores = np.array(
            [
                sum(np.log(chance) for _, chance in model._why(history.tolist(), item))
                for item in range(len(model.catalogue))
            ]
        )
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-4)
        scores[history] = -np.inf
        np.testing.assert_allclose(found.scores_BK[row], -np.sort(-scores)[:5], atol=1e-4)


@pytest.mark.parametrize("backbone", ["checkpoint", "compact", "stride"])
def test_short_titles_are_written_and_whole_ones_read(
    checkpoint: str, walks: Interactions, tmp_path: Path, backbone: str
) -> None:
    options = {"backbone": checkpoint} if backbone == "checkpoint" else COMPACT | {"read": "whole"}
    options |= {"stride": 14} if backbone == "stride" else {}
    model = create("genrec", code_length="shortest", **options, **FEW).fit(walks)
    whole = create("genrec", code_length="full", **options, **FEW).fit(walks)
    assert read(model, [2, 7]).split() == ["Comet", "Harbour", "3", "Silent", "Orchard", "2"]
    codebook = model.codebook_
    assert codebook.codes.lengths.sum() < codebook.reading.lengths.sum()
    for code, told, full in zip(codebook.codes, codebook.reading, whole.codebook_.codes, strict=True):
        assert told[: len(code)].tolist() == code.tolist()
        assert told.tolist() == full.tolist()
    row = model.rows_.packed(np.array([2, 7]))
    nodes = row.nodes_T[row.nodes_T > 0].tolist()
    assert nodes == [node for item in (2, 7) for node in codebook.trie.paths[item].tolist() if node]
    check_lists(model)
    again = load(model.save(tmp_path / "saved"))
    assert read(again, [2, 7]) == read(model, [2, 7])
    np.testing.assert_array_equal(again.rank(HISTORIES, 5).items_BK, model.rank(HISTORIES, 5).items_BK)
    again.add_items(pl.DataFrame({"item_id": ["new", "i2"], "title": ["Comet Harbour 99", "Comet Ahoy 3"]}))
    assert read(again, [2, NUM_ITEMS]).split() == ["Comet", "Ahoy", "3", "Comet", "Harbour", "99"]
    check_lists(again)


@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_lists_of_palr_and_tokens(checkpoint: str, walks: Interactions, objective: str) -> None:
    options = {"retriever": "itemknn", "num_candidates": 5, "objective": objective}
    model = create("palr", backbone=checkpoint, code_length="shortest", **options, **FEW).fit(walks)
    assert read(model, [2, 9]).split() == ["Comet", "Harbour", "3", "Silent", "Orchard", "4"]
    assert model.rank(HISTORIES, 3).items_BK.min() >= 0


def test_a_run_from_before_reads_what_it_writes(checkpoint: str, walks: Interactions, tmp_path: Path) -> None:
    options = {"backbone": checkpoint, "code_length": "shortest", "max_steps": 0}
    old = create("genrec", read="code", **options).fit(walks)
    assert all(code[-1] == old.codebook_.tokenizer.end[0] for code in old.codebook_.codes)
    new = create("genrec", **options).fit(walks)
    assert new.codebook_.reading is not new.codebook_.codes
    saved = old.save(tmp_path / "old")
    assert load_file(saved / "codes.safetensors").keys() == {"tokens", "offsets"}
    assert read(load(saved), [10, 11]) == read(old, [10, 11]) != read(new, [10, 11])
    # Its configuration does not know the option, which is then what it is by default.
    found = Codebook.load(saved, new.config, TITLES)
    assert found.reading is found.codes
    grown = found.grown([*TITLES, "Comet Ahoy"])[0]
    assert grown.reading is grown.codes
    assert all(code[-1] == grown.tokenizer.end[0] for code in grown.codes)


def test_without_names_there_is_nothing_whole() -> None:
    with pytest.raises(
        ConfigError, match="read=whole is about names as text, and code=collaborative has none"
    ):
        create("genrec", backbone="compact", code="collaborative", read="whole")
    with pytest.raises(ConfigError, match="and backbone=items has none to read: leave read out"):
        create("genrec", read="whole")
