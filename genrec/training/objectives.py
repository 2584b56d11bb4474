"""What is learnt: the next token among the vocabulary, or among the children of its node in the trie; the next item
among the whole catalogue.

Shape suffixes: N places that are learnt, D width, V vocabulary, I items, R rows of packed histories, T places of a row,
S items that are learnt, E decisions along all codes, P some places, C children of their nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from genrec.backbones.base import Backbone, NodeModel
from genrec.backbones.children import child_vectors
from genrec.backbones.item_reader import ItemReader
from genrec.codes.trie import Trie
from genrec.training.mixture import Batch


class Loss(Protocol):
    """What training makes small."""

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean loss of an item of the batch; the model may be wrapped for distribution."""

    def num_items(self, batch: Batch) -> int:
        """Items that the mean is taken over."""

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        """Scores of classes, and their gradients, that are held at once, about."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The model without what distributes it."""
    inner: nn.Module = getattr(model, "module", model)
    return inner


def _backbone(model: nn.Module) -> Backbone:
    backbone = unwrapped(model)
    assert isinstance(backbone, Backbone)
    return backbone


class CodeLoss:
    """Mean loss of an item of a batch: what the learnt tokens of its code cost together."""

    def __init__(self, trie: Trie, objective: str, device: torch.device, dtype: torch.dtype) -> None:
        self.objective = objective
        self.dtype = dtype  # of the products at wide nodes
        self.parent_N = torch.as_tensor(trie.parent_N, dtype=torch.int64, device=device)
        self.token_N = torch.as_tensor(trie.token_N, dtype=torch.int64, device=device)
        self.first_child_N1 = torch.as_tensor(trie.first_child_N1, dtype=torch.int64, device=device)

        num_children_N = self.first_child_N1[1:] - self.first_child_N1[:-1]
        self.leaf_N = num_children_N == 0
        # Whether there was anything to choose when this node was written; the root is written by nobody.
        self.chosen_N = num_children_N[self.parent_N] > 1
        self.chosen_N[0] = False

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        backbone = _backbone(model)
        num_items = (batch["learnt"] & self.leaf_N[batch["nodes"]]).sum().clamp_min(1)
        return self._items(backbone, model(batch), batch, batch["learnt"]) / num_items

    def _items(self, backbone: Backbone, hidden_BTD: Tensor, batch: Batch, learnt_BT: Tensor) -> Tensor:
        """What the learnt tokens of items cost together."""
        if self.objective == "catalogue":
            learnt_BT = learnt_BT & self.chosen_N[batch["nodes"]]
        place_N = torch.nonzero(learnt_BT.flatten()).squeeze(1)
        hidden_ND = hidden_BTD.flatten(0, 1).index_select(0, place_N - 1)
        if self.objective == "token":
            return token_loss(backbone, hidden_ND, batch["tokens"].flatten()[place_N])
        target_N = batch["nodes"].flatten()[place_N]
        parent_N = self.parent_N[target_N]
        return catalogue_loss(
            backbone, hidden_ND, parent_N, target_N, self.token_N, self.first_child_N1, self.dtype
        )

    def num_items(self, batch: Batch) -> int:
        return int((batch["learnt"] & self.leaf_N[batch["nodes"]]).sum())

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        """Those over the vocabulary: logits, their copy in float32 and their gradient."""
        return 3 * self._num_spelt(batch) * len(_backbone(model).vocabulary_vectors())

    def _num_spelt(self, batch: Batch) -> int:
        """Places whose token is learnt among the whole vocabulary."""
        return int(batch["learnt"].sum()) if self.objective == "token" else 0


class ItemCodeLoss(CodeLoss):
    """Mean loss of an item for a model that reads items and not tokens: what the decisions along its code cost.

    The first item of a history is predicted as well, from the state of somebody of whom nothing is known.

    With a teacher (distillation, Hinton et al. 2015, https://arxiv.org/abs/1503.02531) a share of the items is learnt
    otherwise: at each decision on the way the model learns the teacher's mass below every child, not what was taken.
    """

    def __init__(
        self,
        trie: Trie,
        objective: str,
        device: torch.device,
        dtype: torch.dtype,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__(trie, objective, device, dtype)
        self.teacher = teacher
        paths = trie.paths
        decided = (paths.items > 0) & self.chosen_N.numpy(force=True)[paths.items]
        first_I1 = np.concatenate([[0], np.cumsum(decided)])[paths.offsets]
        self.decision_E = torch.as_tensor(paths.items[decided], dtype=torch.int64, device=device)
        self.first_I1 = torch.as_tensor(first_I1, dtype=torch.int64, device=device)

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        reader = unwrapped(model)
        assert isinstance(reader, ItemReader)
        hidden_RTD = model(batch)
        known_RT, first_RT = batch["targets"] >= 0, _firsts(batch)
        target_S = torch.cat([batch["targets"][known_RT], batch["items"][first_RT]])
        num_first = len(target_S) - int(known_RT.sum())
        state_SD = torch.cat([hidden_RTD[known_RT], reader.nobody_D.expand(num_first, -1)])
        count_S = self.first_I1[target_S + 1] - self.first_I1[target_S]
        start_S = count_S.cumsum(0) - count_S
        place_N = torch.repeat_interleave(self.first_I1[target_S] - start_S, count_S)
        node_N = self.decision_E[place_N + torch.arange(len(place_N), device=place_N.device)]
        state_ND, parent_N = state_SD.repeat_interleave(count_S, dim=0), self.parent_N[node_N]
        taught = None
        if self.teacher is not None:
            taught_S, expected = self._taught(self.teacher, reader, batch, num_first)
            taught_N = taught_S.repeat_interleave(count_S)

            def taught(place_P: Tensor, width: int) -> Tensor:
                shares_PC = state_ND.new_zeros((len(place_P), width))
                there_P = taught_N[place_P] >= 0
                if there_P.any():
                    place_P = place_P[there_P]
                    shares_PC[there_P] = expected(taught_N[place_P], parent_N[place_P], width)
                return shares_PC

        loss = catalogue_loss(
            reader, state_ND, parent_N, node_N, self.token_N, self.first_child_N1, self.dtype, taught
        )
        return loss / len(target_S)

    def _taught(
        self, teacher: Teacher, reader: ItemReader, batch: Batch, num_first: int
    ) -> tuple[Tensor, Shares]:
        """Of each item (S,) the row of what the teacher expects of it, -1 for none; and the shares of these rows.

        Of somebody of whom nothing is known, the `num_first` last ones, it is not asked.
        """
        place_K = torch.nonzero((batch["targets"] >= 0).flatten()).squeeze(1)
        generator = reader.network.vectors.own_dropout.generator if place_K.is_cpu else None
        drawn_K = torch.rand(len(place_K), generator=generator, device=place_K.device) < teacher.share
        taught_K = torch.where(drawn_K, drawn_K.cumsum(0) - 1, -1)
        return F.pad(taught_K, (0, num_first), value=-1), teacher.expected(batch, place_K[drawn_K])

    def num_items(self, batch: Batch) -> int:
        return int((batch["targets"] >= 0).sum() + _firsts(batch).sum())

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        """Those of the root's children, the widest node's, at some places at a time, and their gradients."""
        return 3 * PLACES_AT_ONCE * int(self.first_child_N1[1] - self.first_child_N1[0])


Shares = Callable[[Tensor, Tensor, int], Tensor]
"""Given rows (P,), nodes (P,) and a width C, what share (P, C) of the mass below a node is below each of its children;
anything beyond them."""


class Teacher(Protocol):
    """A model of whole items that a language model learns from.

    `share`: of the items that are learnt from it.
    """

    share: float

    def expected(self, batch: Batch, place_K: Tensor) -> Shares:
        """What it expects after these flat places of packed histories, a row each."""


def _firsts(batch: Batch) -> Tensor:
    """The places (R, T) of the first items of histories."""
    segments_RT = batch["segments"]
    before_RT = F.pad(segments_RT[:, :-1], (1, 0), value=-1)
    return (segments_RT >= 0) & (segments_RT != before_RT)


class TaskLoss(CodeLoss):
    """Mean loss of an answer of a batch: of an item as in `CodeLoss`, of a text the mean over its tokens.

    A sentence of sixty tokens would otherwise count as much as sixty stars.
    """

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        backbone = _backbone(model)
        hidden_BLD: Tensor = model(batch)
        item_BL = batch["learnt"] & batch["items"]
        loss = self._items(backbone, hidden_BLD, batch, item_BL)
        text_BL = batch["learnt"] & ~item_BL
        place_N = torch.nonzero(text_BL.flatten()).squeeze(1)
        if len(place_N):
            hidden_ND = hidden_BLD.flatten(0, 1).index_select(0, place_N - 1)
            cost_N = token_loss(backbone, hidden_ND, batch["tokens"].flatten()[place_N], reduction="none")
            answer_BL = batch["answer"] + 1  # padding's is 0
            length_BA = answer_BL.new_zeros((len(answer_BL), int(answer_BL.max()) + 1))
            length_BA.scatter_add_(1, answer_BL, text_BL.long())
            loss = loss + (cost_N / length_BA.gather(1, answer_BL)[text_BL]).sum()
        return loss / max(1, self.num_items(batch))

    def num_items(self, batch: Batch) -> int:
        """Answers: each has one start token."""
        return int(((batch["answer"] >= 0) & ~batch["learnt"]).sum())

    def _num_spelt(self, batch: Batch) -> int:
        return super()._num_spelt(batch) or int((batch["learnt"] & ~batch["items"]).sum())


def token_loss(
    backbone: Backbone, hidden_ND: Tensor, target_token_N: Tensor, reduction: str = "sum"
) -> Tensor:
    """Cross-entropy over the vocabulary, summed over places, or (N,) with `reduction="none"`. Cost: N x V."""
    logits_NV = hidden_ND @ backbone.vocabulary_vectors().to(hidden_ND.dtype).T
    return F.cross_entropy(logits_NV.float(), target_token_N, reduction=reduction)


def catalogue_loss(
    backbone: NodeModel,
    hidden_ND: Tensor,
    node_N: Tensor,
    target_N: Tensor,
    token_of_node: Tensor,
    first_child: Tensor,
    dtype: torch.dtype = torch.float32,
    taught: Callable[[Tensor, int], Tensor] | None = None,
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
        dtype: of the products at wide nodes, as in `item_loss`.
        taught: given some of the places (P,) and a width C, what is to be learnt of the children of their nodes beside
            the one that was taken: shares (P, C) of at least 0, of which those of the children add up to at most 1.
            What is left is the share of the child that was taken. None: nothing.
    """
    # An empty sum with a gradient of zeros, so that a batch without any choice is a step like any other.
    total = hidden_ND[:0].sum()
    parts = list(child_vectors(backbone, node_N, token_of_node, first_child, hidden_ND.dtype))
    if not parts:
        return total
    # One look-up for all groups: one for each would add up a gradient as large as all states together every time.
    order_N = torch.cat([part.group_N for part in parts])
    taken_N = (target_N - first_child[node_N]).index_select(0, order_N)
    sizes = [len(part.group_N) for part in parts]
    states, taken = torch.split(hidden_ND.index_select(0, order_N), sizes), torch.split(taken_N, sizes)
    for part, states_ND, taken_of_part_N in zip(parts, states, taken, strict=True):
        if part.vectors.dim() == 2:
            own = None if taught is None else _of_places(taught, part.group_N, len(part.vectors))
            loss = item_loss(states_ND, part.vectors, taken_of_part_N, dtype, own) * len(states_ND)
        elif taught is None:
            loss = F.cross_entropy(part.logits(states_ND), taken_of_part_N, reduction="sum")
        else:
            logits_NC = part.logits(states_ND)
            there_NC = logits_NC > -torch.inf
            wanted_NC = taught(part.group_N, logits_NC.shape[1]) * there_NC
            left_N1 = 1 - wanted_NC.sum(dim=1, keepdim=True)
            wanted_NC = wanted_NC.scatter_add(1, taken_of_part_N[:, None], left_N1)
            loss = -(wanted_NC * logits_NC.log_softmax(dim=1).masked_fill(~there_NC, 0)).sum()
        total = total + loss
    return total


def _of_places(
    taught: Callable[[Tensor, int], Tensor], place_N: Tensor, num_children: int
) -> Callable[[slice], Tensor]:
    """What is taught at a part of the places at one node."""
    return lambda part: taught(place_N[part], num_children)


def item_loss(
    hidden_ND: Tensor,
    vectors_ID: Tensor,
    target_N: Tensor,
    dtype: torch.dtype,
    taught: Callable[[slice], Tensor] | None = None,
) -> Tensor:
    """Mean cross-entropy of the target items among the whole catalogue, or of children among those of one node.

    Equal to `F.cross_entropy(hidden_ND @ vectors_ID.T, target_N)`, and differentiable once. The gradients are taken
    while the probabilities of a few hundred places are at hand, so that no array (N, I) is ever held, and the large
    products run in `dtype`; sums and the share of the targets are kept in float32.

    Args:
        hidden_ND: hidden states at the places that are learnt.
        vectors_ID: output vectors of all items.
        target_N: the item that came next.
        dtype: of logits and probabilities; bfloat16 is several times faster where the processor has it.
        taught: what is to be learnt of all items at a part of the places beside the target, as in `catalogue_loss`.
    """
    loss: Tensor = _ItemLoss.apply(hidden_ND, vectors_ID, target_N, dtype, taught)  # type: ignore[no-untyped-call]
    return loss


_LEAST = 1e-30  # probability that has a logarithm
PLACES_AT_ONCE = 256  # enough for fast products, few enough for their logits to stay in the cache


class _ItemLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        vectors_ID: Tensor,
        target_N: Tensor,
        dtype: torch.dtype,
        taught: Callable[[slice], Tensor] | None,
    ) -> Tensor:
        # Noughts fill the last block: a product of a new size makes and keeps new machine code, hundreds of MB in all.
        places, padding = PLACES_AT_ONCE, -len(target_N) % PLACES_AT_ONCE
        low_ND, low_ID = F.pad(hidden_ND, (0, 0, 0, padding)).to(dtype), vectors_ID.to(dtype)
        chance_PI = low_ND.new_empty((places, len(vectors_ID)))
        loss = hidden_ND.new_zeros(())
        # The gradient of a logit is its probability, less 1 at the target; that 1 is taken off in float32.
        hidden_grad_ND = -vectors_ID[target_N]
        vectors_grad_ID = torch.zeros_like(vectors_ID).index_add_(0, target_N, hidden_ND, alpha=-1)
        for start in range(0, len(target_N), places):
            part = slice(start, start + places)
            target_P, low_PD = target_N[part], low_ND[part]
            torch.mm(low_PD, low_ID.T, out=chance_PI)
            torch.softmax(chance_PI, dim=1, out=chance_PI)
            if taught is None:
                loss -= chance_PI[: len(target_P)].gather(1, target_P[:, None]).float().log().sum()
            else:
                # What is taught is taken off as well, and as much of the 1 is given back.
                wanted_PI = taught(part)
                taught_P1 = wanted_PI.sum(dim=1, keepdim=True)
                log_p_PI = chance_PI[: len(target_P)].float().clamp_min(_LEAST).log_()
                loss -= (wanted_PI * log_p_PI).sum()
                loss -= ((1 - taught_P1) * log_p_PI.gather(1, target_P[:, None])).sum()
                chance_PI[: len(target_P)] -= wanted_PI.to(dtype)
                hidden_grad_ND[part] += taught_P1 * vectors_ID[target_P]
                vectors_grad_ID.index_add_(0, target_P, taught_P1 * hidden_ND[part])
            hidden_grad_ND[part] += torch.mm(chance_PI, low_ID)[: len(target_P)]
            vectors_grad_ID += torch.mm(chance_PI.T, low_PD)
        ctx.save_for_backward(hidden_grad_ND / len(target_N), vectors_grad_ID / len(target_N))
        return loss / len(target_N)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore[override]
        hidden_grad_ND, vectors_grad_ID = ctx.saved_tensors
        return grad * hidden_grad_ND, grad * vectors_grad_ID, None, None, None
