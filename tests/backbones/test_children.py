"""Child logits against the product with every node's vector."""

from __future__ import annotations

import pytest
import torch
from genrec.backbones.children import child_logits, log_softmax_of_runs
from genrec.backbones.compact import CompactBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.constraint import TrieTensors
from torch import Tensor

FANS = (1, 2, 3, 4, 5, 8, 9, 33, 64, 65, 90)  # both sides of every group's border; two nodes too wide to pad


@pytest.fixture
def trie() -> TrieTensors:
    """The root has len(FANS) children, the child f has FANS[f] leaves."""
    codes = [(fan, child) for fan, size in enumerate(FANS) for child in range(size)]
    return TrieTensors.of(Trie.build(Codes.from_lists(codes)), "cpu")


def backbone(trie: TrieTensors, node_vectors: bool) -> CompactBackbone:
    torch.manual_seed(0)
    num_nodes = len(trie.token_N) if node_vectors else 0
    return CompactBackbone(max(FANS), depth=1, width=32, num_nodes=num_nodes).eval()


def dense_logits(model: CompactBackbone, hidden_ND: Tensor, node_N: Tensor, trie: TrieTensors) -> Tensor:
    """Logits (N, nodes) of every node at every place, -inf where it is no child."""
    nodes = torch.arange(len(trie.token_N))
    logits = hidden_ND @ model.edge_vectors(trie.token_N.clamp_min(0), nodes).T
    first, last = trie.first_child_N1[node_N, None], trie.first_child_N1[node_N + 1, None]
    return logits.masked_fill((nodes < first) | (nodes >= last), -torch.inf)


@pytest.mark.parametrize("node_vectors", [False, True])
def test_equal_to_the_dense_product(trie: TrieTensors, node_vectors: bool) -> None:
    model = backbone(trie, node_vectors)
    node_N = torch.randint(len(FANS) + 1, (80,), generator=torch.Generator().manual_seed(1))
    node_N[:3] = torch.tensor([len(FANS) + 5, 0, len(FANS) + 1])  # leaves among them: nothing to choose there
    hidden_ND = torch.randn(80, 32, generator=torch.Generator().manual_seed(2))
    expected = dense_logits(model, hidden_ND, node_N, trie)

    times_covered = torch.zeros(80, dtype=torch.int64)
    for part in child_logits(model, hidden_ND, node_N, trie.token_N, trie.first_child_N1):
        assert part.logits_NC.dtype == torch.float32
        for place, logits, count in zip(part.group_N, part.logits_NC, part.num_children_N, strict=True):
            first = trie.first_child_N1[node_N[place]]
            assert count == trie.num_children(node_N[place])
            torch.testing.assert_close(logits[:count], expected[place, first : first + count])
            assert torch.isneginf(logits[count:]).all()
            times_covered[place] += 1
    assert torch.equal(times_covered, (trie.num_children(node_N) > 0).long())


@pytest.mark.parametrize("node_vectors", [False, True])
def test_gradients_equal_those_of_the_dense_product(trie: TrieTensors, node_vectors: bool) -> None:
    node_N = torch.arange(len(FANS) + 1).repeat(3)
    weight_N = torch.linspace(0.5, 2, len(node_N))

    def gradients(dense: bool) -> list[Tensor]:
        model = backbone(trie, node_vectors)
        hidden_ND = torch.randn(
            len(node_N), 32, generator=torch.Generator().manual_seed(2), requires_grad=True
        )
        total = torch.zeros(())
        if dense:
            total = (dense_logits(model, hidden_ND, node_N, trie).logsumexp(1) * weight_N).sum()
        else:
            for part in child_logits(model, hidden_ND, node_N, trie.token_N, trie.first_child_N1):
                total = total + (part.logits_NC.logsumexp(1) * weight_N[part.group_N]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        found = [hidden_ND, model.lm.model.embed_tokens.weight]
        found += [model.node_vectors.weight] if model.node_vectors is not None else []
        assert all(tensor.grad is not None and tensor.grad.to_dense().any() for tensor in found)
        return [tensor.grad.to_dense() for tensor in found if tensor.grad is not None]

    for ours, expected in zip(gradients(dense=False), gradients(dense=True), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_no_places(trie: TrieTensors) -> None:
    nobody = torch.zeros(0, dtype=torch.int64)
    parts = child_logits(backbone(trie, False), torch.zeros(0, 32), nobody, trie.token_N, trie.first_child_N1)
    assert list(parts) == []


def test_probabilities_of_children_side_by_side() -> None:
    torch.manual_seed(0)
    runs = [300 * torch.randn(count) for count in FANS]
    expected_E = torch.cat([run.log_softmax(0) for run in runs])
    count_N = torch.tensor(FANS, dtype=torch.int32)
    torch.testing.assert_close(log_softmax_of_runs(torch.cat(runs), count_N), expected_E, atol=1e-4, rtol=0)
