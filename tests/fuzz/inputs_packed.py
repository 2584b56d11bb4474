"""Packed logs, with a limit on what they may unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import tables
from inputs import Expected, Input, generator
from inputs_logs import fingerprint
from material import Material

_LIMIT = "GENREC_MAX_UNPACKED_GB"


def _zipped(content: bytes, *, times: int = 1) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(times):
            archive.writestr(f"log{number}.csv", content)
    return packed.getvalue()


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": _zipped,
}


@generator
def packed(rng: Random, folder: Path, material: Material) -> Input:
    """A log in an archive: whole, too large, cut, or not what its name says."""
    content = tables.Content.drawn(rng)
    rows = "".join(f"{user},{item},{time},{rating}\n" for user, item, time, rating in content.rows)
    text = f"user_id,item_id,timestamp,rating\n{rows}".encode()
    suffix, limit, expected, about = rng.choice(sorted(_PACKERS)), "1", "answered", "whole"
    how: Expected = rng.choice(("answered", "refused", "refused"))
    archive = _PACKERS[suffix](text)
    if how == "refused":
        expected = how
        about = rng.choice(("too large", "cut", "limit", "several", "packed twice", "flipped"))
    if about == "too large":
        limit, archive = "0.001", _PACKERS[suffix](text + b"#" * rng.randint(1_100_000, 3_000_000))
    elif about == "cut":
        archive = archive[: rng.randrange(8, len(archive))]
    elif about == "limit":
        limit = rng.choice(("", "x", "-1", "nan", "0", "1e-400", "8 GB"))
        about, expected = f"the limit {limit!r}", "either" if not limit else "refused"
    elif about == "several":
        suffix, archive = ".zip", _zipped(text, times=rng.choice((0, 2)))
    elif about == "packed twice":
        archive = _PACKERS[suffix](archive)
    elif about == "flipped":
        flipped = bytearray(archive)
        flipped[rng.randrange(10, len(flipped))] ^= rng.randrange(1, 256)
        archive, expected = bytes(flipped), "either"
    log = folder / f"log.csv{suffix}"
    log.write_bytes(archive)
    goods = tables.csv_text(
        rng, {"item_id": list(content.titles), "title": list(content.titles.values())}, ",", "\n"
    )
    (folder / "goods.csv").write_text(goods, encoding="utf-8")
    return Input(
        ["data", log.name, "--items", "goods.csv", "--json"],
        f"{log.name} {about}",
        expected,  # type: ignore[arg-type]
        (log.name, _LIMIT) if expected == "refused" else (),
        answer=None if about == "flipped" else fingerprint(content),
        environment={_LIMIT: limit},
    )
