"""Where a model runs: the one place that chooses device, precision and thread count."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from genrec.data.memory import MOST_THREADS, check_fits
from genrec.errors import ConfigError, shown

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


def device_bytes(where: torch.device) -> int | None:
    """Memory of the GPU that is meant; None where that is the machine's own."""
    return torch.cuda.get_device_properties(where).total_memory if where.type == "cuda" else None


Model = TypeVar("Model", bound=nn.Module)


def built(make: Callable[[], Model], lower: str) -> Model:
    """A new model, built once its size on the meta device shows that its training fits into memory.

    Args:
        make: draws no random numbers before the model's own.
        lower: names of the options that make it smaller.

    Raises:
        ConfigError: weights, gradients and Adam's two moments do not fit into memory.
    """
    with torch.device("meta"):
        count = sum(weight.numel() for weight in make().parameters())
    check_fits(
        f"a model of {count:,} weights (with gradients and Adam's moments, as it learns)",
        4 * 4 * count,
        f"lower {lower}",
        device_bytes(device()),
    )
    return make()


def prepare_threads(threads: int | None) -> None:
    """Set how many threads torch's operations use on the CPU.

    Args:
        threads: that many; None: what OMP_NUM_THREADS says, else torch's own choice (the physical cores). Where
            other work runs on the machine, one thread a process and several processes are faster: threads wait
            for each other in every operation.

    Raises:
        ConfigError: OMP_NUM_THREADS is no number of threads.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" in os.environ:
        given = os.environ["OMP_NUM_THREADS"]
        first = given.partition(",")[0].strip()  # OpenMP takes a number for each level of nesting
        if not (first.isdecimal() and 1 <= int(first) <= MOST_THREADS):
            raise ConfigError(
                f"OMP_NUM_THREADS is {shown(given)}: set it to a number of threads, from 1 to {MOST_THREADS:,}, or "
                "unset it"
            )
        torch.set_num_threads(int(first))


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
