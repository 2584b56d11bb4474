"""Beam search over the whole vocabulary, as published systems decode: what is written may be no item, or one twice.

For comparison only: `genrec.decoding.beam` writes nothing but the catalogue's names.

Shape suffixes: B users, W beams, V vocabulary, F beams that go on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.decoding.cache import SearchCache


@torch.inference_mode()
def free_beams(
    backbone: Backbone, prefix: Prefix, end: int, width: int, max_tokens: int
) -> list[list[tuple[list[int], float]]]:
    """The likeliest token sequences that a beam of `width` ends with, of every row; at most `width` each.

    Args:
        backbone: in evaluation mode.
        prefix: the histories, B rows.
        end: the token that closes a sequence; it is left out of what is returned.
        width: beams of a row; a finished sequence takes the place of one.
        max_tokens: longest sequence; what is still open then is returned as it stands.

    Returns:
        For each row sequences and their log-probabilities, best first.
    """
    cache = SearchCache(backbone, prefix)
    device, num_rows = cache.hidden_RD.device, len(cache.hidden_RD)
    vectors_VD = backbone.vocabulary_vectors()
    finished: list[list[tuple[list[int], float]]] = [[] for _ in range(num_rows)]
    written = [[[]] for _ in range(num_rows)]  # type: list[list[list[int]]]
    hidden_BWD = cache.hidden_RD[:, None]
    score_BW = torch.zeros((num_rows, 1), device=device)
    for step in range(max_tokens):
        log_p_BWV = (hidden_BWD @ vectors_VD.to(hidden_BWD.dtype).T).float().log_softmax(-1)
        score_BWV = score_BW[:, :, None] + log_p_BWV
        # Twice as many as go on, so that enough are left however many of them end here.
        best_BC = score_BWV.flatten(1).topk(min(2 * width, score_BWV[0].numel()))
        chosen = _go_on(best_BC.values, best_BC.indices, log_p_BWV.shape[2], end, width, written, finished)
        rows_F, parents_F, tokens_F, score_BW, written = chosen
        if not len(rows_F) or step == max_tokens - 1:
            break
        rank_F = torch.arange(len(rows_F), device=device) - torch.searchsorted(rows_F, rows_F)
        hidden_RQD, place_FL, slot_F = cache.run(
            rows_F, parents_F, rank_F, tokens_F[:, None], torch.zeros_like(tokens_F)[:, None],
            torch.ones_like(tokens_F),
        )  # fmt: skip
        hidden_BWD = hidden_RQD.new_zeros((num_rows, score_BW.shape[1], hidden_RQD.shape[2]))
        hidden_BWD[rows_F, rank_F] = hidden_RQD[rows_F, place_FL[:, 0]]
        slots_BW = torch.zeros((num_rows, score_BW.shape[1]), dtype=torch.int64, device=device)
        slots_BW[rows_F, rank_F] = slot_F
        cache.keep(slots_BW, score_BW > -torch.inf)
    for row, beams in enumerate(written):
        finished[row] += [
            (beam, float(score))
            for beam, score in zip(beams, score_BW[row], strict=False)
            if score > -torch.inf
        ]
    return [sorted(row, key=lambda pair: -pair[1])[:width] for row in finished]


def _go_on(
    values_BC: Tensor,
    index_BC: Tensor,
    num_tokens: int,
    end: int,
    width: int,
    written: list[list[list[int]]],
    finished: list[list[tuple[list[int], float]]],
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[list[list[int]]]]:
    """Put away what ended and keep the best of the rest: rows, their beams, tokens, scores (B, W) and what is written.

    A row goes on while a beam of it may still enter its best `width`.
    """
    rows, parents, tokens, scores, texts = [], [], [], [], []  # type: ignore[var-annotated]
    for row, (values, indices) in enumerate(zip(values_BC.tolist(), index_BC.tolist(), strict=True)):
        own: list[tuple[int, int, float]] = []
        for value, index in zip(values, indices, strict=True):
            parent, token = divmod(index, num_tokens)
            if value == -torch.inf or len(own) == width:
                continue
            if token == end:
                finished[row].append((written[row][parent], value))
            else:
                own.append((parent, token, value))
        finished[row] = sorted(finished[row], key=lambda pair: -pair[1])[:width]
        if len(finished[row]) == width:
            own = [beam for beam in own if beam[2] > finished[row][-1][1]]
        texts.append([[*written[row][parent], token] for parent, token, _ in own])
        rows += [row] * len(own)
        parents += [parent for parent, _, _ in own]
        tokens += [token for _, token, _ in own]
        scores.append([value for _, _, value in own])
    longest = max((len(row) for row in scores), default=0)
    padded = [row + [-torch.inf] * (longest - len(row)) for row in scores]
    device = values_BC.device
    return (
        torch.tensor(rows, dtype=torch.int64, device=device),
        torch.tensor(parents, dtype=torch.int64, device=device),
        torch.tensor(tokens, dtype=torch.int64, device=device),
        torch.tensor(padded, device=device).reshape(len(scores), longest),
        texts,
    )
