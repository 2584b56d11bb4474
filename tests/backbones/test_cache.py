"""The growing cache against transformers' own, which copies everything at every step."""

from __future__ import annotations

import torch
from genrec.backbones.base import Backbone
from genrec.backbones.cache import GrowingCache
from transformers import DynamicCache


def test_it_holds_what_transformers_own_holds() -> None:
    """Through growth, forgetting rows and keys, and growth again."""
    torch.manual_seed(0)
    ours, theirs = GrowingCache(), DynamicCache()
    num_rows = 4
    for step, length in enumerate([5, 1, 1, 7, 30, 1, 2]):
        for layer in range(2):
            keys, values = torch.randn(2, num_rows, 3, length, 8)
            for mine, other in zip(
                ours.update(keys, values, layer), theirs.update(keys, values, layer), strict=True
            ):
                torch.testing.assert_close(mine, other, rtol=0, atol=0)
        if step == 2:
            for cache in (ours, theirs):
                Backbone.keep_rows(cache, torch.tensor([2, 0]))
            num_rows = 2
        if step == 4:
            for cache in (ours, theirs):
                Backbone.keep_keys(cache, torch.tensor([[0, 3, 9], [1, 2, 3]]))
    assert ours.get_seq_length() == theirs.get_seq_length() == 6


def test_a_step_copies_nothing_while_there_is_room() -> None:
    cache = GrowingCache()
    for length in (10, 1):
        cache.update(torch.zeros(1, 1, length, 2), torch.zeros(1, 1, length, 2), 0)
    place = cache.layers[0].keys.data_ptr()
    cache.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2), 0)
    assert cache.layers[0].keys.data_ptr() == place
    assert cache.layers[0].keys[0, 0, :, 0].tolist() == [0.0] * 11 + [1.0]
