"""The width of compact backbones, known without the library that they are made with."""

from __future__ import annotations

HEAD = 32  # width of an attention head


def compact_width(depth: int) -> int:
    """The hidden size that goes with so many layers."""
    return 64 * depth


def num_heads(width: int) -> int:
    """Attention heads of a hidden size."""
    return max(1, width // HEAD)


def shared_by_heads(width: int) -> bool:
    """Whether heads get as many numbers each, and rotary positions two by two of them."""
    return width % (2 * num_heads(width)) == 0
