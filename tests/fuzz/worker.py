"""The process in which inputs are tried: `python worker.py CAPTURED`, one JSON object a line in and out.

In: `words` after `genrec`, the `folder` to stand in, variables of the `environment`, the `limit_s` for the command.
Out: `code` (null where `main` raised), `trace`, `out` and `err` as written on file descriptors 1 and 2, `seconds`. A
command that takes longer than its limit ends this process with the Python stack of every thread in `CAPTURED/hang`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from doors import DOORS

MOST_CHARACTERS = 200_000  # kept of what a command writes


def serve(captured: Path) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    questions = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with (captured / "hang").open("w") as stacks:
        for line in questions:
            answers.write(json.dumps(attempt(json.loads(line), captured, stacks)) + "\n")
            answers.flush()


@cache
def genrec_main() -> Callable[[Sequence[str]], int]:
    """The command line, with all that takes time to import: a command's limit is for the command."""
    import genrec.data.sources
    import genrec.data.transfer
    import genrec.recommenders.base
    import genrec.recommenders.palr.endpoint
    import torch
    import transformers
    from genrec.cli.main import main

    genrec.recommenders.base.recommenders()
    genrec.data.sources.BASE_URLS.update(dict.fromkeys(genrec.data.sources.BASE_URLS, "http://127.0.0.1:9/"))
    genrec.data.transfer._FIRST_WAIT_S = 0.001  # nobody listens there, and nobody has to wait for that
    genrec.recommenders.palr.endpoint._FIRST_WAIT_S = 0.001
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    return main


def attempt(question: dict[str, Any], captured: Path, stacks: Any) -> dict[str, Any]:
    """Run one command with its streams in files."""
    words = question["words"]
    door = DOORS.get(words[0]) if words else None
    command = door or genrec_main()
    os.chdir(question["folder"])
    before = dict(os.environ)
    os.environ.update(question["environment"])
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(captured / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    code, trace, start = None, "", time.perf_counter()
    faulthandler.dump_traceback_later(question["limit_s"], exit=True, file=stacks)
    try:
        code = command(words[1:] if door else words)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # a command that lets an exception through is what we look for
        trace = traceback.format_exc()
    faulthandler.cancel_dump_traceback_later()
    seconds = time.perf_counter() - start
    os.environ.clear()
    os.environ.update(before)
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = (
        (captured / name).read_text(encoding="utf-8", errors="replace")[:MOST_CHARACTERS]
        for name in ("out", "err")
    )
    return {"code": code, "trace": trace, "out": out, "err": err, "seconds": seconds}


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
