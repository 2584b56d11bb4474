"""A language model that learns from a recommender of whole items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from genrec.backbones.item_reader import ItemReader
from genrec.data.interactions import Histories, Interactions
from genrec.decoding.constraint import TrieTensors
from genrec.errors import ConfigError
from genrec.recommenders.base import create
from genrec.recommenders.language.teacher import ItemTeacher
from genrec.testing import interactions
from genrec.training.objectives import ItemCodeLoss
from genrec.training.sequences import ItemSteps, newest_states

ITEMS = 12
READS: dict[str, Any] = {"width": 16, "depth": 1, "max_items": 5, "dropout": 0.0, "threads": 1, "bf16": False}
TEACHER = READS | {"epochs": 20, "batch_size": 8, "learning_rate": 1e-2, "evaluations": 1}
PUPIL = READS | {
    "backbone": "items",
    "vocab_size": 270,
    "epochs": 30,
    "min_steps": 0,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "evaluations": 1,
    "prior": (),
}


def log() -> Interactions:
    """15 walks over 12 items, whose titles share their first word."""
    rng = np.random.default_rng(0)
    lists = [
        [(start + step) % ITEMS for step in range(length)]
        for start, length in rng.integers(2, 9, size=(15, 2))
    ]
    return interactions(lists, [f"{'ABC'[row % 3]} part {row}" for row in range(ITEMS)])


def taught(**options: Any) -> tuple[Any, ItemTeacher, ItemCodeLoss]:
    """A fitted model, a teacher that it has not met, and the loss with it."""
    teacher: Any = create("bsarec", **TEACHER).fit(log())
    pupil: Any = create("genrec", **PUPIL | {"epochs": 1}).fit(log())
    trie = pupil.codebook_.trie
    teaching = ItemTeacher(teacher.network_.eval(), TrieTensors.of(trie, "cpu"), **options)
    return pupil, teaching, ItemCodeLoss(trie, "catalogue", torch.device("cpu"), torch.float32, teaching)


def item_chances(teacher: ItemTeacher, history: np.ndarray) -> np.ndarray:
    """What it expects after a history, by item."""
    with torch.no_grad():
        state_1D = newest_states(teacher.network, Histories.from_lists([history]), 5)
        return (state_1D @ teacher.network.vectors.table().T).softmax(1)[0].numpy()


def test_shares_are_those_of_the_items_below() -> None:
    model, teacher, _ = taught(share=1.0)
    trie, history = model.codebook_.trie, np.array([3, 4, 5], np.int32)
    batch = {
        "items": torch.from_numpy(history.astype(np.int64))[None],
        "ages": torch.tensor([[2, 1, 0]]),
        "segments": torch.zeros((1, 3), dtype=torch.int64),
    }
    shares = teacher.expected(batch, torch.tensor([2]))
    chance_I = item_chances(teacher, history)
    for node in range(trie.num_nodes):
        children = range(trie.first_child_N1[node], trie.first_child_N1[node + 1])
        below = [
            chance_I[trie.item_of_leaf_I[trie.first_leaf_N[child] : trie.last_leaf_N[child]]].sum()
            for child in children
        ]
        if len(below) > 1:
            found = shares(torch.tensor([0]), torch.tensor([node]), len(below))[0]
            np.testing.assert_allclose(found, np.array(below) / sum(below), rtol=1e-4)


def test_a_share_of_the_items_is_learned_from_the_teacher() -> None:
    """Of all of them where the share is 1, explicitly; of hardly any where it is next to nothing."""
    model, teacher, loss = taught(share=1.0)
    reader: ItemReader = model.backbone_.eval()
    batch = ItemSteps(log().histories, max_items=5, batch_size=15, num_epochs=1, seed=0)[0]
    trie, asked = model.codebook_.trie, batch["targets"] >= 0
    with torch.no_grad():
        state_RTD = reader(batch)
        shares = teacher.expected(batch, torch.nonzero(asked.flatten()).squeeze(1))
        total, row = 0.0, 0
        for place in torch.nonzero(asked.flatten()).squeeze(1).tolist():
            for node in trie.paths[int(batch["targets"].flatten()[place])].tolist():
                parent = trie.parent_N[node]
                if not node or trie.num_children_N[parent] < 2:
                    continue
                children = torch.arange(trie.first_child_N1[parent], trie.first_child_N1[parent + 1])
                vectors_CD = reader.edge_vectors(loss.token_N[children], children)
                log_p_C = (vectors_CD @ state_RTD.flatten(0, 1)[place]).log_softmax(0)
                wanted_C = shares(torch.tensor([row]), torch.tensor([parent]), len(children))[0]
                total -= float(wanted_C @ log_p_C)
            row += 1
        alone = ItemCodeLoss(trie, "catalogue", torch.device("cpu"), torch.float32)
        nothing = torch.full_like(batch["targets"], -1)
        firsts = float(alone(reader, batch | {"targets": nothing}))  # the mean of 15 of them
        assert loss.num_items(batch) == row + 15
        assert float(loss(reader, batch)) == pytest.approx((total + 15 * firsts) / (row + 15), rel=1e-4)
        assert float(loss(reader, batch)) != pytest.approx(float(alone(reader, batch)), rel=1e-3)
        loss.teacher = ItemTeacher(teacher.network, teacher.trie, 1e-9)
        assert float(loss(reader, batch)) == pytest.approx(float(alone(reader, batch)), rel=1e-6)


def test_a_taught_model_comes_near_to_its_teacher(tmp_path: Path) -> None:
    teacher: Any = create("bsarec", **TEACHER).fit(log(), run=tmp_path)
    teacher.save(tmp_path / "bsarec")
    pupils = [
        create("genrec", **PUPIL, **options).fit(log())
        for options in ({}, {"taught_by": str(tmp_path / "bsarec"), "taught_share": 1.0})
    ]
    histories = Histories.from_lists([[row, (row + 1) % ITEMS] for row in range(ITEMS)])
    chance_BI = np.exp(teacher._score(histories))

    def surprise(model: Any) -> float:
        """Of the model about what the teacher expects, in nats, beyond the teacher's own."""
        found = model.rank(histories, ITEMS, exclude_seen=False, exact=True)
        log_p_BI = np.empty_like(chance_BI)
        np.put_along_axis(log_p_BI, found.items_BK, found.scores_BK, axis=1)
        return float((chance_BI * (np.log(chance_BI) - log_p_BI)).sum(axis=1).mean())

    untaught, near = (surprise(model) for model in pupils)
    assert 0 < near < 0.5 * untaught
    pupils[1].save(tmp_path / "pupil")
    assert not list((tmp_path / "pupil").rglob("*teacher*"))


def test_what_cannot_teach_is_told() -> None:
    with pytest.raises(ConfigError, match="popular cannot teach"):
        create("genrec", **PUPIL, taught_by="popular").fit(log())
    with pytest.raises(ConfigError, match="reads 50 items of a history, fewer than max_items=60"):
        create("genrec", **PUPIL | {"max_items": 60}, taught_by="bsarec").fit(log())
    with pytest.raises(ConfigError, match="teaches a model that reads items"):
        create("genrec", backbone="compact", taught_by="bsarec")
    with pytest.raises(ConfigError, match="has no teacher"):
        create("genrec", taught_share=0.5)
