"""Logits of the children of trie nodes, at the cost of the children.

Both the catalogue objective and the constrained search ask for them. Places are grouped by how many children their
node has: narrow nodes gather their children's output vectors, padded to a common width; places at the same wide node
(above all the root) share one dense product.

Shape suffixes: N places, C children, E children of all places side by side, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import NodeModel

WIDEST_TOGETHER = 64  # children
_WIDTHS = (
    2,
    4,
    8,
    16,
    32,
    WIDEST_TOGETHER,
)  # a node with more children than the last gets a product of its own


@dataclass(frozen=True)
class ChildVectors:
    """Output vectors of the children at the places `group_N`: (C, D) where all stand at one node, else (N, C, D)."""

    group_N: Tensor
    vectors: Tensor
    num_children_N: Tensor

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits (N, C), float32, of hidden states at these places; -inf beyond `num_children_N`."""
        if self.vectors.dim() == 2:
            return (hidden_ND @ self.vectors.T).float()
        if hidden_ND.is_cpu:  # matrices of one column are slow there, forward and above all backward
            logits_NC = (self.vectors * hidden_ND[:, None]).sum(dim=2).float()
        else:
            logits_NC = torch.bmm(self.vectors, hidden_ND[:, :, None]).squeeze(2).float()
        within_C = torch.arange(logits_NC.shape[1], device=logits_NC.device)
        return logits_NC.masked_fill(within_C >= self.num_children_N[:, None], -torch.inf)


@dataclass(frozen=True)
class ChildLogits:
    """Logits of the children at the places `group_N`; padding beyond `num_children_N` is -inf."""

    group_N: Tensor
    logits_NC: Tensor
    num_children_N: Tensor


def log_softmax_of_runs(logits_E: Tensor, count_N: Tensor) -> Tensor:
    """Log-probabilities (E,) among the children of each place, which stand side by side, `count_N` of them a place."""
    place_E = torch.repeat_interleave(count_N, output_size=len(logits_E))
    highest_N = torch.segment_reduce(logits_E, "max", lengths=count_N.long(), unsafe=True)
    logits_E = logits_E - highest_N.index_select(0, place_E)
    sum_N = torch.segment_reduce(logits_E.exp(), "sum", lengths=count_N.long(), unsafe=True)
    return logits_E.sub_(sum_N.log_().index_select(0, place_E))


def child_logits(
    backbone: NodeModel, hidden_ND: Tensor, node_N: Tensor, token_of_node: Tensor, first_child: Tensor
) -> Iterator[ChildLogits]:
    """Logits (float32) of the children of `node_N`, in groups that together cover every place with children once.

    Args:
        backbone: gives the output vectors of edges.
        hidden_ND: hidden states at the places.
        node_N: the trie node reached at each place.
        token_of_node: (num_nodes,) token on the edge into each node.
        first_child: (num_nodes + 1,) first child of each node.
    """
    for part in child_vectors(backbone, node_N, token_of_node, first_child, hidden_ND.dtype):
        yield ChildLogits(part.group_N, part.logits(hidden_ND[part.group_N]), part.num_children_N)


def child_vectors(
    backbone: NodeModel, node_N: Tensor, token_of_node: Tensor, first_child: Tensor, dtype: torch.dtype
) -> Iterator[ChildVectors]:
    """Output vectors, in `dtype`, of the children of `node_N`, grouped as in `child_logits`."""
    # One look-up of every edge vector that is needed, parents in the order of their width: each group's vectors are a
    # part of it, and the gradients of the parts are put together once.
    parent_P, place_N = torch.unique(node_N, return_inverse=True)
    num_children_P, order = (first_child[parent_P + 1] - first_child[parent_P]).sort(stable=True)
    place_N = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))[
        place_N
    ]
    start_P = first_child[parent_P[order]]
    offset_P = num_children_P.cumsum(0) - num_children_P
    bounds = torch.searchsorted(num_children_P, torch.tensor((0, *_WIDTHS), device=node_N.device), right=True)
    edge_E = torch.arange(int(num_children_P.sum()), device=node_N.device)
    edge_E = edge_E + torch.repeat_interleave(start_P - offset_P, num_children_P)
    vectors_ED = backbone.edge_vectors(token_of_node[edge_E], edge_E).to(dtype)
    bound = bounds.tolist()
    edges_before = F.pad(num_children_P.cumsum(0), (1, 0))
    firsts = [
        *bound,
        *range(bound[-1] + 1, len(parent_P) + 1),
    ]  # of a group of parents; wide ones stand alone
    sizes = edges_before[firsts].diff().tolist()
    parts = torch.split(vectors_ED, sizes)
    num_children_N, offset_N = num_children_P[place_N], offset_P[place_N]
    for width, first, last, part_ED in zip(_WIDTHS, bound, bound[1:], parts, strict=False):
        if first == last:
            continue
        group_N = torch.nonzero((place_N >= first) & (place_N < last)).squeeze(1)
        within_C = torch.arange(width, device=node_N.device)
        absent_NC = within_C >= num_children_N[group_N, None]
        edge_NC = (offset_N[group_N] - edges_before[first])[:, None] + within_C.masked_fill(absent_NC, 0)
        yield ChildVectors(group_N, F.embedding(edge_NC, part_ED), num_children_N[group_N])
    for parent, vectors_CD in zip(range(bound[-1], len(parent_P)), parts[len(_WIDTHS) :], strict=True):
        group_N = torch.nonzero(place_N == parent).squeeze(1)
        yield ChildVectors(group_N, vectors_CD, num_children_N[group_N])
