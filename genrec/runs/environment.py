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
        "command": _command(),
    }


def _command() -> str:
    """The command of this process."""
    path, *words = sys.argv or [""]
    program = ["genrec"] if Path(path).stem in ("genrec", "__main__") else ["python", path]
    return shlex.join([*program, *words])


def _commit() -> str | None:
    """Commit of the checkout that this package runs from, `+` for uncommitted changes; None outside one."""
    here = str(Path(genrec.__file__).parent)

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", here, *words], capture_output=True, check=True, text=True).stdout

    try:
        if not git("ls-files", "errors.py"):
            return None  # installed below somebody else's repository
        return git("rev-parse", "HEAD").strip() + ("+" if git("status", "--porcelain", ".") else "")
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
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
