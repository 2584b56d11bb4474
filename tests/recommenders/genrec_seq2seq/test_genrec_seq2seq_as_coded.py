"""The switches for what the published code does otherwise: free decoding, learnt padding, one table for two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create, load
from genrec.testing import ring
from genrec.training.encoder_rows import Answer, Asked
from genrec.training.layout import Span

OPTIONS: dict[str, Any] = {
    "depth": 1, "width": 16, "vocab_size": 300, "dropout": 0.0, "epochs": 3, "batch_tokens": 300, "evaluations": 1,
    "bf16": False, "threads": 1, "examples": "prefixes", "objective": "token", "word_vectors": "shared",
    "reads_users": True, "pretraining_epochs": 1, "beams": 5,
}  # fmt: skip
RING = ring([f"Comet {row}" for row in range(12)], length=5)


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    return create("genrec-seq2seq", **OPTIONS, decoding="free", scores_padding=True).fit(RING)


def test_free_lists_hold_items_or_nothing_and_no_seen_ones(fitted: Recommender) -> None:
    train = RING
    found = fitted.rank(train.histories, 4)
    assert found.items_BK.max() < train.num_items
    assert not found.seen(train.histories).any()
    assert not found.exact_B.any()
    scores_BK = found.scores_BK.astype(np.float64)
    assert (np.diff(np.nan_to_num(scores_BK, neginf=-1e9), axis=1) <= 0).all()


def test_free_scores_are_those_of_the_sequences(fitted: Recommender) -> None:
    """Free probabilities run over the vocabulary: an item scores as it does in a constrained search over that."""
    model: Any = fitted
    histories = RING.histories
    free = model.rank(histories, 5)
    config = model.config
    try:
        model.config = config.changed(decoding="constrained", search="beam")
        bound = model.rank(histories, model.catalogue.table.height, exclude_seen=False)
    finally:
        model.config = config
    checked = 0
    for row in range(len(free)):
        score_of = dict(zip(bound.items_BK[row].tolist(), bound.scores_BK[row].tolist(), strict=True))
        for item, score in zip(free.items_BK[row].tolist(), free.scores_BK[row].tolist(), strict=True):
            if item >= 0:
                assert score <= score_of[item] + 1e-3  # the same spelling, or a less likely one
                checked += 1
    assert checked or (free.items_BK < 0).all()


def test_free_lists_come_back_from_the_disk(fitted: Recommender, tmp_path: Path) -> None:
    again, histories = load(fitted.save(tmp_path / "run")), RING.histories
    np.testing.assert_array_equal(again.rank(histories, 3).items_BK, fitted.rank(histories, 3).items_BK)


def test_free_decoding_proves_nothing(fitted: Recommender) -> None:
    with pytest.raises(ConfigError, match="proves nothing"):
        fitted.rank(RING.histories, 3, exact=True)


def test_padding_is_learnt_where_asked_for(fitted: Recommender) -> None:
    model: Any = fitted
    short, long = model.layout_.codes[0], max(model.layout_.codes, key=len)
    source = model.sources_.question(np.array([0]), None)
    nodes = np.zeros_like
    examples = [
        Asked(source, [Answer([Span(code, nodes(code), is_item=True)], source.end, source.end)])
        for code in (short[:1], long)
    ]
    batch = model.sources_.collate(examples)
    assert batch["learnt"][0].tolist() == [False] + [True] * len(long)
    assert (batch["answer"] == 0).all()
    assert torch.equal(batch["positions"][0], batch["positions"][1])
    model.sources_.scores_padding = False
    try:
        assert int(model.sources_.collate(examples)["learnt"][0].sum()) == 1
    finally:
        model.sources_.scores_padding = True


def test_padding_has_no_place_in_the_trie() -> None:
    with pytest.raises(ConfigError, match="scores_padding needs objective=token"):
        create("genrec-seq2seq", scores_padding=True)
