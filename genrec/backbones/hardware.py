"""Where a model runs: the one place that chooses device, precision and thread count."""

from __future__ import annotations

import os

import torch


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
