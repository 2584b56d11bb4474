"""Logits of the children of trie nodes, at the cost of the children.

Both the catalogue objective and the constrained search ask for them. Places are grouped by how many children their
node has: narrow nodes gather their children's output vectors, padded to a common width; places at the same wide node
(above all the root) share one dense product.

Shape suffixes: N places, C children, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import Backbone

_WIDTHS = (2, 4, 8, 16, 32, 64)  # a node with more children than the last gets a product of its own


@dataclass(frozen=True)
class ChildLogits:
    """Logits of the children at the places `group_N`; padding beyond `num_children_N` is -inf."""

    group_N: Tensor
    logits_NC: Tensor
    num_children_N: Tensor


def child_logits(
    backbone: Backbone, hidden_ND: Tensor, node_N: Tensor, token_of_node: Tensor, first_child: Tensor
) -> Iterator[ChildLogits]:
    """Logits (float32) of the children of `node_N`, in groups that together cover every place with children once.

    Args:
        backbone: gives the output vectors of edges.
        hidden_ND: hidden states at the places.
        node_N: the trie node reached at each place.
        token_of_node: (num_nodes,) token on the edge into each node.
        first_child: (num_nodes + 1,) first child of each node.
    """
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
    vectors_ED = backbone.edge_vectors(token_of_node[edge_E], edge_E).to(hidden_ND.dtype)
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
        vectors_NCD = F.embedding(edge_NC, part_ED)
        logits_NC = torch.bmm(vectors_NCD, hidden_ND[group_N, :, None]).squeeze(2).float()
        yield ChildLogits(group_N, logits_NC.masked_fill(absent_NC, -torch.inf), num_children_N[group_N])
    for parent, vectors_CD in zip(range(bound[-1], len(parent_P)), parts[len(_WIDTHS) :], strict=True):
        group_N = torch.nonzero(place_N == parent).squeeze(1)
        yield ChildLogits(group_N, (hidden_ND[group_N] @ vectors_CD.T).float(), num_children_N[group_N])
