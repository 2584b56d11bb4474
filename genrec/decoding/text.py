"""Answers that are no items: free text, token by token, likeliest or drawn, and one out of a few that are given.

Shape suffixes: B rows, A answers of a row, L tokens of the answers side by side, N learnt
places, D width, V vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.children import child_logits
from genrec.decoding.cache import SearchCache
from genrec.decoding.constraint import TrieTensors

_HEAD_ROWS = 1024  # places whose logits over the whole vocabulary are held at once


class Written(NamedTuple):
    """One text that was written: its tokens and the mean log-probability of each of them, its end included."""

    tokens: list[int]
    log_p: float


@torch.inference_mode()
def write_text(
    backbone: Backbone,
    prefix: Prefix,
    end: int,
    max_tokens: int,
    openings: Sequence[Sequence[int]] | None = None,
    chances_BL: Tensor | None = None,
    temperature: float = 1.0,
) -> list[Written]:
    """One token after the other until `end`, for every row: the likeliest, or one that is drawn.

    Args:
        backbone: in evaluation mode.
        prefix: the questions, B rows.
        end: the token that closes a text; it is left out of what is returned.
        max_tokens: longest text.
        openings: tokens that each text has to begin with; they count as written.
        chances_BL: numbers from 0 to 1 that draw the token of each place, `max_tokens` of them; None: the likeliest.
        temperature: logits are divided by it before a token is drawn.
    """
    cache = SearchCache(backbone, prefix)
    vectors_VD = backbone.vocabulary_vectors()
    rows_B = torch.arange(len(cache.hidden_RD), device=cache.hidden_RD.device)
    given_BL = torch.full((len(rows_B), max_tokens), -1, device=rows_B.device)
    for row, opening in enumerate(openings or ()):
        given_BL[row, : len(opening)] = torch.tensor(opening[:max_tokens], device=rows_B.device)
    zeros_B, ones_B = torch.zeros_like(rows_B), torch.ones_like(rows_B)
    written: list[Tensor] = []
    ended_B = torch.zeros_like(rows_B, dtype=torch.bool)
    log_p_B, num_B = torch.zeros(len(rows_B), device=rows_B.device), torch.zeros_like(rows_B)
    for place in range(max_tokens):
        hidden_BD = cache.hidden_RD
        log_p_BV = (hidden_BD @ vectors_VD.to(hidden_BD.dtype).T).float().log_softmax(1)
        given_B = given_BL[:, place]
        found_B = (
            log_p_BV.argmax(1) if chances_BL is None else _drawn(log_p_BV / temperature, chances_BL[:, place])
        )
        token_B = torch.where(given_B < 0, found_B, given_B)
        log_p_B += log_p_BV.gather(1, token_B[:, None]).squeeze(1).masked_fill(ended_B, 0)
        num_B += ~ended_B
        ended_B |= token_B == end
        written.append(token_B.masked_fill(ended_B, end))
        if bool(ended_B.all()):
            break
        cache.follow(token_B[:, None], zeros_B[:, None], ones_B)
    table = torch.stack(written, dim=1).tolist() if written else [[] for _ in rows_B]
    texts = [row[: row.index(end)] if end in row else row for row in table]
    mean_B = log_p_B / num_B.clamp(min=1)
    return [Written(text, log_p) for text, log_p in zip(texts, mean_B.tolist(), strict=True)]


def _drawn(logits_BV: Tensor, chance_B: Tensor) -> Tensor:
    """The token of each row at which the cumulative probability passes its chance."""
    cumulative_BV = logits_BV.softmax(1).cumsum(1)
    token_B1 = torch.searchsorted(cumulative_BV, chance_B[:, None].to(cumulative_BV))
    return token_B1.squeeze(1).clamp_max(logits_BV.shape[1] - 1)


def most_alike(texts: Sequence[str]) -> str:
    """The text that is most like the others, by the F1 of their words: of draws from a model the one of least expected
    loss (Kumar and Byrne 2004, https://aclanthology.org/N04-1022/); the first of several.
    """
    bags = [Counter(re.findall(r"\w+", text.casefold())) for text in texts]
    # All pairs, itself among them: that is as much for each, but for a text without words.
    likeness = [sum(_f1(bag, other) for other in bags) for bag in bags]
    return texts[likeness.index(max(likeness))]


def _f1(one: Counter[str], other: Counter[str]) -> float:
    return 2 * (one & other).total() / max(1, one.total() + other.total())


@torch.inference_mode()
def answer_scores(
    backbone: Backbone, batch: Mapping[str, Tensor], trie: TrieTensors, parent_N: Tensor | None
) -> Tensor:
    """Log-probability (B, A) of every answer of a batch; -inf where a row has fewer.

    Args:
        backbone: an encoder–decoder in evaluation mode.
        batch: as `Seq2SeqBackbone.forward` takes it, with `learnt` and `items`, which tells codes from text.
        trie: of the items' codes.
        parent_N: parent of each of its nodes, where items' tokens are scored among the children of their nodes; None:
            in the vocabulary, as text is.
    """
    hidden_BLD = backbone(batch)
    row_N, place_N = torch.nonzero(batch["learnt"], as_tuple=True)
    hidden_ND = hidden_BLD[row_N, place_N - 1]
    node_N, token_N = batch["nodes"][row_N, place_N], batch["tokens"][row_N, place_N]
    log_p_N = torch.zeros(len(row_N), device=hidden_ND.device)
    answer_N = batch["answer"][row_N, place_N]
    # What follows an item's tip is forced: it has no nodes and costs nothing.
    among_items_N = batch["items"][row_N, place_N] & (parent_N is not None)
    text_N = torch.nonzero(~among_items_N).squeeze(1)
    vectors_VD = backbone.vocabulary_vectors().to(hidden_ND.dtype)
    for part in text_N.split(_HEAD_ROWS):  # type: ignore[no-untyped-call]
        log_p_N[part] = -F.cross_entropy(
            (hidden_ND[part] @ vectors_VD.T).float(), token_N[part], reduction="none"
        )
    places = torch.nonzero(among_items_N & (node_N > 0)).squeeze(1)
    if parent_N is not None and len(places):
        above_N = parent_N[node_N[places]]
        for group in child_logits(backbone, hidden_ND[places], above_N, trie.token_N, trie.first_child_N1):
            taken_N = node_N[places][group.group_N] - trie.first_child_N1[above_N[group.group_N]]
            chosen_N = group.logits_NC.log_softmax(1).gather(1, taken_N[:, None].long()).squeeze(1)
            log_p_N[places[group.group_N]] = chosen_N
    scores_BA = log_p_N.new_zeros((len(hidden_BLD), int(answer_N.max()) + 1))
    scores_BA.index_put_((row_N, answer_N), log_p_N, accumulate=True)
    asked_BA = torch.zeros_like(scores_BA, dtype=torch.bool)
    asked_BA[row_N, answer_N] = True
    return scores_BA.masked_fill(~asked_BA, -torch.inf)
