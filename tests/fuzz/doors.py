"""What the worker runs beside commands: frames given to `genrec.read`, and misbehaviour that has to be noticed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence


def read_frames(words: Sequence[str]) -> int:
    """`@frame pandas|polars LOG ITEMS`: Parquet files as frames of a library; answers as `genrec data --json` does."""
    import genrec
    import pandas as pd
    import polars as pl
    from genrec.errors import GenrecError

    library, log, items = words
    load = {"pandas": pd.read_parquet, "polars": pl.read_parquet}[library]
    try:
        summary = genrec.read(load(log), items=load(items)).summary()
    except GenrecError as error:
        print(f"genrec: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(summary))
    return 0


def misbehave(words: Sequence[str]) -> int:
    """`@misbehave HOW`: what no command should ever do."""
    how = words[0]
    if how == "sleep":
        time.sleep(30)
    if how == "abort":
        os.abort()
    if how == "leave":
        os._exit(3)
    if how == "eat":
        eaten = bytearray(300_000_000)
        eaten[::4096] = b"x" * len(eaten[::4096])
        time.sleep(5)
    if how == "raise":
        raise KeyError(how)
    return 0


DOORS: dict[str, Callable[[Sequence[str]], int]] = {"@frame": read_frames, "@misbehave": misbehave}
