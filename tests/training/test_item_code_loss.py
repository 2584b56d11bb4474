"""What reading items costs in training, against the probabilities that a search finds."""

from __future__ import annotations

from typing import Any

import interruptible
import numpy as np
import pytest
import torch
from genrec.data.interactions import Histories
from genrec.recommenders.base import create
from genrec.training.objectives import ItemCodeLoss
from genrec.training.replicas import Gradients, Replicas
from genrec.training.sequences import ItemSteps, pack

OPTIONS: dict[str, Any] = {
    "backbone": "items",
    "width": 16,
    "depth": 1,
    "vocab_size": 270,
    "dropout": 0.0,
    "bf16": False,
    "epochs": 5,
    "min_steps": 0,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "max_items": 5,
    "warmup_steps": 1,
    "threads": 1,
    "prior": (),
}


def setting(**options: Any) -> tuple[Any, ItemCodeLoss]:
    model: Any = create("genrec", **OPTIONS | options).fit(interruptible.log()[0])
    return model, ItemCodeLoss(model.codebook_.trie, "catalogue", torch.device("cpu"), torch.float32)


def batch_of(lists: list[list[int]]) -> dict[str, torch.Tensor]:
    """Histories side by side, the last item of each a target: ages count from it, as in a search."""
    width = max(map(len, lists)) - 1
    batch, start_S = pack([np.array(items[:-1], np.int32) for items in lists], width)
    targets = torch.full_like(batch["items"], -1)
    for items, start in zip(lists, start_S.tolist(), strict=True):
        targets.view(-1)[start + len(items) - 2] = items[-1]
    return {**batch, "targets": targets}


@pytest.mark.parametrize("encoder", ["sasrec", "bsarec"])
def test_the_loss_is_minus_the_logarithm_of_what_a_search_finds(encoder: str) -> None:
    """Of the last item of a history after those before it, and of the first one after none."""
    model, loss = setting(encoder=encoder)
    lists = [[0, 1, 2, 3], [7, 7], [11, 4, 0], [5, 6, 7, 8, 9, 10]]
    histories = [*(items[:-1] for items in lists), *([] for _ in lists)]
    answers = [*(items[-1] for items in lists), *(items[0] for items in lists)]
    found = model.rank(Histories.from_lists(histories), 12, exclude_seen=False, exact=True)
    log_p = [
        float(scores[items.tolist().index(answer)])
        for items, scores, answer in zip(found.items_BK, found.scores_BK, answers, strict=True)
    ]
    batch = batch_of(lists)
    assert loss.num_items(batch) == len(answers) == 8
    with torch.no_grad():
        assert float(loss(model.backbone_.eval(), batch)) == pytest.approx(-np.mean(log_p), rel=1e-4)


def test_items_without_a_choice_cost_nothing() -> None:
    model, loss = setting()
    trie = model.codebook_.trie
    assert loss.first_I1[-1] == len(loss.decision_E)
    for item, path in enumerate(trie.paths):
        decided = loss.decision_E[loss.first_I1[item] : loss.first_I1[item + 1]].tolist()
        assert decided == [
            node for node in path.tolist() if node and trie.num_children_N[trie.parent_N[node]] > 1
        ]


@pytest.mark.parametrize("count", [2, 3])
def test_replicas_learn_what_one_learns(count: int) -> None:
    model, loss = setting()
    reader = model.backbone_.train()
    steps = ItemSteps(interruptible.log()[0].histories, max_items=3, batch_size=15, num_epochs=1, seed=0)
    batch = steps[0]
    assert len(batch["items"]) >= count

    def gradients() -> dict[str, torch.Tensor]:
        Gradients([(weight,) for weight in reader.parameters()]).add_up()
        found = {
            name: weight.grad.clone() for name, weight in reader.named_parameters() if weight.grad is not None
        }
        reader.zero_grad()
        return found

    whole = loss(reader, batch)
    whole.backward()
    expected = gradients()
    assert "nobody_D" in expected
    replicas = Replicas(reader, loss, count)
    try:
        for _ in range(2):
            total = replicas.backward(batch, 1.0)
            torch.testing.assert_close(total, whole.detach(), rtol=1e-5, atol=1e-6)
            found = gradients()
            assert found.keys() == expected.keys()
            for name, gradient in found.items():
                torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6)
    finally:
        replicas.close()


def test_two_threads_learn_what_one_learns() -> None:
    before = torch.get_num_threads()
    try:
        one, two = (
            setting(threads=threads, prior=("transitions",))[0].backbone_.state_dict() for threads in (1, 2)
        )
    finally:
        torch.set_num_threads(before)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        if not name.endswith("key.bias"):  # changes no attention: its gradient is a rounding error
            torch.testing.assert_close(weight, two[name], rtol=0, atol=1e-4)


def test_it_stops_after_so_many_steps() -> None:
    histories = interruptible.log()[0].histories
    whole, cut = (
        ItemSteps(histories, max_items=5, batch_size=4, num_epochs=3, seed=0, max_steps=most)
        for most in (None, 5)
    )
    assert len(cut) == 5 < len(whole)
    for step in range(5):
        assert all(part.equal(whole[step][name]) for name, part in cut[step].items())
