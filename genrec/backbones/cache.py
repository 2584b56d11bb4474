"""Keys and values with room to grow: a step writes its own and copies none of those that stand there."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values (rows, heads, keys, width of a head), the front part of larger tensors."""

    whole: tuple[Tensor, Tensor] | None = None
    front: Tensor | None = (
        None  # the keys that were handed out last: others have been put there since, or not
    )

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add keys and values; returns all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return key_states, value_states
        start, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if self.whole is None or self.front is not self.keys or self.whole[0].shape[2] < end:
            room = list(self.keys.shape)
            room[2] = end + max(end // 2, key_states.shape[2])
            self.whole = (self.keys.new_empty(room), self.values.new_empty(room))
            for tensor, old in zip(self.whole, (self.keys, self.values), strict=True):
                tensor[:, :, :start] = old
        for tensor, new in zip(self.whole, (key_states, value_states), strict=True):
            tensor[:, :, start:end] = new
        self.keys, self.values = (tensor[:, :, :end] for tensor in self.whole)
        self.front = self.keys
        return self.keys, self.values


class GrowingCache(DynamicCache):  # type: ignore[misc]
    """Keys and values of all layers. Every layer keeps all keys, also where the model's own cache would drop some."""

    def __init__(self) -> None:
        super().__init__()
        self.layer_class_to_replicate = _GrowingLayer
