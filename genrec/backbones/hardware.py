"""Where a model runs: the one place that chooses device, precision and thread count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Large pages for large arrays where the system lends them on request: on a virtual machine, touching fresh memory page
# by page was a tenth of a training step. torch reads this at its first large array.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_MOST_REPLICAS = (
    4  # beyond, adding up their gradients and Python's lock cost more than one more replica brings
)


def device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def full_precision() -> bool:
    """Whether mixed precision would only cost: on a CPU without bfloat16 instructions it is emulated, slowly."""
    return device().type == "cpu" and not torch.cpu._is_avx512_bf16_supported()


def prepare_threads(threads: int | None) -> None:
    """Set how many threads torch's operations use on the CPU.

    Args:
        threads: that many; None: what OMP_NUM_THREADS says, else torch's own choice (the physical cores). Where
            other work runs on the machine, one thread a process and several processes are faster: threads wait
            for each other in every operation.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def num_replicas() -> int:
    """How many replicas of a small model should learn from one batch side by side, after `prepare_threads`."""
    return min(torch.get_num_threads(), _MOST_REPLICAS) if device().type == "cpu" else 1


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """That many threads for each of torch's operations, in this block and in threads that start in it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
