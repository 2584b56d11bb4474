"""The process in which inputs are tried: `python worker.py CAPTURED`, one JSON object a line in and out.

In: `words` after `genrec`, the `folder` to stand in, the `limit_s` for the whole command. Out: `code` (null where
`main` raised), `trace`, `out` and `err` as written on file descriptors 1 and 2, `seconds`. A command that takes longer
than its limit ends this process with the Python stack of every thread in `CAPTURED/hang`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from frame_door import read_frames

MOST_CHARACTERS = 200_000  # kept of what a command writes


def main(captured: Path) -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    questions = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    import genrec.recommenders.base
    import torch
    import transformers
    from genrec.cli.main import main as genrec_main

    genrec.recommenders.base.recommenders()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with (captured / "hang").open("w") as stacks:
        for line in questions:
            told = attempt(genrec_main, json.loads(line), captured, stacks)
            answers.write(json.dumps(told) + "\n")
            answers.flush()


def attempt(command: Any, question: dict[str, Any], captured: Path, stacks: Any) -> dict[str, Any]:
    """Run one command with its streams in files."""
    os.chdir(question["folder"])
    os.environ["HOME"] = question["folder"]
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(captured / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    code, trace, start = None, "", time.perf_counter()
    faulthandler.dump_traceback_later(question["limit_s"], exit=True, file=stacks)
    try:
        words = question["words"]
        code = read_frames(words[1:]) if words[:1] == ["@frame"] else command(words)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # a command that lets an exception through is what we look for
        trace = traceback.format_exc()
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = (
        (captured / name).read_text(encoding="utf-8", errors="replace")[:MOST_CHARACTERS]
        for name in ("out", "err")
    )
    return {
        "code": code,
        "trace": trace,
        "out": out,
        "err": err,
        "seconds": time.perf_counter() - start,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
