"""What is learnt: the next token among the whole vocabulary, or among the children of its node in the trie.

Shape suffixes: N places that are learnt, D width, V vocabulary.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.children import child_logits


def token_loss(backbone: Backbone, hidden_ND: Tensor, target_token_N: Tensor) -> Tensor:
    """Cross-entropy over the vocabulary, summed over places. Cost: N x V."""
    logits_NV = hidden_ND @ backbone.vocabulary_vectors().to(hidden_ND.dtype).T
    return F.cross_entropy(logits_NV.float(), target_token_N, reduction="sum")


def catalogue_loss(
    backbone: Backbone,
    hidden_ND: Tensor,
    node_N: Tensor,
    target_N: Tensor,
    token_of_node: Tensor,
    first_child: Tensor,
) -> Tensor:
    """Cross-entropy over the children of each place's trie node, summed over places.

    Along a code these add up to -log p(item | history) of a proper distribution over the catalogue.

    Args:
        backbone: gives the output vectors of edges.
        hidden_ND: hidden states at the places.
        node_N: the trie node reached at each place; those with one child add nothing.
        target_N: the child that was taken.
        token_of_node: (num_nodes,) token on the edge into each node.
        first_child: (num_nodes + 1,) first child of each node.
    """
    total = hidden_ND.new_zeros(())
    for part in child_logits(backbone, hidden_ND, node_N, token_of_node, first_child):
        taken = target_N[part.group_N] - first_child[node_N[part.group_N]]
        total = total + F.cross_entropy(part.logits_NC, taken, reduction="sum")
    return total
