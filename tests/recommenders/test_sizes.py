"""What is larger than the machine is told before it is allocated, with numbers and what to lower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import genrec
import numpy as np
import pytest
import torch
from genrec.backbones.hardware import built
from genrec.data import memory
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from torch import nn

Machine = Callable[[float], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Set what the machine has, in bytes; nothing is so small that it is not looked at."""
    monkeypatch.setattr(memory, "_ALWAYS_THERE", 0)

    def has(size: float) -> None:
        monkeypatch.setattr(memory, "machine_bytes", lambda: int(size))

    return has


@pytest.fixture(scope="module")
def data() -> Any:
    return genrec.synthetic().split("leave-one-out")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        (
            "genrec",
            {"backbone": "compact", "depth": 64, "width": 16_384},
            r"weights .* needs about 2\.\d TB.*lower depth, width",
        ),
        ("genrec", {"depth": 64, "width": 16_384, "prior": ()}, "needs about .* TB.*lower depth, width"),
        ("genrec-seq2seq", {"depth": 64, "width": 16_384}, "needs about .* TB"),
        ("recsysllm", {"width": 16_384, "depth": 60, "families": ["sequential"]}, "needs about .* TB"),
        ("p5", {"width": 16_384, "depth": 60, "families": ["sequential"]}, "needs about .* TB"),
        ("sasrec", {"depth": 64, "width": 16_384}, "needs about .* TB.*lower width"),
        ("bsarec", {"depth": 64, "width": 16_384}, "needs about .* TB"),
    ],
)
def test_a_model_past_every_machine_is_refused_without_being_made(
    data: Any, machine: Machine, name: str, options: dict[str, Any], told: str
) -> None:
    machine(24e9)
    with pytest.raises(ConfigError, match=told) as caught:
        genrec.create(name, **options).fit(data.train)
    assert len(str(caught.value)) < 500


def test_to_look_before_building_changes_no_random_number() -> None:
    def layer() -> nn.Linear:
        return nn.Linear(3, 3)

    torch.manual_seed(1)
    expected = layer().weight
    torch.manual_seed(1)
    assert torch.equal(built(layer, "width").weight, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("genrec", {"backbone": "compact", "batch_tokens": 20_000, "dropout": 0.0, "max_steps": 1}),
        ("genrec", {"backbone": "compact", "batch_tokens": 20_000, "objective": "token", "max_steps": 1}),
        ("genrec", {"batch_size": 2000, "max_steps": 1, "prior": ()}),
        ("genrec-seq2seq", {"batch_tokens": 20_000, "max_steps": 1}),
        ("sasrec", {"batch_size": 2000, "epochs": 1}),
    ],
)
def test_a_step_past_the_memory_is_refused_before_it_is_taken(
    data: Any, machine: Machine, name: str, options: dict[str, Any]
) -> None:
    machine(60e6)
    with pytest.raises(ConfigError, match=r"a training step on .* rows of .* places .* needs about .* MB"):
        genrec.create(name, **options).fit(data.train)


def test_scores_of_all_items_are_counted_by_the_users_at_once(data: Any, machine: Machine) -> None:
    model = genrec.create("popular").fit(data.train)
    num_items = len(data.train.catalogue)
    histories = Histories.from_lists([[0]] * 64)
    machine(64 * num_items * 16 - 1)
    with pytest.raises(ConfigError, match=r"for 64 users at once needs .*rank fewer"):
        model.rank(histories)
    assert len(model.rank(histories, batch_size=32)) == 64


def test_lists_of_neighbours_are_counted(data: Any, machine: Machine) -> None:
    machine(1e5)
    with pytest.raises(ConfigError, match="lower num_neighbours"):
        genrec.create("itemknn").fit(data.train)


def test_pairs_of_items_that_users_took_are_counted(data: Any, machine: Machine) -> None:
    machine(1e5)
    with pytest.raises(ConfigError, match="take another code"):
        genrec.create("genrec", code="collaborative", prior=()).fit(data.train)


def test_what_a_search_tries_is_counted(data: Any, machine: Machine) -> None:
    options: dict[str, Any] = {"depth": 1, "width": 32, "max_steps": 1, "beams": 200, "search": "beam"}
    model = genrec.create("genrec", backbone="compact", **options, bf16=False).fit(data.train)
    machine(4e5)
    histories = Histories.from_lists([[row, row + 1] for row in range(64)])
    with pytest.raises(ConfigError, match="lower beams"):
        model.rank(histories, batch_size=64)
    assert np.all(model.rank(histories.take(np.arange(2)), batch_size=1).items_BK >= 0)
