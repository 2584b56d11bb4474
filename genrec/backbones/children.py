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
    # One look-up of every edge vector that is needed, whatever the group: the gradient of a look-up is a dense table
    # of the whole embedding, so a look-up a group would cost more than all the products.
    parent_P, place_N = torch.unique(node_N, return_inverse=True)
    start_P = first_child[parent_P]
    num_children_P = first_child[parent_P + 1] - start_P
    offset_P = num_children_P.cumsum(0) - num_children_P
    edge_E = torch.arange(int(num_children_P.sum()), device=node_N.device)
    edge_E = edge_E + torch.repeat_interleave(start_P - offset_P, num_children_P)
    vectors_ED = backbone.edge_vectors(token_of_node[edge_E], edge_E).to(hidden_ND.dtype)

    num_children_N, offset_N = num_children_P[place_N], offset_P[place_N]
    lower = 0
    for width in _WIDTHS:
        group_N = torch.nonzero((num_children_N > lower) & (num_children_N <= width)).squeeze(1)
        lower = width
        if not len(group_N):
            continue
        within_C = torch.arange(width, device=node_N.device)
        absent_NC = within_C >= num_children_N[group_N, None]
        vectors_NCD = vectors_ED[offset_N[group_N, None] + within_C.masked_fill(absent_NC, 0)]
        logits_NC = torch.bmm(vectors_NCD, hidden_ND[group_N, :, None]).squeeze(2).float()
        yield ChildLogits(group_N, logits_NC.masked_fill(absent_NC, -torch.inf), num_children_N[group_N])
    for parent in torch.nonzero(num_children_P > lower).squeeze(1).tolist():
        group_N = torch.nonzero(place_N == parent).squeeze(1)
        first = int(offset_P[parent])
        vectors_CD = vectors_ED[first : first + int(num_children_P[parent])]
        yield ChildLogits(group_N, (hidden_ND[group_N] @ vectors_CD.T).float(), num_children_N[group_N])
