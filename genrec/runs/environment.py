"""What a run ran on: versions, commit, machine, time and command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import genrec

_LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "accelerate", "polars", "numpy", "scipy")


def environment() -> dict[str, Any]:
    """What a run ran on: versions, commit, machine, time and command."""
    return {
        "genrec": genrec.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "num_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "num_threads": sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["genrec", *sys.argv[1:]]),
    }


def _commit() -> str | None:
    """Commit of the checkout that this package runs from, `+` for uncommitted changes; None outside one."""
    here = Path(genrec.__file__).parent
    try:
        git = ["git", "-C", str(here)]
        if not subprocess.run([*git, "ls-files", "errors.py"], capture_output=True, check=True).stdout:
            return None  # installed below somebody else's repository
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True
        ).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "."], capture_output=True, check=True).stdout
        return commit + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
