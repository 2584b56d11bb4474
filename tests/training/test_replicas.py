"""Replicas against one model on the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import interruptible
import pytest
import torch
from genrec.backbones.compact import CompactBackbone
from genrec.recommenders.base import create
from genrec.training.decoder_rows import collate
from genrec.training.mixture import Batch
from genrec.training.objectives import CodeLoss
from genrec.training.replicas import Ahead, Gradients, Replicas
from torch import nn


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def setting(dropout: float, objective: str = "catalogue") -> tuple[CompactBackbone, CodeLoss, Batch]:
    options = interruptible.OPTIONS | {"max_steps": 1, "threads": 1, "dropout": dropout, "batch_tokens": 300}
    model: Any = create("genrec", **options).fit(interruptible.log()[0])
    loss = CodeLoss(model.codebook_.trie, objective, torch.device("cpu"), torch.float32)
    examples = [model.rows_.packed(history) for history in interruptible.log()[0].histories][:7]
    return model.backbone_.train(), loss, collate(examples)


def gradients(model: CompactBackbone) -> dict[str, torch.Tensor]:
    Gradients([(weight,) for weight in model.parameters()]).add_up()
    found = {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }
    model.zero_grad()
    assert len(found) == len(list(model.parameters()))
    return found


@pytest.mark.parametrize("objective", ["catalogue", "token"])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_loss_and_gradients_are_those_of_the_whole_batch(objective: str, count: int) -> None:
    model, loss, batch = setting(0.0, objective)
    expected = loss(model, batch)
    (expected / 2).backward()
    whole = gradients(model)
    replicas = Replicas(model, loss, count)
    try:
        for _ in range(2):  # nothing is left over from the first
            total = replicas.backward(batch, 0.5)
            torch.testing.assert_close(total, expected.detach() / 2, rtol=1e-5, atol=1e-6)
            for name, gradient in gradients(model).items():
                torch.testing.assert_close(gradient, whole[name], rtol=1e-5, atol=1e-6)
    finally:
        replicas.close()


@pytest.mark.parametrize("others", [(), ("sparse",), ("dense",), ("absent",), ("sparse", "dense", "sparse")])
@pytest.mark.parametrize("first", ["sparse", "dense", "absent"])
def test_gradients_add_up_whatever_their_layout(first: str, others: tuple[str, ...]) -> None:
    weights = tuple(nn.Parameter(torch.zeros(4, 2)) for _ in (first, *others))
    adding = Gradients([weights])
    for turn in range(2):  # a table that is used again holds nothing of the turn before
        expected = torch.zeros(4, 2)
        for number, (weight, kind) in enumerate(zip(weights, (first, *others), strict=True)):
            weight.grad = None
            if kind == "absent":
                continue
            gradient = torch.zeros(4, 2)
            gradient[number % 3 + turn] = number + 1.0
            expected += gradient
            weight.grad = gradient.to_sparse(1) if kind == "sparse" else gradient
        adding.add_up()
        if {first, *others} == {"absent"}:
            assert weights[0].grad is None
        else:
            assert weights[0].grad is not None
            torch.testing.assert_close(weights[0].grad, expected)
        assert all(weight.grad is None for weight in weights[1:])


def test_a_batch_made_ahead_is_the_same_batch() -> None:
    steps: Any = [{"tokens": torch.full((2,), step)} for step in range(4)]
    ahead = Ahead(steps)
    with ThreadPoolExecutor(1) as pool:
        for step in (0, 1, 3):  # a resumed training goes on elsewhere than at the step made ahead
            assert ahead[step] is steps[step]
            ahead.make_next(pool)
    assert 4 not in ahead.coming  # there is none after the last


def test_dropout_is_told_by_the_key_and_differs_between_replicas() -> None:
    model, loss, batch = setting(0.5)
    replicas = Replicas(model, loss, 2)
    try:

        def drawn(*key: int) -> dict[str, torch.Tensor]:
            replicas.seed(*key)
            replicas.backward(batch, 1.0)
            return gradients(model)

        first = drawn(1, 5)
        assert all(gradient.equal(first[name]) for name, gradient in drawn(1, 5).items())
        assert not all(gradient.equal(first[name]) for name, gradient in drawn(1, 6).items())
        generators = [replica.dropout.generator.initial_seed() for replica in replicas.models]  # type: ignore[union-attr]
        assert generators[0] != generators[1]
    finally:
        replicas.close()


def test_replicas_share_their_weights() -> None:
    model, loss, _ = setting(0.0)
    replicas = Replicas(model, loss, 3)
    replicas.close()
    for replica in replicas.models[1:]:
        for one, other in zip(model.parameters(), replica.parameters(), strict=True):
            assert one is not other
            assert one.data_ptr() == other.data_ptr()


@pytest.mark.parametrize("name", ["genrec", "sasrec", "bsarec"])
def test_two_threads_learn_what_one_learns(name: str) -> None:
    """Without dropout the weights are the same; Adam may turn a rounding error into a step, so not to the bit."""
    options = {"epochs": 3, "seed": 1, "dropout": 0.0, "evaluations": 1, "bf16": False}
    options |= (
        {"backbone": "compact", "depth": 1, "width": 16, "vocab_size": 270, "batch_tokens": 60}
        if name == "genrec"
        else {"width": 16}
    )

    def weights(threads: int) -> list[torch.Tensor]:
        model: Any = create(name, **options, threads=threads).fit(interruptible.log()[0])
        network = model.backbone_ if name == "genrec" else model.network_
        # What is added to all keys alike changes no attention: its gradient is a rounding error and nothing else.
        return [weight for part, weight in network.named_parameters() if not part.endswith("key.bias")]

    for one, two in zip(weights(1), weights(2), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)
