"""The losses against brute force, and the central claim: a packed row teaches what its single examples would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from genrec.backbones.compact import CompactBackbone
from genrec.codes.trie import Codes, Trie
from genrec.training.decoder_rows import DecoderLayout, HistoryRows, Row, collate
from genrec.training.objectives import CodeLoss, catalogue_loss, item_loss, token_loss

CODES = Codes.from_lists(
    [
        [10, 11, 9],
        [10, 11, 12, 9],
        [10, 13, 9],
        [14, 9],
        [15, 16, 17, 9],
        [15, 16, 18, 9],
        [*range(19, 25), 9],
    ]
)
TRIE = Trie.build(CODES)
HISTORY = np.array([4, 0, 6, 1, 3, 1])
PARENT, TOKEN, FIRST_CHILD = (
    torch.as_tensor(array, dtype=torch.int64) for array in (TRIE.parent_N, TRIE.token_N, TRIE.first_child_N1)
)


def rows_of(trie: Trie = TRIE, *, stride: int = 0) -> HistoryRows:
    return HistoryRows(DecoderLayout(trie, lambda texts: [[] for _ in texts], [1], stride=stride))


def backbone(node_vectors: bool = True) -> CompactBackbone:
    torch.manual_seed(0)
    made = CompactBackbone(
        30, depth=2, width=32, dropout=0.0, num_nodes=TRIE.num_nodes if node_vectors else 0
    )
    for weight in made.parameters():  # larger than at birth, so that nothing hides in near-uniform choices
        weight.data.mul_(3)
    return made.eval()


def losses(model: CompactBackbone, row: Row, objective: str = "catalogue") -> torch.Tensor:
    """Loss of each learnt token of one row, as training computes it."""
    batch = collate([row])
    hidden_TD = model(batch)[0]
    found = []
    for place in torch.nonzero(batch["learnt"][0]).flatten().tolist():
        hidden_ND, target_N = hidden_TD[place - 1 : place], batch["nodes"][0, place : place + 1]
        if objective == "token":
            found.append(token_loss(model, hidden_ND, batch["tokens"][0, place : place + 1]))
        elif target_N == 0:  # the tail of a code
            found.append(torch.zeros(()))
        else:
            found.append(catalogue_loss(model, hidden_ND, PARENT[target_N], target_N, TOKEN, FIRST_CHILD))
    return torch.stack(found)


def log_probabilities(model: CompactBackbone, history: np.ndarray, made: HistoryRows) -> torch.Tensor:
    """log p(item | history) of every item by walking each code with a softmax over its siblings."""
    scores = []
    for item in range(len(CODES)):
        row = made.single(history, item)
        batch = collate([row])
        hidden_TD = model(batch)[0]
        score = torch.zeros(())
        for back, node in enumerate(reversed(TRIE.paths[item].tolist())):
            if node == 0:  # the tail is certain
                continue
            siblings = torch.nonzero(PARENT[node] == PARENT).flatten()
            vectors = model.lm.model.embed_tokens(TOKEN[siblings])
            if model.node_vectors is not None:
                vectors = vectors + model.node_vectors(siblings)
            logits = vectors @ hidden_TD[len(row.tokens_T) - 2 - back]
            score = score + logits.log_softmax(0)[siblings == node].squeeze()
        scores.append(score)
    return torch.stack(scores)


@torch.no_grad()
@pytest.mark.parametrize("node_vectors", [True, False])
def test_catalogue_loss_is_that_of_a_distribution_over_the_catalogue(node_vectors: bool) -> None:
    model, made = backbone(node_vectors), rows_of()
    expected = log_probabilities(model, HISTORY, made)
    torch.testing.assert_close(expected.exp().sum(), torch.ones(()))
    assert expected.std() > 0.1
    for item in range(len(CODES)):
        found = losses(model, made.single(HISTORY, item)).sum()
        torch.testing.assert_close(found, -expected[item], atol=1e-5, rtol=1e-5)


def test_catalogue_loss_sums_over_places_and_has_the_gradient_of_brute_force() -> None:
    model, made = backbone(), rows_of()
    batch = collate([made.single(HISTORY[:2], 1), made.single(HISTORY, 6)])
    rows_N, places_N = torch.nonzero(batch["learnt"] & (batch["nodes"] > 0), as_tuple=True)
    hidden_BTD = model(batch)
    target_N = batch["nodes"][rows_N, places_N]
    loss = catalogue_loss(
        model, hidden_BTD[rows_N, places_N - 1], PARENT[target_N], target_N, TOKEN, FIRST_CHILD
    )
    expected = -log_probabilities(model, HISTORY[:2], made)[1] - log_probabilities(model, HISTORY, made)[6]
    torch.testing.assert_close(loss, expected)
    weights = list(model.parameters())
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    for one, other in zip(found, torch.autograd.grad(expected, weights, allow_unused=True), strict=True):
        torch.testing.assert_close(one.to_dense(), other.to_dense(), atol=1e-4, rtol=1e-4)


def test_what_is_taught_is_learned_beside_what_was_taken() -> None:
    """At a node wider than the padded groups and at narrow ones, of most places and not of all."""
    codes = [[10 + first, second, 9] for first in range(80) for second in range(1 + first % 3)]
    trie = Trie.build(Codes.from_lists(codes))
    torch.manual_seed(0)
    model = CompactBackbone(90, depth=1, width=32, dropout=0.0, num_nodes=trie.num_nodes).eval()
    token, first_child = (torch.from_numpy(part).long() for part in (trie.token_N, trie.first_child_N1))
    parent_N = torch.from_numpy(trie.parent_N).long()
    target_N = torch.arange(1, trie.num_nodes)
    node_N = parent_N[target_N]
    states_ND = torch.randn(len(target_N), 32, requires_grad=True)
    draws_NC = torch.rand(len(target_N), 96)
    amount_N = torch.tensor([0.0, 0.3, 1.0]).repeat(len(target_N))[: len(target_N)]

    def taught(place_P: torch.Tensor, width: int) -> torch.Tensor:
        """Shares that add up to the amount over the children, and anything beyond them."""
        there_PC = torch.arange(width) < (first_child[1:] - first_child[:-1])[node_N[place_P], None]
        shares_PC = draws_NC[place_P, :width]
        sums_P1 = (shares_PC * there_PC).sum(1, keepdim=True)
        return amount_N[place_P, None] * shares_PC / sums_P1

    loss = catalogue_loss(model, states_ND, node_N, target_N, token, first_child, taught=taught)
    expected = torch.zeros(())
    for place, (node, target) in enumerate(zip(node_N.tolist(), target_N.tolist(), strict=True)):
        children = torch.arange(*first_child[node : node + 2].tolist())
        log_p_C = (model.edge_vectors(token[children], children) @ states_ND[place]).log_softmax(0)
        wanted_C = taught(torch.tensor([place]), len(children))[0]
        wanted_C = wanted_C + (1 - amount_N[place]) * (children == target)
        expected = expected - wanted_C @ log_p_C
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    without = catalogue_loss(model, states_ND, node_N, target_N, token, first_child)
    assert not torch.allclose(without, loss, rtol=0.001)
    assert model.node_vectors is not None
    weights = [states_ND, model.node_vectors.weight, model.lm.model.embed_tokens.weight]
    for one, other in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(one.to_dense(), other.to_dense(), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_forced_tokens_add_nothing() -> None:
    found = losses(backbone(), rows_of().single(HISTORY, 6))
    assert found[0] > 0.01
    assert found[1:].abs().max() == 0


@torch.no_grad()
@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_code_loss_is_the_mean_of_an_item(objective: str) -> None:
    """Among them items 3 and 6, whose codes go on after they are told apart."""
    model, made = backbone(), rows_of()
    rows = [made.packed(HISTORY), made.single(HISTORY[:2], 6), made.single(HISTORY, 3)]
    loss = CodeLoss(TRIE, objective, torch.device("cpu"), torch.float32)
    expected = sum(losses(model, row, objective).sum() for row in rows) / (len(HISTORY) + 2)
    torch.testing.assert_close(loss(model, collate(rows)), expected)


@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_a_batch_without_a_choice_is_a_step_that_changes_nothing(objective: str) -> None:
    codes = Codes.from_lists([[10, 9]])
    made = rows_of(Trie.build(codes))
    model, batch = backbone(node_vectors=False), collate([made.packed(np.array([0, 0]))])
    batch["learnt"] &= objective == "catalogue"  # of the vocabulary every learnt token is a choice
    loss = CodeLoss(Trie.build(codes), objective, torch.device("cpu"), torch.float32)(model, batch)
    loss.backward()
    assert loss == 0
    assert all(weight.grad.to_dense().eq(0).all() for weight in model.parameters() if weight.grad is not None)


@torch.no_grad()
def test_token_loss_is_plain_cross_entropy() -> None:
    model = backbone(node_vectors=False)
    batch = collate([rows_of().packed(HISTORY)])
    logits_BTV = model.lm(batch["tokens"]).logits  # transformers' own way from tokens to logits
    expected = torch.nn.functional.cross_entropy(logits_BTV[0, :-1], batch["tokens"][0, 1:], reduction="none")
    found = losses(model, rows_of().packed(HISTORY), "token")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("objective", ["catalogue", "token"])
@pytest.mark.parametrize("stride", [0, 9])
@pytest.mark.parametrize("node_vectors", [True, False])
def test_a_packed_row_teaches_what_its_single_examples_would(
    node_vectors: bool, stride: int, objective: str
) -> None:
    model = backbone(node_vectors)
    made = rows_of(stride=stride)
    packed = losses(model, made.packed(HISTORY), objective)
    singles = [
        losses(model, made.single(HISTORY[:place], int(item)), objective)
        for place, item in enumerate(HISTORY)
    ]
    assert packed.std() > 0.1
    torch.testing.assert_close(packed, torch.cat(singles), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("is_taught", [False, True])
@pytest.mark.parametrize("num_places", [1, 512, 700])
def test_item_loss_is_cross_entropy_over_the_catalogue(num_places: int, is_taught: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden_ND = torch.randn(num_places, 8, generator=generator, requires_grad=True)
    vectors_ID = torch.randn(30, 8, generator=generator, requires_grad=True)
    target_N = torch.randint(30, (num_places,), generator=generator)
    taught_NI = 0.7 * torch.randn(num_places, 30, generator=generator).softmax(1) * is_taught
    wanted_NI = taught_NI + (1 - 0.7 * is_taught) * F.one_hot(target_N, 30)
    expected = F.cross_entropy(hidden_ND @ vectors_ID.T, wanted_NI)
    grads = torch.autograd.grad(3 * expected, (hidden_ND, vectors_ID))
    taught = taught_NI.__getitem__ if is_taught else None
    found = item_loss(hidden_ND, vectors_ID, target_N, torch.float32, taught)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(3 * found, (hidden_ND, vectors_ID)), grads, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("is_taught", [False, True])
def test_item_loss_in_bfloat16_is_close(is_taught: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden_ND = torch.randn(600, 16, generator=generator, requires_grad=True)
    vectors_ID = torch.randn(50, 16, generator=generator, requires_grad=True)
    target_N = torch.randint(50, (600,), generator=generator)
    shares_NI = torch.randn(600, 50, generator=generator).softmax(1)
    taught = shares_NI.__getitem__ if is_taught else None
    exact, rough = (
        item_loss(hidden_ND, vectors_ID, target_N, dtype, taught) for dtype in (torch.float32, torch.bfloat16)
    )
    assert rough.item() == pytest.approx(exact.item(), rel=0.01)
    for grad, rough_grad in zip(
        torch.autograd.grad(exact, (hidden_ND, vectors_ID)),
        torch.autograd.grad(rough, (hidden_ND, vectors_ID)),
        strict=True,
    ):
        assert (grad - rough_grad).norm() < 0.02 * grad.norm()
