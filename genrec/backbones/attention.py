"""Attention masks of ours for pretrained decoders, which keep the sliding windows of each layer.

transformers takes a mask of four dimensions as it is and in every layer, so that a layer with a sliding window would
see past it, and some models flatten one of three. So a model gets a mask without padding and
builds one for each kind of layers by calling `_mask`, which knows what may be seen (`seeing`).

A search keeps all that it tries for a user as tokens of one row, so windows are counted in tokens that are seen, and
not in columns.

Shape suffixes: B rows, T tokens, K keys (cached and new).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from genrec.backbones.base import Backbone

TREE = "genrec-tree"  # the name of this attention


def within_window(visible_BTK: Tensor, size: int, *, chunks: bool = False) -> Tensor:
    """Which of the keys that a token sees are in its window, (B, T, K).

    Args:
        visible_BTK: True where a token may look. The last T keys are the tokens themselves; keys of one row of text
            stand in its order.
        size: tokens of a window, the token itself among them, to either side; of a chunk.
        chunks: the text is cut into chunks, and a token sees its own.
    """
    num_tokens, num_keys = visible_BTK.shape[1:]
    place_BTK = visible_BTK.cumsum(dim=2, dtype=torch.int32) - 1
    own_BT1 = place_BTK.diagonal(num_keys - num_tokens, dim1=1, dim2=2)[:, :, None]
    if chunks:
        return place_BTK // size == own_BT1 // size
    return (own_BT1 - place_BTK).abs() < size


_seen: ContextVar[Tensor | None] = ContextVar("seen", default=None)


@contextmanager
def seeing(visible_BTK: Tensor | None) -> Iterator[None]:
    """Inside it models with the attention `TREE` let each token see these keys; None: all before it."""
    before = _seen.set(visible_BTK)
    try:
        yield
    finally:
        _seen.reset(before)


def _mask(
    *args: Any,
    local_size: int | None = None,
    config: Any = None,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Tensor | None:
    """The mask of one kind of layers, called by transformers."""
    visible_BTK = _seen.get()
    if visible_BTK is None:
        mask: Tensor | None = sdpa_mask(*args, local_size=local_size, config=config, dtype=dtype, **options)
        return mask
    if local_size is not None and visible_BTK.shape[2] > local_size:
        chunks = local_size == getattr(config, "attention_chunk_size", None)
        visible_BTK = visible_BTK & within_window(visible_BTK, local_size, chunks=chunks)
    return Backbone.additive(visible_BTK, dtype)


AttentionInterface.register(TREE, sdpa_attention_forward)
AttentionMaskInterface.register(TREE, _mask)
