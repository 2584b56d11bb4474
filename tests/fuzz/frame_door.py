"""`@frame pandas|polars LOG ITEMS`: what a program does that reads its own frames, under the rules of a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def read_frames(words: Sequence[str]) -> int:
    """Read Parquet files as frames of a library and give them to `genrec.read`; its answer as `genrec data --json`."""
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
