"""What every dated page of a benchmark says of its circumstances, and how it is written."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from genrec.evaluation.peak_memory import peak_memory_mb


def cpu() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor()
    )


def commit() -> str:
    """The checked-out commit, short."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()


def peak_gb() -> float:
    """Most memory that this process has held, in 10^9 bytes."""
    return peak_memory_mb() * 2**20 / 1e9


def head(title: str, *libraries: str, used: str = "") -> str:
    """Title with the date; the command, commit, processor and versions of `libraries`."""
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return (
        f"# {title}, {datetime.now(UTC):%Y-%m-%d}\n\n"
        f"`{command}` at commit {commit()} · {cpu()}, {os.cpu_count()} cores{used} · "
        f"Python {platform.python_version()}, {versions}\n"
    )


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option that names the page's file."""
    parser.add_argument("--out", type=Path, help="page to write the result to")


def publish(page: str, out: Path | None) -> None:
    """Print the page, and write it where asked."""
    print(page)
    if out is not None:
        out.write_text(page, encoding="utf-8")
