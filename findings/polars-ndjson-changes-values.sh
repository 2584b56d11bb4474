#!/usr/bin/env bash
# Values that `polars.read_ndjson` reads as something else, without an error.
#
# One would guess: what `json.loads` gives, or an error. Half of a surrogate pair, as a text cut off in the middle of an
# emoji ends, is an error in most parsers or U+FFFD; a float read as text keeps its spelling; the last of two names wins.
# What happens: the half becomes NUL, so ids change in silence; a float above 2^53 becomes text like that of a whole number,
# one of many that it stands for; the first of two names wins.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   half of a pair  : 'A\x00'
#   float above 2^53: '76561198000000000'
#   a name twice    : 'first'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

import polars as pl


def read(text):
    return pl.read_ndjson(io.BytesIO(text.encode()), schema={"id": pl.String}).item()


half, twice = r'{"id": "A\ud83d"}', '{"id": "first", "id": "last"}'
print("half of a pair  :", repr(read(half)))
print("float above 2^53:", repr(read('{"id": 76561198000000001.0}')))
print("a name twice    :", repr(read(twice)))
assert read(half) == "A\0" and read(twice) == "first", "it changed"
PYTHON
