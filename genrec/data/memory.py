"""What a machine can take: memory checks before large allocations, since an allocator's own error comes late.

Estimates are of what is held at the same time. They are compared with all the memory that this process may use, not
with what is free at the moment, so that a command is refused or not whatever else runs on the machine.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from genrec.errors import ConfigError

_CGROUPS = Path("/sys/fs/cgroup")
_ALWAYS_THERE = 64 * 2**20  # bytes that are not worth a look at the machine
MOST_THREADS = 256  # OpenMP takes any number, and ends the process where the system has no more
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def machine_bytes() -> int | None:
    """Memory that this process may have: the machine's, or what a container or `ulimit` allows; None: unknown."""
    limits = []
    with suppress(ValueError, OSError, AttributeError):  # a system without these numbers
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ImportError):  # there is none on Windows
        import resource

        limits += [limit for limit in resource.getrlimit(resource.RLIMIT_AS)[:1] if limit > 0]
    limits += _cgroup_limits(Path("/proc/self/cgroup"), _CGROUPS)
    return min(limits, default=None)


def check_fits(what: str, needed: float, advice: str, available: int | None = None) -> None:
    """Raise where something is larger than memory.

    Args:
        what: needs it, as the beginning of a sentence.
        needed: bytes, about.
        advice: what to lower.
        available: bytes that there are where it would lie, as on a GPU; None: those of this machine.

    Raises:
        ConfigError: it does not fit.
    """
    if needed < _ALWAYS_THERE:
        return
    place = "this machine" if available is None else "the GPU"
    available = machine_bytes() if available is None else available
    if available is not None and needed > available:
        raise ConfigError(
            f"{what} needs about {spelled(needed)}, and {place} has {spelled(available)}: {advice}"
        )


def spelled(size: float) -> str:
    """Bytes for people, as in "4.0 TB"."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}" if unit else f"{size:.0f} bytes"


def _cgroup_limits(own: Path, root: Path) -> list[int]:
    """What the control groups of this process allow, in both versions; those without a limit say nothing."""
    files = [root / "memory" / "memory.limit_in_bytes", root / "memory.max"]
    with suppress(OSError):
        for line in own.read_text().splitlines():
            hierarchy, _, path = line.split(":", 2)
            if hierarchy == "0":
                group = root / path.lstrip("/")
                files += [
                    folder / "memory.max" for folder in (group, *group.parents) if root in folder.parents
                ]
    limits = []
    for file in files:
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(file.read_text()))
    return limits
