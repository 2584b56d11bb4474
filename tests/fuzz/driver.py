"""Tries commands in a process that may crash, hang or eat memory without ending the run that looks for such things."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

LIMIT_S = 60.0
LIMIT_MB = 4000
_START_S = 120.0  # a worker imports torch and transformers before its first answer
_POLL_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes:
        code: its exit code; None where it raised or its process ended.
        out: what it wrote on stdout.
        err: on stderr.
        trace: traceback of what it raised, or stacks where it hung; else empty.
        ended: how its process ended, if it did: `hang`, `memory` or the signal's name.
        seconds: it took so long.
    """

    code: int | None
    out: str = ""
    err: str = ""
    trace: str = ""
    ended: str = ""
    seconds: float = 0.0


class Driver:
    """Runs commands one after the other in a worker process, and starts another one where it was lost."""

    def __init__(self, captured: Path, limit_s: float = LIMIT_S, limit_mb: int = LIMIT_MB) -> None:
        captured.mkdir(parents=True, exist_ok=True)
        self.captured, self.limit_s, self.limit_mb = captured, limit_s, limit_mb
        self._worker: subprocess.Popen[str] | None = None

    def run(self, words: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Outcome:
        """Run `genrec` with `words` in `folder`, with these variables in the environment."""
        worker = self._worker or self._start()
        assert worker.stdin is not None
        assert worker.stdout is not None
        question = {
            "words": words,
            "folder": str(folder),
            "limit_s": self.limit_s,
            "environment": {"HOME": str(folder), **(environment or {})},
        }
        worker.stdin.write(json.dumps(question) + "\n")
        worker.stdin.flush()
        waited, peak = 0.0, 0
        limit_s = self.limit_s + _START_S
        while not select.select([worker.stdout], [], [], _POLL_S)[0]:
            waited += _POLL_S
            peak = max(peak, _resident_mb(worker.pid))
            if peak > self.limit_mb or waited > limit_s:
                worker.kill()
                return self._lost("memory" if peak > self.limit_mb else "hang", waited)
        line = worker.stdout.readline()
        if not line:
            return self._lost("", waited)
        return self._reported(Outcome(**json.loads(line)))

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TMPDIR": str(self.captured)}
        self._worker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), str(self.captured)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        return self._worker

    def _reported(self, outcome: Outcome) -> Outcome:
        """An outcome with the traceback that a command wrote into a report of its own, which goes."""
        for report in self.captured.glob("genrec-report-*"):
            outcome = replace(outcome, trace=outcome.trace + report.read_text(encoding="utf-8"))
            report.unlink()
        return outcome

    def _lost(self, ended: str, waited: float) -> Outcome:
        worker, self._worker = self._worker, None
        assert worker is not None
        code = worker.wait()
        worker.communicate()
        trace = (self.captured / "hang").read_text(errors="replace")
        if not ended:
            ended = "hang" if trace else signal.Signals(-code).name if code < 0 else f"exit {code}"
        out, err = (_text(self.captured / name) for name in ("out", "err"))
        return Outcome(None, out, err, trace, ended, waited)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _resident_mb(process: int) -> int:
    """Memory that a process holds now; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
